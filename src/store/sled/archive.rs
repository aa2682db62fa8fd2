//! From the log into the database: on a thread of the store's own, in bulk, behind the commits. Must not live here: what
//! is written (that is `round`).
//!
//! ```text
//! begin   if many pages are new: each of them, empty; then sync as below
//! round   one batch: runs, definitions, deletions, and the state with the new horizon
//! sync    flush, sync the database's file: before the next round, or when a segment of the log lies wholly before the
//!         horizon
//! drop    only then that segment
//! ```
//!
//! Never two rounds without a sync between them: sled uses a segment of its file again as soon as what was in it is
//! written elsewhere. If a power cut took what was written elsewhere, and not what came over the old, both were lost, and
//! what was durable long ago with them. And nothing but rounds writes: readers would, if `apply` left them anything to do.
//!
//! A power cut before the sync may undo rounds; the log still has what was in them. What a round wrote leaves the memory
//! only when readers find it in the database.

use bytes::Bytes;

use super::bell::{ROUND_DELETIONS_MAX, ROUND_RUNS, Woken};
use super::index::State;
use super::keys::Key;
use super::pages;
use super::quiet::{from_io, quietly};
use super::round::{Built, Round, Taken};
use super::state::{Live, LiveRun};
use super::{Disk, Shared, log};
use crate::model::RunId;
use crate::store::{Durability, Error};

/// Runs in one round: a thousand keys or two is where the database's batches begin to cost memory.
const ROUND_RUNS_MAX: usize = 1_000;

/// Bytes of turns in one round, unless a single run has more.
const ROUND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rounds after which a store that is closed leaves the rest to the next one, which finds it in the log.
const CLOSING_ROUNDS_MAX: u32 = 8;

/// New pages from which on they are begun before they are written: a sync more.
const NEW_PAGES: usize = 8;

/// What only the archive needs.
#[derive(Debug)]
pub(super) struct Archive {
    /// What the database says of itself.
    pub(super) state: State,
    /// Whether anything may have been written since the last sync.
    pub(super) unsynced: bool,
}

impl Disk {
    /// Makes places for pages, in order: sled then splits its leaves while there is nothing in them. It would else write
    /// each page three times: alone, and twice more with its leaf. What a crash leaves of it are pages without anything in
    /// them. Nothing is flushed.
    fn begin(&self, pages: &[Key]) -> Result<(), Error> {
        let empty = |key: &Key| (key.clone(), Some(pages::empty_page(key)));
        self.apply(pages.iter().map(empty).collect())
    }

    /// sled's flush brings everything to the file, in order, but not to the disk.
    pub(super) fn sync(&self, durability: Durability) -> Result<(), Error> {
        quietly("flushing", || self.db.flush())?;
        if durability == Durability::PowerSafe {
            // Data and length of the file; its other attributes do not matter.
            self.file
                .sync_data()
                .map_err(|error| from_io("syncing the database", &error))?;
        }
        Ok(())
    }
}

impl Shared {
    /// Runs that are open and idle go to the database from now on.
    pub(super) fn gather_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let mut live = self.live_mut();
        idle.into_iter().for_each(|run| live.queue_idle(run));
    }

    /// Tells those who wait for room how long the log is: counted and told in one, or an older number could come last
    /// and stay, and with it those who wait.
    pub(super) fn count_segments(&self) {
        let files = log::lock(&self.files);
        self.bell.set_segments(files.segments().len());
    }
}

/// The life of the archive's thread.
pub(super) fn run(shared: &Shared) {
    /// A panic is an error of the store's, too.
    struct Gone<'a>(&'a Shared);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let _ = self.0.poison.set("the archive panicked".to_owned());
            }
            self.0.bell.gone();
        }
    }
    let _gone = Gone(shared);
    loop {
        let Woken { idle, last } = shared.bell.wait();
        if shared.poison.get().is_some() {
            return;
        }
        if idle {
            shared.gather_idle();
        }
        if let Err(error) = work(shared, last) {
            tracing::error!(%error, "the store stops: its archive failed");
            let _ = shared.poison.set(error.to_string());
            return;
        }
        if last {
            return;
        }
    }
}

/// What there is to do now; when the store is closed, even what could wait for more.
fn work(shared: &Shared, closing: bool) -> Result<(), Error> {
    for round in 1_u32.. {
        if !closing {
            make_spare(shared);
        }
        let left = shared.archive().round(shared)?;
        let enough = match closing {
            true => left == 0 || round >= CLOSING_ROUNDS_MAX,
            false => left < ROUND_RUNS || shared.bell.is_stopped(),
        };
        if enough {
            // What is left has had its turn to wait.
            shared.bell.leave(left);
            break;
        }
    }
    match closing && shared.archive().state.horizon > 1 {
        true => shared.archive().sync(shared),
        false => Ok(()),
    }
}

/// Only a matter of speed: without one, a commit makes it.
fn make_spare(shared: &Shared) {
    if !shared.wants_spare.swap(false, std::sync::atomic::Ordering::AcqRel) {
        return;
    }
    let Some(wanted) = log::lock(&shared.files).wanted() else {
        return;
    };
    match wanted.make() {
        Ok(path) => log::lock(&shared.files).add_spare(path),
        Err(error) => tracing::debug!(%error, "no log segment is made ahead"),
    }
}

