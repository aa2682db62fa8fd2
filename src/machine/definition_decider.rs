//! The decider of runs that follow a saga definition: which steps are ready, and with what input. Must not live here:
//! the definition's format, its expressions, or the way back (that is `saga`).

use crate::definition::{EvaluateError, SagaDefinition, Scope, UndoScope};
use crate::model::{
    ActivityId, Command, Failure, ParkReason, Payload, RunId, RunStarted, ScheduleActivity, WorkflowId,
};

use super::decider::{Decider, Task, TaskError};
use super::{RunState, StepRecord, StepState};

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

    fn record<'a>(&self, run: &'a RunState, step: usize) -> Option<&'a StepRecord> {
        run.step(self.definition.steps().get(step)?.name().as_str())
    }

    fn failed_step(&self, run: &RunState) -> Option<Failure> {
        let failed = run.steps().find_map(|step| match &step.state {
            StepState::Failed {
                failure, retry_state, ..
            } => Some((step, failure, *retry_state)),
            _ => None,
        });
        let (step, failure, retry_state) = failed?;
        let index = self.definition.step_index(step.name.as_str())?;
        let activity_type = self.definition.steps().get(index)?.activity_type().clone();
        let activity_id = ActivityId::from_trusted(step.name.as_str());
        Some(Failure::of_activity(
            activity_id,
            activity_type,
            retry_state,
            failure.clone(),
        ))
    }

    fn is_ready(&self, run: &RunState, step: usize) -> bool {
        let dependencies = self
            .definition
            .steps()
            .get(step)
            .map_or(&[][..], |step| step.dependencies());
        self.record(run, step).is_none()
            && dependencies.iter().all(|dependency| {
                let dependency = self.record(run, *dependency);
                dependency.is_some_and(|record| matches!(record.state, StepState::Completed { .. }))
            })
    }

    /// The commands that start every step that can start, or the run's result when all are done.
    fn go_on(&self, scope: &RunScope<'_>) -> Result<Vec<Command>, EvaluateError> {
        let run = scope.run;
        let steps = self.definition.steps();
        let completed = run
            .steps()
            .filter(|step| matches!(step.state, StepState::Completed { .. }))
            .count();
        if completed == steps.len() {
            let result = self.definition.output(scope)?;
            return Ok(vec![Command::CompleteWorkflow { result }]);
        }
        let mut commands = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if self.is_ready(run, index) {
                commands.push(Command::ScheduleActivity(Box::new(ScheduleActivity {
                    activity_id: ActivityId::from_trusted(step.name().as_str()),
                    activity_type: step.activity_type().clone(),
                    input: self.definition.step_input(index, scope)?,
                    options: step.options().clone(),
                    step: Some(step.spec().clone()),
                })));
            }
        }
        Ok(commands)
    }
}

impl Decider for DefinitionDecider {
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let run = task.run;
        if let Some(reason) = run.cancel_requested() {
            let failure = Failure::canceled(reason);
            return Ok(vec![Command::CancelWorkflow { failure }]);
        }
        if let Some(failure) = self.failed_step(run) {
            return Ok(vec![Command::FailWorkflow { failure }]);
        }
        let Some(started) = run.started() else {
            return Ok(Vec::new());
        };
        let scope = RunScope {
            run,
            started,
            definition: &self.definition,
        };
        // The data did not fit a mapping: that is the definition's failure, and the saga makes amends for it.
        let fail = |error: EvaluateError| {
            let failure = Failure::non_retryable("Mapping", error.to_string());
            vec![Command::FailWorkflow { failure }]
        };
        Ok(self.go_on(&scope).unwrap_or_else(fail))
    }

    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        let missing = || TaskError(format!("the definition has no step {:?}", step.name));
        let index = self.definition.step_index(step.name.as_str()).ok_or_else(missing)?;
        let started = run.started().ok_or_else(missing)?;
        let scope = RunScope {
            run,
            started,
            definition: &self.definition,
        };
        let (output, failure) = match &step.state {
            StepState::Completed { output } => (Some(output), None),
            StepState::Failed { failure, .. } => (None, Some(failure)),
            StepState::Pending | StepState::Skipped => (None, None),
        };
        let undo = UndoScope {
            scope: &scope,
            input: &step.input,
            output,
            failure,
        };
        let input = self.definition.compensation_input(index, &undo);
        input.map_err(|error| TaskError(error.to_string()))
    }
}

/// What mappings may read of a run.
struct RunScope<'a> {
    run: &'a RunState,
    started: &'a RunStarted,
    definition: &'a SagaDefinition,
}

impl RunScope<'_> {
    fn record(&self, step: usize) -> Option<&StepRecord> {
        self.run.step(self.definition.steps().get(step)?.name().as_str())
    }
}

impl Scope for RunScope<'_> {
    fn workflow_id(&self) -> &WorkflowId {
        &self.started.workflow_id
    }

    fn run_id(&self) -> RunId {
        self.started.run_id
    }

    fn input(&self) -> &Payload {
        &self.started.input
    }

    fn step_input(&self, step: usize) -> Option<&Payload> {
        self.record(step).map(|record| &record.input)
    }

    fn step_output(&self, step: usize) -> Option<&Payload> {
        match &self.record(step)?.state {
            StepState::Completed { output } => Some(output),
            _ => None,
        }
    }
}
