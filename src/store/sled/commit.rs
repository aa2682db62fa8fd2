//! Commits: check, write, make durable, and only then let readers see it. Must not live here: what is written (that is
//! `plan`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::index::link;
use super::plan::{self, Change, Deletion, Plan, Writes};
use super::quiet::{from_io, quietly};
use super::state::{LiveRun, Writer};
use super::{COMMIT_BYTES_MAX, Disk, SledStore};
use crate::model::RunId;
use crate::store::head::Place;
use crate::store::{CommitBatch, Durability, Epoch, Error, RunHead, TurnRecord};

/// Bytes of turns from which on a run's tail is written out although the run is open: four values.
const TAIL_BYTES_MAX: usize = 16 * 1024;

/// Keys removed by one commit of a deletion, about; a single run may have more.
const DELETED_KEYS_MAX: u32 = 1_000;

impl Disk {
    /// One batch, one flush, one sync. sled's flush brings everything to the file, in order, but not to the disk.
    pub(super) fn write(&self, writes: Writes, durability: Durability) -> Result<(), Error> {
        quietly("writing a commit", || self.apply(writes))?;
        quietly("flushing a commit", || self.db.flush())?;
        if durability == Durability::PowerSafe {
            // Data and length of the file; its other attributes do not matter.
            self.file
                .sync_data()
                .map_err(|error| from_io("syncing the database", &error))?;
        }
        Ok(())
    }

    /// Sets and removes the keys, all or none. A single key is a single message in sled's file, hence needs no batch.
    fn apply(&self, mut writes: Writes) -> ::sled::Result<()> {
        let single = writes.len() == 1;
        if let Some((key, Some(value))) = writes.pop_if(|(_, value)| single && value.is_some()) {
            return self.db.insert(key, value).map(drop);
        }
        let mut batch = ::sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch)
    }
}

