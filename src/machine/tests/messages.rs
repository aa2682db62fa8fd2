//! Updates, and messages to other runs: what is journaled of them, and what is not.

use super::scenario::*;
use crate::machine::{Rejection, Reply, RunState, external_request_id};
use crate::model::*;

fn request(id: &str) -> UpdateRequest {
    UpdateRequest {
        update_id: UpdateId::from_trusted(id),
        name: UpdateName::from_trusted("change"),
        input: Payload::null(),
        identity: "test".to_owned(),
    }
}

pub(super) fn update(id: &str) -> Input {
    Input::Update(Box::new(request(id)))
}

pub(super) fn accept(id: &str) -> Do {
    Do(Command::AcceptUpdate(Box::new(request(id))))
}

pub(super) fn reject(id: &str) -> Do {
    Do(Command::RejectUpdate {
        update_id: UpdateId::from_trusted(id),
        failure: Failure::new("TooLate", ""),
    })
}

fn answer(id: &str) -> Do {
    Do(Command::CompleteUpdate {
        update_id: UpdateId::from_trusted(id),
        outcome: Ok(Payload::json(&1).unwrap()),
    })
}

pub(super) fn refused() -> Reply {
    Reply::Rejected(Rejection::UpdateRefused(Box::new(Failure::new("TooLate", ""))))
}

pub(super) fn tell(workflow_id: &str) -> Do {
    Do(Command::SignalExternal(Box::new(ExternalSignal {
        workflow_id: WorkflowId::from_trusted(workflow_id),
        run_id: None,
        name: SignalName::from_trusted("paid"),
        input: Payload::null(),
    })))
}

pub(super) fn stop(workflow_id: &str) -> Do {
    Do(Command::RequestCancelExternal(Box::new(ExternalCancel {
        workflow_id: WorkflowId::from_trusted(workflow_id),
        run_id: None,
        reason: "enough".to_owned(),
    })))
}

fn delivered(initiated: u64, outcome: Result<(), Failure>) -> Input {
    Input::ExternalEnded {
        initiated: EventId(initiated),
        outcome,
    }
}

#[test]
fn an_update_is_accepted_and_answered_over_several_turns_and_a_crash() {
    let mut run = Scenario::start([]);
    run.at(1).input(update("u"), [accept("u"), activity("a")]);
    run.expect_reply(Reply::Accepted);
    assert_eq!(run.state.update_outcome("u"), None);
    run.crash([]);
    run.completes("a", [answer("u")]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            @1s
            5-7 WorkflowTaskCompleted
            8 WorkflowExecutionUpdateAccepted
            9 ActivityTaskScheduled a
            @1s
            ~ a #1 failed: worker-lost; next at 1s
            @1s
            10 ActivityTaskStarted a #2 after worker-lost
            11 ActivityTaskCompleted a
            12-14 WorkflowTaskCompleted
            15 WorkflowExecutionUpdateCompleted
        ",
    );
    assert_eq!(run.state.update_outcome("u"), Some(Ok(Payload::json(&1).unwrap())));
}

#[test]
fn a_rejected_update_leaves_no_trace() {
    let mut run = Scenario::start([timer("t", 60)]);
    let before = run.state.clone();
    run.at(1).input(update("u"), [reject("u")]).expect_reply(refused());
    assert_eq!(run.last.turn, None);
    assert_eq!(run.state, before);
    // It may be asked again, and be accepted then.
    run.input(update("u"), [accept("u"), answer("u")])
        .expect_reply(Reply::Accepted);
}

#[test]
fn a_rejection_does_not_touch_what_arrived_with_it() {
    let mut run = Scenario::start([]);
    run.at(1)
        .inputs([update("u"), signal("s", ""), update("v")], [accept("v"), reject("u")]);
    assert_eq!(run.last.replies, [refused(), Reply::Accepted, Reply::Accepted]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            @1s
            5 WorkflowExecutionSignaled s 1
            6-8 WorkflowTaskCompleted
            9 WorkflowExecutionUpdateAccepted
        ",
    );
}

#[test]
fn one_id_is_one_update() {
    let mut run = Scenario::start([]);
    run.inputs([update("u"), update("u")], [accept("u")]);
    assert_eq!(run.last.replies, [Reply::Accepted, Reply::Accepted]);
    run.input(update("u"), []).expect_reply(Reply::Duplicate);
    run.crash([]).input(update("u"), []).expect_reply(Reply::Duplicate);
    let accepted = run.journal.iter().flat_map(|turn| &turn.events);
    let accepted = accepted.filter(|event| event.attributes.kind() == "WorkflowExecutionUpdateAccepted");
    assert_eq!(accepted.count(), 1);
}

#[test]
fn an_update_may_come_with_the_start() {
    let mut run = Scenario::start([]);
    run.state = RunState::default();
    run.journal.clear();
    let start = Input::Start(Box::new(start_run()));
    run.inputs([start, update("u")], [accept("u"), answer("u")]);
    assert_eq!(run.last.replies, [Reply::Accepted, Reply::Accepted]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 WorkflowExecutionUpdateAccepted
            6 WorkflowExecutionUpdateCompleted
        ",
    );
}

