//! History events for programs and, on one line each, for people. Must not live here: any other shape.

mod chain;
mod child;
mod message;
mod saga;

use serde_json::{Value, json};

use crate::model::{
    ActivityRole, ContinuedAsNew, Event, EventAttributes, EventId, RetryState, RunStarted, TaskQueue, UnwindCause,
    VersionMarker,
};

use crate::server::text;

use super::{attribute, failure, payload, put, time};

/// An event with all its attributes.
pub(in crate::server) fn event(event: &Event) -> Value {
    let mut value = attributes(&event.attributes);
    put(&mut value, "id", event.id.0);
    put(&mut value, "time", time(event.time));
    put(&mut value, "type", event.attributes.kind());
    value
}

fn attributes(attributes: &EventAttributes) -> Value {
    use EventAttributes as E;
    let id = |id: &EventId| json!(id.0);
    match attributes {
        E::WorkflowExecutionStarted(run) => started(run),
        E::WorkflowExecutionCompleted { result } => json!({"result": payload(result)}),
        E::WorkflowExecutionFailed {
            failure: cause,
            amended,
        }
        | E::WorkflowExecutionCanceled {
            failure: cause,
            amended,
        } => {
            json!({"failure": failure(cause), "amended": amended})
        }
        E::WorkflowExecutionTimedOut { amended } => json!({"amended": amended}),
        E::WorkflowExecutionTerminated { reason, identity }
        | E::WorkflowExecutionPaused { reason, identity }
        | E::WorkflowExecutionUnpaused { reason, identity }
        | E::WorkflowExecutionCancelRequested { reason, identity } => json!({"reason": reason, "identity": identity}),
        E::WorkflowExecutionSignaled(signal) => json!({
            "name": signal.name.as_str(), "input": payload(&signal.input),
            "request_id": signal.request_id.as_ref().map(|request| request.as_str()), "identity": signal.identity,
        }),
        E::WorkflowExecutionContinuedAsNew(next) => continued_as_new(next),
        E::WorkflowTask(task) => json!({"identity": task.identity}),
        E::ActivityTaskScheduled(scheduled) => json!({
            "activity_id": scheduled.activity_id.as_str(), "activity_type": scheduled.activity_type.as_str(),
            "input": payload(&scheduled.input),
            "task_queue": scheduled.options.task_queue.as_ref().map(TaskQueue::as_str),
            "step": scheduled.step().map(|step| step.name.as_str()),
            "undoes": scheduled.undoes().map(|step| step.0),
            "verifies": match scheduled.role {
                ActivityRole::Verification(step) => Some(step.0),
                _ => None,
            },
        }),
        E::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        } => json!({
            "scheduled": id(scheduled), "attempt": attempt, "last_failure": last_failure.as_ref().map(failure),
        }),
        E::ActivityTaskCompleted {
            scheduled,
            started,
            result,
        } => {
            json!({"scheduled": id(scheduled), "started": id(started), "result": payload(result)})
        }
        E::ActivityTaskFailed {
            scheduled,
            started,
            failure: cause,
            retry_state: state,
        } => json!({
            "scheduled": id(scheduled), "started": id(started), "failure": failure(cause),
            "retry_state": retry_state(*state),
        }),
        E::ActivityTaskTimedOut {
            scheduled,
            started,
            failure: cause,
            retry_state: state,
        } => json!({
            "scheduled": id(scheduled), "started": started.as_ref().map(id), "failure": failure(cause),
            "retry_state": retry_state(*state),
        }),
        E::ActivityTaskCancelRequested { scheduled } => json!({"scheduled": id(scheduled)}),
        E::ActivityTaskCanceled {
            scheduled,
            started,
            details,
        } => json!({
            "scheduled": id(scheduled), "started": started.as_ref().map(id), "details": details.as_ref().map(payload),
        }),
        E::TimerStarted { timer_id, fire_at } => json!({"timer_id": timer_id.as_str(), "fire_at": time(*fire_at)}),
        E::TimerFired { timer_id, started } | E::TimerCanceled { timer_id, started } => {
            json!({"timer_id": timer_id.as_str(), "started": id(started)})
        }
        E::LocalActivityEnded(ended) => json!({
            "seq": ended.seq, "activity_type": ended.activity_type.as_str(),
            "result": ended.outcome.as_ref().ok().map(payload), "failure": ended.outcome.as_ref().err().map(failure),
        }),
        E::MarkerRecorded { name, details } => json!({"name": name, "details": payload(details)}),
        E::UpsertWorkflowSearchAttributes(changes) => attribute::changes(changes),
        E::WorkflowPropertiesModified(changes) => attribute::memo_changes(changes),
        E::VersionMarkerRecorded(marker) => json!({"name": marker.name(), "details": version_details(marker)}),
        E::SagaUnwindStarted(unwind) => {
            json!({"cause": unwind_cause(&unwind.cause), "failure": failure(&unwind.cause.failure())})
        }
        E::SagaStuck(stuck) => json!({
            "step": stuck.step.as_ref().map(id), "reason": stuck.reason.to_string(), "failure": failure(&stuck.failure),
        }),
        _ => saga::attributes(attributes),
    }
}

