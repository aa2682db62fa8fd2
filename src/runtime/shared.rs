//! What all actors of one engine share, and the starting and stopping of its threads. Must not live here: handling of
//! messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::definition::{Catalog, SagaDefinition};
use crate::model::{DefinitionDigest, NamespaceName, WorkflowId, limits};
use crate::sdk::{CancelFlag, Registry, SharedState};
use crate::store::maps::IdMap;
use crate::store::{Error, Store};

use super::attempt::AttemptPool;
use super::clock::Clock;
use super::codecs::Codecs;
use super::commit_queue::CommitQueue;
use super::error::RequestError;
use super::gateway::Gateway;
use super::journal::{CommitJob, JournalWriter, send_recover};
use super::locks::LockDesk;
use super::namespaces::{Namespaces, NamespacesOptions};
use super::queues::TaskQueueStatus;
use super::recovery::definition_from;
use super::retention;
use super::shard::Backlog;
use super::store_slot::{OpenStore, StoreSlot};
use super::threads::{Shards, spawn};
use super::throttle::{ActivityTypeStatus, EngineLimits};
use super::watchdog::{HungTurn, Watchdog};

/// What an engine is started with.
pub(crate) struct RuntimeOptions {
    pub(crate) open_store: OpenStore,
    pub(crate) registry: Registry,
    pub(crate) sagas: Catalog,
    pub(crate) state: SharedState,
    pub(crate) limits: EngineLimits,
    pub(crate) namespaces: NamespacesOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shards: usize,
    /// How long a run may be idle before its memory is returned.
    pub(crate) passivate_after: Duration,
    /// How long a request may wait for its turn before it is refused as `Overloaded`.
    pub(crate) admission_timeout: Duration,
    /// When a turn counts as hanging; zero: never.
    pub(crate) turn_hangs_after: Duration,
    /// Replay every run of workflow code at each of its turns, and compare.
    pub(crate) replay_every_turn: bool,
    pub(crate) codecs: Codecs,
}

/// What every actor needs.
pub(super) struct Shared {
    pub(super) store: Arc<StoreSlot>,
    pub(super) registry: Registry,
    pub(super) definitions: DefinitionCache,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) turns: Arc<CommitQueue<CommitJob>>,
    pub(super) attempts: Arc<AttemptPool>,
    pub(super) namespaces: Arc<Namespaces>,
    /// By shard.
    pub(super) backlogs: Vec<Backlog>,
    pub(super) passivate_after: Duration,
    pub(super) replay_every_turn: bool,
    /// Between the runs and the journal.
    pub(super) codecs: Codecs,
    /// The definitions that runs can be started with.
    pub(super) sagas: Catalog,
    pub(super) locks: LockDesk,
    /// Whether turns come back.
    pub(super) watchdog: Arc<Watchdog>,
    /// For attempts that start runs of their own. Weak: the engine ends when its owner lets go of it, whoever waits inside.
    pub(super) gateway: OnceLock<Weak<Gateway>>,
    draining: CancelFlag,
    busy: Arc<BusyGauge>,
}

impl Shared {
    /// Whether nothing new is to be begun any more.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_raised()
    }

    /// Lets runs, on whichever shard, look again at what their state asks for.
    pub(super) fn wake_runs(&self, runs: Vec<WorkflowId>) {
        if !runs.is_empty()
            && let Some(gateway) = self.gateway.get().and_then(Weak::upgrade)
        {
            gateway.wake(runs);
        }
    }

    /// Raised when the engine begins to stop.
    pub(super) fn draining(&self) -> &CancelFlag {
        &self.draining
    }

    /// Counts one run or request as busy for as long as the guard lives.
    pub(super) fn busy(&self) -> BusyGuard {
        self.busy.count.fetch_add(1, Ordering::AcqRel);
        BusyGuard(Arc::clone(&self.busy))
    }
}

/// How many runs have attempts running, turns under way, or inputs waiting, and how many requests have no answer yet.
#[derive(Default)]
struct BusyGauge {
    count: AtomicUsize,
    idle: Notify,
}

