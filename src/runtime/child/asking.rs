//! Asking the engine about other runs until it has answered: its own troubles are no failures of a step. Must not live here:
//! what the answers mean.

use tokio::sync::oneshot;

use crate::machine::RunState;
use crate::model::{Failure, Input, Outcome, RunId, StartRun, WorkflowId};

use super::super::error::RequestError;
use super::super::messages::{Delivered, Watched};
use super::super::recovery::load_state;
use super::{ASK_AGAIN, Attendant, Over};
use crate::store::Store;

impl Attendant {
    pub(super) async fn begin(
        &self,
        start: StartRun,
    ) -> Result<Result<(RunId, oneshot::Receiver<Watched>), RequestError>, Over> {
        let begun = self.ask(|| self.gateway.begin(start.clone())).await?;
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
        watch: Option<oneshot::Receiver<Watched>>,
    ) -> Result<(RunId, Outcome), Over> {
        let mut watch = watch;
        loop {
            match self.gateway.outcome(id, run_id, watch.take()).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// The newest run with this id.
    pub(super) async fn load(&self, id: &WorkflowId) -> Result<Option<(RunId, RunState)>, Over> {
        let find = |store: &dyn Store| Ok(store.find(id)?.map(|head| head.run_id));
        self.load_found(find).await
    }

    pub(super) async fn load_run(&self, run_id: RunId) -> Result<Option<RunState>, Over> {
        let find = |store: &dyn Store| Ok(store.head(run_id)?.map(|head| head.run_id));
        Ok(self.load_found(find).await?.map(|(_, state)| state))
    }

    async fn load_found(
        &self,
        find: impl Fn(&dyn Store) -> Result<Option<RunId>, crate::store::Error>,
    ) -> Result<Option<(RunId, RunState)>, Over> {
        let load = || -> Result<Option<(RunId, RunState)>, RequestError> {
            let store = self.gateway.store()?;
            let Some(run_id) = find(&*store)? else {
                return Ok(None);
            };
            Ok(Some((run_id, load_state(&self.shared.codecs, &*store, run_id)?)))
        };
        loop {
            match load() {
                Ok(loaded) => return Ok(loaded),
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// Asks until the engine has answered: its own troubles are no failures of a step.
    pub(super) async fn ask<T, F>(&self, request: impl Fn() -> F) -> Result<Result<T, RequestError>, Over>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        loop {
            match request().await {
                Err(
                    error @ (RequestError::Overloaded
                    | RequestError::Interrupted
                    | RequestError::ShuttingDown
                    | RequestError::Store(_)),
                ) => self.pause(&error).await?,
                answer => return Ok(answer),
            }
        }
    }

    async fn pause(&self, error: &RequestError) -> Result<(), Over> {
        match error {
            RequestError::ShuttingDown => return Err(Over::Stopping),
            RequestError::NotFound(_) => return Err(Over::Gone),
            RequestError::Store(crate::store::Error::Corrupt { run: Some(_), .. }) => {
                let message = format!("the child cannot be read, and nobody knows what became of it: {error}");
                return Err(Over::Broken(Failure::non_retryable("ChildBroken", message)));
            }
            _ => {}
        }
        tracing::debug!(workflow_id = %self.order.info.workflow_id, %error, "a child cannot be reached just now");
        let clock = &self.shared.clock;
        clock.sleep_until(clock.now().after(ASK_AGAIN)).await;
        Ok(())
    }
}
