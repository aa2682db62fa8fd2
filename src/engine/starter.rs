//! Starting a run. Must not live here: what happens once it is started.

use std::marker::PhantomData;
use std::time::Duration;

use crate::machine::CronSchedule;
use crate::model::{
    IdConflictPolicy, IdPolicies, IdReusePolicy, Memo, Payload, RequestId, RetryPolicy, RunChain, RunId, SagaOptions,
    SearchAttributeValue, SearchAttributes, StartRun, TaskQueue, ToPayload, WorkflowType, check_memo,
    check_search_attributes,
};
use crate::runtime::Entropy;

use super::{Amends, Error, RunHandle};

/// Nobody means the workflow that keeps schedules.
const BUILT_IN_WORKFLOW: &str = "amends.schedule";

/// Describes the start of a run.
#[must_use = "a run begins with `start`"]
pub struct Starter<I, O> {
    engine: Amends,
    workflow_type: Result<WorkflowType, Error>,
    id: Option<String>,
    request_id: Option<String>,
    run_timeout: Option<Duration>,
    task_queue: Option<String>,
    saga_options: Option<Box<SagaOptions>>,
    unwind_timeout: Option<Duration>,
    search_attributes: SearchAttributes,
    memo: Memo,
    reuse: IdReusePolicy,
    conflict: Option<IdConflictPolicy>,
    /// Boxed, as few have one and all are moved about.
    chain: Option<Box<RunChain>>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Starter<I, O> {
    pub(super) fn new(engine: Amends, workflow_type: Result<WorkflowType, Error>) -> Self {
        Self {
            engine,
            workflow_type,
            id: None,
            request_id: None,
            run_timeout: None,
            task_queue: None,
            saga_options: None,
            unwind_timeout: None,
            search_attributes: SearchAttributes::new(),
            memo: Memo::new(),
            reuse: IdReusePolicy::default(),
            conflict: None,
            chain: None,
            types: PhantomData,
        }
    }

    /// The caller's name for this run, under which it is started once and never again, unless
    /// [`id_reuse_policy`](Self::id_reuse_policy) says otherwise. Made up when not given.
    pub fn id(mut self, workflow_id: impl Into<String>) -> Self {
        self.id = Some(workflow_id.into());
        self
    }

    /// Makes the start repeatable: a start with the same workflow id and request id gives the same run instead of an
    /// error.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Whether the run may begin when the last run with its workflow id has ended. By default it may not.
    pub fn id_reuse_policy(mut self, policy: IdReusePolicy) -> Self {
        self.reuse = policy;
        self
    }

    /// What happens when a run with its workflow id is open. By default the start is refused; one that brings a signal or an
    /// update along is for that run, and takes no other policy than [`IdConflictPolicy::UseExisting`].
    pub fn id_conflict_policy(mut self, policy: IdConflictPolicy) -> Self {
        self.conflict = Some(policy);
        self
    }

    /// How long the run may take; then it ends, undoing its saga steps. No limit when not given.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = Some(timeout);
        self
    }

