//! From the model to the wire: borrows everything, copies nothing. Must not live here: the bytes themselves.

mod attribute;
mod chain;
mod child;
mod message;
mod pending;
mod saga;

use std::time::Duration;

use super::v1 as wire;
use crate::model::{
    ActivityOptions, ActivityRole, ActivityScheduled, CompensationInput, CompensationSpec, Event, EventAttributes,
    EventId, Failure, FailureKind, InFlight, OnAmbiguous, Payload, PendingChange, RequestId, RetryState, RunStarted,
    StepKind, StepName, StepSpec, StuckReason, TaskQueue, TimeoutKind, Turn, UnwindCause, VersionMarker,
};

/// How many failures of a chain are written. More than `limits::FAILURE_CAUSES_MAX` and what the engine wraps around
/// it; a bound for readers, who build and drop the chain again.
pub(super) const FAILURE_CHAIN_MAX: usize = 64;

pub(super) fn turn(turn: &Turn) -> wire::Turn<'_> {
    wire::Turn {
        seq: turn.seq,
        time: turn.time.as_micros(),
        events: turn.events.iter().map(event).collect(),
        pending: turn.pending.iter().map(pending::change).collect(),
    }
}

pub(super) fn pending_change(change: &PendingChange) -> wire::Pending<'_> {
    pending::change(change)
}

fn event(event: &Event) -> wire::Event<'_> {
    wire::Event {
        id: event.id.0,
        time: event.time.as_micros(),
        attributes: attributes(&event.attributes),
    }
}

/// One long match instead of several short ones. What is of sagas only is in `saga`, which knows the rest.
fn attributes(attributes: &EventAttributes) -> wire::Attributes<'_> {
    use EventAttributes as E;
    use wire::Attributes as W;
    match attributes {
        E::WorkflowExecutionStarted(started) => W::WorkflowExecutionStarted(Box::new(run_started(started))),
        E::WorkflowExecutionCompleted { result } => W::WorkflowExecutionCompleted {
            result: payload(result),
        },
        E::WorkflowExecutionFailed { failure, amended } => W::WorkflowExecutionFailed {
            failure: chain(failure),
            amended: *amended,
        },
        E::WorkflowExecutionTimedOut { amended } => W::WorkflowExecutionTimedOut { amended: *amended },
        E::WorkflowExecutionCanceled { failure, amended } => W::WorkflowExecutionCanceled {
            failure: chain(failure),
            amended: *amended,
        },
        E::WorkflowExecutionTerminated { reason, identity } => W::WorkflowExecutionTerminated { reason, identity },
        E::WorkflowExecutionCancelRequested { reason, identity } => {
            W::WorkflowExecutionCancelRequested { reason, identity }
        }
        E::WorkflowExecutionSignaled(signal) => W::WorkflowExecutionSignaled {
            name: signal.name.as_str(),
            input: payload(&signal.input),
            request_id: signal.request_id.as_ref().map(RequestId::as_str),
            identity: &signal.identity,
        },
        E::WorkflowExecutionContinuedAsNew(next) => {
            W::WorkflowExecutionContinuedAsNew(Box::new(chain::continued_as_new(next)))
        }
        E::WorkflowTask(task) => W::WorkflowTask {
            identity: &task.identity,
            history_bytes: task.history_bytes,
            continue_as_new_suggested: task.continue_as_new_suggested,
        },
        E::ActivityTaskScheduled(activity) => W::ActivityTaskScheduled(Box::new(scheduled_activity(activity))),
        E::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        } => W::ActivityTaskStarted {
            scheduled: scheduled.0,
            attempt: *attempt,
            last_failure: last_failure.as_ref().map(chain),
        },
        E::ActivityTaskCompleted {
            scheduled,
            started,
            result,
        } => W::ActivityTaskCompleted {
            scheduled: scheduled.0,
            started: started.0,
            result: payload(result),
        },
        E::ActivityTaskFailed {
            scheduled,
            started,
            failure,
            retry_state: state,
        } => W::ActivityTaskFailed {
            scheduled: scheduled.0,
            started: started.0,
            failure: chain(failure),
            retry_state: retry_state(*state),
        },
        E::ActivityTaskTimedOut {
            scheduled,
            started,
            failure,
            retry_state: state,
        } => W::ActivityTaskTimedOut {
            scheduled: scheduled.0,
            started: started.map(|id| id.0),
            failure: chain(failure),
            retry_state: retry_state(*state),
        },
        E::ActivityTaskCancelRequested { scheduled } => W::ActivityTaskCancelRequested { scheduled: scheduled.0 },
        E::ActivityTaskCanceled {
            scheduled,
            started,
            details,
        } => canceled(*scheduled, *started, details.as_ref()),
        E::TimerStarted { timer_id, fire_at } => W::TimerStarted {
            timer_id: timer_id.as_str(),
            fire_at: fire_at.as_micros(),
        },
        E::TimerFired { timer_id, started } => W::TimerFired {
            timer_id: timer_id.as_str(),
            started: started.0,
        },
        E::TimerCanceled { timer_id, started } => W::TimerCanceled {
            timer_id: timer_id.as_str(),
            started: started.0,
        },
        E::MarkerRecorded { name, details } => W::MarkerRecorded {
            name,
            details: payload(details),
        },
        E::VersionMarkerRecorded(marker) => W::VersionMarkerRecorded(version_marker(marker)),
        E::LocalActivityEnded(ended) => W::LocalActivityEnded {
            seq: ended.seq,
            activity_type: ended.activity_type.as_str(),
            outcome: ended.outcome.as_ref().map(payload).map_err(chain),
        },
        E::Child(event) => W::Child(Box::new(child::event(event))),
        E::UpsertWorkflowSearchAttributes(changes) => W::SearchAttributesUpserted(attribute::changes(changes)),
        E::WorkflowPropertiesModified(changes) => W::WorkflowPropertiesModified(attribute::memo_changes(changes)),
        E::SagaUnwindStarted(unwind) => W::SagaUnwindStarted {
            cause: unwind_cause(&unwind.cause),
        },
        E::SagaStuck(stuck) => W::SagaStuck {
            step: stuck.step.map(|id| id.0),
            reason: stuck_reason(stuck.reason),
            failure: chain(&stuck.failure),
        },
        _ => saga::attributes(attributes),
    }
}

