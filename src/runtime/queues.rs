//! The task queues that this engine's workers serve, and the places that each grants. Must not live here: what waits for
//! them (that is `attempt` for activities, `run` for workflow tasks).
//!
//! A queue that nobody serves has no worker here: whatever names it waits, journaled, for an engine that has one. Today one
//! engine has a store to itself, so its workers are all there are; nothing here counts on that.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::model::{TaskQueue, TaskQueueOptions};

use super::attempt::Lane;
use super::throttle::LaneLimits;

/// Which queues an engine serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServedQueues {
    /// By name, with what is granted to each.
    pub(crate) named: BTreeMap<TaskQueue, TaskQueueOptions>,
    /// Not the default one, unless it is named.
    pub(crate) no_default: bool,
    /// All others, too, without limits of their own.
    pub(crate) every_other: bool,
}

/// The workers of one engine.
#[derive(Debug)]
pub(super) struct TaskQueues {
    named: BTreeMap<TaskQueue, Arc<Worker>>,
    /// Of whatever names no queue: found without looking for it.
    default: Option<Arc<Worker>>,
    /// Of every other queue, if those are served.
    others: Option<Arc<Worker>>,
}

/// What this engine does for one queue.
#[derive(Debug)]
pub(super) struct Worker {
    options: TaskQueueOptions,
    tasks: Option<Arc<Semaphore>>,
    /// `None`: nothing is limited.
    forward: Option<Arc<LaneLimits>>,
    amends: Option<Arc<LaneLimits>>,
}

/// A task queue that an engine serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskQueueStatus {
    /// Its name.
    pub task_queue: TaskQueue,
    /// What the engine grants it.
    pub options: TaskQueueOptions,
    /// How many attempts of its activities run, forward ones and those that set something right; `None` when their number
    /// is not limited, because nobody counts them then.
    pub activities: Option<usize>,
}

impl TaskQueues {
    pub(super) fn new(served: &ServedQueues) -> Self {
        let worker = |options: &TaskQueueOptions| Arc::new(Worker::new(options));
        let named: BTreeMap<_, _> = served
            .named
            .iter()
            .map(|(queue, of)| (queue.clone(), worker(of)))
            .collect();
        let unlimited = worker(&TaskQueueOptions::new());
        let default = named.get(&TaskQueue::default_queue()).cloned();
        Self {
            default: default.or_else(|| (!served.no_default).then(|| Arc::clone(&unlimited))),
            others: served.every_other.then_some(unlimited),
            named,
        }
    }

    /// The worker for a queue (`None`: the default one), if there is one here.
    pub(super) fn worker(&self, queue: Option<&TaskQueue>) -> Option<&Arc<Worker>> {
        match queue {
            None => self.default.as_ref(),
            Some(queue) if queue.is_default() => self.default.as_ref(),
            Some(queue) => self.named.get(queue).or(self.others.as_ref()),
        }
    }

    /// The queues that are served by name, and the default one if it is.
    pub(super) fn status(&self) -> Vec<TaskQueueStatus> {
        let status = |(queue, worker): (TaskQueue, &Arc<Worker>)| TaskQueueStatus {
            task_queue: queue,
            options: worker.options.clone(),
            activities: worker.running(),
        };
        let unnamed = self.default.iter().map(|worker| (TaskQueue::default_queue(), worker));
        let named = self.named.iter().filter(|(queue, _)| !queue.is_default());
        unnamed
            .chain(named.map(|(queue, worker)| (queue.clone(), worker)))
            .map(status)
            .collect()
    }
}

impl Worker {
    fn new(options: &TaskQueueOptions) -> Self {
        let tasks = options.max_concurrent_workflow_tasks;
        let (most, rate) = (options.max_concurrent_activities, options.activity_rate);
        let lane = || (most.is_some() || rate.is_some()).then(|| Arc::new(LaneLimits::new(most, rate)));
        Self {
            tasks: tasks.map(|most| Arc::new(Semaphore::new(number(most)))),
            forward: lane(),
            amends: lane(),
            options: options.clone(),
        }
    }

