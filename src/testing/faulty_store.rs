//! A store whose disk fails when a test says so. Lives here: failing, holding up and counting what a real store below
//! does. Must not live here: keeping anything.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::model::{DefinitionDigest, RunId, Timestamp, WorkflowId};
use crate::store::{
    CommitBatch, Epoch, Error, ListQuery, RunHead, RunWake, Store, StoreStats, StoredTurn, VerifyProgress, VerifyReport,
};

/// What becomes of a commit that fails. Its caller is told the same whether it was lost or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing of it is kept.
    Lost,
    /// All of it is kept: only the answer was lost.
    Kept,
    /// Nothing of it is kept, and the store panics.
    Panics,
}

/// Decides when the stores that it wraps fail; keep a clone in the test.
///
/// After a failed commit a store refuses everything, as the contract says, until it is opened again.
///
/// ```
/// use amends::store::{Epoch, MemoryStore, Store};
/// use amends::testing::{CommitFault, StoreFaults};
///
/// let (faults, memory) = (StoreFaults::new(), MemoryStore::new());
/// faults.fail_commit(1, CommitFault::Lost);
/// let store = faults.wrap(Box::new(memory.clone()))?;
/// let epoch = store.claim()?;
/// assert!(store.commit(epoch, &Default::default()).is_err());
/// assert!(store.commit(epoch, &Default::default()).is_err(), "until it is opened again");
/// let store = faults.wrap(Box::new(memory))?;
/// assert!(store.commit(store.claim()?, &Default::default()).is_ok());
/// # Ok::<(), amends::store::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct StoreFaults {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    opens: u64,
    fail_commits: Vec<(u64, CommitFault)>,
    fail_opens: u64,
    held: bool,
    waiting: u64,
    largest_commit: usize,
}

impl StoreFaults {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the `nth` commit from now on fail; 1 is the next one.
    pub fn fail_commit(&self, nth: u64, fault: CommitFault) {
        let mut plan = self.lock();
        let at = plan.commits.saturating_add(nth);
        plan.fail_commits.push((at, fault));
    }

    /// Lets the next so many attempts to open the store fail.
    pub fn fail_opens(&self, times: u64) {
        self.lock().fail_opens = times;
    }

    /// Lets commits wait from now on, until [`release`](Self::release).
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Lets commits go on.
    pub fn release(&self) {
        self.lock().held = false;
        self.shared.changed.notify_all();
    }

