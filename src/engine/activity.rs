//! Completing activities from outside: by the token that an attempt handed out, or by the activity's id. Must not live
//! here: what the run makes of it.

use crate::machine::Rejection;
use crate::model::{
    ActivityId, AttemptReport, Failure, Input, Payload, Reported, ReportedAttempt, RunId, TaskToken, ToPayload,
    WorkflowId,
};

use super::{Client, Error};

/// An activity that somebody else completes than its code: see [`Client::activity_by_token`] and
/// [`Client::activity_by_id`].
///
/// Everything that is said is durable when a call returns. What is said of an attempt that is not the current one (it has
/// ended, timed out, or was tried again) is refused with [`Error::NoSuchAttempt`].
#[derive(Clone)]
#[must_use = "it does nothing by itself"]
pub struct AsyncActivity {
    client: Client,
    place: ActivityPlace,
}

/// Where an activity is.
#[derive(Clone, Debug)]
pub(super) struct ActivityPlace {
    pub(super) workflow_id: WorkflowId,
    run_id: Option<RunId>,
    of: ReportedAttempt,
}

/// What a heartbeat from outside is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAnswer {
    /// Go on.
    GoOn,
    /// The activity was asked to stop: end it, with [`AsyncActivity::cancel`], or with a result that came all the same.
    Stop,
}

impl ActivityPlace {
    pub(super) fn by_token(token: &str) -> Result<Self, Error> {
        let token: TaskToken = token.parse()?;
        Ok(Self {
            workflow_id: token.workflow_id,
            run_id: Some(token.run_id),
            of: ReportedAttempt::Token(token.attempt),
        })
    }

    pub(super) fn by_id(workflow_id: &str, activity_id: &str) -> Result<Self, Error> {
        Ok(Self {
            workflow_id: WorkflowId::new(workflow_id)?,
            run_id: None,
            of: ReportedAttempt::Activity(ActivityId::new(activity_id)?),
        })
    }

    pub(super) fn run_id(&self) -> Option<RunId> {
        self.run_id
    }

    pub(super) fn input(&self, what: Reported) -> Input {
        let of = self.of.clone();
        Input::Report(Box::new(AttemptReport { of, what }))
    }

    /// A run that has ended has no attempts either.
    pub(super) fn refused(&self, error: Error) -> Error {
        match error {
            Error::Rejected(Rejection::StaleAttempt | Rejection::Closed) => {
                Error::NoSuchAttempt(self.workflow_id.clone())
            }
            other => other,
        }
    }
}

impl Client {
    /// The attempt that handed out this token. Nothing is looked up yet.
    ///
    /// # Errors
    /// [`Error::TaskToken`] when it is no token, or not a whole one.
    pub fn activity_by_token(&self, token: &str) -> Result<AsyncActivity, Error> {
        Ok(self.async_activity(ActivityPlace::by_token(token)?))
    }

    /// The current attempt of the activity with this id in the open run with this workflow id, whichever that is when
    /// something is said of it. Nothing is looked up yet.
    ///
    /// # Errors
    /// [`Error::Id`] when one cannot be an id.
    pub fn activity_by_id(&self, workflow_id: &str, activity_id: &str) -> Result<AsyncActivity, Error> {
        let mut place = ActivityPlace::by_id(workflow_id, activity_id)?;
        place.workflow_id = self.engine().workflow_id(workflow_id)?;
        Ok(self.async_activity(place))
    }

