//! What children that are sagas' steps (`child`) and child workflows (`child_workflow`) have in common: how they are started,
//! and asking the engine about them until it has answered. Must not live here: what the answers mean to their parents.

use std::time::Duration;

use crate::machine::CronSchedule;
use crate::model::{
    Memo, ParentRun, Payload, RequestId, RunChain, SearchAttributes, StartRun, TaskQueue, WorkflowId, WorkflowType,
};
use crate::store;

use super::error::RequestError;
use super::shared::Shared;

/// How long to wait before an engine that could not do something just now is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A child that is to be started.
pub(super) struct Offspring {
    pub(super) workflow_id: WorkflowId,
    pub(super) workflow_type: WorkflowType,
    pub(super) input: Payload,
    /// Equal each time, so that a child that was started without anybody's knowing is found.
    pub(super) request_id: RequestId,
    pub(super) identity: String,
    pub(super) parent: ParentRun,
    pub(super) run_timeout: Option<Duration>,
    /// What makes it have a next run.
    pub(super) chain: Option<RunChain>,
    pub(super) search_attributes: SearchAttributes,
    pub(super) memo: Memo,
    /// The queue that is named for it.
    pub(super) task_queue: Option<TaskQueue>,
    /// That of its parent, for a child of which neither its parent nor its own code names one.
    pub(super) parents_queue: Option<TaskQueue>,
}

impl Offspring {
    /// Its start, with what the registry knows of its workflow.
    ///
    /// # Errors
    /// What is wrong with its input, its schedule or its search attributes.
    pub(super) fn start(self, shared: &Shared) -> Result<StartRun, String> {
        let code = shared.registry.workflow(self.workflow_type.as_str());
        let saga = shared.sagas.get(self.workflow_type.as_str());
        if let Some(schedule) = self.chain.as_ref().and_then(|chain| chain.cron.as_deref()) {
            CronSchedule::parse(schedule).map_err(|error| error.to_string())?;
        }
        let mut start = StartRun {
            request_id: Some(self.request_id),
            run_timeout: self.run_timeout,
            task_queue: self.task_queue.or_else(|| code?.task_queue().cloned()),
            identity: self.identity,
            saga: code.and_then(|code| code.saga_options().cloned()).map(Box::new),
            parent: Some(self.parent),
            search_attributes: self.search_attributes,
            memo: self.memo,
            chain: self.chain.map(Box::new),
            ..StartRun::new(self.workflow_id, self.workflow_type, self.input)
        };
        if let Some(saga) = saga {
            saga.begin(&mut start).map_err(|error| error.to_string())?;
        }
        start.task_queue = start.task_queue.or(self.parents_queue);
        let types = shared.registry.search_attribute_types();
        let checked = types.checked(start.search_attributes);
        start.search_attributes = checked.map_err(|error| error.to_string())?;
        Ok(start)
    }
}

/// Whether this engine can start runs of this workflow. A deployment that forgot one must not make anything fail.
pub(super) fn is_known(shared: &Shared, workflow_type: &WorkflowType) -> bool {
    let name = workflow_type.as_str();
    shared.sagas.get(name).is_some() || shared.registry.workflow(name).is_some()
}

/// Asks until the engine has answered: its own troubles pass, and are no failures of anybody's. `None` when it stops.
pub(super) async fn ask<T, F>(
    shared: &Shared,
    workflow_id: &WorkflowId,
    mut request: impl FnMut() -> F,
) -> Option<Result<T, RequestError>>
where
    F: Future<Output = Result<T, RequestError>>,
{
    loop {
        match request().await {
            Err(error) if is_passing(&error) => pause(shared, workflow_id, &error).await?,
            answer => return Some(answer),
        }
    }
}

/// Whether it is the engine's own trouble, which passes. Damage to a run does not.
pub(super) fn is_passing(error: &RequestError) -> bool {
    match error {
        RequestError::Overloaded
        | RequestError::Leaving(..)
        | RequestError::Interrupted
        | RequestError::ShuttingDown => true,
        RequestError::Store(error) => !matches!(error, store::Error::Corrupt { run: Some(_), .. }),
        _ => false,
    }
}

/// Waits before the engine is asked again; `None` when it stops.
pub(super) async fn pause(shared: &Shared, workflow_id: &WorkflowId, error: &RequestError) -> Option<()> {
    if matches!(error, RequestError::ShuttingDown) {
        return None;
    }
    tracing::debug!(%workflow_id, %error, "a child cannot be reached just now");
    shared.clock.sleep_until(shared.clock.now().after(ASK_AGAIN)).await;
    Some(())
}