fn run_started(started: &RunStarted) -> wire::RunStarted<'_> {
    wire::RunStarted {
        workflow_id: started.workflow_id.qualified(),
        run_id: *started.run_id.as_bytes(),
        workflow_type: started.workflow_type.as_str(),
        definition: started.definition.map(|digest| digest.0),
        input: payload(&started.input),
        request_id: started.request_id.as_ref().map(RequestId::as_str),
        run_timeout: started.run_timeout.map(span),
        identity: &started.identity,
        saga: started.saga.as_deref().map(|options| Box::new(saga::options(options))),
        task_queue: started.task_queue.as_ref().map(TaskQueue::as_str),
        parent: started.parent.as_ref().map(child::parent),
        search_attributes: attribute::attributes(&started.search_attributes),
        memo: attribute::memo(&started.memo),
        chain: started.chain.as_deref().map(|chain| Box::new(chain::run_chain(chain))),
    }
}

fn scheduled_activity(activity: &ActivityScheduled) -> wire::ActivityScheduled<'_> {
    wire::ActivityScheduled {
        activity_id: activity.activity_id.as_str(),
        activity_type: activity.activity_type.as_str(),
        input: payload(&activity.input),
        options: options(&activity.options),
        role: match &activity.role {
            ActivityRole::Plain => wire::ActivityRole::Plain,
            ActivityRole::Step(spec) => wire::ActivityRole::Step(Box::new(step(spec))),
            ActivityRole::Compensation(step) => wire::ActivityRole::Compensation(step.0),
            ActivityRole::Verification(step) => wire::ActivityRole::Verification(step.0),
            ActivityRole::Escalation(step) => wire::ActivityRole::Escalation(step.map(|step| step.0)),
        },
    }
}

fn step(step: &StepSpec) -> wire::StepSpec<'_> {
    wire::StepSpec {
        name: step.name.as_str(),
        kind: step_kind(step.kind),
        after: step.after.as_deref().map(names),
        compensation: step.compensation.as_ref().map(compensation),
        on_ambiguous: match &step.on_ambiguous {
            OnAmbiguous::Compensate => wire::OnAmbiguous::Compensate,
            OnAmbiguous::Verify(probe) => wire::OnAmbiguous::Verify(Box::new(compensation(probe))),
            OnAmbiguous::Ask => wire::OnAmbiguous::Ask,
        },
        in_flight: match step.in_flight {
            InFlight::Wait => wire::InFlight::Wait,
            InFlight::Fence => wire::InFlight::Fence,
        },
    }
}

fn step_kind(kind: StepKind) -> wire::StepKind {
    match kind {
        StepKind::Compensatable => wire::StepKind::Compensatable,
        StepKind::Pivot => wire::StepKind::Pivot,
        StepKind::Retriable => wire::StepKind::Retriable,
    }
}

fn names(names: &[StepName]) -> Vec<&str> {
    names.iter().map(StepName::as_str).collect()
}

fn compensation(spec: &CompensationSpec) -> wire::CompensationSpec<'_> {
    wire::CompensationSpec {
        activity_type: spec.activity_type.as_str(),
        input: match spec.input {
            CompensationInput::Undo => wire::CompensationInput::Undo,
            CompensationInput::Mapped => wire::CompensationInput::Mapped,
        },
        options: options(&spec.options),
    }
}

fn options(options: &ActivityOptions) -> wire::ActivityOptions<'_> {
    let retry = &options.retry;
    wire::ActivityOptions {
        schedule_to_close: options.schedule_to_close.map(span),
        schedule_to_start: options.schedule_to_start.map(span),
        start_to_close: span(options.start_to_close()),
        heartbeat: options.heartbeat.map(span),
        initial_interval: span(retry.initial_interval),
        backoff_coefficient: retry.backoff_coefficient,
        maximum_interval: retry.maximum_interval.map(span),
        maximum_attempts: retry.maximum_attempts,
        non_retryable_types: retry.non_retryable_types.iter().map(String::as_str).collect(),
        task_queue: options.task_queue.as_ref().map(TaskQueue::as_str),
    }
}

