//! Updates, and what a run says to others, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{chain, payload};
use crate::model::EventAttributes;

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
        other => unreachable!("{} is written by the caller", other.kind()),
    }
}
