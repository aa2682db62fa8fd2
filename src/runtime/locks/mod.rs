//! The engine's locks: one table for all shards, behind a mutex, and the bookkeeping that keeps it shut until it knows of
//! everybody who may hold one. Must not live here: who gets what (that is `table`), or how a run takes a verdict.
//!
//! A run brings its locks to the table after each durable turn, and takes the verdicts with it; when something changes for
//! another run, that run is woken and does the same. So nothing is granted before the request is durable, verdicts cannot
//! be lost, and a run that left memory while it waits or holds is still in the table.
//!
//! After a start (or when a failed store is open again) the table is empty and shut. It opens when every shard has said
//! which of its runs may hold locks, and each of those was made live and came by. A run that cannot be made live does not
//! keep it shut: what can still be read of its history says which locks it asked for, and those are kept for it, held or
//! not, until the engine is started anew. (What it asked for in a part that cannot be read is not known, and so not kept:
//! one damaged run must not stop all others.)

mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{LockName, RunId, WorkflowId};
use crate::store::Epoch;

use self::table::LockTable;
pub(super) use self::table::{Claimant, Request, Synced, Verdict};

/// See the module.
#[derive(Debug)]
pub(super) struct LockDesk {
    shards: usize,
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    /// Of the opening of the store that the table's content is from.
    epoch: Epoch,
    table: LockTable,
    /// The shards that have said whom to expect.
    shards: BTreeSet<usize>,
    expected: HashSet<RunId>,
}

impl LockDesk {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards,
            desk: Mutex::default(),
        }
    }

    /// A shard begins (again) from the store: these runs of it may hold locks. Returns the runs that are to be woken, as
    /// all others do.
    pub(super) fn expect(&self, epoch: Epoch, shard: usize, runs: impl IntoIterator<Item = RunId>) -> Vec<WorkflowId> {
        let Some(mut desk) = self.at(epoch) else {
            return Vec::new();
        };
        desk.shards.insert(shard);
        desk.expected.extend(runs);
        self.open_if_complete(&mut desk)
    }

    /// A run says how it stands, durably.
    pub(super) fn sync(&self, epoch: Epoch, claimant: &Claimant, waiting: &[Request], held: &[LockName]) -> Synced {
        let Some(mut desk) = self.at(epoch) else {
            return Synced::default();
        };
        let mut synced = desk.table.sync(claimant, waiting, held);
        if desk.expected.remove(&claimant.run_id) {
            synced.wake.extend(self.open_if_complete(&mut desk));
        }
        synced
    }

    /// A run has ended.
    pub(super) fn release(&self, epoch: Epoch, run: RunId) -> Vec<WorkflowId> {
        let Some(mut desk) = self.at(epoch) else {
            return Vec::new();
        };
        let mut wake = desk.table.release(run);
        if desk.expected.remove(&run) {
            wake.extend(self.open_if_complete(&mut desk));
        }
        wake
    }

    /// A run cannot be made live: it keeps what it has, and what it may have by what is left of its history.
    pub(super) fn give_up_on(
        &self,
        epoch: Epoch,
        claimant: &Claimant,
        may_hold: impl FnOnce() -> Vec<LockName>,
    ) -> Vec<WorkflowId> {
        if self.at(epoch).is_none_or(|desk| desk.table.knows(claimant.run_id)) {
            return Vec::new();
        }
        // Reads the store: not under the mutex.
        let may_hold = may_hold();
        let Some(mut desk) = self.at(epoch) else {
            return Vec::new();
        };
        let mut wake = Vec::new();
        if !may_hold.is_empty() {
            tracing::error!(
                workflow_id = %claimant.workflow_id, locks = ?may_hold,
                "these locks are kept for a run that cannot be made live"
            );
            wake = desk.table.sync(claimant, &[], &may_hold).wake;
        }
        desk.expected.remove(&claimant.run_id);
        wake.extend(self.open_if_complete(&mut desk));
        wake
    }

    /// Who holds a lock, and who waits for it, first in line first.
    pub(super) fn line(&self, lock: &LockName) -> Vec<(WorkflowId, RunId)> {
        self.lock().table.line(lock)
    }

    fn open_if_complete(&self, desk: &mut Desk) -> Vec<WorkflowId> {
        let complete = desk.shards.len() == self.shards && desk.expected.is_empty();
        match complete && !desk.table.is_open() {
            true => desk.table.open(),
            false => Vec::new(),
        }
    }

    /// The table of this opening of the store; `None` for what is left of an earlier one.
    fn at(&self, epoch: Epoch) -> Option<MutexGuard<'_, Desk>> {
        let mut desk = self.lock();
        if desk.epoch < epoch {
            *desk = Desk {
                epoch,
                ..Desk::default()
            };
        }
        (desk.epoch == epoch).then_some(desk)
    }

    // Whatever is done under the lock leaves the table whole, or panics by a bug of ours that must not stop all runs.
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
