//! What users call: the engine, its builder, clients and handles. Lives here: the public surface of a running engine.
//! Must not live here: decisions about runs, or anything that knows of actors.

mod activity;
mod builder;
mod client;
mod decision;
mod drawing;
mod error;
mod handle;
mod locks;
mod messages;
mod namespace;
mod offline;
mod pause;
mod queries;
mod reset;
mod sagas;
#[cfg(feature = "schedules")]
mod schedules;
mod starter;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::definition::{Catalog, SagaDefinition};
use crate::model::{NamespaceName, RunId, WorkflowType};
use crate::runtime::Runtime;
use crate::sdk::{Workflow, WorkflowDefinition, WorkflowFunction};

pub use activity::{AsyncActivity, HeartbeatAnswer};
pub use builder::AmendsBuilder;
pub use client::{Client, SignalOptions};
pub use decision::Decision;
pub use error::{Error, ErrorCode};
pub use handle::{ResultError, RunHandle};
pub use locks::LockPlace;
pub use messages::{UpdateError, UpdateHandle, UpdateOptions};
pub use namespace::Namespace;
pub use offline::{Offline, OfflineActivity};
pub use queries::{PageToken, RunCount, RunPage, RunQuery};
pub use sagas::{activities_of, check_saga, saga_files};
#[cfg(feature = "schedules")]
pub use schedules::{OfflineSchedules, ScheduleAction, ScheduleDescription, Schedules};
pub use starter::Starter;
pub use view::{
    ActivityPurpose, ActivityView, ChildView, CourseState, CourseView, DecisionView, LockView, RunDescription,
    SagaView, StepView, TurnedBack, WaitView,
};

// What the engine's own signatures speak of.
pub use crate::definition::{CheckReport, Drawing, DrawingFormat, HTTP_ACTIVITY, Problem, Severity, SignalBuilder};
pub use crate::machine::{LockState, Pause, QueryError, Rejection, ResetRefusal, StepState, Stuck, UndoState};
pub use crate::runtime::{
    ActivityTypeStatus, Clock, EnvironmentSecrets, HungTurn, SecretSource, SystemClock, TaskQueueStatus,
};
#[cfg(feature = "schedules")]
pub use crate::schedule::{Calendar, Interval, OverlapPolicy, Range as CalendarRange, Schedule, ScheduleSpec};
pub use crate::store::{Error as StoreError, FoundBy, ListQuery, RunHead, VerifyProgress, VerifyReport};
pub use crate::visibility::{BuiltIn, QuerySyntaxError};

/// A running engine. Cheap to clone; the engine ends when [`Amends::shutdown`] is called or the last clone is dropped.
///
/// ```
/// use amends::{ActivityContext, Amends, Failure, WorkflowContext};
///
/// async fn greet(_cx: ActivityContext, name: String) -> Result<String, Failure> {
///     Ok(format!("Hello, {name}"))
/// }
///
/// async fn welcome(cx: WorkflowContext, name: String) -> Result<String, Failure> {
///     cx.activity(greet, &name).await
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let amends = Amends::builder().memory().activity(greet).workflow(welcome).start().await?;
/// let greeting = amends.workflow(welcome).id("welcome-1").start(&"Ada".to_owned()).await?.result().await?;
/// assert_eq!(greeting, "Hello, Ada");
/// amends.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Amends {
    inner: Arc<Inner>,
    /// The one that is meant; `None`: the default one.
    namespace: Option<NamespaceName>,
}

struct Inner {
    runtime: Runtime,
    sagas: Catalog,
    identity: String,
    /// A schedule's run of a workflow that is not known here waits for an engine that knows it.
    #[cfg(feature = "schedules")]
    leaves_unknown: bool,
}

/// The code of the workflow types that amends brings along, for those who ask it without an engine.
fn built_in_code() -> BTreeMap<&'static str, Arc<dyn Workflow>> {
    #[cfg(feature = "schedules")]
    return BTreeMap::from([schedules::code()]);
    #[cfg(not(feature = "schedules"))]
    BTreeMap::new()
}

impl Amends {
    /// Begins to describe an engine.
    pub fn builder() -> AmendsBuilder {
        AmendsBuilder::new()
    }

    /// Begins to start a run of a workflow function.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a function item is a typed name; a reference to it reads badly"
    )]
    pub fn workflow<M, F>(&self, function: F) -> Starter<F::Input, F::Output>
    where
        F: WorkflowFunction<M>,
    {
        let workflow_type = WorkflowDefinition::type_of(&function).map_err(|error| Error::Registry(vec![error]));
        Starter::new(self.clone(), workflow_type)
    }

    /// Begins to start a run of a saga definition, or of a workflow known by its name only.
    pub fn workflow_by_name(&self, name: &str) -> Starter<serde_json::Value, serde_json::Value> {
        let workflow_type = WorkflowType::new(name).map_err(Error::from);
        Starter::new(self.clone(), workflow_type)
    }

    /// The saga definitions that the engine was started with.
    pub fn sagas(&self) -> impl Iterator<Item = &SagaDefinition> {
        self.inner.sagas.iter()
    }

    /// Talks to runs that exist.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.clone())
    }

    /// A handle on the newest run with this id.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn find(&self, workflow_id: &str) -> Result<RunHandle<serde_json::Value>, Error> {
        let workflow_id = self.workflow_id(workflow_id)?;
        let head = self.inner.runtime.store()?.find(&workflow_id)?;
        let head = head.ok_or(Error::NotFound(workflow_id))?;
        Ok(RunHandle::new(self.clone(), head.workflow_id, head.run_id, None))
    }

    /// A handle on one run, and on those that follow it in its chain.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn find_run(&self, run_id: RunId) -> Result<RunHandle<serde_json::Value>, Error> {
        let head = self.own_run(run_id)?;
        Ok(RunHandle::new(self.clone(), head.workflow_id, head.run_id, None))
    }

    /// Stops the engine: no new requests, no new attempts; running attempts get `grace` to end and be recorded. Runs that
    /// have not ended go on when an engine is started on the same store.
    pub async fn shutdown(&self, grace: Duration) {
        self.inner.runtime.shutdown(grace).await;
    }

    fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    fn identity(&self) -> String {
        self.inner.identity.clone()
    }
}

/// Waits for a future on this thread: for programs without an async runtime of their own.
///
/// # Panics
/// When called from inside an async runtime: use `.await` there.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime on the calling thread needs nothing that could be missing")
        .block_on(future)
}
