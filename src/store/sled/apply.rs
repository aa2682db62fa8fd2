//! One batch into the database. Must not live here: what is in it (that is `round`), or when it is synced (that is `archive`).
//!
//! sled splits a node that has too many keys (and joins those that have too few) not when it is written, but when somebody
//! comes by the next time, be it to read, and writes the halves at once. So readers write, outside of any batch and at any
//! time, and that is not safe: at the beginning of each segment of its file sled notes up to where its log is written, and
//! after a power cut it wants to find all of that. It never syncs; what it wrote since our last sync may be lost, while the
//! segment with the note, which came over an old one, is there. sled then takes the whole log for torn, and begins
//! with nothing. (Inside a batch it notes only what was there before.)
//!
//! Hence the later passes: keys that have come or gone are visited again in the same batch, which is when sled puts
//! their nodes in order. The second pass splits and joins; what two joined nodes have too much, the third one splits. After
//! that, reading writes nothing.

use ::sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use ::sled::{IVec, Tree};

use super::Disk;
use super::quiet::quietly;
use super::round::Writes;
use crate::store::Error;

/// How often keys that have come or gone are visited.
const PASSES: usize = 3;

impl Disk {
    /// All or nothing, and no work left for readers; nothing is flushed.
    pub(super) fn apply(&self, writes: Writes) -> Result<(), Error> {
        let writes = writes.into_iter();
        let writes: Vec<(IVec, Option<IVec>)> =
            writes.map(|(key, value)| (key.into(), value.map(IVec::from))).collect();
        let tree: &Tree = &self.db;
        let passes = [tree; PASSES];
        quietly("writing", || {
            let applied = passes.as_slice().transaction(|passes| {
                let Some((first, later)) = passes.split_first() else {
                    return Ok::<(), ConflictableTransactionError<()>>(());
                };
                let mut moved = Vec::new();
                for (key, value) in &writes {
                    let before = match value {
                        Some(value) => first.insert(key, value)?,
                        None => first.remove(key)?,
                    };
                    if before.is_some() != value.is_some() {
                        moved.push(key);
                    }
                }
                for pass in later {
                    for key in &moved {
                        // The last word on a key counts. The same again is not written again.
                        match first.get(key)? {
                            Some(value) => drop(pass.insert(*key, value)?),
                            None => drop(pass.remove(*key)?),
                        }
                    }
                }
                Ok(())
            });
            match applied {
                Ok(()) | Err(TransactionError::Abort(())) => Ok(()),
                Err(TransactionError::Storage(error)) => Err(error),
            }
        })
    }
}
