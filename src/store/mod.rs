//! Where turns become durable. Lives here: the `Store` trait (the whole contract between the runtime and any store),
//! and its data. Must not live here: decisions about runs, actors, clocks.
//!
//! A store keeps *turns*: opaque bytes, each with a dense place in its run. It promises that [`Store::commit`] is atomic
//! over the whole batch and durable when it returns, and that it never serves a history that is shorter than, or
//! different from, what was committed: damage is an error that names the run and the place.

mod error;
mod found_by;
mod head;
#[cfg(any(feature = "runtime", feature = "sled"))]
pub(crate) mod maps;
mod memory;
#[cfg(any(feature = "runtime", feature = "sled"))]
pub mod record;
#[cfg(feature = "sled")]
pub mod sled;

pub use error::Error;
pub use found_by::FoundBy;
pub use memory::MemoryStore;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::{DefinitionDigest, NamespaceName, RunId, RunStatus, Timestamp, WorkflowId, WorkflowType};
use crate::visibility::Filter;

/// A durable, ordered store of turns.
///
/// One thread commits (the journal writer); any thread may read at the same time. Reads see exactly what has been
/// committed. Calls block; whoever calls from async code puts a thread in between.
pub trait Store: Send + Sync + 'static {
    /// Makes the whole batch durable, or none of it.
    ///
    /// `epoch` is the ownership that [`Store::claim`] gave; a store that several engines share refuses a batch of an
    /// owner that lost its claim. Turns of one run come in order, and their `seq` continues what is stored.
    ///
    /// # Errors
    /// After [`Error::Poisoned`], [`Error::Full`] or [`Error::Io`] nothing may be assumed about the batch: the store
    /// refuses every further change until it is reopened, and what was durable is seen then. Reads go on and see what
    /// was committed before. [`Error::Fenced`] and
    /// [`Error::Refused`] leave the store as it was.
    fn commit(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error>;

    /// Takes ownership; every earlier owner's epoch is fenced from here on.
    ///
    /// # Errors
    /// When the claim cannot be made durable.
    fn claim(&self) -> Result<Epoch, Error>;

    /// The owner goes: it has begun nothing of what becomes due after this time. Said last of all; whatever is written
    /// later, and every later claim, takes it back.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn leave(&self, epoch: Epoch, at: Timestamp) -> Result<(), Error>;

    /// When the last owner went; `None` when it did not say so, as one that was killed, or when something was written
    /// since.
    fn left_at(&self) -> Option<Timestamp>;

    /// All committed turns of a run, in order; `None` for a run that was never stored (or was deleted).
    ///
    /// # Errors
    /// [`Error::Corrupt`] when any turn of it is missing or damaged.
    fn history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error>;

    /// The first of them, which says what the run is a part of. A store that can should read no more than that.
    ///
    /// # Errors
    /// As for [`Store::history`], which damage in a later turn need not be one of.
    fn first_turn(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        Ok(self.history(run)?.and_then(|turns| turns.into_iter().next()))
    }

    /// The newest run with this workflow id, open or closed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn find(&self, workflow_id: &WorkflowId) -> Result<Option<RunHead>, Error>;

    /// A page of the runs with this workflow id, newest first: those that are older than `before`, and not more than `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn runs_of(&self, workflow_id: &WorkflowId, before: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, Error>;

    /// The head of one run.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn head(&self, run: RunId) -> Result<Option<RunHead>, Error>;

    /// A page of the open runs that must be looked at after a restart, in the order of their ids, from the one after
    /// `after` on, and not more than `limit`: what recovery starts from. Runs that only something from outside can move
    /// are not among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn wakes(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunWake>, Error>;

    /// A page of runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error>;

    /// A page of all runs, in the order of their ids (which is nearly that of their beginnings), from the one after `after` on
    /// to the last one below `below`, and not more than `limit`: what retention looks at.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn oldest(&self, after: Option<RunId>, below: RunId, limit: usize) -> Result<Vec<RunHead>, Error>;

    /// Calls with every matching run, in no particular order, until it is told to stop. `limit` does not count.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit(&self, query: &ListQuery, each: &mut dyn FnMut(&RunHead) -> ControlFlow<()>) -> Result<(), Error> {
        const PAGE: usize = 1_000;
        let mut page = ListQuery {
            limit: PAGE,
            ..query.clone()
        };
        loop {
            let heads = self.list(&page)?;
            let Some(last) = heads.last() else { return Ok(()) };
            page.before = Some(last.run_id);
            if heads.iter().try_for_each(&mut *each).is_break() {
                return Ok(());
            }
        }
    }

    /// The names of the search attributes that runs have, perhaps of runs that are gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn search_attribute_names(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        self.visit(&ListQuery::default(), &mut |head| {
            names.extend(
                head.search_attributes()
                    .into_iter()
                    .flat_map(|attributes| attributes.keys().cloned()),
            );
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }

    /// A saga definition by its digest.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error>;

    /// Tells the store that the run's memory may be returned: nobody will ask for it soon. Only a hint; the store may do
    /// its part in a later commit.
    fn passivate(&self, run: RunId);

    /// Forgets closed runs (retention). Unknown and open ones are left alone. May wait until the store has done its part of
    /// earlier deletions; commits do not.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn delete(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error>;

    /// Reads and checks everything that is stored.
    ///
    /// # Errors
    /// When the check itself cannot be made; damage that was found is in the report.
    fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error>;

    /// Counters for benchmarks and operators.
    fn stats(&self) -> StoreStats;
}

