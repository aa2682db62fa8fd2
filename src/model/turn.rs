//! The unit of atomicity. Lives here: one turn as data: its events, and the changes of the run's pending record. Must
//! not live here: its wire form.

use super::{ActivityType, ChildKey, Event, EventId, Failure, MessageKey, ParkReason, Payload, RunId, Timestamp};

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
    /// An attempt that is due is not handed out.
    Held {
        /// The activity's scheduling event.
        scheduled: EventId,
        /// Why not.
        why: HoldReason,
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
    /// The run ends with this turn, and another one of its chain follows: by its retry policy, by its schedule, or by a reset.
    FollowedBy {
        /// The run that follows.
        run_id: RunId,
    },
    /// The run ends with this turn, and another one, which is none of its chain, begins in its place: what this run still owes
    /// to its children and to others is that one's.
    GivesWay {
        /// That run.
        run_id: RunId,
    },
    /// A local activity is wanted.
    LocalBegun {
        /// Which of the run's local activities.
        seq: u32,
        /// Which activity.
        activity_type: ActivityType,
    },
    /// A local activity is not wanted any more.
    LocalForgotten {
        /// Which of the run's local activities.
        seq: u32,
    },
    /// What was owed to a child that was open when its parent's run ended was done, or the child has ended. May follow a run's
    /// end.
    ChildReleased {
        /// Which child.
        child: ChildKey,
    },
    /// A message that a run which has ended has left was brought, or cannot be. May follow a run's end.
    MessageReleased {
        /// Which message.
        message: MessageKey,
    },
    /// The current attempt is alive and has come this far.
    Heartbeat {
        /// The activity's scheduling event.
        scheduled: EventId,
        /// When this was said.
        at: Timestamp,
        /// How far it has come.
        details: Payload,
    },
    /// The code of the current attempt has returned, and somebody else will say how the attempt ended.
    HandedOver {
        /// The activity's scheduling event.
        scheduled: EventId,
        /// The attempt's number.
        attempt: u32,
        /// When the attempt was started.
        started: Timestamp,
        /// When its code returned: heartbeats are expected from then on.
        at: Timestamp,
    },
}

/// Why an attempt that is due is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The engine is stopping, or none is running.
    Stopping,
    /// The circuit breaker of its activity type is open.
    Breaker,
    /// No worker of this engine serves its task queue.
    NoWorker,
}

/// Attributes of a decided turn.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WorkflowTask {
    /// Which build of which code decided; empty when unknown.
    pub identity: TaskIdentity,
    /// Bytes of the history when it was decided, as far as that was known.
    pub history_bytes: u64,
    /// The code was told that it should continue as a new run.
    pub continue_as_new_suggested: bool,
}

/// Who decided a turn: free text, by default the package and version of the program.
pub type TaskIdentity = String;
