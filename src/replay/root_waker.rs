//! The waker that a workflow's future is polled with. Lives here: telling our own wakes from foreign ones. Must not live
//! here: polling.
//!
//! Everything of ours wakes while the decider runs, on its thread. A wake at another time or from another thread comes
//! from something that amends does not know: a runtime's timer, a channel, a socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::thread::{self, ThreadId};

#[derive(Debug, Default)]
pub(super) struct RootWaker {
    /// The thread that is deciding just now.
    deciding: Mutex<Option<ThreadId>>,
    woken: AtomicBool,
    foreign: Arc<AtomicBool>,
}

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

    pub(super) fn foreign_wake_flag(&self) -> Arc<AtomicBool> {
        self.foreign.clone()
    }

    pub(super) fn was_woken_by_foreigner(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    fn set_deciding(&self, thread: Option<ThreadId>) {
        *self.deciding.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let deciding = *self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let flag = if deciding == Some(thread::current().id()) {
            &self.woken
        } else {
            &self.foreign
        };
        flag.store(true, Ordering::Release);
    }
}

pub(super) struct Deciding(Arc<RootWaker>);

impl Drop for Deciding {
    fn drop(&mut self) {
        self.0.set_deciding(None);
    }
}
