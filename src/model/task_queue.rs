//! Task queues: names that say which workers do something. Lives here: the name, and what a worker grants a queue. Must not
//! live here: places and waiting lines (that is `runtime::queues`).

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Rate, TaskQueue};

/// The name of the queue of everything that names none.
pub const DEFAULT_TASK_QUEUE: &str = "default";

impl TaskQueue {
    /// The queue of everything that names none.
    #[must_use]
    pub fn default_queue() -> Self {
        Self::from_trusted(DEFAULT_TASK_QUEUE)
    }

    /// Whether it is the queue of everything that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_TASK_QUEUE
    }
}

impl Default for TaskQueue {
    fn default() -> Self {
        Self::default_queue()
    }
}

/// What one engine's worker for a task queue does at once, and how fast. Nothing is limited when not said otherwise, but by
/// the limits of the engine.
///
/// Forward work and what sets something right (compensations, verifications, calls for help) are counted apart, each with
/// this limit: a queue full of orders must not hold up a refund.
///
/// ```
/// use std::time::Duration;
/// use amends::TaskQueueOptions;
///
/// let mail = TaskQueueOptions::new().activity_rate(14, Duration::from_secs(1));
/// let gpu = TaskQueueOptions::new().max_concurrent_activities(2);
/// let bulk = TaskQueueOptions::new().max_concurrent_activities(50).max_concurrent_workflow_tasks(1);
/// # let _ = (mail, gpu, bulk);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use = "give them to the engine's builder"]
pub struct TaskQueueOptions {
    /// How many attempts of activities at once.
    pub max_concurrent_activities: Option<NonZeroU32>,
    /// How many attempts of activities, of whatever type, in how much time.
    pub activity_rate: Option<Rate>,
    /// How many runs of the queue may decide at once. As each of an engine's threads does one thing at a time, a number of
    /// at least its threads limits nothing.
    pub max_concurrent_workflow_tasks: Option<NonZeroU32>,
}

impl TaskQueueOptions {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many attempts of activities at once (at least one).
    pub fn max_concurrent_activities(mut self, attempts: u32) -> Self {
        self.max_concurrent_activities = Some(at_least_one(attempts));
        self
    }

    /// At most so many attempts of activities (at least one) in so much time.
    pub fn activity_rate(mut self, attempts: u32, per: Duration) -> Self {
        let attempts = at_least_one(attempts);
        self.activity_rate = Some(Rate { attempts, per });
        self
    }

    /// At most so many runs decide at once (at least one).
    pub fn max_concurrent_workflow_tasks(mut self, tasks: u32) -> Self {
        self.max_concurrent_workflow_tasks = Some(at_least_one(tasks));
        self
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
