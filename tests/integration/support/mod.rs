//! What tests of a whole engine share: a bounded test runtime, homes for data, activities and workflows from closures,
//! recorders and gates. Must not live here: tests.

mod faults;
mod recorder;
mod warnings;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amends::definition::ParseOptions;
use amends::engine::{Offline, RunDescription};
use amends::store::{MemoryStore, Store};
use amends::testing::{StoreFaults, VirtualClock};
use amends::{
    Activity, ActivityContext, ActivityDefinition, Amends, AmendsBuilder, Execution, Failure, Payload, RunStatus,
    SagaDefinition, Workflow, WorkflowContext, WorkflowDefinition,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use faults::{insist, insist_on_finding, whichever_commit_fails};
pub(crate) use recorder::{Gate, Recorder};
pub(crate) use warnings::{listen_to_warnings, warnings_about};

/// A test that takes longer hangs: the slowest takes a few seconds on an idle machine.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// Runs a test on a multi-thread runtime of its own; one that hangs fails.
#[expect(
    clippy::disallowed_methods,
    reason = "what hangs does not move a virtual clock either"
)]
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let output = runtime.block_on(async { tokio::time::timeout(HANGS_AFTER, test).await });
    runtime.shutdown_background();
    output.expect("the test hangs")
}

/// Where an engine keeps its data; opened again by every builder that it gives.
pub(crate) enum Home {
    Memory(MemoryStore),
    Sled(TempDir),
}

impl Home {
    pub(crate) fn memory() -> Self {
        Home::Memory(MemoryStore::new())
    }

    pub(crate) fn sled() -> Self {
        Home::Sled(TempDir::new().unwrap())
    }

    /// Of each kind one.
    pub(crate) fn each() -> [Self; 2] {
        [Home::memory(), Home::sled()]
    }

    pub(crate) fn builder(&self) -> AmendsBuilder {
        let builder = Amends::builder().shards(2);
        match self {
            Home::Memory(memory) => {
                let memory = memory.clone();
                builder.store(move || Ok(Box::new(memory.clone())))
            }
            Home::Sled(directory) => builder.sled(directory.path()),
        }
    }

    /// An engine that knows [`counting_workflow`] as `count`.
    pub(crate) async fn counting(&self) -> Amends {
        let builder = self.builder().workflow_definition(counting_workflow("count"));
        builder.start().await.unwrap()
    }

    /// A builder of engines on a store that fails as planned.
    pub(crate) fn faulty_builder(&self, faults: &StoreFaults) -> AmendsBuilder {
        let faults = faults.clone();
        match self {
            Home::Memory(memory) => {
                let memory = memory.clone();
                let open = move || faults.wrap(Box::new(memory.clone()));
                Amends::builder().shards(2).store(open)
            }
            Home::Sled(directory) => {
                let directory = directory.path().to_owned();
                let open = move || faults.wrap(open_sled(&directory)?);
                Amends::builder().shards(2).store(open)
            }
        }
    }

    /// What is stored, while no engine has it.
    #[track_caller]
    pub(crate) fn offline(&self) -> Offline {
        match self {
            Home::Memory(memory) => Offline::over(memory.clone()),
            Home::Sled(directory) => Offline::open(directory.path()).unwrap(),
        }
    }

    /// Reads and checks all of it.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let report = self.offline().verify(&mut |_| {}).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

pub(crate) fn open_sled(directory: &Path) -> Result<Box<dyn Store>, amends::store::Error> {
    let options = amends::store::sled::SledOptions::default();
    Ok(Box::new(amends::store::sled::SledStore::open(directory, options)?))
}

type ActivityBody = Arc<dyn Fn(ActivityContext, Value) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

struct AsyncClosure(ActivityBody);

#[async_trait]
impl Activity for AsyncClosure {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let output = (self.0)(cx, input.to()?).await?;
        Ok(Payload::json(&output)?)
    }
}

/// An async activity from a closure.
pub(crate) fn activity<F, R>(name: &str, body: F) -> ActivityDefinition
where
    F: Fn(ActivityContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let body: ActivityBody = Arc::new(move |cx, input| body(cx, input).boxed());
    ActivityDefinition::new(name, AsyncClosure(body)).unwrap()
}

struct BlockingClosure<F>(F);

impl<F: Fn(ActivityContext, Value) -> Result<Value, Failure> + Send + Sync + 'static> Activity for BlockingClosure<F> {
    fn execution(&self) -> Execution {
        Execution::Blocking
    }

    fn execute_blocking(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let output = (self.0)(cx, input.to()?)?;
        Ok(Payload::json(&output)?)
    }
}

/// A blocking activity from a closure.
pub(crate) fn blocking_activity<F>(name: &str, body: F) -> ActivityDefinition
where
    F: Fn(ActivityContext, Value) -> Result<Value, Failure> + Send + Sync + 'static,
{
    ActivityDefinition::new(name, BlockingClosure(body)).unwrap()
}

type WorkflowBody =
    Arc<dyn Fn(WorkflowContext, Value) -> LocalBoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

struct WorkflowClosure(WorkflowBody);

impl Workflow for WorkflowClosure {
    fn start(&self, cx: WorkflowContext, input: Payload) -> LocalBoxFuture<'static, Result<Payload, Failure>> {
        let body = Arc::clone(&self.0);
        async move { Ok(Payload::json(&body(cx, input.to()?).await?)?) }.boxed_local()
    }
}

/// A workflow from a closure.
pub(crate) fn workflow<F, R>(name: &str, body: F) -> WorkflowDefinition
where
    F: Fn(WorkflowContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, Failure>> + 'static,
{
    let body: WorkflowBody = Arc::new(move |cx, input| body(cx, input).boxed_local());
    WorkflowDefinition::new(name, WorkflowClosure(body)).unwrap()
}

/// A saga from a definition file's text.
pub(crate) fn saga(text: &str) -> SagaDefinition {
    let parsed = SagaDefinition::parse("saga.toml", text, &ParseOptions::default());
    parsed.unwrap_or_else(|error| panic!("{error}")).0
}

/// A workflow that counts signals called `go` until it has as many as its input says, and returns how many it has seen.
pub(crate) fn counting_workflow(name: &str) -> WorkflowDefinition {
    workflow(name, |cx, wanted| async move {
        let signals = cx.signal::<u64>("go");
        let mut seen = Vec::new();
        while (seen.len() as u64) < wanted.as_u64().unwrap_or(0) {
            seen.push(signals.recv().await?);
        }
        Ok(Value::from(seen))
    })
}

/// Succeeds at the third try.
#[amends::workflow]
pub(crate) async fn third(cx: WorkflowContext) -> Result<u32, Failure> {
    match cx.info().attempt {
        3 => Ok(3),
        attempt => Err(Failure::new("NotYet", format!("try {attempt}"))),
    }
}

/// Looks again and again until the run stands as asked for.
pub(crate) async fn until_status(amends: &Amends, workflow_id: &str, wanted: RunStatus) -> RunDescription {
    loop {
        if let Ok(description) = amends.client().describe(workflow_id).await
            && description.status == wanted
        {
            return description;
        }
        tokio::task::yield_now().await;
    }
}

/// The same while time goes by: for what restarts after a backoff.
pub(crate) async fn until_status_as_time_passes(
    amends: &Amends,
    clock: &VirtualClock,
    workflow_id: &str,
    wanted: RunStatus,
) -> RunDescription {
    loop {
        if let Ok(description) = amends.client().describe(workflow_id).await
            && description.status == wanted
        {
            return description;
        }
        clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
    }
}
