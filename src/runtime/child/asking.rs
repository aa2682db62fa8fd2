//! Asking the engine about other runs. Must not live here: what the answers mean, or how long to ask (that is `offspring`).

use tokio::sync::oneshot;

use crate::machine::RunState;
use crate::model::{Failure, Input, Outcome, ParentRun, RunId, StartRun, WorkflowId};

use super::super::child_workflow::begun_by;
use super::super::error::RequestError;
use super::super::messages::{Delivered, Watched};
use super::super::offspring;
use super::super::recovery::load_state;
use super::{Attendant, Over};

impl Attendant {
    pub(super) async fn begin(
        &self,
        start: StartRun,
    ) -> Result<Result<(RunId, oneshot::Receiver<Watched>), RequestError>, Over> {
        let begun = self.ask(|| self.gateway.begin(Box::new(start.clone()))).await?;
        Ok(begun.map(|(Delivered { run_id, .. }, watch)| (run_id, watch)))
    }

    /// Asks a child to end. One that has ended, or only goes forward, is not moved by that.
    pub(super) async fn cancel(&self, id: &WorkflowId, run_id: RunId) -> Result<(), Over> {
        let input = Input::RequestCancel {
            reason: format!(
                "the saga {:?}, whose step it is, turned back",
                self.order.parent.workflow_id
            ),
            identity: env!("CARGO_PKG_NAME").to_owned(),
        };
        let asked = self.ask(|| self.gateway.deliver_to_chain(id, run_id, input.clone()));
        if let Err(error) = asked.await? {
            tracing::debug!(workflow_id = %id, %error, "the child was not canceled");
        }
        Ok(())
    }

    pub(super) async fn end_of(
        &self,
        id: &WorkflowId,
        run_id: RunId,
        mut watch: Option<oneshot::Receiver<Watched>>,
    ) -> Result<(RunId, Outcome), Over> {
        let ended = self.ask(|| self.gateway.outcome(id, run_id, watch.take()));
        ended.await?.map_err(|error| Over::because(&error))
    }

    pub(super) async fn load_run(&self, run_id: RunId) -> Result<Option<RunState>, Over> {
        let load = || async {
            let store = self.gateway.store()?;
            if store.head(run_id)?.is_none() {
                return Ok(None);
            }
            Ok(Some(load_state(&self.shared.codecs, &*store, run_id)?))
        };
        self.ask(load).await?.map_err(|error| Over::because(&error))
    }

    /// The newest run of the chain with this id that this parent has as a step.
    pub(super) async fn newest_child_of(&self, id: &WorkflowId, parent: &ParentRun) -> Result<Option<RunId>, Over> {
        let find = || async {
            let store = self.gateway.store()?;
            Ok(begun_by(&*store, id, parent).await?.map(|child| child.newest))
        };
        self.ask(find).await?.map_err(|error| Over::because(&error))
    }

    /// Asks until the engine has answered.
    pub(super) async fn ask<T, F>(&self, request: impl FnMut() -> F) -> Result<Result<T, RequestError>, Over>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        match offspring::ask(&self.shared, &self.order.info.workflow_id, request).await {
            None => Err(Over::Stopping),
            Some(Err(error @ RequestError::Store(_))) => Err(Over::because(&error)),
            Some(answer) => Ok(answer),
        }
    }
}

impl Over {
    /// Nothing can be learned about the child.
    fn because(error: &RequestError) -> Self {
        if matches!(error, RequestError::NotFound(_)) {
            return Over::Gone;
        }
        let message = format!("the child cannot be read, and nobody knows what became of it: {error}");
        Over::Broken(Failure::non_retryable("ChildBroken", message))
    }
}
