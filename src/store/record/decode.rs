//! From the wire to the model: owns everything, checks what the wire's types cannot. Must not live here: the bytes
//! themselves.

mod activity;
mod attribute;
mod chain;
mod child;
mod message;
mod pending;
mod saga;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::RecordError;
use super::encode::FAILURE_CHAIN_MAX;
use super::v1 as wire;
use crate::model::{
    ActivityId, ActivityOptions, ActivityRole, ActivityScheduled, ActivityType, Application, ChangeId,
    CompensationInput, CompensationSpec, DefinitionDigest, Event, EventAttributes, EventId, Failure, FailureKind,
    InFlight, LocalActivityEnded, OnAmbiguous, Payload, RequestId, RetryPolicy, RetryState, RunId, RunStarted,
    SagaStuck, SagaUnwindStarted, SignalName, StepKind, StepName, StepSpec, StuckReason, TaskQueue, TimeoutKind,
    TimerId, Timestamp, Turn, UnwindCause, VersionMarker, WorkflowId, WorkflowSignaled, WorkflowTask, WorkflowType,
};

type Decoded<T> = Result<T, RecordError>;

fn damaged<T>(what: &str) -> Decoded<T> {
    Err(RecordError::Damaged(what.to_owned()))
}

pub(super) fn turn(turn: wire::Turn<'_>) -> Decoded<Turn> {
    Ok(Turn {
        seq: turn.seq,
        time: Timestamp::from_micros(turn.time),
        events: turn.events.into_iter().map(event).collect::<Decoded<_>>()?,
        pending: turn.pending.into_iter().map(pending::change).collect::<Decoded<_>>()?,
    })
}

fn event(event: wire::Event<'_>) -> Decoded<Event> {
    Ok(Event {
        id: EventId(event.id),
        time: Timestamp::from_micros(event.time),
        attributes: attributes(event.attributes)?,
    })
}

/// One long match, as in `encode`.
fn attributes(attributes: wire::Attributes<'_>) -> Decoded<EventAttributes> {
    use EventAttributes as E;
    use wire::Attributes as W;
    Ok(match attributes {
        W::WorkflowExecutionStarted(started) => E::WorkflowExecutionStarted(Arc::new(run_started(*started)?)),
        W::WorkflowExecutionCompleted { result } => E::WorkflowExecutionCompleted {
            result: payload(&result),
        },
        W::WorkflowExecutionFailed { failure, amended } => E::WorkflowExecutionFailed {
            failure: chain(failure)?,
            amended,
        },
        W::WorkflowExecutionTimedOut { amended } => E::WorkflowExecutionTimedOut { amended },
        W::WorkflowExecutionCanceled { failure, amended } => E::WorkflowExecutionCanceled {
            failure: chain(failure)?,
            amended,
        },
        W::WorkflowExecutionTerminated { reason, identity } => E::WorkflowExecutionTerminated {
            reason: reason.to_owned(),
            identity: identity.to_owned(),
        },
        W::WorkflowExecutionCancelRequested { reason, identity } => E::WorkflowExecutionCancelRequested {
            reason: reason.to_owned(),
            identity: identity.to_owned(),
        },
        W::WorkflowExecutionSignaled {
            name,
            input,
            request_id,
            identity,
        } => E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: SignalName::from_trusted(name),
            input: payload(&input),
            request_id: request_id.map(RequestId::from_trusted),
            identity: identity.to_owned(),
        })),
        W::WorkflowExecutionContinuedAsNew(next) => {
            E::WorkflowExecutionContinuedAsNew(Box::new(chain::continued_as_new(&next)?))
        }
        W::WorkflowTask {
            identity,
            history_bytes,
            continue_as_new_suggested,
        } => E::WorkflowTask(WorkflowTask {
            identity: identity.to_owned(),
            history_bytes,
            continue_as_new_suggested,
        }),
        W::TimerStarted { timer_id, fire_at } => E::TimerStarted {
            timer_id: TimerId::from_trusted(timer_id),
            fire_at: Timestamp::from_micros(fire_at),
        },
        W::TimerFired { timer_id, started } => E::TimerFired {
            timer_id: TimerId::from_trusted(timer_id),
            started: EventId(started),
        },
        W::TimerCanceled { timer_id, started } => E::TimerCanceled {
            timer_id: TimerId::from_trusted(timer_id),
            started: EventId(started),
        },
        W::MarkerRecorded { name, details } => E::MarkerRecorded {
            name: name.to_owned(),
            details: payload(&details),
        },
        W::VersionMarkerRecorded(marker) => E::VersionMarkerRecorded(version_marker(&marker)),
        W::LocalActivityEnded {
            seq,
            activity_type,
            outcome,
        } => E::LocalActivityEnded(Box::new(local_activity_ended(seq, activity_type, outcome)?)),
        W::SagaUnwindStarted { cause } => E::SagaUnwindStarted(Box::new(SagaUnwindStarted {
            cause: unwind_cause(cause)?,
        })),
        W::SagaStuck { step, reason, failure } => E::SagaStuck(Box::new(SagaStuck {
            step: step.map(EventId),
            reason: stuck_reason(&reason),
            failure: chain(failure)?,
        })),
        W::Child(event) => E::Child(Box::new(child::event(*event)?)),
        W::SearchAttributesUpserted(changes) => {
            E::UpsertWorkflowSearchAttributes(Box::new(attribute::changes(&changes)))
        }
        W::WorkflowPropertiesModified(changes) => {
            E::WorkflowPropertiesModified(Box::new(attribute::memo_changes(&changes)))
        }
        W::Message(message) => return message::attributes(*message),
        other => return activity::attributes(other),
    })
}

