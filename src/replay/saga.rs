//! What the machine does about a saga by itself while the code goes on: rollbacks and locks, as far as the code has to be
//! told, or must not be taken for the one who asked. Must not live here: delivering it (`decider`).

use std::collections::BTreeMap;

use crate::model::{Event, EventAttributes, EventId, LockName};

#[derive(Debug, Default)]
pub(super) struct SagaWatch {
    /// The scheduling events of the saga's steps, in order.
    steps: Vec<EventId>,
    rollback: Option<Rollback>,
    /// Lock requests that were not answered yet.
    locks: BTreeMap<EventId, LockName>,
}

#[derive(Clone, Copy, Debug)]
struct Rollback {
    started: EventId,
    keep: u64,
}

impl SagaWatch {
    pub(super) fn look_at(&mut self, event: &Event) {
        use EventAttributes as E;
        match &event.attributes {
            E::ActivityTaskScheduled(scheduled) if scheduled.step().is_some() => self.steps.push(event.id),
            E::SagaRollbackStarted { keep } => {
                let (started, keep) = (event.id, *keep);
                self.rollback = Some(Rollback { started, keep });
            }
            E::SagaRollbackCompleted { .. } => self.rollback = None,
            E::SagaLockRequested { lock, .. } => {
                self.locks.insert(event.id, lock.clone());
            }
            _ => {}
        }
    }

    /// Whether the activity is asked to stop by a rollback. The code ended its call when it asked for the rollback, and does
    /// not ask for that any more.
    pub(super) fn is_rolled_back(&self, scheduled: EventId) -> bool {
        let Some(Rollback { started, keep }) = self.rollback else {
            return false;
        };
        let place = self.steps.binary_search(&scheduled);
        place.is_ok_and(|place| place as u64 >= keep) && scheduled < started
    }

    /// The lock of an answered request.
    pub(super) fn take_lock(&mut self, requested: EventId) -> Option<LockName> {
        self.locks.remove(&requested)
    }
}
