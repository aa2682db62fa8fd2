//! When which run wants to be woken: an ordered set, nothing more. Must not live here: waiting, or actors.

use std::collections::BTreeSet;

use crate::model::{RunId, Timestamp, WorkflowId};
use crate::store::maps::IdMap;

/// At most one wake-up time per run, earliest first.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    ordered: BTreeSet<(Timestamp, WorkflowId)>,
    by_run: IdMap<WorkflowId, (Timestamp, RunId)>,
}

impl TimerQueue {
    /// Sets the time at which the run is to be woken.
    pub(super) fn set(&mut self, workflow_id: &WorkflowId, run_id: RunId, at: Timestamp) {
        let before = self.by_run.insert(workflow_id.clone(), (at, run_id));
        if let Some((before, _)) = before {
            self.ordered.remove(&(before, workflow_id.clone()));
        }
        self.ordered.insert((at, workflow_id.clone()));
    }

    /// The run need not be woken any more.
    pub(super) fn remove(&mut self, workflow_id: &WorkflowId) {
        if let Some((before, _)) = self.by_run.remove(workflow_id) {
            self.ordered.remove(&(before, workflow_id.clone()));
        }
    }

    /// The earliest time at which a run is to be woken.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.ordered.first().map(|(at, _)| *at)
    }

    /// Takes out the run that has been due for longest at `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(WorkflowId, RunId)> {
        self.next().filter(|at| *at <= now)?;
        let (_, workflow_id) = self.ordered.pop_first()?;
        let (_, run_id) = self.by_run.remove(&workflow_id)?;
        if self.by_run.is_empty() {
            // A table never gets smaller by itself.
            self.by_run = IdMap::default();
        }
        Some((workflow_id, run_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_per_run_earliest_first() {
        let id = |name: &str| WorkflowId::from_trusted(name);
        let run = |number| RunId::from_bytes([number; 16]);
        let at = Timestamp::from_micros;
        let mut timers = TimerQueue::default();
        timers.set(&id("a"), run(1), at(30));
        timers.set(&id("b"), run(2), at(20));
        timers.set(&id("a"), run(3), at(10));
        timers.set(&id("c"), run(4), at(5));
        timers.remove(&id("c"));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(15)), Some((id("a"), run(3))));
        assert_eq!(timers.take_due(at(15)), None);
        assert_eq!(timers.take_due(at(30)), Some((id("b"), run(2))));
        assert_eq!((timers.next(), timers.take_due(at(90))), (None, None));
    }
}
