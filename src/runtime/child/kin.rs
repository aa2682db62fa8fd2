//! Whether a run is the child of a step, what it means when there is none, and beginning one under an id that another run's child
//! has had. Must not live here: what becomes of it.

use tokio::sync::oneshot;

use crate::machine::RunState;
use crate::model::{AttemptOutcome, Failure, IdReusePolicy, ParentRun, Payload, RunId, StartRun, WorkflowId};

use super::super::error::RequestError;
use super::super::messages::Watched;
use super::{Attendant, Over};

impl Attendant {
    /// Begins a run for the step. Its id may have been that of a run for the same step of an earlier run of the parent's id,
    /// which was reset, or has ended and is followed by this one: that has ended, too, and is nobody's business here.
    pub(super) async fn begin_own(
        &self,
        start: StartRun,
    ) -> Result<Result<(RunId, oneshot::Receiver<Watched>), RequestError>, Over> {
        let (run_id, mut start) = match self.begin(start.clone()).await? {
            Err(RequestError::AlreadyStarted { run_id, .. }) => (run_id, start),
            begun => return Ok(begun),
        };
        let own = &self.order.parent;
        let of_another =
            |of: &ParentRun| of.workflow_id == own.workflow_id && of.run_id != own.run_id && of.initiated.is_none();
        let there = self.load_run(run_id).await?;
        let parent = there.as_ref().and_then(|there| there.started()?.parent.as_ref());
        if parent.is_some_and(of_another) {
            start.ids.reuse = IdReusePolicy::AllowDuplicate;
        }
        self.begin(start).await
    }

    pub(super) fn is_own(&self, state: &RunState) -> bool {
        let parent = state.started().and_then(|started| started.parent.as_ref());
        parent == Some(&self.order.parent)
    }

    /// Whether the child is that of the run whose steps are undone here, which was reset, and has copied the step.
    pub(super) async fn is_of_a_copy(&self, state: &RunState) -> Result<bool, Over> {
        let parent = &self.order.parent;
        let own = |of: &&ParentRun| of.workflow_id == parent.workflow_id && of.initiated.is_none();
        let Some(asked) = state.started().and_then(|started| started.parent.as_ref()).filter(own) else {
            return Ok(false);
        };
        let undone = self.load_run(parent.run_id).await?;
        Ok(undone.is_some_and(|undone| undone.writer_of(self.order.scheduled) == Some(asked.run_id)))
    }

    /// The step's child is not there. Mostly it was never started; but of one that was, somebody has to undo what it did.
    pub(super) fn without_child(&self, id: &WorkflowId) -> AttemptOutcome {
        match self.order.had_child {
            false => Ok(Payload::null()),
            true => {
                let message = format!("the child {id:?} is not in the store any more, so what it did cannot be undone");
                Err(Failure::non_retryable("ChildNotUndone", message))
            }
        }
    }
}
