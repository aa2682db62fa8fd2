//! What all actors of one engine share, and the starting and stopping of its threads. Must not live here: handling of
//! messages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, Addr};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::definition::SagaDefinition;
use crate::model::{DefinitionDigest, StartRun, WorkflowId, limits};
use crate::sdk::{Registry, SharedState};
use crate::store::{Error, Store};

use super::attempt::AttemptPool;
use super::clock::Clock;
use super::entropy::Entropy;
use super::error::RequestError;
use super::journal::{Journal, send_recover};
use super::messages::{Admission, Deliver, Delivered, Start, Stop, Watch, Watched};
use super::recovery::definition_from;
use super::shard::ShardActor;
use super::store_slot::{OpenStore, StoreSlot};

/// What an engine is started with.
pub(crate) struct RuntimeOptions {
    pub(crate) open_store: OpenStore,
    pub(crate) registry: Registry,
    pub(crate) definitions: Vec<SagaDefinition>,
    pub(crate) state: SharedState,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shards: usize,
    /// How long a run may be idle before its memory is returned.
    pub(crate) passivate_after: Duration,
    /// How long a request may wait for its turn before it is refused as `Overloaded`.
    pub(crate) admission_timeout: Duration,
}

/// What every actor needs.
pub(super) struct Shared {
    pub(super) store: Arc<StoreSlot>,
    pub(super) registry: Registry,
    pub(super) definitions: DefinitionCache,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) journal: Journal,
    pub(super) attempts: AttemptPool,
    pub(super) passivate_after: Duration,
    draining: AtomicBool,
    busy: Arc<BusyGauge>,
}

impl Shared {
    /// Whether nothing new is to be begun any more.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
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
    known: Mutex<HashMap<DefinitionDigest, SagaDefinition>>,
}

impl DefinitionCache {
    fn new(definitions: &[SagaDefinition]) -> Self {
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
    shards: Vec<ShardPort>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Kept when the engine had to bring its own.
    own_tokio: Mutex<Option<tokio::runtime::Runtime>>,
    admission_timeout: Duration,
}

struct ShardPort {
    addr: Addr<ShardActor>,
    admission: Arc<Semaphore>,
}

impl Runtime {
    /// Opens the store, starts the threads, and begins to recover.
    pub(crate) fn start(options: RuntimeOptions) -> Result<Self, Error> {
        let store = Arc::new(StoreSlot::new(options.open_store));
        let (epoch, open_runs) = store.reopen()?;
        let (handle, own_tokio) = tokio_for_attempts()?;
        let (journal, writer) = Journal::new(Arc::clone(&store));
        let shared = Arc::new(Shared {
            store,
            registry: options.registry,
            definitions: DefinitionCache::new(&options.definitions),
            attempts: AttemptPool::new(handle, Arc::clone(&options.clock), options.state),
            clock: options.clock,
            journal,
            passivate_after: options.passivate_after,
            draining: AtomicBool::new(false),
            busy: Arc::default(),
        });
        let mut threads = Vec::new();
        let mut addrs = Vec::new();
        for index in 0..options.shards.max(1) {
            let (addr, thread) = spawn_shard(index, Arc::clone(&shared))?;
            addrs.push(addr);
            threads.push(thread);
        }
        let shards = addrs.clone();
        threads.push(spawn("amends-journal", move || writer.run(shards))?);
        send_recover(&addrs, epoch, open_runs);
        Ok(Self {
            shards: addrs
                .into_iter()
                .map(|addr| ShardPort {
                    addr,
                    admission: Arc::new(Semaphore::new(limits::SHARD_REQUESTS_MAX)),
                })
                .collect(),
            shared,
            threads: Mutex::new(threads),
            own_tokio: Mutex::new(own_tokio),
            admission_timeout: options.admission_timeout,
        })
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Whether the engine takes no requests any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.is_draining()
    }

    /// The store, for reading.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, RequestError> {
        self.shared
            .store
            .get()
            .map_err(|error| match self.shared.store.is_closed() {
                true => RequestError::ShuttingDown,
                false => RequestError::Store(error),
            })
    }