    /// The task queue of the run: whose workers decide for it, and make the attempts of its activities; instead of the one
    /// that its workflow or definition names. A run whose queue no worker serves is open, and waits for one.
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = Some(task_queue.into());
        self
    }

    /// How long the run may take together with all runs that follow it in its chain: those that its code continues as, and its
    /// retries. Then the open one ends, as by [`run_timeout`](Self::run_timeout), and none follows. No limit when not given.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.chain.get_or_insert_default().execution_timeout = Some(timeout);
        self
    }

    /// Has a run that fails, or whose time is up, followed by another one with the same input, after its saga was undone. A run
    /// that was cancelled, or leaves something undone by somebody's decision, is not followed. Not at all when not given.
    ///
    /// Try activities again instead where you can: they have retry policies of their own, and no saga is undone for them.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.chain.get_or_insert_default().retry = Some(policy);
        self
    }

    /// Has the run begin when this schedule is due, and another one follow at its next time whenever one has ended, however it
    /// ended, until somebody cancels or terminates it. Five fields, in UTC: minute, hour, day of month, month, day of week; or
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. A run that takes longer than to the next time misses that one.
    ///
    /// [`result`](RunHandle::result) waits for the end of the whole chain; each run has the result of the last one that
    /// completed ([`WorkflowContext::last_result`](crate::WorkflowContext::last_result)).
    pub fn cron_schedule(mut self, schedule: impl Into<String>) -> Self {
        self.chain.get_or_insert_default().cron = Some(schedule.into());
        self
    }

    /// Has the run begin so much later: it is there, and durable, but its code is not asked. A signal or an update begins it at
    /// once, but for one that comes with the start; a cancellation ends it.
    pub fn start_delay(mut self, delay: Duration) -> Self {
        self.chain.get_or_insert_default().backoff = delay;
        self
    }

    /// How the run's saga is undone, and what happens when a person is needed; instead of what its workflow or definition
    /// says.
    pub fn saga_options(mut self, options: SagaOptions) -> Self {
        self.saga_options = Some(Box::new(options));
        self
    }

    /// How long undoing the run's saga may take, as a whole, until a person is called.
    pub fn unwind_timeout(mut self, timeout: Duration) -> Self {
        self.unwind_timeout = Some(timeout);
        self
    }

    /// Something that the run can be found by. A second value for the same name replaces the first.
    ///
    /// It has the type that was registered for it ([`AmendsBuilder::search_attribute`](super::AmendsBuilder)), or else that of
    /// the value: texts are keywords, and so on.
    ///
    /// # Errors
    /// [`Error::SearchAttribute`] for a name that cannot be one, a value of another type than the registered one, and more or
    /// larger attributes than a run may have.
    pub fn search_attribute(mut self, name: &str, value: impl Into<SearchAttributeValue>) -> Result<Self, Error> {
        let value = self
            .engine
            .runtime()
            .registry()
            .search_attribute_types()
            .typed(name, value.into())?;
        self.search_attributes.insert(name.to_owned(), value);
        check_search_attributes(&self.search_attributes)?;
        Ok(self)
    }

    /// Something that is shown with the run, and that it cannot be found by: for people, and for lists of them. A second
    /// value for the same name replaces the first.
    ///
    /// # Errors
    /// [`Error::SearchAttribute`] for a name that cannot be one, and for a memo that is too large; [`Error::Payload`].
    pub fn memo<T: ToPayload + ?Sized>(mut self, name: &str, value: &T) -> Result<Self, Error> {
        self.memo.insert(name.to_owned(), Payload::of(value)?);
        check_memo(&self.memo)?;
        Ok(self)
    }

    /// Starts the run; it is durable when this returns.
    ///
    /// # Errors
    /// [`Error::AlreadyStarted`] when the id is taken, [`Error::UnknownWorkflow`], [`Error::Payload`] for an input that
    /// is too large, [`Error::Leaving`], [`Error::Overloaded`], and errors of the store.
    pub async fn start(self, input: &I) -> Result<RunHandle<O>, Error>
    where
        I: ToPayload,
    {
        let input = Payload::of(input)?;
        self.start_payload(input).await
    }

    /// Starts the run with an input that is a payload already.
    ///
    /// # Errors
    /// As for [`Starter::start`].
    pub async fn start_payload(self, input: Payload) -> Result<RunHandle<O>, Error> {
        let engine = self.engine.clone();
        let start = Box::new(self.into_start(input)?);
        let workflow_id = start.workflow_id.clone();
        let (delivered, outcome) = engine
            .runtime()
            .gateway()
            .begin(start)
            .await
            .map_err(|error| match error {
                // The run itself answers "already started"; the caller wants to know which, and how it stands.
                crate::runtime::RequestError::Rejected(crate::machine::Rejection::AlreadyStarted { run_id }) => {
                    Error::AlreadyStarted {
                        workflow_id: workflow_id.clone(),
                        run_id,
                        status: engine.status_of(run_id),
                    }
                }
                other => other.into(),
            })?;
        Ok(RunHandle::new(engine, workflow_id, delivered.run_id, Some(outcome)))
    }

    pub(super) fn engine(&self) -> &Amends {
        &self.engine
    }

    /// The start that is described, checked, of a run with which something is to come: that is for the run that is open.
    pub(super) fn into_start_with(self, input: Payload) -> Result<StartRun, Error> {
        match self.conflict {
            None | Some(IdConflictPolicy::UseExisting) => self.into_start(input),
            Some(policy) => Err(Error::ConflictPolicy(policy)),
        }
    }

    /// The start that is described, checked.
    pub(super) fn into_start(self, input: Payload) -> Result<StartRun, Error> {
        let workflow_type = self.workflow_type?;
        let saga = self.engine.inner.sagas.get(workflow_type.as_str());
        if saga.is_none()
            && self
                .engine
                .runtime()
                .registry()
                .workflow(workflow_type.as_str())
                .is_none()
        {
            return Err(self.engine.unknown(&workflow_type));
        }
        let chain = self.chain.filter(|chain| **chain != RunChain::default());
        if let Some(chain) = &chain
            && let Some(schedule) = &chain.cron
        {
            CronSchedule::parse(schedule)?;
            if chain.backoff > Duration::ZERO {
                return Err(Error::DelayedSchedule);
            }
        }
        let workflow_id = match &self.id {
            Some(id) => self.engine.workflow_id(id)?,
            None => self
                .engine
                .workflow_id(&Entropy.run_id(self.engine.runtime().clock().now()).to_string())?,
        };
        let of_code = self.engine.runtime().registry().workflow(workflow_type.as_str());
        let named = self.task_queue.map(TaskQueue::new).transpose()?;
        let task_queue = named.or_else(|| of_code.and_then(|workflow| workflow.task_queue().cloned()));
        let of_code = of_code.and_then(|workflow| workflow.saga_options().cloned());
        let mut start = StartRun {
            run_timeout: self.run_timeout,
            request_id: self.request_id.map(RequestId::new).transpose()?,
            identity: self.engine.identity(),
            saga: self.saga_options.or(of_code.map(Box::new)),
            task_queue,
            search_attributes: self.search_attributes,
            memo: self.memo,
            ids: IdPolicies {
                reuse: self.reuse,
                conflict: self.conflict.unwrap_or_default(),
            },
            chain,
            ..StartRun::new(workflow_id, workflow_type, input.checked()?)
        };
        if let Some(saga) = saga {
            saga.begin(&mut start)?;
        }
        // Those of a definition have the types of its mappings.
        let types = self.engine.runtime().registry().search_attribute_types();
        start.search_attributes = types.checked(start.search_attributes)?;
        if self.unwind_timeout.is_some() {
            start.saga.get_or_insert_default().unwind_timeout = self.unwind_timeout;
        }
        Ok(start)
    }
}

