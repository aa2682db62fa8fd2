//! The record's promises: nothing is lost, nothing but a record is accepted, and what was released stays readable.

mod attribute;
mod chain;
mod changes;
mod child;
mod message;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::*;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/turn-v1.bin");
const GOLDEN_TEXT: &str = include_str!("../../../tests/golden/turn-v1.txt");

fn chained() -> Failure {
    Failure {
        message: "activity charge_card failed".to_owned(),
        kind: FailureKind::Activity {
            activity_id: ActivityId::from_trusted("charge"),
            activity_type: ActivityType::from_trusted("charge_card"),
            retry_state: RetryState::NonRetryable,
        },
        cause: None,
    }
    .caused_by(
        Failure::not_applied("CardDeclined", "insufficient funds")
            .retry_after(Duration::new(3, 5))
            .with_details(Payload::json(&7).unwrap()),
    )
}

fn scheduled() -> EventAttributes {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(250),
        backoff_coefficient: 1.5,
        maximum_interval: Some(Duration::from_secs(9)),
        maximum_attempts: 4,
        non_retryable_types: vec!["Invalid".to_owned()],
    };
    EventAttributes::ActivityTaskScheduled(Arc::new(ActivityScheduled {
        activity_id: ActivityId::from_trusted("reserve"),
        activity_type: ActivityType::from_trusted("reserve_inventory"),
        input: Payload::from_parts("binary/custom", vec![0, 255]),
        options: ActivityOptions {
            schedule_to_close: Some(Duration::from_secs(60)),
            schedule_to_start: Some(Duration::from_secs(30)),
            start_to_close: Some(Duration::from_secs(10)),
            heartbeat: Some(Duration::from_nanos(1)),
            retry,
            task_queue: Some(TaskQueue::from_trusted("warehouse")),
        },
        role: ActivityRole::Step(Box::new(StepSpec {
            name: StepName::from_trusted("reserve"),
            kind: StepKind::Pivot,
            after: Some(vec![StepName::from_trusted("check")]),
            compensation: Some(CompensationSpec {
                activity_type: ActivityType::from_trusted("release_inventory"),
                input: CompensationInput::Mapped,
                options: ActivityOptions::for_compensation(),
            }),
            on_ambiguous: OnAmbiguous::Verify(Box::new(CompensationSpec {
                activity_type: ActivityType::from_trusted("find_reservation"),
                input: CompensationInput::Undo,
                options: ActivityOptions::default(),
            })),
            in_flight: InFlight::Fence,
        })),
    }))
}

/// The events that Temporal does not have, but for the first two, in the order of version 1's variants.
fn saga_events() -> Vec<EventAttributes> {
    use EventAttributes as E;
    let step = |name: &str| StepName::from_trusted(name);
    vec![
        E::SagaDecided(Box::new(SagaDecided {
            step: Some(EventId(5)),
            choice: Choice::MarkDone {
                output: Payload::json(&3).unwrap(),
            },
            by: "ada".to_owned(),
            reason: "refunded by hand".to_owned(),
            request_id: Some(RequestId::from_trusted("decision-1")),
            automatic: false,
        })),
        E::SagaStepAmbiguous(Box::new(SagaStepAmbiguous {
            scheduled: EventId(5),
            failure: Failure::timeout(TimeoutKind::StartToClose),
            retry_state: RetryState::MaximumAttemptsReached,
        })),
        E::SagaStepResolved {
            scheduled: EventId(5),
            verdict: StepVerdict::NotApplied,
        },
        E::SagaRollbackStarted { keep: 1 },
        E::SagaRollbackCompleted { started: EventId(9) },
        E::SagaWaitStarted(Box::new(SagaWaitStarted {
            name: step("approval"),
            after: vec![step("reserve")],
            signal: Some(SignalName::from_trusted("approve")),
            until: Some(Timestamp::from_micros(1_700_000_002_000_000)),
            default: Some(Payload::json(&false).unwrap()),
        })),
        E::SagaWaitEnded {
            started: EventId(9),
            result: WaitResult::Signaled(EventId(10)),
        },
        E::SagaStepSkipped(Box::new(SagaStepSkipped {
            name: step("gift-wrap"),
            after: vec![step("reserve")],
        })),
        E::SagaLockRequested {
            lock: LockName::from_trusted("order:42"),
            until: Some(Timestamp::from_micros(1_700_000_003_000_000)),
            no_wait: false,
        },
        E::SagaLockAcquired { requested: EventId(9) },
        E::SagaLockRefused {
            requested: EventId(9),
            failure: Failure::non_retryable("LockTimeout", "held by order-41"),
        },
        E::SagaAdopted(Box::new(SagaAdopted {
            run_id: RunId::from_bytes([9; 16]),
            steps: vec![AdoptedStep {
                name: step("flight"),
                kind: StepKind::Compensatable,
                after: Some(vec![step("passport")]),
                input: Payload::json(&1).unwrap(),
                outcome: Err(Failure::worker_lost()),
                compensation: None,
                scheduled: EventId(5),
                closed: EventId(7),
            }],
        })),
        E::LocalActivityEnded(Box::new(LocalActivityEnded {
            seq: 1,
            activity_type: ActivityType::from_trusted("lookup"),
            outcome: Err(Failure::new("Busy", "later")),
        })),
    ]
}