impl SledStore {
    pub(super) fn commit_batch(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error> {
        let mut writer = self.writer()?;
        self.check_epoch(epoch)?;
        check_size(batch)?;
        let chains = self.check_turns(&writer, &batch.turns)?;
        let change = Change {
            epoch,
            turns: &batch.turns,
            chains,
            definitions: &batch.definitions,
            deletions: Vec::new(),
        };
        self.make_durable(&mut writer, &change)
    }

    pub(super) fn claim_epoch(&self) -> Result<Epoch, Error> {
        let mut writer = self.writer()?;
        let epoch = Epoch(self.live().epoch.0.saturating_add(1));
        let change = Change {
            epoch,
            ..Change::default()
        };
        self.make_durable(&mut writer, &change)?;
        Ok(epoch)
    }

    pub(super) fn delete_runs(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error> {
        let mut writer = self.writer()?;
        self.check_epoch(epoch)?;
        let mut runs = runs.to_vec();
        runs.sort_unstable();
        runs.dedup();
        let mut runs = runs.into_iter().peekable();
        while runs.peek().is_some() {
            let mut deletions = Vec::new();
            let mut keys = 0_u32;
            while keys < DELETED_KEYS_MAX
                && let Some(run) = runs.next()
            {
                if let Some(deletion) = self.deletion(run)? {
                    keys = keys.saturating_add(3 + deletion.on_disk.as_ref().map_or(0, |stored| stored.chunks));
                    deletions.push(deletion);
                }
            }
            if !deletions.is_empty() {
                let change = Change {
                    epoch,
                    deletions,
                    ..Change::default()
                };
                self.make_durable(&mut writer, &change)?;
            }
        }
        Ok(())
    }

    /// `None`: unknown, or open.
    fn deletion(&self, run: RunId) -> Result<Option<Deletion>, Error> {
        let in_memory = self.live().runs.get(&run).map(|run| run.place().closed);
        if in_memory == Some(false) {
            return Ok(None);
        }
        let on_disk = self.disk.head(run)?;
        let deletion = Deletion {
            run,
            on_disk,
            in_memory: in_memory.is_some(),
        };
        Ok((deletion.in_memory || deletion.on_disk.is_some()).then_some(deletion))
    }

    fn check_epoch(&self, epoch: Epoch) -> Result<(), Error> {
        let current = self.live().epoch;
        if epoch != current {
            return Err(Error::Fenced {
                ours: epoch.0,
                current: current.0,
            });
        }
        Ok(())
    }

    /// Checks that every turn continues its run; gives the chain of its run after each turn.
    fn check_turns(&self, writer: &Writer, turns: &[TurnRecord]) -> Result<Vec<u32>, Error> {
        let live = self.live();
        let mut seen: HashMap<RunId, (Place, u32)> = HashMap::with_capacity(turns.len());
        let mut chains = Vec::with_capacity(turns.len());
        for turn in turns {
            let entry = seen.entry(turn.run_id);
            let before = match &entry {
                Entry::Occupied(entry) => Some(*entry.get()),
                Entry::Vacant(_) => match live.runs.get(&turn.run_id) {
                    Some(run) => Some((run.place(), run.chain)),
                    // New runs are newer than every run in the database, nearly always: no need to look there.
                    None if Some(turn.run_id) > writer.newest_head => None,
                    None => self
                        .disk
                        .head(turn.run_id)?
                        .map(|stored| (stored.head.place(), stored.chain)),
                },
            };
            let place = Place::after(before.map(|(place, _)| place), turn)?;
            let chain = link(before.map_or(0, |(_, chain)| chain), &turn.bytes);
            entry.insert_entry((place, chain));
            chains.push(chain);
        }
        Ok(chains)
    }

    /// Writes a checked change; readers see it when it is durable. An error here is final.
    fn make_durable(&self, writer: &mut Writer, change: &Change<'_>) -> Result<(), Error> {
        self.queue_idle(writer);
        let mut plan = plan::build(writer, &self.live(), change);
        let writes = std::mem::take(&mut plan.writes);
        if let Err(error) = self.disk.write(writes, self.durability) {
            // Whoever came first says why.
            let _ = self.poison.set(error.to_string());
            return Err(error);
        }
        if let Err(error) = writer.mark.set(plan.block.commit) {
            // Only a witness: the commit itself is durable.
            tracing::warn!(%error, "cannot write the witness of the last commit");
        }
        self.settle(writer, change, &plan);
        if let Some(room) = &mut writer.room {
            room.used(&self.disk.file, plan.bytes);
        }
        if let Ok(mut stats) = self.stats.lock() {
            stats.commits += 1;
            stats.turns += u64::try_from(change.turns.len()).unwrap_or(0);
            stats.syncs += u64::from(self.durability == Durability::PowerSafe);
            stats.bytes_written += u64::try_from(plan.bytes).unwrap_or(0);
        }
        Ok(())
    }

    /// Runs whose memory may be returned wait to be written out.
    fn queue_idle(&self, writer: &mut Writer) {
        let idle = match self.idle.lock() {
            Ok(mut idle) if !idle.is_empty() => std::mem::take(&mut *idle),
            _ => return,
        };
        let mut live = self.live_mut();
        for id in idle {
            if let Some(run) = live.runs.get_mut(&id)
                && !run.tail.is_empty()
                && !std::mem::replace(&mut run.queued, true)
            {
                writer.queue.push_back(id);
            }
        }
    }

    /// Brings the memory up to what is durable now.
    fn settle(&self, writer: &mut Writer, change: &Change<'_>, plan: &Plan) {
        let mut guard = self.live_mut();
        let live = &mut *guard;
        // Dropped only after the lock: freeing thousands of turns takes time.
        let mut gone: Vec<LiveRun> = Vec::new();
        live.epoch = change.epoch;
        live.definitions.extend(&plan.new_definitions);
        gone.extend(change.deletions.iter().filter_map(|deletion| live.remove(deletion.run)));
        for write_out in &plan.write_outs {
            let Some(run) = live.runs.get_mut(&write_out.run) else {
                continue;
            };
            if write_out.is_new {
                live.stored_names.add(&run.head.workflow_id);
            }
            run.written(write_out.stored);
            if run.place().closed {
                gone.extend(live.remove(write_out.run));
            }
        }
        for (turn, chain) in change.turns.iter().zip(&change.chains) {
            if let Some(head) = RunHead::opened_by(turn) {
                live.insert(LiveRun::new(head));
            }
            let run = live.runs.get_mut(&turn.run_id).expect("checked before it was written");
            if run.push(turn, *chain, plan.block.commit) {
                writer.pins.push_back((plan.block.commit, turn.run_id));
            }
            let full = turn.status.is_closed() || run.tail_bytes > TAIL_BYTES_MAX;
            if full && !std::mem::replace(&mut run.queued, true) {
                writer.queue.push_back(turn.run_id);
            }
        }
        drop(guard);
        drop(gone);
    }
}

fn check_size(batch: &CommitBatch) -> Result<(), Error> {
    let turns: usize = batch.turns.iter().map(|turn| turn.bytes.len()).sum();
    let definitions: usize = batch.definitions.iter().map(|(_, bytes)| bytes.len()).sum();
    let bytes = turns.saturating_add(definitions);
    if bytes > COMMIT_BYTES_MAX {
        let what = format!("{bytes} bytes in one commit, more than {COMMIT_BYTES_MAX}; commit fewer turns at a time");
        return Err(Error::Refused(what));
    }
    Ok(())
}
