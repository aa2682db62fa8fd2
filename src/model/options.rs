//! How an activity is to be executed. Lives here: timeouts, retry policy and task queue as one value. Must not live here: defaults
//! that depend on configuration files.

use std::fmt;
use std::time::Duration;

use super::{RetryPolicy, TaskQueue, limits};

/// The four timeouts, the retry policy and the task queue of an activity; Temporal's activity options.
#[derive(Clone, Default)]
pub struct ActivityOptions {
    /// From scheduled to the end of the last attempt; caps retries. `None`: no limit.
    pub schedule_to_close: Option<Duration>,
    /// From scheduled (or due) to the start of an attempt; not retried. `None`: no limit.
    pub schedule_to_start: Option<Duration>,
    /// One attempt. `None`: all of schedule-to-close, if there is one, and else 60 s.
    pub start_to_close: Option<Duration>,
    /// Between two heartbeats of one attempt. `None`: heartbeats are not expected.
    pub heartbeat: Option<Duration>,
    /// When failed attempts are tried again.
    pub retry: RetryPolicy,
    /// Whose workers make its attempts. `None`: those of its run's queue.
    pub task_queue: Option<TaskQueue>,
}

impl ActivityOptions {
    /// How long one attempt may take: as in Temporal, all of the time that there is for all of them when only that was said.
    #[must_use]
    pub fn start_to_close(&self) -> Duration {
        let all = self.start_to_close.or(self.schedule_to_close);
        all.unwrap_or(limits::START_TO_CLOSE_DEFAULT)
    }

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

/// Tells the limit that holds, whoever said it.
impl fmt::Debug for ActivityOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityOptions")
            .field("schedule_to_close", &self.schedule_to_close)
            .field("schedule_to_start", &self.schedule_to_start)
            .field("start_to_close", &self.start_to_close())
            .field("heartbeat", &self.heartbeat)
            .field("retry", &self.retry)
            .field("task_queue", &self.task_queue)
            .finish()
    }
}

/// Journals and definitions keep what comes of a limit that was not said: that is the same.
impl PartialEq for ActivityOptions {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            schedule_to_close,
            schedule_to_start,
            start_to_close: _,
            heartbeat,
            retry,
            task_queue,
        } = self;
        self.start_to_close() == other.start_to_close()
            && *schedule_to_close == other.schedule_to_close
            && *schedule_to_start == other.schedule_to_start
            && *heartbeat == other.heartbeat
            && *retry == other.retry
            && *task_queue == other.task_queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_may_take_all_the_time_there_is_when_only_that_is_said() {
        let minute = Duration::from_secs(60);
        for (schedule_to_close, start_to_close, expected) in [
            (None, None, minute),
            (Some(minute * 60), None, minute * 60),
            (Some(minute / 2), None, minute / 2),
            (Some(minute * 60), Some(minute), minute),
            (None, Some(minute * 5), minute * 5),
        ] {
            let options = ActivityOptions {
                schedule_to_close,
                start_to_close,
                ..ActivityOptions::default()
            };
            assert_eq!(options.start_to_close(), expected, "{options:?}");
            let recorded = ActivityOptions {
                start_to_close: Some(expected),
                ..options.clone()
            };
            assert_eq!(options, recorded);
        }
    }
}
