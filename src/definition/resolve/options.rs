//! Timeouts, retry policies and task queues. Lives here: their checks and their defaults. Must not live here: what they are for.

use std::time::Duration;

use crate::model::{ActivityOptions, RetryPolicy, TaskQueue};

use super::super::authored::{Options, Retry};
use super::super::locations::Problems;

pub(super) fn check_options(options: &Options, place: &str, problems: &mut Problems) {
    let durations = [
        ("start_to_close", options.start_to_close),
        ("schedule_to_close", options.schedule_to_close),
        ("schedule_to_start", options.schedule_to_start),
        ("heartbeat", options.heartbeat),
        ("retry.initial_interval", options.retry.initial_interval),
        ("retry.maximum_interval", options.retry.maximum_interval),
    ];
    for (key, duration) in durations {
        if let Some(duration) = duration {
            check_duration(duration, &format!("{place}.{key}"), problems);
        }
    }
    let Retry {
        initial_interval,
        coefficient,
        maximum_interval,
        ..
    } = options.retry;
    if coefficient.is_some_and(|coefficient| !(coefficient.is_finite() && coefficient >= 1.0)) {
        problems
            .error(&format!("{place}.retry.coefficient"), "must be a number of at least 1")
            .hint("1 keeps the interval, 2 doubles it after each attempt");
    }
    if let (Some(initial), Some(maximum)) = (initial_interval, maximum_interval)
        && maximum < initial
    {
        let place = format!("{place}.retry.maximum_interval");
        problems.error(&place, "must not be shorter than `initial_interval`");
    }
    check_task_queue(options.task_queue.as_deref(), &format!("{place}.task_queue"), problems);
}

pub(super) fn check_task_queue(name: Option<&str>, place: &str, problems: &mut Problems) {
    if let Some(error) = name.and_then(|name| TaskQueue::new(name).err()) {
        problems.error(place, error.to_string());
    }
}

/// The journal counts in microseconds, up to some 292,000 years.
pub(super) fn check_duration(duration: Duration, place: &str, problems: &mut Problems) {
    if duration.is_zero() {
        problems.error(place, "must be longer than zero");
    } else if !duration.subsec_nanos().is_multiple_of(1_000) {
        problems.error(place, "must be a whole number of microseconds");
    } else if i64::try_from(duration.as_micros()).is_err() {
        problems.error(place, "must be shorter than 292,000 years");
    }
}

pub(super) fn with_options(base: ActivityOptions, options: &Options) -> ActivityOptions {
    let retry = &options.retry;
    ActivityOptions {
        schedule_to_close: options.schedule_to_close.or(base.schedule_to_close),
        schedule_to_start: options.schedule_to_start.or(base.schedule_to_start),
        start_to_close: options.start_to_close.or(base.start_to_close),
        heartbeat: options.heartbeat.or(base.heartbeat),
        retry: RetryPolicy {
            initial_interval: retry.initial_interval.unwrap_or(base.retry.initial_interval),
            backoff_coefficient: retry.coefficient.unwrap_or(base.retry.backoff_coefficient),
            maximum_interval: retry.maximum_interval.or(base.retry.maximum_interval),
            maximum_attempts: retry.maximum_attempts.unwrap_or(base.retry.maximum_attempts),
            non_retryable_types: retry.non_retryable.clone().unwrap_or(base.retry.non_retryable_types),
        },
        task_queue: options
            .task_queue
            .as_deref()
            .map(TaskQueue::from_trusted)
            .or(base.task_queue),
    }
}
