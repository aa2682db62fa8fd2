//! The durable store on sled. Lives here: `SledStore`, its options and what holds its parts together. Must not live
//! here: anything that another room would have to know about sled.
//!
//! ```text
//! commit  --> log      one write, one fdatasync; then readers see it in memory
//! archive --> sled     behind it, in bulk: what ended, grew, was passivated or holds up the log
//!         --> log      segments that sled has wholly and durably are used again
//! ```
//!
//! A turn is written twice: at once into the log (`log`), and later, with the rest of its run, into the database
//! (`archive`). Only what is durable in the log goes there, so that nothing can be read that is not durable, and a run is
//! always whole: what the database has, and the log behind it.
//!
//! What becomes durable when: a commit is acknowledged after its block is synced. A round of the archive is one batch,
//! with the *horizon* in it: the first commit that is still needed in the log. It is synced before the next round, or
//! when a segment of the log is to be dropped. Opening begins with the state that the database is in, whichever round
//! that is of, and reads the log from its horizon on; a log that begins later is an error. A new store has its log first,
//! then the record of its format in the database, which says that there is a store.
//!
//! What sled 0.34 does not do itself is done here: it never syncs its file, and yet writes over what it has written
//! elsewhere (we sync, through our own handle, before it may), it writes when somebody reads (`apply` leaves it nothing to
//! write), it takes damage for an unfinished write (checksums, chains, tallies and a witness tell), it panics on damaged
//! files (errors here), and a kill while it opens makes it unopenable (`open` cleans up).

mod apply;
mod archive;
mod attributes;
mod bell;
mod block;
mod codec;
mod commit;
mod filter;
mod found_by;
mod frame;
mod history;
mod index;
mod keys;
mod log;
mod mark;
mod open;
mod pack;
mod pages;
mod query;
mod quiet;
mod read;
mod recover;
mod round;
mod state;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use bytes::Bytes;

use self::archive::Archive;
use self::bell::Bell;
use self::log::{SharedFiles, Sizes};
use self::quiet::quietly;
use self::state::{Live, Writer};
use super::{
    CommitBatch, Durability, Epoch, Error, ListQuery, RunHead, RunWake, Store, StoreStats, StoredTurn, VerifyProgress,
    VerifyReport,
};
use crate::model::{DefinitionDigest, RunId, Timestamp, WorkflowId, limits};

/// Bytes of turns and definitions in one commit, which is encoded in memory before it is written; a single turn may have
/// 50 MiB.
pub const COMMIT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How a [`SledStore`] is opened.
#[derive(Clone, Copy, Debug)]
pub struct SledOptions {
    /// What an acknowledged commit survives. Default: a power cut.
    pub durability: Durability,
    /// Memory for pages of the database, in bytes. Default 8 MiB: the operating system keeps its file in memory, too.
    pub cache_bytes: u64,
    /// What is checked before anything is served. Default: the index of all runs.
    pub check: OpenCheck,
}

/// What is checked when a store is opened, besides everything that recovery reads anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OpenCheck {
    /// That the head and the name of every run are there: about a second for a million runs.
    #[default]
    Index,
    /// Nothing more: damage to a closed run shows when it is read or by [`Store::verify`], except that a run whose
    /// head and name are both lost is not found.
    OpenRuns,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            cache_bytes: limits::CACHE_BYTES_DEFAULT,
            check: OpenCheck::default(),
        }
    }
}

/// A durable store in a directory of its own, for one engine at a time.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    archive: Option<JoinHandle<()>>,
}

/// What the store's own thread has a share in.
#[derive(Debug)]
struct Shared {
    // First, so that sled lets go of its file before the lock is given back.
    disk: Disk,
    durability: Durability,
    sizes: Sizes,
    live: RwLock<Live>,
    writer: Mutex<Writer>,
    archive: Mutex<Archive>,
    files: SharedFiles,
    bell: Bell,
    /// A log segment is to be made ahead.
    wants_spare: AtomicBool,
    /// Why nothing is accepted any more.
    poison: OnceLock<String>,
    /// Runs that need not stay in memory.
    idle: Mutex<Vec<RunId>>,
    stats: Mutex<StoreStats>,
    _lock: File,
}

/// The database, and our own handle on its file.
#[derive(Debug)]
struct Disk {
    db: ::sled::Db,
    file: File,
    directory: PathBuf,
}

