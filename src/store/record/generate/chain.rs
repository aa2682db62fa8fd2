//! Runs that follow one another, for tests. Must not live here: assertions.

use proptest::prelude::*;

use super::child::left_child;
use super::message::left_message;
use super::{duration, failure, payload, retry, text, time};
use crate::model::*;

pub(super) fn run_chain() -> BoxedStrategy<RunChain> {
    let initiator = proptest::sample::select(vec![Initiator::Workflow, Initiator::Retry, Initiator::Cron]);
    let place = (
        proptest::option::of(run_id()),
        proptest::option::of((run_id(), initiator)),
        any::<u32>(),
        duration(),
        proptest::option::of(duration()),
        proptest::option::of(time()),
    );
    let rest = (
        proptest::option::of(retry()),
        proptest::option::of(text()),
        proptest::option::of(failure()),
        proptest::option::of(payload()),
        proptest::collection::vec(text().prop_map(RequestId::from_trusted), 0..3),
        proptest::collection::vec(text().prop_map(UpdateId::from_trusted), 0..3),
        proptest::collection::vec(left_child(), 0..3),
        proptest::collection::vec(left_message(), 0..3),
    );
    (place, rest)
        .prop_map(
            |(
                (first, follows, attempt, backoff, execution_timeout, expires_at),
                (retry, cron, last_failure, last_result, signal_requests, updates, children, messages),
            )| RunChain {
                first,
                follows,
                attempt,
                backoff,
                execution_timeout,
                expires_at,
                retry,
                cron,
                last_failure,
                last_result,
                signal_requests,
                updates,
                children,
                messages,
            },
        )
        .boxed()
}

pub(super) fn continued_as_new() -> BoxedStrategy<EventAttributes> {
    let queue = proptest::option::of(text().prop_map(TaskQueue::from_trusted));
    (run_id(), text(), payload(), proptest::option::of(duration()), queue)
        .prop_map(|(new_run_id, name, input, run_timeout, task_queue)| {
            EventAttributes::WorkflowExecutionContinuedAsNew(Box::new(ContinuedAsNew {
                new_run_id,
                workflow_type: WorkflowType::from_trusted(name),
                input,
                run_timeout,
                task_queue,
            }))
        })
        .boxed()
}

pub(super) fn task() -> BoxedStrategy<EventAttributes> {
    (text(), any::<u64>(), any::<bool>())
        .prop_map(|(identity, history_bytes, suggested)| {
            EventAttributes::WorkflowTask(WorkflowTask {
                identity,
                history_bytes,
                continue_as_new_suggested: suggested,
            })
        })
        .boxed()
}

pub(super) fn run_id() -> BoxedStrategy<RunId> {
    any::<[u8; 16]>().prop_map(RunId::from_bytes).boxed()
}