    /// The places of runs that decide, if their number is limited.
    pub(super) fn tasks(&self) -> Option<&Arc<Semaphore>> {
        self.tasks.as_ref()
    }

    /// What is granted to attempts, if anything is limited.
    pub(super) fn attempts(&self, lane: Lane) -> Option<&Arc<LaneLimits>> {
        match lane {
            Lane::Forward => self.forward.as_ref(),
            Lane::Amends => self.amends.as_ref(),
        }
    }

    fn running(&self) -> Option<usize> {
        let most = number(self.options.max_concurrent_activities?);
        let taken = |lane: &Option<Arc<LaneLimits>>| {
            let places = lane.as_ref().and_then(|lane| lane.places());
            most.saturating_sub(places.map_or(most, |places| places.available_permits()))
        };
        Some(taken(&self.forward) + taken(&self.amends))
    }
}

fn number(most: NonZeroU32) -> usize {
    usize::try_from(most.get()).map_or(Semaphore::MAX_PERMITS, |most| most.min(Semaphore::MAX_PERMITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> TaskQueue {
        TaskQueue::from_trusted(name)
    }

    fn served(named: &[&str]) -> ServedQueues {
        let named = named.iter().map(|name| (queue(name), TaskQueueOptions::new()));
        ServedQueues {
            named: named.collect(),
            ..ServedQueues::default()
        }
    }

    fn names(queues: &TaskQueues) -> Vec<String> {
        let status = queues.status();
        status.into_iter().map(|status| status.task_queue.to_string()).collect()
    }

    #[test]
    fn the_default_queue_is_served_unless_it_is_left_out() {
        let queues = TaskQueues::new(&served(&["gpu"]));
        assert_eq!(names(&queues), ["default", "gpu"]);
        let (unsaid, said) = (
            queues.worker(None).unwrap(),
            queues.worker(Some(&queue("default"))).unwrap(),
        );
        assert!(Arc::ptr_eq(unsaid, said), "one queue, however it is named");
        assert!(queues.worker(Some(&queue("gpu"))).is_some());
        assert!(queues.worker(Some(&queue("Gpu"))).is_none());

        let only = |named: &[&str]| ServedQueues {
            no_default: true,
            ..served(named)
        };
        let queues = TaskQueues::new(&only(&["gpu"]));
        assert_eq!(names(&queues), ["gpu"]);
        assert!(queues.worker(None).is_none() && queues.worker(Some(&queue("default"))).is_none());
        let queues = TaskQueues::new(&only(&["default"]));
        assert!(queues.worker(None).is_some(), "who names it wants it");
    }

    #[test]
    fn every_other_queue_can_be_served_beside_those_with_limits() {
        let mut all = served(&[]);
        all.every_other = true;
        let gpu = TaskQueueOptions::new().max_concurrent_activities(2);
        all.named.insert(queue("gpu"), gpu);
        let queues = TaskQueues::new(&all);
        let places = |name: &str| {
            let worker = queues.worker(Some(&queue(name))).unwrap();
            let granted = worker.attempts(Lane::Forward);
            granted.map(|granted| granted.places().unwrap().available_permits())
        };
        assert_eq!((places("gpu"), places("bulk")), (Some(2), None));
    }

    #[test]
    fn what_sets_something_right_has_places_of_its_own() {
        let mut all = served(&[]);
        all.named
            .insert(queue("gpu"), TaskQueueOptions::new().max_concurrent_activities(1));
        let queues = TaskQueues::new(&all);
        let worker = queues.worker(Some(&queue("gpu"))).unwrap();
        let place = |lane| Arc::clone(worker.attempts(lane).unwrap().places().unwrap()).try_acquire_owned();
        let forward = place(Lane::Forward).unwrap();
        assert!(place(Lane::Forward).is_err());
        assert!(place(Lane::Amends).is_ok(), "a refund does not wait for an order");
        assert_eq!(queues.status()[1].activities, Some(1));
        drop(forward);
        assert_eq!(queues.status()[1].activities, Some(0));
    }
}
