//! Child workflows, from the wire. Must not live here: anything else.

use std::sync::Arc;

use super::super::v1 as wire;
use super::chain::retry;
use super::{Decoded, attribute, chain, duration, payload};
use crate::model::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, EventId, IdReusePolicy, LeftChild, ParentClosePolicy,
    ParentRun, RunId, StartChild, TaskQueue, Timestamp, WorkflowId, WorkflowType,
};

pub(super) fn event(event: wire::Child<'_>) -> Decoded<ChildEvent> {
    use wire::Child as W;
    Ok(match event {
        W::Initiated(start) => ChildEvent::Initiated(Arc::new(start_child(&start)?)),
        W::StartFailed { initiated, failure } => ChildEvent::StartFailed {
            initiated: EventId(initiated),
            failure: chain(failure)?,
        },
        W::Started { initiated, run_id } => ChildEvent::Started {
            initiated: EventId(initiated),
            run_id: RunId::from_bytes(run_id),
        },
        W::Ended {
            initiated,
            started,
            end,
        } => ChildEvent::Ended {
            initiated: EventId(initiated),
            started: EventId(started),
            end: child_end(end)?,
        },
    })
}

fn start_child(start: &wire::StartChild<'_>) -> Decoded<StartChild> {
    Ok(StartChild {
        workflow_id: WorkflowId::from_trusted(start.workflow_id),
        workflow_type: WorkflowType::from_trusted(start.workflow_type),
        input: payload(&start.input),
        parent_close_policy: match start.parent_close_policy {
            wire::ParentClosePolicy::Terminate => ParentClosePolicy::Terminate,
            wire::ParentClosePolicy::Abandon => ParentClosePolicy::Abandon,
            wire::ParentClosePolicy::RequestCancel => ParentClosePolicy::RequestCancel,
        },
        id_reuse_policy: match start.id_reuse_policy {
            wire::IdReusePolicy::RejectDuplicate => IdReusePolicy::RejectDuplicate,
            wire::IdReusePolicy::AllowDuplicateFailedOnly => IdReusePolicy::AllowDuplicateFailedOnly,
            wire::IdReusePolicy::AllowDuplicate => IdReusePolicy::AllowDuplicate,
        },
        run_timeout: start.run_timeout.map(duration).transpose()?,
        execution_timeout: start.execution_timeout.map(duration).transpose()?,
        retry: start.retry.as_ref().map(retry).transpose()?,
        cron: start.cron.map(str::to_owned),
        task_queue: start.task_queue.map(TaskQueue::from_trusted),
        search_attributes: attribute::attributes(&start.search_attributes),
        memo: attribute::memo(&start.memo),
    })
}

pub(super) fn key(key: wire::ChildKey) -> ChildKey {
    ChildKey {
        parent_run: RunId::from_bytes(key.parent_run),
        initiated: EventId(key.initiated),
    }
}

pub(super) fn left(child: &wire::LeftChild<'_>) -> Decoded<LeftChild> {
    Ok(LeftChild {
        key: key(child.key),
        start: Arc::new(start_child(&child.start)?),
        initiated_at: Timestamp::from_micros(child.initiated_at),
        run_id: child.run_id.map(RunId::from_bytes),
        owes_cancel: child.owes_cancel,
        let_go: child.let_go,
    })
}

fn child_end(end: wire::ChildEnd<'_>) -> Decoded<ChildEnd> {
    use wire::ChildEnd as W;
    Ok(match end {
        W::Completed(result) => ChildEnd::Completed(payload(&result)),
        W::Failed(failure) => ChildEnd::Failed(chain(failure)?),
        W::Canceled(failure) => ChildEnd::Canceled(chain(failure)?),
        W::TimedOut => ChildEnd::TimedOut,
        W::Terminated => ChildEnd::Terminated,
    })
}

pub(super) fn parent(parent: &wire::ParentRun<'_>) -> ParentRun {
    ParentRun {
        workflow_id: WorkflowId::from_trusted(parent.workflow_id),
        run_id: RunId::from_bytes(parent.run_id),
        initiated: parent.initiated.map(EventId),
    }
}

pub(super) fn failure(child: &wire::ChildWorkflowFailure<'_>) -> ChildWorkflowFailure {
    ChildWorkflowFailure {
        workflow_id: WorkflowId::from_trusted(child.workflow_id),
        run_id: child.run_id.map(RunId::from_bytes),
        workflow_type: WorkflowType::from_trusted(child.workflow_type),
    }
}
