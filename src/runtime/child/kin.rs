//! Which run is the child of a step, what it means when there is none, and beginning one under an id that another run's child
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

    /// The newest run of the step's child.
    pub(super) async fn load_own(&self, id: &WorkflowId) -> Result<Option<(RunId, RunState)>, Over> {
        self.load_child_of(id, self.order.parent.run_id).await
    }

    /// The same of what is undone here: if the run whose steps are undone was reset, and has copied the step, the child is that
    /// of the run that it was copied from.
    pub(super) async fn load_undone(&self, id: &WorkflowId) -> Result<Option<(RunId, RunState)>, Over> {
        if let Some(own) = self.load_own(id).await? {
            return Ok(Some(own));
        }
        let undone = self.load_run(self.order.parent.run_id).await?;
        match undone.and_then(|undone| undone.writer_of(self.order.scheduled)) {
            Some(writer) if writer != self.order.parent.run_id => self.load_child_of(id, writer).await,
            _ => Ok(None),
        }
    }

    /// Mostly the newest run of the id; but when the child had ended, somebody else may have taken its id.
    async fn load_child_of(&self, id: &WorkflowId, parent: RunId) -> Result<Option<(RunId, RunState)>, Over> {
        let parent = ParentRun {
            run_id: parent,
            ..self.order.parent.clone()
        };
        let Some(newest) = self.newest_child_of(id, &parent).await? else {
            return Ok(None);
        };
        Ok(self.load_run(newest).await?.map(|state| (newest, state)))
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
