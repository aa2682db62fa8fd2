//! Updates, and what a run says to others, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{chain, child, payload};
use crate::model::{EventAttributes, ExternalMessage, LeftMessage, MessageKey, ResetAttempt, UpdateRequest};

/// Everything that nobody else has written.
pub(super) fn attributes(attributes: &EventAttributes) -> wire::Message<'_> {
    use EventAttributes as E;
    use wire::Message as W;
    match attributes {
        E::WorkflowExecutionUpdateAccepted(update) => W::UpdateAccepted {
            update_id: update.update_id.as_str(),
            name: update.name.as_str(),
            input: payload(&update.input),
            identity: &update.identity,
        },
        E::WorkflowExecutionUpdateCompleted(completed) => W::UpdateCompleted {
            update_id: completed.update_id.as_str(),
            accepted: completed.accepted.0,
            outcome: completed.outcome.as_ref().map(payload).map_err(chain),
        },
        E::SignalExternalWorkflowExecutionInitiated(signal) => W::SignalInitiated {
            workflow_id: signal.workflow_id.qualified(),
            run_id: signal.run_id.map(|run_id| *run_id.as_bytes()),
            name: signal.name.as_str(),
            input: payload(&signal.input),
        },
        E::SignalExternalWorkflowExecutionFailed { initiated, failure } => W::SignalFailed {
            initiated: initiated.0,
            failure: chain(failure),
        },
        E::ExternalWorkflowExecutionSignaled { initiated } => W::Signaled { initiated: initiated.0 },
        E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => W::CancelInitiated {
            workflow_id: cancel.workflow_id.qualified(),
            run_id: cancel.run_id.map(|run_id| *run_id.as_bytes()),
            reason: &cancel.reason,
        },
        E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure } => W::CancelFailed {
            initiated: initiated.0,
            failure: chain(failure),
        },
        E::ExternalWorkflowExecutionCancelRequested { initiated } => W::CancelRequested { initiated: initiated.0 },
        E::WorkflowExecutionPaused { reason, identity } => W::Paused { reason, identity },
        E::WorkflowExecutionUnpaused { reason, identity } => W::Unpaused { reason, identity },
        E::WorkflowExecutionReset(reset) => W::Reset {
            base_run_id: *reset.base_run_id.as_bytes(),
            new_run_id: *reset.new_run_id.as_bytes(),
            original_run_id: *reset.original_run_id.as_bytes(),
            reason: &reset.reason,
            identity: &reset.identity,
            request_id: reset.request_id.as_ref().map(|id| id.as_str()),
            attempts: reset.attempts.iter().map(attempt).collect(),
            doubts: reset.doubts.iter().map(|step| step.0).collect(),
            locals: reset.locals.iter().map(|(seq, of)| (*seq, of.as_str())).collect(),
            updates: reset.updates.iter().map(update).collect(),
            children: reset.children.iter().map(child::left).collect(),
            messages: reset.messages.iter().map(left).collect(),
            left: reset.left.iter().map(|step| step.as_str()).collect(),
        },
        other => unreachable!("{} is written by the caller", other.kind()),
    }
}

pub(super) fn key(key: MessageKey) -> wire::MessageKey {
    wire::MessageKey {
        sender_run: *key.sender_run.as_bytes(),
        initiated: key.initiated.0,
    }
}

pub(super) fn left(left: &LeftMessage) -> wire::LeftMessage<'_> {
    wire::LeftMessage {
        key: key(left.key),
        message: match &left.message {
            ExternalMessage::Signal(signal) => wire::External::Signal {
                workflow_id: signal.workflow_id.qualified(),
                run_id: signal.run_id.map(|run_id| *run_id.as_bytes()),
                name: signal.name.as_str(),
                input: payload(&signal.input),
            },
            ExternalMessage::Cancel(cancel) => wire::External::Cancel {
                workflow_id: cancel.workflow_id.qualified(),
                run_id: cancel.run_id.map(|run_id| *run_id.as_bytes()),
                reason: &cancel.reason,
            },
        },
    }
}

fn attempt(of: &ResetAttempt) -> wire::ResetAttempt {
    wire::ResetAttempt {
        scheduled: of.scheduled.0,
        attempt: of.attempt,
        lost: of.lost,
        may_have_applied: of.may_have_applied,
        forgiven: of.forgiven,
    }
}

fn update(update: &UpdateRequest) -> wire::Update<'_> {
    wire::Update {
        update_id: update.update_id.as_str(),
        name: update.name.as_str(),
        input: payload(&update.input),
        identity: &update.identity,
    }
}
