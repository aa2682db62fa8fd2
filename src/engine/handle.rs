//! A handle on one run. Must not live here: how runs are found or started.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::model::{Failure, FromPayload, Input, Outcome, RunId, ToPayload, WorkflowId};
use crate::runtime::{Delivered, RequestError, Watched, Whom};

use super::{Amends, Client, Decision, Error, RunDescription, SagaView};

/// A run, with those that follow it in its chain, and the type of their result. What is asked of it and said to it is for the
/// newest of them, unless the handle is for [only this run](Self::only_this_run).
pub struct RunHandle<O> {
    engine: Amends,
    workflow_id: WorkflowId,
    run_id: RunId,
    /// Armed when the run was started, so that waiting for the result costs no further request.
    watch: Mutex<Option<oneshot::Receiver<Watched>>>,
    /// The newest run of the chain that was met.
    newest: Mutex<RunId>,
    /// What is asked of it and said to it is for the run itself.
    only_this: bool,
    output: PhantomData<fn() -> O>,
}

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// It failed, and everything that may have had an effect was compensated.
    #[error("amended: {0}")]
    Amended(Box<Failure>),
    /// It failed.
    #[error("failed: {0}")]
    Failed(Box<Failure>),
    /// It was cancelled.
    #[error("canceled: {0}")]
    Canceled(Box<Failure>),
    /// An operator terminated it.
    #[error("terminated: {reason}")]
    Terminated {
        /// The operator's reason.
        reason: String,
    },
    /// Its time was up.
    #[error("the run's time was up")]
    TimedOut,
    /// Another run followed: the handle is for [only this run](RunHandle::only_this_run), or nothing is known of that one
    /// because it was deleted.
    #[error("the run continued as run {new_run_id}")]
    ContinuedAsNew {
        /// That run.
        new_run_id: RunId,
    },
    /// The result cannot be had, or does not fit the type.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl<O> RunHandle<O> {
    pub(super) fn new(
        engine: Amends,
        workflow_id: WorkflowId,
        run_id: RunId,
        watch: Option<oneshot::Receiver<Watched>>,
    ) -> Self {
        Self {
            engine,
            workflow_id,
            run_id,
            watch: Mutex::new(watch),
            newest: Mutex::new(run_id),
            only_this: false,
            output: PhantomData,
        }
    }

    /// The handle for this very run, as it was started or found: what is asked of it and said to it is not for the runs that
    /// follow it, and its result is its own. A run that has ended still answers queries, and has the answers to the updates
    /// that it took on; it refuses everything else ([`Rejection::Closed`](super::Rejection::Closed)), also when another run
    /// of its workflow id is open.
    ///
    /// ```no_run
    /// # async fn look(amends: amends::Amends, run_id: amends::model::RunId) -> Result<(), amends::Error> {
    /// let run = amends.find_run(run_id).await?.only_this_run();
    /// let items: Vec<String> = run.query("items", &()).await?;
    /// run.signal("close", &()).await
    /// # }
    /// ```
    #[must_use]
    pub fn only_this_run(mut self) -> Self {
        self.only_this = true;
        self
    }

    /// Whom what is asked and said is for.
    pub(super) fn whom(&self) -> Whom {
        match self.only_this {
            true => Whom::Run(self.run_id),
            false => Whom::Chain(self.newest()),
        }
    }

    /// The run that answers.
    pub(super) async fn asked(&self) -> Result<RunId, Error> {
        match self.only_this {
            true => Ok(self.engine.own_run(self.run_id)?.run_id),
            false => self.newest_run_id().await,
        }
    }

    /// The caller's id.
    #[must_use]
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.workflow_id
    }

    /// The execution that it was made for.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Waits until the run has ended, and every run that follows it in its chain: how the last one did.
    ///
    /// # Errors
    /// When the store cannot be read, or the engine stops before the run ends.
    pub async fn outcome(&self) -> Result<Outcome, Error> {
        if self.only_this {
            return self.run_outcome().await;
        }
        let gateway = self.engine.runtime().gateway();
        let (_, outcome) = gateway.outcome(&self.workflow_id, self.run_id, self.armed()).await?;
        Ok(outcome)
    }

    /// Waits until this very run has ended: [`Outcome::ContinuedAsNew`] when its code continued as a new run.
    ///
    /// # Errors
    /// As for [`RunHandle::outcome`].
    pub async fn run_outcome(&self) -> Result<Outcome, Error> {
        let gateway = self.engine.runtime().gateway();
        let ended = gateway.run_outcome(&self.workflow_id, self.run_id, self.armed());
        let ended = ended.await.map_err(|error| not_there(error, self.whom()))?;
        Ok(ended.outcome)
    }

    fn armed(&self) -> Option<oneshot::Receiver<Watched>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The newest run of the chain that this run is a part of.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest_run_id(&self) -> Result<RunId, Error> {
        let newest = self
            .engine
            .runtime()
            .gateway()
            .newest_of_chain(&self.workflow_id, self.newest())?;
        self.met(newest);
        Ok(newest)
    }

    /// The newest run of the chain that this handle has met.
    fn newest(&self) -> RunId {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn met(&self, run_id: RunId) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = (*newest).max(run_id);
    }

    /// Hands an input to the open run of the chain.
    pub(super) async fn deliver(&self, input: Input) -> Result<Delivered, Error> {
        let gateway = self.engine.runtime().gateway();
        let delivered = gateway.deliver_to(&self.workflow_id, self.whom(), input).await;
        let delivered = delivered.map_err(|error| not_there(error, self.whom()))?;
        self.met(delivered.run_id);
        Ok(delivered)
    }

    /// How the newest run of the chain stands, step by step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn describe(&self) -> Result<RunDescription, Error> {
        self.client().describe_run(self.asked().await?).await
    }

    /// That run's saga: what became of every step, what is stuck, and who decided what.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn saga(&self) -> Result<SagaView, Error> {
        Ok(self.describe().await?.into_saga())
    }

    /// Decides how the run's stuck saga goes on. It is durable when this returns.
    ///
    /// # Errors
    /// As for [`Client::decide`].
    pub async fn decide(&self, decision: Decision) -> Result<(), Error> {
        let asked = self.asked().await?;
        self.client()
            .decide_run(self.workflow_id.as_str(), Some(asked), decision)
            .await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the run has ended, or the signal cannot be made durable.
    pub async fn signal<T: ToPayload + ?Sized>(&self, name: &str, input: &T) -> Result<(), Error> {
        let signal = self.client().signal_input(name, input, None)?;
        self.deliver(signal).await.map(drop)
    }

    /// Asks the run to end, undoing what it did.
    ///
    /// # Errors
    /// When the run has ended, or its saga has reached its pivot.
    pub async fn cancel(&self, reason: &str) -> Result<(), Error> {
        self.deliver(self.client().cancel_input(reason)).await.map(drop)
    }

    /// Ends the run at once, undoing nothing.
    ///
    /// # Errors
    /// When the run has ended.
    pub async fn terminate(&self, reason: &str) -> Result<(), Error> {
        self.deliver(self.client().terminate_input(reason)).await.map(drop)
    }

    pub(super) fn engine(&self) -> &Amends {
        &self.engine
    }

    fn client(&self) -> Client {
        self.engine.client()
    }
}

impl<O: FromPayload> RunHandle<O> {
    /// Waits for the run's result.
    ///
    /// # Errors
    /// How else the run ended.
    pub async fn result(&self) -> Result<O, ResultError> {
        match self.outcome().await? {
            Outcome::Completed(payload) => Ok(payload.to().map_err(Error::from)?),
            Outcome::Amended(failure) => Err(ResultError::Amended(Box::new(failure))),
            Outcome::Failed(failure) => Err(ResultError::Failed(Box::new(failure))),
            Outcome::Canceled(failure) => Err(ResultError::Canceled(Box::new(failure))),
            Outcome::Terminated { reason } => Err(ResultError::Terminated { reason }),
            Outcome::TimedOut => Err(ResultError::TimedOut),
            Outcome::ContinuedAsNew { new_run_id } => Err(ResultError::ContinuedAsNew { new_run_id }),
        }
    }
}

/// The workflow id may well be known where one very run of it is not.
pub(super) fn not_there(error: RequestError, whom: Whom) -> Error {
    match (error, whom) {
        (RequestError::NotFound(_), Whom::Run(run_id)) => Error::RunNotFound(run_id),
        (error, _) => error.into(),
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({}, {})", self.workflow_id, self.run_id)
    }
}
