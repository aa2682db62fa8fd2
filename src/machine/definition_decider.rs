//! The decider of runs that follow a saga definition: what the definition says about a run's steps. Must not live here:
//! the definition's format, its expressions, or the way back (that is `saga`).

mod plan;
mod scope;

use crate::definition::{EvaluateError, SagaDefinition, UndoScope};
use crate::model::{ActivityId, Command, Failure, ParkReason, Payload, Query, StuckNotice, UpdateRequest};

use super::decider::{Decider, Task, TaskError};
use super::{QueryError, RunState, StepRecord, StepState};
use plan::Plan;
use scope::RunScope;

/// Decides for a run by its definition. Keeps nothing: everything is asked from the run's state, so that a rebuilt one
/// decides the same.
#[derive(Debug)]
pub struct DefinitionDecider {
    definition: SagaDefinition,
}

impl DefinitionDecider {
    /// The decider of every run that follows this definition.
    #[must_use]
    pub fn new(definition: SagaDefinition) -> Self {
        Self { definition }
    }

    fn plan(&self, task: &Task<'_>) -> Vec<Command> {
        let run = task.run;
        if let Some(reason) = run.cancel_requested() {
            let failure = Failure::canceled(reason);
            return vec![Command::CancelWorkflow { failure }];
        }
        if let Some(failure) = self.failed_step(run) {
            return vec![Command::FailWorkflow { failure }];
        }
        let Some(scope) = RunScope::new(run, &self.definition) else {
            return Vec::new();
        };
        // What does not fit this run's data is the definition's failure, and the saga makes amends for it.
        let fail = |failure: Failure| vec![Command::FailWorkflow { failure }];
        Plan::make(scope, task.now).unwrap_or_else(fail)
    }

    fn failed_step(&self, run: &RunState) -> Option<Failure> {
        let failed = run.steps().find_map(|step| match &step.state {
            StepState::Failed {
                failure, retry_state, ..
            } => Some((step, failure, *retry_state)),
            _ => None,
        });
        let (step, failure, retry_state) = failed?;
        let (index, _) = scope::locate(&self.definition, step.name.as_str())?;
        // A step that waited has no activity that could have failed.
        let Some(activity_type) = self.definition.steps().get(index)?.activity_type() else {
            return Some(failure.clone());
        };
        let activity_id = ActivityId::from_trusted(step.name.as_str());
        Some(Failure::of_activity(
            activity_id,
            activity_type.clone(),
            retry_state,
            failure.clone(),
        ))
    }

    /// Makes the input of something that is done for a step after it has ended.
    fn input_for_step(
        &self,
        run: &RunState,
        step: &StepRecord,
        failure: Option<&Failure>,
        make: impl Fn(usize, &UndoScope<'_>) -> Result<Payload, EvaluateError>,
    ) -> Result<Payload, TaskError> {
        let missing = || TaskError(format!("the definition has no step {:?}", step.name));
        let (index, element) = scope::locate(&self.definition, step.name.as_str()).ok_or_else(missing)?;
        let scope = RunScope::new(run, &self.definition).ok_or_else(missing)?;
        let as_task_error = |error: EvaluateError| TaskError(error.to_string());
        let items = match element {
            Some(_) => self.definition.items(index, &scope).map_err(as_task_error)?,
            None => None,
        };
        let scope = scope.with_item(items.as_deref(), element);
        let (output, own_failure) = match &step.state {
            StepState::Completed { output } => (Some(output), None),
            StepState::Failed { failure, .. } => (None, Some(failure)),
            StepState::Pending | StepState::Skipped => (None, None),
        };
        let undo = UndoScope {
            scope: &scope,
            input: &step.input,
            output,
            failure: failure.or(own_failure),
        };
        make(index, &undo).map_err(as_task_error)
    }
}

impl Decider for DefinitionDecider {
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let refused = task.updates.iter().map(refusal);
        let mut commands: Vec<Command> = refused.collect();
        if task.run.task_due(task.now) {
            commands.extend(self.plan(task));
        }
        Ok(commands)
    }

    fn query(&mut self, run: &RunState, query: &Query) -> Result<Payload, QueryError> {
        run.answer(query)
    }

    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        self.input_for_step(run, step, None, |index, undo| {
            self.definition.compensation_input(index, undo)
        })
    }

    fn verification_input(&self, run: &RunState, step: &StepRecord, failure: &Failure) -> Result<Payload, TaskError> {
        self.input_for_step(run, step, Some(failure), |index, undo| {
            self.definition.verification_input(index, undo)
        })
    }

    fn escalation_input(&self, run: &RunState, notice: &StuckNotice) -> Result<Payload, TaskError> {
        let missing = || TaskError("the run has not started".to_owned());
        let scope = RunScope::new(run, &self.definition).ok_or_else(missing)?;
        let input = self.definition.escalation_input(notice, &scope);
        input.map_err(|error| TaskError(error.to_string()))
    }
}

/// A definition has nothing that could answer: it waits for signals.
fn refusal(update: &UpdateRequest) -> Command {
    let message = format!(
        "a run that follows a definition takes no updates, {:?} neither: send a signal",
        update.name
    );
    Command::RejectUpdate {
        update_id: update.update_id.clone(),
        failure: Failure::non_retryable("UnknownUpdate", message),
    }
}
