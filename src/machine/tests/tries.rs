//! Runs that are tried again, that begin later, and whose time is limited as a whole.

use super::chain::{chain, continue_as_new, follow};
use super::messages::{accept, refused, reject, update};
use super::pause::{pause, unpause};
use super::scenario::*;
use super::text::history_text;
use crate::machine::{Rejection, Reply};
use crate::model::*;

fn chained(change: impl FnOnce(&mut RunChain)) -> StartRun {
    let mut chain = RunChain::default();
    change(&mut chain);
    StartRun {
        chain: Some(Box::new(chain)),
        ..start_run()
    }
}

fn seconds(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

fn tries(attempts: u32) -> StartRun {
    chained(|chain| {
        chain.retry = Some(RetryPolicy {
            maximum_attempts: attempts,
            non_retryable_types: vec!["Invalid".to_owned()],
            ..RetryPolicy::default()
        });
    })
}

#[test]
fn a_run_that_fails_is_followed_until_its_attempts_are_used_up() {
    let mut run = Scenario::start_as(tries(3), [fail("Broken")]);
    for (attempt, delay) in [(2, 1), (3, 2)] {
        run.expect_status(RunStatus::Failed);
        let mut next = follow(&run);
        let known = chain(&next);
        assert_eq!((known.attempt, known.backoff), (attempt, seconds(delay)));
        assert!(known.last_failure.is_some_and(|failure| failure.is_type("Broken")));
        assert_eq!(known.follows.map(|(_, why)| why), Some(Initiator::Retry));
        let due = next.now.after(seconds(delay));
        // Neither time nor a signal begins it before that.
        next.wake([]).signal("s", "", []);
        assert_eq!((next.tasks, next.state.begins_at()), (0, Some(due)));
        assert_eq!(next.state.next_wake(next.now), Some(due));
        assert_eq!(
            next.state.wake_after_restart(next.now),
            Some(due),
            "nothing is lost by a restart"
        );
        next.now = due;
        next.wake([fail("Broken")]);
        run = next;
    }
    assert_eq!(run.last.successor, None);
    assert_eq!(run.state.next_run(), None);
}

#[test]
fn a_saga_is_undone_before_its_run_is_tried_again() {
    let mut run = Scenario::start_as(tries(2), [step("a")]);
    run.completes("a", [fail("Broken")]);
    assert_eq!(run.last.successor, None);
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @0s
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8-10 WorkflowTaskCompleted
            11 SagaUnwindStarted Broken
            12 ActivityTaskScheduled a/undo
            @0s
            ~ followed
            13 ActivityTaskStarted a/undo #1
            14 ActivityTaskCompleted a/undo
            15 WorkflowExecutionFailed Broken (amended)
        ",
    );
    assert_eq!(chain(&follow(&run)).attempt, 2);
}

#[test]
fn some_ends_are_not_tried_again() {
    let mut listed = Scenario::start_as(tries(0), [fail("Invalid")]);
    listed.expect_status(RunStatus::Failed);
    let mut canceled = Scenario::start_as(tries(0), [timer("t", 9)]);
    canceled.cancel([cancel()]).expect_status(RunStatus::Canceled);
    // It failed, but only after somebody had asked it to end.
    let mut late = Scenario::start_as(tries(0), [timer("t", 9)]);
    late.cancel([fail("Broken")]).expect_status(RunStatus::Failed);
    let mut terminated = Scenario::start_as(tries(0), []);
    terminated.terminate();
    let mut completed = Scenario::start_as(tries(0), [complete()]);
    completed.expect_status(RunStatus::Completed);
    for run in [listed, canceled, late, terminated, completed] {
        assert_eq!(run.last.successor, None, "{}", history_text(&run.journal));
    }
}

#[test]
fn the_time_of_one_run_may_be_up_and_the_next_one_has_its_own() {
    let mut start = tries(0);
    start.run_timeout = Some(seconds(10));
    let mut run = Scenario::start_as(start, [timer("t", 60)]);
    run.at(10).wake([]).expect_status(RunStatus::TimedOut);
    let mut next = follow(&run);
    // A second of backoff, then ten.
    next.at(11).wake([timer("t", 60)]).expect_wake("21s");
}

#[test]
fn the_time_of_a_whole_chain_is_counted_from_its_first_run() {
    let mut start = tries(0);
    start.chain.get_or_insert_default().execution_timeout = Some(seconds(20));
    start.run_timeout = Some(seconds(15));
    let mut run = Scenario::start_as(start, [timer("t", 60)]);
    run.expect_wake("15s");
    run.at(12).signal("s", "", [continue_as_new(|_| {})]);
    let mut next = follow(&run);
    next.wake([timer("t", 60)]).expect_wake("20s");
    next.at(20).wake([]).expect_status(RunStatus::TimedOut);
    assert_eq!(next.last.successor, None, "the chain's time is up");
    // A try that could only begin after that is not made.
    let mut start = tries(0);
    start.chain.get_or_insert_default().execution_timeout = Some(seconds(1));
    let run = Scenario::start_as(start, [fail("Broken")]);
    assert_eq!(run.last.successor, None);
}

