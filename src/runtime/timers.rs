//! When which run wants to be woken: an ordered set, nothing more. Must not live here: waiting, or actors.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Timestamp, WorkflowId};

/// At most one wake-up time per run, earliest first.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    ordered: BTreeSet<(Timestamp, WorkflowId)>,
    by_run: HashMap<WorkflowId, Timestamp>,
}

impl TimerQueue {
    /// Sets (or, with `None`, removes) the time at which the run is to be woken.
    pub(super) fn set(&mut self, workflow_id: &WorkflowId, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.by_run.insert(workflow_id.clone(), at),
            None => self.by_run.remove(workflow_id),
        };
        if let Some(before) = before {
            self.ordered.remove(&(before, workflow_id.clone()));
        }
        if let Some(at) = at {
            self.ordered.insert((at, workflow_id.clone()));
        }
    }

    /// The earliest time at which a run is to be woken.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.ordered.first().map(|(at, _)| *at)
    }

    /// Takes out up to `limit` runs that are due at `now`, earliest first.
    pub(super) fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<WorkflowId> {
        let mut due = Vec::new();
        while due.len() < limit && self.next().is_some_and(|at| at <= now) {
            if let Some((_, workflow_id)) = self.ordered.pop_first() {
                self.by_run.remove(&workflow_id);
                due.push(workflow_id);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_per_run_earliest_first() {
        let id = |name: &str| WorkflowId::from_trusted(name);
        let at = Timestamp::from_micros;
        let mut timers = TimerQueue::default();
        timers.set(&id("a"), Some(at(30)));
        timers.set(&id("b"), Some(at(20)));
        timers.set(&id("a"), Some(at(10)));
        timers.set(&id("c"), Some(at(5)));
        timers.set(&id("c"), None);
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(15), 10), [id("a")]);
        assert_eq!(timers.take_due(at(30), 10), [id("b")]);
        assert_eq!(timers.next(), None);
    }
}
