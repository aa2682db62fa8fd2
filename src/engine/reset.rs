//! Making runs anew from an earlier turn. Must not live here: what is copied and what is refused (that is `machine::reset`).

use crate::model::{Reset, RunId, WorkflowId};
use crate::runtime::{Clock, ResetOrder, SystemClock, reset_offline};

use super::{Client, Error, Offline, RunHandle};

impl Client {
    /// Makes the newest run with this id anew from one of its turns, which is decided again by the code that this engine
    /// has: another run of the same id begins with a copy of everything before that turn. A run that is open is terminated;
    /// who waits for its result gets that of the new run. One that has ended stays as it ended. Returns the new run, which is
    /// durable.
    ///
    /// ```no_run
    /// # use amends::model::{Reset, ResetPoint};
    /// # async fn mended(client: amends::Client) -> Result<(), amends::Error> {
    /// let run = client.reset("order-42", &Reset::to(ResetPoint::LastTurn, "ada", "the bug is mended")).await?;
    /// println!("order-42 goes on as run {run}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Rejection::ResetRefused`](super::Rejection::ResetRefused) when there is no such turn, or what has happened since
    /// would not fit; when there is no such run; [`Error::Leaving`] when its last one has ended, and cannot let go of the id yet.
    pub async fn reset(&self, workflow_id: &str, wanted: &Reset) -> Result<RunId, Error> {
        let id = self.engine().workflow_id(workflow_id)?;
        let head = self.engine().runtime().store()?.find(&id)?;
        let base = head.ok_or_else(|| Error::NotFound(id.clone()))?.run_id;
        self.reset_to(id, base, wanted).await
    }

    /// Makes this very run anew, which may be an older one of its id: the run that is open under the id is terminated.
    ///
    /// # Errors
    /// As for [`Client::reset`].
    pub async fn reset_run(&self, run_id: RunId, wanted: &Reset) -> Result<RunId, Error> {
        let head = self.engine().runtime().store()?.head(run_id)?;
        let namespace = self.engine().namespace();
        let head = head.filter(|head| head.workflow_id.namespace() == namespace.as_str());
        let unknown = || Error::NotFound(WorkflowId::from_trusted(run_id.to_string()));
        let id = head.ok_or_else(unknown)?.workflow_id;
        self.reset_to(id, run_id, wanted).await
    }

    async fn reset_to(&self, workflow_id: WorkflowId, base: RunId, wanted: &Reset) -> Result<RunId, Error> {
        let wanted = wanted.clone();
        let made = self.gateway().reset(workflow_id, ResetOrder { base, wanted }).await?;
        Ok(made.run_id)
    }
}

impl<O> RunHandle<O> {
    /// Makes the run anew, or the newest one of its chain: see [`Client::reset`]. Returns a handle on the new run.
    ///
    /// # Errors
    /// As for [`Client::reset`].
    pub async fn reset(&self, wanted: &Reset) -> Result<RunHandle<O>, Error> {
        let engine = self.engine();
        let run_id = engine.client().reset_run(self.asked().await?, wanted).await?;
        Ok(RunHandle::new(engine.clone(), self.workflow_id().clone(), run_id, None))
    }
}

impl Offline {
    /// Makes the run with this workflow id (its newest one) or run id anew from one of its turns: see [`Client::reset`]. The
    /// next engine decides the turn again.
    ///
    /// # Errors
    /// As for [`Client::reset`].
    pub fn reset(&self, id: &str, wanted: &Reset) -> Result<RunId, Error> {
        let head = self.find(id)?;
        let (base, wanted) = (head.run_id, wanted.clone());
        let order = ResetOrder { base, wanted };
        let (store, codecs) = self.stored();
        Ok(reset_offline(
            store,
            codecs,
            &head.workflow_id,
            &order,
            SystemClock.now(),
        )?)
    }
}
