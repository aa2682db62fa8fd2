//! Workload `recovery`: a process that has many open sagas is killed, and another one opens its store. Lives here: the two
//! processes' parts, and the part of the one that starts them. Must not live here: recovery itself.
//!
//! The sagas are in their first step when the process is killed. An attempt that was running then may have had its effect,
//! so the next engine takes it for lost and tries again, at once here: what is measured is the engine, not a backoff.

mod processes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::ActivityContext;
use crate::RetryPolicy;
use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error, ListQuery};
use crate::model::{Failure, RunStatus};
use crate::server::console::Console;

use super::args::{Form, Settings};
use super::engine_load::{Case, EngineLoad, builder, start_run};
use super::figures::Latencies;
use super::filling::{FILLERS, fill as fill_store, until};
use super::meter::{monotonic, process_cpu, resident_bytes, resident_bytes_max, wait};
use super::order::{BENCH_SAGA, Order, bench_undo, saga};
use super::{BenchError, Scratch};

/// What the second process measures its own sagas with: not one that is recovered.
const NEW: &str = "new";

/// Between two new sagas, which are to be served, not to be a load.
const BETWEEN_STARTS: Duration = Duration::from_millis(10);

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    processes::measure(settings, scratch, console)
}

/// What the activities of one process know.
#[derive(Clone)]
struct Progress {
    /// In the first process steps do not end.
    hangs: bool,
    begun: Duration,
    /// When the first recovered saga did something, in microseconds since `begun`; 0: not yet.
    first: Arc<AtomicU64>,
    /// Last steps that were done.
    done: Arc<AtomicU64>,
}

/// Sagas of three steps that are retried at once.
#[derive(Clone)]
struct Interrupted(Progress);

async fn bench_recovered(cx: ActivityContext, order: Order) -> Result<u64, Failure> {
    let progress = cx.state::<Progress>();
    let progress = progress.ok_or_else(|| Failure::non_retryable("NoState", "the benchmark gives it to the engine"))?;
    if progress.hangs {
        std::future::pending::<()>().await;
    }
    if !cx.info().workflow_id.as_str().starts_with(NEW) {
        let since = monotonic().saturating_sub(progress.begun).as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        let _ = progress
            .first
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
    }
    Ok(order.number)
}

async fn bench_last(cx: ActivityContext, order: Order) -> Result<u64, Failure> {
    if let Some(progress) = cx.state::<Progress>()
        && !cx.info().workflow_id.as_str().starts_with(NEW)
    {
        progress.done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(order.number)
}

fn at_once() -> RetryPolicy {
    RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    }
}

async fn bench_saga(cx: WorkflowContext, order: Order) -> Result<u64, Failure> {
    let saga = cx.saga();
    for _ in 0..2 {
        let step = saga.run(bench_recovered, &order).compensate(bench_undo);
        step.retry(at_once()).await?;
    }
    saga.run(bench_last, &order).compensate(bench_undo).await
}

fn definition() -> Result<SagaDefinition, Error> {
    let activities = ["bench_recovered", "bench_recovered", "bench_last"];
    let steps = (1..).zip(activities).map(|(step, activity)| {
        format!(
            "[[step]]\nname = \"step-{step}\"\nactivity = \"{activity}\"\nretry = {{ initial_interval = \"1ms\" }}\n\
             compensation = {{ activity = \"bench_undo\" }}\n"
        )
    });
    saga(&format!("name = \"{BENCH_SAGA}\"\n{}", steps.collect::<String>()))
}

impl Case for Interrupted {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
        let engine = engine.state(self.0.clone()).activity(bench_undo);
        let engine = engine.activity(bench_recovered).activity(bench_last);
        Ok(match form {
            Form::Definition => engine.saga(definition()?),
            Form::Code => engine.workflow(bench_saga),
        })
    }

    /// Only started: it hangs in its first step.
    async fn once(&self, engine: &Amends, id: &str, number: u64) -> Result<(), BenchError> {
        let order = Order {
            number,
            ..Order::default()
        };
        start_run(engine, id, &order).await.map(drop)
    }
}

