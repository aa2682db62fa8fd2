//! The desk: what a person sees when a saga is stuck, what may be decided, and what follows.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

/// A saga whose step "b" failed, and whose compensation of "a" failed for good.
fn failed_compensation() -> Scenario {
    let mut run = Scenario::start([step("a").undo_attempts(1)]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).fails("b", declined(), [fail("Declined")]);
    run.at(3).fails("a/undo", busy(), []);
    run.expect_status(RunStatus::Stuck).expect_running("");
    run
}

/// A saga whose retriable step "r" failed for good, after the pivot.
fn failed_retriable() -> Scenario {
    let mut run = Scenario::start([pivot("p")]);
    run.at(1).completes("p", [retriable("r")]);
    run.at(2).fails("r", broken(), []);
    run.expect_status(RunStatus::Stuck).expect_running("");
    run
}

#[test]
fn a_failed_compensation_can_be_tried_again() {
    let mut run = failed_compensation();
    run.expect_desk("a: CompensationFailed (retry retry-with skip mark-done abandon)");
    run.at(9).decides("a", Choice::Retry, []).expect_running("a/undo#2");
    run.expect_status(RunStatus::Unwinding).expect_desk("");
    run.at(10).completes("a/undo", []).expect_status(RunStatus::Amended);
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
            13 ActivityTaskFailed b: Declined [NonRetryable]
            14-16 WorkflowTaskCompleted
            17 SagaUnwindStarted Declined
            18 ActivityTaskScheduled a/undo
            @3s
            19 SagaStuck a: Busy [CompensationFailed]
            @9s
            20 SagaDecided a: retry by ada
            @10s
            21 ActivityTaskStarted a/undo #2 after Busy
            22 ActivityTaskCompleted a/undo
            23 WorkflowExecutionFailed Declined (amended)
        ",
    );
}

#[test]
fn a_decision_to_retry_gives_a_fresh_retry_policy() {
    let mut run = Scenario::start([step("a").undo_attempts(2)]);
    run.completes("a", [fail("Sorry")]);
    run.at(1).fails("a/undo", busy(), []);
    run.at(2).wake([]).fails("a/undo", busy(), []);
    run.expect_desk("a: CompensationFailed (retry retry-with skip mark-done abandon)");
    run.at(5).decides("", Choice::Retry, []).expect_running("a/undo#3");
    run.at(6).fails("a/undo", busy(), []).expect_wake("7s");
    run.at(7).wake([]).expect_running("a/undo#4");
    run.at(8).fails("a/undo", busy(), []).expect_status(RunStatus::Stuck);
}

#[test]
fn a_failed_compensation_can_be_tried_with_another_input() {
    let mut run = failed_compensation();
    let input = Payload::json("other account").unwrap();
    run.decides("a", Choice::RetryWith { input: input.clone() }, []);
    let pending = run.pending("a/undo").expect("tried again");
    assert_eq!((pending.attempt, &pending.attributes.input), (2, &input));
}

#[test]
fn a_compensation_done_by_hand_counts_as_done() {
    let mut run = failed_compensation();
    run.decides("a", mark_done(), []).expect_status(RunStatus::Amended);
    run.expect_steps("a completed/done, b failed/not-owed");
}

#[test]
fn a_saga_that_leaves_something_behind_by_decision_does_not_say_amended() {
    let mut run = failed_compensation();
    run.decides("a", Choice::Skip, []).expect_status(RunStatus::Failed);
    run.expect_steps("a completed/skipped, b failed/not-owed");
}

#[test]
fn what_waits_for_a_compensation_goes_on_after_the_decision() {
    for (choice, status) in [(mark_done(), RunStatus::Amended), (Choice::Skip, RunStatus::Failed)] {
        let mut run = Scenario::start([step("a")]);
        run.completes("a", [step("b").undo_attempts(1)]);
        run.completes("b", [fail("Sorry")]);
        run.fails("b/undo", broken(), []).expect_running("");
        run.decides("b", choice, []).expect_running("a/undo#1");
        run.completes("a/undo", []).expect_status(status);
    }
}

#[test]
fn a_compensation_without_input_is_decided_the_same_way() {
    let stuck = || {
        let mut run = Scenario::start([step("a")
            .undo_mapped()
            .input(Payload::from_parts("json/plain", vec![b'{']))]);
        run.completes("a", [fail("Sorry")]);
        run.expect_desk("a: CompensationInput (retry retry-with skip mark-done abandon)");
        run
    };
    stuck().decides("a", mark_done(), []).expect_status(RunStatus::Amended);
    stuck().decides("a", Choice::Skip, []).expect_status(RunStatus::Failed);
    stuck().decides("a", Choice::Retry, []).expect_status(RunStatus::Stuck);
    let input = Payload::json("made by hand").unwrap();
    let mut run = stuck();
    run.decides("a", Choice::RetryWith { input: input.clone() }, [])
        .expect_running("a/undo#1");
    assert_eq!(run.pending("a/undo").unwrap().attributes.input, input);
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn an_exhausted_retriable_step_is_decided_forward() {
    for choice in [mark_done(), Choice::Skip] {
        let mut run = failed_retriable();
        run.expect_desk("r: RetriableFailed (retry retry-with skip mark-done abandon)");
        run.at(3)
            .decides("r", choice, [complete()])
            .expect_status(RunStatus::Completed);
    }
    let mut run = failed_retriable();
    run.at(3).decides("r", Choice::Retry, []).expect_running("r#2");
    run.at(4)
        .completes("r", [complete()])
        .expect_status(RunStatus::Completed);
    let mut run = failed_retriable();
    let input = Payload::json(&2).unwrap();
    run.decides("r", Choice::RetryWith { input: input.clone() }, []);
    assert_eq!(run.state.step("r").unwrap().input, input);
}

#[test]
fn a_failure_after_the_pivot_is_decided_for_the_run() {
    let halted = || {
        let mut run = Scenario::start([step("a")]);
        run.completes("a", [undoable_pivot("p")]);
        run.completes("p", [fail("Sorry")]);
        run.expect_desk("(saga): FailedAfterPivot (mark-done go-back abandon)");
        run
    };
    halted()
        .decides("", mark_done(), [])
        .expect_status(RunStatus::Completed);
    halted()
        .decides("", Choice::Abandon, [])
        .expect_status(RunStatus::Terminated);
    let mut run = halted();
    run.decides("", Choice::GoBack, []).expect_running("p/undo#1");
    run.completes("p/undo", []).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn going_back_over_a_pivot_that_cannot_be_undone_leaves_it() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [pivot("p")]);
    run.completes("p", [fail("Sorry")]);
    run.decides("", Choice::GoBack, []).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Failed);
}

