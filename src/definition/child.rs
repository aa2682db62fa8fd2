//! `saga` steps as activities. Lives here: what such an activity gets. Must not live here: running or undoing a child.

use std::time::Duration;

use serde_json::Value;

use crate::model::limits;

pub use crate::model::{SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};

/// A child saga has its own time limits; the attempt that waits for it has none.
pub(super) const NO_LIMIT: Duration = limits::CHILD_START_TO_CLOSE;

/// The input of a [`SAGA_ACTIVITY`].
pub type ChildSaga = crate::model::ChildSaga<Value>;
