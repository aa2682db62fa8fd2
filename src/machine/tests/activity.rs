//! Activities: attempts, the retry policy, the four timeouts, lost workers, late results, stopping.

use std::time::Duration;

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

#[test]
fn a_failed_attempt_is_tried_again_when_its_backoff_is_over() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).fails("a", busy(), []).expect_running("").expect_wake("2s");
    run.at(2).expect_running("a#2").wake([]);
    run.at(3).fails("a", busy(), []).expect_wake("5s");
    run.at(5).expect_running("a#3").completes("a", [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: Busy; next at 2s
            @3s
            ~ a #2 failed: Busy; next at 5s
            @5s
            6 ActivityTaskStarted a #3 after Busy
            7 ActivityTaskCompleted a
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionCompleted \"done\"
        ",
    );
    assert_eq!(run.tasks, 2, "a retry is no business of the code's");
}

#[test]
fn attempts_end_at_their_maximum() {
    let mut run = Scenario::start([activity("a").attempts(2)]);
    run.at(1).fails("a", busy(), []);
    run.at(2).fails("a", broken_for_now(), [fail("Sorry")]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: Busy; next at 2s
            @2s
            6 ActivityTaskStarted a #2 after Busy
            7 ActivityTaskFailed a: BrokenForNow [MaximumAttemptsReached]
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionFailed Sorry
        ",
    );
}

fn broken_for_now() -> Failure {
    Failure::new("BrokenForNow", "")
}

#[test]
fn what_is_not_retryable_is_not_retried() {
    for (row, activity, failure, last) in [
        ("its own word", activity("a"), broken(), "a: Broken [NonRetryable]"),
        (
            "the policy's list",
            activity("a").never_retries("Busy"),
            busy(),
            "a: Busy [NonRetryable]",
        ),
        (
            "one attempt",
            activity("a").attempts(1),
            busy(),
            "a: Busy [MaximumAttemptsReached]",
        ),
        (
            "cancelled by itself",
            activity("a"),
            Failure::canceled(""),
            "a: canceled [CancelRequested]",
        ),
    ] {
        let mut run = Scenario::start([activity]);
        run.at(1).fails("a", failure, []);
        let expected = format!(
            "@0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 ActivityTaskStarted a #1
            7 ActivityTaskFailed {last}
            8-10 WorkflowTaskCompleted"
        );
        println!("{row}");
        run.expect_history(&expected);
    }
}

#[test]
fn a_failure_may_choose_its_own_delay() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).fails("a", busy().retry_after(Duration::from_secs(30)), []);
    run.expect_wake("31s")
        .at(30)
        .expect_running("")
        .at(31)
        .expect_running("a#2");
}

