//! The only door to randomness. Must not live here: anything that must be the same on replay.

use std::cell::RefCell;

use crate::model::{RunId, Timestamp};

/// Random bytes of one run id.
const RUN_ID_BYTES: usize = 10;

thread_local! {
    /// Random bytes in advance, each given out once: one call of the operating system for many runs.
    static IN_ADVANCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where new ids come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entropy;

impl Entropy {
    /// Random bytes that nobody can guess.
    #[cfg(feature = "encryption")]
    #[expect(clippy::disallowed_methods, reason = "this is the door to randomness")]
    pub(crate) fn bytes<const N: usize>(self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// A new run id, ordered by time.
    #[expect(clippy::disallowed_methods, reason = "this is the door to randomness")]
    pub(crate) fn run_id(self, now: Timestamp) -> RunId {
        let random = IN_ADVANCE.with_borrow_mut(|bytes| {
            if bytes.len() < RUN_ID_BYTES {
                bytes.resize(32 * RUN_ID_BYTES, 0);
                // The operating system's generator fails only before it is seeded at boot; the time alone still tells runs
                // apart well enough then, because ids are checked against the store.
                if let Err(error) = getrandom::fill(bytes) {
                    tracing::warn!(%error, "no randomness for a run id");
                    bytes.fill(0);
                }
            }
            let mut random = [0; RUN_ID_BYTES];
            let left = bytes.len().saturating_sub(RUN_ID_BYTES);
            random
                .iter_mut()
                .zip(bytes.drain(left..))
                .for_each(|(to, from)| *to = from);
            random
        });
        RunId::from_parts(u64::try_from(now.as_micros() / 1_000).unwrap_or(0), &random)
    }
}
