//! Runs that are made anew from an earlier turn of another one.

use super::child::child;
use super::messages::{accept, update};
use super::scenario::*;
use crate::machine::{Beside, Rejection, Reply, ResetRefusal, RunState};
use crate::model::*;

pub(super) fn to(point: ResetPoint) -> Reset {
    Reset::to(point, "ada", "a bug is mended")
}

pub(super) fn to_event(event: u64) -> Reset {
    to(ResetPoint::Event(EventId(event)))
}

pub(super) fn new_run() -> RunId {
    RunId::from_bytes([8; 16])
}

impl Scenario {
    /// The run that is made of this one, as its first turn leaves it.
    fn reset(&self, wanted: &Reset) -> Result<Scenario, ResetRefusal> {
        let MadeAnew { first, .. } = wanted.make(&self.journal, Beside::default(), new_run(), self.now)?;
        let mut made = Scenario::start([]);
        made.state = RunState::fold([&first]).expect("what was copied fits");
        made.journal = vec![first];
        made.tasks = 0;
        made.now = self.now;
        Ok(made)
    }

    #[track_caller]
    fn refuses(&self, wanted: &Reset, expected: &str) {
        let Err(refusal) = self.reset(wanted) else {
            panic!("it is made");
        };
        assert_eq!(refusal.to_string(), expected);
    }
}

/// Two activities, one after the other, a signal meanwhile, and the end.
fn two_in_a_row() -> Scenario {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).completes("a", [activity("b")]);
    run.at(2).signal("s", "r", []);
    run.at(3).completes("b", [fail("Bug")]);
    run.at(9);
    run
}

