//! Histories in the JSON that Temporal's tools exchange (`temporal workflow show --output json`), both ways. Lives here: the
//! form. Must not live here: files, or running code against a history (`replay`).
//!
//! | Ours | In the JSON |
//! |---|---|
//! | a turn, with its three ids | `WORKFLOW_TASK_SCHEDULED`, `_STARTED`, `_COMPLETED` |
//! | events that Temporal has | those, under the same ids |
//! | events that only sagas have | `MARKER_RECORDED` with our name (`SagaStuck`), everything in its details under `amends` |
//! | what an activity is for its saga; a run's definition and saga options | a field `amends` in the header |
//! | `amended` of an event that ends a run | the event's summary: `amended` |
//! | a failure of which the participant is sure that nothing happened; a lost worker | the failure's `source` |
//! | a reset | a `WORKFLOW_TASK_FAILED` with the cause `RESET_WORKFLOW`, and the two events before it |
//! | versions and patches, local activities | the markers that Temporal's SDKs write |
//! | why a failed local activity was not tried again | a field `amends` of its marker's data |
//!
//! Attempts in progress are not in a history, here as there.

mod activity;
mod attribute;
mod chain;
mod child;
mod events;
mod execution;
mod failure;
mod fields;
mod markers;
mod message;
mod ours;
mod radix64;
mod read;
mod refs;
mod started;
#[cfg(test)]
mod tests;
mod value;
mod write;

use serde_json::Value;

use crate::model::{Event, RunId};

/// The summary of an event that ends a run of which everything is undone.
const AMENDED: &str = "amended";

/// Why a text could not be read as a history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no history.
    #[error("not a history as `temporal workflow show --output json` writes it: {0}")]
    NoHistory(String),
    /// An event is not as it should be.
    #[error("event {event}: {what}")]
    Malformed {
        /// The event's id in the text.
        event: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An event records what runs of amends cannot have, and what the code decides may depend on it.
    #[error("event {event}: {kind} is nothing that a run of amends can have")]
    Unsupported {
        /// The event's id in the text.
        event: u64,
        /// What it is.
        kind: String,
    },
}

/// A history as `temporal workflow show --output json` writes it: `{"events": [..]}`.
///
/// ```
/// use amends::history::{from_temporal_json, to_temporal_json};
/// # let text = r#"{"events": [{"eventId": "1", "eventTime": "2026-01-31T12:00:00Z",
/// #     "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "workflowExecutionStartedEventAttributes":
/// #     {"workflowType": {"name": "hello"}, "workflowId": "hello-1"}}]}"#;
/// let events = from_temporal_json(text)?;
/// let json = to_temporal_json(&events);
/// assert_eq!(json["events"][0]["eventType"], "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED");
/// assert_eq!(from_temporal_json(&json.to_string())?, events);
/// # Ok::<(), amends::history::HistoryError>(())
/// ```
#[must_use]
pub fn to_temporal_json(history: &[Event]) -> Value {
    to_temporal_json_followed_by(history, None)
}

/// The same of a run that another one follows, by its retry policy or its schedule. That is not a part of its history here; the
/// run's description knows it (`RunDescription::next_run_id`).
#[must_use]
pub fn to_temporal_json_followed_by(history: &[Event], next: Option<RunId>) -> Value {
    let mut writer = write::Writer::default();
    history.iter().for_each(|event| writer.event(event));
    writer.finish(next)
}

/// Reads a history as `temporal workflow show --output json` writes it, of a run of amends or of Temporal.
///
/// Both spellings of types are read (`EVENT_TYPE_TIMER_FIRED`, `TimerFired`). Ids are given anew where a turn's three events
/// were not in a row, or a task had failed; what refers to them refers to the new ones.
///
/// # Errors
/// When it is no such history; or when it has an event whose meaning runs of amends do not know (an operation of Nexus, say):
/// what code makes of such a history could not be told.
pub fn from_temporal_json(text: &str) -> Result<Vec<Event>, HistoryError> {
    let value: Value = serde_json::from_str(text)?;
    match value.get("events") {
        Some(Value::Array(events)) => read::Reader::default().history(events),
        _ => Err(HistoryError::NoHistory("it has no list of \"events\"".to_owned())),
    }
}
