//! How the archive is asked to work, when it begins, and how those who wait for it are answered. Must not live here: what
//! it does.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Runs for which a round is worth its while, and how long fewer wait for others.
pub(super) const ROUND_RUNS: usize = 500;
const ROUND_WAIT: Duration = Duration::from_millis(50);

/// How long runs that are open and idle wait for others, when nothing else is to be done, and for how many rounds else: so
/// that neighbours go into the database together, and a page of theirs is written once.
const IDLE_WAIT: Duration = Duration::from_secs(1);
const IDLE_ROUNDS: u32 = 20;

/// Deletions in one round.
pub(super) const ROUND_DELETIONS_MAX: usize = 300;

/// How the archive is asked, and how it answers.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Asked>,
    rung: Condvar,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Asked {
    /// Things that wait.
    waiting: usize,
    /// Do not wait for more.
    urgent: bool,
    /// Runs that are open and idle gather.
    idle: bool,
    /// How many rounds they have waited.
    idle_rounds: u32,
    stop: bool,
    /// Segments of the log.
    segments: usize,
    /// Runs that were deleted, and may still be in the database.
    deletions: usize,
    /// There is no archive any more.
    gone: bool,
}

/// What the archive is to do.
pub(super) struct Woken {
    /// Runs that are open and idle have waited long enough.
    pub(super) idle: bool,
    /// There is nothing to come.
    pub(super) last: bool,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More waits.
    pub(super) fn ring(&self, things: usize, urgent: bool) {
        let mut asked = self.lock();
        let before = asked.waiting;
        asked.waiting = before.saturating_add(things);
        asked.urgent |= urgent;
        let (first, enough) = (before == 0, before < ROUND_RUNS && asked.waiting >= ROUND_RUNS);
        if urgent || (things > 0 && (first || enough)) {
            self.rung.notify_one();
        }
    }

    /// The first of some runs that are open and idle.
    pub(super) fn ring_idle(&self) {
        self.lock().idle = true;
        self.rung.notify_one();
    }

    /// Things that were left are still waiting.
    pub(super) fn leave(&self, things: usize) {
        let mut asked = self.lock();
        asked.waiting = asked.waiting.saturating_add(things);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stop
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.rung.notify_one();
    }

    pub(super) fn set_segments(&self, segments: usize) {
        self.lock().segments = segments;
        self.room.notify_all();
    }

    /// So many runs that were deleted may still be in the database.
    pub(super) fn set_deletions(&self, deletions: usize) {
        let before = std::mem::replace(&mut self.lock().deletions, deletions);
        if deletions < before {
            self.room.notify_all();
        }
    }

    /// Waits until not more than a round's deletions are left: they go before everything else, and too many of them would
    /// keep runs that have ended in the log.
    pub(super) fn wait_for_deletions(&self) {
        let many = |asked: &mut Asked| asked.deletions > ROUND_DELETIONS_MAX && !asked.gone;
        let waited = self.room.wait_while(self.lock(), many);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Nobody will answer any more.
    pub(super) fn gone(&self) {
        self.lock().gone = true;
        self.room.notify_all();
    }

    /// Waits until the log is not too long; `false` when it will stay so.
    pub(super) fn wait_for_room(&self, segments_max: usize) -> bool {
        let mut asked = self.lock();
        while asked.segments > segments_max && !asked.gone {
            asked.urgent = true;
            self.rung.notify_one();
            asked = self.room.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
        asked.segments <= segments_max
    }

    /// Waits until there is something to do.
    pub(super) fn wait(&self) -> Woken {
        let asked = self.lock();
        let nothing = |asked: &mut Asked| asked.waiting == 0 && !asked.urgent && !asked.stop;
        let asked = self.rung.wait_while(asked, |asked| nothing(asked) && !asked.idle);
        let asked = asked.unwrap_or_else(PoisonError::into_inner);
        let waited = self.rung.wait_timeout_while(asked, IDLE_WAIT, nothing);
        let (asked, alone) = waited.unwrap_or_else(PoisonError::into_inner);
        let few = |asked: &mut Asked| !nothing(asked) && asked.waiting < ROUND_RUNS && !asked.urgent && !asked.stop;
        let waited = self.rung.wait_timeout_while(asked, ROUND_WAIT, few);
        let (mut asked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (asked.waiting, asked.urgent) = (0, false);
        asked.idle_rounds += u32::from(asked.idle);
        let idle = asked.idle && (alone.timed_out() || asked.stop || asked.idle_rounds >= IDLE_ROUNDS);
        if idle {
            (asked.idle, asked.idle_rounds) = (false, 0);
        }
        Woken { idle, last: asked.stop }
    }
}
