//! Attempts that are due and wait for something of their engine: a worker for their queue, or a breaker.

use std::time::Duration;

use super::scenario::*;
use crate::model::*;

/// The scheduling event of the first activity of these scenarios.
const A: EventId = EventId(5);

fn to_start_within(activity: Do, seconds: u64) -> Do {
    let Do(Command::ScheduleActivity(mut schedule)) = activity else {
        unreachable!("it is an activity");
    };
    schedule.options.schedule_to_start = Some(Duration::from_secs(seconds));
    Do(Command::ScheduleActivity(schedule))
}

fn hold(scheduled: EventId, attempt: u32, why: HoldReason) -> Input {
    let attempts = vec![AttemptToken { scheduled, attempt }];
    Input::Hold { attempts, why }
}

fn release(attempt: u32) -> Input {
    let token = AttemptToken { scheduled: A, attempt };
    Input::Release { token }
}

#[test]
fn an_attempt_without_a_worker_outlives_engines_without_one() {
    let mut run = Scenario::start([activity("a").attempts(1)]);
    run.at(1).input(hold(A, 1, HoldReason::NoWorker), []);
    run.expect_running("").expect_wake("never");
    for later in 2..5 {
        let turns = run.journal.len();
        run.at(later).crash([]).expect_running("");
        assert_eq!(
            run.journal.len(),
            turns,
            "nothing is written as long as nothing changes"
        );
    }
    let looked_at = run.state.wake_after_restart(run.now);
    assert_eq!(looked_at, Some(Timestamp::EPOCH), "the next engine may have a worker");
    run.at(9).input(release(1), []).expect_running("a#1");
    run.completes("a", [complete()]).expect_status(RunStatus::Completed);
}

#[test]
fn what_is_kept_back_still_has_to_start_in_time() {
    for (why, how) in [
        (HoldReason::NoWorker, "a waits for a worker"),
        (HoldReason::Breaker, "a parked by its breaker"),
    ] {
        let mut run = Scenario::start([to_start_within(activity("a"), 10)]);
        run.at(1).input(hold(A, 1, why), []).expect_wake("10s");
        run.at(10).wake([fail("Late")]).expect_history(&format!(
            "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ {how}
            @10s
            6 ActivityTaskTimedOut a: schedule-to-start [Timeout, never started]
            7-9 WorkflowTaskCompleted
            10 WorkflowExecutionFailed Late
            "
        ));
    }
    // Released in time, the attempt watches that itself.
    let mut run = Scenario::start([to_start_within(activity("a"), 10)]);
    run.at(1).input(hold(A, 1, HoldReason::NoWorker), []);
    run.at(9)
        .input(release(1), [])
        .expect_running("a#1")
        .expect_wake("never");
}

#[test]
fn what_got_stuck_while_it_was_kept_back_is_free_when_a_person_decides() {
    let undo = |do_: Do| {
        let Do(Command::ScheduleActivity(mut schedule)) = do_ else {
            unreachable!("it is an activity");
        };
        let compensation = schedule.step.as_mut().unwrap().compensation.as_mut().unwrap();
        compensation.options.schedule_to_start = Some(Duration::from_secs(10));
        Do(Command::ScheduleActivity(schedule))
    };
    let mut run = Scenario::start([undo(step("a"))]);
    run.completes("a", [fail("Sorry")]).expect_running("a/undo#1");
    let undoing = run.state.activities().next().unwrap().token();
    run.input(hold(undoing.scheduled, 1, HoldReason::NoWorker), [])
        .expect_running("");
    run.at(10).wake([]).expect_status(RunStatus::Stuck);
    run.expect_wake("never");
    run.at(11).decides("a", Choice::Retry, []).expect_running("a/undo#2");
    run.expect_status(RunStatus::Unwinding);
}
