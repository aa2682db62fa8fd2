//! The journal writer: one thread that turns everybody's turns into commits. Group commit comes by itself: while one
//! batch syncs, the next one gathers. Must not live here: what a turn means, or how a store keeps it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use backoff::backoff::Backoff;

use crate::definition::SagaDefinition;
use crate::model::DefinitionDigest;
use crate::store::maps::IdSet;
use crate::store::{CommitBatch, Epoch, Error, RunWake, TurnRecord};

use super::attempt::panic_message;
use super::commit_queue::{CommitQueue, Weigh};
use super::messages::{Abandon, Committed, NotCommitted, Recover, StoreFailed};
use super::namespaces::Namespaces;
use super::run::RunLine;
use super::shard::ShardActor;
use super::shared::shard_of;
use super::store_slot::{Found, StoreSlot};

/// One turn to be made durable, and who waits for it.
pub(super) struct CommitJob {
    pub(super) shard: usize,
    pub(super) run: RunLine,
    /// Under which opening of the store its run was made live.
    pub(super) epoch: Epoch,
    pub(super) record: TurnRecord,
    /// The first turn of the run that follows, when the turn ends its run: both become durable, or none.
    pub(super) successor: Option<Box<TurnRecord>>,
    /// With a run's first turn: the definition that it follows.
    pub(super) definition: Option<SagaDefinition>,
}

/// The journal writer before it runs.
pub(super) struct JournalWriter {
    queue: Arc<CommitQueue<CommitJob>>,
    store: Arc<StoreSlot>,
    namespaces: Arc<Namespaces>,
    shards: Vec<Addr<ShardActor>>,
    stored_definitions: IdSet<DefinitionDigest>,
}

/// Whether the writer goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoOn,
    Stop,
}

impl JournalWriter {
    /// A writer, to be started with [`JournalWriter::run`] once the shards are known.
    pub(super) fn new(store: Arc<StoreSlot>, queue: Arc<CommitQueue<CommitJob>>, namespaces: Arc<Namespaces>) -> Self {
        Self {
            queue,
            store,
            namespaces,
            shards: Vec::new(),
            stored_definitions: IdSet::default(),
        }
    }

    /// The thread's body: commits what was handed over until the queue is sealed and empty. A turn is lost only if the
    /// writer is gone, and then nobody acknowledges anything any more, or if the store failed and was opened again
    /// meanwhile, and then its run is told to abandon it.
    pub(super) fn run(mut self, shards: Vec<Addr<ShardActor>>) {
        self.shards = shards;
        let mut flow = Flow::GoOn;
        // Changes places with the queue's, so that neither grows anew for each commit.
        let mut jobs = Vec::new();
        while flow == Flow::GoOn {
            let last = self.queue.take(&mut jobs);
            let after = if last { Flow::Stop } else { Flow::GoOn };
            flow = self.commit(&mut jobs, after);
        }
    }

    /// Commits the turns; `after` is what follows if all goes well, and what is returned unless the writer was stopped.
    fn commit(&mut self, jobs: &mut Vec<CommitJob>, after: Flow) -> Flow {
        let current = match self.store.get_for_commit() {
            Ok((_, epoch)) => epoch,
            Err(error) => {
                jobs.clear();
                return self.store_failed(&error, after);
            }
        };
        let mut batch = CommitBatch::default();
        let mut waiting: Vec<Vec<RunLine>> = self.shards.iter().map(|_| Vec::new()).collect();
        let mut new_definitions = Vec::new();
        // Where the first turns of runs are that follow the one before them.
        let mut successors = Vec::new();
        // A turn from before the store was opened again does not count: its run has been told to abandon it, or will be
        // before anything else, and to commit it now would be behind the back of the run's next life.
        for job in jobs.drain(..).filter(|job| job.epoch == current) {
            if let Some(definition) = job.definition
                && !self.stored_definitions.contains(&definition.digest())
            {
                let digest = definition.digest();
                new_definitions.push(digest);
                batch.definitions.push((digest, definition.canonical_json().clone()));
            }
            batch.turns.push(job.record);
            if let Some(successor) = job.successor {
                successors.push(batch.turns.len());
                batch.turns.push(*successor);
            }
            if let Some(waiting) = waiting.get_mut(job.shard) {
                waiting.push(job.run);
            }
        }
        if batch.turns.is_empty() {
            return after;
        }
        match self.try_commit(&batch) {
            Ok(()) => {
                self.stored_definitions.extend(new_definitions);
                self.notify(waiting);
                after
            }
            Err(Error::Refused(reason)) => {
                self.commit_one_by_one(batch, &successors, waiting, &reason);
                after
            }
            Err(error) => self.store_failed(&error, after),
        }
    }