    /// Blocks until a commit waits, because commits are held.
    pub fn until_held(&self) {
        let mut plan = self.lock();
        while plan.waiting == 0 {
            plan = self.shared.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many commits were tried.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// How often the store was opened, or was tried to be.
    #[must_use]
    pub fn opens(&self) -> u64 {
        self.lock().opens
    }

    /// Bytes of turns in the largest commit that was tried.
    #[must_use]
    pub fn largest_commit(&self) -> usize {
        self.lock().largest_commit
    }

    /// A store that was just opened, as one that may fail.
    ///
    /// # Errors
    /// When opening was to fail.
    pub fn wrap(&self, store: Box<dyn Store>) -> Result<Box<dyn Store>, Error> {
        let mut plan = self.lock();
        plan.opens += 1;
        if plan.fail_opens > 0 {
            plan.fail_opens -= 1;
            return Err(Error::Io("opening was to fail".to_owned()));
        }
        drop(plan);
        Ok(Box::new(FaultyStore {
            below: store,
            faults: self.clone(),
            poisoned: Mutex::new(false),
        }))
    }

    // Nothing under the lock can panic, so a poisoned plan is still whole.
    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a commit, waits if commits are held, and says how it is to fail.
    fn commit(&self, batch: &CommitBatch) -> Option<CommitFault> {
        let mut plan = self.lock();
        plan.commits += 1;
        let number = plan.commits;
        let bytes = batch.turns.iter().map(|turn| turn.bytes.len()).sum();
        plan.largest_commit = plan.largest_commit.max(bytes);
        plan.waiting += 1;
        self.shared.changed.notify_all();
        while plan.held {
            plan = self.shared.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
        plan.waiting -= 1;
        let at = plan.fail_commits.iter().position(|(nth, _)| *nth == number)?;
        Some(plan.fail_commits.swap_remove(at).1)
    }
}

impl fmt::Debug for StoreFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreFaults").field(&*self.lock()).finish()
    }
}

struct FaultyStore {
    below: Box<dyn Store>,
    faults: StoreFaults,
    poisoned: Mutex<bool>,
}

impl FaultyStore {
    fn write<T>(&self, fault: Option<CommitFault>, write: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let mut poisoned = self.poisoned.lock().unwrap_or_else(PoisonError::into_inner);
        if *poisoned {
            return Err(Error::Poisoned("an earlier commit was to fail".to_owned()));
        }
        match fault {
            None => write(),
            Some(fault) => {
                *poisoned = true;
                match fault {
                    CommitFault::Lost => {}
                    CommitFault::Kept => drop(write()?),
                    CommitFault::Panics => panic!("the commit was to panic"),
                }
                Err(Error::Io("the commit was to fail".to_owned()))
            }
        }
    }
}

impl Store for FaultyStore {
    fn commit(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error> {
        let fault = self.faults.commit(batch);
        self.write(fault, || self.below.commit(epoch, batch))
    }

    fn claim(&self) -> Result<Epoch, Error> {
        self.write(None, || self.below.claim())
    }

    fn leave(&self, epoch: Epoch, at: Timestamp) -> Result<(), Error> {
        self.write(None, || self.below.leave(epoch, at))
    }

    fn left_at(&self) -> Option<Timestamp> {
        self.below.left_at()
    }

    fn history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error> {
        self.below.history(run)
    }

    fn first_turn(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        self.below.first_turn(run)
    }

    fn find(&self, workflow_id: &WorkflowId) -> Result<Option<RunHead>, Error> {
        self.below.find(workflow_id)
    }

    fn runs_of(&self, workflow_id: &WorkflowId, before: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, Error> {
        self.below.runs_of(workflow_id, before, limit)
    }

    fn head(&self, run: RunId) -> Result<Option<RunHead>, Error> {
        self.below.head(run)
    }

    fn wakes(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunWake>, Error> {
        self.below.wakes(after, limit)
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error> {
        self.below.list(query)
    }

    fn oldest(&self, after: Option<RunId>, below: RunId, limit: usize) -> Result<Vec<RunHead>, Error> {
        self.below.oldest(after, below, limit)
    }

    fn visit(&self, query: &ListQuery, each: &mut dyn FnMut(&RunHead) -> ControlFlow<()>) -> Result<(), Error> {
        self.below.visit(query, each)
    }

    fn search_attribute_names(&self) -> Result<BTreeSet<String>, Error> {
        self.below.search_attribute_names()
    }

    fn definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        self.below.definition(digest)
    }

    fn passivate(&self, run: RunId) {
        self.below.passivate(run);
    }

    fn delete(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error> {
        self.write(None, || self.below.delete(epoch, runs))
    }

    fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        self.below.verify(progress)
    }

    fn stats(&self) -> StoreStats {
        self.below.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::testing::store_conformance::{self, Open};

    #[test]
    fn without_faults_it_is_the_store_below() {
        let mut memory = MemoryStore::new();
        store_conformance::check(&mut |open| {
            if open == Open::Fresh {
                memory = MemoryStore::new();
            }
            StoreFaults::new().wrap(Box::new(memory.clone())).unwrap()
        });
    }

    #[test]
    fn a_commit_that_fails_is_lost_or_kept_as_planned() {
        for (fault, kept) in [(CommitFault::Lost, 0), (CommitFault::Kept, 1)] {
            let (faults, memory) = (StoreFaults::new(), MemoryStore::new());
            faults.fail_commit(1, fault);
            faults.fail_opens(1);
            assert!(faults.wrap(Box::new(memory.clone())).is_err());
            let store = faults.wrap(Box::new(memory.clone())).unwrap();
            let epoch = store.claim().unwrap();
            let batch = CommitBatch {
                turns: vec![store_conformance::turn(1, 1, 10, crate::model::RunStatus::Running)],
                definitions: Vec::new(),
            };
            assert!(matches!(store.commit(epoch, &batch), Err(Error::Io(_))));
            assert!(matches!(store.commit(epoch, &batch), Err(Error::Poisoned(_))));
            assert_eq!(memory.list(&ListQuery::default()).unwrap().len(), kept, "{fault:?}");
            assert_eq!((faults.commits(), faults.opens(), faults.largest_commit()), (2, 2, 10));
        }
    }
}
