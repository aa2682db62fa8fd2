//! Going back: what is compensated, and in which order.

use std::time::Duration;

use super::scenario::*;
use crate::model::*;

#[test]
fn a_linear_saga_is_undone_from_its_end() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).completes("b", [step("c")]);
    run.at(3)
        .fails("c", declined(), [fail("Declined")])
        .expect_running("b/undo#1");
    run.expect_status(RunStatus::Unwinding);
    run.at(4).completes("b/undo", []).expect_running("a/undo#1");
    run.at(5).completes("a/undo", []).expect_status(RunStatus::Amended);
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
            12 ActivityTaskStarted b #1
            13 ActivityTaskCompleted b
            14-16 WorkflowTaskCompleted
            17 ActivityTaskScheduled c
            @3s
            18 ActivityTaskStarted c #1
            19 ActivityTaskFailed c: Declined [NonRetryable]
            20-22 WorkflowTaskCompleted
            23 SagaUnwindStarted Declined
            24 ActivityTaskScheduled b/undo
            @4s
            25 ActivityTaskStarted b/undo #1
            26 ActivityTaskCompleted b/undo
            27 ActivityTaskScheduled a/undo
            @5s
            28 ActivityTaskStarted a/undo #1
            29 ActivityTaskCompleted a/undo
            30 WorkflowExecutionFailed Declined (amended)
        ",
    );
}

