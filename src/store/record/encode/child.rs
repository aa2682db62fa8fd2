//! Child workflows, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::chain::retry;
use super::{attribute, chain, payload, span};
use crate::model::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, IdReusePolicy, LeftChild, ParentClosePolicy, ParentRun,
    StartChild, TaskQueue,
};

pub(super) fn event(event: &ChildEvent) -> wire::Child<'_> {
    use wire::Child as W;
    match event {
        ChildEvent::Initiated(start) => W::Initiated(Box::new(start_child(start))),
        ChildEvent::StartFailed { initiated, failure } => W::StartFailed {
            initiated: initiated.0,
            failure: chain(failure),
        },
        ChildEvent::Started { initiated, run_id } => W::Started {
            initiated: initiated.0,
            run_id: *run_id.as_bytes(),
        },
        ChildEvent::Ended {
            initiated,
            started,
            end,
        } => W::Ended {
            initiated: initiated.0,
            started: started.0,
            end: child_end(end),
        },
    }
}

fn start_child(start: &StartChild) -> wire::StartChild<'_> {
    wire::StartChild {
        workflow_id: start.workflow_id.qualified(),
        workflow_type: start.workflow_type.as_str(),
        input: payload(&start.input),
        parent_close_policy: match start.parent_close_policy {
            ParentClosePolicy::Terminate => wire::ParentClosePolicy::Terminate,
            ParentClosePolicy::Abandon => wire::ParentClosePolicy::Abandon,
            ParentClosePolicy::RequestCancel => wire::ParentClosePolicy::RequestCancel,
        },
        id_reuse_policy: match start.id_reuse_policy {
            IdReusePolicy::RejectDuplicate => wire::IdReusePolicy::RejectDuplicate,
            IdReusePolicy::AllowDuplicateFailedOnly => wire::IdReusePolicy::AllowDuplicateFailedOnly,
            IdReusePolicy::AllowDuplicate => wire::IdReusePolicy::AllowDuplicate,
        },
        run_timeout: start.run_timeout.map(span),
        execution_timeout: start.execution_timeout.map(span),
        retry: start.retry.as_ref().map(retry),
        cron: start.cron.as_deref(),
        task_queue: start.task_queue.as_ref().map(TaskQueue::as_str),
        search_attributes: attribute::attributes(&start.search_attributes),
        memo: attribute::memo(&start.memo),
    }
}

pub(super) fn key(key: ChildKey) -> wire::ChildKey {
    wire::ChildKey {
        parent_run: *key.parent_run.as_bytes(),
        initiated: key.initiated.0,
    }
}

pub(super) fn left(child: &LeftChild) -> wire::LeftChild<'_> {
    wire::LeftChild {
        key: key(child.key),
        start: start_child(&child.start),
        initiated_at: child.initiated_at.as_micros(),
        run_id: child.run_id.map(|run_id| *run_id.as_bytes()),
        owes_cancel: child.owes_cancel,
        let_go: child.let_go,
    }
}

fn child_end(end: &ChildEnd) -> wire::ChildEnd<'_> {
    use wire::ChildEnd as W;
    match end {
        ChildEnd::Completed(result) => W::Completed(payload(result)),
        ChildEnd::Failed(failure) => W::Failed(chain(failure)),
        ChildEnd::Canceled(failure) => W::Canceled(chain(failure)),
        ChildEnd::TimedOut => W::TimedOut,
        ChildEnd::Terminated => W::Terminated,
    }
}

pub(super) fn parent(parent: &ParentRun) -> wire::ParentRun<'_> {
    wire::ParentRun {
        workflow_id: parent.workflow_id.qualified(),
        run_id: *parent.run_id.as_bytes(),
        initiated: parent.initiated.map(|initiated| initiated.0),
    }
}

pub(super) fn failure(child: &ChildWorkflowFailure) -> wire::ChildWorkflowFailure<'_> {
    wire::ChildWorkflowFailure {
        workflow_id: child.workflow_id.qualified(),
        run_id: child.run_id.map(|run_id| *run_id.as_bytes()),
        workflow_type: child.workflow_type.as_str(),
    }
}
