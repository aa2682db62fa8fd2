//! Asking runs and waiting for their answers: queries, updates, and starts that bring a signal or an update along. Must not
//! live here: what runs answer.

use std::fmt;
use std::marker::PhantomData;

use crate::machine::Rejection;
use crate::model::{
    Failure, FromPayload, Input, Payload, Query, QueryName, RequestId, RunId, SignalName, ToPayload, UpdateId,
    UpdateName, UpdateRequest, WorkflowId,
};
use crate::runtime::{Entropy, RequestError, Whom};

use super::handle::not_there;
use super::{Amends, Client, Error, RunHandle, SignalOptions, Starter};

/// Why an update has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The run refused it: its validator did, or it knows no such update. Nothing of it is recorded.
    #[error("refused: {0}")]
    Refused(Box<Failure>),
    /// The run took it on, and it failed.
    #[error("failed: {0}")]
    Failed(Box<Failure>),
    /// It could not be asked for, or its result cannot be had or does not fit the type.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// How an update is asked for.
#[derive(Clone, Debug, Default)]
pub struct UpdateOptions {
    /// Makes the update repeatable: a second one with the same id is the same update. Made up when not given.
    pub update_id: Option<String>,
}

/// An update that a run has accepted.
pub struct UpdateHandle<R> {
    engine: Amends,
    workflow_id: WorkflowId,
    whom: Whom,
    update_id: UpdateId,
    result: PhantomData<fn() -> R>,
}

impl<R> UpdateHandle<R> {
    /// The update's id, by which its result can be had later.
    #[must_use]
    pub fn update_id(&self) -> &UpdateId {
        &self.update_id
    }
}

impl<R: FromPayload> UpdateHandle<R> {
    /// Waits until the run has answered. The result stays available, also when the run has ended.
    ///
    /// # Errors
    /// [`UpdateError::Failed`] with the update's failure, also when the run ended without answering it;
    /// [`Error::UnknownUpdate`] when the run has accepted no such update.
    pub async fn result(&self) -> Result<R, UpdateError> {
        let gateway = self.engine.runtime().gateway();
        let outcome = gateway.update_outcome(&self.workflow_id, self.whom, &self.update_id);
        match outcome.await.map_err(Error::from)? {
            Ok(result) => Ok(result.to().map_err(Error::from)?),
            Err(failure) => Err(UpdateError::Failed(Box::new(failure))),
        }
    }
}

impl<R> fmt::Debug for UpdateHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdateHandle({}, {})", self.workflow_id, self.update_id)
    }
}

impl Amends {
    async fn query<T, R>(
        &self,
        workflow_id: &WorkflowId,
        run_id: Option<RunId>,
        name: &str,
        input: &T,
    ) -> Result<R, Error>
    where
        T: ToPayload + ?Sized,
        R: FromPayload,
    {
        let query = Query {
            name: QueryName::new(name)?,
            input: Payload::of(input)?.checked()?,
        };
        let answer = self.runtime().gateway().query(workflow_id, run_id, query).await?;
        Ok(answer.map_err(Error::Query)?.to()?)
    }

    fn update_request<T>(&self, name: &str, input: &T, options: UpdateOptions) -> Result<UpdateRequest, Error>
    where
        T: ToPayload + ?Sized,
    {
        let made_up = || Entropy.run_id(self.runtime().clock().now()).to_string();
        Ok(UpdateRequest {
            update_id: UpdateId::new(options.update_id.unwrap_or_else(made_up))?,
            name: UpdateName::new(name)?,
            input: Payload::of(input)?.checked()?,
            identity: self.identity(),
        })
    }

