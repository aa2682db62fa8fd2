//! Attributes of the events that Temporal does not have: what happens to a saga. Must not live here: their wire form
//! (`store::record`) or their meaning for a run's state (`machine`).

use super::{
    CompensationSpec, EventId, Failure, FailureKind, Payload, RetryState, RunId, SignalName, StepKind, StepName,
    StuckReason, TimeoutKind, Timestamp,
};

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
                kind: FailureKind::Timeout {
                    kind: TimeoutKind::ScheduleToClose,
                    last_heartbeat: None,
                },
                cause: None,
            },
        }
    }
}

/// Attributes of a step that ended without an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaStepAmbiguous {
    /// The step's scheduling event.
    pub scheduled: EventId,
    /// How its last attempt failed.
    pub failure: Failure,
    /// Why it was not tried again.
    pub retry_state: RetryState,
}

/// What became known about a step that had ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepVerdict {
    /// It had its effect.
    Applied,
    /// It had none.
    NotApplied,
    /// It may have had one: it is to be compensated.
    Unknown,
}

/// Attributes of a step that waits. Such a step has nothing to undo.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaWaitStarted {
    /// The step's name.
    pub name: StepName,
    /// The steps it depends on.
    pub after: Vec<StepName>,
    /// The signal it waits for; `None`: only for a time.
    pub signal: Option<SignalName>,
    /// When the waiting ends.
    pub until: Option<Timestamp>,
    /// The step's output when no signal came in time. `None`: the step fails then.
    pub default: Option<Payload>,
}

/// How a step that waits ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitResult {
    /// With this signal's data.
    Signaled(EventId),
    /// Its time has come: with its default as the output, or nothing if it waited for the time only.
    Elapsed,
    /// No signal came in time, and there is no default: the step has failed.
    TimedOut,
    /// The saga turned back: nobody waits any more.
    Canceled,
}

/// Attributes of a step that is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaStepSkipped {
    /// The step's name.
    pub name: StepName,
    /// The steps it depends on.
    pub after: Vec<StepName>,
}

/// What the workflow id of a run that undoes another one ends with, after that one's.
pub const UNDO_SUFFIX: &str = "/undo";

/// Attributes of a run that undoes another one, which has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaAdopted {
    /// The other run.
    pub run_id: RunId,
    /// Its steps that may have had an effect, in the order of their scheduling.
    pub steps: Vec<AdoptedStep>,
}

/// A step of another run.
#[derive(Clone, Debug, PartialEq)]
pub struct AdoptedStep {
    /// Its name.
    pub name: StepName,
    /// What it meant for that saga's course.
    pub kind: StepKind,
    /// The steps it depended on.
    pub after: Option<Vec<StepName>>,
    /// Its input.
    pub input: Payload,
    /// What it returned, or how it failed.
    pub outcome: Result<Payload, Failure>,
    /// How to undo it. `None`: nothing to undo.
    pub compensation: Option<CompensationSpec>,
    /// The scheduling event in the other run, for the idempotency of the undoing.
    pub scheduled: EventId,
    /// The event that ended it in the other run.
    pub closed: EventId,
}
