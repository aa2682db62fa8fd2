//! What one commit writes: collected here key by key, together with the side work that a commit takes along (history
//! chunks of runs that ended or grew, dropping old log blocks). Must not live here: input and output.
//!
//! Side work is bounded for each commit, so that none waits long for it, and the bounds grow with what comes in, so
//! that nothing piles up. A commit whose block fits one value leaves it to a later one: a single write needs no batch,
//! which sled frames with a write of its own, so that such a commit costs one write to the disk instead of two.

use std::collections::HashSet;

use bytes::Bytes;

use super::block::{BlockWriter, Header};
use super::frame::{self, Chunks, VALUE_BYTES_MAX};
use super::history;
use super::index::{StoredHead, definition_mark, head_mark, run_mark};
use super::keys::{self, Key};
use super::state::{Block, Live, LiveRun, Stored, WriteOut, Writer};
use crate::model::{DefinitionDigest, RunId};
use crate::store::{Epoch, TurnRecord};

/// Bytes of the log from which on open runs are moved out of it, so that it can be dropped: what recovery reads, and
/// about what open runs hold in memory.
const LOG_BYTES_TARGET: usize = 32 * 1024 * 1024;

/// Runs written out with one commit, if no more are waiting: three keys each, and a thousand keys is where sled's
/// batches begin to cost memory.
const WRITE_OUTS_MAX: usize = 256;

/// Bytes written out with one commit, if it does not bring more itself.
const WRITE_OUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Log keys removed with one commit, if it does not bring more itself.
const TRUNCATIONS_MAX: usize = 256;

/// Commits in a row that may leave their side work to the next one.
const POSTPONED_MAX: u32 = 32;

/// What a commit is to change.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) epoch: Epoch,
    pub(super) turns: &'a [TurnRecord],
    /// The chain of the turn's run after each of the turns.
    pub(super) chains: Vec<u32>,
    pub(super) definitions: &'a [(DefinitionDigest, Bytes)],
    pub(super) deletions: Vec<Deletion>,
}

/// A run that ended and is to be forgotten.
pub(super) struct Deletion {
    pub(super) run: RunId,
    /// What the database has of it.
    pub(super) on_disk: Option<StoredHead>,
    /// Whether it is still in memory.
    pub(super) in_memory: bool,
}

/// What a commit writes, and what it means for the memory once it is durable.
pub(super) struct Plan {
    pub(super) writes: Writes,
    pub(super) bytes: usize,
    pub(super) block: Block,
    pub(super) write_outs: Vec<WriteOut>,
    pub(super) new_definitions: Vec<DefinitionDigest>,
}

/// Keys to be set or removed, all or none; the last word on a key counts.
pub(super) type Writes = Vec<(Key, Option<Vec<u8>>)>;

/// Builds a plan. The writer's half of the state is moved ahead at once: if the commit fails, nothing more is accepted.
pub(super) fn build(writer: &mut Writer, live: &Live, change: &Change<'_>) -> Plan {
    let commit = writer.last.saturating_add(1);
    let mut builder = Builder {
        writes: Writes::new(),
        bytes: 0,
    };
    let with_side_work = !may_postpone(writer, live, change);
    writer.postponed = if with_side_work { 0 } else { writer.postponed + 1 };
    let write_outs = match with_side_work {
        true => builder.write_outs(writer, live, change),
        false => Vec::new(),
    };
    let new_definitions = builder.definitions(writer, live, change.definitions);
    for deletion in &change.deletions {
        builder.delete(writer, deletion);
    }
    let header = Header {
        epoch: change.epoch.0,
        horizon: writer.pins.front().map_or(commit, |(block, _)| *block),
        tallies: writer.tallies,
    };
    let mut log = BlockWriter::new(&header, change.turns);
    for deletion in &change.deletions {
        log.deleted(deletion.run);
    }
    for (turn, chain) in change.turns.iter().zip(&change.chains) {
        log.turn(turn, *chain);
    }
    let values = log.finish(commit);
    let block = Block {
        commit,
        chunks: u32::try_from(values.len()).unwrap_or(u32::MAX),
        bytes: values.iter().map(|(_, value)| value.len()).sum(),
    };
    if with_side_work {
        builder.truncate(writer, header.horizon, values.len());
    }
    builder.insert_all(values);
    writer.last = commit;
    writer.log_bytes = writer.log_bytes.saturating_add(block.bytes);
    writer.blocks.push_back(block);
    Plan {
        writes: builder.writes,
        bytes: builder.bytes,
        block,
        write_outs,
        new_definitions,
    }
}

/// Whether the commit is a single value, and it is not yet time for what was postponed.
fn may_postpone(writer: &Writer, live: &Live, change: &Change<'_>) -> bool {
    // A commit without turns has the time; it is also how the store is asked to tidy up.
    !change.turns.is_empty()
        && writer.postponed < POSTPONED_MAX
        && writer.log_bytes < LOG_BYTES_TARGET
        && change.deletions.is_empty()
        && change
            .definitions
            .iter()
            .all(|(digest, _)| live.definitions.contains(digest))
        && BlockWriter::fits_one_value(change.turns)
}

struct Builder {
    writes: Writes,
    bytes: usize,
}

impl Builder {
    fn insert(&mut self, key: Key, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.writes.push((key, Some(value)));
    }

    fn remove(&mut self, key: Key) {
        self.writes.push((key, None));
    }

    fn insert_all(&mut self, values: Vec<(Key, Vec<u8>)>) {
        for (key, value) in values {
            self.insert(key, value);
        }
    }

    fn insert_empty(&mut self, key: Key) {
        let value = frame::seal(&key, frame::begin(0));
        self.insert(key, value);
    }

