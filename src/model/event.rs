//! Facts, past tense, journaled, never edited: Temporal's history events, and a few of ours for sagas. Must not live
//! here: their wire form (`store::record`) or their meaning for a run's state (`machine`).

use std::time::Duration;

use super::{
    ActivityId, ActivityOptions, ActivityType, DefinitionDigest, EventId, Failure, FailureKind, Payload, RequestId,
    RetryState, RunId, SignalName, StepSpec, StuckReason, TimeoutKind, TimerId, Timestamp, WorkflowId, WorkflowType,
};

/// How many ids a decided turn takes: it stands for WorkflowTaskScheduled, WorkflowTaskStarted and
/// WorkflowTaskCompleted.
pub const TURN_EVENT_IDS: u64 = 3;

/// One fact of a run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place: 1 for the first. Ids are dense; a workflow task takes three and carries the first of them.
    pub id: EventId,
    /// When it was decided.
    pub time: Timestamp,
    /// What happened.
    pub attributes: EventAttributes,
}

/// What happened. Names and attributes are Temporal's; the last ones are ours and appear as markers to Temporal's tools.
#[derive(Clone, Debug, PartialEq)]
pub enum EventAttributes {
    /// The run began. Always event 1.
    WorkflowExecutionStarted(Box<RunStarted>),
    /// The run ended with a result.
    WorkflowExecutionCompleted {
        /// The result.
        result: Payload,
    },
    /// The run ended with a failure.
    WorkflowExecutionFailed {
        /// Why.
        failure: Failure,
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// The run ended because its time was up.
    WorkflowExecutionTimedOut {
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// The run ended as cancelled.
    WorkflowExecutionCanceled {
        /// How the cancellation was met.
        failure: Failure,
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// An operator ended the run at once; nothing was undone.
    WorkflowExecutionTerminated {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// Somebody asked the run to end.
    WorkflowExecutionCancelRequested {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// A signal arrived.
    WorkflowExecutionSignaled(Box<WorkflowSignaled>),
    /// The decider looked at everything before this event and gave the commands whose events follow. Takes three ids.
    WorkflowTask(WorkflowTask),
    /// An activity is to be run; its compensation is owed from here on.
    ActivityTaskScheduled(Box<ActivityScheduled>),
    /// An attempt was started; written when the activity ends, about its last attempt.
    ActivityTaskStarted {
        /// The scheduling event.
        scheduled: EventId,
        /// The number of the last attempt, 1 for the first.
        attempt: u32,
        /// How the attempt before it failed.
        last_failure: Option<Failure>,
    },
    /// The activity returned a result.
    ActivityTaskCompleted {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event.
        started: EventId,
        /// The result.
        result: Payload,
    },
    /// The activity failed for good.
    ActivityTaskFailed {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event.
        started: EventId,
        /// How its last attempt failed.
        failure: Failure,
        /// Why it was not retried.
        retry_state: RetryState,
    },
    /// The activity ran out of time for good.
    ActivityTaskTimedOut {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event; `None` when no attempt of it was ever started.
        started: Option<EventId>,
        /// Which time ran out, with the last failure as its cause.
        failure: Failure,
        /// Why it was not retried.
        retry_state: RetryState,
    },
    /// The activity is asked to stop.
    ActivityTaskCancelRequested {
        /// The scheduling event.
        scheduled: EventId,
    },
    /// The activity stopped as asked.
    ActivityTaskCanceled {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event; `None` when no attempt of it was ever started.
        started: Option<EventId>,
    },
    /// A timer was started.
    TimerStarted {
        /// Its name.
        timer_id: TimerId,
        /// When it fires.
        fire_at: Timestamp,
    },
    /// A timer fired.
    TimerFired {
        /// Its name.
        timer_id: TimerId,
        /// The starting event.
        started: EventId,
    },
    /// A timer was forgotten.
    TimerCanceled {
        /// Its name.
        timer_id: TimerId,
        /// The starting event.
        started: EventId,
    },
    /// A note of the decider's.
    MarkerRecorded {
        /// The kind of note.
        name: String,
        /// Its content.
        details: Payload,
    },
    /// Ours: the saga turned back; what is owed is compensated from here on.
    SagaUnwindStarted(Box<SagaUnwindStarted>),
    /// Ours: the saga cannot go on without a person.
    SagaStuck(Box<SagaStuck>),
}

/// Attributes of the first event.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStarted {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// This execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// The definition it follows, when it is not written in code.
    pub definition: Option<DefinitionDigest>,
    /// Its input.
    pub input: Payload,
    /// The caller's deduplication key for this start.
    pub request_id: Option<RequestId>,
    /// How long the run may take. `None`: no limit.
    pub run_timeout: Option<Duration>,
    /// Who started it.
    pub identity: String,
}

/// Attributes of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowSignaled {
    /// Its name.
    pub name: SignalName,
    /// Its data.
    pub input: Payload,
    /// The sender's deduplication key.
    pub request_id: Option<RequestId>,
    /// Who sent it.
    pub identity: String,
}

/// Attributes of a decided turn.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WorkflowTask {
    /// Which build of which code decided; empty when unknown.
    pub identity: TaskIdentity,
}

/// Who decided a turn: free text, by default the package and version of the program.
pub type TaskIdentity = String;

/// Attributes of a scheduled activity.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityScheduled {
    /// Its name in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its input.
    pub input: Payload,
    /// Timeouts and retry policy.
    pub options: ActivityOptions,
    /// The saga's part, when it is a forward step.
    pub step: Option<StepSpec>,
    /// The scheduling event of the step that this activity undoes, when it is a compensation.
    pub undoes: Option<EventId>,
}

/// Attributes of the turning point of a saga.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaUnwindStarted {
    /// Why it turned back, and how the run will end.
    pub cause: UnwindCause,
}