#[test]
fn updates_are_bounded_and_a_place_is_free_again_with_the_answer() {
    let ids: Vec<String> = (0..limits::UPDATES_IN_FLIGHT_MAX).map(|n| n.to_string()).collect();
    let mut run = Scenario::start([]);
    run.inputs(ids.iter().map(|id| update(id)), ids.iter().map(|id| accept(id)));
    let full = || Reply::Rejected(Rejection::TooManyUpdatesInFlight);
    run.input(update("more"), []).expect_reply(full());
    run.signal("s", "", [answer("0")]);
    run.inputs([update("more"), update("too much")], [accept("more")]);
    assert_eq!(run.last.replies, [Reply::Accepted, full()]);
}

#[test]
fn the_number_of_updates_of_a_run_is_bounded() {
    let mut run = Scenario::start([]);
    for number in 0..limits::UPDATES_MAX {
        let id = number.to_string();
        let (mut script, inputs) = (Script::default(), vec![update(&id)]);
        script.answers.push_back(Ok(vec![accept(&id).0, answer(&id).0]));
        let decision = crate::machine::decide(&mut run.state, inputs, run.now, &mut script);
        assert_eq!(decision.replies, [Reply::Accepted]);
        run.journal.extend(decision.turn);
    }
    run.input(update("more"), [])
        .expect_reply(Reply::Rejected(Rejection::TooManyUpdates));
}

#[test]
fn a_run_that_does_not_go_forward_takes_no_updates_and_leaves_accepted_ones_unanswered() {
    let mut run = Scenario::start([step("s")]);
    run.input(update("open"), [accept("open")]);
    run.completes("s", [fail("Broken")]);
    run.input(update("late"), [])
        .expect_reply(Reply::Rejected(Rejection::NotGoingForward));
    let abandoned = |run: &Scenario| {
        let outcome = run.state.update_outcome("open");
        matches!(outcome, Some(Err(failure)) if failure.is_type("UpdateAbandoned"))
    };
    assert!(abandoned(&run));
    run.completes("s/undo", []).expect_status(RunStatus::Amended);
    assert!(abandoned(&run));
    run.input(update("late"), [])
        .expect_reply(Reply::Rejected(Rejection::Closed));
}

#[test]
fn an_update_of_a_run_whose_code_cannot_decide_is_refused_and_not_recorded() {
    let mut run = Scenario::start([]);
    let reason = ParkReason::ForeignFuture;
    run.turn([update("u")], [Err(reason.clone())])
        .expect_reply(Reply::Rejected(Rejection::CannotDecide(Box::new(reason))));
    assert_eq!(run.last.turn, None);
    run.input(update("u"), [accept("u")]).expect_reply(Reply::Accepted);
}

#[test]
fn messages_to_other_runs_are_on_their_way_until_it_is_known_what_became_of_them() {
    let mut run = Scenario::start([tell("other"), stop("third")]);
    let pending: Vec<EventId> = run.state.externals().map(|(initiated, _)| initiated).collect();
    assert_eq!(pending, [EventId(5), EventId(6)]);
    assert_eq!(
        run.state.wake_after_restart(run.now),
        Some(Timestamp::EPOCH),
        "to be sent again"
    );
    run.crash([]);
    let again: Vec<_> = run.state.externals().collect();
    assert!(matches!(
        again[..],
        [(_, ExternalMessage::Signal(_)), (_, ExternalMessage::Cancel(_))]
    ));
    run.input(delivered(5, Ok(())), []);
    run.input(delivered(6, Err(declined())), [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 SignalExternalWorkflowExecutionInitiated
            6 RequestCancelExternalWorkflowExecutionInitiated
            @0s
            7 ExternalWorkflowExecutionSignaled
            8-10 WorkflowTaskCompleted
            @0s
            11 RequestCancelExternalWorkflowExecutionFailed
            12-14 WorkflowTaskCompleted
            15 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn what_became_of_a_message_is_recorded_once() {
    let mut run = Scenario::start([tell("other")]);
    run.input(delivered(5, Ok(())), []);
    run.input(delivered(5, Err(declined())), [])
        .expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    assert_eq!(run.last.turn, None);
    let run_id = RunId::from_bytes([7; 16]);
    assert_ne!(
        external_request_id(run_id, EventId(5)),
        external_request_id(run_id, EventId(6))
    );
}

#[test]
fn messages_to_other_runs_are_bounded() {
    let many = (0..=limits::PENDING_MAX).map(|_| tell("other").0).collect();
    let mut run = Scenario::start([]);
    run.turn([signal("s", "")], [Ok(many)]);
    let Some(ParkReason::BadCommand { message }) = &run.last.task_failure else {
        panic!("{:?}", run.last);
    };
    assert!(message.contains("messages to other runs"), "{message}");
}
