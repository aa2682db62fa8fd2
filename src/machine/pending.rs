//! What a run waits for: activities and timers that have not ended. Must not live here: how they end.

use crate::model::{ActivityScheduled, AttemptToken, EventId, Failure, Timestamp};

/// An activity that has been scheduled and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingActivity {
    /// The scheduling event.
    pub scheduled: EventId,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// What was scheduled.
    pub attributes: Box<ActivityScheduled>,
    /// The number of the attempt that runs or is due next: 1 for the first.
    pub attempt: u32,
    /// When that attempt is (or was) due.
    pub due: Timestamp,
    /// How the attempt before it failed.
    pub last_failure: Option<Failure>,
    /// An attempt before it may have had an effect: not every one of them was sure that nothing happened.
    pub may_have_applied: bool,
    /// It was asked to stop.
    pub cancel_requested: bool,
    /// It failed for good and waits for a person.
    pub stuck: bool,
    /// Its next attempt is due, but was not handed out because the engine was stopping.
    pub held: bool,
    /// The last attempt that the history says was started; 0 for none. Said only right before the activity ends.
    pub(super) last_started: u32,
}

/// A timer that has not fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTimer {
    /// The starting event.
    pub started: EventId,
    /// When it fires.
    pub fire_at: Timestamp,
}

impl PendingActivity {
    /// The token of the attempt that runs or is due next.
    #[must_use]
    pub fn token(&self) -> AttemptToken {
        AttemptToken {
            scheduled: self.scheduled,
            attempt: self.attempt,
        }
    }

    /// When the activity must have ended, whatever its attempts do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.attributes
            .options
            .schedule_to_close
            .map(|limit| self.scheduled_at.after(limit))
    }

    /// Whether it undoes a saga step.
    #[must_use]
    pub fn is_compensation(&self) -> bool {
        self.attributes.undoes.is_some()
    }
}
