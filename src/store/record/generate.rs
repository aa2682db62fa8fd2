//! Turns for tests: every event, change and failure there is. Must not live here: assertions.

mod attribute;
mod chain;
mod child;
mod message;
mod saga;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::model::*;

/// An encoding that stands for users' data in a record's bytes.
pub(super) const SECRET: &str = "binary/secret";

fn text() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "[a-z]{1,12}", "\\PC{0,20}"].boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
    .boxed()
}

fn time() -> BoxedStrategy<Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros).boxed()
}

fn event_id() -> BoxedStrategy<EventId> {
    any::<u64>().prop_map(EventId).boxed()
}

fn payload() -> BoxedStrategy<Payload> {
    let encoding = prop_oneof![Just("json/plain"), Just("binary/null"), Just(SECRET), Just("")];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let plain = (encoding, bytes()).prop_map(|(encoding, data)| Payload::from_parts(encoding, data));
    let annotated = (plain.clone(), text(), bytes(), any::<u8>())
        .prop_map(|(payload, key, value, layers)| payload.with_metadata(&key, value).with_layers(layers));
    prop_oneof![3 => plain, 1 => annotated].boxed()
}

fn retry_state() -> BoxedStrategy<RetryState> {
    use RetryState as R;
    proptest::sample::select(vec![
        R::NonRetryable,
        R::Timeout,
        R::MaximumAttemptsReached,
        R::RetryPolicyNotSet,
        R::CancelRequested,
    ])
    .boxed()
}

fn failure_kind() -> BoxedStrategy<FailureKind> {
    use TimeoutKind as T;
    let application = (
        text(),
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(duration()),
        proptest::option::of(payload()),
    )
        .prop_map(|(type_name, non_retryable, not_applied, next_retry_delay, details)| {
            FailureKind::Application(Application {
                type_name,
                non_retryable,
                not_applied,
                next_retry_delay,
                details,
            })
        });
    prop_oneof![
        application,
        proptest::sample::select(vec![
            T::ScheduleToClose,
            T::ScheduleToStart,
            T::StartToClose,
            T::Heartbeat
        ])
        .prop_flat_map(|kind| {
            let last_heartbeat = proptest::option::of(payload());
            last_heartbeat.prop_map(move |last_heartbeat| FailureKind::Timeout { kind, last_heartbeat })
        }),
        proptest::option::of(payload()).prop_map(|details| FailureKind::Canceled { details }),
        Just(FailureKind::Terminated),
        Just(FailureKind::WorkerLost),
        child::child_failure(),
        (text(), text(), retry_state()).prop_map(|(id, kind, retry_state)| FailureKind::Activity {
            activity_id: ActivityId::from_trusted(id),
            activity_type: ActivityType::from_trusted(kind),
            retry_state,
        }),
    ]
    .boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    proptest::collection::vec((text(), failure_kind()), 1..4)
        .prop_map(|chain| {
            let wrap = |cause: Option<Failure>, (message, kind)| {
                Some(Failure {
                    message,
                    kind,
                    cause: cause.map(Box::new),
                })
            };
            chain.into_iter().fold(None, wrap).unwrap()
        })
        .boxed()
}

fn retry() -> BoxedStrategy<RetryPolicy> {
    (
        duration(),
        proptest::num::f64::NORMAL,
        proptest::option::of(duration()),
        any::<u32>(),
        proptest::collection::vec(text(), 0..3),
    )
        .prop_map(
            |(initial_interval, backoff_coefficient, maximum_interval, maximum_attempts, non_retryable_types)| {
                RetryPolicy {
                    initial_interval,
                    backoff_coefficient,
                    maximum_interval,
                    maximum_attempts,
                    non_retryable_types,
                }
            },
        )
        .boxed()
}

