//! Version 1 of updates, and of what a run says to others. Must not live here: any change after a release.

use serde::{Deserialize, Serialize};

use super::{Failure, LeftChild, Payload};

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum Message<'a> {
    UpdateAccepted {
        update_id: &'a str,
        name: &'a str,
        #[serde(borrow)]
        input: Payload<'a>,
        identity: &'a str,
    },
    UpdateCompleted {
        update_id: &'a str,
        accepted: u64,
        #[serde(borrow)]
        outcome: Result<Payload<'a>, Failure<'a>>,
    },
    SignalInitiated {
        workflow_id: &'a str,
        run_id: Option<[u8; 16]>,
        name: &'a str,
        #[serde(borrow)]
        input: Payload<'a>,
    },
    SignalFailed {
        initiated: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
    },
    Signaled {
        initiated: u64,
    },
    CancelInitiated {
        workflow_id: &'a str,
        run_id: Option<[u8; 16]>,
        reason: &'a str,
    },
    CancelFailed {
        initiated: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
    },
    CancelRequested {
        initiated: u64,
    },
    Paused {
        reason: &'a str,
        identity: &'a str,
    },
    Unpaused {
        reason: &'a str,
        identity: &'a str,
    },
    Reset {
        base_run_id: [u8; 16],
        new_run_id: [u8; 16],
        original_run_id: [u8; 16],
        reason: &'a str,
        identity: &'a str,
        request_id: Option<&'a str>,
        attempts: Vec<ResetAttempt>,
        doubts: Vec<u64>,
        #[serde(borrow)]
        locals: Vec<(u32, &'a str)>,
        #[serde(borrow)]
        updates: Vec<Update<'a>>,
        #[serde(borrow)]
        children: Vec<LeftChild<'a>>,
        #[serde(borrow)]
        messages: Vec<LeftMessage<'a>>,
        #[serde(borrow)]
        left: Vec<&'a str>,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(in crate::store::record) struct MessageKey {
    pub(in crate::store::record) sender_run: [u8; 16],
    pub(in crate::store::record) initiated: u64,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct LeftMessage<'a> {
    pub(in crate::store::record) key: MessageKey,
    #[serde(borrow)]
    pub(in crate::store::record) message: External<'a>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum External<'a> {
    Signal {
        workflow_id: &'a str,
        run_id: Option<[u8; 16]>,
        name: &'a str,
        #[serde(borrow)]
        input: Payload<'a>,
    },
    Cancel {
        workflow_id: &'a str,
        run_id: Option<[u8; 16]>,
        reason: &'a str,
    },
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct ResetAttempt {
    pub(in crate::store::record) scheduled: u64,
    pub(in crate::store::record) attempt: u32,
    pub(in crate::store::record) lost: bool,
    pub(in crate::store::record) may_have_applied: bool,
    pub(in crate::store::record) forgiven: u32,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct Update<'a> {
    pub(in crate::store::record) update_id: &'a str,
    pub(in crate::store::record) name: &'a str,
    #[serde(borrow)]
    pub(in crate::store::record) input: Payload<'a>,
    pub(in crate::store::record) identity: &'a str,
}
