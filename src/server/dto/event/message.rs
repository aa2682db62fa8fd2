//! Updates, and what a run says to others, for programs and people. Must not live here: any other event.

use serde_json::{Value, json};

use crate::model::{EventAttributes, Failure, Payload, RunId};
use crate::server::text as words;

use super::super::{failure, payload};
use super::child;

pub(super) fn attributes(attributes: &EventAttributes) -> Value {
    use EventAttributes as E;
    let run = |run_id: &Option<RunId>| run_id.map(|run_id| run_id.to_string());
    match attributes {
        E::Child(event) => child::attributes(event),
        E::WorkflowExecutionUpdateAccepted(update) => json!({
            "update_id": update.update_id.as_str(), "name": update.name.as_str(), "input": payload(&update.input),
            "identity": update.identity,
        }),
        E::WorkflowExecutionUpdateCompleted(completed) => json!({
            "update_id": completed.update_id.as_str(), "accepted": completed.accepted.0,
            "result": completed.outcome.as_ref().ok().map(payload),
            "failure": completed.outcome.as_ref().err().map(failure),
        }),
        E::SignalExternalWorkflowExecutionInitiated(signal) => json!({
            "workflow_id": signal.workflow_id.as_str(), "run_id": run(&signal.run_id), "name": signal.name.as_str(),
            "input": payload(&signal.input),
        }),
        E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => json!({
            "workflow_id": cancel.workflow_id.as_str(), "run_id": run(&cancel.run_id), "reason": cancel.reason,
        }),
        E::SignalExternalWorkflowExecutionFailed {
            initiated,
            failure: cause,
        }
        | E::RequestCancelExternalWorkflowExecutionFailed {
            initiated,
            failure: cause,
        } => json!({"initiated": initiated.0, "failure": failure(cause)}),
        E::ExternalWorkflowExecutionSignaled { initiated }
        | E::ExternalWorkflowExecutionCancelRequested { initiated } => json!({"initiated": initiated.0}),
        E::WorkflowExecutionReset(reset) => json!({
            "base_run_id": reset.base_run_id.to_string(), "original_run_id": reset.original_run_id.to_string(),
            "reason": reset.reason, "identity": reset.identity,
            "updates": reset.updates.iter().map(|update| update.update_id.as_str()).collect::<Vec<_>>(),
            "left": reset.left.iter().map(|step| step.as_str()).collect::<Vec<_>>(),
        }),
        _ => json!({}),
    }
}

pub(super) fn text(attributes: &EventAttributes) -> String {
    use EventAttributes as E;
    match attributes {
        E::WorkflowExecutionUpdateAccepted(update) => {
            format!("{} {} {:?}", update.update_id, update.name, update.input)
        }
        E::WorkflowExecutionUpdateCompleted(completed) => {
            format!("{}: {}", completed.update_id, outcome(&completed.outcome))
        }
        E::SignalExternalWorkflowExecutionInitiated(signal) => {
            format!("{} {} {:?}", signal.workflow_id, signal.name, signal.input)
        }
        E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => {
            format!("{}: {}", cancel.workflow_id, cancel.reason)
        }
        E::SignalExternalWorkflowExecutionFailed { initiated, failure }
        | E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure } => {
            format!("of {initiated}: {}", words::failure(failure))
        }
        E::ExternalWorkflowExecutionSignaled { initiated }
        | E::ExternalWorkflowExecutionCancelRequested { initiated } => format!("of {initiated}"),
        E::WorkflowExecutionReset(reset) => {
            format!(
                "made of run {}: {} (by {})",
                reset.base_run_id, reset.reason, reset.identity
            )
        }
        _ => String::new(),
    }
}

fn outcome(outcome: &Result<Payload, Failure>) -> String {
    match outcome {
        Ok(result) => format!("{result:?}"),
        Err(failure) => words::failure(failure),
    }
}
