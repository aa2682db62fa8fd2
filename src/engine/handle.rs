//! A handle on one run. Must not live here: how runs are found or started.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::model::{Failure, FromPayload, Outcome, RunId, ToPayload, WorkflowId};
use crate::runtime::Watched;

use super::{Amends, Client, Decision, Error, RunDescription, SagaView, SignalOptions};

/// One run, and the type of its result.
pub struct RunHandle<O> {
    engine: Amends,
    workflow_id: WorkflowId,
    run_id: RunId,
    /// Armed when the run was started, so that waiting for the result costs no further request.
    watch: Mutex<Option<oneshot::Receiver<Watched>>>,
    output: PhantomData<fn() -> O>,
}

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// It failed, and everything that may have had an effect was compensated.
    #[error("amended: {0}")]
    Amended(Failure),
    /// It failed.
    #[error("failed: {0}")]
    Failed(Failure),
    /// It was cancelled.
    #[error("canceled: {0}")]
    Canceled(Failure),
    /// An operator terminated it.
    #[error("terminated: {reason}")]
    Terminated {
        /// The operator's reason.
        reason: String,
    },
    /// Its time was up.
    #[error("the run's time was up")]
    TimedOut,
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
            output: PhantomData,
        }
    }

    /// The caller's id.
    #[must_use]
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.workflow_id
    }

    /// The execution.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Waits until the run has ended.
    ///
    /// # Errors
    /// When the store cannot be read, or the engine stops before the run ends.
    pub async fn outcome(&self) -> Result<Outcome, Error> {
        let armed = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gateway = self.engine.runtime().gateway();
        Ok(gateway.outcome(&self.workflow_id, self.run_id, armed).await?)
    }

    /// How the run stands, step by step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn describe(&self) -> Result<RunDescription, Error> {
        self.client().describe_run(self.run_id).await
    }

    /// The run's saga: what became of every step, what is stuck, and who decided what.
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
        self.client()
            .decide_run(self.workflow_id.as_str(), Some(self.run_id), decision)
            .await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the run has ended, or the signal cannot be made durable.
    pub async fn signal<T: ToPayload + ?Sized>(&self, name: &str, input: &T) -> Result<(), Error> {
        let options = SignalOptions {
            run_id: Some(self.run_id),
            ..SignalOptions::default()
        };
        self.client()
            .signal_with(self.workflow_id.as_str(), name, input, options)
            .await
    }

    /// Asks the run to end, undoing what it did.
    ///
    /// # Errors
    /// When the run has ended, or its saga has reached its pivot.
    pub async fn cancel(&self, reason: &str) -> Result<(), Error> {
        self.client().cancel(self.workflow_id.as_str(), reason).await
    }

    /// Ends the run at once, undoing nothing.
    ///
    /// # Errors
    /// When the run has ended.
    pub async fn terminate(&self, reason: &str) -> Result<(), Error> {
        self.client().terminate(self.workflow_id.as_str(), reason).await
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
            Outcome::Amended(failure) => Err(ResultError::Amended(failure)),
            Outcome::Failed(failure) => Err(ResultError::Failed(failure)),
            Outcome::Canceled(failure) => Err(ResultError::Canceled(failure)),
            Outcome::Terminated { reason } => Err(ResultError::Terminated { reason }),
            Outcome::TimedOut => Err(ResultError::TimedOut),
        }
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({}, {})", self.workflow_id, self.run_id)
    }
}
