//! Version 1 of the changes without event ids. Must not live here: any change after a release (write a `v2`).

use serde::{Deserialize, Serialize};

use super::{ChildKey, Failure, MessageKey, Micros, Payload};

#[derive(Serialize, Deserialize)]
pub(in super::super) enum Pending<'a> {
    RetryScheduled {
        scheduled: u64,
        failed_attempt: u32,
        #[serde(borrow)]
        failure: Failure<'a>,
        due: Micros,
    },
    Parked {
        #[serde(borrow)]
        reason: ParkReason<'a>,
    },
    Unparked,
    Held {
        scheduled: u64,
        why: HoldReason,
    },
    Released {
        scheduled: u64,
    },
    LateResult {
        scheduled: u64,
        attempt: u32,
    },
    Heartbeat {
        scheduled: u64,
        at: Micros,
        #[serde(borrow)]
        details: Payload<'a>,
    },
    HandedOver {
        scheduled: u64,
        attempt: u32,
        started: Micros,
        at: Micros,
    },
    LocalBegun {
        seq: u32,
        activity_type: &'a str,
    },
    LocalForgotten {
        seq: u32,
    },
    FollowedBy {
        run_id: [u8; 16],
    },
    ChildReleased {
        child: ChildKey,
    },
    GivesWay {
        run_id: [u8; 16],
    },
    MessageReleased {
        message: MessageKey,
    },
}

#[derive(Serialize, Deserialize)]
pub(in super::super) enum HoldReason {
    Stopping,
    Breaker,
    NoWorker,
}

#[derive(Serialize, Deserialize)]
pub(in super::super) enum ParkReason<'a> {
    Nondeterminism {
        at: u64,
        expected: &'a str,
        recorded: &'a str,
    },
    Panicked {
        message: &'a str,
    },
    ForeignFuture,
    UnknownWorkflow {
        workflow_type: &'a str,
    },
    BadCommand {
        message: &'a str,
    },
}
