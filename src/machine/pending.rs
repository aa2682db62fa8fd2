//! What a run waits for: activities and timers that have not ended. Must not live here: how they end.

use std::sync::Arc;

use crate::model::{
    ActivityScheduled, AttemptToken, EventId, Failure, HoldReason, LockName, Payload, RetryState, SAGA_ACTIVITY,
    SAGA_UNDO_ACTIVITY, SagaWaitStarted, StepVerdict, StuckReason, Timestamp, WATCH_ACTIVITY,
};

use super::report::HandedOver;

/// An activity that has been scheduled and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingActivity {
    /// The scheduling event.
    pub scheduled: EventId,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// What was scheduled.
    pub attributes: Arc<ActivityScheduled>,
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
    /// Its next attempt is due, but is not handed out, and why not.
    pub held: Option<HoldReason>,
    /// How far its attempts have come, by the last heartbeat that was recorded.
    pub heartbeat: Option<Payload>,
    /// Its attempt that somebody else completes, the current one or an earlier one.
    pub(super) handed_over: Option<HandedOver>,
    /// It ended without an answer, and it is being found out whether it had its effect.
    pub ambiguous: Option<RetryState>,
    /// What was found out.
    pub(super) verdict: Option<StepVerdict>,
    /// Attempts that do not count for the retry policy any more: a person gave it a fresh one.
    pub(super) attempts_forgiven: u32,
    /// From when on its schedule-to-close runs.
    pub(super) budget_from: Timestamp,
    /// The last attempt that the history says was started; 0 for none. Said only right before the activity ends.
    pub(super) last_started: u32,
}

/// Something about a saga that needs a person.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StuckItem {
    pub(super) reason: StuckReason,
    pub(super) failure: Failure,
    pub(super) since: Timestamp,
    /// Somebody was told.
    pub(super) escalated: bool,
}

/// A step that waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PendingWait {
    pub(super) started: Box<SagaWaitStarted>,
}

/// A part of a saga that is being undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rollback {
    /// The starting event: steps scheduled after it are not concerned.
    pub(super) started: EventId,
    /// How many steps are kept.
    pub(super) keep: u64,
}

/// A lock that the run has asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLock {
    /// Which lock.
    pub lock: LockName,
    /// The requesting event.
    pub requested: EventId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it gives up waiting.
    pub until: Option<Timestamp>,
    /// It does not wait at all.
    pub no_wait: bool,
    /// How it stands.
    pub state: LockState,
}

/// How a run stands to a lock.
#[derive(Clone, Debug, PartialEq)]
pub enum LockState {
    /// It waits.
    Waiting,
    /// It holds it until it ends.
    Held,
    /// It did not get it.
    Refused(Failure),
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
        let limit = self.attributes.options.schedule_to_close?;
        Some(self.budget_from.after(limit))
    }

    /// Whether no attempt of it is to be made for now: a person, or a verification, has the word.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.stuck || self.ambiguous.is_some()
    }

    /// Whether it runs, undoes, or watches another run: its attempts only wait for that one.
    #[must_use]
    pub fn is_about_a_child(&self) -> bool {
        [SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY, WATCH_ACTIVITY].contains(&self.attributes.activity_type.as_str())
    }

    /// Whether it undoes a saga step.
    #[must_use]
    pub fn is_compensation(&self) -> bool {
        self.attributes.undoes().is_some()
    }
}