    /// Begins a run. Answers once its first turn is durable; the receiver hears of its end.
    pub(crate) async fn begin(
        &self,
        mut start: StartRun,
    ) -> Result<(Delivered, oneshot::Receiver<Watched>), RequestError> {
        start.run_id = Entropy.run_id(self.shared.clock.now());
        let port = self.port(&start.workflow_id)?;
        let admission = self.admit(port).await?;
        let (reply, answer) = oneshot::channel();
        let (watch, outcome) = oneshot::channel();
        port.addr.do_send(Start {
            start: Box::new(start),
            reply,
            watch,
            admission,
        });
        let delivered = answer.await.map_err(|_| RequestError::Interrupted)??;
        Ok((delivered, outcome))
    }

    /// Hands an input to an open run. Answers once it is durable.
    pub(crate) async fn deliver(
        &self,
        workflow_id: WorkflowId,
        run_id: Option<crate::model::RunId>,
        input: crate::model::Input,
    ) -> Result<Delivered, RequestError> {
        let port = self.port(&workflow_id)?;
        let admission = self.admit(port).await?;
        let (reply, answer) = oneshot::channel();
        port.addr.do_send(Deliver {
            workflow_id,
            run_id,
            input,
            reply,
            admission,
        });
        answer.await.map_err(|_| RequestError::Interrupted)?
    }

    /// Hears of the end of a run; a closed channel means that it is not open (any more).
    pub(crate) fn watch(
        &self,
        workflow_id: WorkflowId,
        run_id: crate::model::RunId,
    ) -> Result<oneshot::Receiver<Watched>, RequestError> {
        let (watch, outcome) = oneshot::channel();
        self.port(&workflow_id)?.addr.do_send(Watch {
            workflow_id,
            run_id,
            watch,
        });
        Ok(outcome)
    }

    fn port(&self, workflow_id: &WorkflowId) -> Result<&ShardPort, RequestError> {
        let shard = shard_of(workflow_id, self.shards.len());
        self.shards.get(shard).ok_or(RequestError::ShuttingDown)
    }

    /// Back-pressure: a bounded number of requests per shard, the others wait a while, then are refused.
    async fn admit(&self, port: &ShardPort) -> Result<Admission, RequestError> {
        let admission = |permit| Admission {
            _permit: permit,
            _busy: self.shared.busy(),
        };
        if let Ok(permit) = Arc::clone(&port.admission).try_acquire_owned() {
            return Ok(admission(permit));
        }
        let deadline = self.shared.clock.now().after(self.admission_timeout);
        tokio::select! {
            permit = Arc::clone(&port.admission).acquire_owned() => {
                permit.map(admission).map_err(|_| RequestError::ShuttingDown)
            }
            () = self.shared.clock.sleep_until(deadline) => match port.admission.is_closed() {
                true => Err(RequestError::ShuttingDown),
                false => Err(RequestError::Overloaded),
            },
        }
    }

    /// Stops: no new requests, no new attempts; running attempts get `grace` to end and be recorded; then all threads
    /// end and the store is closed. What was not finished goes on when an engine is started on the same store.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shards.iter().for_each(|port| port.admission.close());
        let deadline = self.shared.clock.now().after(grace);
        tokio::select! {
            () = self.shared.busy.until_idle() => {}
            () = self.shared.clock.sleep_until(deadline) => {}
        }
        self.stop_threads();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let own_tokio = self.own_tokio.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Joining blocks: not on an async thread.
        let (done, all_done) = oneshot::channel();
        let store = Arc::clone(&self.shared.store);
        let joined = spawn("amends-shutdown", move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
            store.close();
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
        self.shared.journal.stop();
        for port in &self.shards {
            port.addr.do_send(Stop);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop_threads();
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

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| Error::Io(format!("cannot start thread {name}: {error}")))
}

fn spawn_shard(index: usize, shared: Arc<Shared>) -> Result<(Addr<ShardActor>, JoinHandle<()>), Error> {
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = spawn(&format!("amends-shard-{index}"), move || {
        let system = actix::System::new();
        system.block_on(async {
            let _ = ready.send(ShardActor::new(index, shared).start());
        });
        if let Err(error) = system.run() {
            tracing::error!(%error, shard = index, "a shard's thread ended badly");
        }
    })?;
    let addr = started
        .recv()
        .map_err(|_| Error::Io(format!("shard {index} did not start")))?;
    Ok((addr, thread))
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
        .as_str()
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