fn local_activity_ended(
    seq: u32,
    activity_type: &str,
    outcome: Result<wire::Payload<'_>, wire::Failure<'_>>,
) -> Decoded<LocalActivityEnded> {
    Ok(LocalActivityEnded {
        seq,
        activity_type: ActivityType::from_trusted(activity_type),
        outcome: match outcome {
            Ok(result) => Ok(payload(&result)),
            Err(failure) => Err(chain(failure)?),
        },
    })
}

fn run_started(mut started: wire::RunStarted<'_>) -> Decoded<RunStarted> {
    Ok(RunStarted {
        workflow_id: WorkflowId::from_trusted(started.workflow_id),
        run_id: RunId::from_bytes(started.run_id),
        workflow_type: WorkflowType::from_trusted(started.workflow_type),
        definition: started.definition.map(DefinitionDigest),
        input: payload(&started.input),
        request_id: started.request_id.map(RequestId::from_trusted),
        run_timeout: started.run_timeout.map(duration).transpose()?,
        identity: started.identity.to_owned(),
        saga: started
            .saga
            .as_deref()
            .map(|options| saga::options(options).map(Box::new))
            .transpose()?,
        task_queue: started.task_queue.map(TaskQueue::from_trusted),
        parent: started.parent.as_ref().map(child::parent),
        search_attributes: attribute::attributes(&started.search_attributes),
        memo: attribute::memo(&started.memo),
        chain: match &mut started.chain {
            Some(chain) => Some(Box::new(chain::run_chain(chain)?)),
            None => None,
        },
    })
}

fn scheduled_activity(activity: wire::ActivityScheduled<'_>) -> Decoded<ActivityScheduled> {
    Ok(ActivityScheduled {
        activity_id: ActivityId::from_trusted(activity.activity_id),
        activity_type: ActivityType::from_trusted(activity.activity_type),
        input: payload(&activity.input),
        options: options(&activity.options)?,
        role: match activity.role {
            wire::ActivityRole::Plain => ActivityRole::Plain,
            wire::ActivityRole::Step(spec) => ActivityRole::Step(Box::new(step(*spec)?)),
            wire::ActivityRole::Compensation(step) => ActivityRole::Compensation(EventId(step)),
            wire::ActivityRole::Verification(step) => ActivityRole::Verification(EventId(step)),
            wire::ActivityRole::Escalation(step) => ActivityRole::Escalation(step.map(EventId)),
        },
    })
}