fn started(started: &RunStarted) -> Value {
    json!({
        "workflow_id": started.workflow_id.as_str(), "run_id": started.run_id.to_string(),
        "workflow_type": started.workflow_type.as_str(),
        "definition": started.definition.map(|digest| digest.to_string()),
        "input": payload(&started.input),
        "request_id": started.request_id.as_ref().map(|request| request.as_str()),
        "run_timeout_ms": started.run_timeout.map(|limit| limit.as_millis()), "identity": started.identity,
        "search_attributes": attribute::all(&started.search_attributes), "memo": attribute::whole_memo(&started.memo),
        "task_queue": started.task_queue.as_ref().map(TaskQueue::as_str),
        "chain": started.chain.as_deref().map(chain::chain),
    })
}

fn continued_as_new(next: &ContinuedAsNew) -> Value {
    json!({
        "new_run_id": next.new_run_id.to_string(), "workflow_type": next.workflow_type.as_str(),
        "input": payload(&next.input), "run_timeout_ms": next.run_timeout.map(|limit| limit.as_millis()),
    })
}

/// What matters about an event, on one line.
pub(in crate::server) fn event_text(attributes: &EventAttributes) -> String {
    use EventAttributes as E;
    match attributes {
        E::WorkflowExecutionStarted(started) => format!("{} {:?}", started.workflow_type, started.input),
        E::WorkflowExecutionCompleted { result } => format!("{result:?}"),
        E::WorkflowExecutionFailed { failure, amended } | E::WorkflowExecutionCanceled { failure, amended } => {
            format!("{}{}", amended_text(*amended), text::failure(failure))
        }
        E::WorkflowExecutionTimedOut { amended } => amended_text(*amended).trim_end_matches(": ").to_owned(),
        E::WorkflowExecutionTerminated { reason, identity }
        | E::WorkflowExecutionPaused { reason, identity }
        | E::WorkflowExecutionUnpaused { reason, identity }
        | E::WorkflowExecutionCancelRequested { reason, identity } => format!("{reason} (by {identity})"),
        E::WorkflowExecutionSignaled(signal) => format!("{} {:?}", signal.name, signal.input),
        E::WorkflowExecutionContinuedAsNew(next) => {
            format!("as run {}: {} {:?}", next.new_run_id, next.workflow_type, next.input)
        }
        E::WorkflowTask(task) => task.identity.clone(),
        E::ActivityTaskScheduled(scheduled) => {
            let what = format!("{} {}", scheduled.activity_id, scheduled.activity_type);
            match &scheduled.role {
                ActivityRole::Plain => what,
                ActivityRole::Step(step) => format!("step {}: {}", step.name, scheduled.activity_type),
                ActivityRole::Compensation(step) => format!("undoes {step}: {what}"),
                ActivityRole::Verification(step) => format!("verifies {step}: {what}"),
                ActivityRole::Escalation(_) => format!("calls for help: {what}"),
            }
        }
        E::LocalActivityEnded(ended) => match &ended.outcome {
            Ok(result) => format!("{}: {result:?}", ended.activity_type),
            Err(failure) => format!("{}: {}", ended.activity_type, text::failure(failure)),
        },
        E::ActivityTaskStarted { scheduled, attempt, .. } => format!("of {scheduled}: attempt {attempt}"),
        E::ActivityTaskCompleted { scheduled, result, .. } => format!("of {scheduled}: {result:?}"),
        E::ActivityTaskFailed {
            scheduled,
            failure,
            retry_state: state,
            ..
        }
        | E::ActivityTaskTimedOut {
            scheduled,
            failure,
            retry_state: state,
            ..
        } => {
            format!("of {scheduled}: {failure} ({})", retry_state(*state))
        }
        E::ActivityTaskCancelRequested { scheduled } | E::ActivityTaskCanceled { scheduled, .. } => {
            format!("of {scheduled}")
        }
        E::TimerStarted { timer_id, fire_at } => format!("{timer_id} until {fire_at}"),
        E::TimerFired { timer_id, .. } | E::TimerCanceled { timer_id, .. } => timer_id.to_string(),
        E::MarkerRecorded { name, details } => format!("{name} {details:?}"),
        E::VersionMarkerRecorded(marker) => marker.to_string(),
        E::Child(event) => child::text(event),
        E::UpsertWorkflowSearchAttributes(changes) => attribute::text(changes, ToString::to_string),
        E::WorkflowPropertiesModified(changes) => attribute::text(changes, |value| format!("{value:?}")),
        E::SagaUnwindStarted(unwind) => {
            let failure = text::failure(&unwind.cause.failure());
            format!("{}: {failure}", unwind_cause(&unwind.cause))
        }
        E::SagaStuck(stuck) => {
            let step = stuck.step.map(|step| format!("of {step}: ")).unwrap_or_default();
            format!("{step}{}: {}", stuck.reason, text::failure(&stuck.failure))
        }
        _ => saga::text(attributes),
    }
}