    /// A store that panics has failed like any other: without this thread nobody would hear of it.
    fn try_commit(&self, batch: &CommitBatch) -> Result<(), Error> {
        let (store, epoch) = self.store.get_for_commit()?;
        let committed = catch_unwind(AssertUnwindSafe(|| store.commit(epoch, batch)));
        committed.unwrap_or_else(|panic| Err(Error::Io(format!("the store panicked: {}", panic_message(&*panic)))))
    }

    fn notify(&self, waiting: Vec<Vec<RunLine>>) {
        for (shard, runs) in self.shards.iter().zip(waiting) {
            if !runs.is_empty() {
                shard.do_send(Committed(runs));
            }
        }
    }

    /// One run's turn does not fit what is stored: a bug of ours, which must not hurt the other runs of its batch.
    fn commit_one_by_one(&self, batch: CommitBatch, successors: &[usize], waiting: Vec<Vec<RunLine>>, reason: &str) {
        tracing::error!(
            reason,
            turns = batch.turns.len(),
            "a batch was refused; its runs are rebuilt from the journal"
        );
        let definitions = CommitBatch {
            turns: Vec::new(),
            definitions: batch.definitions,
        };
        let definitions_kept = self.try_commit(&definitions);
        let mut turns = batch.turns.into_iter().enumerate().peekable();
        while let Some((_, record)) = turns.next() {
            // A run and the one that follows it stay together.
            let follows = turns.next_if(|(place, _)| successors.binary_search(place).is_ok());
            let single = CommitBatch {
                turns: std::iter::once(record).chain(follows.map(|(_, next)| next)).collect(),
                definitions: Vec::new(),
            };
            // Whatever comes of it is seen when the run is rebuilt; a failed store is noticed with the next batch.
            if definitions_kept.is_ok()
                && let Err(error) = self.try_commit(&single)
            {
                tracing::error!(%error, "a turn was refused");
            }
        }
        for (shard, runs) in self.shards.iter().zip(waiting) {
            shard.do_send(NotCommitted(runs.len()));
            runs.into_iter().for_each(|run| run.do_send(Abandon));
        }
    }

    /// Nothing may be assumed about the last batch. Everybody forgets what was in memory; the store is opened again, with
    /// backoff, for as long as it takes, unless the writer is to stop.
    fn store_failed(&mut self, error: &Error, after: Flow) -> Flow {
        tracing::error!(%error, "the store failed; nothing is acknowledged until it is open again");
        self.store.fail(error);
        self.stored_definitions.clear();
        for shard in &self.shards {
            shard.do_send(StoreFailed(error.clone()));
        }
        if after == Flow::Stop {
            return after;
        }
        let mut backoff = backoff::ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(100))
            .with_max_interval(Duration::from_secs(10))
            .with_max_elapsed_time(None)
            .build();
        loop {
            let delay = backoff.next_backoff().unwrap_or(Duration::from_secs(10));
            // Runs that do not know yet that their memory is void go on for a moment.
            if !self.queue.discard_for(delay) {
                return Flow::Stop;
            }
            let reopened = self.store.reopen();
            let counted = reopened.and_then(|reopened| self.namespaces.count(&*self.store.get()?).map(|()| reopened));
            match counted {
                Ok(found) => {
                    tracing::info!(runs = found.wakes.len(), "the store is open again");
                    send_recover(&self.shards, found);
                    return Flow::GoOn;
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot be opened again yet");
                    self.store.fail(&error);
                }
            }
        }
    }
}

impl Weigh for CommitJob {
    fn bytes(&self) -> usize {
        let definition = self
            .definition
            .as_ref()
            .map_or(0, |definition| definition.canonical_json().len());
        let successor = self.successor.as_ref().map_or(0, |record| record.bytes.len());
        let turns = self.record.bytes.len().saturating_add(successor);
        turns.saturating_add(definition)
    }
}

/// Tells each shard which of these open runs are its own.
pub(super) fn send_recover(shards: &[Addr<ShardActor>], found: Found) {
    let Found { epoch, left_at, wakes } = found;
    let mut parts: Vec<Vec<RunWake>> = shards.iter().map(|_| Vec::new()).collect();
    for wake in wakes {
        let shard = shard_of(&wake.workflow_id, shards.len());
        if let Some(part) = parts.get_mut(shard) {
            part.push(wake);
        }
    }
    for (shard, wakes) in shards.iter().zip(parts) {
        shard.do_send(Recover { epoch, left_at, wakes });
    }
}
