//! The seam between the machine and whoever decides for a run: workflow code, a saga definition, later a remote worker.
//! Must not live here: any of them.

use crate::model::{Command, Event, ParkReason, Timestamp};

use super::RunState;

/// Turns what happened into commands.
pub trait Decider {
    /// Looks at what happened since its last task and says what to do.
    ///
    /// # Errors
    /// When it cannot decide: the run's events are kept, and the task is tried again by a rebuilt decider, or the run is
    /// parked.
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason>;
}

/// One occasion to decide.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Every event after the last `WorkflowTask` event: first the events of that task's own commands, then what arrived
    /// since. The first task sees the history from event 1.
    pub events: &'a [Event],
    /// The time of this turn; the only clock a decider may read.
    pub now: Timestamp,
    /// The run's state before this task.
    pub run: &'a RunState,
}
