//! Cancelling a saga, and running out of time.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

#[test]
fn a_cancelled_saga_goes_back_and_ends_as_cancelled() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2)
        .cancel([cancel()])
        .expect_reply(Reply::Accepted)
        .expect_running("b#1");
    run.at(3).cancel([]).expect_reply(Reply::Duplicate);
    run.at(4)
        .fails("b", Failure::canceled(""), [])
        .expect_running("b/undo#1");
    run.at(5).cancel([]).expect_reply(Reply::Duplicate);
    run.completes("b/undo", []);
    run.at(6).completes("a/undo", []).expect_status(RunStatus::Amended);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8-10 WorkflowTaskCompleted
            11 ActivityTaskScheduled b
            @2s
            12 WorkflowExecutionCancelRequested changed my mind
            13-15 WorkflowTaskCompleted
            16 SagaUnwindStarted canceled
            17 ActivityTaskCancelRequested b
            @4s
            18 ActivityTaskStarted b #1
            19 ActivityTaskCanceled b
            20 ActivityTaskScheduled b/undo
            @5s
            21 ActivityTaskStarted b/undo #1
            22 ActivityTaskCompleted b/undo
            23 ActivityTaskScheduled a/undo
            @6s
            24 ActivityTaskStarted a/undo #1
            25 ActivityTaskCompleted a/undo
            26 WorkflowExecutionCanceled canceled (amended)
        ",
    );
}

#[test]
fn code_may_finish_in_its_own_time_after_a_cancel() {
    let mut run = Scenario::start([step("a")]);
    run.at(1)
        .cancel([])
        .expect_status(RunStatus::Running)
        .cancel([])
        .expect_reply(Reply::Duplicate);
    assert_eq!(run.state.cancel_requested(), Some("changed my mind"));
    run.at(2)
        .completes("a", [complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn a_cancel_before_anything_happened_ends_at_once() {
    let mut run = Scenario::start_as(start_run(), []);
    run.at(1).cancel([cancel()]).expect_status(RunStatus::Canceled);
    let by_definition = StartRun {
        definition: Some(DefinitionDigest([1; 32])),
        ..start_run()
    };
    let mut run = Scenario::start_as(by_definition, []);
    run.at(1).cancel([cancel()]).expect_status(RunStatus::Amended);
}

fn limited_to(seconds: u64) -> StartRun {
    StartRun {
        run_timeout: Some(std::time::Duration::from_secs(seconds)),
        ..start_run()
    }
}

#[test]
fn a_saga_that_runs_out_of_time_goes_back() {
    let mut run = Scenario::start_as(
        limited_to(10),
        [step("a"), timer("t", 10), activity("plain").within(10)],
    );
    run.at(1).completes("a", [step("b")]).expect_wake("10s");
    run.at(10)
        .wake([])
        .expect_running("b#1")
        .expect_status(RunStatus::Unwinding)
        .expect_wake("never");
    run.at(11).completes("b", []);
    run.at(12).completes("b/undo", []);
    run.at(13).completes("a/undo", []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 TimerStarted t fires at 10s
            7 ActivityTaskScheduled plain
            @1s
            8 ActivityTaskStarted a #1
            9 ActivityTaskCompleted a
            10-12 WorkflowTaskCompleted
            13 ActivityTaskScheduled b
            @10s
            14 SagaUnwindStarted timed out
            15 ActivityTaskCancelRequested plain
            16 ActivityTaskCancelRequested b
            17 ActivityTaskStarted plain #1
            18 ActivityTaskTimedOut plain: schedule-to-close [Timeout]
            @11s
            19 ActivityTaskStarted b #1
            20 ActivityTaskCompleted b
            21 ActivityTaskScheduled b/undo
            @12s
            22 ActivityTaskStarted b/undo #1
            23 ActivityTaskCompleted b/undo
            24 ActivityTaskScheduled a/undo
            @13s
            25 ActivityTaskStarted a/undo #1
            26 ActivityTaskCompleted a/undo
            27 WorkflowExecutionTimedOut (amended)
        ",
    );
}

#[test]
fn a_result_in_the_turn_that_runs_out_of_time_is_undone() {
    let mut run = Scenario::start_as(limited_to(10), [step("a")]);
    let result = run.outcome("a", Ok(Payload::null()));
    run.at(10).inputs([Input::Wake, result], []).expect_running("a/undo#1");
}

#[test]
fn a_pivot_that_failed_brings_the_deadline_back() {
    let mut run = Scenario::start_as(limited_to(10), [pivot("p")]);
    run.at(20).fails("p", declined(), []).expect_wake("10s");
    run.wake([]).expect_status(RunStatus::Amended);
}

#[test]
fn terminating_a_saga_that_goes_back_leaves_the_rest_as_it_is() {
    let mut run = Scenario::start([step("a"), step("b")]);
    run.completes("a", []).completes("b", [fail("Sorry")]);
    run.completes("b/undo", []);
    let late = run.outcome("a/undo", Ok(Payload::null()));
    run.at(1)
        .terminate()
        .expect_status(RunStatus::Terminated)
        .expect_running("");
    run.input(late, []).expect_reply(Reply::Rejected(Rejection::Closed));
}

#[test]
fn signals_to_a_saga_that_goes_back_are_kept_and_change_nothing() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [fail("Sorry")]);
    let tasks = run.tasks;
    run.signal("hello", "r", []).expect_reply(Reply::Accepted);
    run.signal("hello", "r", []).expect_reply(Reply::Duplicate);
    assert_eq!(run.tasks, tasks);
    run.expect_running("a/undo#1");
}
