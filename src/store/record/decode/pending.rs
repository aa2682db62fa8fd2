//! Changes without event ids, from the wire. Must not live here: events.

use super::super::v1 as wire;
use super::{Decoded, chain, child, message, payload};
use crate::model::{ActivityType, EventId, HoldReason, ParkReason, PendingChange, RunId, Timestamp};

pub(super) fn change(change: wire::Pending<'_>) -> Decoded<PendingChange> {
    Ok(match change {
        wire::Pending::RetryScheduled {
            scheduled,
            failed_attempt,
            failure,
            due,
        } => PendingChange::RetryScheduled {
            scheduled: EventId(scheduled),
            failed_attempt,
            failure: chain(failure)?,
            due: Timestamp::from_micros(due),
        },
        wire::Pending::Parked { reason } => PendingChange::Parked {
            reason: park_reason(&reason),
        },
        wire::Pending::Unparked => PendingChange::Unparked,
        wire::Pending::LateResult { scheduled, attempt } => PendingChange::LateResult {
            scheduled: EventId(scheduled),
            attempt,
        },
        wire::Pending::Held { scheduled, why } => PendingChange::Held {
            scheduled: EventId(scheduled),
            why: match why {
                wire::HoldReason::Stopping => HoldReason::Stopping,
                wire::HoldReason::Breaker => HoldReason::Breaker,
                wire::HoldReason::NoWorker => HoldReason::NoWorker,
            },
        },
        wire::Pending::LocalBegun { seq, activity_type } => PendingChange::LocalBegun {
            seq,
            activity_type: ActivityType::from_trusted(activity_type),
        },
        wire::Pending::LocalForgotten { seq } => PendingChange::LocalForgotten { seq },
        wire::Pending::ChildReleased { child: key } => PendingChange::ChildReleased { child: child::key(key) },
        wire::Pending::Heartbeat { scheduled, at, details } => PendingChange::Heartbeat {
            scheduled: EventId(scheduled),
            at: Timestamp::from_micros(at),
            details: payload(&details),
        },
        wire::Pending::HandedOver {
            scheduled,
            attempt,
            started,
            at,
        } => PendingChange::HandedOver {
            scheduled: EventId(scheduled),
            attempt,
            started: Timestamp::from_micros(started),
            at: Timestamp::from_micros(at),
        },
        wire::Pending::MessageReleased { message: key } => PendingChange::MessageReleased {
            message: message::key(key),
        },
        wire::Pending::GivesWay { run_id } => PendingChange::GivesWay {
            run_id: RunId::from_bytes(run_id),
        },
        wire::Pending::FollowedBy { run_id } => PendingChange::FollowedBy {
            run_id: RunId::from_bytes(run_id),
        },
        wire::Pending::Released { scheduled } => PendingChange::Released {
            scheduled: EventId(scheduled),
        },
    })
}

fn park_reason(reason: &wire::ParkReason<'_>) -> ParkReason {
    use wire::ParkReason as W;
    match *reason {
        W::Nondeterminism { at, expected, recorded } => ParkReason::Nondeterminism {
            at,
            expected: expected.to_owned(),
            recorded: recorded.to_owned(),
        },
        W::Panicked { message } => ParkReason::Panicked {
            message: message.to_owned(),
        },
        W::ForeignFuture => ParkReason::ForeignFuture,
        W::UnknownWorkflow { workflow_type } => ParkReason::UnknownWorkflow {
            workflow_type: workflow_type.to_owned(),
        },
        W::BadCommand { message } => ParkReason::BadCommand {
            message: message.to_owned(),
        },
    }
}
