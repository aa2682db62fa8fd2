//! Seeing what activities do, and holding them up. Must not live here: engines.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore};

/// A list of what happened, in order; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    notes: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn note(&self, what: impl Into<String>) {
        self.notes.lock().unwrap().push(what.into());
        self.changed.notify_waiters();
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.notes.lock().unwrap().len()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.notes.lock().unwrap().iter().filter(|note| *note == what).count()
    }

    /// Waits until so many things have happened.
    pub(crate) async fn until_len(&self, wanted: usize) {
        loop {
            let changed = self.changed.notified();
            if self.len() >= wanted {
                return;
            }
            changed.await;
        }
    }

    /// Waits until this has happened so many times.
    pub(crate) async fn until(&self, what: &str, times: usize) {
        loop {
            let changed = self.changed.notified();
            if self.count(what) >= times {
                return;
            }
            changed.await;
        }
    }
}

/// Holds activities up until it is opened; clones share it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that is shut.
    pub(crate) fn shut() -> Self {
        Gate(Arc::new(Semaphore::new(0)))
    }

    /// Opens it, for ever.
    pub(crate) fn open(&self) {
        self.0.close();
    }

    /// Waits until it is open.
    pub(crate) async fn passed(&self) {
        // Acquiring fails once the semaphore is closed, and not before.
        let _ = self.0.acquire().await;
    }
}