/// The events of a run's life, and its first activity, in the order of version 1's variants.
fn run_events() -> Vec<EventAttributes> {
    use EventAttributes as E;
    let text = str::to_owned;
    vec![
        E::WorkflowExecutionStarted(Arc::new(RunStarted {
            workflow_id: WorkflowId::from_trusted("order-42"),
            run_id: RunId::from_bytes([7; 16]),
            workflow_type: WorkflowType::from_trusted("place_order"),
            definition: Some(DefinitionDigest([9; 32])),
            input: Payload::json("hello").unwrap(),
            request_id: Some(RequestId::from_trusted("request-1")),
            run_timeout: Some(Duration::from_secs(3_600)),
            identity: text("client-a"),
            saga: Some(Box::new(SagaOptions {
                unwind_timeout: Some(Duration::from_secs(600)),
                unwind_parallel: Some(4),
                escalation: Some(Escalation {
                    after: Duration::from_secs(60),
                    activity_type: ActivityType::from_trusted("page_somebody"),
                    options: ActivityOptions::default(),
                }),
                automatic: Some(AutomaticDecision {
                    after: Duration::from_secs(86_400),
                    choice: ChoiceKind::Skip,
                }),
            })),
            task_queue: Some(TaskQueue::from_trusted("orders")),
            parent: Some(ParentRun {
                workflow_id: WorkflowId::from_trusted("basket-7"),
                run_id: RunId::from_bytes([8; 16]),
                initiated: Some(EventId(12)),
            }),
            search_attributes: attribute::of_each_type(),
            memo: attribute::memo(),
            chain: Some(Box::new(chain::whole_chain())),
        })),
        E::WorkflowExecutionCompleted {
            result: Payload::null(),
        },
        E::WorkflowExecutionFailed {
            failure: chained(),
            amended: true,
        },
        E::WorkflowExecutionTimedOut { amended: false },
        E::WorkflowExecutionCanceled {
            failure: Failure::canceled("as asked"),
            amended: true,
        },
        E::WorkflowExecutionTerminated {
            reason: text("mistake"),
            identity: text("operator"),
        },
        E::WorkflowExecutionCancelRequested {
            reason: text("changed mind"),
            identity: text("client-a"),
        },
        E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: SignalName::from_trusted("paid"),
            input: Payload::json(&[1, 2]).unwrap(),
            request_id: Some(RequestId::from_trusted("request-2")),
            identity: text("bank"),
        })),
        E::WorkflowTask(WorkflowTask {
            identity: text("shop 1.2.3"),
            history_bytes: 5_000_000,
            continue_as_new_suggested: true,
        }),
        scheduled(),
    ]
}

/// The events of activities, timers, and the first two of sagas, in the order of version 1's variants.
fn activity_events() -> Vec<EventAttributes> {
    use EventAttributes as E;
    let text = str::to_owned;
    let timer = || TimerId::from_trusted("cool-off");
    let (scheduled_id, started) = (EventId(5), EventId(6));
    vec![
        E::ActivityTaskStarted {
            scheduled: scheduled_id,
            attempt: 2,
            last_failure: Some(Failure::worker_lost()),
        },
        E::ActivityTaskCompleted {
            scheduled: scheduled_id,
            started,
            result: Payload::json(&true).unwrap(),
        },
        E::ActivityTaskFailed {
            scheduled: scheduled_id,
            started,
            failure: Failure::new("Busy", "later"),
            retry_state: RetryState::MaximumAttemptsReached,
        },
        E::ActivityTaskTimedOut {
            scheduled: scheduled_id,
            started: None,
            failure: Failure::timeout(TimeoutKind::Heartbeat),
            retry_state: RetryState::Timeout,
        },
        E::ActivityTaskCancelRequested {
            scheduled: scheduled_id,
        },
        E::ActivityTaskCanceled {
            scheduled: scheduled_id,
            started: Some(started),
            details: Some(Payload::json(&"page 7").unwrap()),
        },
        E::TimerStarted {
            timer_id: timer(),
            fire_at: Timestamp::FOREVER,
        },
        E::TimerFired {
            timer_id: timer(),
            started,
        },
        E::TimerCanceled {
            timer_id: timer(),
            started,
        },
        E::MarkerRecorded {
            name: text("version"),
            details: Payload::json(&2)
                .unwrap()
                .with_metadata("key", vec![0, 255])
                .with_layers(2),
        },
        E::VersionMarkerRecorded(VersionMarker::Patch {
            id: ChangeId::from_trusted("fraud check"),
            deprecated: true,
        }),
        E::VersionMarkerRecorded(VersionMarker::Version {
            id: ChangeId::from_trusted("shipping"),
            version: 2,
        }),
        E::SagaUnwindStarted(Box::new(SagaUnwindStarted {
            cause: UnwindCause::Failed(chained()),
        })),
        E::SagaStuck(Box::new(SagaStuck {
            step: Some(scheduled_id),
            reason: StuckReason::FailedAfterPivot,
            failure: Failure::new("Down", "no answer"),
        })),
    ]
}