    async fn start_update<R>(
        &self,
        workflow_id: WorkflowId,
        whom: Whom,
        request: UpdateRequest,
    ) -> Result<UpdateHandle<R>, UpdateError> {
        let update_id = request.update_id.clone();
        let gateway = self.runtime().gateway();
        let request = Input::Update(Box::new(request));
        let whom = match gateway.deliver_to(&workflow_id, whom, request).await {
            Ok(delivered) => match whom {
                // An earlier run of its chain may have done it: then the answer is that run's.
                Whom::Run(own) if !delivered.duplicate || gateway.has_update(own, &update_id)? => whom,
                _ => Whom::Chain(delivered.run_id),
            },
            // It may have been accepted before the run ended.
            Err(closed @ RequestError::Rejected(Rejection::Closed)) => {
                let known = gateway.update_outcome(&workflow_id, whom, &update_id).await;
                let _answered = known.map_err(|_| Error::from(closed))?;
                whom
            }
            Err(gone @ RequestError::NotFound(_)) => return Err(not_there(gone, whom).into()),
            Err(error) => return Err(error.into()),
        };
        Ok(UpdateHandle {
            engine: self.clone(),
            workflow_id,
            whom,
            update_id,
            result: PhantomData,
        })
    }
}

impl From<RequestError> for UpdateError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Rejected(Rejection::UpdateRefused(failure)) => UpdateError::Refused(failure),
            other => UpdateError::Engine(other.into()),
        }
    }
}

impl<O> RunHandle<O> {
    /// Asks the run a question, also when it has ended: the code is then replayed. What was acknowledged before is in the
    /// answer. Runs of saga definitions answer `status`, `steps` and `outputs`.
    ///
    /// # Errors
    /// [`Error::Query`] when there is no answer: no such query (the error names those there are), a handler that failed or
    /// tried to change something, or code that does not fit the run's history.
    pub async fn query<T, R>(&self, name: &str, input: &T) -> Result<R, Error>
    where
        T: ToPayload + ?Sized,
        R: FromPayload,
    {
        let (engine, workflow_id) = (self.engine(), self.workflow_id());
        let asked = self.asked().await?;
        engine.query(workflow_id, Some(asked), name, input).await
    }

    /// Asks for an update, and waits for its result.
    ///
    /// # Errors
    /// [`UpdateError::Refused`], [`UpdateError::Failed`], and [`UpdateError::Engine`] when the run has ended, does not go
    /// forward any more, or has too many updates.
    pub async fn update<T, R>(&self, name: &str, input: &T) -> Result<R, UpdateError>
    where
        T: ToPayload + ?Sized,
        R: FromPayload,
    {
        let accepted = self.start_update(name, input, UpdateOptions::default());
        accepted.await?.result().await
    }

    /// Asks for an update, and waits until it is accepted: it is durable then, and will be done whatever crashes.
    ///
    /// # Errors
    /// As for [`RunHandle::update`], without `Failed`. After [`Error::Interrupted`], ask again with the same id.
    pub async fn start_update<T, R>(
        &self,
        name: &str,
        input: &T,
        options: UpdateOptions,
    ) -> Result<UpdateHandle<R>, UpdateError>
    where
        T: ToPayload + ?Sized,
    {
        let engine = self.engine();
        let request = engine.update_request(name, input, options)?;
        engine
            .start_update(self.workflow_id().clone(), self.whom(), request)
            .await
    }

    /// An update that the run has accepted before.
    ///
    /// # Errors
    /// [`Error::Id`] for what cannot be an id. Whether there is such an update turns out when its result is asked for.
    pub fn update_handle<R>(&self, update_id: &str) -> Result<UpdateHandle<R>, Error> {
        Ok(UpdateHandle {
            engine: self.engine().clone(),
            workflow_id: self.workflow_id().clone(),
            whom: self.whom(),
            update_id: UpdateId::new(update_id)?,
            result: PhantomData,
        })
    }
}

impl Client {
    /// Asks the newest run with this id a question; see [`RunHandle::query`].
    ///
    /// # Errors
    /// As there; also when there is no such run.
    pub async fn query<T, R>(&self, workflow_id: &str, name: &str, input: &T) -> Result<R, Error>
    where
        T: ToPayload + ?Sized,
        R: FromPayload,
    {
        let workflow_id = self.engine().workflow_id(workflow_id)?;
        self.engine().query(&workflow_id, None, name, input).await
    }

    /// Asks the open run with this id for an update, and waits for its result; see [`RunHandle::update`].
    ///
    /// # Errors
    /// As there; also when there is no such run.
    pub async fn update<T, R>(&self, workflow_id: &str, name: &str, input: &T) -> Result<R, UpdateError>
    where
        T: ToPayload + ?Sized,
        R: FromPayload,
    {
        let accepted = self.start_update(workflow_id, name, input, UpdateOptions::default());
        accepted.await?.result().await
    }

