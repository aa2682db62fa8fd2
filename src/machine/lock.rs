//! Semantic locks, as one run sees them: asked for, held until the run ends, or refused. Must not live here: who else holds
//! or wants a lock (the runtime's table knows).
//!
//! ```text
//! requested -> Waiting --granted--> Held (until the run ends)
//!                      --refused, time is up--> Refused; may be asked for again
//! ```

use std::time::Duration;

use crate::model::{EventAttributes, EventId, Failure, LockName};

use super::pending::LockState;
use super::turn::{Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn request_lock(&mut self, lock: LockName, timeout: Option<Duration>, no_wait: bool) {
        let is_held = self
            .state
            .locks
            .get(&lock)
            .is_some_and(|lock| lock.state == LockState::Held);
        let until = timeout.map(|timeout| self.now.after(timeout));
        let requested = self.emit(EventAttributes::SagaLockRequested { lock, until, no_wait });
        if is_held {
            self.emit(EventAttributes::SagaLockAcquired { requested });
        }
    }

    pub(super) fn lock_granted(&mut self, lock: &LockName) -> Reply {
        match self.waiting_for(lock) {
            Some(requested) => {
                self.emit(EventAttributes::SagaLockAcquired { requested });
                Reply::Accepted
            }
            None => Reply::Duplicate,
        }
    }

    pub(super) fn lock_refused(&mut self, lock: &LockName, failure: Failure) -> Reply {
        match self.waiting_for(lock) {
            Some(requested) => {
                self.emit(EventAttributes::SagaLockRefused { requested, failure });
                Reply::Accepted
            }
            None => Reply::Duplicate,
        }
    }

    fn waiting_for(&self, lock: &LockName) -> Option<EventId> {
        let lock = self.state.locks.get(lock)?;
        (lock.state == LockState::Waiting).then_some(lock.requested)
    }

    /// Stops waiting for the locks whose time is up.
    pub(super) fn give_up_locks(&mut self) {
        let now = self.now;
        let waiting = self
            .state
            .locks
            .values()
            .filter(|lock| lock.state == LockState::Waiting);
        let overdue: Vec<(EventId, LockName)> = waiting
            .filter(|lock| lock.until.is_some_and(|until| until <= now))
            .map(|lock| (lock.requested, lock.lock.clone()))
            .collect();
        for (requested, lock) in overdue {
            let failure = Failure::non_retryable("LockTimeout", format!("waited too long for the lock {lock:?}"));
            self.emit(EventAttributes::SagaLockRefused { requested, failure });
        }
    }
}
