//! How an activity is to be executed. Lives here: timeouts, retry policy and task queue as one value. Must not live here: defaults
//! that depend on configuration files.

use std::time::Duration;

use super::{RetryPolicy, TaskQueue, limits};

/// The four timeouts, the retry policy and the task queue of an activity; Temporal's activity options.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityOptions {
    /// From scheduled to the end of the last attempt; caps retries. `None`: no limit.
    pub schedule_to_close: Option<Duration>,
    /// From scheduled (or due) to the start of an attempt; not retried. `None`: no limit.
    pub schedule_to_start: Option<Duration>,
    /// One attempt. Default 60 s.
    pub start_to_close: Duration,
    /// Between two heartbeats of one attempt. `None`: heartbeats are not expected.
    pub heartbeat: Option<Duration>,
    /// When failed attempts are tried again.
    pub retry: RetryPolicy,
    /// Whose workers make its attempts. `None`: those of its run's queue.
    pub task_queue: Option<TaskQueue>,
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self {
            schedule_to_close: None,
            schedule_to_start: None,
            start_to_close: limits::START_TO_CLOSE_DEFAULT,
            heartbeat: None,
            retry: RetryPolicy::default(),
            task_queue: None,
        }
    }
}

impl ActivityOptions {
    /// How compensations run when nobody said otherwise: tried until they succeed, every 60 s at the longest.
    #[must_use]
    pub fn for_compensation() -> Self {
        Self {
            retry: RetryPolicy {
                maximum_interval: Some(Duration::from_secs(60)),
                ..RetryPolicy::default()
            },
            ..Self::default()
        }
    }
}
