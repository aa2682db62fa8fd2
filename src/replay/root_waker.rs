//! The waker that a workflow's future is polled with. Lives here: telling our own wakes from foreign ones. Must not live
//! here: polling.
//!
//! Everything of ours wakes while the decider runs, on its thread. A wake at another time or from another thread comes
//! from something that amends does not know: a runtime's timer, a channel, a socket.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::thread::{self, ThreadId};

#[derive(Default)]
pub(super) struct RootWaker {
    /// The thread that is deciding just now.
    deciding: Mutex<Option<ThreadId>>,
    woken: AtomicBool,
    foreign: AtomicBool,
    watcher: Mutex<Option<Watcher>>,
}

type Watcher = Arc<dyn Fn() + Send + Sync>;

/// The wakes of one run's code that do not come from amends.
#[derive(Clone)]
pub struct ForeignWakes(Arc<RootWaker>);

impl RootWaker {
    /// Wakes by this thread are ours until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Deciding {
        self.set_deciding(Some(thread::current().id()));
        Deciding(self.clone())
    }

    /// Whether the future was woken by ours since the last call.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    pub(super) fn was_woken_by_foreigner(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    fn tell_watcher(&self) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watcher) = watcher {
            watcher();
        }
    }

    fn set_deciding(&self, thread: Option<ThreadId>) {
        *self.deciding.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }
}

impl ForeignWakes {
    pub(super) fn of(waker: &Arc<RootWaker>) -> Self {
        Self(waker.clone())
    }

    /// Whether there was one.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.was_woken_by_foreigner()
    }

    /// Calls the function at the first one, on the thread that it comes from; at once when there was one already.
    pub fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        *self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(watcher));
        if self.any() {
            self.0.tell_watcher();
        }
    }
}

impl fmt::Debug for ForeignWakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignWakes").field("any", &self.any()).finish()
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let deciding = *self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if deciding == Some(thread::current().id()) {
            self.woken.store(true, Ordering::Release);
        } else if !self.foreign.swap(true, Ordering::AcqRel) {
            self.tell_watcher();
        }
    }
}

pub(super) struct Deciding(Arc<RootWaker>);

impl Drop for Deciding {
    fn drop(&mut self) {
        self.0.set_deciding(None);
    }
}
