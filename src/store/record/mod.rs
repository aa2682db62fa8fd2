//! The wire form of turns. Lives here: versioned records and the mapping between them and the model; the only place
//! that names bincode. Must not live here: where records are kept, or what they mean.
//!
//! A record is one version byte followed by bincode's form of that version's frozen types: lengths, positions of variants
//! and integers take a byte while they are small (most of them are), and times eight. A released version is never changed,
//! not even by adding a field: it gets a successor, and stays readable forever. `tests/golden` holds one record of each
//! version.

mod decode;
mod encode;
mod v1;

#[cfg(test)]
mod generate;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use bincode::Options;
use bytes::Bytes;

use crate::model::{Turn, limits};

/// The version that is written.
const VERSION: u8 = 1;

/// Bytes of one record: a turn cannot be larger than the whole history that it is a part of.
const RECORD_BYTES_MAX: u64 = limits::HISTORY_BYTES_MAX;

thread_local! {
    /// Where a turn is written before its size is known: writing is on the path of every turn.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of the buffer above that a thread keeps.
const SCRATCH_BYTES_KEPT: usize = 64 * 1024;

/// Why a turn has no record, or a record no turn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer version of amends, or not a record at all.
    #[error("a turn record of version {found}; this version of amends reads up to {supported}; use a newer amends")]
    Version {
        /// The version that was found.
        found: u8,
        /// The newest version known here.
        supported: u8,
    },
    /// The bytes are not a record of their version.
    #[error("a damaged turn record: {0}")]
    Damaged(String),
    /// Larger than a whole history may be.
    #[error("a turn record of {bytes} bytes, more than the limit of {RECORD_BYTES_MAX} (store large data elsewhere)")]
    TooLarge {
        /// The size it would have.
        bytes: u64,
    },
}

/// One set of options for all versions: lengths are checked before anything is allocated, and what is left over after
/// a value is an error.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_limit(RECORD_BYTES_MAX)
        .reject_trailing_bytes()
}

/// Writes a turn as a record of the current version.
///
/// Causes of a failure that are nested deeper than 64 are left out.
///
/// # Errors
/// [`RecordError::TooLarge`] when it would have more than 50 MiB.
pub fn encode_turn(turn: &Turn) -> Result<Bytes, RecordError> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.push(VERSION);
        let wire = encode::turn(turn);
        let written = options().with_no_limit().serialize_into(&mut *scratch, &wire);
        written.map_err(|error| RecordError::Damaged(error.to_string()))?;
        let bytes = u64::try_from(scratch.len()).unwrap_or(u64::MAX);
        let record = match bytes <= RECORD_BYTES_MAX {
            true => Ok(Bytes::copy_from_slice(scratch)),
            false => Err(RecordError::TooLarge { bytes }),
        };
        scratch.shrink_to(SCRATCH_BYTES_KEPT);
        record
    })
}

/// How much of a turn's record of so many bytes is history: all but the changes of the pending record (heartbeats, failed
/// attempts, what is held back), which are no events, as in Temporal. A turn without events has none.
#[must_use]
pub fn history_bytes(turn: &Turn, record: usize) -> u64 {
    if turn.events.is_empty() {
        return 0;
    }
    let size = |change| {
        options()
            .serialized_size(&encode::pending_change(change))
            .unwrap_or_default()
    };
    let pending: u64 = turn.pending.iter().map(size).sum();
    u64::try_from(record).unwrap_or(u64::MAX).saturating_sub(pending)
}

/// Reads a turn from a record of any version.
///
/// # Errors
/// [`RecordError::Version`] for a version that is not known here, [`RecordError::Damaged`] for everything else that is
/// not a record: cut short, with bytes left over, or with values that no record has.
pub fn decode_turn(record: &[u8]) -> Result<Turn, RecordError> {
    match record.split_first() {
        None => Err(RecordError::Damaged("it is empty".to_owned())),
        Some((1, plain)) => {
            let wire: v1::Turn<'_> = options()
                .deserialize(plain)
                .map_err(|error| RecordError::Damaged(error.to_string()))?;
            decode::turn(wire)
        }
        Some((&found, _)) => Err(RecordError::Version {
            found,
            supported: VERSION,
        }),
    }
}
