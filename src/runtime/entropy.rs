//! The only door to randomness. Must not live here: anything that must be the same on replay.

use crate::model::{RunId, Timestamp};

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
        let mut random = [0; 10];
        // The operating system's generator fails only before it is seeded at boot; the time alone still tells runs apart
        // well enough then, because ids are checked against the store.
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::warn!(%error, "no randomness for a run id");
        }
        RunId::from_parts(u64::try_from(now.as_micros() / 1_000).unwrap_or(0), &random)
    }
}