impl BusyGauge {
    async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// One busy run, or one request.
pub(super) struct BusyGuard(Arc<BusyGauge>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// Definitions by digest: those the engine was started with, and older ones that stored runs still follow.
pub(super) struct DefinitionCache {
    known: Mutex<IdMap<DefinitionDigest, SagaDefinition>>,
}

impl DefinitionCache {
    fn new(definitions: &Catalog) -> Self {
        let known = definitions
            .iter()
            .map(|definition| (definition.digest(), definition.clone()));
        Self {
            known: Mutex::new(known.collect()),
        }
    }

    /// The definition with this digest; read from the store when it is not one of today's.
    pub(super) fn get(&self, digest: DefinitionDigest, store: &StoreSlot) -> Result<SagaDefinition, Error> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&digest)
            .cloned();
        if let Some(definition) = known {
            return Ok(definition);
        }
        let definition = definition_from(&*store.get()?, digest)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(digest, definition.clone());
        Ok(definition)
    }
}

/// A running engine's threads and the ways to them.
pub(crate) struct Runtime {
    gateway: Arc<Gateway>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Kept when the engine had to bring its own.
    own_tokio: Mutex<Option<tokio::runtime::Runtime>>,
    /// `None`: nothing is ever deleted.
    retention: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Runtime {
    /// Opens the store, starts the threads, and begins to recover.
    pub(crate) fn start(options: RuntimeOptions) -> Result<Self, Error> {
        let store = Arc::new(StoreSlot::new(options.open_store));
        let found = store.reopen()?;
        let (handle, own_tokio) = tokio_for_attempts()?;
        let tokio = handle.clone();
        let retention = options.namespaces.retention();
        let namespaces = Arc::new(Namespaces::new(&options.namespaces));
        namespaces.count(&*store.get()?)?;
        let turns = Arc::new(CommitQueue::new(limits::COMMIT_GATHER));
        let writer = JournalWriter::new(Arc::clone(&store), Arc::clone(&turns), Arc::clone(&namespaces));
        let shared = Arc::new(Shared {
            store,
            registry: options.registry,
            definitions: DefinitionCache::new(&options.sagas),
            backlogs: (0..options.shards.max(1)).map(|_| Backlog::default()).collect(),
            attempts: Arc::new(AttemptPool::new(
                handle,
                Arc::clone(&options.clock),
                options.state,
                &options.limits,
            )),
            namespaces,
            clock: options.clock,
            turns,
            passivate_after: options.passivate_after,
            replay_every_turn: options.replay_every_turn,
            codecs: options.codecs,
            sagas: options.sagas,
            locks: LockDesk::new(options.shards.max(1)),
            watchdog: Arc::new(Watchdog::new(options.shards.max(1), options.turn_hangs_after)),
            gateway: OnceLock::new(),
            draining: CancelFlag::new(),
            busy: Arc::default(),
        });
        let mut shards = Shards::default();
        for index in 0..options.shards.max(1) {
            shards.begin(index, &shared)?;
        }
        let watchdog = Arc::clone(&shared.watchdog);
        let watching = spawn("amends-watchdog", move || watchdog.run())?;
        let told = shards.addrs();
        let writing = spawn("amends-journal", move || writer.run(told))?;
        let (addrs, mut threads) = shards.begun();
        threads.extend([watching, writing]);
        let gateway = Gateway::new(addrs.clone(), Arc::clone(&shared), options.admission_timeout);
        let gateway = Arc::new(gateway);
        // Before any run is made live: their attempts may have to go through it.
        let _ = shared.gateway.set(Arc::downgrade(&gateway));
        shared.attempts.throttle().connect(Arc::downgrade(&gateway));
        send_recover(&addrs, found);
        let deletes = retention.shortest().is_some();
        let retention = deletes.then(|| tokio.spawn(retention::keep(Arc::clone(&shared), retention)));
        Ok(Self {
            retention: Mutex::new(retention),
            gateway,
            shared,
            threads: Mutex::new(threads),
            own_tokio: Mutex::new(own_tokio),
        })
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Between the runs and the journal.
    pub(crate) fn codecs(&self) -> &Codecs {
        &self.shared.codecs
    }

    /// How the limited activity types stand.
    pub(crate) fn activity_types(&self) -> Vec<ActivityTypeStatus> {
        self.shared.attempts.throttle().status()
    }

    /// The task queues that are served in a namespace (`None`: the default one).
    pub(crate) fn task_queues(&self, namespace: Option<&NamespaceName>) -> Vec<TaskQueueStatus> {
        self.shared.namespaces.task_queues(namespace)
    }

    /// The namespaces that there are beside the default one.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &NamespaceName> {
        self.shared.namespaces.names()
    }

    /// The turns that do not come back.
    pub(crate) fn hung_turns(&self) -> Vec<HungTurn> {
        self.shared.watchdog.hung()
    }

    /// The store, for reading.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, RequestError> {
        self.gateway.store()
    }