#[test]
fn the_turn_is_decided_again_and_later_signals_come_again() {
    let run = two_in_a_row();
    let mut made = run.reset(&to_event(9)).unwrap();
    assert_eq!(made.state.started().unwrap().run_id, new_run());
    made.crash([activity("c")]);
    made.at(10).completes("c", [complete()]);
    made.expect_history(
        "
            @9s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8-10 WorkflowExecutionReset a bug is mended by ada
            11 WorkflowExecutionSignaled s 1
            @9s
            12-14 WorkflowTaskCompleted
            15 ActivityTaskScheduled c
            @10s
            16 ActivityTaskStarted c #1
            17 ActivityTaskCompleted c
            18-20 WorkflowTaskCompleted
            21 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn signals_are_left_out_if_so_wanted() {
    let wanted = Reset {
        reapply: Reapply::None,
        ..to(ResetPoint::FirstTurn)
    };
    let made = two_in_a_row().reset(&wanted).unwrap();
    assert_eq!(
        made.state.next_event(),
        EventId(5),
        "the start and the reset, nothing else"
    );
}

#[test]
fn any_of_a_turns_ids_names_it_and_others_name_none() {
    let run = two_in_a_row();
    for event in [8, 9, 10] {
        assert_eq!(run.reset(&to_event(event)).unwrap().journal[0].events[5].id, EventId(8));
    }
    run.refuses(&to_event(7), "event 7 is not of a turn; the turns are at 2, 8, 13, 18");
    run.refuses(&to_event(99), "event 99 is not of a turn; the turns are at 8, 13, 18");
    let last = run.reset(&to(ResetPoint::LastTurn)).unwrap();
    assert_eq!(last.journal[0].events.last().unwrap().id, EventId(18));
}

#[test]
fn turns_are_also_named_by_their_number() {
    let run = two_in_a_row();
    let begun_at = |point| {
        let made = run.reset(&to(point)).unwrap();
        let reset = made.journal[0].events.iter().find(|event| is_reset(event));
        reset.expect("it says so").id.0
    };
    assert_eq!(begun_at(ResetPoint::FirstTurn), 2);
    assert_eq!(begun_at(ResetPoint::Turn(1)), 2);
    assert_eq!(begun_at(ResetPoint::Turn(2)), 8);
    assert_eq!(begun_at(ResetPoint::Turn(4)), 18);
    assert_eq!(begun_at(ResetPoint::LastTurn), 18);
    run.refuses(&to(ResetPoint::Turn(5)), "there is no turn 5; the run has decided 4");
    run.refuses(&to(ResetPoint::Turn(0)), "there is no turn 0; the run has decided 4");
}

fn is_reset(event: &Event) -> bool {
    matches!(event.attributes, EventAttributes::WorkflowExecutionReset(_))
}

#[test]
fn what_was_under_way_counts_as_lost_and_keeps_its_name() {
    let mut run = Scenario::start([activity("a"), timer("t", 2)]);
    run.at(1).fails("a", busy(), []);
    run.at(2).wake([activity("b")]);
    run.at(3).completes("a", []);
    // In the end it was the second attempt that succeeded: who resets it wants another answer, and gets a third one.
    let mut made = run.reset(&to(ResetPoint::Turn(2))).unwrap();
    made.at(4).crash([activity("b")]).expect_running("a#3 b#1");
    let old = run.state.started().unwrap().run_id;
    assert_eq!(made.state.writer_of(EventId(5)), Some(old), "its idempotency key stays");
    let b = made.pending("b").unwrap().scheduled;
    assert_eq!(made.state.writer_of(b), Some(new_run()));
}

#[test]
fn a_lost_attempt_counts_for_the_retry_policy() {
    let mut run = Scenario::start([activity("a").attempts(1), timer("t", 2)]);
    run.at(2).wake([]);
    run.at(3).completes("a", []);
    let mut made = run.reset(&to(ResetPoint::Turn(2))).unwrap();
    made.crash([]).expect_history(
        "
            @3s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 TimerStarted t fires at 2s
            7 TimerFired t
            8-10 WorkflowExecutionReset a bug is mended by ada
            @3s
            11 ActivityTaskStarted a #1
            12 ActivityTaskFailed a: worker-lost [MaximumAttemptsReached]
            13-15 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn an_attempt_that_nobody_has_begun_is_not_lost() {
    let mut run = Scenario::start([activity("a").attempts(2), timer("t", 2)]);
    // It is to be tried again much later.
    let mut later = busy();
    if let FailureKind::Application(application) = &mut later.kind {
        application.next_retry_delay = Some(std::time::Duration::from_secs(3600));
    }
    run.at(1).fails("a", later, []);
    run.at(2).wake([]);
    let mut made = run.at(3).reset(&to(ResetPoint::Turn(2))).unwrap();
    made.crash([]).expect_running("a#2");
}

#[test]
fn what_a_run_had_under_way_when_it_was_ended_counts_as_lost() {
    let mut run = Scenario::start([activity("a"), timer("t", 2)]);
    run.at(2).wake([]);
    run.at(3).terminate();
    let mut made = run.reset(&to(ResetPoint::Turn(2))).unwrap();
    made.crash([]).expect_running("a#2");
}

#[test]
fn what_only_attempts_knew_is_not_forgotten() {
    let mut run = Scenario::start([step("a")]);
    // Nobody knows what the first attempt did, whatever the second one says.
    run.at(1).fails("a", busy(), []);
    run.at(2).fails("a", declined(), [timer("t", 5)]);
    run.at(7).wake([timer("u", 5)]);
    let mut made = run.reset(&to(ResetPoint::LastTurn)).unwrap();
    made.crash([fail("Bug")]).expect_running("a/undo#1");
}

#[test]
fn timers_keep_their_time() {
    let mut run = Scenario::start([timer("t", 5), timer("u", 50)]);
    run.at(1).signal("s", "", []);
    let mut made = run.at(20).reset(&to_event(8)).unwrap();
    made.crash([]).wake([]).expect_wake("50s");
    let fired = |event: &Event| matches!(event.attributes, EventAttributes::TimerFired { .. });
    assert!(made.last.turn.as_ref().unwrap().events.iter().any(fired), "one was due");
}

#[test]
fn an_open_run_ends_and_is_followed() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).signal("s", "r", []);
    let made = to(ResetPoint::FirstTurn)
        .make(&run.journal, Beside::default(), new_run(), run.now)
        .unwrap();
    run.at(2).input(Input::Reset(Box::new(made.clone())), []);
    run.expect_reply(Reply::Begun { run_id: new_run() });
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 WorkflowExecutionSignaled s 1
            7-9 WorkflowTaskCompleted
            @2s
            ~ followed
            10 WorkflowExecutionTerminated reset, made anew as run 08080808-0808-0808-0808-080808080808: a bug is mended
        ",
    );
    let next = super::chain::follow(&run);
    assert_eq!(next.journal, std::slice::from_ref(&made.first));
    assert!(run.state.is_settled(), "its children go on");
    run.input(Input::Reset(Box::new(made)), []);
    run.expect_reply(Reply::Rejected(Rejection::Closed));
}

#[test]
fn a_run_may_be_reset_that_was_reset_even_to_what_it_has_copied() {
    let mut first = two_in_a_row();
    first.at(10);
    let mut second = first.reset(&to(ResetPoint::LastTurn)).unwrap();
    second.crash([activity("c")]);
    second.at(11).signal("late", "r2", []);
    let wanted = Reset {
        request_id: Some(RequestId::from_trusted("again")),
        ..to_event(8)
    };
    let third = RunId::from_bytes([9; 16]);
    let made = wanted
        .make(&second.journal, Beside::default(), third, second.now)
        .unwrap();
    let state = RunState::fold([&made.first]).unwrap();
    let signals = made.first.events.iter().filter_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionSignaled(signal) => Some(signal.name.to_string()),
        _ => None,
    });
    assert_eq!(signals.collect::<Vec<_>>(), ["s", "late"], "what came to either");
    assert_eq!(state.bases().collect::<Vec<_>>(), [new_run()]);
    assert!(state.was_made_by(&RequestId::from_trusted("again")));
    let original = first.state.run_id().unwrap();
    // Its base has copied that itself.
    assert_eq!(state.writer_of(EventId(5)), Some(original));
    let origins = state.origins().unwrap();
    assert!(!origins.leave(original, EventId(5)) && origins.leave(original, EventId(13)));
    let own = state.next_event();
    assert_eq!(state.writer_of(own), Some(third));

    let fourth = to(ResetPoint::LastTurn)
        .make(&second.journal, Beside::default(), third, second.now)
        .unwrap();
    let state = RunState::fold([&fourth.first]).unwrap();
    assert_eq!(state.bases().collect::<Vec<_>>(), [original, new_run()]);
    assert_eq!(state.writer_of(EventId(5)), Some(original));
}