/// Who may commit: larger than every epoch claimed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// `kill -9`, a crash of the operating system, a power cut: written and fsynced before it is acknowledged.
    #[default]
    PowerSafe,
    /// `kill -9` and every other death of the process, but *not* a power cut or a crash of the operating system, which
    /// can lose the last seconds and, since blocks reach the disk in any order, leave a store that refuses to open.
    ProcessSafe,
}

/// What becomes durable together.
#[derive(Clone, Debug, Default)]
pub struct CommitBatch {
    /// Turns of any runs; of one run in order.
    pub turns: Vec<TurnRecord>,
    /// Definitions that these turns refer to, by digest. Storing one again changes nothing.
    pub definitions: Vec<(DefinitionDigest, Bytes)>,
}

/// One turn on its way into the store.
#[derive(Clone, Debug)]
pub struct TurnRecord {
    /// Whose turn.
    pub run_id: RunId,
    /// Its place in the run: 1 for the first, dense.
    pub seq: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// The encoded turn.
    pub bytes: Bytes,
    /// How the run stands after it; a closed status ends the run.
    pub status: RunStatus,
    /// The id that the run's next event will get.
    pub next_event: u64,
    /// When the run must be looked at again after a restart: `None` if only an input from outside can move it.
    pub wake: Option<Timestamp>,
    /// With the first turn: what the run is.
    pub opens: Option<NewRun>,
    /// What the run can be found by from here on, beside its head; `None`: as before.
    pub found_by: Option<Arc<FoundBy>>,
}

/// What a run is: given with its first turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
}

/// One turn out of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTurn {
    /// Its place in the run.
    pub seq: u64,
    /// The encoded turn, as committed.
    pub bytes: Bytes,
}

/// What is known of a run without reading its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHead {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// The execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// How it stands.
    pub status: RunStatus,
    /// The time of its first turn.
    pub started_at: Timestamp,
    /// The time of its last turn, if that ended it.
    pub closed_at: Option<Timestamp>,
    /// How many turns it has.
    pub turns: u64,
    /// The id that its next event would get.
    pub next_event: u64,
    /// When it must be looked at again after a restart.
    pub wake: Option<Timestamp>,
    /// The size of its encoded turns, in bytes.
    pub history_bytes: u64,
    /// What else it can be found by; `None`: nothing, and there never was anything.
    pub found_by: Option<Arc<FoundBy>>,
}

/// When an open run must be looked at after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunWake {
    /// The execution.
    pub run_id: RunId,
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// Its [`RunHead::wake`].
    pub at: Timestamp,
}

/// Which runs to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those of this namespace; `None`: of all.
    pub namespace: Option<NamespaceName>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<RunStatus>,
    /// Only this workflow type.
    pub workflow_type: Option<WorkflowType>,
    /// Only those that a query means.
    pub filter: Option<Filter>,
    /// Only runs older than this one (the last one of the page before).
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            namespace: None,
            statuses: Vec::new(),
            workflow_type: None,
            filter: None,
            before: None,
            limit: 100,
        }
    }
}

impl ListQuery {
    /// Whether the run is one of those asked for, apart from `limit`.
    #[must_use]
    pub fn matches(&self, head: &RunHead) -> bool {
        let is_meant = |namespace: &NamespaceName| head.workflow_id.namespace() == namespace.as_str();
        self.namespace.as_ref().is_none_or(is_meant)
            && (self.statuses.is_empty() || self.statuses.contains(&head.status))
            && self
                .workflow_type
                .as_ref()
                .is_none_or(|wanted| *wanted == head.workflow_type)
            && self.before.is_none_or(|before| head.run_id < before)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&head.subject()))
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VerifyProgress {
    /// Runs checked so far.
    pub runs: u64,
    /// Turns checked so far.
    pub turns: u64,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Runs checked.
    pub runs: u64,
    /// Turns checked.
    pub turns: u64,
    /// Bytes of turns checked.
    pub bytes: u64,
    /// Everything that is wrong; empty when all is well.
    pub problems: Vec<Problem>,
}

/// Damage found by a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The run concerned, if it is known.
    pub run: Option<RunId>,
    /// What is wrong, and where.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.run {
            Some(run) => write!(f, "run {run}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Counters since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Commits made.
    pub commits: u64,
    /// Turns in them.
    pub turns: u64,
    /// fsyncs or fdatasyncs issued by us.
    pub syncs: u64,
    /// Bytes handed to the storage engine, framing and index included.
    pub bytes_written: u64,
    /// Bytes on disk now, if the store has a disk.
    pub bytes_on_disk: u64,
}
