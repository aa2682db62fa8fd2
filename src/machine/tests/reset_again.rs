//! Resets where more than one run is concerned: what a run has copied when it is reset itself, and runs that have gone on with
//! the work of the one that is reset.

use super::chain::{chain, continue_as_new, follow};
use super::messages::{accept, update};
use super::reset::{new_run, to, to_event};
use super::scenario::*;
use crate::machine::{Beside, ResetRefusal, RunState};
use crate::model::*;

fn run_of(byte: u8) -> RunId {
    RunId::from_bytes([byte; 16])
}

fn made(run: &Scenario, wanted: &Reset, run_id: RunId) -> Scenario {
    let made = wanted.make(&run.journal, Beside::default(), run_id, run.now).unwrap();
    let mut next = Scenario::start([]);
    next.state = RunState::fold([&made.first]).unwrap();
    next.journal = vec![made.first];
    next.tasks = 0;
    next.now = run.now;
    next
}

#[track_caller]
fn refused(run: &Scenario, wanted: &Reset, beside: Beside<'_>) -> ResetRefusal {
    let made = wanted.make(&run.journal, beside, new_run(), run.now);
    made.expect_err("it is to be refused")
}

#[test]
fn what_is_copied_once_more_keeps_the_names_of_who_wrote_it() {
    let mut first = Scenario::start([activity("a")]);
    first.at(1).completes("a", [activity("b"), timer("t", 60)]);
    let original = first.state.run_id().unwrap();
    // Its own part begins at 8.
    let mut second = made(&first, &to(ResetPoint::Turn(2)), run_of(2));
    second.crash([activity("c"), activity("d")]);
    second.at(2).completes("c", []);
    second.at(3).signal("s", "", []);
    let c = second.state.steps().count();
    assert_eq!(c, 0);
    // And the third one's behind what the second one has decided.
    let third = made(&second, &to(ResetPoint::LastTurn), run_of(3));
    let d = third.pending("d").unwrap().scheduled;
    assert_eq!(third.state.writer_of(d), Some(run_of(2)));
    assert_eq!(third.state.writer_of(EventId(5)), Some(original));
    // The fourth one begins between the two.
    let fourth = made(&third, &to(ResetPoint::Turn(3)), run_of(4));
    let d = fourth.pending("d").unwrap().scheduled;
    let written_by = |event| fourth.state.writer_of(event);
    assert_eq!(
        written_by(d),
        Some(run_of(2)),
        "not the run that was reset, which has copied it"
    );
    assert_eq!(written_by(EventId(5)), Some(original));
    assert_eq!(fourth.state.bases().collect::<Vec<_>>(), [original, run_of(3)]);
}

#[test]
fn updates_that_nobody_has_looked_at_since_the_last_reset_are_asked_for_again() {
    let mut first = Scenario::start([timer("t", 60)]);
    first.at(1).input(update("u"), [accept("u")]);
    first.at(2).input(update("v"), [accept("v")]);
    // It never comes to decide anything.
    let second = made(&first, &to(ResetPoint::Turn(2)), run_of(2));
    let mut third = made(&second, &to(ResetPoint::FirstTurn), run_of(3));
    let asked = third.journal[0]
        .events
        .iter()
        .find_map(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionReset(reset) => Some(&reset.updates),
            _ => None,
        });
    let asked: Vec<&str> = asked.unwrap().iter().map(|update| update.update_id.as_str()).collect();
    assert_eq!(asked, ["u", "v"]);
    third.crash([timer("t", 60), accept("u"), accept("v")]);
    assert_eq!(third.state.updates().count(), 2);
}

/// Time runs out for the run before it decides anything, and it turns back: who waits for the update hears that.
#[test]
fn a_run_that_turns_back_before_it_decides_does_not_know_the_updates_that_it_was_to_do_again() {
    let mut start = start_run();
    start.run_timeout = Some(std::time::Duration::from_secs(10));
    let mut first = Scenario::start_as(start, [step("a")]);
    first.at(1).completes("a", [timer("t", 60)]);
    first.at(2).input(update("u"), [accept("u")]);
    let mut second = made(&first, &to(ResetPoint::LastTurn), run_of(2));
    let u = UpdateId::from_trusted("u");
    assert!(second.state.knows_update(&u), "it is to be asked for it");
    second.at(12).wake([]).expect_status(RunStatus::Unwinding);
    assert_eq!(second.tasks, 0);
    assert!(!second.state.knows_update(&u));
    second.at(13).completes("a/undo", []);
    assert!(second.state.is_closed() && !second.state.knows_update(&u));
}

#[test]
fn however_many_signals_are_unread_again_none_is_lost() {
    let by_definition = StartRun {
        definition: Some(DefinitionDigest([1; 32])),
        ..start_run()
    };
    let signals = |first: usize| (first..first + limits::PENDING_MAX / 2).map(|n| signal("go", &n.to_string()));
    let mut run = Scenario::start_as(by_definition, [timer("t", 60)]);
    run.at(1).inputs(signals(0), []);
    // The code of a definition reads by steps that wait: one reads each.
    for round in 1..=2 {
        let waits = (0..limits::PENDING_MAX / 2).map(|n| waits_for_go(round * 10_000 + n));
        run.at(2).signal("more", "", waits);
        run.at(3).inputs(signals(round * 10_000), []);
    }
    let wanted = to(ResetPoint::FirstTurn);
    let made = wanted
        .make(&run.journal, Beside::default(), new_run(), run.now)
        .unwrap();
    let is_signal = |event: &&Event| matches!(event.attributes, EventAttributes::WorkflowExecutionSignaled(_));
    let sent = run
        .journal
        .iter()
        .flat_map(|turn| &turn.events)
        .filter(is_signal)
        .count();
    assert!(sent > limits::PENDING_MAX);
    assert_eq!(made.first.events.iter().filter(is_signal).count(), sent);
}

