//! What a run that has ended leaves to be undone by another one. Must not live here: the undoing (that is `saga`).

use crate::model::{AdoptedStep, EventId, Failure, RunId, SagaAdopted, StepKind};

use super::ledger::{ADOPTED_IDS_FROM, StepRecord, StepState, UndoState};
use super::state::RunState;

impl RunState {
    /// The run whose steps this one undoes.
    #[must_use]
    pub fn adopted_from(&self) -> Option<RunId> {
        self.adopted_from
    }

    /// The event that scheduled an adopted step in the run whose steps this one undoes.
    #[must_use]
    pub fn adopted_event(&self, step: EventId) -> EventId {
        EventId(step.0.saturating_sub(ADOPTED_IDS_FROM))
    }

    /// Everything that another run has to know in order to undo what this one has left; `None` when nothing is owed.
    ///
    /// Steps that need no undoing are among them: what is owed may depend on them, for its order and for its input.
    #[must_use]
    pub fn adoptable(&self) -> Option<SagaAdopted> {
        let run_id = self.started()?.run_id;
        let steps: Vec<AdoptedStep> = self.steps().map(|step| self.adopted(step)).collect();
        let owed = steps.iter().any(|step| step.compensation.is_some());
        owed.then_some(SagaAdopted { run_id, steps })
    }

    fn adopted(&self, step: &StepRecord) -> AdoptedStep {
        // A compensation that was running when the run was terminated may not have had its effect.
        let owed = matches!(step.undo, UndoState::Owed | UndoState::Running(_) | UndoState::Stuck);
        let compensation = step.compensation().cloned().filter(|_| owed);
        let outcome = match &step.state {
            StepState::Completed { output } => Ok(output.clone()),
            StepState::Skipped => Ok(crate::model::Payload::null()),
            StepState::Failed { failure, .. } => Err(failure.clone()),
            // A pivot that nothing undoes, and that may have happened, is a person's affair.
            StepState::Pending if step.kind == StepKind::Pivot && compensation.is_none() => {
                Ok(crate::model::Payload::null())
            }
            StepState::Pending => Err(Failure::worker_lost()),
        };
        // Whoever undoes the whole has decided about the pivot, too; one that cannot be undone is a person's affair.
        let kind = match step.kind {
            StepKind::Pivot if compensation.is_some() || outcome.is_err() => StepKind::Compensatable,
            kind => kind,
        };
        AdoptedStep {
            name: step.name.clone(),
            kind,
            after: step.after().map(<[_]>::to_vec),
            input: step.input.clone(),
            outcome,
            compensation,
            scheduled: step.scheduled,
            closed: step.closed.unwrap_or(self.next_event()),
        }
    }
}