#[test]
fn updates_are_asked_for_again() {
    let mut run = Scenario::start([timer("t", 60)]);
    run.at(1).input(update("u"), [accept("u")]);
    let mut made = run.reset(&to(ResetPoint::FirstTurn)).unwrap();
    made.crash([timer("t", 60), accept("u")]);
    assert!(made.state.updates().any(|(id, _)| id.as_str() == "u"));
    // Once.
    made.at(2).signal("s", "", []);
    let without = Reset {
        reapply: Reapply::Signals,
        ..to(ResetPoint::FirstTurn)
    };
    let EventAttributes::WorkflowExecutionReset(reset) =
        &run.reset(&without).unwrap().journal[0].events[1].attributes.clone()
    else {
        panic!("another event");
    };
    assert!(reset.updates.is_empty());
}

#[test]
fn signals_of_the_runs_that_it_continued_as_come_again_but_not_twice() {
    let mut run = Scenario::start([timer("t", 60)]);
    let unread = |next: &mut ContinueAsNew| {
        next.unread = vec![(SignalName::from_trusted("s"), Payload::json(&1).unwrap())];
    };
    run.at(1).signal("s", "", [super::chain::continue_as_new(unread)]);
    let mut next = super::chain::follow(&run);
    next.at(2).signal("late", "", []);
    let beside = Beside {
        continued: &next.journal,
        ..Beside::default()
    };
    let made = to(ResetPoint::FirstTurn)
        .make(&run.journal, beside, new_run(), next.now)
        .unwrap();
    let signals = made.first.events.iter().filter_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionSignaled(signal) => Some(signal.name.to_string()),
        _ => None,
    });
    assert_eq!(signals.collect::<Vec<_>>(), ["s", "late"]);
}