    /// Asks the open run with this id for an update, and waits until it is accepted; see [`RunHandle::start_update`].
    ///
    /// # Errors
    /// As there; also when there is no such run.
    pub async fn start_update<T, R>(
        &self,
        workflow_id: &str,
        name: &str,
        input: &T,
        options: UpdateOptions,
    ) -> Result<UpdateHandle<R>, UpdateError>
    where
        T: ToPayload + ?Sized,
    {
        let workflow_id = self.engine().workflow_id(workflow_id)?;
        let request = self.engine().update_request(name, input, options)?;
        self.engine().start_update(workflow_id, Whom::Newest, request).await
    }
}

impl<I: ToPayload, O> Starter<I, O> {
    /// Sends a signal to the open run with this id; when there is none, starts one, with the signal. Both, or neither, is
    /// durable when this returns. For this to be repeatable, give the start and the signal request ids.
    ///
    /// ```
    /// # use amends::{Amends, Failure, WorkflowContext};
    /// async fn inbox(cx: WorkflowContext, _owner: String) -> Result<u32, Failure> {
    ///     cx.signal::<u32>("mail").recv().await
    /// }
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let amends = Amends::builder().memory().workflow(inbox).start().await?;
    /// let starter = amends.workflow(inbox).id("inbox-ada");
    /// let run = starter.signal_with_start("mail", &7, &"Ada".to_owned(), Default::default()).await?;
    /// assert_eq!(run.result().await?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As for [`Starter::start`] and [`Client::signal`]; [`Error::AlreadyStarted`] when a run with this id has ended;
    /// [`Error::ConflictPolicy`].
    pub async fn signal_with_start<T>(
        self,
        name: &str,
        signal: &T,
        input: &I,
        options: SignalOptions,
    ) -> Result<RunHandle<O>, Error>
    where
        T: ToPayload + ?Sized,
    {
        let engine = self.engine().clone();
        let signal = Input::Signal {
            name: SignalName::new(name)?,
            input: Payload::of(signal)?.checked()?,
            request_id: options.request_id.map(RequestId::new).transpose()?,
            identity: engine.identity(),
        };
        let start = self.into_start_with(Payload::of(input)?)?;
        let workflow_id = start.workflow_id.clone();
        let joined = engine.runtime().gateway().begin_with(start, signal).await?;
        let run_id = joined.delivered.run_id;
        Ok(RunHandle::new(engine, workflow_id, run_id, Some(joined.outcome)))
    }

    /// Asks the open run with this id for an update; when there is none, starts one, and asks that. Returns when the update
    /// is accepted; the start and the acceptance are one turn. An update that is refused leaves the run started.
    ///
    /// # Errors
    /// As for [`Starter::start`] and [`RunHandle::start_update`]; [`Error::AlreadyStarted`] when a run with this id has
    /// ended; [`Error::ConflictPolicy`].
    pub async fn update_with_start<T, R>(
        self,
        name: &str,
        update: &T,
        input: &I,
        options: UpdateOptions,
    ) -> Result<(RunHandle<O>, UpdateHandle<R>), UpdateError>
    where
        T: ToPayload + ?Sized,
    {
        let engine = self.engine().clone();
        let request = engine.update_request(name, update, options)?;
        let update_id = request.update_id.clone();
        let start = self.into_start_with(Payload::of(input).map_err(Error::from)?)?;
        let workflow_id = start.workflow_id.clone();
        let request = Input::Update(Box::new(request));
        let joined = engine.runtime().gateway().begin_with(start, request).await?;
        let run_id = joined.delivered.run_id;
        let update = UpdateHandle {
            engine: engine.clone(),
            workflow_id: workflow_id.clone(),
            whom: Whom::Chain(run_id),
            update_id,
            result: PhantomData,
        };
        Ok((
            RunHandle::new(engine, workflow_id, run_id, Some(joined.outcome)),
            update,
        ))
    }
}
