//! Child workflows, for tests. Must not live here: assertions.

use std::sync::Arc;

use proptest::prelude::*;

use super::attribute::both;
use super::{duration, event_id, failure, payload, retry, text, time};
use crate::model::*;

pub(super) fn run_id() -> BoxedStrategy<RunId> {
    any::<[u8; 16]>().prop_map(RunId::from_bytes).boxed()
}

pub(super) fn parent() -> BoxedStrategy<ParentRun> {
    (text(), run_id(), proptest::option::of(event_id()))
        .prop_map(|(id, run_id, initiated)| ParentRun {
            workflow_id: WorkflowId::from_trusted(id),
            run_id,
            initiated,
        })
        .boxed()
}

pub(super) fn child_key() -> BoxedStrategy<ChildKey> {
    (run_id(), event_id())
        .prop_map(|(parent_run, initiated)| ChildKey { parent_run, initiated })
        .boxed()
}

pub(super) fn left_child() -> BoxedStrategy<LeftChild> {
    (
        child_key(),
        start_child(),
        time(),
        proptest::option::of(run_id()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(key, start, initiated_at, run_id, owes_cancel, let_go)| LeftChild {
            key,
            start: Arc::new(start),
            initiated_at,
            run_id,
            owes_cancel,
            let_go,
        })
        .boxed()
}

fn start_child() -> BoxedStrategy<StartChild> {
    use IdReusePolicy as R;
    use ParentClosePolicy as P;
    let policies = (
        proptest::sample::select(vec![P::Terminate, P::Abandon, P::RequestCancel]),
        proptest::sample::select(vec![R::RejectDuplicate, R::AllowDuplicateFailedOnly, R::AllowDuplicate]),
    );
    let limit = || proptest::option::of(duration());
    let chain = (
        limit(),
        limit(),
        proptest::option::of(retry()),
        proptest::option::of(text()),
    );
    let queue = proptest::option::of(text().prop_map(TaskQueue::from_trusted));
    (text(), text(), payload(), policies, chain, queue, both())
        .prop_map(
            |(id, kind, input, policies, chain, task_queue, (search_attributes, memo))| {
                let (parent_close_policy, id_reuse_policy) = policies;
                let (run_timeout, execution_timeout, retry, cron) = chain;
                StartChild {
                    workflow_id: WorkflowId::from_trusted(id),
                    workflow_type: WorkflowType::from_trusted(kind),
                    input,
                    parent_close_policy,
                    id_reuse_policy,
                    run_timeout,
                    execution_timeout,
                    retry,
                    cron,
                    task_queue,
                    search_attributes,
                    memo,
                }
            },
        )
        .boxed()
}

pub(super) fn child_events() -> BoxedStrategy<EventAttributes> {
    let initiated = start_child().prop_map(|start| ChildEvent::Initiated(Arc::new(start)));
    let end = prop_oneof![
        payload().prop_map(ChildEnd::Completed),
        failure().prop_map(ChildEnd::Failed),
        failure().prop_map(ChildEnd::Canceled),
        Just(ChildEnd::TimedOut),
        Just(ChildEnd::Terminated),
    ];
    prop_oneof![
        initiated,
        (event_id(), failure()).prop_map(|(initiated, failure)| ChildEvent::StartFailed { initiated, failure }),
        (event_id(), run_id()).prop_map(|(initiated, run_id)| ChildEvent::Started { initiated, run_id }),
        (event_id(), event_id(), end).prop_map(|(initiated, started, end)| ChildEvent::Ended {
            initiated,
            started,
            end
        }),
    ]
    .prop_map(|event| EventAttributes::Child(Box::new(event)))
    .boxed()
}

pub(super) fn child_failure() -> BoxedStrategy<FailureKind> {
    (text(), proptest::option::of(run_id()), text())
        .prop_map(|(id, run_id, kind)| {
            FailureKind::ChildWorkflow(Box::new(ChildWorkflowFailure {
                workflow_id: WorkflowId::from_trusted(id),
                run_id,
                workflow_type: WorkflowType::from_trusted(kind),
            }))
        })
        .boxed()
}