fn options() -> BoxedStrategy<ActivityOptions> {
    let limit = || proptest::option::of(duration());
    let queue = proptest::option::of(text().prop_map(TaskQueue::from_trusted));
    (limit(), limit(), duration(), limit(), retry(), queue)
        .prop_map(
            |(schedule_to_close, schedule_to_start, start_to_close, heartbeat, retry, task_queue)| ActivityOptions {
                schedule_to_close,
                schedule_to_start,
                start_to_close: Some(start_to_close),
                heartbeat,
                retry,
                task_queue,
            },
        )
        .boxed()
}

fn step_kind() -> BoxedStrategy<StepKind> {
    proptest::sample::select(vec![StepKind::Compensatable, StepKind::Pivot, StepKind::Retriable]).boxed()
}

fn names() -> BoxedStrategy<Vec<StepName>> {
    proptest::collection::vec(text().prop_map(StepName::from_trusted), 0..3).boxed()
}

fn compensation() -> BoxedStrategy<CompensationSpec> {
    let input = prop_oneof![Just(CompensationInput::Undo), Just(CompensationInput::Mapped)];
    (text(), input, options())
        .prop_map(|(kind, input, options)| CompensationSpec {
            activity_type: ActivityType::from_trusted(kind),
            input,
            options,
        })
        .boxed()
}

fn step() -> BoxedStrategy<StepSpec> {
    let on_ambiguous = prop_oneof![
        Just(OnAmbiguous::Compensate),
        compensation().prop_map(|probe| OnAmbiguous::Verify(Box::new(probe))),
        Just(OnAmbiguous::Ask),
    ];
    (
        text(),
        step_kind(),
        proptest::option::of(names()),
        proptest::option::of(compensation()),
        on_ambiguous,
        proptest::sample::select(vec![InFlight::Wait, InFlight::Fence]),
    )
        .prop_map(|(name, kind, after, compensation, on_ambiguous, in_flight)| StepSpec {
            name: StepName::from_trusted(name),
            kind,
            after,
            compensation,
            on_ambiguous,
            in_flight,
        })
        .boxed()
}

fn run_events() -> BoxedStrategy<EventAttributes> {
    use EventAttributes as E;
    let started = (
        (
            text(),
            any::<[u8; 16]>(),
            text(),
            proptest::option::of(any::<[u8; 32]>()),
        ),
        (
            payload(),
            proptest::option::of(text()),
            proptest::option::of(duration()),
            text(),
        ),
        (
            proptest::option::of(saga::saga_options().prop_map(Box::new)),
            proptest::option::of(text().prop_map(TaskQueue::from_trusted)),
            proptest::option::of(child::parent()),
            attribute::both(),
            proptest::option::of(chain::run_chain().prop_map(Box::new)),
        ),
    )
        .prop_map(
            |((id, run, kind, digest), (input, request, run_timeout, identity), more)| {
                let (saga, task_queue, parent, (search_attributes, memo), chain) = more;
                E::WorkflowExecutionStarted(Arc::new(RunStarted {
                    workflow_id: WorkflowId::from_trusted(id),
                    run_id: RunId::from_bytes(run),
                    workflow_type: WorkflowType::from_trusted(kind),
                    definition: digest.map(DefinitionDigest),
                    input,
                    request_id: request.map(RequestId::from_trusted),
                    run_timeout,
                    identity,
                    saga,
                    task_queue,
                    parent,
                    search_attributes,
                    memo,
                    chain,
                }))
            },
        );
    let signaled = (text(), payload(), proptest::option::of(text()), text()).prop_map(|(name, input, id, identity)| {
        E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: SignalName::from_trusted(name),
            input,
            request_id: id.map(RequestId::from_trusted),
            identity,
        }))
    });
    prop_oneof![
        started,
        signaled,
        payload().prop_map(|result| E::WorkflowExecutionCompleted { result }),
        (failure(), any::<bool>()).prop_map(|(failure, amended)| E::WorkflowExecutionFailed { failure, amended }),
        any::<bool>().prop_map(|amended| E::WorkflowExecutionTimedOut { amended }),
        (failure(), any::<bool>()).prop_map(|(failure, amended)| E::WorkflowExecutionCanceled { failure, amended }),
        (text(), text()).prop_map(|(reason, identity)| E::WorkflowExecutionTerminated { reason, identity }),
        (text(), text()).prop_map(|(reason, identity)| E::WorkflowExecutionCancelRequested { reason, identity }),
        chain::continued_as_new(),
        chain::task(),
        (text(), payload()).prop_map(|(name, details)| E::MarkerRecorded { name, details }),
        (text(), any::<bool>()).prop_map(|(id, deprecated)| {
            let id = ChangeId::from_trusted(id);
            E::VersionMarkerRecorded(VersionMarker::Patch { id, deprecated })
        }),
        (text(), any::<i32>()).prop_map(|(id, version)| {
            let id = ChangeId::from_trusted(id);
            E::VersionMarkerRecorded(VersionMarker::Version { id, version })
        }),
        (
            any::<u32>(),
            text(),
            prop_oneof![payload().prop_map(Ok), failure().prop_map(Err)]
        )
            .prop_map(|(seq, name, outcome)| {
                E::LocalActivityEnded(Box::new(LocalActivityEnded {
                    seq,
                    activity_type: ActivityType::from_trusted(name),
                    outcome,
                }))
            }),
        (text(), time()).prop_map(|(id, fire_at)| E::TimerStarted {
            timer_id: TimerId::from_trusted(id),
            fire_at
        }),
        (text(), event_id()).prop_map(|(id, started)| E::TimerFired {
            timer_id: TimerId::from_trusted(id),
            started
        }),
        (text(), event_id()).prop_map(|(id, started)| E::TimerCanceled {
            timer_id: TimerId::from_trusted(id),
            started
        }),
    ]
    .boxed()
}

