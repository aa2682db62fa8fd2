//! Steps that ended without an answer: compensated, verified, or asked about; and attempts that are fenced.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

fn lost() -> Failure {
    Failure::timeout(TimeoutKind::StartToClose)
}

/// A step "b", after "a", that ended without an answer.
fn unanswered(b: Do) -> Scenario {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [b.attempts(1)]);
    run.at(2);
    run
}

fn verdict(applied: bool) -> Payload {
    match applied {
        true => Payload::json(&Verdict::applied("found")).unwrap(),
        false => Payload::json(&Verdict::<()>::not_applied()).unwrap(),
    }
}

impl Scenario {
    fn answers(&mut self, name: &str, answer: Payload, then: impl IntoIterator<Item = Do>) -> &mut Self {
        let input = self.outcome(name, Ok(answer));
        self.input(input, then)
    }
}

#[test]
fn by_default_it_is_compensated() {
    let mut run = unanswered(step("b"));
    run.fails("b", lost(), [fail("Sorry")]).expect_running("b/undo#1");
}

#[test]
fn a_verification_that_finds_it_lets_the_saga_go_on() {
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), [])
        .expect_running("b/verify#1")
        .expect_status(RunStatus::Running);
    run.at(3)
        .answers("b/verify", verdict(true), [complete()])
        .expect_status(RunStatus::Completed);
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
            12 SagaStepAmbiguous b: start-to-close [MaximumAttemptsReached]
            13 ActivityTaskScheduled b/verify
            @3s
            14 ActivityTaskStarted b/verify #1
            15 ActivityTaskCompleted b/verify
            16 SagaStepResolved b: Applied
            17 ActivityTaskStarted b #1
            18 ActivityTaskCompleted b
            19-21 WorkflowTaskCompleted
            22 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn what_a_verification_found_is_the_steps_output() {
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), []).answers("b/verify", verdict(true), []);
    let output = Payload::json("found").unwrap();
    assert_eq!(
        run.state.step("b").unwrap().state,
        crate::machine::StepState::Completed { output }
    );
}

#[test]
fn a_verification_that_finds_nothing_leaves_nothing_to_undo() {
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), []);
    run.at(3)
        .answers("b/verify", verdict(false), [fail("Sorry")])
        .expect_running("a/undo#1");
    run.expect_steps("a completed/running, b failed/not-owed");
}

#[test]
fn a_verification_is_told_what_is_known() {
    let mut run = unanswered(step("b").verified().input(Payload::json("seat 7").unwrap()));
    run.fails("b", lost(), []);
    let undo: Undo<String, ()> = run.pending("b/verify").unwrap().attributes.input.to().unwrap();
    assert_eq!((undo.input.as_str(), undo.output), ("seat 7", None));
    assert!(undo.failure.is_some());
}

#[test]
fn a_verification_that_fails_or_talks_nonsense_asks_a_person() {
    let desk = "b: Ambiguous (retry retry-with mark-done go-forward skip go-back abandon)";
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), [])
        .fails("b/verify", broken(), [])
        .expect_desk(desk);
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), [])
        .answers("b/verify", Payload::json("perhaps").unwrap(), [])
        .expect_desk(desk);
}

#[test]
fn a_verification_survives_a_crash() {
    let mut run = unanswered(step("b").verified());
    run.fails("b", lost(), []);
    run.at(3).crash([]).expect_running("b/verify#2");
    run.answers("b/verify", verdict(false), [fail("Sorry")])
        .expect_running("a/undo#1");
}

#[test]
fn a_crash_during_the_only_attempt_is_verified_too() {
    let mut run = unanswered(step("b").verified());
    run.crash([]).expect_running("b/verify#1");
}

#[test]
fn a_participants_final_word_is_an_answer() {
    for failure in [broken(), declined()] {
        let undone = !failure.is_not_applied();
        let mut run = unanswered(step("b").verified());
        run.fails("b", failure, [fail("Sorry")]);
        run.expect_running(if undone { "b/undo#1" } else { "a/undo#1" });
    }
    let mut run = unanswered(step("b").asks());
    run.fails("b", busy(), []).expect_status(RunStatus::Stuck);
}

#[test]
fn what_certainly_did_not_happen_needs_no_question() {
    let mut run = unanswered(step("b").asks());
    run.fails("b", unreachable(), [fail("Sorry")])
        .expect_running("a/undo#1");
    let mut run = unanswered(step("b").asks());
    run.fails("b", Failure::timeout(TimeoutKind::ScheduleToStart), [fail("Sorry")])
        .expect_running("a/undo#1");
}

