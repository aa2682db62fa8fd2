//! Failures as `temporal.api.failure.v1.Failure`, both ways. Must not live here: what failed.
//!
//! What Temporal's form has no place for is said by `source`, which names who made the failure.

use serde_json::{Value, json};

use crate::model::{ActivityId, ActivityType, Application, Failure, FailureKind, RetryState, TimeoutKind, limits};

use super::HistoryError;
use super::child;
use super::fields::Fields;
use super::value::{self, put};

const SOURCE: &str = "amends";
/// The participant is sure that nothing happened.
const SOURCE_NOT_APPLIED: &str = "amends/not-applied";
/// The process that ran the attempt is gone.
const SOURCE_WORKER_LOST: &str = "amends/worker-lost";

const RETRY_STATES: [(&str, RetryState); 5] = [
    ("NON_RETRYABLE_FAILURE", RetryState::NonRetryable),
    ("TIMEOUT", RetryState::Timeout),
    ("MAXIMUM_ATTEMPTS_REACHED", RetryState::MaximumAttemptsReached),
    ("RETRY_POLICY_NOT_SET", RetryState::RetryPolicyNotSet),
    ("CANCEL_REQUESTED", RetryState::CancelRequested),
];

const TIMEOUT_KINDS: [(&str, TimeoutKind); 4] = [
    ("SCHEDULE_TO_CLOSE", TimeoutKind::ScheduleToClose),
    ("SCHEDULE_TO_START", TimeoutKind::ScheduleToStart),
    ("START_TO_CLOSE", TimeoutKind::StartToClose),
    ("HEARTBEAT", TimeoutKind::Heartbeat),
];

pub(super) fn failure(failure: &Failure) -> Value {
    let mut value = json!({"message": failure.message, "source": SOURCE});
    match &failure.kind {
        FailureKind::Application(application) => {
            if application.not_applied {
                put(&mut value, "source", SOURCE_NOT_APPLIED);
            }
            let info = json!({
                "type": application.type_name,
                "nonRetryable": application.non_retryable,
                "details": application.details.as_ref().map(value::payloads),
                "nextRetryDelay": application.next_retry_delay.map(value::duration),
            });
            put(&mut value, "applicationFailureInfo", info);
        }
        FailureKind::Timeout { kind, last_heartbeat } => {
            let info = json!({
                "timeoutType": named("TIMEOUT_TYPE", &TIMEOUT_KINDS, *kind),
                "lastHeartbeatDetails": last_heartbeat.as_ref().map(value::payloads),
            });
            put(&mut value, "timeoutFailureInfo", info);
        }
        FailureKind::Canceled { details: None } => put(&mut value, "canceledFailureInfo", json!({})),
        FailureKind::Canceled { details: Some(details) } => {
            put(
                &mut value,
                "canceledFailureInfo",
                json!({"details": value::payloads(details)}),
            );
        }
        FailureKind::Terminated => put(&mut value, "terminatedFailureInfo", json!({})),
        FailureKind::WorkerLost => {
            put(&mut value, "source", SOURCE_WORKER_LOST);
            put(&mut value, "serverFailureInfo", json!({"nonRetryable": false}));
        }
        FailureKind::Activity {
            activity_id,
            activity_type,
            retry_state: state,
        } => {
            let info = json!({
                "activityId": activity_id.as_str(),
                "activityType": {"name": activity_type.as_str()},
                "retryState": retry_state(*state),
            });
            put(&mut value, "activityFailureInfo", info);
        }
        FailureKind::ChildWorkflow(child) => {
            put(
                &mut value,
                "childWorkflowExecutionFailureInfo",
                child::failure_info(child),
            );
        }
    }
    if let Some(cause) = &failure.cause {
        put(&mut value, "cause", self::failure(cause));
    }
    value
}

pub(super) fn read(fields: &Fields<'_>) -> Result<Failure, HistoryError> {
    read_at(fields, limits::FAILURE_CAUSES_MAX)
}

