//! Child workflows, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{chain, payload, span};
use crate::model::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, LeftChild, ParentClosePolicy, ParentRun, StartChild,
};

pub(super) fn event(event: &ChildEvent) -> wire::Child<'_> {
    use wire::Child as W;
    match event {
        ChildEvent::Initiated(start) => W::Initiated(start_child(start)),
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
        run_timeout: start.run_timeout.map(span),
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
