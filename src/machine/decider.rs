//! The seam between the machine and whoever decides for a run: workflow code, a saga definition, later a remote worker.
//! Must not live here: any of them.

use std::fmt;

use crate::model::{
    Command, Event, Failure, LocalActivity, ParkReason, Payload, Query, SignalName, StuckNotice, Timestamp, Undo,
    UpdateId, UpdateName, UpdateRequest, WorkflowTask,
};

use super::{QueryError, RunState, StepRecord, StepState};

/// A handler that was about its work, or had not even begun it, when the code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnfinishedHandler {
    /// Of this signal.
    Signal(SignalName),
    /// Of this update.
    Update(UpdateId, UpdateName),
}

impl fmt::Display for UnfinishedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnfinishedHandler::Signal(name) => write!(f, "signal {name:?}"),
            UnfinishedHandler::Update(id, name) => write!(f, "update {name:?} (id {id})"),
        }
    }
}

/// Turns what happened into commands.
pub trait Decider {
    /// Looks at what happened since its last task and says what to do.
    ///
    /// # Errors
    /// When it cannot decide: the run's events are kept, and the task is tried again by a rebuilt decider, or the run is
    /// parked.
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason>;

    /// The local activities that it waits for, with what they are given.
    fn local_activities(&self) -> Vec<LocalActivity> {
        Vec::new()
    }

    /// The handlers that its code had not finished when it ended, as far as somebody minds; only of an end that was decided
    /// here, and only once.
    fn take_unfinished(&mut self) -> Vec<UnfinishedHandler> {
        Vec::new()
    }

    /// Answers a question. It may be asked whenever the decider is not deciding, and changes nothing.
    ///
    /// # Errors
    /// Why there is no answer; [`QueryError::NotHere`] when a decider rebuilt from the whole history could give one.
    fn query(&mut self, run: &RunState, query: &Query) -> Result<Payload, QueryError> {
        let _ = (run, query);
        Err(QueryError::NotHere)
    }

    /// Makes the input of the compensation of a step, for compensations whose input is
    /// [`Mapped`](crate::model::CompensationInput::Mapped).
    ///
    /// # Errors
    /// When it cannot be made; the saga then waits for a person.
    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        let _ = run;
        undo_payload(step)
    }

    /// Makes the input of the verification of a step that ended without an answer, for verifications whose input is
    /// [`Mapped`](crate::model::CompensationInput::Mapped).
    ///
    /// # Errors
    /// When it cannot be made; a person is asked then.
    fn verification_input(&self, run: &RunState, step: &StepRecord, failure: &Failure) -> Result<Payload, TaskError> {
        let _ = run;
        undo_payload_of(step, None, Some(failure))
    }

    /// Makes the input of the activity that tells somebody that the run is stuck.
    ///
    /// # Errors
    /// When it cannot be made; the notice is sent as it is then.
    fn escalation_input(&self, run: &RunState, notice: &StuckNotice) -> Result<Payload, TaskError> {
        let _ = run;
        Payload::json(notice).map_err(|error| TaskError(error.to_string()))
    }
}

/// One occasion to decide.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Every event after the last `WorkflowTask` event: first the events of that task's own commands, then what arrived
    /// since. The first task sees the history from event 1. Empty for runs that follow a definition, which decides from
    /// the state alone.
    pub events: &'a [Event],
    /// Updates that have arrived: each is to be accepted or rejected. When there is nothing else to look at (no task is
    /// due) and all are rejected, the task is forgotten.
    pub updates: &'a [UpdateRequest],
    /// The time of this turn; the only clock a decider may read.
    pub now: Timestamp,
    /// The run's state before this task.
    pub run: &'a RunState,
    /// Attributes of the event that this task becomes.
    pub task: &'a WorkflowTask,
}

/// Why a part of a task could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TaskError(pub String);

/// For runs whose code has nothing to decide any more: they are unwinding, or parked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDecider;

impl Decider for NoDecider {
    /// Decides nothing, so that whatever the run has to look at waits for its real decider.
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let workflow_type = || task.run.started().map(|started| started.workflow_type.to_string());
        Err(task
            .run
            .parked()
            .cloned()
            .unwrap_or_else(|| ParkReason::UnknownWorkflow {
                workflow_type: workflow_type().unwrap_or_default(),
            }))
    }

    fn compensation_input(&self, _: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        Err(TaskError(format!(
            "the input of the compensation of step {:?} is made by the saga's definition, which is not at hand",
            step.name
        )))
    }
}

/// The [`Undo`] of a step as a payload.
pub(super) fn undo_payload(step: &StepRecord) -> Result<Payload, TaskError> {
    match &step.state {
        StepState::Completed { output } => undo_payload_of(step, Some(output), None),
        StepState::Failed { failure, .. } => undo_payload_of(step, None, Some(failure)),
        StepState::Pending | StepState::Skipped => undo_payload_of(step, None, None),
    }
}

/// An [`Undo`] as a payload.
pub(super) fn undo_payload_of(
    step: &StepRecord,
    output: Option<&Payload>,
    failure: Option<&Failure>,
) -> Result<Payload, TaskError> {
    let undo = Undo::new(&step.input, output, failure).splice();
    undo.map_err(|error| TaskError(format!("the undo of step {} cannot be made: {error}", step.name)))
}