/// Causes deeper than the limit are cut.
fn read_at(fields: &Fields<'_>, depth: usize) -> Result<Failure, HistoryError> {
    let cause = match fields.object("cause")? {
        Some(cause) if depth > 0 => Some(Box::new(read_at(&cause, depth - 1)?)),
        _ => None,
    };
    Ok(Failure {
        message: fields.text("message")?,
        kind: read_kind(fields)?,
        cause,
    })
}

fn read_kind(fields: &Fields<'_>) -> Result<FailureKind, HistoryError> {
    let source = fields.text("source")?;
    if source == SOURCE_WORKER_LOST {
        return Ok(FailureKind::WorkerLost);
    }
    if let Some(info) = fields.object("applicationFailureInfo")? {
        return Ok(FailureKind::Application(Application {
            type_name: info.text("type")?,
            non_retryable: info.flag("nonRetryable")?,
            not_applied: source == SOURCE_NOT_APPLIED,
            next_retry_delay: info.duration("nextRetryDelay")?,
            details: details(&info, "details")?,
        }));
    }
    if let Some(info) = fields.object("timeoutFailureInfo")? {
        return Ok(FailureKind::Timeout {
            kind: meaning(&info, "timeoutType", "TIMEOUT_TYPE", &TIMEOUT_KINDS)?,
            last_heartbeat: details(&info, "lastHeartbeatDetails")?,
        });
    }
    if let Some(info) = fields.object("canceledFailureInfo")? {
        let details = details(&info, "details")?;
        return Ok(FailureKind::Canceled { details });
    }
    if fields.object("terminatedFailureInfo")?.is_some() {
        return Ok(FailureKind::Terminated);
    }
    if let Some(info) = fields.object("activityFailureInfo")? {
        let activity_type = info.needed("activityType")?.id::<ActivityType>("name")?;
        let activity_id: Option<ActivityId> = info.id_or_none("activityId")?;
        return Ok(FailureKind::Activity {
            activity_id: activity_id.unwrap_or_else(|| ActivityId::from_trusted(activity_type.as_str())),
            activity_type,
            retry_state: read_retry_state(&info)?,
        });
    }
    if let Some(info) = fields.object("childWorkflowExecutionFailureInfo")? {
        return Ok(FailureKind::ChildWorkflow(Box::new(child::read_failure_info(&info)?)));
    }
    // Of a server, an operation: what it is called says what it was.
    let info = fields.entries().find(|(name, _)| name.ends_with("Info"));
    Ok(FailureKind::Application(Application {
        type_name: info.map_or("", |(name, _)| name.trim_end_matches("Info")).to_owned(),
        ..Application::default()
    }))
}

pub(super) fn details(info: &Fields<'_>, key: &str) -> Result<Option<crate::model::Payload>, HistoryError> {
    info.object(key)?.map(|list| value::read_payloads(&list)).transpose()
}

pub(super) fn retry_state(state: RetryState) -> String {
    named("RETRY_STATE", &RETRY_STATES, state)
}

pub(super) fn read_retry_state(fields: &Fields<'_>) -> Result<RetryState, HistoryError> {
    match fields.word("retryState", "RETRY_STATE")?.as_str() {
        // What the server does not say, or what no run of ours has.
        "" | "UNSPECIFIED" | "IN_PROGRESS" | "INTERNAL_SERVER_ERROR" => Ok(RetryState::RetryPolicyNotSet),
        _ => meaning(fields, "retryState", "RETRY_STATE", &RETRY_STATES),
    }
}

/// The word of an enum that means this.
pub(super) fn named<T: Copy + PartialEq>(prefix: &str, words: &[(&str, T)], meaning: T) -> String {
    let word = words.iter().find(|(_, other)| *other == meaning);
    format!("{prefix}_{}", word.map_or("UNSPECIFIED", |(word, _)| word))
}

pub(super) fn meaning<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    prefix: &str,
    words: &[(&str, T)],
) -> Result<T, HistoryError> {
    let word = fields.word(key, prefix)?;
    let found = words.iter().find(|(known, _)| *known == word);
    found
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| fields.error(format!("{key}: {word:?} is not known")))
}
