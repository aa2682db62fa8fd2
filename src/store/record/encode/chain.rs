//! Runs that follow one another, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{chain as failure, child, message, payload, span};
use crate::model::{ContinuedAsNew, Initiator, RequestId, RetryPolicy, RunChain, TaskQueue, UpdateId};

pub(super) fn run_chain(chain: &RunChain) -> wire::RunChain<'_> {
    wire::RunChain {
        first: chain.first.map(|run_id| *run_id.as_bytes()),
        follows: chain.follows.map(|(run_id, initiator)| wire::Follows {
            run_id: *run_id.as_bytes(),
            initiator: match initiator {
                Initiator::Workflow => wire::Initiator::Workflow,
                Initiator::Retry => wire::Initiator::Retry,
                Initiator::Cron => wire::Initiator::Cron,
            },
        }),
        attempt: chain.attempt,
        backoff: span(chain.backoff),
        execution_timeout: chain.execution_timeout.map(span),
        expires_at: chain.expires_at.map(|at| at.as_micros()),
        retry: chain.retry.as_ref().map(retry),
        cron: chain.cron.as_deref(),
        last_failure: chain.last_failure.as_ref().map(failure),
        last_result: chain.last_result.as_ref().map(payload),
        signal_requests: chain.signal_requests.iter().map(RequestId::as_str).collect(),
        updates: chain.updates.iter().map(UpdateId::as_str).collect(),
        children: chain.children.iter().map(child::left).collect(),
        messages: chain.messages.iter().map(message::left).collect(),
    }
}

pub(super) fn retry(retry: &RetryPolicy) -> wire::RunRetry<'_> {
    wire::RunRetry {
        initial_interval: span(retry.initial_interval),
        backoff_coefficient: retry.backoff_coefficient,
        maximum_interval: retry.maximum_interval.map(span),
        maximum_attempts: retry.maximum_attempts,
        non_retryable_types: retry.non_retryable_types.iter().map(String::as_str).collect(),
    }
}

pub(super) fn continued_as_new(next: &ContinuedAsNew) -> wire::ContinuedAsNew<'_> {
    wire::ContinuedAsNew {
        new_run_id: *next.new_run_id.as_bytes(),
        workflow_type: next.workflow_type.as_str(),
        input: payload(&next.input),
        run_timeout: next.run_timeout.map(span),
        task_queue: next.task_queue.as_ref().map(TaskQueue::as_str),
    }
}
