//! The core from the engine's side: what happened. Called by `replay` only. Must not live here: what the code's futures
//! call (`core`).

use std::task::Waker;

use crate::model::{ActivityId, Command, EventId, Failure, Payload, RetryState, TimerId, Timestamp};

use super::{Core, Key, Operation, WaitFor, What};

impl Core {
    /// Returns the time before.
    pub(crate) fn set_now(&mut self, now: Timestamp) -> Timestamp {
        std::mem::replace(&mut self.now, now)
    }

    /// The engine scheduled this activity under this event.
    pub(crate) fn confirm_activity(&mut self, activity_id: &ActivityId, event: EventId) {
        self.steps.confirm(activity_id, event);
        let Some(key) = self.by_activity_id.get(activity_id).copied() else {
            return;
        };
        if let Some(Operation {
            what: What::Activity { scheduled, .. },
            ..
        }) = self.operations.get_mut(&key)
        {
            *scheduled = Some(event);
            self.by_scheduled.insert(event, key);
        }
    }

    /// The activity of this event ended well.
    pub(crate) fn complete_activity(&mut self, scheduled: EventId, result: Payload) {
        self.steps.complete(scheduled);
        let Some(key) = self.by_scheduled.get(&scheduled).copied() else {
            return;
        };
        self.resolve(key, Ok(result));
    }

    /// The activity of this event ended badly.
    pub(crate) fn fail_activity(&mut self, scheduled: EventId, cause: Failure, retry_state: RetryState) {
        self.steps.fail(scheduled);
        let Some(key) = self.by_scheduled.get(&scheduled).copied() else {
            return;
        };
        let Some(Operation {
            what: What::Activity { id, activity_type, .. },
            ..
        }) = self.operations.get(&key)
        else {
            return;
        };
        let failure = Failure::of_activity(id.clone(), activity_type.clone(), retry_state, cause);
        self.resolve(key, Err(failure));
    }

    pub(crate) fn fire_timer(&mut self, timer_id: &TimerId) {
        if let Some(key) = self.by_timer_id.get(timer_id).copied() {
            self.resolve(key, Ok(Payload::null()));
        }
    }

    /// Delivers a cancellation, unless the saga is past its pivot: from there on it only goes forward. To be called
    /// after everything that arrived with it, so that what has ended is not asked to stop.
    pub(crate) fn request_cancel(&mut self) {
        if self.cancel_requested || self.steps.is_past_pivot() {
            return;
        }
        self.spread_cancellation(|core| core.cancel_requested = true);
    }

    /// Whom to wake now that the core is not borrowed.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.to_wake)
    }

    pub(crate) fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    pub(crate) fn cancel_was_requested(&self) -> bool {
        self.cancel_requested
    }

    /// Whether anything could still wake the code.
    pub(crate) fn is_waiting(&self) -> bool {
        let outstanding = |operation: &Operation| operation.outcome.is_none() && !operation.abandoned;
        !self.waiting.is_empty() || self.operations.values().any(outstanding)
    }

    /// The workflow function has ended, or is being put away: dropping its futures means nothing any more.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn resolve(&mut self, key: Key, outcome: Result<Payload, Failure>) {
        let Some(operation) = self.operations.get_mut(&key) else {
            return;
        };
        if operation.abandoned {
            self.forget(key);
        } else if operation.outcome.is_none() {
            operation.outcome = Some(outcome);
            self.to_wake.extend(operation.waker.take());
        }
    }

    pub(super) fn wake_waiting(&mut self, concerns: impl Fn(&WaitFor) -> bool) {
        let concerned: Vec<Key> = self
            .waiting
            .iter()
            .filter(|(_, (wait_for, _))| concerns(wait_for))
            .map(|(key, _)| *key)
            .collect();
        let wakers = concerned.iter().filter_map(|key| self.waiting.remove(key));
        self.to_wake.extend(wakers.map(|(_, waker)| waker));
    }
}
