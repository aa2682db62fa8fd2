//! Every change without an event id, for the golden record. Must not live here: assertions.

use crate::model::*;

pub(super) fn every_change(scheduled_id: EventId) -> Vec<PendingChange> {
    let text = |text: &str| text.to_owned();
    vec![
        PendingChange::RetryScheduled {
            scheduled: scheduled_id,
            failed_attempt: 1,
            failure: Failure::timeout(TimeoutKind::StartToClose),
            due: Timestamp::from_micros(1_700_000_001_000_000),
        },
        PendingChange::Parked {
            reason: ParkReason::Nondeterminism {
                at: 9,
                expected: text("a timer"),
                recorded: text("an activity"),
            },
        },
        PendingChange::Unparked,
        PendingChange::Held {
            scheduled: EventId(5),
            why: HoldReason::Stopping,
        },
        PendingChange::Released { scheduled: EventId(5) },
        PendingChange::LateResult {
            scheduled: EventId(5),
            attempt: 2,
        },
        PendingChange::Held {
            scheduled: EventId(5),
            why: HoldReason::Breaker,
        },
        PendingChange::Heartbeat {
            scheduled: EventId(5),
            at: Timestamp::from_micros(1_700_000_001_000_001),
            details: Payload::json(&3).unwrap(),
        },
        PendingChange::HandedOver {
            scheduled: EventId(5),
            attempt: 2,
            started: Timestamp::from_micros(1_700_000_001_000_002),
            at: Timestamp::from_micros(1_700_000_001_000_003),
        },
        PendingChange::LocalBegun {
            seq: 1,
            activity_type: ActivityType::from_trusted("lookup"),
        },
        PendingChange::LocalForgotten { seq: 1 },
        PendingChange::ChildReleased {
            child: ChildKey {
                parent_run: RunId::from_bytes([2; 16]),
                initiated: EventId(50),
            },
        },
        PendingChange::RetryScheduled {
            scheduled: EventId(5),
            failed_attempt: 2,
            failure: Failure {
                kind: FailureKind::Timeout {
                    kind: TimeoutKind::Heartbeat,
                    last_heartbeat: Some(Payload::json(&3).unwrap()),
                },
                ..Failure::timeout(TimeoutKind::Heartbeat)
            },
            due: Timestamp::from_micros(1_700_000_002_000_000),
        },
        PendingChange::Held {
            scheduled: EventId(5),
            why: HoldReason::NoWorker,
        },
        PendingChange::MessageReleased {
            message: MessageKey {
                sender_run: RunId::from_bytes([2; 16]),
                initiated: EventId(51),
            },
        },
        PendingChange::GivesWay {
            run_id: RunId::from_bytes([3; 16]),
        },
        PendingChange::FollowedBy {
            run_id: RunId::from_bytes([6; 16]),
        },
    ]
}
