//! The pivot, and going forward only: what cannot be undone any more, retriable steps, and waiting for a person.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

/// A saga whose step "a" is done and whose pivot "p" is being tried.
fn at_the_pivot(pivot: Do) -> Scenario {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [pivot]);
    run.at(2);
    run
}

#[test]
fn before_the_pivot_has_succeeded_its_clear_failure_undoes_the_rest() {
    let mut run = at_the_pivot(pivot("p"));
    run.fails("p", declined(), [fail("Declined")])
        .expect_running("a/undo#1");
    run.at(3).completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_pivot_that_may_have_succeeded_is_undone_if_it_can_be() {
    let mut run = at_the_pivot(undoable_pivot("p").attempts(1));
    run.fails("p", Failure::timeout(TimeoutKind::StartToClose), [fail("Sorry")])
        .expect_running("p/undo#1");
    run.at(3).completes("p/undo", []).expect_running("a/undo#1");
    run.at(4).completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_pivot_that_may_have_succeeded_and_cannot_be_undone_waits_for_a_person() {
    let mut run = at_the_pivot(pivot("p").attempts(1));
    run.fails("p", Failure::timeout(TimeoutKind::StartToClose), []);
    run.expect_status(RunStatus::Stuck)
        .expect_running("")
        .expect_wake("never");
    run.at(3).cancel([]).expect_reply(Reply::Rejected(Rejection::PastPivot));
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
            11 ActivityTaskScheduled p
            @2s
            12 SagaStuck p: start-to-close [Ambiguous]
        ",
    );
}

#[test]
fn the_last_word_of_a_pivot_counts() {
    // Attempts have one idempotency key: what is declined the second time was not done the first time either.
    let mut run = at_the_pivot(pivot("p"));
    run.fails("p", busy(), []);
    run.at(3)
        .fails("p", declined(), [fail("Declined")])
        .expect_running("a/undo#1");
    // One that was not reached the second time says nothing about the first.
    let mut run = at_the_pivot(pivot("p").attempts(2));
    run.fails("p", busy(), []);
    run.at(3).fails("p", unreachable(), []).expect_status(RunStatus::Stuck);
}

#[test]
fn a_pivot_never_tried_leaves_nothing_behind() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [pivot("p"), fail("Sorry")])
        .expect_running("a/undo#1");
}

#[test]
fn a_pivot_that_succeeds_after_the_saga_turned_back_is_undone_if_it_can_be() {
    let mut run = at_the_pivot(undoable_pivot("p"));
    run.signal("stop", "", [fail("Sorry")]).expect_running("p#1");
    run.at(3).completes("p", []).expect_running("p/undo#1");
    run.at(4).completes("p/undo", []).expect_running("a/undo#1");
    let mut run = at_the_pivot(pivot("p"));
    run.signal("stop", "", [fail("Sorry")]).expect_running("p#1");
    run.at(3)
        .completes("p", [])
        .expect_status(RunStatus::Stuck)
        .expect_running("");
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
            11 ActivityTaskScheduled p
            @2s
            12 WorkflowExecutionSignaled stop 1
            13-15 WorkflowTaskCompleted
            16 SagaUnwindStarted Sorry
            17 ActivityTaskCancelRequested p
            @3s
            18 ActivityTaskStarted p #1
            19 ActivityTaskCompleted p
            20 SagaStuck PivotNotUndoable < Sorry [FailedAfterPivot]
        ",
    );
}

#[test]
fn after_the_pivot_a_failure_waits_for_a_person() {
    let mut run = at_the_pivot(undoable_pivot("p"));
    run.completes("p", [activity("report")]);
    run.at(3)
        .fails("report", broken(), [fail("Broken")])
        .expect_status(RunStatus::Stuck)
        .expect_running("");
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
            11 ActivityTaskScheduled p
            @2s
            12 ActivityTaskStarted p #1
            13 ActivityTaskCompleted p
            14-16 WorkflowTaskCompleted
            17 ActivityTaskScheduled report
            @3s
            18 ActivityTaskStarted report #1
            19 ActivityTaskFailed report: Broken [NonRetryable]
            20-22 WorkflowTaskCompleted
            23 SagaStuck Broken [FailedAfterPivot]
        ",
    );
}

#[test]
fn after_the_pivot_what_goes_forward_goes_on_whatever_else_failed() {
    let mut run = at_the_pivot(pivot("p"));
    run.completes("p", [retriable("receipt"), activity("report")]);
    run.at(3)
        .fails("report", broken(), [fail("Broken")])
        .expect_status(RunStatus::Stuck);
    run.at(4).fails("receipt", busy(), []).at(5).expect_running("receipt#2");
    run.completes("receipt", []).expect_status(RunStatus::Stuck);
}