fn step(step: wire::StepSpec<'_>) -> Decoded<StepSpec> {
    Ok(StepSpec {
        name: StepName::from_trusted(step.name),
        kind: step_kind(&step.kind),
        after: step.after.map(names),
        compensation: step.compensation.as_ref().map(compensation).transpose()?,
        on_ambiguous: match &step.on_ambiguous {
            wire::OnAmbiguous::Compensate => OnAmbiguous::Compensate,
            wire::OnAmbiguous::Verify(probe) => OnAmbiguous::Verify(Box::new(compensation(probe)?)),
            wire::OnAmbiguous::Ask => OnAmbiguous::Ask,
        },
        in_flight: match step.in_flight {
            wire::InFlight::Wait => InFlight::Wait,
            wire::InFlight::Fence => InFlight::Fence,
        },
    })
}

fn step_kind(kind: &wire::StepKind) -> StepKind {
    match kind {
        wire::StepKind::Compensatable => StepKind::Compensatable,
        wire::StepKind::Pivot => StepKind::Pivot,
        wire::StepKind::Retriable => StepKind::Retriable,
    }
}

fn names(names: Vec<&str>) -> Vec<StepName> {
    names.into_iter().map(StepName::from_trusted).collect()
}

fn compensation(spec: &wire::CompensationSpec<'_>) -> Decoded<CompensationSpec> {
    Ok(CompensationSpec {
        activity_type: ActivityType::from_trusted(spec.activity_type),
        input: match spec.input {
            wire::CompensationInput::Undo => CompensationInput::Undo,
            wire::CompensationInput::Mapped => CompensationInput::Mapped,
        },
        options: options(&spec.options)?,
    })
}

fn options(options: &wire::ActivityOptions<'_>) -> Decoded<ActivityOptions> {
    Ok(ActivityOptions {
        schedule_to_close: options.schedule_to_close.map(duration).transpose()?,
        schedule_to_start: options.schedule_to_start.map(duration).transpose()?,
        start_to_close: Some(duration(options.start_to_close)?),
        heartbeat: options.heartbeat.map(duration).transpose()?,
        retry: RetryPolicy {
            initial_interval: duration(options.initial_interval)?,
            backoff_coefficient: options.backoff_coefficient,
            maximum_interval: options.maximum_interval.map(duration).transpose()?,
            maximum_attempts: options.maximum_attempts,
            non_retryable_types: options
                .non_retryable_types
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
        },
        task_queue: options.task_queue.map(TaskQueue::from_trusted),
    })
}

fn payload(payload: &wire::Payload<'_>) -> Payload {
    let data = Bytes::copy_from_slice(payload.data.0);
    let encoding = match &payload.encoding {
        wire::Encoding::Json => "json/plain",
        wire::Encoding::Null => "binary/null",
        wire::Encoding::Other(other) => other,
        wire::Encoding::Full {
            encoding,
            metadata,
            layers,
        } => {
            let plain = Payload::from_parts(encoding, data).with_layers(*layers);
            return metadata.iter().fold(plain, |payload, (key, value)| {
                payload.with_metadata(key, Bytes::copy_from_slice(value.0))
            });
        }
    };
    Payload::from_parts(encoding, data)
}

fn chain(failure: wire::Failure<'_>) -> Decoded<Failure> {
    if failure.0.len() > FAILURE_CHAIN_MAX {
        return damaged("a failure with too many causes");
    }
    let mut built: Option<Failure> = None;
    for one in failure.0.into_iter().rev() {
        built = Some(Failure {
            message: one.message.to_owned(),
            kind: failure_kind(one.kind)?,
            cause: built.map(Box::new),
        });
    }
    built.map_or_else(|| damaged("a failure without content"), Ok)
}

