//! `saga` steps as activities. Lives here: the names of the activities that run and undo a child saga, and what they get.
//! Must not live here: running or undoing one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The activity type that runs a `saga` step: it starts the child and waits for its end.
pub const SAGA_ACTIVITY: &str = "amends.saga";

/// The activity type that undoes a child saga as a unit; gets the [`Undo`](crate::model::Undo) of the `saga` step.
pub const SAGA_UNDO_ACTIVITY: &str = "amends.saga.undo";

/// A child saga has its own time limits; the attempt that waits for it has none. (A start-to-close is always a number.)
pub(super) const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The input of a [`SAGA_ACTIVITY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildSaga {
    /// The child's workflow type: a saga by name, or by `name@version`.
    pub workflow: String,
    /// The child's workflow id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its input.
    #[serde(default)]
    pub input: Value,
}