#[test]
fn a_person_answers_for_it() {
    let asked = || {
        let mut run = unanswered(step("b").asks());
        run.fails("b", lost(), []).expect_running("").expect_wake("never");
        run.expect_desk("b: Ambiguous (retry retry-with mark-done go-forward skip go-back abandon)");
        run.at(3);
        run
    };
    let mut run = asked();
    run.decides("b", mark_done(), [complete()])
        .expect_status(RunStatus::Completed);
    run.expect_steps(
        "a completed/not-owed, b completed/not-owed"
            .replace("not-owed", "owed")
            .as_str(),
    );
    asked()
        .decides("b", Choice::GoForward, [complete()])
        .expect_status(RunStatus::Completed);
    let mut run = asked();
    run.decides("b", Choice::Skip, [fail("Sorry")])
        .expect_running("a/undo#1");
    run.expect_steps("a completed/running, b failed/not-owed");
    let mut run = asked();
    run.decides("b", Choice::GoBack, [fail("Sorry")])
        .expect_running("b/undo#1");
    let mut run = asked();
    run.decides("b", Choice::Retry, []).expect_running("b#2");
    run.completes("b", [complete()]).expect_status(RunStatus::Completed);
    let mut run = asked();
    run.decides("b", Choice::Retry, [])
        .fails("b", lost(), [])
        .expect_status(RunStatus::Stuck);
    asked()
        .decides("b", Choice::Abandon, [])
        .expect_status(RunStatus::Terminated);
}

#[test]
fn an_earlier_attempt_without_an_answer_counts_after_a_decision_to_retry() {
    let mut run = unanswered(step("b").asks());
    run.fails("b", lost(), []).decides("b", Choice::Retry, []);
    run.fails("b", declined(), [fail("Sorry")]).expect_running("b/undo#1");
}

#[test]
fn a_pivot_that_cannot_be_undone_is_asked_about_or_verified() {
    let mut run = unanswered(pivot("b"));
    run.fails("b", lost(), []);
    run.expect_desk("b: Ambiguous (retry retry-with mark-done go-forward skip abandon)");
    run.decides("b", Choice::Skip, [fail("Sorry")])
        .expect_running("a/undo#1");
    let mut run = unanswered(pivot("b").verified());
    run.fails("b", broken(), []).expect_running("b/verify#1");
    run.answers("b/verify", verdict(false), [fail("Sorry")])
        .expect_running("a/undo#1");
}

#[test]
fn what_is_found_out_while_the_saga_goes_back_is_heeded() {
    // The saga turns back while "b" is being verified: the verification goes on.
    for (applied, then) in [(true, "b/undo#1"), (false, "")] {
        let mut run = Scenario::start([step("a"), step("b").attempts(1).verified()]);
        run.at(1).fails("b", lost(), []);
        run.at(2)
            .fails("a", declined(), [fail("Declined")])
            .expect_running("b/verify#1");
        run.at(3).answers("b/verify", verdict(applied), []).expect_running(then);
    }
    // The same with a person: there is no other try any more.
    let mut run = Scenario::start([step("a"), step("b").attempts(1).asks()]);
    run.at(1).fails("b", lost(), []);
    run.at(2).fails("a", declined(), [fail("Declined")]).expect_running("");
    run.expect_desk("b: Ambiguous (mark-done go-forward skip go-back abandon)");
    run.decides("b", Choice::GoBack, []).expect_running("b/undo#1");
    // Turned back first, then lost.
    let mut run = Scenario::start([step("a"), step("b").asks()]);
    run.at(1)
        .fails("a", declined(), [fail("Declined")])
        .expect_running("b#1");
    run.at(2).fails("b", lost(), []);
    run.expect_desk("b: Ambiguous (mark-done go-forward skip go-back abandon)");
}

#[test]
fn a_fenced_attempt_is_not_waited_for_and_its_late_result_is_refused() {
    let mut run = Scenario::start([step("a"), step("b").fenced()]);
    let token = run.pending("b").unwrap().token();
    run.at(1)
        .fails("a", declined(), [fail("Declined")])
        .expect_running("b/undo#1");
    let outcome = Ok(Payload::null());
    run.at(2)
        .input(Input::AttemptEnded { token, outcome }, [])
        .expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    run.at(3).completes("b/undo", []).expect_status(RunStatus::Amended);
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
            14 ActivityTaskStarted b #1
            15 ActivityTaskCanceled b
            16 ActivityTaskScheduled b/undo
            @2s
            ~ b #1 came too late
            @3s
            17 ActivityTaskStarted b/undo #1
            18 ActivityTaskCompleted b/undo
            19 WorkflowExecutionFailed Declined (amended)
        ",
    );
}

#[test]
fn a_pivot_that_nothing_undoes_is_not_fenced() {
    let mut run = Scenario::start([step("a"), pivot("p").fenced()]);
    run.at(1).signal("stop", "", [fail("Sorry")]).expect_running("a#1 p#1");
    run.at(2).fails("p", lost(), []);
    run.expect_desk("p: Ambiguous (mark-done go-forward skip abandon)");
}

#[test]
fn a_crash_costs_a_step_that_waits_for_a_child_no_attempt() {
    let mut child = step("child").attempts(1);
    if let Command::ScheduleActivity(schedule) = &mut child.0 {
        schedule.activity_type = ActivityType::from_trusted(SAGA_ACTIVITY);
    }
    let mut run = Scenario::start([child]);
    run.at(1).crash([]).expect_running("child#1");
}
