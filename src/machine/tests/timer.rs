//! Durable timers: the order in which they fire, and forgetting them.

use super::scenario::*;
use crate::model::*;

#[test]
fn timers_fire_in_the_order_of_their_times_and_then_of_their_start() {
    let mut run = Scenario::start([timer("c", 9), timer("b", 5), timer("a", 5), timer("d", 60)]);
    run.expect_wake("5s");
    run.at(4).wake([]);
    assert_eq!(run.last.turn, None, "nothing is due yet");
    // The process slept over several of them.
    run.at(20).wake([]).expect_wake("60s");
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted c fires at 9s
            6 TimerStarted b fires at 5s
            7 TimerStarted a fires at 5s
            8 TimerStarted d fires at 60s
            @20s
            9 TimerFired b
            10 TimerFired a
            11 TimerFired c
            12-14 WorkflowTaskCompleted
        ",
    );
    assert_eq!(run.tasks, 2);
}

#[test]
fn a_timer_fires_once() {
    let mut run = Scenario::start([timer("t", 5)]);
    run.at(5)
        .inputs([Input::Wake, Input::Wake], [])
        .wake([])
        .crash([])
        .expect_wake("never");
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted t fires at 5s
            @5s
            6 TimerFired t
            7-9 WorkflowTaskCompleted
        ",
    );
}

#[test]
fn a_forgotten_timer_does_not_fire_and_its_name_is_free_at_once() {
    let mut run = Scenario::start([timer("t", 5)]);
    run.at(1)
        .signal("longer", "", [cancel_timer("t"), timer("t", 60), cancel_timer("other")]);
    run.at(5).wake([]).expect_wake("61s");
    run.at(61).wake([complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted t fires at 5s
            @1s
            6 WorkflowExecutionSignaled longer 1
            7-9 WorkflowTaskCompleted
            10 TimerCanceled t
            11 TimerStarted t fires at 61s
            @61s
            12 TimerFired t
            13-15 WorkflowTaskCompleted
            16 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_timer_of_no_time_fires_at_the_next_wake() {
    let mut run = Scenario::start([timer("t", 0)]);
    run.expect_wake("0s")
        .wake([complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn fired_or_cancelled_has_one_winner() {
    // The turn that brings the signal finds the timer due as well.
    let mut run = Scenario::start([timer("t", 5)]);
    run.at(5).inputs([Input::Wake, signal("stop", "")], [cancel_timer("t")]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted t fires at 5s
            @5s
            6 TimerFired t
            7 WorkflowExecutionSignaled stop 1
            8-10 WorkflowTaskCompleted
        ",
    );
}
