//! The attributes of events that Temporal has, read. Must not live here: their order and ids (`read`), writing (`write`).

use std::sync::Arc;

use crate::model::{
    ActivityScheduled, EventAttributes, ExternalCancel, ExternalSignal, Failure, Payload, Timestamp, UpdateCompleted,
    UpdateRequest, VersionMarker, WorkflowSignaled,
};

use super::activity;
use super::attribute;
use super::child;
use super::execution::run_id;
use super::fields::Fields;
use super::refs::Refs;
use super::{AMENDED, HistoryError, failure, markers, ours, started, value};

/// What an event has recorded; `None` for a type that is not known here.
pub(super) fn read(
    kind: &str,
    fields: &Fields<'_>,
    time: Timestamp,
    amended: bool,
    refs: &Refs,
) -> Result<Option<EventAttributes>, HistoryError> {
    use EventAttributes as E;
    Ok(Some(match kind {
        "WORKFLOW_EXECUTION_STARTED" => E::WorkflowExecutionStarted(Arc::new(started::read(fields)?)),
        "WORKFLOW_EXECUTION_COMPLETED" => E::WorkflowExecutionCompleted {
            result: fields.payloads("result")?,
        },
        "WORKFLOW_EXECUTION_FAILED" => E::WorkflowExecutionFailed {
            failure: read_failure(fields)?,
            amended,
        },
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW" => {
            E::WorkflowExecutionContinuedAsNew(Box::new(started::read_continued(fields)?))
        }
        "WORKFLOW_EXECUTION_TIMED_OUT" => E::WorkflowExecutionTimedOut { amended },
        "WORKFLOW_EXECUTION_CANCELED" => E::WorkflowExecutionCanceled {
            failure: read_canceled(fields)?,
            amended,
        },
        "WORKFLOW_EXECUTION_TERMINATED" => E::WorkflowExecutionTerminated {
            reason: fields.text("reason")?,
            identity: fields.text("identity")?,
        },
        "WORKFLOW_EXECUTION_PAUSED" => E::WorkflowExecutionPaused {
            reason: fields.text("reason")?,
            identity: fields.text("identity")?,
        },
        "WORKFLOW_EXECUTION_UNPAUSED" => E::WorkflowExecutionUnpaused {
            reason: fields.text("reason")?,
            identity: fields.text("identity")?,
        },
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED" => E::WorkflowExecutionCancelRequested {
            reason: fields.text("cause")?,
            identity: fields.text("identity")?,
        },
        "WORKFLOW_EXECUTION_SIGNALED" => E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: fields.id("signalName")?,
            input: fields.payloads("input")?,
            request_id: fields.id_or_none("requestId")?,
            identity: fields.text("identity")?,
        })),
        "TIMER_STARTED" => E::TimerStarted {
            timer_id: fields.id("timerId")?,
            fire_at: time.after(fields.duration("startToFireTimeout")?.unwrap_or_default()),
        },
        "TIMER_FIRED" => E::TimerFired {
            timer_id: fields.id("timerId")?,
            started: fields.event_id("startedEventId", refs)?,
        },
        "TIMER_CANCELED" => E::TimerCanceled {
            timer_id: fields.id("timerId")?,
            started: fields.event_id("startedEventId", refs)?,
        },
        "MARKER_RECORDED" => read_marker(fields, refs)?,
        _ if kind.starts_with("ACTIVITY_TASK") => return read_activity(kind, fields, refs),
        _ => return read_message(kind, fields, refs),
    }))
}

/// Whether everything that may have had an effect was undone; Temporal has no word for that.
pub(super) fn is_amended(event: &Fields<'_>) -> Result<bool, HistoryError> {
    let Some(metadata) = event.object("userMetadata")? else {
        return Ok(false);
    };
    let summary = metadata.payload("summary")?;
    Ok(summary.is_some_and(|summary| summary.to::<String>().is_ok_and(|summary| summary == AMENDED)))
}

fn read_failure(fields: &Fields<'_>) -> Result<Failure, HistoryError> {
    failure::read(&fields.needed("failure")?)
}