#[test]
fn attempts_that_time_out_are_tried_again() {
    let mut run = Scenario::start([activity("a").attempts(3)]);
    run.at(1).fails("a", Failure::timeout(TimeoutKind::StartToClose), []);
    run.at(2).fails("a", Failure::timeout(TimeoutKind::Heartbeat), []);
    run.at(4)
        .fails("a", Failure::timeout(TimeoutKind::StartToClose), [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: start-to-close; next at 2s
            @2s
            ~ a #2 failed: heartbeat; next at 4s
            @4s
            6 ActivityTaskStarted a #3 after heartbeat
            7 ActivityTaskTimedOut a: start-to-close [MaximumAttemptsReached]
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn an_attempt_that_nobody_took_is_not_tried_again() {
    let nobody = || Failure::timeout(TimeoutKind::ScheduleToStart);
    let mut run = Scenario::start([activity("a"), activity("b")]);
    run.at(1).fails("b", busy(), []);
    run.at(5).fails("a", nobody(), []);
    run.at(6).fails("b", nobody(), []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            @1s
            ~ b #1 failed: Busy; next at 2s
            @5s
            7 ActivityTaskTimedOut a: schedule-to-start [Timeout, never started]
            8-10 WorkflowTaskCompleted
            @6s
            11 ActivityTaskStarted b #1
            12 ActivityTaskTimedOut b: schedule-to-start [Timeout]
            13-15 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn schedule_to_close_ends_a_running_attempt_and_refuses_its_late_result() {
    let mut run = Scenario::start([activity("a").within(10)]);
    run.expect_wake("10s");
    run.at(4).fails("a", busy(), []).expect_wake("5s");
    run.at(5).expect_running("a#2").expect_wake("10s");
    let late = run.outcome("a", Ok(Payload::null()));
    run.at(10).wake([]).expect_running("").expect_wake("never");
    run.at(11)
        .input(late, [])
        .expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @4s
            ~ a #1 failed: Busy; next at 5s
            @10s
            6 ActivityTaskStarted a #2 after Busy
            7 ActivityTaskTimedOut a: schedule-to-close < Busy [Timeout]
            8-10 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn a_retry_that_would_pass_schedule_to_close_is_not_made() {
    let mut run = Scenario::start([activity("a").within(10)]);
    run.at(3).fails("a", busy().retry_after(Duration::from_secs(7)), []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @3s
            6 ActivityTaskStarted a #1
            7 ActivityTaskFailed a: Busy [Timeout]
            8-10 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn only_the_current_attempt_is_listened_to() {
    let mut run = Scenario::start([activity("a")]);
    let first = || run_token(1);
    let ended = |token, outcome| Input::AttemptEnded { token, outcome };
    run.at(1)
        .input(ended(first(), Err(Failure::timeout(TimeoutKind::StartToClose))), []);
    let stale = || Reply::Rejected(Rejection::StaleAttempt);
    run.at(2)
        .input(ended(first(), Ok(Payload::null())), [])
        .expect_reply(stale());
    run.at(2)
        .input(ended(run_token(3), Ok(Payload::null())), [])
        .expect_reply(stale());
    run.at(3)
        .input(ended(run_token(2), Ok(Payload::null())), [])
        .expect_reply(Reply::Accepted);
    run.at(3)
        .input(ended(run_token(2), Ok(Payload::null())), [])
        .expect_reply(stale());
    let unknown = AttemptToken {
        scheduled: EventId(77),
        attempt: 1,
    };
    run.input(ended(unknown, Ok(Payload::null())), []).expect_reply(stale());
    assert_eq!(run.tasks, 2);
}

fn run_token(attempt: u32) -> AttemptToken {
    AttemptToken {
        scheduled: EventId(5),
        attempt,
    }
}

#[test]
fn attempts_are_lost_with_their_process_and_tried_again_at_once() {
    let mut run = Scenario::start([activity("once").attempts(1), activity("again"), activity("later")]);
    run.at(1)
        .fails("later", busy().retry_after(Duration::from_secs(60)), []);
    run.at(2).crash([]).expect_running("again#2");
    run.at(3).crash([]).expect_running("again#3");
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled once
            6 ActivityTaskScheduled again
            7 ActivityTaskScheduled later
            @1s
            ~ later #1 failed: Busy; next at 61s
            @2s
            ~ again #1 failed: worker-lost; next at 2s
            8 ActivityTaskStarted once #1
            9 ActivityTaskFailed once: worker-lost [MaximumAttemptsReached]
            10-12 WorkflowTaskCompleted
            @3s
            ~ again #2 failed: worker-lost; next at 3s
        ",
    );
}

#[test]
fn a_process_that_dies_twice_loses_nothing_that_was_not_handed_out() {
    let mut run = Scenario::start([activity("a").attempts(2)]);
    let recovered = || Input::Recovered {
        at: Timestamp::from_micros(1_000_000),
    };
    run.at(1).inputs([recovered(), recovered()], []);
    run.expect_running("a#2");
}

#[test]
fn a_retry_that_came_due_only_after_the_process_was_back_is_not_lost() {
    let mut run = Scenario::start([activity("a").attempts(2)]);
    run.fails("a", busy(), []).crash([]).expect_running("");
    // Looked at only when the retry is due: the attempts that a crash lost were those due when it was over.
    let recovered = Input::Recovered {
        at: Timestamp::from_micros(500_000),
    };
    run.at(1).inputs([recovered, Input::Wake], []);
    run.expect_running("a#2");
}

#[test]
fn a_running_activity_stops_when_it_hears_of_it() {
    let mut run = Scenario::start([activity("a"), activity("b"), activity("c")]);
    run.at(1).signal(
        "stop",
        "",
        [cancel_activity("a"), cancel_activity("b"), cancel_activity("c")],
    );
    run.expect_running("a#1 b#1 c#1");
    assert!(run.state.cancels_attempt(run.pending("a").unwrap().token()));
    run.at(2).fails("a", Failure::canceled(""), []);
    run.at(3).fails("b", busy(), []);
    run.at(4).completes("c", []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            7 ActivityTaskScheduled c
            @1s
            8 WorkflowExecutionSignaled stop 1
            9-11 WorkflowTaskCompleted
            12 ActivityTaskCancelRequested a
            13 ActivityTaskCancelRequested b
            14 ActivityTaskCancelRequested c
            @2s
            15 ActivityTaskStarted a #1
            16 ActivityTaskCanceled a
            17-19 WorkflowTaskCompleted
            @3s
            20 ActivityTaskStarted b #1
            21 ActivityTaskFailed b: Busy [CancelRequested]
            22-24 WorkflowTaskCompleted
            @4s
            25 ActivityTaskStarted c #1
            26 ActivityTaskCompleted c
            27-29 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn an_activity_in_backoff_stops_at_once_and_the_code_hears_of_it_in_the_same_turn() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).fails("a", busy().retry_after(Duration::from_secs(60)), []);
    let stop = vec![cancel_activity("a").0];
    run.at(2).turn([signal("stop", "")], [Ok(stop), Ok(vec![complete().0])]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: Busy; next at 61s
            @2s
            6 WorkflowExecutionSignaled stop 1
            7-9 WorkflowTaskCompleted
            10 ActivityTaskCancelRequested a
            11 ActivityTaskStarted a #1 after Busy
            12 ActivityTaskCanceled a
            13-15 WorkflowTaskCompleted
            16 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn an_activity_stopped_in_the_turn_that_scheduled_it_never_starts() {
    let mut run = Scenario::start([]);
    let both = vec![activity("a").0, cancel_activity("a").0];
    run.at(1).turn([signal("s", "")], [Ok(both)]);
    run.expect_running("").expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            @1s
            5 WorkflowExecutionSignaled s 1
            6-8 WorkflowTaskCompleted
            9 ActivityTaskScheduled a
            10 ActivityTaskCancelRequested a
            11 ActivityTaskCanceled a [never started]
            12-14 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn a_retry_and_the_end_of_the_activity_in_one_turn_can_be_read_again() {
    let mut run = Scenario::start([activity("a")]);
    let failed = run.outcome("a", Err(busy()));
    run.at(1).inputs([failed, signal("stop", "")], [cancel_activity("a")]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: Busy; next at 2s
            6 WorkflowExecutionSignaled stop 1
            7-9 WorkflowTaskCompleted
            10 ActivityTaskCancelRequested a
            11 ActivityTaskStarted a #1 after Busy
            12 ActivityTaskCanceled a
            13-15 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn what_a_stopping_engine_held_back_is_handed_out_afterwards_under_the_same_number() {
    let mut run = Scenario::start([activity("a").attempts(1)]);
    let attempts = run
        .state
        .attempts_due(run.now)
        .map(crate::machine::PendingActivity::token)
        .collect();
    let why = HoldReason::Stopping;
    run.input(Input::Hold { attempts, why }, []).expect_running("");
    run.at(9).crash([]).expect_running("a#1");
    // Handed out now: from here on it counts.
    run.crash([]).expect_running("");
    run.expect_status(RunStatus::Running);
}
