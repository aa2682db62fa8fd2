//! Runs whose code cannot go on: set aside, with everything kept, and taken up again.

use super::scenario::*;
use crate::machine::{NoDecider, decide, park};
use crate::model::*;

fn lost() -> ParkReason {
    ParkReason::ForeignFuture
}

impl Scenario {
    fn park(&mut self, reason: Option<ParkReason>) -> &mut Self {
        self.journal.extend(park(&mut self.state, reason, self.now));
        self.check_fold();
        self
    }
}

#[test]
fn a_task_that_fails_keeps_what_arrived_and_is_tried_again() {
    let mut run = Scenario::start([activity("a")]);
    let done = run.outcome("a", Ok(Payload::null()));
    run.at(1).turn([done, signal("s", "")], [Err(lost())]);
    assert_eq!(run.last.task_failure, Some(lost()));
    assert!(run.state.task_due(run.now));
    run.at(2).turn([], [Err(lost())]);
    assert_eq!(run.last.turn, None, "a failed task is nothing to write down");
    run.at(3).crash([complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8 WorkflowExecutionSignaled s 1
            @3s
            9-11 WorkflowTaskCompleted
            12 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_parked_run_takes_inputs_and_goes_on_when_its_code_can() {
    let mut run = Scenario::start([step("a"), timer("t", 5)]);
    run.at(1)
        .park(Some(lost()))
        .expect_status(RunStatus::Parked)
        .park(Some(lost()));
    // Attempts go on, outcomes and timers are taken; the decider that stands in decides nothing.
    let done = run.outcome("a", Ok(Payload::null()));
    for (seconds, input) in [(2, done), (5, Input::Wake), (6, signal("s", ""))] {
        let decision = decide(&mut run.state, vec![input], at(seconds), &mut NoDecider);
        assert_eq!(decision.task_failure, Some(lost()));
        run.journal.extend(decision.turn);
        run.check_fold();
    }
    run.expect_status(RunStatus::Parked).expect_wake("never");
    run.at(7).turn([], [Ok(vec![complete().0])]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 TimerStarted t fires at 5s
            @1s
            ~ parked: foreign-future
            @2s
            7 ActivityTaskStarted a #1
            8 ActivityTaskCompleted a
            @5s
            9 TimerFired t
            @6s
            10 WorkflowExecutionSignaled s 1
            @7s
            ~ unparked
            11-13 WorkflowTaskCompleted
            14 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_run_is_taken_up_again_by_hand() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1)
        .park(Some(lost()))
        .at(2)
        .park(None)
        .expect_status(RunStatus::Running)
        .park(None);
    run.at(3).completes("a", [complete()]);
    run.at(4).park(Some(lost())).expect_status(RunStatus::Completed);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ parked: foreign-future
            @2s
            ~ unparked
            @3s
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_parked_run_that_runs_out_of_time_goes_back_and_is_not_parked_any_more() {
    let limited = StartRun {
        run_timeout: Some(std::time::Duration::from_secs(10)),
        ..start_run()
    };
    let mut run = Scenario::start_as(limited, [step("a").undo_attempts(1)]);
    run.completes("a", []);
    run.at(1).park(Some(lost()));
    run.at(10).wake([]).expect_status(RunStatus::Unwinding);
    run.at(11).fails("a/undo", busy(), []).expect_status(RunStatus::Stuck);
}

#[test]
fn somebody_who_stands_in_never_decides_for_the_code() {
    let mut run = Scenario::start([activity("a")]);
    let decision = decide(&mut run.state, vec![signal("s", "")], at(1), &mut NoDecider);
    assert!(matches!(
        decision.task_failure,
        Some(ParkReason::UnknownWorkflow { .. })
    ));
    run.journal.extend(decision.turn);
    run.at(2)
        .turn([], [Ok(vec![complete().0])])
        .expect_status(RunStatus::Completed);
}

#[test]
fn a_restarted_engine_looks_at_what_may_have_been_going_on_at_once() {
    let wake = |run: &Scenario| run.state.wake_after_restart(run.now);
    let soon = Some(Timestamp::EPOCH);
    let mut run = Scenario::start([timer("t", 60)]);
    assert_eq!(wake(&run), Some(at(60)));
    run.signal("s", "", [activity("a")]);
    assert_eq!(wake(&run), soon);
    run.at(1)
        .fails("a", busy().retry_after(std::time::Duration::from_secs(9)), []);
    assert_eq!(wake(&run), Some(at(10)));
    run.at(2).turn([signal("s", "")], [Err(lost())]);
    assert_eq!(wake(&run), soon);
    run.at(3).park(Some(lost()));
    assert_eq!(wake(&run), soon);
    run.at(4).terminate();
    assert_eq!(wake(&run), None);
}