#[test]
fn a_run_that_was_paused_there_stands_still_and_loses_what_was_under_way_all_the_same() {
    let mut run = Scenario::start([activity("a"), timer("t", 2)]);
    run.at(2).wake([]);
    let pause = Input::Pause {
        reason: "let me see".to_owned(),
        identity: "ada".to_owned(),
    };
    let unpause = Input::Unpause {
        reason: "go on".to_owned(),
        identity: "ada".to_owned(),
    };
    run.at(3).input(pause, []);
    run.at(4).signal("s", "", []);
    run.at(5).input(unpause.clone(), [timer("u", 9)]);
    // The signal's turn comes after the pause has ended: it stands between.
    let mut made = run.at(6).reset(&to(ResetPoint::LastTurn)).unwrap();
    made.crash([]).at(20).wake([]).expect_running("a#2");
}

#[test]
fn a_step_that_may_have_had_an_effect_since_is_a_reason_to_refuse() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).fails("b", broken(), [step("c")]);
    run.refuses(
        &to_event(9),
        "b, c may have had an effect since that turn, and would be done again",
    );
    let made = run
        .reset(&Reset {
            force: true,
            ..to_event(9)
        })
        .unwrap();
    let EventAttributes::WorkflowExecutionReset(reset) = &made.journal[0].events.last().unwrap().attributes else {
        panic!("another event");
    };
    assert_eq!(
        reset.left.iter().map(|step| step.as_str()).collect::<Vec<_>>(),
        ["b", "c"]
    );
    assert_eq!(made.state.steps().count(), 1);
}

#[test]
fn what_certainly_had_no_effect_is_none() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).fails("b", declined(), [timer("t", 60)]);
    assert!(run.reset(&to_event(9)).is_ok());
}

#[test]
fn a_saga_that_is_undone_cannot_go_on_as_if_it_were_not() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).fails("b", declined(), [fail("Declined")]);
    run.at(3).completes("a/undo", []).expect_status(RunStatus::Amended);
    run.refuses(
        &to_event(9),
        "a of before that turn has been undone since; reset to a turn before it",
    );
    assert!(
        run.reset(&to(ResetPoint::FirstTurn)).is_ok(),
        "everything that happened since is undone"
    );
}

#[test]
fn locks_and_turns_that_are_not_there_are_reasons_to_refuse() {
    let mut run = Scenario::start([lock("order:1")]);
    let granted = Input::LockGranted {
        lock: LockName::from_trusted("order:1"),
    };
    run.at(1).input(granted, [timer("t", 5)]);
    run.refuses(
        &to(ResetPoint::LastTurn),
        "the run has asked for the lock order:1 before that turn, and gives it back when it is reset; reset to a turn \
         before that",
    );
    assert!(run.reset(&to(ResetPoint::FirstTurn)).is_ok());
}

#[test]
fn children_of_before_stay_the_runs_own_and_later_ones_are_left_to_it() {
    let mut run = Scenario::start([child("early"), timer("t", 2)]);
    run.at(2).wake([child("late")]);
    let wanted = to(ResetPoint::Turn(2));
    let beside = Beside {
        gives_way: Some(&run.state),
        ..Beside::default()
    };
    let made = wanted.make(&run.journal, beside, new_run(), run.now);
    let mut next = run.reset(&wanted).unwrap();
    next.journal = vec![made.unwrap().first];
    next.crash([]);
    let names = |children: Vec<&WorkflowId>| children.iter().map(ToString::to_string).collect::<Vec<_>>();
    let own = next.state.children().map(|(_, child)| &child.start.workflow_id);
    assert_eq!(names(own.collect()), ["early"]);
    let left = next.state.inherited_children().map(|child| &child.start.workflow_id);
    assert_eq!(names(left.collect()), ["late"]);
    // Who ends it lets go of both, under the names that they have always had.
    next.terminate();
    let base = run.state.run_id().unwrap();
    assert!(next.state.orphans().all(|child| child.key.parent_run == base));
    assert_eq!(next.state.orphans().count(), 2);
}