/// As Temporal's SDKs write them.
fn version_details(marker: &VersionMarker) -> Value {
    let id = marker.id().as_str();
    match marker {
        VersionMarker::Patch { deprecated, .. } => json!({"patch-data": {"id": id, "deprecated": deprecated}}),
        VersionMarker::Version { version, .. } => json!({"change-id": id, "version": version}),
    }
}

fn amended_text(amended: bool) -> &'static str {
    match amended {
        true => "amended: ",
        false => "",
    }
}

fn unwind_cause(cause: &UnwindCause) -> &'static str {
    match cause {
        UnwindCause::Failed(_) => "failed",
        UnwindCause::Canceled(_) => "canceled",
        UnwindCause::TimedOut => "timed out",
    }
}

pub(super) fn retry_state(state: RetryState) -> &'static str {
    match state {
        RetryState::NonRetryable => "non-retryable",
        RetryState::Timeout => "timeout",
        RetryState::MaximumAttemptsReached => "maximum-attempts-reached",
        RetryState::RetryPolicyNotSet => "retry-policy-not-set",
        RetryState::CancelRequested => "cancel-requested",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeId;

    #[test]
    fn versions_are_told_as_the_markers_of_temporals_sdks() {
        let id = || ChangeId::from_trusted("fraud-check");
        let deprecated = true;
        for (marker, told, line) in [
            (
                VersionMarker::Patch { id: id(), deprecated },
                json!({"name": "core_patch", "details": {"patch-data": {"id": "fraud-check", "deprecated": true}}}),
                "core_patch \"fraud-check\" (deprecated)",
            ),
            (
                VersionMarker::Version { id: id(), version: 2 },
                json!({"name": "Version", "details": {"change-id": "fraud-check", "version": 2}}),
                "Version \"fraud-check\" = 2",
            ),
        ] {
            let event = EventAttributes::VersionMarkerRecorded(marker);
            assert_eq!(event.kind(), "MarkerRecorded");
            assert_eq!(attributes(&event), told);
            assert_eq!(event_text(&event), line);
        }
    }
}