    /// Completes the attempt that handed out this token.
    ///
    /// ```
    /// use std::{sync::mpsc, time::Duration};
    /// use amends::{ActivityContext, Amends, Failure, WorkflowContext};
    ///
    /// async fn ask(cx: ActivityContext, _question: String) -> Result<bool, Failure> {
    ///     let inbox = cx.state::<std::sync::Mutex<mpsc::Sender<String>>>().expect("the engine was given it");
    ///     inbox.lock().unwrap().send(cx.task_token().to_string()).expect("somebody listens");
    ///     Err(cx.complete_later())
    /// }
    ///
    /// async fn approval(cx: WorkflowContext, question: String) -> Result<bool, Failure> {
    ///     cx.activity(ask, &question).start_to_close(Duration::from_secs(7 * 86_400)).await
    /// }
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let (inbox, tokens) = mpsc::channel::<String>();
    /// let amends = Amends::builder().memory().state(std::sync::Mutex::new(inbox)).activity(ask).workflow(approval);
    /// let amends = amends.start().await?;
    /// let run = amends.workflow(approval).start(&"May I?".to_owned()).await?;
    /// let token = tokio::task::spawn_blocking(move || tokens.recv()).await??;
    /// // Days later, when somebody has said yes:
    /// amends.client().complete_activity(&token, &true).await?;
    /// assert!(run.result().await?);
    /// # amends.shutdown(Duration::ZERO).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As for [`AsyncActivity::complete`], and when the token is none.
    pub async fn complete_activity<T: ToPayload + ?Sized>(&self, token: &str, result: &T) -> Result<(), Error> {
        self.activity_by_token(token)?.complete(result).await
    }

    /// Lets the attempt that handed out this token fail.
    ///
    /// # Errors
    /// As for [`AsyncActivity::fail`], and when the token is none.
    pub async fn fail_activity(&self, token: &str, failure: Failure) -> Result<(), Error> {
        self.activity_by_token(token)?.fail(failure).await
    }

    /// Says that the attempt that handed out this token is alive, and how far it has come.
    ///
    /// # Errors
    /// As for [`AsyncActivity::heartbeat`], and when the token is none.
    pub async fn heartbeat_activity<T: ToPayload + ?Sized>(
        &self,
        token: &str,
        details: &T,
    ) -> Result<HeartbeatAnswer, Error> {
        self.activity_by_token(token)?.heartbeat(details).await
    }

    fn async_activity(&self, place: ActivityPlace) -> AsyncActivity {
        let client = self.clone();
        AsyncActivity { client, place }
    }
}

impl AsyncActivity {
    /// It has succeeded, with this result.
    ///
    /// # Errors
    /// [`Error::NoSuchAttempt`], [`Error::Payload`] for a result that is too large, and errors of the store.
    pub async fn complete<T: ToPayload + ?Sized>(&self, result: &T) -> Result<(), Error> {
        let result = Payload::of(result)?;
        self.say(Reported::Completed(result)).await.map(|_| ())
    }

    /// It has failed; its retry policy decides whether it is tried again.
    ///
    /// # Errors
    /// [`Error::NoSuchAttempt`], and errors of the store.
    pub async fn fail(&self, failure: Failure) -> Result<(), Error> {
        self.say(Reported::Failed(failure)).await.map(|_| ())
    }

    /// It has stopped, as it was asked to.
    ///
    /// # Errors
    /// [`Error::NoSuchAttempt`], and errors of the store.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.fail(Failure::canceled("stopped as asked")).await
    }

    /// It is alive, and has come this far. Each call is journaled: say it as often as its heartbeat timeout needs.
    ///
    /// # Errors
    /// [`Error::NoSuchAttempt`], [`Error::Payload`] for details that are too large, and errors of the store.
    pub async fn heartbeat<T: ToPayload + ?Sized>(&self, details: &T) -> Result<HeartbeatAnswer, Error> {
        let details = Payload::of(details)?;
        match self.say(Reported::Heartbeat(details)).await? {
            true => Ok(HeartbeatAnswer::Stop),
            false => Ok(HeartbeatAnswer::GoOn),
        }
    }

    /// Whether the activity was asked to stop.
    async fn say(&self, what: Reported) -> Result<bool, Error> {
        let (place, gateway) = (&self.place, self.client.gateway());
        let said = gateway.deliver(place.workflow_id.clone(), place.run_id(), place.input(what));
        let delivered = said.await.map_err(|error| place.refused(error.into()))?;
        Ok(delivered.stop_asked)
    }
}

impl std::fmt::Debug for AsyncActivity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncActivity")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