fn interrupted(hangs: bool, begun: Duration) -> Interrupted {
    Interrupted(Progress {
        hangs,
        begun,
        first: Arc::default(),
        done: Arc::default(),
    })
}

/// The first process: starts the sagas, says so, and waits to be killed.
pub(super) async fn fill(settings: &Settings, console: &Console) -> Result<(), BenchError> {
    let directory = settings.data.clone().unwrap_or_default();
    let case = interrupted(true, monotonic());
    let engine = EngineLoad::start(settings, case, &directory).await?;
    let filling = fill_store(&engine, FILLERS, settings.runs, "", console);
    let telling = async {
        loop {
            console.object(&json!({ "started": engine.started() }));
            wait(LOOK).await;
        }
    };
    tokio::select! {
        filled = filling => filled?,
        () = telling => {}
    }
    console.object(&json!({ "filled": settings.runs }));
    // Whoever started this process is to kill it; if nobody is there any more, it ends.
    while !console.is_gone() {
        wait(LOOK).await;
        console.object(&json!({ "waiting": true }));
    }
    Ok(())
}

/// The second process: opens the store, takes new sagas, and goes on with the old ones.
pub(super) async fn open(settings: &Settings, begun: u64, console: &Console) -> Result<(), BenchError> {
    let directory = settings.data.clone().unwrap_or_default();
    let begun = Duration::from_micros(begun);
    let since = || monotonic().saturating_sub(begun).as_secs_f64() * 1e3;
    let case = interrupted(false, begun);
    let progress = case.0.clone();
    let engine = case
        .register(builder(settings, &directory), settings.form)?
        .start()
        .await?;
    let opened = since();
    start_run(&engine, &format!("{NEW}-0"), &Order::default()).await?;
    let open_for_business = since();
    let resident = resident_bytes();

    // New sagas now and then, for as long as old ones are recovered.
    let recovered = async {
        let what = "recovered";
        until(|| progress.done.load(Ordering::Relaxed), settings.runs, what, console).await
    };
    let telling = async {
        loop {
            console.object(&json!({ "done": progress.done.load(Ordering::Relaxed) }));
            wait(LOOK).await;
        }
    };
    let starts = Mutex::new(Latencies::default());
    tokio::select! {
        recovered = recovered => recovered?,
        () = telling => {}
        failed = new_sagas(&engine, &starts) => return Err(failed),
    }
    none_is_open(&engine).await?;
    let all_recovered = since();
    let starts = starts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let [p50, p99, max] = starts.percentiles([50, 99, 100]);
    console.object(&json!({
        "opened_ms": opened,
        "open_for_business_ms": open_for_business,
        "first_progress_ms": progress.first.load(Ordering::Relaxed) as f64 / 1e3,
        "all_recovered_ms": all_recovered,
        "cpu_ms": process_cpu().as_secs_f64() * 1e3,
        "rss_bytes": resident,
        "rss_bytes_max": resident_bytes_max(),
        "start_p50_us": p50,
        "start_p99_us": p99,
        "start_max_us": max,
    }));
    engine.shutdown(LOOK).await;
    Ok(())
}

/// Starts new sagas for as long as it is polled; gives only what goes wrong.
async fn new_sagas(engine: &Amends, starts: &Mutex<Latencies>) -> BenchError {
    for number in 1_u64.. {
        wait(BETWEEN_STARTS).await;
        let begun = monotonic();
        if let Err(error) = start_run(engine, &format!("{NEW}-{number}"), &Order::default()).await {
            return error;
        }
        let latency = monotonic().saturating_sub(begun);
        starts.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
    }
    BenchError::Silence
}

/// The last steps are done; what is left is that the last runs end.
async fn none_is_open(engine: &Amends) -> Result<(), BenchError> {
    let query = ListQuery {
        statuses: vec![RunStatus::Running],
        limit: 2,
        ..ListQuery::default()
    };
    for _ in 0..600 {
        // The new saga that was under way may be.
        let open = engine.client().list(&query).await?;
        if open.iter().all(|run| run.workflow_id.as_str().starts_with(NEW)) {
            return Ok(());
        }
        wait(LOOK / 10).await;
    }
    Err(BenchError::Lost(
        "sagas whose last step is done have not ended".to_owned(),
    ))
}
