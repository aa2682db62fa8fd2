//! What the first event of a run says of its chain. Must not live here: any other event.

use serde_json::{Value, json};

use super::{failure, time};
use crate::model::{RetryPolicy, RunChain};

/// A run's place in its chain, and what makes it have a next one.
pub(super) fn chain(chain: &RunChain) -> Value {
    json!({
        "attempt": chain.attempt,
        "first_run_id": chain.first.map(|run_id| run_id.to_string()),
        "follows": chain.follows.map(|(run_id, why)| json!({"run_id": run_id.to_string(), "why": why.as_str()})),
        "backoff_ms": u64::try_from(chain.backoff.as_millis()).unwrap_or(u64::MAX),
        "execution_timeout_ms": chain.execution_timeout.map(|limit| limit.as_millis()),
        "expires_at": chain.expires_at.map(time),
        "retry": chain.retry.as_ref().map(retry),
        "cron": chain.cron,
        "last_failure": chain.last_failure.as_ref().map(failure),
    })
}

pub(super) fn retry(policy: &RetryPolicy) -> Value {
    json!({
        "maximum_attempts": policy.maximum_attempts,
        "initial_interval_ms": policy.initial_interval.as_millis(),
        "maximum_interval_ms": policy.maximum_interval.map(|interval| interval.as_millis()),
        "backoff_coefficient": policy.backoff_coefficient,
        "non_retryable": policy.non_retryable_types,
    })
}
