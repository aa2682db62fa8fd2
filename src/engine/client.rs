//! Talking to runs that exist. Must not live here: how they react.

use crate::machine::Rejection;
use crate::model::{Event, Input, Payload, RequestId, RunId, SearchAttributeTypes, SignalName, ToPayload, Turn};
use crate::runtime::{ActivityTypeStatus, Gateway, HungTurn, TaskQueueStatus, fold, load_turns};
use crate::store::{RunHead, Store, StoreStats, VerifyProgress, VerifyReport};

use super::decision::was_made;
use super::{Amends, Decision, Error, RunCount, RunDescription, RunPage, RunQuery, SagaView, queries};

/// Lists, shows and moves runs. Cheap to make.
#[derive(Clone)]
pub struct Client {
    engine: Amends,
}

/// How a signal is sent.
#[derive(Clone, Debug, Default)]
pub struct SignalOptions {
    /// Only to this run.
    pub run_id: Option<RunId>,
    /// Makes the signal repeatable: a second one with the same request id changes nothing.
    pub request_id: Option<String>,
}

impl Client {
    pub(super) fn new(engine: Amends) -> Self {
        Self { engine }
    }

    pub(super) fn engine(&self) -> &Amends {
        &self.engine
    }

    pub(super) fn gateway(&self) -> &Gateway {
        self.engine.runtime().gateway()
    }

    /// A page of the runs that a query means, newest first unless it says otherwise. Its language is described in
    /// `docs/visibility.md`; an empty one means all runs.
    ///
    /// ```no_run
    /// # async fn look(client: amends::Client) -> Result<(), amends::Error> {
    /// for run in client.list("WorkflowType = 'order' AND ExecutionStatus = 'Stuck'").await? {
    ///     println!("{} since {}", run.workflow_id, run.started_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::RunQuery`] for a query that cannot be read, [`Error::PageToken`] for a token of another one; when the store
    /// cannot be read.
    pub async fn list(&self, query: impl Into<RunQuery>) -> Result<RunPage, Error> {
        let query = query.into().of_namespace(self.engine.namespace());
        self.look(move |store, types| queries::list(store, types, query)).await
    }

    /// How many runs a query means; all of them are looked at.
    ///
    /// # Errors
    /// As for [`Client::list`].
    pub async fn count(&self, query: impl Into<RunQuery>) -> Result<RunCount, Error> {
        let query = query.into().of_namespace(self.engine.namespace());
        self.look(move |store, types| queries::count(store, types, &query))
            .await
    }

