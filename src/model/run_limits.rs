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
    /// Grants values of so many bytes, or of the nearest number that can be granted.
    pub fn grant_payload_bytes(&mut self, bytes: usize) {
        self.payload_bytes = bytes.clamp(limits::NAMESPACE_PAYLOAD_BYTES_LEAST, limits::PAYLOAD_BYTES_MAX);
    }

    /// Grants histories of so many events, or of the nearest number that can be granted.
    pub fn grant_history_events(&mut self, events: u64) {
        self.history_events = events.clamp(limits::NAMESPACE_HISTORY_EVENTS_LEAST, limits::HISTORY_EVENTS_MAX);
    }

    /// Grants histories of so many bytes, or of the nearest number that can be granted.
    pub fn grant_history_bytes(&mut self, bytes: u64) {
        self.history_bytes = bytes.clamp(limits::NAMESPACE_HISTORY_BYTES_LEAST, limits::HISTORY_BYTES_MAX);
    }

    /// Whether a history of this length suggests to continue as a new run: long before it has to end.
    #[must_use]
    pub fn suggest_continue_as_new(&self, events: u64, bytes: u64) -> bool {
        events > limits::HISTORY_EVENTS_SUGGEST.min(self.history_events / 2)
            || bytes > limits::HISTORY_BYTES_SUGGEST.min(self.history_bytes / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_granted_more_than_there_is_or_less_than_a_run_needs() {
        let mut granted = RunLimits::default();
        for (asked, expected) in [
            (
                0,
                (
                    limits::NAMESPACE_PAYLOAD_BYTES_LEAST,
                    limits::NAMESPACE_HISTORY_EVENTS_LEAST,
                    limits::NAMESPACE_HISTORY_BYTES_LEAST,
                ),
            ),
            (20_000, (20_000, 20_000, 20_000)),
            (
                u32::MAX,
                (
                    limits::PAYLOAD_BYTES_MAX,
                    limits::HISTORY_EVENTS_MAX,
                    limits::HISTORY_BYTES_MAX,
                ),
            ),
        ] {
            granted.grant_payload_bytes(usize::try_from(asked).unwrap());
            granted.grant_history_events(asked.into());
            granted.grant_history_bytes(asked.into());
            let is = (granted.payload_bytes, granted.history_events, granted.history_bytes);
            assert_eq!(is, expected, "{asked}");
        }
    }
}
