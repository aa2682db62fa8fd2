//! Runs that follow one another, from the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{Decoded, chain as failure, child, duration, message, payload};
use crate::model::{
    ContinuedAsNew, Initiator, RequestId, RetryPolicy, RunChain, RunId, TaskQueue, Timestamp, UpdateId, WorkflowType,
};

pub(super) fn run_chain(chain: &mut wire::RunChain<'_>) -> Decoded<RunChain> {
    Ok(RunChain {
        first: chain.first.map(RunId::from_bytes),
        follows: chain.follows.map(|follows| {
            let initiator = match follows.initiator {
                wire::Initiator::Workflow => Initiator::Workflow,
                wire::Initiator::Retry => Initiator::Retry,
                wire::Initiator::Cron => Initiator::Cron,
            };
            (RunId::from_bytes(follows.run_id), initiator)
        }),
        attempt: chain.attempt,
        backoff: duration(chain.backoff)?,
        execution_timeout: chain.execution_timeout.map(duration).transpose()?,
        expires_at: chain.expires_at.map(Timestamp::from_micros),
        retry: chain.retry.as_ref().map(retry).transpose()?,
        cron: chain.cron.map(str::to_owned),
        last_failure: chain.last_failure.take().map(failure).transpose()?,
        last_result: chain.last_result.as_ref().map(payload),
        signal_requests: chain
            .signal_requests
            .iter()
            .copied()
            .map(RequestId::from_trusted)
            .collect(),
        updates: chain.updates.iter().copied().map(UpdateId::from_trusted).collect(),
        children: chain.children.iter().map(child::left).collect::<Decoded<_>>()?,
        messages: chain.messages.iter().map(message::left_message).collect(),
    })
}

pub(super) fn retry(retry: &wire::RunRetry<'_>) -> Decoded<RetryPolicy> {
    Ok(RetryPolicy {
        initial_interval: duration(retry.initial_interval)?,
        backoff_coefficient: retry.backoff_coefficient,
        maximum_interval: retry.maximum_interval.map(duration).transpose()?,
        maximum_attempts: retry.maximum_attempts,
        non_retryable_types: retry.non_retryable_types.iter().map(|&name| name.to_owned()).collect(),
    })
}

pub(super) fn continued_as_new(next: &wire::ContinuedAsNew<'_>) -> Decoded<ContinuedAsNew> {
    Ok(ContinuedAsNew {
        new_run_id: RunId::from_bytes(next.new_run_id),
        workflow_type: WorkflowType::from_trusted(next.workflow_type),
        input: payload(&next.input),
        run_timeout: next.run_timeout.map(duration).transpose()?,
        task_queue: next.task_queue.map(TaskQueue::from_trusted),
    })
}
