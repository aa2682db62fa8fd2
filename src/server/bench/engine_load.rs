//! The engine under load, through its public interface only. Must not live here: time and figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::{Amends, Client, Error};
use crate::model::{Outcome, Payload};

use super::figures::{Counters, Footprint, Work};
use super::slice::Load;
use super::workload::{self, BENCH_SAGA, Order};
use super::{BenchArgs, BenchError, StoreKind, meter};

/// How long the engine may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// One engine and the sagas that it is given.
#[derive(Clone)]
pub(super) struct EngineLoad {
    engine: Amends,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    clients: u32,
    steps: u32,
    rollback: bool,
    directory: PathBuf,
    disk_bytes_empty: u64,
    started: AtomicU64,
}

impl EngineLoad {
    pub(super) async fn start(args: &BenchArgs, clients: u32, directory: &Path) -> Result<Self, BenchError> {
        let builder = Amends::builder().durability(args.durability.into());
        let builder = match args.store {
            StoreKind::Sled => builder.sled(directory),
            StoreKind::Memory => builder.memory(),
        };
        let engine = workload::register(builder, args)?.start().await?;
        let shared = Shared {
            client: engine.client(),
            clients,
            steps: args.steps,
            rollback: args.rollback,
            directory: directory.to_owned(),
            disk_bytes_empty: meter::directory_bytes(directory),
            started: AtomicU64::new(0),
        };
        Ok(Self {
            engine,
            shared: Arc::new(shared),
        })
    }

    /// What each saga so far has asked of the store.
    pub(super) async fn work_per_saga(&self) -> Result<Work, BenchError> {
        let newest = self.shared.client.list(&Default::default()).await?.into_iter().next();
        let newest = newest.ok_or(BenchError::Silence)?;
        Ok(Work {
            turns: newest.turns,
            turn_bytes: newest.history_bytes / newest.turns.max(1),
        })
    }

    /// What the process and its files occupy now.
    pub(super) fn footprint(&self) -> Footprint {
        let bytes = meter::directory_bytes(&self.shared.directory).saturating_sub(self.shared.disk_bytes_empty);
        let sagas = self.shared.started.load(Ordering::Relaxed).max(1);
        Footprint {
            resident_bytes: meter::resident_bytes(),
            disk_bytes_per_saga: bytes as f64 / sagas as f64,
        }
    }

    pub(super) async fn stop(self) {
        self.engine.shutdown(GRACE).await;
    }
}

impl Load for EngineLoad {
    async fn one_saga(&self) -> Result<(), BenchError> {
        let shared = &self.shared;
        let number = shared.started.fetch_add(1, Ordering::Relaxed);
        let id = format!("bench-{}-{number:09}", shared.clients);
        let order = Order {
            number,
            steps: shared.steps,
            rollback: shared.rollback,
        };
        let order = Payload::json(&order).map_err(Error::from)?;
        let starter = self.engine.workflow_by_name(BENCH_SAGA).id(id.as_str());
        let run = starter.start_payload(order).await?;
        match (run.outcome().await?, shared.rollback) {
            (Outcome::Completed(_), false) | (Outcome::Amended(_), true) => Ok(()),
            (other, rollback) => Err(BenchError::Outcome {
                id,
                found: format!("{other:?}"),
                expected: if rollback { "amended" } else { "completed" },
            }),
        }
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
