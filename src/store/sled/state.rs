//! What the store keeps in memory. Must not live here: how it gets there.
//!
//! What readers see, which changes only after a commit is durable; with it, what waits for the archive. A run lives here
//! while some of it is only in the log. One that is wholly in the database leaves, whether it has ended or not, and comes
//! back with its next turn: what waits for long costs no memory.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::filter::NameFilter;
use super::history::Expected;
use super::index::{StoredHead, link};
use super::log::Log;
use super::mark::Mark;
use crate::model::{DefinitionDigest, RunId, Timestamp, WorkflowId};
use crate::store::head::Place;
use crate::store::maps::{IdMap, IdSet};
use crate::store::{Epoch, FoundBy, RunHead, TurnRecord};

/// Bytes of turns from which on a run's tail goes to the database although the run is open: four values.
const TAIL_BYTES_MAX: usize = 16 * 1024;

/// Names of search attributes that are known.
pub(super) const ATTRIBUTE_NAMES_MAX: usize = 1_000;

/// Entries for which a table has room whatever is in it.
const ROOM_KEPT: usize = 4_096;

/// What readers see, and what waits.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) epoch: Epoch,
    pub(super) runs: IdMap<RunId, LiveRun>,
    /// The runs above by workflow id.
    names: IdMap<WorkflowId, Named>,
    /// The workflow ids in the database.
    pub(super) stored_names: NameFilter,
    /// With their bytes as long as they are only in the log.
    pub(super) definitions: IdMap<DefinitionDigest, Option<Bytes>>,
    /// The last commit.
    pub(super) last: u64,
    /// What it says of its owner, if that has gone.
    pub(super) left_at: Option<Timestamp>,
    /// No run newer than this one has a head in the database.
    pub(super) newest_head: Option<RunId>,
    /// Which runs need which commits in the log, oldest first: `(first commit, run)`. Entries that no longer hold are
    /// skipped.
    pub(super) pins: VecDeque<(u64, RunId)>,
    /// Runs that wait for the archive.
    pub(super) queue: VecDeque<RunId>,
    /// Runs that wait behind those, because they are open and their memory may be returned.
    pub(super) idle: BTreeSet<RunId>,
    /// Definitions that are only in the log, with their commits.
    pub(super) new_definitions: VecDeque<(u64, DefinitionDigest)>,
    /// Runs that were deleted, but may still be in the database, with their commits.
    pub(super) deletions: VecDeque<(u64, RunId)>,
    pub(super) deleted: IdSet<RunId>,
    /// The search attributes that runs have, or had since the store was opened.
    pub(super) attribute_names: BTreeSet<String>,
    /// Open runs that are wholly in the database. They leave when no commit is under way, which may have looked at them
    /// here, and relies on it.
    leaving: Vec<RunId>,
}

/// The runs of one workflow id. More than one only while an older one has ended but is not written out yet.
#[derive(Debug)]
struct Named {
    newest: RunId,
    older: Vec<RunId>,
}

/// What a run's history chunks hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// 0: the run has no head, no name and no mark in the database yet.
    pub(super) turns: u64,
    /// 0 although there are turns: they are behind the run's head.
    pub(super) chunks: u32,
    pub(super) chain: u32,
}

/// A run that is open, or not yet wholly in its history chunks.
#[derive(Clone, Debug)]
pub(super) struct LiveRun {
    pub(super) head: RunHead,
    pub(super) chain: u32,
    pub(super) stored: Stored,
    /// The turns that are only in the log.
    pub(super) tail: Vec<Logged>,
    pub(super) tail_bytes: usize,
    /// Whether the run waits for the archive.
    pub(super) queued: bool,
    /// Whether the archive is at it.
    pub(super) taken: bool,
}

/// A turn in memory.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    /// The commit that brought it.
    pub(super) commit: u64,
    pub(super) bytes: Bytes,
}

/// What only the committing thread needs.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) mark: Mark,
    /// Kept from commit to commit.
    pub(super) block: Vec<u8>,
}

impl Stored {
    pub(super) fn expected(self, run: RunId) -> Expected {
        Expected {
            run,
            chunks: self.chunks,
            turns: self.turns,
            chain: self.chain,
        }
    }
}

impl LiveRun {
    /// A run before its first turn.
    pub(super) fn new(head: RunHead) -> Self {
        Self {
            head,
            chain: 0,
            stored: Stored::default(),
            tail: Vec::new(),
            tail_bytes: 0,
            queued: false,
            taken: false,
        }
    }