fn payload(payload: &Payload) -> wire::Payload<'_> {
    wire::Payload {
        encoding: match payload.encoding() {
            encoding if payload.is_annotated() => wire::Encoding::Full {
                encoding,
                metadata: payload
                    .all_metadata()
                    .map(|(key, value)| (key, wire::Raw(value)))
                    .collect(),
                layers: payload.layers(),
            },
            "json/plain" => wire::Encoding::Json,
            "binary/null" => wire::Encoding::Null,
            other => wire::Encoding::Other(other),
        },
        data: wire::Raw(payload.data()),
    }
}

fn canceled(scheduled: EventId, started: Option<EventId>, details: Option<&Payload>) -> wire::Attributes<'_> {
    wire::Attributes::ActivityTaskCanceled {
        scheduled: scheduled.0,
        started: started.map(|id| id.0),
        details: details.map(payload),
    }
}

fn chain(failure: &Failure) -> wire::Failure<'_> {
    wire::Failure(failure.chain().take(FAILURE_CHAIN_MAX).map(one_failure).collect())
}

fn one_failure(failure: &Failure) -> wire::OneFailure<'_> {
    use wire::FailureKind as W;
    wire::OneFailure {
        message: &failure.message,
        kind: match &failure.kind {
            FailureKind::Application(application) => W::Application {
                type_name: &application.type_name,
                non_retryable: application.non_retryable,
                not_applied: application.not_applied,
                next_retry_delay: application.next_retry_delay.map(span),
                details: application.details.as_ref().map(payload),
            },
            FailureKind::Timeout { kind, last_heartbeat } => W::Timeout {
                last_heartbeat: last_heartbeat.as_ref().map(payload),
                kind: match kind {
                    TimeoutKind::ScheduleToClose => wire::TimeoutKind::ScheduleToClose,
                    TimeoutKind::ScheduleToStart => wire::TimeoutKind::ScheduleToStart,
                    TimeoutKind::StartToClose => wire::TimeoutKind::StartToClose,
                    TimeoutKind::Heartbeat => wire::TimeoutKind::Heartbeat,
                },
            },
            FailureKind::Canceled { details } => W::Canceled {
                details: details.as_ref().map(payload),
            },
            FailureKind::Terminated => W::Terminated,
            FailureKind::WorkerLost => W::WorkerLost,
            FailureKind::Activity {
                activity_id,
                activity_type,
                retry_state: state,
            } => W::Activity {
                activity_id: activity_id.as_str(),
                activity_type: activity_type.as_str(),
                retry_state: retry_state(*state),
            },
            FailureKind::ChildWorkflow(of) => W::ChildWorkflow(child::failure(of)),
        },
    }
}

fn retry_state(state: RetryState) -> wire::RetryState {
    match state {
        RetryState::NonRetryable => wire::RetryState::NonRetryable,
        RetryState::Timeout => wire::RetryState::Timeout,
        RetryState::MaximumAttemptsReached => wire::RetryState::MaximumAttemptsReached,
        RetryState::RetryPolicyNotSet => wire::RetryState::RetryPolicyNotSet,
        RetryState::CancelRequested => wire::RetryState::CancelRequested,
    }
}

fn unwind_cause(cause: &UnwindCause) -> wire::UnwindCause<'_> {
    match cause {
        UnwindCause::Failed(failure) => wire::UnwindCause::Failed(chain(failure)),
        UnwindCause::Canceled(failure) => wire::UnwindCause::Canceled(chain(failure)),
        UnwindCause::TimedOut => wire::UnwindCause::TimedOut,
    }
}

fn stuck_reason(reason: StuckReason) -> wire::StuckReason {
    match reason {
        StuckReason::CompensationFailed => wire::StuckReason::CompensationFailed,
        StuckReason::CompensationInput => wire::StuckReason::CompensationInput,
        StuckReason::RetriableFailed => wire::StuckReason::RetriableFailed,
        StuckReason::FailedAfterPivot => wire::StuckReason::FailedAfterPivot,
        StuckReason::Ambiguous => wire::StuckReason::Ambiguous,
        StuckReason::UnwindTimeout => wire::StuckReason::UnwindTimeout,
    }
}

fn version_marker(marker: &VersionMarker) -> wire::VersionMarker<'_> {
    let id = marker.id().as_str();
    match *marker {
        VersionMarker::Patch { deprecated, .. } => wire::VersionMarker::Patch { id, deprecated },
        VersionMarker::Version { version, .. } => wire::VersionMarker::Version { id, version },
    }
}

fn span(duration: Duration) -> wire::Span {
    wire::Span {
        seconds: duration.as_secs(),
        nanos: duration.subsec_nanos(),
    }
}