    /// Reads much of the store, on a thread that may wait for a disk.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Store, &SearchAttributeTypes) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.engine.runtime().store()?;
        let types = self.engine.runtime().registry().search_attribute_types().clone();
        match tokio::runtime::Handle::try_current() {
            Err(_) => look(&*store, &types),
            Ok(runtime) => {
                let looked = runtime.spawn_blocking(move || look(&*store, &types)).await;
                looked.unwrap_or(Err(Error::Interrupted))
            }
        }
    }

    /// The newest run with this id, step by step.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn describe(&self, workflow_id: &str) -> Result<RunDescription, Error> {
        let head = self.head(workflow_id)?;
        self.describe_run(head.run_id).await
    }

    /// One run, step by step.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn describe_run(&self, run_id: RunId) -> Result<RunDescription, Error> {
        let turns = self.turns(run_id)?;
        Ok(RunDescription::of(&fold(run_id, &turns)?, &turns))
    }

    /// The saga of the newest run with this id: what became of every step, what is stuck, and who decided what.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn saga(&self, workflow_id: &str) -> Result<SagaView, Error> {
        Ok(self.describe(workflow_id).await?.into_saga())
    }

    /// The history of the newest run with this id.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn history(&self, workflow_id: &str) -> Result<Vec<Event>, Error> {
        self.history_of(self.head(workflow_id)?.run_id).await
    }

    /// The history of one run.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn history_of(&self, run_id: RunId) -> Result<Vec<Event>, Error> {
        let turns = self.turns(run_id)?;
        Ok(turns.into_iter().flat_map(|turn| turn.events).collect())
    }

    /// Sends a signal to the open run with this id. It is durable when this returns.
    ///
    /// # Errors
    /// When there is no open run, or the signal cannot be made durable.
    pub async fn signal<T: ToPayload + ?Sized>(&self, workflow_id: &str, name: &str, input: &T) -> Result<(), Error> {
        self.signal_with(workflow_id, name, input, SignalOptions::default())
            .await
    }

    /// Sends a signal, with options.
    ///
    /// # Errors
    /// As for [`Client::signal`].
    pub async fn signal_with<T: ToPayload + ?Sized>(
        &self,
        workflow_id: &str,
        name: &str,
        input: &T,
        options: SignalOptions,
    ) -> Result<(), Error> {
        let signal = self.signal_input(name, input, options.request_id)?;
        self.deliver(workflow_id, options.run_id, signal).await
    }

    pub(super) fn signal_input<T: ToPayload + ?Sized>(
        &self,
        name: &str,
        input: &T,
        request_id: Option<String>,
    ) -> Result<Input, Error> {
        Ok(Input::Signal {
            name: SignalName::new(name)?,
            input: Payload::of(input)?,
            request_id: request_id.map(RequestId::new).transpose()?,
            identity: self.engine.identity(),
        })
    }

    pub(super) fn cancel_input(&self, reason: &str) -> Input {
        Input::RequestCancel {
            reason: reason.to_owned(),
            identity: self.engine.identity(),
        }
    }

    pub(super) fn terminate_input(&self, reason: &str) -> Input {
        Input::Terminate {
            reason: reason.to_owned(),
            identity: self.engine.identity(),
        }
    }

    /// Asks the open run with this id to end, undoing what it did.
    ///
    /// # Errors
    /// When there is no open run, or its saga has reached its pivot.
    pub async fn cancel(&self, workflow_id: &str, reason: &str) -> Result<(), Error> {
        self.deliver(workflow_id, None, self.cancel_input(reason)).await
    }

    /// Ends the open run with this id at once, undoing nothing.
    ///
    /// # Errors
    /// When there is no open run.
    pub async fn terminate(&self, workflow_id: &str, reason: &str) -> Result<(), Error> {
        self.deliver(workflow_id, None, self.terminate_input(reason)).await
    }

    /// Decides how the stuck saga of the open run with this id goes on. It is durable when this returns.
    ///
    /// ```no_run
    /// # use amends::{Client, Decision};
    /// # async fn night(client: Client) -> Result<(), amends::Error> {
    /// for stuck in client.saga("order-42").await?.stuck {
    ///     println!("{:?}: {} ({}); possible: {:?}", stuck.step, stuck.reason, stuck.failure, stuck.choices);
    /// }
    /// let refunded = Decision::mark_done(&())?.step("charge").by("ada").because("refunded by hand, ticket 4711");
    /// client.decide("order-42", refunded).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unexplained`] when it does not say who and why although it must. [`Error::Rejected`] when nothing is
    /// stuck ([`Rejection::NotStuck`]), the step is not ([`Rejection::StepNotStuck`]), several are and none is named
    /// ([`Rejection::WhichStep`]), or the choice is not open ([`Rejection::ChoiceNotOpen`]).
    pub async fn decide(&self, workflow_id: &str, decision: Decision) -> Result<(), Error> {
        self.decide_run(workflow_id, None, decision).await
    }

    pub(super) async fn decide_run(
        &self,
        workflow_id: &str,
        run_id: Option<RunId>,
        decision: Decision,
    ) -> Result<(), Error> {
        let decide = decision.checked(&self.engine.identity())?;
        let request_id = decide.request_id.clone();
        let refused = match self.deliver(workflow_id, run_id, Input::Decide(Box::new(decide))).await {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let (Error::Rejected(Rejection::Closed), Some(request_id)) = (&refused, request_id) else {
            return Err(refused);
        };
        let run_id = match run_id {
            Some(run_id) => run_id,
            None => self.head(workflow_id)?.run_id,
        };
        match was_made(&load_turns(&*self.engine.runtime().store()?, run_id)?, &request_id) {
            true => Ok(()),
            false => Err(refused),
        }
    }

    /// How the activity types stand that this engine limits: whose circuit breaker is open, until when, and how many attempts
    /// it has parked. Which runs those are of, their descriptions say.
    #[must_use]
    pub fn activity_types(&self) -> Vec<ActivityTypeStatus> {
        self.engine.runtime().activity_types()
    }

    /// The task queues that this engine serves by name (the default one included, unless it does not), with what it grants
    /// them.
    #[must_use]
    pub fn task_queues(&self) -> Vec<TaskQueueStatus> {
        self.engine.runtime().task_queues(self.engine.namespace.as_ref())
    }

    /// The turns whose code has not come back for longer than [`turn_hangs_after`](crate::AmendsBuilder::turn_hangs_after), in
    /// whichever namespace: each holds up all runs of its shard, and what is asked of these waits. A health check looks here.
    #[must_use]
    pub fn hung_turns(&self) -> Vec<HungTurn> {
        self.engine.runtime().hung_turns()
    }

    /// Reads and checks everything that is stored.
    ///
    /// # Errors
    /// When the check cannot be made; damage is in the report.
    pub async fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        Ok(self.engine.runtime().store()?.verify(progress)?)
    }

    /// Counters of the store.
    ///
    /// # Errors
    /// When the store has failed.
    pub fn store_stats(&self) -> Result<StoreStats, Error> {
        Ok(self.engine.runtime().store()?.stats())
    }

    pub(super) async fn deliver(&self, workflow_id: &str, run_id: Option<RunId>, input: Input) -> Result<(), Error> {
        let workflow_id = self.engine.workflow_id(workflow_id)?;
        self.gateway().deliver(workflow_id, run_id, input).await?;
        Ok(())
    }

    /// For people to read: what cannot be decoded is shown as it is.
    fn turns(&self, run_id: RunId) -> Result<Vec<Turn>, Error> {
        let runtime = self.engine.runtime();
        self.engine.own_run(run_id)?;
        let mut turns = load_turns(&*runtime.store()?, run_id)?;
        if let Err(error) = runtime.codecs().decode(run_id, &mut turns) {
            tracing::warn!(%error, "shown as it is stored");
        }
        Ok(turns)
    }

    fn head(&self, workflow_id: &str) -> Result<RunHead, Error> {
        let workflow_id = self.engine.workflow_id(workflow_id)?;
        let head = self.engine.runtime().store()?.find(&workflow_id)?;
        head.ok_or(Error::NotFound(workflow_id))
    }
}
