//! The store behind a door that can be shut: after a failed commit the old store is dropped and another one opened in
//! its place. Must not live here: when to reopen (that is `journal`).

use std::sync::{Arc, PoisonError, RwLock};

use crate::store::{Epoch, Error, Store};

/// Opens the store (again).
pub(crate) type OpenStore = Box<dyn Fn() -> Result<Box<dyn Store>, Error> + Send + Sync>;

/// A store and our claim on it.
type Claimed = (Arc<dyn Store>, Epoch);

/// The current store. Readers borrow it for one call; nobody keeps it, so that it can be dropped and reopened.
pub(crate) struct StoreSlot {
    current: RwLock<Result<Claimed, Error>>,
    open: OpenStore,
}

impl StoreSlot {
    /// Opens the store for the first time.
    pub(crate) fn open(open: OpenStore) -> Result<Self, Error> {
        let store: Arc<dyn Store> = Arc::from(open()?);
        let epoch = store.claim()?;
        Ok(Self {
            current: RwLock::new(Ok((store, epoch))),
            open,
        })
    }

    /// The store, for one call.
    pub(crate) fn get(&self) -> Result<Arc<dyn Store>, Error> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Ok((store, _)) => Ok(Arc::clone(store)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The store and our claim on it, for the journal writer.
    pub(super) fn get_for_commit(&self) -> Result<Claimed, Error> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shuts the door: everybody gets `error` from here on, and the store is closed when its last reader is done.
    pub(super) fn fail(&self, error: &Error) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Err(Error::Poisoned(error.to_string()));
    }

    /// Tries to open the store again.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let store: Arc<dyn Store> = Arc::from((self.open)()?);
        let epoch = store.claim()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Ok((store, epoch));
        Ok(())
    }
}
