//! The state of one run: what its history folds to.

use crate::model::RunStarted;

/// The state of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    started: Option<Box<RunStarted>>,
}

impl RunState {
    /// Attributes of the run's first event; `None` before it.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.started.as_deref()
    }
}