#[test]
fn what_a_step_may_have_done_decides_whether_it_is_undone() {
    let retried = |failure: fn() -> Failure| {
        move |run: &mut Scenario| {
            run.at(1).fails("a", failure(), []);
            run.at(2).wake([]);
        }
    };
    let once = |_: &mut Scenario| ();
    type Before = Box<dyn Fn(&mut Scenario)>;
    let row = |before: Before, failure: Failure, undone: bool| (before, failure, undone);
    for (number, (before, failure, undone)) in [
        row(Box::new(once), declined(), false),
        row(Box::new(once), broken(), true),
        row(Box::new(once), Failure::canceled(""), true),
        row(Box::new(once), Failure::timeout(TimeoutKind::ScheduleToStart), false),
        row(Box::new(once), Failure::timeout(TimeoutKind::ScheduleToClose), true),
        // Something that was called did nothing; what was done before that call, nobody said.
        row(Box::new(once), broken().caused_by(declined()), true),
        row(Box::new(retried(busy)), declined(), true),
        row(Box::new(retried(Failure::worker_lost)), declined(), true),
        row(Box::new(retried(unreachable)), declined(), false),
        row(Box::new(retried(unreachable)), broken(), true),
        row(
            Box::new(retried(unreachable)),
            Failure::timeout(TimeoutKind::ScheduleToStart),
            false,
        ),
        row(
            Box::new(retried(busy)),
            Failure::timeout(TimeoutKind::ScheduleToStart),
            true,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut run = Scenario::start([step("a")]);
        before(&mut run);
        run.at(3).fails("a", failure, [fail("Sorry")]);
        println!("row {number}");
        run.expect_running(if undone { "a/undo#1" } else { "" });
        run.expect_status(if undone {
            RunStatus::Unwinding
        } else {
            RunStatus::Amended
        });
    }
}

#[test]
fn an_attempt_that_runs_when_its_time_is_up_is_undone_whatever_the_attempt_before_it_said() {
    let mut run = Scenario::start([step("a").within(10)]);
    run.at(1).fails("a", unreachable(), []);
    run.at(10).wake([fail("Sorry")]).expect_running("a/undo#1");
}

#[test]
fn parallel_branches_are_undone_in_parallel_and_what_they_built_upon_after_them() {
    let mut run = Scenario::start([step("root").after([])]);
    run.at(1)
        .completes("root", [step("left").after(["root"]), step("right").after(["root"])]);
    run.at(2).completes("left", [step("leaf").after(["left"])]);
    run.at(3).completes("right", []);
    run.at(4)
        .completes("leaf", [fail("Sorry")])
        .expect_running("leaf/undo#1 right/undo#1");
    run.at(5).completes("right/undo", []).expect_running("leaf/undo#1");
    run.at(6).completes("leaf/undo", []).expect_running("left/undo#1");
    run.at(7).completes("left/undo", []).expect_running("root/undo#1");
    run.at(8).completes("root/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn without_an_explicit_order_a_step_builds_on_what_had_ended_before_it() {
    // b runs beside a; c is scheduled when a has ended and b has not.
    let mut run = Scenario::start([step("a"), step("b")]);
    run.at(1).completes("a", [step("c")]);
    run.at(2).completes("b", []);
    run.at(3)
        .completes("c", [fail("Sorry")])
        .expect_running("c/undo#1 b/undo#1");
    run.at(4).completes("b/undo", []).expect_running("c/undo#1");
    run.at(5).completes("c/undo", []).expect_running("a/undo#1");
}

#[test]
fn a_step_with_nothing_to_undo_still_stands_between_its_neighbours() {
    let mut run = Scenario::start([step("a").after([])]);
    run.completes("a", [step("b").after(["a"]).without_undo()]);
    run.completes("b", [step("c").after(["b"])]);
    run.completes("c", [fail("Sorry")]).expect_running("c/undo#1");
    run.completes("c/undo", []).expect_running("a/undo#1");
}

#[test]
fn an_order_that_names_itself_or_nothing_that_exists_holds_nothing_up() {
    let mut run = Scenario::start([step("a").after(["a", "b", "nobody"])]);
    run.completes("a", [step("b").after(["a"])]);
    run.completes("b", [fail("Sorry")]).expect_running("b/undo#1");
    run.completes("b/undo", []).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_step_in_flight_is_waited_for_and_undone_when_it_completes_late() {
    let mut run = Scenario::start([step("a"), step("b")]);
    run.at(1).fails("a", declined(), [fail("Declined")]);
    run.expect_running("b#1").expect_status(RunStatus::Unwinding);
    assert!(run.state.cancels_attempt(run.pending("b").unwrap().token()));
    run.at(2).completes("b", []).expect_running("b/undo#1");
    run.at(3).completes("b/undo", []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            @1s
            7 ActivityTaskStarted a #1
            8 ActivityTaskFailed a: Declined [NonRetryable]
            9-11 WorkflowTaskCompleted
            12 SagaUnwindStarted Declined
            13 ActivityTaskCancelRequested b
            @2s
            14 ActivityTaskStarted b #1
            15 ActivityTaskCompleted b
            16 ActivityTaskScheduled b/undo
            @3s
            17 ActivityTaskStarted b/undo #1
            18 ActivityTaskCompleted b/undo
            19 WorkflowExecutionFailed Declined (amended)
        ",
    );
}

#[test]
fn a_step_in_flight_that_certainly_failed_is_not_undone() {
    let mut run = Scenario::start([step("a"), step("b")]);
    run.at(1).completes("a", []);
    run.at(2)
        .signal("stop", "", [fail("Sorry")])
        .expect_running("b#1 a/undo#1");
    run.at(3).fails("b", declined(), []);
    run.at(4).completes("a/undo", []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            @1s
            7 ActivityTaskStarted a #1
            8 ActivityTaskCompleted a
            9-11 WorkflowTaskCompleted
            @2s
            12 WorkflowExecutionSignaled stop 1
            13-15 WorkflowTaskCompleted
            16 SagaUnwindStarted Sorry
            17 ActivityTaskCancelRequested b
            18 ActivityTaskScheduled a/undo
            @3s
            19 ActivityTaskStarted b #1
            20 ActivityTaskFailed b: Declined [CancelRequested]
            @4s
            21 ActivityTaskStarted a/undo #1
            22 ActivityTaskCompleted a/undo
            23 WorkflowExecutionFailed Sorry (amended)
        ",
    );
}

#[test]
fn a_step_in_flight_is_not_tried_again_when_the_saga_goes_back() {
    for failure in [
        busy(),
        Failure::worker_lost(),
        Failure::timeout(TimeoutKind::StartToClose),
    ] {
        let mut run = Scenario::start([step("a")]);
        run.at(1).signal("stop", "", [fail("Sorry")]);
        run.at(2).fails("a", failure, []).expect_running("a/undo#1");
    }
    let mut run = Scenario::start([step("a")]);
    run.at(1).signal("stop", "", [fail("Sorry")]);
    run.at(2).crash([]).expect_running("a/undo#1");
}

#[test]
fn a_step_in_backoff_when_the_saga_goes_back_is_not_tried_again() {
    let backoff = |failure: Failure| {
        let mut run = Scenario::start([step("a"), step("b")]);
        run.at(1).fails("a", failure.retry_after(Duration::from_secs(60)), []);
        run.at(2).fails("b", declined(), [fail("Declined")]);
        run
    };
    backoff(busy()).expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            @1s
            ~ a #1 failed: Busy; next at 61s
            @2s
            7 ActivityTaskStarted b #1
            8 ActivityTaskFailed b: Declined [NonRetryable]
            9-11 WorkflowTaskCompleted
            12 SagaUnwindStarted Declined
            13 ActivityTaskCancelRequested a
            14 ActivityTaskStarted a #1
            15 ActivityTaskFailed a: Busy [CancelRequested]
            16 ActivityTaskScheduled a/undo
        ",
    );
    backoff(unreachable()).expect_status(RunStatus::Amended);
}

#[test]
fn a_retry_and_the_turning_back_in_one_turn_can_be_read_again() {
    let mut run = Scenario::start([step("a"), step("b")]);
    let (again, over) = (run.outcome("a", Err(busy())), run.outcome("b", Err(declined())));
    run.at(1).inputs([again, over], [fail("Declined")]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            @1s
            ~ a #1 failed: Busy; next at 2s
            7 ActivityTaskStarted b #1
            8 ActivityTaskFailed b: Declined [NonRetryable]
            9-11 WorkflowTaskCompleted
            12 SagaUnwindStarted Declined
            13 ActivityTaskCancelRequested a
            14 ActivityTaskStarted a #1
            15 ActivityTaskFailed a: Busy [CancelRequested]
            16 ActivityTaskScheduled a/undo
        ",
    );
}

#[test]
fn a_crash_and_the_turning_back_in_one_turn_start_no_forward_attempt() {
    let mut run = Scenario::start([step("a"), step("b").attempts(1)]);
    run.at(1).crash([fail("Lost")]).expect_running("b/undo#1 a/undo#1");
}

#[test]
fn a_step_scheduled_in_the_turn_that_goes_back_never_starts() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b"), fail("Sorry")]);
    run.expect_running("a/undo#1").expect_history(
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
            12 SagaUnwindStarted Sorry
            13 ActivityTaskCancelRequested b
            14 ActivityTaskCanceled b [never started]
            15 ActivityTaskScheduled a/undo
        ",
    );
}

#[test]
fn a_workflow_that_returns_while_a_step_runs_goes_back() {
    let mut run = Scenario::start([step("a"), step("b"), activity("plain")]);
    run.at(1)
        .completes("a", [complete()])
        .expect_running("b#1 plain#1 a/undo#1");
    run.at(2).completes("b", []);
    run.at(3).completes("b/undo", []);
    run.at(4).completes("a/undo", []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 ActivityTaskScheduled b
            7 ActivityTaskScheduled plain
            @1s
            8 ActivityTaskStarted a #1
            9 ActivityTaskCompleted a
            10-12 WorkflowTaskCompleted
            13 SagaUnwindStarted StepInFlight
            14 ActivityTaskCancelRequested b
            15 ActivityTaskCancelRequested plain
            16 ActivityTaskScheduled a/undo
            @2s
            17 ActivityTaskStarted b #1
            18 ActivityTaskCompleted b
            19 ActivityTaskScheduled b/undo
            @3s
            20 ActivityTaskStarted b/undo #1
            21 ActivityTaskCompleted b/undo
            @4s
            22 ActivityTaskStarted a/undo #1
            23 ActivityTaskCompleted a/undo
            24 WorkflowExecutionFailed StepInFlight (amended)
        ",
    );
}

#[test]
fn plain_activities_do_not_hold_up_the_end() {
    let mut run = Scenario::start([activity("plain"), step("a")]);
    run.completes("a", [fail("Sorry")]);
    run.completes("a/undo", [])
        .expect_status(RunStatus::Amended)
        .expect_running("");
}

#[test]
fn a_step_without_a_compensation_needs_none() {
    let mut run = Scenario::start([step("look").without_undo()]);
    run.completes("look", [fail("Sorry")]);
    run.expect_status(RunStatus::Amended).expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled look
            @0s
            6 ActivityTaskStarted look #1
            7 ActivityTaskCompleted look
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionFailed Sorry (amended)
        ",
    );
}