    /// The way to the shards.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Stops: no new requests, no new attempts that go forward. Running attempts get `grace` to end and be recorded, and
    /// sagas that are going back go on with that; then all threads end and the store is closed. What was not finished goes
    /// on when an engine is started on the same store.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.shared.draining.raise();
        self.gateway.close();
        let deadline = self.shared.clock.now().after(grace);
        tokio::select! {
            () = self.shared.busy.until_idle() => {}
            () = self.shared.clock.sleep_until(deadline) => {}
        }
        self.stop_threads();
        // It may be at the store, which is to be let go of.
        let retention = self.retention.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(retention) = retention {
            let _ = retention.await;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let own_tokio = self.own_tokio.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Joining blocks: not on an async thread.
        let (done, all_done) = oneshot::channel();
        let (store, clock) = (Arc::clone(&self.shared.store), Arc::clone(&self.shared.clock));
        let joined = spawn("amends-shutdown", move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
            store.close(clock.now());
            if let Some(own_tokio) = own_tokio {
                own_tokio.shutdown_background();
            }
            let _ = done.send(());
        });
        if joined.is_ok() {
            let _ = all_done.await;
        }
    }

    /// The journal writes what it was given, then the shards end.
    fn stop_threads(&self) {
        self.shared.turns.seal();
        self.gateway.stop_shards();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop_threads();
        if let Some(retention) = self.retention.lock().unwrap_or_else(PoisonError::into_inner).take() {
            retention.abort();
        }
        if let Some(own_tokio) = self.own_tokio.lock().unwrap_or_else(PoisonError::into_inner).take() {
            own_tokio.shutdown_background();
        }
    }
}

/// Activities run on the host's runtime if it has several threads, else on one of our own: user code must not stall the
/// thread that the host's own loop runs on.
fn tokio_for_attempts() -> Result<(tokio::runtime::Handle, Option<tokio::runtime::Runtime>), Error> {
    use tokio::runtime::{Builder, Handle, RuntimeFlavor};
    if let Ok(host) = Handle::try_current()
        && host.runtime_flavor() == RuntimeFlavor::MultiThread
    {
        return Ok((host, None));
    }
    let own = Builder::new_multi_thread()
        .thread_name("amends-activity")
        .enable_all()
        .build()
        .map_err(|error| Error::Io(format!("no threads for activities: {error}")))?;
    Ok((own.handle().clone(), Some(own)))
}

/// Where a run lives: its logical shard (a hash that never changes), mapped onto the threads there are.
pub(super) fn shard_of(workflow_id: &WorkflowId, threads: usize) -> usize {
    usize::from(logical_shard(workflow_id)) % threads.max(1)
}

/// `hash(WorkflowId) % 256`, with a hash (FNV-1a) that is the same in every process and version.
fn logical_shard(workflow_id: &WorkflowId) -> u16 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = workflow_id
        .qualified()
        .bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    u16::try_from((hash ^ (hash >> 32)) % u64::from(limits::LOGICAL_SHARDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_logical_shard_never_changes() {
        let shard = |id: &str| logical_shard(&WorkflowId::from_trusted(id));
        // These numbers are part of what stores and clusters rely on.
        assert_eq!([shard("order-1"), shard("order-2"), shard("a")], [242, 203, 192]);
        let spread: std::collections::BTreeSet<u16> = (0..2_000).map(|n| shard(&format!("order-{n}"))).collect();
        assert!(spread.len() > 250, "{}", spread.len());
    }
}