#[test]
fn an_abandoned_saga_ends_as_it_is() {
    let mut run = failed_compensation();
    run.at(9)
        .decides("a", Choice::Abandon, [])
        .expect_status(RunStatus::Terminated);
    let last = run
        .journal
        .last()
        .and_then(|turn| turn.events.last())
        .map(|event| event.attributes.clone());
    let expected = EventAttributes::WorkflowExecutionTerminated {
        reason: "looked into it".to_owned(),
        identity: "ada".to_owned(),
    };
    assert_eq!(last, Some(expected));
}

#[test]
fn decisions_that_do_not_fit_are_refused_and_say_what_does() {
    let mut run = Scenario::start([step("a")]);
    run.decides("a", Choice::Retry, [])
        .expect_reply(Reply::Rejected(Rejection::NotStuck));
    let mut run = failed_compensation();
    run.decides("b", Choice::Retry, [])
        .expect_reply(Reply::Rejected(Rejection::StepNotStuck {
            step: "b".to_owned(),
            stuck: vec!["a".to_owned()],
        }));
    let open = ["retry", "retry-with", "skip", "mark-done", "abandon"]
        .map(str::to_owned)
        .to_vec();
    run.decides("a", Choice::GoForward, [])
        .expect_reply(Reply::Rejected(Rejection::ChoiceNotOpen {
            choice: ChoiceKind::GoForward,
            open,
        }));
    assert_eq!(run.last.turn, None, "nothing is written");
    let mut run = Scenario::start([
        step("a").after([]).undo_attempts(1),
        step("b").after([]).undo_attempts(1),
    ]);
    run.completes("a", []);
    run.completes("b", [fail("Sorry")]);
    run.fails("a/undo", broken(), []);
    run.fails("b/undo", broken(), []);
    run.decides("", Choice::Retry, [])
        .expect_reply(Reply::Rejected(Rejection::WhichStep {
            stuck: vec!["a".to_owned(), "b".to_owned()],
        }));
}

#[test]
fn the_same_decision_counts_once() {
    let mut run = failed_compensation();
    run.input(decision("a", Choice::Retry, "d1"), [])
        .expect_reply(Reply::Accepted);
    run.fails("a/undo", busy(), []).expect_status(RunStatus::Stuck);
    run.input(decision("a", Choice::Retry, "d1"), [])
        .expect_reply(Reply::Duplicate);
    run.expect_status(RunStatus::Stuck);
    run.crash([]);
    run.input(decision("a", Choice::Retry, "d1"), [])
        .expect_reply(Reply::Duplicate);
    run.input(decision("a", Choice::Retry, "d2"), [])
        .expect_running("a/undo#3");
}

#[test]
fn a_late_result_of_the_stuck_attempt_is_refused_and_remembered() {
    let mut run = failed_retriable();
    let late = Input::AttemptEnded {
        token: run.pending("r").unwrap().token(),
        outcome: Ok(Payload::null()),
    };
    run.input(late, [])
        .expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    assert_eq!(run.state.step("r").unwrap().late_results, 1);
}

#[test]
fn the_saga_as_a_whole_can_be_decided_about_while_steps_are_stuck_too() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [undoable_pivot("p")]);
    run.completes("p", [retriable("r"), activity("report")]);
    run.fails("r", broken(), []);
    run.fails("report", broken(), [fail("Broken")]);
    run.expect_desk(
        "(saga): FailedAfterPivot (mark-done go-back abandon); \
         r: RetriableFailed (retry retry-with skip mark-done abandon)",
    );
    run.decides("", Choice::GoBack, []).expect_running("p/undo#1");
    run.completes("p/undo", []).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn what_has_been_undone_cannot_be_said_to_be_done() {
    let mut run = Scenario::start([step("a"), pivot("p")]);
    run.at(1).signal("stop", "", [fail("Sorry")]).expect_running("a#1 p#1");
    run.at(2).completes("p", []);
    run.expect_desk("(saga): FailedAfterPivot (go-back abandon)");
}

#[test]
fn a_stuck_compensation_holds_up_no_other_branch() {
    let start = StartRun {
        saga: Some(Box::new(SagaOptions {
            unwind_parallel: Some(1),
            ..SagaOptions::default()
        })),
        ..start_run()
    };
    let mut run = Scenario::start_as(start, ["a", "b"].map(|name| step(name).after([]).undo_attempts(1)));
    run.completes("a", []);
    run.completes("b", [fail("Sorry")]).expect_running("b/undo#1");
    run.fails("b/undo", broken(), []).expect_running("a/undo#1");
}
