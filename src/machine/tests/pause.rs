//! A run that a person lets stand still, and go on.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

pub(super) fn pause() -> Input {
    Input::Pause {
        reason: "the bank is down".to_owned(),
        identity: "ada".to_owned(),
    }
}

pub(super) fn unpause() -> Input {
    Input::Unpause {
        reason: "it is back".to_owned(),
        identity: "ada".to_owned(),
    }
}

#[test]
fn what_arrives_is_recorded_and_what_is_due_waits() {
    let mut run = Scenario::start([activity("a"), timer("t", 5)]);
    run.at(1).input(pause(), []).expect_reply(Reply::Accepted);
    run.expect_status(RunStatus::Paused)
        .expect_wake("never")
        .expect_running("a#1");
    run.at(2).input(pause(), []).expect_reply(Reply::Duplicate);
    run.at(3).signal("s", "", []);
    run.at(4).completes("a", []);
    run.at(9).wake([]);
    assert_eq!(run.tasks, 1, "the code is not asked");
    run.at(10).input(unpause(), [complete()]).expect_reply(Reply::Accepted);
    run.at(11).input(unpause(), []);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 TimerStarted t fires at 5s
            @1s
            7 WorkflowExecutionPaused the bank is down by ada
            @3s
            8 WorkflowExecutionSignaled s 1
            @4s
            9 ActivityTaskStarted a #1
            10 ActivityTaskCompleted a
            @10s
            11 WorkflowExecutionUnpaused it is back by ada
            12 TimerFired t
            13-15 WorkflowTaskCompleted
            16 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn attempts_that_nobody_has_begun_wait_and_running_ones_may_end() {
    let mut run = Scenario::start([activity("failed-before"), activity("fails-meanwhile")]);
    run.at(1).fails("failed-before", busy(), []).expect_wake("2s");
    run.at(1).input(pause(), []).expect_running("fails-meanwhile#1");
    run.at(3).fails("fails-meanwhile", busy(), []);
    run.at(60).wake([]).expect_running("").expect_wake("never");
    run.at(60)
        .input(unpause(), [])
        .expect_running("failed-before#2 fails-meanwhile#2");
}

#[test]
fn a_crash_while_paused_loses_what_was_running_and_nothing_else() {
    let mut run = Scenario::start([activity("waits"), activity("runs")]);
    run.at(1).fails("waits", busy(), []);
    run.at(1).input(pause(), []);
    run.at(10).crash([]).expect_running("");
    assert_eq!(
        run.pending("runs").unwrap().attempt,
        2,
        "its attempt is lost, and counts"
    );
    assert_eq!(run.pending("waits").unwrap().attempt, 2, "it was never begun");
    run.at(11).crash([]).expect_running("");
    run.at(20).input(unpause(), []).expect_running("waits#2 runs#2");
}

#[test]
fn what_an_engine_held_back_stays_so_until_the_run_goes_on() {
    let mut run = Scenario::start([activity("a")]);
    let attempts = vec![run.pending("a").unwrap().token()];
    let why = HoldReason::Breaker;
    run.at(1).input(pause(), []).input(Input::Hold { attempts, why }, []);
    let token = run.pending("a").unwrap().token();
    run.at(2).input(Input::Release { token }, []).expect_running("");
    run.at(3).input(unpause(), []).expect_running("a#1");
}

#[test]
fn time_that_ran_out_meanwhile_has_run_out_when_it_goes_on() {
    let mut run = Scenario::start([activity("a").within(30)]);
    run.at(1).fails("a", busy(), []);
    run.at(1).input(pause(), []);
    run.at(40).wake([]).expect_status(RunStatus::Paused);
    run.at(50).input(unpause(), [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: Busy; next at 2s
            @1s
            6 WorkflowExecutionPaused the bank is down by ada
            @50s
            7 WorkflowExecutionUnpaused it is back by ada
            8 ActivityTaskStarted a #1
            9 ActivityTaskTimedOut a: schedule-to-close < Busy [Timeout]
            10-12 WorkflowTaskCompleted
            13 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_saga_does_not_go_back_while_it_is_paused() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).input(pause(), []);
    run.at(3).cancel([]);
    run.at(4)
        .fails("b", declined(), [])
        .expect_running("")
        .expect_status(RunStatus::Paused);
    run.at(5)
        .input(unpause(), [fail("Declined")])
        .expect_running("a/undo#1");
    // And once it goes back, no further.
    run.at(6).input(pause(), []);
    run.at(7)
        .fails("a/undo", busy(), [])
        .expect_running("")
        .expect_wake("never");
    run.at(90).input(unpause(), []).expect_running("a/undo#2");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn decisions_of_people_are_taken_and_wait() {
    let mut run = Scenario::start([step("a").undo_attempts(1)]);
    run.at(1).completes("a", [fail("Late")]);
    run.at(2).fails("a/undo", busy(), []).expect_status(RunStatus::Stuck);
    run.at(3).input(pause(), []).expect_status(RunStatus::Paused);
    run.at(4).decides("a", Choice::Retry, []).expect_running("");
    run.at(5).input(unpause(), []).expect_running("a/undo#2");
}

#[test]
fn updates_are_refused_and_an_end_by_decree_is_not() {
    let mut run = Scenario::start([timer("t", 5)]);
    let update = UpdateRequest {
        update_id: UpdateId::from_trusted("u"),
        name: UpdateName::from_trusted("change"),
        input: Payload::null(),
        identity: String::new(),
    };
    run.at(1).input(pause(), []);
    run.input(Input::Update(Box::new(update)), [])
        .expect_reply(Reply::Rejected(Rejection::Paused));
    run.terminate().expect_status(RunStatus::Terminated);
    run.input(unpause(), [])
        .expect_reply(Reply::Rejected(Rejection::Closed));
}