impl Archive {
    /// One round; says how many runs could go into another one at once.
    pub(super) fn round(&mut self, shared: &Shared) -> Result<usize, Error> {
        let urgent_before = self.urgent_before(shared);
        let (round, left) = collect(shared, urgent_before);
        let droppable = |horizon| {
            let files = log::lock(&shared.files);
            files.segments().get(1).is_some_and(|next| next.first <= horizon)
        };
        if !round.is_empty() || droppable(round.horizon) {
            let Built { edits, state, stored } = round.build(&shared.disk, self.state)?;
            let bytes = edits
                .writes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
            let bytes: usize = bytes.sum();
            shared.sizes.step("round built");
            // Also if nothing was applied since the last time: reading may have made sled put something in order.
            self.unsynced = true;
            self.sync(shared)?;
            self.unsynced = true;
            if edits.new_pages.len() >= NEW_PAGES {
                shared.disk.begin(&edits.new_pages)?;
                shared.sizes.step("pages begun");
                self.sync(shared)?;
                self.unsynced = true;
            }
            shared.disk.apply(edits.writes)?;
            shared.sizes.step("round applied");
            self.state = state;
            settle(shared, &round, &stored);
            shared.count(|stats| stats.bytes_written += u64::try_from(bytes).unwrap_or(0));
        }
        if droppable(self.state.horizon) {
            self.sync(shared)?;
            let dropped = log::lock(&shared.files).drop_before(self.state.horizon);
            shared.count_segments();
            dropped.map_err(|error| from_io("dropping a segment of the log", &error))?;
        }
        Ok(left)
    }

    /// Makes durable what the rounds so far have written.
    fn sync(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.unsynced {
            shared.disk.sync(shared.durability)?;
            self.unsynced = false;
            shared.sizes.step("database synced");
            shared.count(|stats| stats.syncs += u64::from(shared.durability == Durability::PowerSafe));
        }
        Ok(())
    }

    /// Commits before this one make the log too long.
    fn urgent_before(&self, shared: &Shared) -> Option<u64> {
        let files = log::lock(&shared.files);
        let segments = files.segments();
        let too_many = segments.len().checked_sub(shared.sizes.segments_target)?;
        segments.get(too_many).map(|segment| segment.first)
    }
}

/// Chooses what goes into a round, and says how many things have to wait for the next one. Deletions first: a run that
/// was deleted may have begun again.
fn collect(shared: &Shared, urgent_before: Option<u64>) -> (Round, usize) {
    let mut guard = shared.live_mut();
    let live = &mut *guard;
    let deletions = live.deletions.len().min(ROUND_DELETIONS_MAX);
    let deletions: Vec<RunId> = live.deletions.drain(..deletions).map(|(_, run)| run).collect();
    let mut chosen = Vec::new();
    let mut bytes = 0;
    if live.deletions.is_empty() {
        while chosen.len() < ROUND_RUNS_MAX
            && bytes < ROUND_BYTES_MAX
            && let Some(id) = live.queue.pop_front()
        {
            bytes += take(live, id, &mut chosen);
        }
        let mut at = 0;
        while chosen.len() < ROUND_RUNS_MAX
            && bytes < ROUND_BYTES_MAX
            && let Some((commit, id)) = live.pins.get(at).copied()
            && urgent_before.is_some_and(|before| commit < before)
        {
            bytes += take(live, id, &mut chosen);
            at += 1;
        }
        // Neighbours together.
        while chosen.len() < ROUND_RUNS_MAX
            && bytes < ROUND_BYTES_MAX
            && let Some(id) = live.idle.pop_first()
        {
            bytes += take(live, id, &mut chosen);
        }
    }
    let definitions = std::mem::take(&mut live.new_definitions);
    let definitions = definitions.into_iter().filter_map(|(_, digest)| {
        let bytes = live.definitions.get(&digest)?.clone()?;
        Some((digest, bytes))
    });
    let round = Round {
        runs: chosen,
        definitions: definitions.collect(),
        deletions,
        epoch: live.epoch.0,
        horizon: live.horizon(),
    };
    let urgent = urgent_before.is_some_and(|before| round.horizon < before);
    let left = live.queue.len() + live.idle.len() + live.deletions.len() + if urgent { ROUND_RUNS } else { 0 };
    (round, left)
}

/// Takes one run into the round, if it has anything to archive; says how many bytes.
fn take(live: &mut Live, id: RunId, chosen: &mut Vec<Taken>) -> usize {
    let Some(run) = live.runs.get_mut(&id).filter(|run| !run.taken && !run.tail.is_empty()) else {
        return 0;
    };
    run.taken = true;
    chosen.push(Taken {
        head: run.head.clone(),
        chain: run.chain,
        before: run.stored,
        turns: run.tail.iter().map(|turn| Bytes::clone(&turn.bytes)).collect(),
    });
    run.tail_bytes
}

/// Brings the memory up to what readers find in the database now.
fn settle(shared: &Shared, round: &Round, stored: &[super::state::Stored]) {
    // Dropped only after the lock: freeing thousands of turns takes time.
    let mut gone: Vec<LiveRun> = Vec::new();
    let mut live = shared.live_mut();
    for (run, stored) in round.runs.iter().zip(stored) {
        let id = run.head.run_id;
        if run.before.turns == 0 {
            live.stored_names.add(&run.head.workflow_id);
            live.newest_head = live.newest_head.max(Some(id));
        }
        gone.extend(live.archived(id, run.turns.len(), *stored));
    }
    for (digest, _) in &round.definitions {
        live.definitions.insert(*digest, None);
    }
    for run in &round.deletions {
        live.deleted.remove(run);
    }
    shared.bell.set_deletions(live.deletions.len());
    drop(live);
    drop(gone);
    // A commit under way lets them go itself when it is done.
    if let Ok(_no_commit) = shared.writer.try_lock() {
        let gone = shared.live_mut().let_go();
        drop(gone);
    }
}
