//! Commits: check, write into the log, make durable, and only then let readers see it. Must not live here: what a block
//! says (that is `block`), or what comes after (that is `archive`).

use std::collections::hash_map::Entry;

use bytes::Bytes;

use super::index::{StoredHead, link};
use super::quiet::from_io;
use super::state::{Live, LiveRun, Writer};
use super::{COMMIT_BYTES_MAX, Shared, block, log};
use crate::model::{DefinitionDigest, RunId, Timestamp};
use crate::store::head::Place;
use crate::store::maps::IdMap;
use crate::store::{CommitBatch, Durability, Epoch, Error, TurnRecord};

/// What a commit is to change.
#[derive(Default)]
struct Change<'a> {
    epoch: Epoch,
    turns: &'a [TurnRecord],
    /// The chain of the turn's run after each of the turns.
    chains: Vec<u32>,
    definitions: &'a [(DefinitionDigest, Bytes)],
    deletions: Vec<RunId>,
    /// Runs that had left memory, and go on.
    woken: Vec<StoredHead>,
    /// The owner goes.
    left_at: Option<Timestamp>,
}

/// A block that was larger than this is not kept as the buffer of the next ones.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Shared {
    pub(super) fn commit_batch(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error> {
        let mut writer = self.writer_with_room()?;
        self.check_epoch(epoch)?;
        check_size(batch)?;
        let (chains, woken) = self.check_turns(&batch.turns)?;
        let change = Change {
            epoch,
            turns: &batch.turns,
            chains,
            definitions: &batch.definitions,
            woken,
            ..Change::default()
        };
        self.make_durable(&mut writer, change)
    }

    pub(super) fn claim_epoch(&self) -> Result<Epoch, Error> {
        let mut writer = self.writer()?;
        let epoch = Epoch(self.live().epoch.0.saturating_add(1));
        let change = Change {
            epoch,
            ..Change::default()
        };
        self.make_durable(&mut writer, change)?;
        Ok(epoch)
    }

    pub(super) fn leave(&self, epoch: Epoch, at: Timestamp) -> Result<(), Error> {
        let mut writer = self.writer()?;
        self.check_epoch(epoch)?;
        let change = Change {
            epoch,
            left_at: Some(at),
            ..Change::default()
        };
        self.make_durable(&mut writer, change)
    }

    pub(super) fn delete_runs(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error> {
        self.bell.wait_for_deletions();
        // Before the lock, so that no commit waits for what is read here: a run that has ended stays so.
        let mut deletions = Vec::new();
        for run in runs {
            if self.is_deletable(*run)? {
                deletions.push(*run);
            }
        }
        deletions.sort_unstable();
        deletions.dedup();
        let mut writer = self.writer()?;
        self.check_epoch(epoch)?;
        let live = self.live();
        deletions.retain(|run| live.runs.contains_key(run) || !live.deleted.contains(run));
        drop(live);
        if deletions.is_empty() {
            return Ok(());
        }
        let change = Change {
            epoch,
            deletions,
            ..Change::default()
        };
        self.make_durable(&mut writer, change)?;
        // Counted and told in one, as by the archive: an older number could come last and stay.
        let live = self.live();
        self.bell.set_deletions(live.deletions.len());
        Ok(())
    }

    /// Whether the run is known, and has ended.
    fn is_deletable(&self, run: RunId) -> Result<bool, Error> {
        let live = self.live();
        let in_memory = live.runs.get(&run).map(|run| run.place().closed);
        if in_memory.is_none() && live.deleted.contains(&run) {
            return Ok(false);
        }
        drop(live);
        match in_memory {
            Some(closed) => Ok(closed),
            None => Ok(self
                .disk
                .head(run)?
                .is_some_and(|stored| stored.head.status.is_closed())),
        }
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

    /// Checks that every turn continues its run; gives the chain of its run after each turn, and the runs among them that
    /// are only in the database.
    fn check_turns(&self, turns: &[TurnRecord]) -> Result<(Vec<u32>, Vec<StoredHead>), Error> {
        let live = self.live();
        let mut seen: IdMap<RunId, (Place, u32)> = IdMap::default();
        seen.reserve(turns.len());
        let mut chains = Vec::with_capacity(turns.len());
        let mut woken = Vec::new();
        for turn in turns {
            let entry = seen.entry(turn.run_id);
            let before = match &entry {
                Entry::Occupied(entry) => Some(*entry.get()),
                Entry::Vacant(_) => match live.runs.get(&turn.run_id) {
                    Some(run) => Some((run.place(), run.chain)),
                    // New runs are newer than every run in the database, nearly always: no need to look there.
                    None if Some(turn.run_id) > live.newest_head => None,
                    None if live.deleted.contains(&turn.run_id) => None,
                    None => self.disk.head(turn.run_id)?.map(|stored| {
                        let before = (stored.head.place(), stored.chain);
                        woken.push(stored);
                        before
                    }),
                },
            };
            let place = Place::after(before.map(|(place, _)| place), turn)?;
            let chain = link(before.map_or(0, |(_, chain)| chain), &turn.bytes);
            entry.insert_entry((place, chain));
            chains.push(chain);
        }
        Ok((chains, woken))
    }

    /// The committing thread's half, when the log is not too long.
    fn writer_with_room(&self) -> Result<std::sync::MutexGuard<'_, Writer>, Error> {
        if !self.bell.wait_for_room(self.sizes.segments_max) && self.poison.get().is_none() {
            return Err(Error::Poisoned("the archive is gone".to_owned()));
        }
        self.writer()
    }

    /// Writes a checked change; readers see it when it is durable. An error here is final.
    fn make_durable(&self, writer: &mut Writer, change: Change<'_>) -> Result<(), Error> {
        self.encode(&mut writer.block, &change);
        let bytes = writer.block.len();
        let commit = match writer.log.append(&mut writer.block, self.durability) {
            Ok(commit) => commit,
            Err(error) => {
                let error = from_io("writing the log", &error);
                // Whoever came first says why.
                let _ = self.poison.set(error.to_string());
                return Err(error);
            }
        };
        if let Err(error) = writer.mark.set(commit) {
            // Only a witness: the commit itself is durable.
            tracing::warn!(%error, "cannot write the witness of the last commit");
        }
        if bytes > BUFFER_BYTES_MAX {
            writer.block = Vec::new();
        }
        let turns = change.turns.len();
        let waiting = self.settle(change, commit);
        self.count(|stats| {
            stats.commits += 1;
            stats.turns += u64::try_from(turns).unwrap_or(0);
            stats.syncs += u64::from(self.durability == Durability::PowerSafe);
            stats.bytes_written += u64::try_from(bytes).unwrap_or(0);
        });
        self.tell_archive(writer, waiting);
        Ok(())
    }

    fn encode(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        log::begin(out);
        block::put_epoch(out, change.epoch.0);
        if !change.definitions.is_empty() {
            let live = self.live();
            let new = change.definitions.iter();
            let new = new.filter(|(digest, _)| !live.definitions.contains_key(digest));
            new.for_each(|(digest, bytes)| block::put_definition(out, *digest, bytes));
        }
        for run in &change.deletions {
            block::put_deleted(out, *run);
        }
        for (turn, chain) in change.turns.iter().zip(&change.chains) {
            block::put_turn(out, turn, *chain);
        }
        if let Some(at) = change.left_at {
            block::put_left(out, at);
        }
    }

    /// Brings the memory up to what is durable now; says how many things wait for the archive since.
    fn settle(&self, change: Change<'_>, commit: u64) -> usize {
        let mut guard = self.live_mut();
        let live: &mut Live = &mut guard;
        let before = waiting(live);
        live.epoch = change.epoch;
        live.last = commit;
        live.left_at = change.left_at;
        for (digest, bytes) in change.definitions {
            live.define(*digest, bytes, commit);
        }
        let gone = change.deletions.iter().filter_map(|run| live.delete(*run, commit));
        // Dropped only after the lock: freeing thousands of turns takes time.
        let mut gone: Vec<LiveRun> = gone.collect();
        for stored in change.woken {
            live.insert(LiveRun::from_stored(stored));
        }
        for (turn, chain) in change.turns.iter().zip(&change.chains) {
            let known = live.push(turn, *chain, commit);
            debug_assert!(known, "checked before it was written");
        }
        let waiting = waiting(live).saturating_sub(before);
        gone.extend(live.let_go());
        drop(guard);
        drop(gone);
        waiting
    }

    fn tell_archive(&self, writer: &mut Writer, waiting: usize) {
        let short = writer.log.is_short();
        if short {
            self.wants_spare.store(true, std::sync::atomic::Ordering::Release);
        }
        let switched = writer.log.switched();
        if switched {
            self.count_segments();
        }
        self.bell.ring(waiting, short || switched);
    }
}

fn waiting(live: &Live) -> usize {
    live.queue.len() + live.idle.len() + live.deletions.len() + live.new_definitions.len()
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
