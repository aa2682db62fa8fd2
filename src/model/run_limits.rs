//! What one run is granted: how large its values may be, how long its history. Must not live here: the bounds that nobody goes
//! beyond (`limits`), who grants less (a namespace), keeping to it (`machine`, `runtime`).

use super::limits;

/// The limits of a run. Nobody grants more than [`limits`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Bytes of one value.
    pub payload_bytes: usize,
    /// Events of its history.
    pub history_events: u64,
    /// Bytes of its history.
    pub history_bytes: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            payload_bytes: limits::PAYLOAD_BYTES_MAX,
            history_events: limits::HISTORY_EVENTS_MAX,
            history_bytes: limits::HISTORY_BYTES_MAX,
        }
    }
}

impl RunLimits {
    /// Whether a history of this length suggests to continue as a new run: long before it has to end.
    #[must_use]
    pub fn suggest_continue_as_new(&self, events: u64, bytes: u64) -> bool {
        events > limits::HISTORY_EVENTS_SUGGEST.min(self.history_events / 2)
            || bytes > limits::HISTORY_BYTES_SUGGEST.min(self.history_bytes / 2)
    }
}