#[test]
fn a_run_whose_time_is_up_undoes_its_saga_first() {
    let mut start = chained(|chain| chain.execution_timeout = Some(seconds(5)));
    start.run_timeout = None;
    let mut run = Scenario::start_as(start, [step("a")]);
    run.completes("a", [timer("t", 60)]).expect_wake("5s");
    run.at(5).wake([]).expect_status(RunStatus::Unwinding);
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

fn unstarted() -> Scenario {
    let mut run = Scenario::start([]);
    run.state = crate::machine::RunState::default();
    run.journal.clear();
    run.tasks = 0;
    run
}

#[test]
fn a_paused_run_that_is_cancelled_before_it_began_ends_when_it_is_unpaused() {
    let mut run = Scenario::start_as(chained(|chain| chain.backoff = seconds(60)), []);
    run.at(1).input(pause(), []);
    run.at(2).cancel([]).expect_status(RunStatus::Paused);
    run.crash([]);
    run.at(70).wake([]).expect_status(RunStatus::Paused);
    run.at(80).input(unpause(), []).expect_status(RunStatus::Canceled);
    assert_eq!(run.tasks, 0, "its code is not asked");
}

#[test]
fn a_delayed_run_begins_in_time_or_when_it_is_spoken_to() {
    let delayed = || chained(|chain| chain.backoff = seconds(60));
    let mut run = Scenario::start_as(delayed(), []);
    run.expect_wake("60s")
        .expect_history("@0s\n1 WorkflowExecutionStarted order");
    run.at(60).wake([complete()]).expect_status(RunStatus::Completed);

    let mut run = Scenario::start_as(delayed(), []);
    run.crash([]);
    run.at(5)
        .signal("s", "", [complete()])
        .expect_status(RunStatus::Completed);

    let mut run = Scenario::start_as(delayed(), []);
    run.cancel([]).expect_status(RunStatus::Canceled);
    assert_eq!(run.tasks, 0, "its code is not asked");

    // A signal that comes with the start is a part of it.
    let mut with = unstarted();
    with.inputs([Input::Start(Box::new(delayed())), signal("s", "")], []);
    assert_eq!(with.tasks, 0);
    with.at(60).wake([complete()]).expect_status(RunStatus::Completed);

    // So is an update that comes with it: nobody can decide about that yet.
    let mut with = unstarted();
    with.inputs([Input::Start(Box::new(delayed())), update("u")], []);
    let at = with.now.after(seconds(60));
    assert_eq!(with.last.replies[1], Reply::Rejected(Rejection::NotBegun { at }));
    // One that comes later begins it, whether it is accepted or not: the code was asked.
    for (answer, reply) in [(accept("u"), Reply::Accepted), (reject("u"), refused())] {
        let mut run = Scenario::start_as(delayed(), []);
        run.at(5).input(update("u"), [answer]).expect_reply(reply);
        assert_eq!((run.tasks, run.state.begins_at()), (1, None));
        let events = run.last.turn.as_ref().map(|turn| &turn.events);
        assert!(events.is_some_and(|events| matches!(events[0].attributes, EventAttributes::WorkflowTask(_))));
        run.crash([]);
        run.check_fold();
    }

    let limited = StartRun {
        run_timeout: Some(seconds(10)),
        ..delayed()
    };
    let mut run = Scenario::start_as(limited, []);
    run.at(60).wake([timer("t", 99)]).expect_wake("70s");
}

#[test]
fn a_schedule_has_a_run_begin_in_time_and_others_follow_however_it_ends() {
    let mut start = tries(2);
    start.chain.get_or_insert_default().cron = Some("*/10 * * * *".to_owned());
    let mut run = Scenario::start_as(start, []);
    run.expect_wake("600s");
    // Nothing begins it before its time but a cancellation.
    run.at(5).signal("s", "", []);
    assert_eq!(run.tasks, 0);
    run.at(600).wake([timer("t", 700)]);
    run.at(1_300).wake([complete()]).expect_status(RunStatus::Completed);
    let mut next = follow(&run);
    let known = chain(&next);
    assert_eq!(known.follows.map(|(_, why)| why), Some(Initiator::Cron));
    assert_eq!(known.last_result, Some(Payload::json("done").unwrap()));
    next.expect_wake("1800s");
    next.at(1_800).wake([fail("Broken")]);
    // First its retry policy, then its schedule; the last result stays.
    let mut again = follow(&next);
    assert_eq!(chain(&again).attempt, 2);
    again.at(1_801).wake([fail("Broken")]);
    let mut third = follow(&again);
    let known = chain(&third);
    assert_eq!(
        (known.attempt, known.follows.map(|(_, why)| why)),
        (1, Some(Initiator::Cron))
    );
    assert_eq!(known.last_result, Some(Payload::json("done").unwrap()));
    assert!(known.last_failure.is_some_and(|failure| failure.is_type("Broken")));
    third.expect_wake("2400s");
    third.cancel([]).expect_status(RunStatus::Canceled);
    assert_eq!(third.last.successor, None);
}
