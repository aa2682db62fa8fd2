//! Opening the store of an engine that is being started. Must not live here: the description of the engine.

#[cfg(feature = "sled")]
use std::path::PathBuf;

use crate::model::limits;
use crate::runtime::{Runtime, RuntimeOptions};
use crate::store::{self, Durability, MemoryStore, Store};

use super::super::error::Error;
use super::AmendsBuilder;

/// Opens a store; called again when the store has failed and is to be reopened.
pub(super) type OpenStore = Box<dyn Fn() -> Result<Box<dyn Store>, store::Error> + Send + Sync>;

pub(super) enum StoreChoice {
    Memory,
    #[cfg(feature = "sled")]
    Sled(PathBuf),
    Other(OpenStore),
}

impl AmendsBuilder {
    /// Memory for pages of the database, in bytes, at least 1 MiB; for [`AmendsBuilder::sled`]. 8 MiB, when not said otherwise.
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes.max(limits::CACHE_BYTES_MIN);
        self
    }
}

pub(super) fn opener(choice: Option<StoreChoice>, durability: Durability, cache_bytes: u64) -> OpenStore {
    match choice {
        Some(StoreChoice::Other(open)) => open,
        #[cfg(feature = "sled")]
        Some(StoreChoice::Sled(directory)) => Box::new(move || {
            let options = store::sled::SledOptions {
                durability,
                cache_bytes,
                ..store::sled::SledOptions::default()
            };
            Ok(Box::new(store::sled::SledStore::open(&directory, options)?) as Box<dyn Store>)
        }),
        _ => {
            let _ = (durability, cache_bytes);
            let memory = MemoryStore::new();
            Box::new(move || Ok(Box::new(memory.clone()) as Box<dyn Store>))
        }
    }
}

/// Opening a store blocks, for seconds if it is large: not on the caller's async thread.
pub(super) async fn start_off_thread(options: RuntimeOptions) -> Result<Runtime, Error> {
    let host = tokio::runtime::Handle::try_current().ok();
    let (done, started) = tokio::sync::oneshot::channel();
    let start = move || {
        // The runtime asks where it is to run activities: on the host's threads, if it has some.
        let _guard = host.as_ref().map(tokio::runtime::Handle::enter);
        let _ = done.send(Runtime::start(options));
    };
    let thread = std::thread::Builder::new().name("amends-start".to_owned()).spawn(start);
    thread.map_err(|error| Error::Store(store::Error::Io(error.to_string())))?;
    let started = started
        .await
        .map_err(|_| Error::Store(store::Error::Io("the engine's start was cut off".to_owned())))?;
    Ok(started?)
}