fn waits_for_go(number: usize) -> Do {
    let Do(Command::Wait(mut wait)) = wait(&format!("w{number}"), None, None) else {
        unreachable!("made as one");
    };
    wait.signal = Some(SignalName::from_trusted("go"));
    Do(Command::Wait(wait))
}

#[test]
fn what_more_came_than_a_history_has_room_for_is_not_left_out_in_silence() {
    let run = Scenario::start([timer("t", 60)]);
    let mut next = Scenario::start([]);
    let many = usize::try_from(limits::HISTORY_EVENTS_MAX / 10 * 9 - 10).unwrap();
    next.inputs((0..many).map(|n| signal("s", &n.to_string())), []);
    let twice: Vec<Turn> = [&next.journal[1..], &next.journal[1..]].concat();
    let renamed = twice.into_iter().enumerate().map(|(place, mut turn)| {
        for event in &mut turn.events {
            if let EventAttributes::WorkflowExecutionSignaled(signal) = &mut event.attributes {
                let id = format!("{place}/{}", signal.request_id.as_ref().unwrap());
                signal.request_id = Some(RequestId::from_trusted(id));
            }
        }
        turn
    });
    let continued: Vec<Turn> = renamed.collect();
    let beside = Beside {
        continued: &continued,
        ..Beside::default()
    };
    let refusal = refused(&run, &to(ResetPoint::FirstTurn), beside);
    assert!(matches!(refusal, ResetRefusal::TooMuchAgain), "{refusal}");
    let without = Reset {
        reapply: Reapply::None,
        ..to(ResetPoint::FirstTurn)
    };
    assert!(without.make(&run.journal, beside, new_run(), run.now).is_ok());
}

/// A step, undone for good or not, in a run that it continued as.
#[test]
fn what_the_runs_that_it_continued_as_have_done_counts_as_its_own() {
    let mut first = Scenario::start([timer("t", 60)]);
    first.at(1).signal("s", "", [continue_as_new(|_| {})]);
    let mut second = follow(&first);
    second.input(Input::Wake, [step("pay")]);
    second.at(2).completes("pay", [complete()]);
    let others = [second.state.clone()];
    let beside = Beside {
        others: &others,
        ..Beside::default()
    };
    let name = second.state.run_id().unwrap();
    assert_eq!(
        refused(&first, &to(ResetPoint::FirstTurn), beside).to_string(),
        format!("pay of run {name} may have had an effect since that turn, and would be done again")
    );
    let forced = Reset {
        force: true,
        ..to(ResetPoint::FirstTurn)
    };
    let made = forced.make(&first.journal, beside, new_run(), second.now).unwrap();
    let left = made.first.events.iter().find_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionReset(reset) => Some(reset.left.clone()),
        _ => None,
    });
    assert_eq!(left, Some(vec![StepName::from_trusted("pay")]), "the history says so");
}

#[test]
fn what_a_run_that_was_made_of_it_has_undone_is_not_taken_for_done() {
    let mut first = Scenario::start([step("a")]);
    first.at(1).completes("a", [timer("t", 60)]);
    let mut second = made(&first, &to(ResetPoint::LastTurn), run_of(2));
    second.crash([fail("Bug")]);
    second.at(2).completes("a/undo", []).expect_status(RunStatus::Amended);
    let others = [second.state.clone()];
    let beside = Beside {
        others: &others,
        ..Beside::default()
    };
    assert_eq!(
        refused(&first, &to(ResetPoint::LastTurn), beside).to_string(),
        format!(
            "a of run {} of before that turn has been undone since; reset to a turn before it",
            run_of(2)
        )
    );
    // It has done nothing else that is left.
    assert!(
        to(ResetPoint::FirstTurn)
            .make(&first.journal, beside, new_run(), second.now)
            .is_ok()
    );
}

#[test]
fn what_the_run_that_gives_way_may_have_done_is_not_left_in_silence() {
    let mut first = Scenario::start([activity("a")]);
    first.at(1).completes("a", [fail("Bug")]);
    let mut newest = Scenario::start([step("pay")]);
    newest.state = RunState::fold(&newest.journal).unwrap();
    let mut started = newest.journal.clone();
    if let Some(EventAttributes::WorkflowExecutionStarted(of)) =
        started[0].events.first_mut().map(|event| &mut event.attributes)
    {
        std::sync::Arc::make_mut(of).run_id = run_of(2);
    }
    let newest = RunState::fold(&started).unwrap();
    let beside = Beside {
        gives_way: Some(&newest),
        ..Beside::default()
    };
    assert_eq!(
        refused(&first, &to_event(8), beside).to_string(),
        format!(
            "pay of run {} may have had an effect, and nobody would undo that when this run gives way",
            run_of(2)
        )
    );
    let forced = Reset {
        force: true,
        ..to_event(8)
    };
    assert!(forced.make(&first.journal, beside, new_run(), first.now).is_ok());
}

#[test]
fn a_delay_that_is_over_is_not_waited_for_again() {
    let mut start = start_run();
    start.run_timeout = Some(std::time::Duration::from_secs(10));
    start.chain = Some(Box::new(RunChain {
        backoff: std::time::Duration::from_secs(3_600),
        ..RunChain::default()
    }));
    let mut run = Scenario::start_as(start, []);
    run.at(3_600).wake([activity("a")]);
    run.at(3_601).completes("a", [fail("Bug")]);
    let mut made = made(&run, &to(ResetPoint::LastTurn), new_run());
    assert_eq!(chain(&made).backoff, std::time::Duration::ZERO);
    made.at(3_601).crash([]).expect_wake("3611s");
}