impl Disk {
    fn get(&self, key: &[u8]) -> Result<Option<::sled::IVec>, Error> {
        quietly("reading", || self.db.get(key))
    }
}

/// Runs that are to be passivated, until the archive looks at them; more are brought to it at once, which waits for a lock.
const IDLE_MAX: usize = 16 * 1024;

impl SledStore {
    /// Opens the store in this directory, or makes a new one there.
    ///
    /// Everything that recovery needs is read and checked before this returns. It may take some seconds for a large
    /// store.
    ///
    /// # Errors
    /// [`Error::InUse`] when another engine has it open, [`Error::Unusable`] when the directory cannot be created or
    /// written, [`Error::Format`] when a newer version wrote it, [`Error::Corrupt`] when anything is missing or damaged,
    /// [`Error::Full`] when there is no space.
    pub fn open(directory: &Path, options: SledOptions) -> Result<SledStore, Error> {
        open::open(directory, &options, Sizes::default())
    }

    /// Whether this directory holds a store. Reading commands ask, so that a mistyped path does not become a new one.
    #[must_use]
    pub fn is_at(directory: &Path) -> bool {
        open::is_at(directory)
    }
}

impl Shared {
    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<RunId>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut StoreStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The committing thread's half, if the store still commits.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.writer.lock();
        if let Some(reason) = self.poison.get() {
            return Err(Error::Poisoned(reason.clone()));
        }
        writer.map_err(|_| Error::Poisoned("a commit panicked".to_owned()))
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // What was acknowledged is durable; this leaves less to read for whoever opens the store next.
        self.shared.bell.stop();
        if let Some(archive) = self.archive.take() {
            let _ = archive.join();
        }
        if let Ok(writer) = self.shared.writer.lock() {
            let _ = writer.mark.sync();
        }
    }
}

impl Store for SledStore {
    fn commit(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error> {
        self.shared.commit_batch(epoch, batch)
    }

    fn claim(&self) -> Result<Epoch, Error> {
        self.shared.claim_epoch()
    }

    fn leave(&self, epoch: Epoch, at: Timestamp) -> Result<(), Error> {
        self.shared.leave(epoch, at)
    }

    fn left_at(&self) -> Option<Timestamp> {
        self.shared.live().left_at
    }

    fn history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error> {
        self.shared.read_history(run)
    }

    fn first_turn(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        self.shared.read_first_turn(run)
    }

    fn find(&self, workflow_id: &WorkflowId) -> Result<Option<RunHead>, Error> {
        self.shared.find_newest(workflow_id)
    }

    fn runs_of(&self, workflow_id: &WorkflowId, before: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, Error> {
        self.shared.runs_of_name(workflow_id, before, limit)
    }

    fn head(&self, run: RunId) -> Result<Option<RunHead>, Error> {
        self.shared.read_head(run)
    }

    fn wakes(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunWake>, Error> {
        self.shared.wakes(after, limit)
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error> {
        self.shared.list_runs(query)
    }

    fn oldest(&self, after: Option<RunId>, below: RunId, limit: usize) -> Result<Vec<RunHead>, Error> {
        self.shared.oldest_runs(after, below, limit)
    }

    fn visit(&self, query: &ListQuery, each: &mut dyn FnMut(&RunHead) -> ControlFlow<()>) -> Result<(), Error> {
        self.shared.visit_runs(query, each)
    }

    fn search_attribute_names(&self) -> Result<BTreeSet<String>, Error> {
        self.shared.attribute_names()
    }

    fn definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        self.shared.read_definition(digest)
    }

    fn passivate(&self, run: RunId) {
        let mut idle = self.shared.idle();
        idle.push(run);
        let gathered = idle.len();
        drop(idle);
        if gathered >= IDLE_MAX {
            self.shared.gather_idle();
            self.shared.bell.ring(gathered, false);
        } else if gathered == 1 {
            self.shared.bell.ring_idle();
        }
    }

    fn delete(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error> {
        self.shared.delete_runs(epoch, runs)
    }

    fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        self.shared.verify_all(progress)
    }

    fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let mut stats = *shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let database = shared.disk.file.metadata().map_or(0, |file| file.len());
        stats.bytes_on_disk = database.saturating_add(log::lock(&shared.files).bytes());
        stats
    }
}
