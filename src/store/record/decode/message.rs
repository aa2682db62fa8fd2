//! Updates, and what a run says to others, from the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{Decoded, chain, child, payload};
use crate::model::{
    ActivityType, EventAttributes, EventId, ExternalCancel, ExternalMessage, ExternalSignal, LeftMessage, MessageKey,
    RequestId, ResetAttempt, RunId, RunReset, SignalName, StepName, UpdateCompleted, UpdateId, UpdateName,
    UpdateRequest, WorkflowId,
};

pub(super) fn attributes(message: wire::Message<'_>) -> Decoded<EventAttributes> {
    use EventAttributes as E;
    use wire::Message as W;
    Ok(match message {
        W::UpdateAccepted {
            update_id,
            name,
            input,
            identity,
        } => E::WorkflowExecutionUpdateAccepted(Box::new(UpdateRequest {
            update_id: UpdateId::from_trusted(update_id),
            name: UpdateName::from_trusted(name),
            input: payload(&input),
            identity: identity.to_owned(),
        })),
        W::UpdateCompleted {
            update_id,
            accepted,
            outcome,
        } => E::WorkflowExecutionUpdateCompleted(Box::new(UpdateCompleted {
            update_id: UpdateId::from_trusted(update_id),
            accepted: EventId(accepted),
            outcome: match outcome {
                Ok(result) => Ok(payload(&result)),
                Err(failure) => Err(chain(failure)?),
            },
        })),
        W::SignalInitiated {
            workflow_id,
            run_id,
            name,
            input,
        } => E::SignalExternalWorkflowExecutionInitiated(Box::new(ExternalSignal {
            workflow_id: WorkflowId::from_trusted(workflow_id),
            run_id: run_id.map(RunId::from_bytes),
            name: SignalName::from_trusted(name),
            input: payload(&input),
        })),
        W::SignalFailed { initiated, failure } => E::SignalExternalWorkflowExecutionFailed {
            initiated: EventId(initiated),
            failure: chain(failure)?,
        },
        W::Signaled { initiated } => E::ExternalWorkflowExecutionSignaled {
            initiated: EventId(initiated),
        },
        W::CancelInitiated {
            workflow_id,
            run_id,
            reason,
        } => E::RequestCancelExternalWorkflowExecutionInitiated(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted(workflow_id),
            run_id: run_id.map(RunId::from_bytes),
            reason: reason.to_owned(),
        })),
        W::CancelFailed { initiated, failure } => E::RequestCancelExternalWorkflowExecutionFailed {
            initiated: EventId(initiated),
            failure: chain(failure)?,
        },
        W::CancelRequested { initiated } => E::ExternalWorkflowExecutionCancelRequested {
            initiated: EventId(initiated),
        },
        W::Reset {
            base_run_id,
            new_run_id,
            original_run_id,
            reason,
            identity,
            request_id,
            attempts,
            doubts,
            locals,
            updates,
            children,
            messages,
            left,
        } => E::WorkflowExecutionReset(Box::new(RunReset {
            base_run_id: RunId::from_bytes(base_run_id),
            new_run_id: RunId::from_bytes(new_run_id),
            original_run_id: RunId::from_bytes(original_run_id),
            reason: reason.to_owned(),
            identity: identity.to_owned(),
            request_id: request_id.map(RequestId::from_trusted),
            attempts: attempts.iter().map(attempt).collect(),
            doubts: doubts.into_iter().map(EventId).collect(),
            locals: locals.into_iter().map(local).collect(),
            updates: updates.iter().map(update).collect(),
            children: children.iter().map(child::left).collect::<Decoded<_>>()?,
            messages: messages.iter().map(left_message).collect(),
            left: left.into_iter().map(StepName::from_trusted).collect(),
        })),
        W::Paused { reason, identity } => E::WorkflowExecutionPaused {
            reason: reason.to_owned(),
            identity: identity.to_owned(),
        },
        W::Unpaused { reason, identity } => E::WorkflowExecutionUnpaused {
            reason: reason.to_owned(),
            identity: identity.to_owned(),
        },
    })
}

fn local((seq, of): (u32, &str)) -> (u32, ActivityType) {
    (seq, ActivityType::from_trusted(of))
}

pub(super) fn key(key: wire::MessageKey) -> MessageKey {
    MessageKey {
        sender_run: RunId::from_bytes(key.sender_run),
        initiated: EventId(key.initiated),
    }
}

pub(super) fn left_message(left: &wire::LeftMessage<'_>) -> LeftMessage {
    LeftMessage {
        key: key(left.key),
        message: match &left.message {
            wire::External::Signal {
                workflow_id,
                run_id,
                name,
                input,
            } => ExternalMessage::Signal(Box::new(ExternalSignal {
                workflow_id: WorkflowId::from_trusted(*workflow_id),
                run_id: run_id.map(RunId::from_bytes),
                name: SignalName::from_trusted(*name),
                input: payload(input),
            })),
            wire::External::Cancel {
                workflow_id,
                run_id,
                reason,
            } => ExternalMessage::Cancel(Box::new(ExternalCancel {
                workflow_id: WorkflowId::from_trusted(*workflow_id),
                run_id: run_id.map(RunId::from_bytes),
                reason: (*reason).to_owned(),
            })),
        },
    }
}

fn attempt(of: &wire::ResetAttempt) -> ResetAttempt {
    ResetAttempt {
        scheduled: EventId(of.scheduled),
        attempt: of.attempt,
        lost: of.lost,
        may_have_applied: of.may_have_applied,
        forgiven: of.forgiven,
    }
}

fn update(update: &wire::Update<'_>) -> UpdateRequest {
    UpdateRequest {
        update_id: UpdateId::from_trusted(update.update_id),
        name: UpdateName::from_trusted(update.name),
        input: payload(&update.input),
        identity: update.identity.to_owned(),
    }
}
