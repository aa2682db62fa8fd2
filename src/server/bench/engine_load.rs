//! The engine under load, through its public interface only. Must not live here: time and figures, or what a saga is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::{Amends, AmendsBuilder, Client, Error, ListQuery};
use crate::model::{Outcome, Payload};

use super::args::{Form, Settings, StoreKind};
use super::figures::{Counters, Footprint, Work};
use super::order::Order;
use super::slice::Load;
use super::{BenchError, meter};

/// How long the engine may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs that tell how much work one of them is: which inputs meet in a turn is a matter of luck.
const SAMPLE: usize = 100;

/// What one client does, again and again, and what an engine needs for it.
pub(super) trait Case: Clone + Send + Sync + 'static {
    /// Registers the workflow and its activities.
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error>;

    /// Does it once, for a run with this id.
    fn once(&self, engine: &Amends, id: &str, number: u64) -> impl Future<Output = Result<(), BenchError>> + Send;
}

/// One engine and the sagas that it is given.
#[derive(Clone)]
pub(super) struct EngineLoad<C> {
    engine: Amends,
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    case: C,
    client: Client,
    directory: PathBuf,
    disk_bytes_empty: u64,
    started: AtomicU64,
}

/// An engine as the settings want it, without workflows.
pub(super) fn builder(settings: &Settings, directory: &Path) -> AmendsBuilder {
    let builder = Amends::builder().durability(settings.durability.into());
    match settings.store {
        StoreKind::Sled => builder.sled(directory),
        StoreKind::Memory => builder.memory(),
    }
}

impl<C: Case> EngineLoad<C> {
    pub(super) async fn start(settings: &Settings, case: C, directory: &Path) -> Result<Self, BenchError> {
        Self::start_with(builder(settings, directory), settings, case, directory).await
    }

    /// The same with a builder that was told more.
    pub(super) async fn start_with(
        builder: AmendsBuilder,
        settings: &Settings,
        case: C,
        directory: &Path,
    ) -> Result<Self, BenchError> {
        let engine = case.register(builder, settings.form)?.start().await?;
        let shared = Shared {
            case,
            client: engine.client(),
            directory: directory.to_owned(),
            disk_bytes_empty: meter::directory_bytes(directory),
            started: AtomicU64::new(0),
        };
        Ok(Self {
            engine,
            shared: Arc::new(shared),
        })
    }

    pub(super) fn engine(&self) -> &Amends {
        &self.engine
    }

    pub(super) fn client(&self) -> &Client {
        &self.shared.client
    }

    /// How many runs were begun.
    pub(super) fn started(&self) -> u64 {
        self.shared.started.load(Ordering::Relaxed)
    }

    /// What each saga so far has asked of the store.
    pub(super) async fn work_per_saga(&self) -> Result<Work, BenchError> {
        let query = ListQuery {
            limit: SAMPLE,
            ..ListQuery::default()
        };
        let newest = self.shared.client.list(&query).await?;
        let ended: Vec<_> = newest.iter().filter(|run| run.status.is_closed()).collect();
        // Of runs that are only begun, all there is.
        let sample: Vec<_> = match ended.is_empty() {
            true => newest.iter().collect(),
            false => ended,
        };
        let turns: u64 = sample.iter().map(|run| run.turns).sum();
        let bytes: u64 = sample.iter().map(|run| run.history_bytes).sum();
        let runs = u64::try_from(sample.len()).unwrap_or(u64::MAX);
        if runs == 0 || turns == 0 {
            return Err(BenchError::Silence);
        }
        Ok(Work {
            turns: (turns + runs / 2) / runs,
            turn_bytes: bytes / turns,
        })
    }

    /// Bytes on disk that the runs so far have taken.
    pub(super) fn disk_bytes(&self) -> u64 {
        meter::directory_bytes(&self.shared.directory).saturating_sub(self.shared.disk_bytes_empty)
    }

    /// What the process and its files occupy now.
    pub(super) fn footprint(&self) -> Footprint {
        Footprint {
            resident_bytes: meter::resident_bytes(),
            disk_bytes_per_saga: self.disk_bytes() as f64 / self.started().max(1) as f64,
        }
    }

    pub(super) async fn stop(self) {
        self.engine.shutdown(GRACE).await;
    }
}

impl<C: Case> Load for EngineLoad<C> {
    async fn one_saga(&self) -> Result<(), BenchError> {
        let number = self.shared.started.fetch_add(1, Ordering::Relaxed);
        let id = run_id(number);
        self.shared.case.once(&self.engine, &id, number).await
    }

    fn counters(&self) -> Counters {
        // A store that has failed is noticed by the sagas.
        let stats = self.shared.client.store_stats().unwrap_or_default();
        Counters {
            commits: stats.commits,
            syncs: stats.syncs,
        }
    }
}

/// The workflow id of the run with this number.
pub(super) fn run_id(number: u64) -> String {
    format!("bench-{number:09}")
}

/// Starts a run of the benchmark's workflow; it is durable when this returns.
pub(super) async fn start_run(
    engine: &Amends,
    id: &str,
    order: &Order,
) -> Result<crate::engine::RunHandle<serde_json::Value>, BenchError> {
    let order = Payload::json(order).map_err(Error::from)?;
    let starter = engine.workflow_by_name(super::order::BENCH_SAGA).id(id);
    Ok(starter.start_payload(order).await?)
}

/// Whether the run ended as it should.
pub(super) fn check(id: &str, outcome: &Outcome, amended: bool) -> Result<(), BenchError> {
    match (outcome, amended) {
        (Outcome::Completed(_), false) | (Outcome::Amended(_), true) => Ok(()),
        (other, amended) => Err(BenchError::Outcome {
            id: id.to_owned(),
            found: format!("{other:?}"),
            expected: if amended { "amended" } else { "completed" },
        }),
    }
}