fn step_events() -> BoxedStrategy<EventAttributes> {
    use EventAttributes as E;
    use StuckReason as S;
    let role = prop_oneof![
        Just(ActivityRole::Plain),
        step().prop_map(|step| ActivityRole::Step(Box::new(step))),
        event_id().prop_map(ActivityRole::Compensation),
        event_id().prop_map(ActivityRole::Verification),
        proptest::option::of(event_id()).prop_map(ActivityRole::Escalation),
    ];
    let scheduled = (text(), text(), payload(), options(), role).prop_map(|(id, kind, input, options, role)| {
        E::ActivityTaskScheduled(Arc::new(ActivityScheduled {
            activity_id: ActivityId::from_trusted(id),
            activity_type: ActivityType::from_trusted(kind),
            input,
            options,
            role,
        }))
    });
    let cause = prop_oneof![
        failure().prop_map(UnwindCause::Failed),
        failure().prop_map(UnwindCause::Canceled),
        Just(UnwindCause::TimedOut),
    ];
    let reason = proptest::sample::select(vec![
        S::CompensationFailed,
        S::CompensationInput,
        S::RetriableFailed,
        S::FailedAfterPivot,
        S::Ambiguous,
        S::UnwindTimeout,
    ]);
    prop_oneof![
        3 => scheduled,
        1 => (event_id(), any::<u32>(), proptest::option::of(failure())).prop_map(
            |(scheduled, attempt, last_failure)| E::ActivityTaskStarted { scheduled, attempt, last_failure }
        ),
        1 => (event_id(), event_id(), payload()).prop_map(
            |(scheduled, started, result)| E::ActivityTaskCompleted { scheduled, started, result }
        ),
        1 => (event_id(), event_id(), failure(), retry_state()).prop_map(
            |(scheduled, started, failure, retry_state)| E::ActivityTaskFailed {
                scheduled, started, failure, retry_state
            }
        ),
        1 => (event_id(), proptest::option::of(event_id()), failure(), retry_state()).prop_map(
            |(scheduled, started, failure, retry_state)| E::ActivityTaskTimedOut {
                scheduled, started, failure, retry_state
            }
        ),
        1 => event_id().prop_map(|scheduled| E::ActivityTaskCancelRequested { scheduled }),
        1 => (event_id(), proptest::option::of(event_id()), proptest::option::of(payload())).prop_map(
            |(scheduled, started, details)| E::ActivityTaskCanceled { scheduled, started, details }
        ),
        1 => cause.prop_map(|cause| E::SagaUnwindStarted(Box::new(SagaUnwindStarted { cause }))),
        1 => (proptest::option::of(event_id()), reason, failure()).prop_map(
            |(step, reason, failure)| E::SagaStuck(Box::new(SagaStuck { step, reason, failure }))
        ),
    ]
    .boxed()
}