fn failure_kind(kind: wire::FailureKind<'_>) -> Decoded<FailureKind> {
    use wire::FailureKind as W;
    Ok(match kind {
        W::Application {
            type_name,
            non_retryable,
            not_applied,
            next_retry_delay,
            details,
        } => FailureKind::Application(Application {
            type_name: type_name.to_owned(),
            non_retryable,
            not_applied,
            next_retry_delay: next_retry_delay.map(duration).transpose()?,
            details: details.as_ref().map(payload),
        }),
        W::Timeout { kind, last_heartbeat } => FailureKind::Timeout {
            last_heartbeat: last_heartbeat.as_ref().map(payload),
            kind: match kind {
                wire::TimeoutKind::ScheduleToClose => TimeoutKind::ScheduleToClose,
                wire::TimeoutKind::ScheduleToStart => TimeoutKind::ScheduleToStart,
                wire::TimeoutKind::StartToClose => TimeoutKind::StartToClose,
                wire::TimeoutKind::Heartbeat => TimeoutKind::Heartbeat,
            },
        },
        W::ChildWorkflow(of) => FailureKind::ChildWorkflow(Box::new(child::failure(&of))),
        W::Canceled { details } => FailureKind::Canceled {
            details: details.as_ref().map(payload),
        },
        W::Terminated => FailureKind::Terminated,
        W::WorkerLost => FailureKind::WorkerLost,
        W::Activity {
            activity_id,
            activity_type,
            retry_state: state,
        } => FailureKind::Activity {
            activity_id: ActivityId::from_trusted(activity_id),
            activity_type: ActivityType::from_trusted(activity_type),
            retry_state: retry_state(&state),
        },
    })
}

fn retry_state(state: &wire::RetryState) -> RetryState {
    match state {
        wire::RetryState::NonRetryable => RetryState::NonRetryable,
        wire::RetryState::Timeout => RetryState::Timeout,
        wire::RetryState::MaximumAttemptsReached => RetryState::MaximumAttemptsReached,
        wire::RetryState::RetryPolicyNotSet => RetryState::RetryPolicyNotSet,
        wire::RetryState::CancelRequested => RetryState::CancelRequested,
    }
}

fn unwind_cause(cause: wire::UnwindCause<'_>) -> Decoded<UnwindCause> {
    Ok(match cause {
        wire::UnwindCause::Failed(failure) => UnwindCause::Failed(chain(failure)?),
        wire::UnwindCause::Canceled(failure) => UnwindCause::Canceled(chain(failure)?),
        wire::UnwindCause::TimedOut => UnwindCause::TimedOut,
    })
}

fn stuck_reason(reason: &wire::StuckReason) -> StuckReason {
    match reason {
        wire::StuckReason::CompensationFailed => StuckReason::CompensationFailed,
        wire::StuckReason::CompensationInput => StuckReason::CompensationInput,
        wire::StuckReason::RetriableFailed => StuckReason::RetriableFailed,
        wire::StuckReason::FailedAfterPivot => StuckReason::FailedAfterPivot,
        wire::StuckReason::Ambiguous => StuckReason::Ambiguous,
        wire::StuckReason::UnwindTimeout => StuckReason::UnwindTimeout,
    }
}

fn version_marker(marker: &wire::VersionMarker<'_>) -> VersionMarker {
    match *marker {
        wire::VersionMarker::Patch { id, deprecated } => VersionMarker::Patch {
            id: ChangeId::from_trusted(id),
            deprecated,
        },
        wire::VersionMarker::Version { id, version } => VersionMarker::Version {
            id: ChangeId::from_trusted(id),
            version,
        },
    }
}

fn duration(span: wire::Span) -> Decoded<Duration> {
    if span.nanos >= 1_000_000_000 {
        return damaged("a duration with a second or more of nanoseconds");
    }
    Ok(Duration::new(span.seconds, span.nanos))
}