/// How a cancellation was met: a failure when it was met by amends, the details of a cancellation otherwise.
pub(super) fn read_canceled(fields: &Fields<'_>) -> Result<Failure, HistoryError> {
    let plain = || Failure::canceled("the workflow was canceled");
    let details = fields.payloads("details")?;
    let Ok(told) = details.to::<serde_json::Value>() else {
        return Ok(plain());
    };
    match Fields::of(&told, fields.event()) {
        Ok(told)
            if told
                .text("source")
                .is_ok_and(|source| source.starts_with(activity::OURS)) =>
        {
            failure::read(&told)
        }
        _ => Ok(plain()),
    }
}

fn read_activity(kind: &str, fields: &Fields<'_>, refs: &Refs) -> Result<Option<EventAttributes>, HistoryError> {
    use EventAttributes as E;
    let scheduled = || fields.event_id("scheduledEventId", refs);
    let started = || fields.event_id("startedEventId", refs);
    Ok(Some(match kind {
        "ACTIVITY_TASK_SCHEDULED" => E::ActivityTaskScheduled(Arc::new(ActivityScheduled {
            activity_id: fields.id("activityId")?,
            activity_type: fields.needed("activityType")?.id("name")?,
            input: fields.payloads("input")?,
            options: activity::read_options(fields)?,
            role: activity::read_header(fields, refs)?,
        })),
        "ACTIVITY_TASK_STARTED" => E::ActivityTaskStarted {
            scheduled: scheduled()?,
            attempt: fields.number_u32("attempt")?,
            last_failure: fields
                .object("lastFailure")?
                .map(|failure| failure::read(&failure))
                .transpose()?,
        },
        "ACTIVITY_TASK_COMPLETED" => E::ActivityTaskCompleted {
            scheduled: scheduled()?,
            started: started()?,
            result: fields.payloads("result")?,
        },
        "ACTIVITY_TASK_FAILED" => E::ActivityTaskFailed {
            scheduled: scheduled()?,
            started: started()?,
            failure: read_failure(fields)?,
            retry_state: failure::read_retry_state(fields)?,
        },
        "ACTIVITY_TASK_TIMED_OUT" => E::ActivityTaskTimedOut {
            scheduled: scheduled()?,
            started: fields.event_id_or_none("startedEventId", refs)?,
            failure: read_failure(fields)?,
            retry_state: failure::read_retry_state(fields)?,
        },
        "ACTIVITY_TASK_CANCEL_REQUESTED" => E::ActivityTaskCancelRequested {
            scheduled: scheduled()?,
        },
        "ACTIVITY_TASK_CANCELED" => E::ActivityTaskCanceled {
            scheduled: scheduled()?,
            started: fields.event_id_or_none("startedEventId", refs)?,
            details: failure::details(fields, "details")?,
        },
        _ => return Ok(None),
    }))
}

