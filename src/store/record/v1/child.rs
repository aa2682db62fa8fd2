//! Version 1 of child workflows. Must not live here: any change after a release (write a `v2`).

use serde::{Deserialize, Serialize};

use super::{Failure, Micros, Payload, RunRetry, SearchAttribute, Span};

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum Child<'a> {
    Initiated(#[serde(borrow)] Box<StartChild<'a>>),
    StartFailed {
        initiated: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
    },
    Started {
        initiated: u64,
        run_id: [u8; 16],
    },
    Ended {
        initiated: u64,
        started: u64,
        #[serde(borrow)]
        end: ChildEnd<'a>,
    },
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct StartChild<'a> {
    pub(in crate::store::record) workflow_id: &'a str,
    pub(in crate::store::record) workflow_type: &'a str,
    #[serde(borrow)]
    pub(in crate::store::record) input: Payload<'a>,
    pub(in crate::store::record) parent_close_policy: ParentClosePolicy,
    pub(in crate::store::record) id_reuse_policy: IdReusePolicy,
    pub(in crate::store::record) run_timeout: Option<Span>,
    pub(in crate::store::record) execution_timeout: Option<Span>,
    #[serde(borrow)]
    pub(in crate::store::record) retry: Option<RunRetry<'a>>,
    pub(in crate::store::record) cron: Option<&'a str>,
    pub(in crate::store::record) task_queue: Option<&'a str>,
    #[serde(borrow)]
    pub(in crate::store::record) search_attributes: Vec<(&'a str, SearchAttribute<'a>)>,
    #[serde(borrow)]
    pub(in crate::store::record) memo: Vec<(&'a str, Payload<'a>)>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(in crate::store::record) struct ChildKey {
    pub(in crate::store::record) parent_run: [u8; 16],
    pub(in crate::store::record) initiated: u64,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct LeftChild<'a> {
    pub(in crate::store::record) key: ChildKey,
    #[serde(borrow)]
    pub(in crate::store::record) start: StartChild<'a>,
    pub(in crate::store::record) initiated_at: Micros,
    pub(in crate::store::record) run_id: Option<[u8; 16]>,
    pub(in crate::store::record) owes_cancel: bool,
    pub(in crate::store::record) let_go: bool,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum ParentClosePolicy {
    Terminate,
    Abandon,
    RequestCancel,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum IdReusePolicy {
    RejectDuplicate,
    AllowDuplicateFailedOnly,
    AllowDuplicate,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum ChildEnd<'a> {
    Completed(#[serde(borrow)] Payload<'a>),
    Failed(#[serde(borrow)] Failure<'a>),
    Canceled(#[serde(borrow)] Failure<'a>),
    TimedOut,
    Terminated,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct ParentRun<'a> {
    pub(in crate::store::record) workflow_id: &'a str,
    pub(in crate::store::record) run_id: [u8; 16],
    pub(in crate::store::record) initiated: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct ChildWorkflowFailure<'a> {
    pub(in crate::store::record) workflow_id: &'a str,
    pub(in crate::store::record) run_id: Option<[u8; 16]>,
    pub(in crate::store::record) workflow_type: &'a str,
}
