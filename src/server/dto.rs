//! The JSON shapes that programs get. Lives here: every object of `--json`, and the short texts of events. Must not live
//! here: printing.

mod attribute;
mod event;
mod run;
mod schedule;

use serde_json::{Value, json};

use crate::engine::RunHead;
use crate::model::{Failure, FailureKind, Outcome, Payload, SearchAttributes, Timestamp};

pub(super) use event::{event, event_text};
pub(super) use run::{description, state_text, step, stuck, undo_text};
pub(super) use schedule::{calendar_text, interval_text, schedule};

/// Adds a field to an object.
pub(super) fn put(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value.into());
    }
}

/// A payload as the JSON that it is; another encoding by its name and size.
pub(in crate::server) fn payload(payload: &Payload) -> Value {
    payload
        .to()
        .unwrap_or_else(|_| json!({"encoding": payload.encoding(), "bytes": payload.data().len()}))
}

pub(super) fn time(time: Timestamp) -> Value {
    Value::String(time.to_string())
}

pub(super) fn failure(failure: &Failure) -> Value {
    let mut value = json!({"message": failure.message, "text": failure.to_string()});
    let mut set = |key: &str, detail: Value| put(&mut value, key, detail);
    match &failure.kind {
        FailureKind::Application(application) => {
            set("kind", json!("application"));
            set("type", json!(application.type_name));
            set("non_retryable", json!(application.non_retryable));
            set("not_applied", json!(application.not_applied));
            if let Some(details) = &application.details {
                set("details", payload(details));
            }
        }
        FailureKind::Timeout { kind, last_heartbeat } => {
            set("kind", json!("timeout"));
            set("timeout", json!(kind.to_string()));
            if let Some(details) = last_heartbeat {
                set("last_heartbeat", payload(details));
            }
        }
        FailureKind::Canceled { details } => {
            set("kind", json!("canceled"));
            if let Some(details) = details {
                set("details", payload(details));
            }
        }
        FailureKind::Terminated => set("kind", json!("terminated")),
        FailureKind::WorkerLost => set("kind", json!("worker-lost")),
        FailureKind::Activity {
            activity_id,
            activity_type,
            retry_state,
        } => {
            set("kind", json!("activity"));
            set("activity_id", json!(activity_id.as_str()));
            set("activity_type", json!(activity_type.as_str()));
            set("retry_state", json!(event::retry_state(*retry_state)));
        }
        FailureKind::ChildWorkflow(child) => {
            set("kind", json!("child-workflow"));
            set("workflow_id", json!(child.workflow_id.as_str()));
            set("run_id", json!(child.run_id.map(|run_id| run_id.to_string())));
            set("workflow_type", json!(child.workflow_type.as_str()));
        }
    }
    if let Some(cause) = &failure.cause {
        set("cause", self::failure(cause));
    }
    value
}

/// A run at a glance.
pub(super) fn head(head: &RunHead) -> Value {
    json!({
        "namespace": head.workflow_id.namespace(),
        "workflow_id": head.workflow_id.as_str(),
        "run_id": head.run_id.to_string(),
        "workflow_type": head.workflow_type.as_str(),
        "status": head.status.as_str(),
        "started_at": time(head.started_at),
        "closed_at": head.closed_at.map(time),
        "turns": head.turns,
        "events": head.next_event.saturating_sub(1),
        "history_bytes": head.history_bytes,
        "parent": head.found_by.as_ref().and_then(|found_by| found_by.parent.as_ref()).map(|parent| json!({
            "workflow_id": parent.workflow_id.as_str(), "run_id": parent.run_id.to_string(),
        })),
        "search_attributes": attribute::all(head.search_attributes().unwrap_or(&SearchAttributes::new())),
    })
}

/// How a run ended: its status, and its result or failure.
pub(super) fn outcome(outcome: &Outcome) -> Value {
    let status = outcome.status().as_str();
    match outcome {
        Outcome::Completed(result) => json!({"status": status, "result": payload(result)}),
        Outcome::Amended(cause) | Outcome::Failed(cause) | Outcome::Canceled(cause) => {
            json!({"status": status, "failure": failure(cause)})
        }
        Outcome::Terminated { reason } => json!({"status": status, "reason": reason}),
        Outcome::TimedOut => json!({"status": status}),
        Outcome::ContinuedAsNew { new_run_id } => json!({"status": status, "new_run_id": new_run_id.to_string()}),
    }
}