/// Why a saga turns back; decides the run's close event.
#[derive(Clone, Debug, PartialEq)]
pub enum UnwindCause {
    /// It failed: the run will end as WorkflowExecutionFailed.
    Failed(Failure),
    /// It was cancelled: the run will end as WorkflowExecutionCanceled.
    Canceled(Failure),
    /// Its time was up: the run will end as WorkflowExecutionTimedOut.
    TimedOut,
}

/// Attributes of a saga that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaStuck {
    /// The scheduling event of the forward step concerned, if it is about one.
    pub step: Option<EventId>,
    /// What it waits for.
    pub reason: StuckReason,
    /// The failure that led here.
    pub failure: Failure,
}

impl UnwindCause {
    /// The failure that the run's outcome tells.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            UnwindCause::Failed(failure) | UnwindCause::Canceled(failure) => failure.clone(),
            UnwindCause::TimedOut => Failure {
                message: "the run's time was up".to_owned(),
                kind: FailureKind::Timeout(TimeoutKind::ScheduleToClose),
                cause: None,
            },
        }
    }
}

impl EventAttributes {
    /// How many ids the event takes.
    #[must_use]
    pub fn ids(&self) -> u64 {
        match self {
            EventAttributes::WorkflowTask(_) => TURN_EVENT_IDS,
            _ => 1,
        }
    }

    /// Whether the event ends the run.
    #[must_use]
    pub fn closes(&self) -> bool {
        use EventAttributes as E;
        matches!(
            self,
            E::WorkflowExecutionCompleted { .. }
                | E::WorkflowExecutionFailed { .. }
                | E::WorkflowExecutionTimedOut { .. }
                | E::WorkflowExecutionCanceled { .. }
                | E::WorkflowExecutionTerminated { .. }
        )
    }

    /// The event's type, in Temporal's name for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        use EventAttributes as E;
        match self {
            E::WorkflowExecutionStarted(_) => "WorkflowExecutionStarted",
            E::WorkflowExecutionCompleted { .. } => "WorkflowExecutionCompleted",
            E::WorkflowExecutionFailed { .. } => "WorkflowExecutionFailed",
            E::WorkflowExecutionTimedOut { .. } => "WorkflowExecutionTimedOut",
            E::WorkflowExecutionCanceled { .. } => "WorkflowExecutionCanceled",
            E::WorkflowExecutionTerminated { .. } => "WorkflowExecutionTerminated",
            E::WorkflowExecutionCancelRequested { .. } => "WorkflowExecutionCancelRequested",
            E::WorkflowExecutionSignaled(_) => "WorkflowExecutionSignaled",
            E::WorkflowTask(_) => "WorkflowTaskCompleted",
            E::ActivityTaskScheduled(_) => "ActivityTaskScheduled",
            E::ActivityTaskStarted { .. } => "ActivityTaskStarted",
            E::ActivityTaskCompleted { .. } => "ActivityTaskCompleted",
            E::ActivityTaskFailed { .. } => "ActivityTaskFailed",
            E::ActivityTaskTimedOut { .. } => "ActivityTaskTimedOut",
            E::ActivityTaskCancelRequested { .. } => "ActivityTaskCancelRequested",
            E::ActivityTaskCanceled { .. } => "ActivityTaskCanceled",
            E::TimerStarted { .. } => "TimerStarted",
            E::TimerFired { .. } => "TimerFired",
            E::TimerCanceled { .. } => "TimerCanceled",
            E::MarkerRecorded { .. } => "MarkerRecorded",
            E::SagaUnwindStarted(_) => "SagaUnwindStarted",
            E::SagaStuck(_) => "SagaStuck",
        }
    }
}