fn pending() -> BoxedStrategy<PendingChange> {
    let reason = prop_oneof![
        (any::<u64>(), text(), text()).prop_map(|(at, expected, recorded)| ParkReason::Nondeterminism {
            at,
            expected,
            recorded
        }),
        text().prop_map(|message| ParkReason::Panicked { message }),
        Just(ParkReason::ForeignFuture),
        text().prop_map(|workflow_type| ParkReason::UnknownWorkflow { workflow_type }),
        text().prop_map(|message| ParkReason::BadCommand { message }),
    ];
    prop_oneof![
        (event_id(), any::<u32>(), failure(), time()).prop_map(|(scheduled, failed_attempt, failure, due)| {
            PendingChange::RetryScheduled {
                scheduled,
                failed_attempt,
                failure,
                due,
            }
        }),
        reason.prop_map(|reason| PendingChange::Parked { reason }),
        Just(PendingChange::Unparked),
        (
            event_id(),
            prop_oneof![
                Just(HoldReason::Stopping),
                Just(HoldReason::Breaker),
                Just(HoldReason::NoWorker)
            ]
        )
            .prop_map(|(scheduled, why)| PendingChange::Held { scheduled, why }),
        (event_id(), time(), payload()).prop_map(|(scheduled, at, details)| PendingChange::Heartbeat {
            scheduled,
            at,
            details
        }),
        (any::<u32>(), text()).prop_map(|(seq, name)| PendingChange::LocalBegun {
            seq,
            activity_type: ActivityType::from_trusted(name),
        }),
        any::<u32>().prop_map(|seq| PendingChange::LocalForgotten { seq }),
        child::child_key().prop_map(|child| PendingChange::ChildReleased { child }),
        message::message_key().prop_map(|message| PendingChange::MessageReleased { message }),
        chain::run_id().prop_map(|run_id| PendingChange::GivesWay { run_id }),
        chain::run_id().prop_map(|run_id| PendingChange::FollowedBy { run_id }),
        (event_id(), any::<u32>(), time(), time()).prop_map(|(scheduled, attempt, started, at)| {
            PendingChange::HandedOver {
                scheduled,
                attempt,
                started,
                at,
            }
        }),
        any::<u64>().prop_map(|id| PendingChange::Released { scheduled: EventId(id) }),
        (event_id(), any::<u32>()).prop_map(|(scheduled, attempt)| PendingChange::LateResult { scheduled, attempt }),
    ]
    .boxed()
}

pub(super) fn turn() -> BoxedStrategy<Turn> {
    let attributes = prop_oneof![
        run_events(),
        step_events(),
        saga::saga_events(),
        attribute::attribute_events(),
        message::message_events(),
        child::child_events()
    ];
    let event = (event_id(), time(), attributes).prop_map(|(id, time, attributes)| Event { id, time, attributes });
    (
        any::<u64>(),
        time(),
        proptest::collection::vec(event, 0..6),
        proptest::collection::vec(pending(), 0..3),
    )
        .prop_map(|(seq, time, events, pending)| Turn {
            seq,
            time,
            events,
            pending,
        })
        .boxed()
}
