//! What the store keeps in memory. Must not live here: how it gets there.
//!
//! Two halves: what readers see, which changes only after a commit is durable, and what the committing thread alone
//! needs. A run lives here from its first turn until all of it is in its history chunks and it has ended.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;

use super::filter::NameFilter;
use super::history::Expected;
use super::index::{StoredHead, Tallies, link};
use super::mark::Mark;
use super::room::Room;
use crate::model::{DefinitionDigest, RunId, WorkflowId};
use crate::store::head::Place;
use crate::store::{Epoch, RunHead, TurnRecord};

/// What readers see.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) epoch: Epoch,
    pub(super) runs: HashMap<RunId, LiveRun>,
    /// The runs above by workflow id.
    names: HashMap<WorkflowId, Named>,
    /// The workflow ids in the database.
    pub(super) stored_names: NameFilter,
    pub(super) definitions: HashSet<DefinitionDigest>,
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
    pub(super) turns: u64,
    /// 0: the run has no head, no name and no mark in the database yet, or else is one value.
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
    pub(super) tail: Vec<Bytes>,
    pub(super) tail_bytes: usize,
    /// The commit that brought the first of them; means nothing when there are none.
    pub(super) tail_from: u64,
    /// Whether the run waits to be written to its history chunks.
    pub(super) queued: bool,
}

/// What only the committing thread needs.
#[derive(Debug)]
pub(super) struct Writer {
    /// The last commit.
    pub(super) last: u64,
    pub(super) tallies: Tallies,
    /// Which runs need which blocks, oldest first: `(tail_from, run)`. Entries that no longer hold are skipped.
    pub(super) pins: VecDeque<(u64, RunId)>,
    /// Runs to be written to their history chunks.
    pub(super) queue: VecDeque<RunId>,
    /// The blocks of the log, oldest first.
    pub(super) blocks: VecDeque<Block>,
    pub(super) log_bytes: usize,
    /// Commits since the last one that took side work along.
    pub(super) postponed: u32,
    /// No run newer than this one has a head in the database.
    pub(super) newest_head: Option<RunId>,
    pub(super) mark: Mark,
    /// Where syncs cost enough for it to matter.
    pub(super) room: Option<Room>,
}

/// One block of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) commit: u64,
    pub(super) chunks: u32,
    pub(super) bytes: usize,
}

/// One run's tail on its way into history chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOut {
    pub(super) run: RunId,
    /// Whether it has not been in the database before.
    pub(super) is_new: bool,
    /// What the chunks hold when it is done.
    pub(super) stored: Stored,
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
            tail_from: 0,
            queued: false,
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

    /// Whether the run needs the block of this commit.
    pub(super) fn pins(&self, commit: u64) -> bool {
        !self.tail.is_empty() && self.tail_from == commit
    }

    /// One more turn, which was checked before; says whether the run now pins the block of this commit.
    pub(super) fn push(&mut self, turn: &TurnRecord, chain: u32, commit: u64) -> bool {
        debug_assert_eq!(chain, link(self.chain, &turn.bytes));
        let pins = self.tail.is_empty();
        if pins {
            self.tail_from = commit;
        }
        self.head.advance(turn);
        self.chain = chain;
        self.tail_bytes += turn.bytes.len();
        self.tail.push(turn.bytes.clone());
        pins
    }

    /// The tail has gone into the history chunks, all of it.
    pub(super) fn written(&mut self, stored: Stored) {
        self.stored = stored;
        self.tail = Vec::new();
        self.tail_bytes = 0;
        self.queued = false;
    }
}

impl Live {
    pub(super) fn insert(&mut self, run: LiveRun) {
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