    /// An open run as its head in the database tells it.
    pub(super) fn from_stored(stored: StoredHead) -> Self {
        Self {
            chain: stored.chain,
            stored: stored.stored(),
            ..Self::new(stored.head)
        }
    }

    pub(super) fn place(&self) -> Place {
        self.head.place()
    }

    /// The oldest commit that the run needs in the log.
    pub(super) fn pinned(&self) -> Option<u64> {
        self.tail.first().map(|turn| turn.commit)
    }

    /// One more turn, which was checked before.
    fn push(&mut self, turn: &TurnRecord, chain: u32, commit: u64) {
        debug_assert_eq!(chain, link(self.chain, &turn.bytes));
        self.head.advance(turn);
        self.chain = chain;
        self.tail_bytes += turn.bytes.len();
        let bytes = turn.bytes.clone();
        self.tail.push(Logged { commit, bytes });
    }

    /// So many turns of the tail have gone into the database.
    fn archived(&mut self, turns: usize, stored: Stored) {
        self.stored = stored;
        let gone = self.tail.drain(..turns.min(self.tail.len()));
        self.tail_bytes -= gone.map(|turn| turn.bytes.len()).sum::<usize>();
        if self.tail.is_empty() {
            self.tail = Vec::new();
        }
        (self.queued, self.taken) = (false, false);
    }
}

impl Live {
    /// One more turn of a commit that is durable; `false` when the run is not here and the turn does not open it.
    pub(super) fn push(&mut self, turn: &TurnRecord, chain: u32, commit: u64) -> bool {
        if let Some(head) = RunHead::opened_by(turn) {
            self.insert(LiveRun::new(head));
        }
        let id = turn.run_id;
        let Some(run) = self.runs.get_mut(&id) else {
            return false;
        };
        if run.tail.is_empty() {
            self.pins.push_back((commit, id));
        }
        run.push(turn, chain, commit);
        if let Some(found_by) = &turn.found_by {
            know(&mut self.attribute_names, found_by);
        }
        let full = turn.status.is_closed() || run.tail_bytes > TAIL_BYTES_MAX;
        if full && !std::mem::replace(&mut run.queued, true) {
            self.queue.push_back(id);
        }
        true
    }