    /// Moves tails into history chunks: of runs that asked for it, and, when the log is too long, of those that keep
    /// its oldest blocks.
    fn write_outs(&mut self, writer: &mut Writer, live: &Live, change: &Change<'_>) -> Vec<WriteOut> {
        let incoming: usize = change.turns.iter().map(|turn| turn.bytes.len()).sum();
        let bytes_max = WRITE_OUT_BYTES_MAX.max(incoming.saturating_mul(2));
        let runs_max = WRITE_OUTS_MAX.max(writer.queue.len() / 2);
        let mut done = Vec::new();
        let mut chosen = HashSet::new();
        let doomed = |run: &RunId| change.deletions.iter().any(|deletion| deletion.run == *run);
        while done.len() < runs_max && self.bytes < bytes_max {
            let Some(id) = writer.queue.pop_front() else { break };
            let waiting = live.runs.get(&id).filter(|run| !run.tail.is_empty());
            if let Some(run) = waiting.filter(|_| !doomed(&id))
                && chosen.insert(id)
            {
                done.push(self.write_out(writer, run));
            }
        }
        let pins_max = done.len().saturating_add(WRITE_OUTS_MAX.max(change.turns.len()));
        while let Some((block, id)) = writer.pins.front().copied() {
            let pinning = live.runs.get(&id).filter(|run| run.pins(block));
            if let Some(run) = pinning.filter(|_| !doomed(&id))
                && !chosen.contains(&id)
            {
                let enough = done.len() >= pins_max || self.bytes >= bytes_max;
                if writer.log_bytes < LOG_BYTES_TARGET || enough {
                    break;
                }
                chosen.insert(id);
                done.push(self.write_out(writer, run));
            }
            writer.pins.pop_front();
        }
        done
    }

    fn write_out(&mut self, writer: &mut Writer, run: &LiveRun) -> WriteOut {
        let (id, before) = (run.head.run_id, run.stored);
        let (added, turns) = self.turns(run);
        let stored = Stored {
            turns: run.head.turns,
            chunks: before.chunks.saturating_add(added),
            chain: run.chain,
        };
        let key = keys::head(id);
        let head = StoredHead {
            head: run.head.clone(),
            chunks: stored.chunks,
            chain: stored.chain,
        };
        let value = head.encode(&key, &turns);
        self.insert(key, value);

        let (tallies, closed) = (&mut writer.tallies, run.head.status.is_closed());
        if before.chunks == 0 {
            self.insert_empty(keys::name(&run.head.workflow_id, id));
            tallies.names.add(run_mark(id));
        } else {
            tallies.heads.remove(head_mark(id, before));
        }
        tallies.heads.add(head_mark(id, stored));
        match (before.chunks == 0, closed) {
            (true, false) => {
                self.insert_empty(keys::open(id));
                tallies.open.add(run_mark(id));
            }
            (false, true) => {
                self.remove(keys::open(id));
                tallies.open.remove(run_mark(id));
            }
            _ => {}
        }
        writer.newest_head = writer.newest_head.max(Some(id));
        WriteOut {
            run: id,
            is_new: before.chunks == 0,
            stored,
        }
    }

    /// Writes a tail into chunks, and says into how many; or gives it back as what goes behind the run's head.
    fn turns(&mut self, run: &LiveRun) -> (u32, Vec<u8>) {
        let (id, before) = (run.head.run_id, run.stored);
        let bytes = StoredHead::bytes_max(&run.head).saturating_add(history::piece_bytes(&run.tail));
        if before.chunks == 0 && run.head.status.is_closed() && bytes <= VALUE_BYTES_MAX {
            return (0, history::whole(&run.tail));
        }
        let piece = history::piece(id, before.chunks, before.turns.saturating_add(1), &run.tail);
        let added = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.insert_all(piece);
        (added, Vec::new())
    }

    fn definitions(
        &mut self,
        writer: &mut Writer,
        live: &Live,
        definitions: &[(DefinitionDigest, Bytes)],
    ) -> Vec<DefinitionDigest> {
        let mut new = Vec::new();
        for (digest, bytes) in definitions {
            if live.definitions.contains(digest) || new.contains(digest) {
                continue;
            }
            let mut chunks = Chunks::new(bytes.len());
            chunks.put(bytes);
            self.insert_all(chunks.finish(|chunk| keys::definition(*digest, chunk)));
            writer.tallies.definitions.add(definition_mark(*digest));
            new.push(*digest);
        }
        new
    }

    fn delete(&mut self, writer: &mut Writer, deletion: &Deletion) {
        let Some(stored) = &deletion.on_disk else { return };
        let run = deletion.run;
        for chunk in 0..stored.chunks {
            self.remove(keys::history(run, chunk));
        }
        self.remove(keys::head(run));
        self.remove(keys::name(&stored.head.workflow_id, run));
        writer.tallies.heads.remove(stored.mark());
        writer.tallies.names.remove(run_mark(run));
        if !stored.head.status.is_closed() {
            // It ended since, in the log, and was not written out again.
            self.remove(keys::open(run));
            writer.tallies.open.remove(run_mark(run));
        }
    }

    /// Removes log blocks before the horizon, oldest first, so that what is left has no holes.
    fn truncate(&mut self, writer: &mut Writer, horizon: u64, new_chunks: usize) {
        let mut removed = 0;
        while let Some(block) = writer.blocks.front().copied() {
            if block.commit >= horizon || removed >= TRUNCATIONS_MAX.max(new_chunks.saturating_mul(2)) {
                break;
            }
            for chunk in 0..block.chunks {
                self.remove(keys::log(block.commit, chunk));
                removed += 1;
            }
            writer.log_bytes = writer.log_bytes.saturating_sub(block.bytes);
            writer.blocks.pop_front();
        }
    }
}