fn read_message(kind: &str, fields: &Fields<'_>, refs: &Refs) -> Result<Option<EventAttributes>, HistoryError> {
    use EventAttributes as E;
    let initiated = || fields.event_id("initiatedEventId", refs);
    Ok(Some(match kind {
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED" => {
            E::WorkflowExecutionUpdateAccepted(Box::new(read_update(&fields.needed("acceptedRequest")?)?))
        }
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED" => {
            let outcome = fields.needed("outcome")?;
            E::WorkflowExecutionUpdateCompleted(Box::new(UpdateCompleted {
                update_id: fields.needed("meta")?.id("updateId")?,
                accepted: fields.event_id("acceptedEventId", refs)?,
                outcome: match outcome.object("failure")? {
                    Some(failure) => Err(failure::read(&failure)?),
                    None => Ok(outcome.payloads("success")?),
                },
            }))
        }
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" => {
            E::UpsertWorkflowSearchAttributes(Box::new(attribute::read_changes(fields, "searchAttributes")?))
        }
        "WORKFLOW_PROPERTIES_MODIFIED" => {
            E::WorkflowPropertiesModified(Box::new(attribute::read_memo_changes(fields, "upsertedMemo")?))
        }
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED" => {
            let execution = fields.needed("workflowExecution")?;
            E::SignalExternalWorkflowExecutionInitiated(Box::new(ExternalSignal {
                workflow_id: execution.id("workflowId")?,
                run_id: run_id(&execution, "runId")?,
                name: fields.id("signalName")?,
                input: fields.payloads("input")?,
            }))
        }
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED" => {
            let execution = fields.needed("workflowExecution")?;
            E::RequestCancelExternalWorkflowExecutionInitiated(Box::new(ExternalCancel {
                workflow_id: execution.id("workflowId")?,
                run_id: run_id(&execution, "runId")?,
                reason: fields.text("reason")?,
            }))
        }
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED" => E::SignalExternalWorkflowExecutionFailed {
            initiated: initiated()?,
            failure: read_refusal(fields, "ExternalWorkflowNotFound")?,
        },
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED" => E::RequestCancelExternalWorkflowExecutionFailed {
            initiated: initiated()?,
            failure: read_refusal(fields, "ExternalWorkflowNotFound")?,
        },
        "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED" => E::ExternalWorkflowExecutionSignaled {
            initiated: initiated()?,
        },
        "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED" => E::ExternalWorkflowExecutionCancelRequested {
            initiated: initiated()?,
        },
        _ => return Ok(child::read(kind, fields, refs)?.map(|child| E::Child(Box::new(child)))),
    }))
}

fn read_update(request: &Fields<'_>) -> Result<UpdateRequest, HistoryError> {
    let (meta, input) = (request.needed("meta")?, request.needed("input")?);
    Ok(UpdateRequest {
        update_id: meta.id("updateId")?,
        name: input.id("name")?,
        input: input.payloads("args")?,
        identity: meta.text("identity")?,
    })
}

/// Why another run does not get a message: said in full by amends, by one word otherwise.
pub(super) fn read_refusal(fields: &Fields<'_>, otherwise: &str) -> Result<Failure, HistoryError> {
    let control = fields.text("control")?;
    if let Ok(told) = serde_json::from_str::<serde_json::Value>(&control)
        && told.is_object()
    {
        return failure::read(&Fields::of(&told, fields.event())?);
    }
    let cause = fields.text("cause")?;
    Ok(Failure::non_retryable(otherwise, cause))
}

fn read_marker(fields: &Fields<'_>, refs: &Refs) -> Result<EventAttributes, HistoryError> {
    let name = fields.text("markerName")?;
    let details = fields.object("details")?;
    if let Some(map) = details
        && map.get(activity::OURS).is_some()
    {
        let told = value::read_enclosed(fields, &map.payloads(activity::OURS)?)?;
        let read = ours::read(&name, &Fields::of(&told, fields.event())?, refs)?;
        return read.ok_or_else(|| fields.error(format!("marker {name:?} is of a newer version of amends")));
    }
    let one = |key: &str| details.map(|details| details.payloads(key)).transpose();
    match name.as_str() {
        VersionMarker::PATCH => markers::read_patch(fields, &one("patch-data")?.unwrap_or_default()),
        VersionMarker::VERSION => markers::read_version(fields, &one("change-id")?, &one("version")?),
        markers::LOCAL => markers::read_local(fields, &one("data")?.unwrap_or_default(), one("result")?),
        _ => Ok(EventAttributes::MarkerRecorded {
            details: read_details(details)?,
            name,
        }),
    }
}

/// A note of the code's. Details of others keep their names.
fn read_details(details: Option<Fields<'_>>) -> Result<Payload, HistoryError> {
    let Some(details) = details else {
        return Ok(Payload::null());
    };
    if details.entries().count() == 1 && details.get("details").is_some() {
        return details.payloads("details");
    }
    let all: serde_json::Map<String, serde_json::Value> =
        details.entries().map(|(key, of)| (key.clone(), of.clone())).collect();
    Payload::json(&all).map_err(|error| details.error(error.to_string()))
}
