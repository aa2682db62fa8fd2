//! Compensations themselves: their input, their attempts, and those that wait for a person.

use std::time::Duration;

use super::scenario::*;
use crate::machine::{NoDecider, decide};
use crate::model::*;

#[test]
fn the_compensation_is_given_all_that_is_known_of_its_step() {
    let text = |text: &str| Payload::json(text).unwrap();
    let undo_of = |run: &Scenario, name: &str| {
        let undo = run.pending(name).expect("is being undone");
        String::from_utf8(undo.attributes.input.data().to_vec()).unwrap()
    };
    let mut run = Scenario::start([step("a").input(text("in")), step("b").input(text("in")), step("c")]);
    let a = run.pending("a").unwrap().token();
    run.input(
        Input::AttemptEnded {
            token: a,
            outcome: Ok(text("out")),
        },
        [],
    );
    run.fails("b", Failure::non_retryable("Broken", "half way"), []);
    run.fails("c", broken(), [fail("Sorry")]);
    assert_eq!(
        undo_of(&run, "a/undo"),
        r#"{"input":"in","output":"out","failure":null}"#
    );
    assert_eq!(
        undo_of(&run, "b/undo"),
        r#"{"input":"in","output":null,"failure":"Broken: half way"}"#
    );
    assert!(undo_of(&run, "c/undo").starts_with(r#"{"input":null,"output":null,"failure":"Broken"#));
}

#[test]
fn two_large_payloads_do_not_make_a_step_that_cannot_be_undone() {
    let large = || Payload::json(&"x".repeat(limits::PAYLOAD_BYTES_MAX - 2)).unwrap();
    let mut run = Scenario::start([step("a").input(large())]);
    let token = run.pending("a").unwrap().token();
    run.input(
        Input::AttemptEnded {
            token,
            outcome: Ok(large()),
        },
        [fail("Sorry")],
    );
    run.expect_running("a/undo#1");
}

#[test]
fn compensations_are_tried_until_they_succeed() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [fail("Sorry")]);
    run.at(2)
        .fails("a/undo", busy(), [])
        .expect_wake("3s")
        .expect_status(RunStatus::Unwinding);
    run.at(3)
        .expect_running("a/undo#2")
        .crash([])
        .expect_running("a/undo#3");
    run.at(4).completes("a/undo", []);
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
            11 SagaUnwindStarted Sorry
            12 ActivityTaskScheduled a/undo
            @2s
            ~ a/undo #1 failed: Busy; next at 3s
            @3s
            ~ a/undo #2 failed: worker-lost; next at 3s
            @4s
            13 ActivityTaskStarted a/undo #3 after worker-lost
            14 ActivityTaskCompleted a/undo
            15 WorkflowExecutionFailed Sorry (amended)
        ",
    );
}

#[test]
fn a_compensation_that_fails_for_good_waits_for_a_person_and_holds_up_what_it_built_upon() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b").undo_attempts(1)]);
    run.at(2).completes("b", [fail("Sorry")]);
    let late = run.outcome("b/undo", Ok(Payload::null()));
    run.at(3).fails("b/undo", busy(), []).expect_status(RunStatus::Stuck);
    run.expect_running("")
        .expect_wake("never")
        .input(late, [])
        .crash([])
        .wake([]);
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
            17 SagaUnwindStarted Sorry
            18 ActivityTaskScheduled b/undo
            @3s
            19 SagaStuck b: Busy [CompensationFailed]
        ",
    );
    run.terminate().expect_status(RunStatus::Terminated);
}

#[test]
fn a_compensation_whose_input_cannot_be_made_waits_for_a_person_once() {
    let mut run = Scenario::start([
        step("a"),
        step("b").input(Payload::from_parts("json/plain", vec![b'{'])),
    ]);
    run.at(1).completes("a", []);
    run.at(2)
        .completes("b", [fail("Sorry")])
        .expect_status(RunStatus::Stuck)
        .expect_running("a/undo#1");
    run.at(3).completes("a/undo", []).expect_status(RunStatus::Stuck);
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
            12 ActivityTaskStarted b #1
            13 ActivityTaskCompleted b
            14-16 WorkflowTaskCompleted
            17 SagaUnwindStarted Sorry
            18 SagaStuck b: CompensationInput [CompensationInput]
            19 ActivityTaskScheduled a/undo
            @3s
            20 ActivityTaskStarted a/undo #1
            21 ActivityTaskCompleted a/undo
        ",
    );
}

#[test]
fn a_mapped_compensation_is_not_made_up_without_its_definition() {
    let limited = StartRun {
        run_timeout: Some(Duration::from_secs(5)),
        ..start_run()
    };
    let mut run = Scenario::start_as(limited, [step("a").undo_mapped(), activity("plain")]);
    run.completes("a", []);
    decide(&mut run.state, vec![Input::Wake], at(5), &mut NoDecider);
    run.expect_status(RunStatus::Stuck);
}
