//! The JSON shapes that programs get. Lives here: every object of `--json`, and the short texts of events. Must not live
//! here: printing.

mod event;

use serde_json::{Value, json};

use crate::engine::{ActivityView, RunDescription, RunHead, StepState, StepView, UndoState};
use crate::model::{Failure, FailureKind, Outcome, ParkReason, Payload, Timestamp};

pub(super) use event::{event, event_text};

/// Adds a field to an object.
pub(super) fn put(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value.into());
    }
}

/// A payload as the JSON that it is; another encoding by its name and size.
pub(super) fn payload(payload: &Payload) -> Value {
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
        FailureKind::Timeout(kind) => {
            set("kind", json!("timeout"));
            set("timeout", json!(kind.to_string()));
        }
        FailureKind::Canceled => set("kind", json!("canceled")),
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
    }
    if let Some(cause) = &failure.cause {
        set("cause", self::failure(cause));
    }
    value
}

/// A run at a glance.
pub(super) fn head(head: &RunHead) -> Value {
    json!({
        "workflow_id": head.workflow_id.as_str(),
        "run_id": head.run_id.to_string(),
        "workflow_type": head.workflow_type.as_str(),
        "status": head.status.as_str(),
        "started_at": time(head.started_at),
        "closed_at": head.closed_at.map(time),
        "turns": head.turns,
        "events": head.next_event.saturating_sub(1),
        "history_bytes": head.history_bytes,
    })
}

/// A run, step by step.
pub(super) fn description(run: &RunDescription) -> Value {
    json!({
        "workflow_id": run.workflow_id.as_str(),
        "run_id": run.run_id.to_string(),
        "workflow_type": run.workflow_type.as_str(),
        "definition": run.definition.map(|digest| digest.to_string()),
        "status": run.status.as_str(),
        "started_at": time(run.started_at),
        "last_turn_at": time(run.last_turn_at),
        "events": run.events,
        "input": payload(&run.input),
        "outcome": run.outcome.as_ref().map(outcome),
        "cancel_requested": run.cancel_requested,
        "parked": run.parked.as_ref().map(parked),
        "halted": run.halted.as_ref().map(failure),
        "waits_for": run.waits_for(),
        "steps": run.steps.iter().map(step).collect::<Vec<_>>(),
        "pending": run.pending.iter().map(activity).collect::<Vec<_>>(),
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
    }
}

fn parked(reason: &ParkReason) -> Value {
    let mut value = json!({"kind": reason.kind(), "text": reason.to_string()});
    if let ParkReason::Nondeterminism { at, expected, recorded } = reason {
        put(&mut value, "at", json!(at));
        put(&mut value, "expected", json!(expected));
        put(&mut value, "recorded", json!(recorded));
    }
    value
}

pub(super) fn step(step: &StepView) -> Value {
    let (output, cause) = match &step.state {
        StepState::Pending | StepState::Skipped => (None, None),
        StepState::Completed { output } => (Some(payload(output)), None),
        StepState::Failed { failure: cause, .. } => (None, Some(failure(cause))),
    };
    json!({
        "step": step.name.as_str(),
        "kind": kind_text(step),
        "state": state_text(step),
        "attempts": step.attempts,
        "output": output,
        "failure": cause,
        "undo": undo_text(step),
        "undo_attempts": step.undo_attempts,
    })
}

fn activity(activity: &ActivityView) -> Value {
    json!({
        "activity_id": activity.activity_id.as_str(),
        "activity_type": activity.activity_type.as_str(),
        "step": activity.step.as_ref().map(|step| step.as_str()),
        "compensation": activity.is_compensation,
        "attempt": activity.attempt,
        "due": time(activity.due),
        "last_failure": activity.last_failure.as_ref().map(failure),
        "stuck": activity.stuck,
    })
}

pub(super) fn kind_text(step: &StepView) -> &'static str {
    use crate::model::StepKind;
    match step.kind {
        StepKind::Compensatable => "compensatable",
        StepKind::Pivot => "pivot",
        StepKind::Retriable => "retriable",
    }
}

pub(super) fn state_text(step: &StepView) -> &'static str {
    match &step.state {
        StepState::Pending => "pending",
        StepState::Skipped => "skipped",
        StepState::Completed { .. } => "completed",
        StepState::Failed { .. } => "failed",
    }
}

pub(super) fn undo_text(step: &StepView) -> &'static str {
    match step.undo {
        UndoState::NotOwed => "not owed",
        UndoState::Owed => "owed",
        UndoState::Running(_) => "running",
        UndoState::Done => "done",
        UndoState::Skipped => "skipped",
        UndoState::Stuck => "stuck",
    }
}