/// Every event and every change once, in the order of version 1's variants.
fn every_kind() -> Turn {
    let scheduled_id = EventId(5);
    let attributes = [
        run_events(),
        activity_events(),
        saga_events(),
        message::message_events(),
        attribute::attribute_events(),
        chain::chain_events(),
        child::child_events(),
    ];
    let event = |(place, attributes)| Event {
        id: EventId(place),
        time: Timestamp::from_micros(1_700_000_000_000_000),
        attributes,
    };
    Turn {
        seq: 3,
        time: Timestamp::from_micros(1_700_000_000_000_001),
        events: (1_u64..).zip(attributes.into_iter().flatten()).map(event).collect(),
        pending: changes::every_change(scheduled_id),
    }
}

#[test]
fn the_golden_record_of_version_1_reads_forever() {
    let turn = decode_turn(GOLDEN).unwrap();
    assert_eq!(format!("{turn:#?}\n"), GOLDEN_TEXT);
    assert_eq!(turn, every_kind());
}

#[test]
fn version_1_is_written_as_it_always_was() {
    let record = encode_turn(&every_kind()).unwrap();
    assert!(
        record == GOLDEN,
        "the bytes of version 1 changed: a released version is frozen, write a version 2 beside it"
    );
}

#[test]
fn every_kind_of_event_is_in_the_golden_record() {
    let kinds: std::collections::BTreeSet<_> = decode_turn(GOLDEN)
        .unwrap()
        .events
        .iter()
        .map(|event| event.attributes.kind())
        .collect();
    assert_eq!(kinds.len(), 57);
}

#[test]
fn a_record_cut_anywhere_or_with_more_behind_is_refused() {
    for end in 0..GOLDEN.len() {
        assert!(decode_turn(&GOLDEN[..end]).is_err(), "cut at {end}");
    }
    let mut longer = GOLDEN.to_vec();
    longer.push(0);
    assert!(matches!(decode_turn(&longer), Err(RecordError::Damaged(_))));
}

#[test]
fn a_newer_version_is_named() {
    let expected = RecordError::Version { found: 2, supported: 1 };
    assert_eq!(decode_turn(&[2, 0, 0]), Err(expected));
}

#[test]
fn claimed_lengths_allocate_nothing() {
    // A turn with 2^64-1 events, then one with 2^40: both end at once, for want of bytes.
    for count in [u64::MAX, 1 << 40] {
        // Version, seq, time; then the length, in eight bytes.
        let mut record = vec![1, 0, 0, 253];
        record.extend(u64::to_le_bytes(count));
        assert!(matches!(decode_turn(&record), Err(RecordError::Damaged(_))));
    }
}

#[test]
fn oversized_turns_are_refused_and_deep_causes_are_cut() {
    let marker = |details| Turn {
        events: vec![Event {
            id: EventId::FIRST,
            time: Timestamp::EPOCH,
            attributes: EventAttributes::MarkerRecorded {
                name: String::new(),
                details,
            },
        }],
        ..every_kind()
    };
    let huge = Payload::from_parts("json/plain", vec![b' '; 50 * 1024 * 1024]);
    assert!(matches!(encode_turn(&marker(huge)), Err(RecordError::TooLarge { .. })));

    let deep = (0..1_000).fold(Failure::new("T", "root"), |cause, _| {
        Failure::new("T", "m").caused_by(cause)
    });
    let turn = Turn {
        events: vec![Event {
            id: EventId::FIRST,
            time: Timestamp::EPOCH,
            attributes: EventAttributes::WorkflowExecutionFailed {
                failure: deep,
                amended: false,
            },
        }],
        ..every_kind()
    };
    let read = decode_turn(&encode_turn(&turn).unwrap()).unwrap();
    let EventAttributes::WorkflowExecutionFailed { failure, .. } = &read.events[0].attributes else {
        panic!("another event came back");
    };
    assert_eq!(failure.chain().count(), 64);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_turn_survives(turn in generate::turn()) {
        let record = encode_turn(&turn).unwrap();
        prop_assert_eq!(decode_turn(&record).unwrap(), turn);
    }

    #[test]
    fn damage_never_panics(turn in generate::turn(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut record = encode_turn(&turn).unwrap().to_vec();
        let at = at.index(record.len());
        record[at] = byte;
        let _ = decode_turn(&record);
        prop_assert!(decode_turn(&record[..at]).is_err());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_turn(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = decode_turn(&bytes);
    }
}