    /// A run of which the memory may be returned waits for the archive.
    pub(super) fn queue_idle(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id)
            && !run.tail.is_empty()
            && !std::mem::replace(&mut run.queued, true)
        {
            self.idle.insert(id);
        }
    }

    /// Lets go of open runs that are wholly in the database; no commit may be under way. They are dropped by the caller,
    /// after the lock.
    pub(super) fn let_go(&mut self) -> Vec<LiveRun> {
        let leaving = std::mem::take(&mut self.leaving);
        let gone = leaving.into_iter().filter_map(|id| {
            let run = self.runs.get(&id)?;
            (run.tail.is_empty() && run.stored.turns > 0).then(|| self.remove(id))?
        });
        let gone: Vec<LiveRun> = gone.collect();
        self.shrink();
        gone
    }

    /// Tables grow with what there is at once, but never get smaller by themselves.
    fn shrink(&mut self) {
        let roomy = |len: usize, capacity: usize| capacity > ROOM_KEPT && capacity / 8 > len;
        if roomy(self.runs.len(), self.runs.capacity()) {
            self.runs.shrink_to(self.runs.len() * 2);
        }
        if roomy(self.names.len(), self.names.capacity()) {
            self.names.shrink_to(self.names.len() * 2);
        }
        if roomy(self.pins.len(), self.pins.capacity()) {
            self.pins.shrink_to(self.pins.len() * 2);
        }
        if roomy(self.queue.len(), self.queue.capacity()) {
            self.queue.shrink_to(self.queue.len() * 2);
        }
    }

    /// A definition that came with this commit, if it is new.
    pub(super) fn define(&mut self, digest: DefinitionDigest, bytes: &Bytes, commit: u64) {
        if let Entry::Vacant(entry) = self.definitions.entry(digest) {
            entry.insert(Some(bytes.clone()));
            self.new_definitions.push_back((commit, digest));
        }
    }

    /// Forgets a run that was deleted in this commit.
    pub(super) fn delete(&mut self, run: RunId, commit: u64) -> Option<LiveRun> {
        self.deletions.push_back((commit, run));
        self.deleted.insert(run);
        self.remove(run)
    }

    /// The oldest commit that is needed in the log, apart from what the archive is at.
    pub(super) fn horizon(&mut self) -> u64 {
        while let Some((commit, id)) = self.pins.front() {
            let run = self.runs.get(id).filter(|run| !run.taken);
            if run.is_some_and(|run| run.pinned() == Some(*commit)) {
                break;
            }
            self.pins.pop_front();
        }
        let pinned = self.pins.front().map(|(commit, _)| *commit);
        let defined = self.new_definitions.front().map(|(commit, _)| *commit);
        let deleted = self.deletions.front().map(|(commit, _)| *commit);
        // Nothing else tells whoever opens the store next.
        let left = self.left_at.map(|_| self.last);
        let oldest = [pinned, defined, deleted, left].into_iter().flatten().min();
        oldest.unwrap_or_else(|| self.last.saturating_add(1))
    }

    /// So many turns of a run are in the database, of which this is now to be found there; gives the run if it has ended
    /// and is no longer needed here.
    pub(super) fn archived(&mut self, id: RunId, turns: usize, stored: Stored) -> Option<LiveRun> {
        // Another one, if it was deleted and began again meanwhile.
        let run = self.runs.get_mut(&id).filter(|run| run.taken)?;
        run.archived(turns, stored);
        let place = run.place();
        let Some(commit) = run.pinned() else {
            if !place.closed {
                self.leaving.push(id);
            }
            return place.closed.then(|| self.remove(id)).flatten();
        };
        if place.closed || run.tail_bytes > TAIL_BYTES_MAX {
            run.queued = true;
            self.queue.push_back(id);
        }
        // What came meanwhile; others may have come since.
        let at = self.pins.partition_point(|(pinned, _)| *pinned <= commit);
        self.pins.insert(at, (commit, id));
        None
    }

    pub(super) fn insert(&mut self, run: LiveRun) {
        if let Some(found_by) = &run.head.found_by {
            know(&mut self.attribute_names, found_by);
        }
        let id = run.head.run_id;
        match self.names.entry(run.head.workflow_id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Named {
                    newest: id,
                    older: Vec::new(),
                });
            }
            Entry::Occupied(mut entry) => entry.get_mut().add(id),
        }
        self.runs.insert(id, run);
    }

    pub(super) fn remove(&mut self, run: RunId) -> Option<LiveRun> {
        let removed = self.runs.remove(&run)?;
        if let Some(named) = self.names.get_mut(&removed.head.workflow_id)
            && !named.remove(run)
        {
            self.names.remove(&removed.head.workflow_id);
        }
        Some(removed)
    }

    /// The newest run in memory with this id.
    pub(super) fn newest(&self, workflow_id: &WorkflowId) -> Option<&LiveRun> {
        let named = self.names.get(workflow_id)?;
        self.runs.get(&named.newest)
    }

    /// All runs in memory with this id, in no order.
    pub(super) fn runs_of(&self, workflow_id: &WorkflowId) -> impl Iterator<Item = &LiveRun> {
        let named = self.names.get(workflow_id).into_iter();
        let runs = named.flat_map(|named| std::iter::once(&named.newest).chain(&named.older));
        runs.filter_map(|run| self.runs.get(run))
    }
}

fn know(names: &mut BTreeSet<String>, found_by: &FoundBy) {
    for name in found_by.search_attributes.keys() {
        // Names that are made of data must not fill the memory.
        if names.len() < ATTRIBUTE_NAMES_MAX && !names.contains(name) {
            names.insert(name.clone());
        }
    }
}

impl Named {
    fn add(&mut self, run: RunId) {
        let older = self.newest.min(run);
        self.newest = self.newest.max(run);
        self.older.push(older);
    }

    /// `false` when none is left.
    fn remove(&mut self, run: RunId) -> bool {
        if self.newest != run {
            self.older.retain(|older| *older != run);
            return true;
        }
        let Some(next) = self.older.iter().copied().max() else {
            return false;
        };
        self.newest = next;
        self.older.retain(|older| *older != next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunStatus;
    use crate::testing::store_conformance::{run_id, turn};

    #[test]
    fn the_newest_run_of_an_id_is_known_whatever_comes_and_goes() {
        let id = WorkflowId::from_trusted("same");
        let mut live = Live::default();
        for number in [2, 5, 1, 4] {
            let mut head = RunHead::opened_by(&turn(number, 1, 1, RunStatus::Running)).unwrap();
            head.workflow_id = id.clone();
            live.insert(LiveRun::new(head));
        }
        for (removed, newest) in [(2, Some(5)), (5, Some(4)), (4, Some(1)), (1, None)] {
            assert!(live.remove(run_id(removed)).is_some());
            assert_eq!(live.newest(&id).map(|run| run.head.run_id), newest.map(run_id));
        }
        assert!(live.names.is_empty());
    }
}
