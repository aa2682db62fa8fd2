//! When to try again. Lives here: the retry policy as a pure function. Must not live here: waiting, clocks, jitter from
//! a random source.

use std::time::Duration;

use super::{Failure, FailureKind, RetryState, Timestamp};

/// How failed attempts are retried; Temporal's retry policy and its defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The delay before the second attempt. Default 1 s.
    pub initial_interval: Duration,
    /// What the delay is multiplied with for each further attempt. Default 2, at least 1.
    pub backoff_coefficient: f64,
    /// The longest delay; `None`: 100 times the initial interval.
    pub maximum_interval: Option<Duration>,
    /// How many attempts in all, the first included; 0: no limit. Default 0.
    pub maximum_attempts: u32,
    /// Application failure types that are never retried.
    pub non_retryable_types: Vec<String>,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again at this time.
    RetryAt(Timestamp),
    /// Give up.
    Stop(RetryState),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            backoff_coefficient: 2.0,
            maximum_interval: None,
            maximum_attempts: 0,
            non_retryable_types: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no retry.
    #[must_use]
    pub fn never() -> Self {
        Self {
            maximum_attempts: 1,
            ..Self::default()
        }
    }

    /// The delay after failed attempt number `attempt` (1 for the first), without the failure's own wishes.
    #[must_use]
    pub fn interval_after(&self, attempt: u32) -> Duration {
        let cap = self
            .maximum_interval
            .unwrap_or_else(|| self.initial_interval.saturating_mul(100));
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.backoff_coefficient.max(1.0).powi(exponent);
        let seconds = self.initial_interval.as_secs_f64() * factor;
        if seconds.is_finite() && seconds < cap.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else {
            cap
        }
    }

    /// What to do after attempt number `attempt` failed at `now`, when the activity must have closed by `deadline`.
    ///
    /// The failure may forbid a retry or choose its delay; an attempt that would only start at or after the deadline is
    /// not made.
    #[must_use]
    pub fn decide(
        &self,
        attempt: u32,
        failure: &Failure,
        now: Timestamp,
        deadline: Option<Timestamp>,
    ) -> RetryDecision {
        let mut delay = self.interval_after(attempt);
        match &failure.kind {
            FailureKind::Application(application) => {
                let listed = self.non_retryable_types.contains(&application.type_name);
                if application.non_retryable || listed {
                    return RetryDecision::Stop(RetryState::NonRetryable);
                }
                delay = application.next_retry_delay.unwrap_or(delay);
            }
            // The participant was never told to stop working: try again at once, under a new attempt number.
            FailureKind::WorkerLost => delay = Duration::ZERO,
            FailureKind::Timeout {
                kind: super::TimeoutKind::ScheduleToClose | super::TimeoutKind::ScheduleToStart,
                ..
            } => {
                return RetryDecision::Stop(RetryState::Timeout);
            }
            FailureKind::Canceled { .. } | FailureKind::Terminated => {
                return RetryDecision::Stop(RetryState::CancelRequested);
            }
            FailureKind::Timeout { .. } | FailureKind::Activity { .. } | FailureKind::ChildWorkflow(_) => {}
        }
        if self.maximum_attempts != 0 && attempt >= self.maximum_attempts {
            return RetryDecision::Stop(RetryState::MaximumAttemptsReached);
        }
        let at = now.after(delay);
        match deadline {
            Some(deadline) if at >= deadline => RetryDecision::Stop(RetryState::Timeout),
            _ => RetryDecision::RetryAt(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TimeoutKind;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn intervals_grow_to_the_cap_and_never_overflow() {
        let policy = RetryPolicy::default();
        let seconds: Vec<u64> = (1..=9).map(|n| policy.interval_after(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
        assert_eq!(policy.interval_after(u32::MAX).as_secs(), 100);
    }

    #[test]
    fn what_stops_and_what_retries() {
        let policy = RetryPolicy {
            maximum_attempts: 3,
            non_retryable_types: vec!["Bad".to_owned()],
            ..RetryPolicy::default()
        };
        let stop = RetryDecision::Stop;
        let cases = [
            (1, Failure::new("Busy", ""), None, RetryDecision::RetryAt(at(11))),
            (2, Failure::new("Busy", ""), None, RetryDecision::RetryAt(at(12))),
            (
                3,
                Failure::new("Busy", ""),
                None,
                stop(RetryState::MaximumAttemptsReached),
            ),
            (1, Failure::new("Bad", ""), None, stop(RetryState::NonRetryable)),
            (
                1,
                Failure::non_retryable("Busy", ""),
                None,
                stop(RetryState::NonRetryable),
            ),
            (
                1,
                Failure::new("Busy", "").retry_after(Duration::from_secs(7)),
                None,
                RetryDecision::RetryAt(at(17)),
            ),
            (1, Failure::new("Busy", ""), Some(at(11)), stop(RetryState::Timeout)),
            (
                1,
                Failure::new("Busy", ""),
                Some(at(12)),
                RetryDecision::RetryAt(at(11)),
            ),
            (
                1,
                Failure::timeout(TimeoutKind::StartToClose),
                None,
                RetryDecision::RetryAt(at(11)),
            ),
            (
                1,
                Failure::timeout(TimeoutKind::Heartbeat),
                None,
                RetryDecision::RetryAt(at(11)),
            ),
            (
                1,
                Failure::timeout(TimeoutKind::ScheduleToStart),
                None,
                stop(RetryState::Timeout),
            ),
            (1, Failure::worker_lost(), None, RetryDecision::RetryAt(at(10))),
            (1, Failure::canceled(""), None, stop(RetryState::CancelRequested)),
        ];
        for (attempt, failure, deadline, expected) in cases {
            let decision = policy.decide(attempt, &failure, at(10), deadline);
            assert_eq!(decision, expected, "attempt {attempt} of {failure:?} by {deadline:?}");
        }
    }
}