#[test]
fn a_cancel_is_refused_while_the_pivot_is_tried_and_after_it() {
    let mut run = at_the_pivot(pivot("p"));
    run.cancel([]).expect_reply(Reply::Rejected(Rejection::PastPivot));
    run.completes("p", [retriable("r")])
        .cancel([])
        .expect_reply(Reply::Rejected(Rejection::PastPivot));
    run.completes("r", [complete()]).expect_status(RunStatus::Completed);
}

#[test]
fn a_run_timeout_does_not_stop_what_only_goes_forward() {
    let limited = StartRun {
        run_timeout: Some(std::time::Duration::from_secs(10)),
        ..start_run()
    };
    let mut run = Scenario::start_as(limited, [pivot("p")]);
    run.expect_wake("never")
        .at(20)
        .wake([])
        .completes("p", [retriable("r")])
        .wake([]);
    run.completes("r", [complete()]).expect_status(RunStatus::Completed);
}

#[test]
fn a_retriable_step_that_has_used_up_its_own_attempts_waits_for_a_person() {
    let mut run = at_the_pivot(pivot("p"));
    run.completes("p", [retriable("r").attempts(2)]);
    run.at(3).fails("r", busy(), []).expect_status(RunStatus::Running);
    run.at(4)
        .wake([])
        .fails("r", busy(), [])
        .expect_status(RunStatus::Stuck);
}

#[test]
fn a_retriable_step_is_retried_without_end() {
    let mut run = at_the_pivot(pivot("p"));
    run.completes("p", [retriable("r")]);
    for _ in 0..20 {
        let again = run.pending("r").unwrap().due;
        run.now = run.now.max(again);
        run.fails("r", busy(), []);
    }
    run.expect_status(RunStatus::Running);
    assert_eq!(run.pending("r").unwrap().attempt, 21);
}

#[test]
fn a_retriable_step_that_fails_for_good_waits_for_a_person() {
    let mut run = at_the_pivot(pivot("p"));
    run.completes("p", [retriable("r"), retriable("late").within(60)]);
    run.at(3)
        .fails("r", broken(), [])
        .expect_status(RunStatus::Stuck)
        .expect_running("late#1");
    run.at(62).wake([]).crash([]).expect_running("").expect_wake("never");
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
            11 ActivityTaskScheduled p
            @2s
            12 ActivityTaskStarted p #1
            13 ActivityTaskCompleted p
            14-16 WorkflowTaskCompleted
            17 ActivityTaskScheduled r
            18 ActivityTaskScheduled late
            @3s
            19 SagaStuck r: Broken [RetriableFailed]
            @62s
            20 SagaStuck late: schedule-to-close [RetriableFailed]
        ",
    );
}

#[test]
fn a_saga_that_goes_back_does_not_need_its_retriable_steps() {
    // Without a pivot, a saga with a retriable step can still go back.
    for ending in [Failure::canceled(""), Failure::worker_lost(), busy()] {
        let mut run = Scenario::start([step("a"), retriable("r")]);
        run.at(1)
            .fails("a", declined(), [fail("Declined")])
            .expect_running("r#1");
        run.at(2).fails("r", ending, []).expect_status(RunStatus::Amended);
    }
    let mut run = Scenario::start([step("a"), retriable("backoff"), retriable("stuck")]);
    run.at(1)
        .fails("backoff", busy(), [])
        .fails("stuck", broken(), [])
        .expect_status(RunStatus::Stuck);
    run.fails("a", declined(), [fail("Declined")])
        .expect_status(RunStatus::Amended);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled backoff
            7 ActivityTaskScheduled stuck
            @1s
            ~ backoff #1 failed: Busy; next at 2s
            @1s
            8 SagaStuck stuck: Broken [RetriableFailed]
            @1s
            9 ActivityTaskStarted a #1
            10 ActivityTaskFailed a: Declined [NonRetryable]
            11-13 WorkflowTaskCompleted
            14 SagaUnwindStarted Declined
            15 ActivityTaskCancelRequested backoff
            16 ActivityTaskStarted backoff #1
            17 ActivityTaskFailed backoff: Busy [CancelRequested]
            18 ActivityTaskCancelRequested stuck
            19 ActivityTaskStarted stuck #1
            20 ActivityTaskFailed stuck: Broken [CancelRequested]
            21 WorkflowExecutionFailed Declined (amended)
        ",
    );
}
