//! Changes without event ids, to the wire. Must not live here: events.

use super::super::v1 as wire;
use super::{chain, child, message, payload};
use crate::model::{HoldReason, ParkReason, PendingChange};

pub(super) fn change(change: &PendingChange) -> wire::Pending<'_> {
    match change {
        PendingChange::RetryScheduled {
            scheduled,
            failed_attempt,
            failure,
            due,
        } => wire::Pending::RetryScheduled {
            scheduled: scheduled.0,
            failed_attempt: *failed_attempt,
            failure: chain(failure),
            due: due.as_micros(),
        },
        PendingChange::Parked { reason } => wire::Pending::Parked {
            reason: park_reason(reason),
        },
        PendingChange::Unparked => wire::Pending::Unparked,
        PendingChange::Held { scheduled, why } => wire::Pending::Held {
            scheduled: scheduled.0,
            why: match why {
                HoldReason::Stopping => wire::HoldReason::Stopping,
                HoldReason::Breaker => wire::HoldReason::Breaker,
                HoldReason::NoWorker => wire::HoldReason::NoWorker,
            },
        },
        PendingChange::LocalBegun { seq, activity_type } => wire::Pending::LocalBegun {
            seq: *seq,
            activity_type: activity_type.as_str(),
        },
        PendingChange::LocalForgotten { seq } => wire::Pending::LocalForgotten { seq: *seq },
        PendingChange::ChildReleased { child: key } => wire::Pending::ChildReleased {
            child: child::key(*key),
        },
        PendingChange::Heartbeat { scheduled, at, details } => wire::Pending::Heartbeat {
            scheduled: scheduled.0,
            at: at.as_micros(),
            details: payload(details),
        },
        PendingChange::HandedOver {
            scheduled,
            attempt,
            started,
            at,
        } => wire::Pending::HandedOver {
            scheduled: scheduled.0,
            attempt: *attempt,
            started: started.as_micros(),
            at: at.as_micros(),
        },
        PendingChange::LateResult { scheduled, attempt } => wire::Pending::LateResult {
            scheduled: scheduled.0,
            attempt: *attempt,
        },
        PendingChange::MessageReleased { message: key } => wire::Pending::MessageReleased {
            message: message::key(*key),
        },
        PendingChange::GivesWay { run_id } => wire::Pending::GivesWay {
            run_id: *run_id.as_bytes(),
        },
        PendingChange::FollowedBy { run_id } => wire::Pending::FollowedBy {
            run_id: *run_id.as_bytes(),
        },
        PendingChange::Released { scheduled } => wire::Pending::Released { scheduled: scheduled.0 },
    }
}

fn park_reason(reason: &ParkReason) -> wire::ParkReason<'_> {
    match reason {
        ParkReason::Nondeterminism { at, expected, recorded } => wire::ParkReason::Nondeterminism {
            at: *at,
            expected,
            recorded,
        },
        ParkReason::Panicked { message } => wire::ParkReason::Panicked { message },
        ParkReason::ForeignFuture => wire::ParkReason::ForeignFuture,
        ParkReason::UnknownWorkflow { workflow_type } => wire::ParkReason::UnknownWorkflow { workflow_type },
        ParkReason::BadCommand { message } => wire::ParkReason::BadCommand { message },
    }
}
