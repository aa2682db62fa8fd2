//! The unit of atomicity. Lives here: one turn as data: its events, and the changes of the run's pending record. Must
//! not live here: its wire form.

use super::{Event, EventId, Failure, ParkReason, Timestamp};

/// What one decision wrote: all of it becomes durable, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The turn's place in its run: 1 for the first, dense.
    pub seq: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What changed in the pending record.
    pub pending: Vec<PendingChange>,
}

/// A journaled change that has no event id, as in Temporal: attempts in progress, and the run's being parked.
#[derive(Clone, Debug, PartialEq)]
pub enum PendingChange {
    /// An attempt failed and another will be made.
    RetryScheduled {
        /// The activity's scheduling event.
        scheduled: EventId,
        /// The number of the attempt that failed.
        failed_attempt: u32,
        /// How it failed.
        failure: Failure,
        /// When the next attempt is due.
        due: Timestamp,
    },
    /// An attempt that is due is not handed out: the engine is stopping.
    Held {
        /// The activity's scheduling event.
        scheduled: EventId,
    },
    /// An attempt that was held back may be handed out now.
    Released {
        /// The activity's scheduling event.
        scheduled: EventId,
    },
    /// A result came after its attempt had been given up; it was refused.
    LateResult {
        /// The activity's scheduling event.
        scheduled: EventId,
        /// The attempt's number.
        attempt: u32,
    },
    /// The run was set aside.
    Parked {
        /// Why.
        reason: ParkReason,
    },
    /// The run goes on.
    Unparked,
}
