//! The store behind a door that can be shut: after a failed commit the old store is dropped and another one opened in
//! its place. Must not live here: when to reopen (that is `journal`).

use std::sync::{Arc, PoisonError, RwLock};

use crate::model::Timestamp;
use crate::store::{Epoch, Error, RunWake, Store};

/// Opens the store (again).
pub(crate) type OpenStore = Box<dyn Fn() -> Result<Box<dyn Store>, Error> + Send + Sync>;

/// Wake-ups read in one go.
const WAKES_AT_ONCE: usize = 10_000;

/// What a store that was opened says of the open runs.
pub(super) struct Found {
    pub(super) epoch: Epoch,
    /// When the engine before this one has ended; `None`: it was killed, or its store failed.
    pub(super) left_at: Option<Timestamp>,
    /// Which must be looked at, and when.
    pub(super) wakes: Vec<RunWake>,
}

/// A store and our claim on it.
type Claimed = (Arc<dyn Store>, Epoch);

/// The current store. Readers borrow it for one call; nobody keeps it, so that it can be dropped and reopened.
pub(crate) struct StoreSlot {
    current: RwLock<Current>,
    open: OpenStore,
}

enum Current {
    Open(Claimed),
    Failed(Error),
    /// The engine has ended.
    Closed,
}

impl StoreSlot {
    /// A slot whose store is to be opened with [`StoreSlot::reopen`].
    pub(crate) fn new(open: OpenStore) -> Self {
        Self {
            current: RwLock::new(Current::Failed(Error::Poisoned(
                "it has not been opened yet".to_owned(),
            ))),
            open,
        }
    }

    /// The store, for one call.
    pub(crate) fn get(&self) -> Result<Arc<dyn Store>, Error> {
        self.get_for_commit().map(|(store, _)| store)
    }

    /// The store and our claim on it, for the journal writer.
    pub(super) fn get_for_commit(&self) -> Result<Claimed, Error> {
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Current::Open(claimed) => Ok(claimed.clone()),
            Current::Failed(error) => Err(error.clone()),
            Current::Closed => Err(Error::Poisoned("the engine has been shut down".to_owned())),
        }
    }

    /// Whether the engine has let go of its store for good.
    pub(super) fn is_closed(&self) -> bool {
        matches!(
            *self.current.read().unwrap_or_else(PoisonError::into_inner),
            Current::Closed
        )
    }

    /// Shuts the door: everybody gets `error` from here on, and the store is closed when its last reader is done.
    pub(super) fn fail(&self, error: &Error) {
        self.replace(Current::Failed(Error::Poisoned(error.to_string())));
    }

    /// Lets go of the store for good, so that another engine can open it. Nothing runs any more, and nothing was begun of what
    /// becomes due after `now`: the next engine need not take it for lost.
    pub(super) fn close(&self, now: Timestamp) {
        if let Ok((store, epoch)) = self.get_for_commit()
            && let Err(error) = store.leave(epoch, now)
        {
            tracing::info!(%error, "the store does not keep when the engine has ended");
        }
        self.replace(Current::Closed);
    }

    /// Opens the store (again), claims it, and says what it has found.
    pub(super) fn reopen(&self) -> Result<Found, Error> {
        let store: Arc<dyn Store> = Arc::from((self.open)()?);
        let left_at = store.left_at();
        let epoch = store.claim()?;
        let mut wakes: Vec<RunWake> = Vec::new();
        loop {
            let page = store.wakes(wakes.last().map(|wake| wake.run_id), WAKES_AT_ONCE)?;
            if page.is_empty() {
                break;
            }
            wakes.extend(page);
        }
        self.replace(Current::Open((store, epoch)));
        Ok(Found { epoch, left_at, wakes })
    }

    fn replace(&self, current: Current) {
        let before = {
            let mut slot = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, current)
        };
        // Closing a store may take a while: not under the lock.
        drop(before);
    }
}
