//! The markers that Temporal's SDKs write, both ways: patches, versions, local activities. Must not live here: markers of the
//! code, and of ours (`ours`).

use serde_json::{Value, json};

use crate::model::{
    ActivityType, ChangeId, EventAttributes, Failure, FailureKind, LocalActivityEnded, Payload, RetryState, Timestamp,
    VersionMarker,
};

use super::activity::OURS;
use super::fields::Fields;
use super::{HistoryError, failure, value};

/// The marker of a local activity that has ended; the name is that of Temporal's Rust core.
pub(super) const LOCAL: &str = "core_local_activity";

/// As Temporal's SDKs write them.
pub(super) fn version(marker: &VersionMarker) -> Value {
    let one = |of: Value| json!({"payloads": [value::enclosed(of)]});
    let id = marker.id().as_str();
    match marker {
        VersionMarker::Patch { deprecated, .. } => {
            json!({"patch-data": one(json!({"id": id, "deprecated": deprecated}))})
        }
        VersionMarker::Version { version, .. } => json!({"change-id": one(json!(id)), "version": one(json!(version))}),
    }
}

/// As Temporal's Rust core writes it, but before the turn that heard of it: so it belongs to no turn.
pub(super) fn local(ended: &LocalActivityEnded, at: Timestamp) -> Value {
    let micros = at.as_micros();
    let at = json!({"seconds": micros.div_euclid(1_000_000), "nanos": micros.rem_euclid(1_000_000) * 1_000});
    let (result, failure, retry_state) = match &ended.outcome {
        Ok(result) => (Some(result), None, None),
        Err(failure) => match wrapped(ended, failure) {
            Some((cause, retry_state)) => (None, Some(cause), Some(retry_state)),
            None => (None, Some(failure), None),
        },
    };
    let mut data = json!({
        "seq": ended.seq, "activity_id": ended.seq.to_string(), "activity_type": ended.activity_type.as_str(),
        // The core insists on these. Tries in place are not recorded here: what counts is how it ended.
        "attempt": 1, "original_schedule_time": at, "complete_time": at, "backoff": null,
    });
    if let Some(retry_state) = retry_state {
        value::put(
            &mut data,
            OURS,
            json!({"retryState": failure::retry_state(retry_state)}),
        );
    }
    json!({
        "markerName": LOCAL, "failure": failure.map(failure::failure),
        "details": {"data": {"payloads": [value::enclosed_with_nulls(&data)]}, "result": result.map(value::payloads)},
    })
}

/// What a local activity failed with, and why it was not tried again. Temporal's SDKs keep only the first in their markers, and
/// hand it to the code as it is there: wrapped in one of an activity it would be another failure to them.
fn wrapped<'a>(ended: &LocalActivityEnded, failure: &'a Failure) -> Option<(&'a Failure, RetryState)> {
    let FailureKind::Activity { retry_state, .. } = failure.kind else {
        return None;
    };
    let cause = failure.cause.as_deref()?;
    let again = LocalActivityEnded::recorded(ended.seq, ended.activity_type.clone(), retry_state, cause.clone());
    (again == *failure).then_some((cause, retry_state))
}

#[derive(serde::Deserialize)]
struct Patch {
    id: String,
    #[serde(default)]
    deprecated: bool,
}

pub(super) fn read_patch(fields: &Fields<'_>, data: &Payload) -> Result<EventAttributes, HistoryError> {
    let patch: Patch = data.to().map_err(|error| fields.error(format!("a patch: {error}")))?;
    let id = ChangeId::new(patch.id).map_err(|error| fields.error(error.to_string()))?;
    let deprecated = patch.deprecated;
    Ok(EventAttributes::VersionMarkerRecorded(VersionMarker::Patch {
        id,
        deprecated,
    }))
}

pub(super) fn read_version(
    fields: &Fields<'_>,
    id: &Option<Payload>,
    version: &Option<Payload>,
) -> Result<EventAttributes, HistoryError> {
    let (Some(id), Some(version)) = (id, version) else {
        return Err(fields.error("a version marker has change-id and version"));
    };
    let wrong = |error: crate::model::PayloadError| fields.error(format!("a version: {error}"));
    let id = ChangeId::new(id.to::<String>().map_err(wrong)?).map_err(|error| fields.error(error.to_string()))?;
    let version = version.to().map_err(wrong)?;
    Ok(EventAttributes::VersionMarkerRecorded(VersionMarker::Version {
        id,
        version,
    }))
}

#[derive(serde::Deserialize)]
struct Local {
    seq: u32,
    activity_type: String,
    #[serde(rename = "amends")]
    ours: Option<Value>,
}

pub(super) fn read_local(
    fields: &Fields<'_>,
    data: &Payload,
    result: Option<Payload>,
) -> Result<EventAttributes, HistoryError> {
    let local: Local = data
        .to()
        .map_err(|error| fields.error(format!("a local activity: {error}")))?;
    let activity_type = local.activity_type.parse();
    let activity_type: ActivityType =
        activity_type.map_err(|error: crate::model::IdError| fields.error(error.to_string()))?;
    let outcome = match fields.object("failure")? {
        Some(failure) => {
            let cause = failure::read(&failure)?;
            Err(match &local.ours {
                Some(ours) => {
                    let retry_state = failure::read_retry_state(&Fields::of(ours, fields.event())?)?;
                    LocalActivityEnded::recorded(local.seq, activity_type.clone(), retry_state, cause)
                }
                None => cause,
            })
        }
        None => Ok(result.unwrap_or_default()),
    };
    let ended = LocalActivityEnded {
        seq: local.seq,
        activity_type,
        outcome,
    };
    Ok(EventAttributes::LocalActivityEnded(Box::new(ended)))
}
