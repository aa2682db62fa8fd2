//! A saga as a step of another one. Lives here: the names of the built-in activities that run and undo it, or only wait for a
//! run, and what they are given. Must not live here: running either (`runtime`).

use serde::{Deserialize, Serialize};

/// The activity type that runs a child saga as a step: it starts the child and waits for its end. No registered activity
/// may have this name.
pub const SAGA_ACTIVITY: &str = "amends.saga";

/// The activity type that undoes a child saga as a unit; gets the [`Undo`](super::Undo) of the step. No registered activity
/// may have this name.
pub const SAGA_UNDO_ACTIVITY: &str = "amends.saga.undo";

/// The input of a [`SAGA_ACTIVITY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildSaga<I> {
    /// The child's workflow type; a definition also as `name@version`.
    pub workflow: String,
    /// The child's workflow id. `None`: `<id of the parent>/<name of the step>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The child's own input.
    #[serde(default)]
    pub input: I,
}

/// The activity type that waits for the end of a run that somebody else began, and tells how it ended: its status as one word.
/// It asks nothing of the run, also when it is not wanted any more. Of the engine's own; no registered activity may have this
/// name.
pub const WATCH_ACTIVITY: &str = "amends.watch";

/// The input of a [`WATCH_ACTIVITY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedRun {
    /// The run's workflow id.
    pub workflow_id: String,
    /// This execution, and those that follow it in its chain.
    pub run_id: String,
}
