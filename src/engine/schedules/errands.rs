//! What a schedule does through the engine: it starts runs, and terminates them. Must not live here: when (`keeper`).

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{Failure, Payload, WatchedRun, WorkflowId};
use crate::sdk::{Activity, ActivityContext, ActivityDefinition, RegistryError, WorkflowDefinition};

use super::super::{Amends, Error, Inner};
use super::keeper::Keeper;
use super::{SCHEDULE_WORKFLOW, ScheduleAction};

/// The activity that starts a run, and does not wait for it.
pub(super) const START_ACTIVITY: &str = "amends.schedule.start";

/// The activity that terminates a run.
pub(super) const TERMINATE_ACTIVITY: &str = "amends.schedule.terminate";

/// Why a run is cancelled or terminated.
pub(super) const NEXT_IS_DUE: &str = "the schedule's next run is due";

/// A run that is to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) action: ScheduleAction,
    pub(super) workflow_id: String,
}

/// The engine that the activities belong to, once it has started.
#[derive(Clone)]
pub(in crate::engine) struct Link(Arc<watch::Sender<Option<Weak<Inner>>>>);

impl Link {
    pub(in crate::engine) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    pub(in crate::engine) fn connect(&self, inner: &Arc<Inner>) {
        self.0.send_replace(Some(Arc::downgrade(inner)));
    }

    /// Schedules go on as soon as the store is open, which is a little before the engine is there.
    /// Given as a run of this workflow id means it: in its namespace.
    async fn engine(&self, run: &WorkflowId) -> Result<Amends, Failure> {
        let mut link = self.0.subscribe();
        let inner = match link.wait_for(Option::is_some).await {
            Ok(inner) => inner.as_ref().and_then(Weak::upgrade),
            Err(_) => None,
        };
        let inner = inner.ok_or_else(|| Failure::new("EngineGone", "the engine is stopping"))?;
        let engine = Amends { inner, namespace: None };
        let in_namespace = engine.beside(run);
        in_namespace.map_err(|error| Failure::new("UnknownNamespace", error.to_string()))
    }
}

/// Starts a run, once: a second attempt finds what the first one started.
struct Start(Link);

#[async_trait]
impl Activity for Start {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let Order { action, workflow_id } = input.to()?;
        let engine = self.0.engine(&cx.info().workflow_id).await?;
        let starter = engine.workflow_by_name(&action.workflow_type);
        let starter = starter.request_id(cx.info().idempotency_key.as_str()).id(&workflow_id);
        let started = match action.apply(starter) {
            Ok(starter) => starter.start(&action.input).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(run) => Ok(Payload::json(&WatchedRun {
                workflow_id,
                run_id: run.run_id().to_string(),
            })?),
            // It is not this engine's to say that nobody knows it.
            Err(error @ Error::UnknownWorkflow { .. }) if engine.inner.leaves_unknown => {
                Err(Failure::new("NotStarted", error.to_string()))
            }
            Err(
                error @ (Error::Overloaded
                | Error::Leaving { .. }
                | Error::TooManyOpenRuns { .. }
                | Error::ShuttingDown
                | Error::Interrupted
                | Error::Store(_)),
            ) => Err(Failure::new("NotStarted", error.to_string())),
            Err(error) => Err(Failure::non_retryable("NotStarted", error.to_string())),
        }
    }
}

struct Terminate(Link);

#[async_trait]
impl Activity for Terminate {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let id: String = input.to()?;
        match self
            .0
            .engine(&cx.info().workflow_id)
            .await?
            .client()
            .terminate(&id, NEXT_IS_DUE)
            .await
        {
            Ok(()) | Err(Error::NotFound(_) | Error::Rejected(_)) => Ok(Payload::null()),
            Err(error) => Err(Failure::new("NotTerminated", error.to_string())),
        }
    }
}

/// What every engine has registered.
pub(in crate::engine) fn definitions(
    link: &Link,
) -> Result<(WorkflowDefinition, [ActivityDefinition; 2]), RegistryError> {
    let keeper = WorkflowDefinition::new(SCHEDULE_WORKFLOW, Keeper)?;
    let start = ActivityDefinition::new(START_ACTIVITY, Start(link.clone()))?;
    let terminate = ActivityDefinition::new(TERMINATE_ACTIVITY, Terminate(link.clone()))?;
    Ok((keeper, [start, terminate]))
}