impl Amends {
    fn unknown(&self, workflow_type: &WorkflowType) -> Error {
        let workflows = self
            .runtime()
            .registry()
            .workflows()
            .map(|known| known.workflow_type().to_string())
            .filter(|name| name != BUILT_IN_WORKFLOW);
        let mut known: Vec<String> = workflows.chain(self.inner.sagas.names()).collect();
        known.sort();
        known.dedup();
        Error::UnknownWorkflow {
            name: workflow_type.to_string(),
            known,
        }
    }

    fn status_of(&self, run_id: RunId) -> crate::model::RunStatus {
        let store = self.runtime().store().ok();
        store
            .and_then(|store| store.head(run_id).ok().flatten())
            .map_or(crate::model::RunStatus::Running, |head| head.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, Outcome};
    use crate::sdk::{ActivityContext, WorkflowContext};

    async fn pass(_cx: ActivityContext, number: u32) -> Result<u32, Failure> {
        Ok(number)
    }

    async fn quick(cx: WorkflowContext, number: u32) -> Result<u32, Failure> {
        cx.activity(pass, &number).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_repeated_start_gives_the_same_run_even_while_that_run_ends() {
        let amends = Amends::builder()
            .memory()
            .activity(pass)
            .workflow(quick)
            .shards(1)
            .start();
        let amends = amends.await.unwrap();
        for number in 0..100 {
            let start = move |amends: Amends| async move {
                let id = format!("quick-{number}");
                amends.workflow(quick).id(&id).request_id(&id).start(&number).await
            };
            let first = start(amends.clone()).await.unwrap();
            // Insistent callers, whose starts arrive at a run that is open, ends just now, and is not in memory any more.
            let insist = |amends: Amends, run_id| {
                tokio::spawn(async move {
                    loop {
                        let run = start(amends.clone()).await?;
                        assert_eq!(run.run_id(), run_id);
                        if run.describe().await?.status.is_closed() {
                            return run.outcome().await;
                        }
                    }
                })
            };
            let callers: Vec<_> = (0..4).map(|_| insist(amends.clone(), first.run_id())).collect();
            let expected = Outcome::Completed(Payload::json(&number).unwrap());
            for caller in callers {
                assert_eq!(caller.await.unwrap().unwrap(), expected);
            }
        }
        amends.shutdown(Duration::from_secs(5)).await;
    }
}
