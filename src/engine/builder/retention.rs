//! How long runs are kept. Must not live here: deleting them (that is `runtime`).

use std::time::Duration;

use crate::model::limits;

use super::AmendsBuilder;

impl AmendsBuilder {
    /// How long runs are kept after their end; at least a second. For ever when not said otherwise.
    ///
    /// What is kept no longer is deleted in the background, a few runs at a time, within minutes of its time (later where
    /// millions of other runs have to be looked at), also what was there before this was said. With the run goes everything
    /// that is known of it: its history, its result, and that its workflow id and its request id were used. A run stays
    /// while the run whose child it is, or a run above that one, is open.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::Amends;
    ///
    /// let builder = Amends::builder().retention(Duration::from_secs(30 * 24 * 60 * 60));
    /// # let _ = builder;
    /// ```
    pub fn retention(mut self, period: Duration) -> Self {
        self.retention.period = Some(period.max(limits::RETENTION_MIN));
        self
    }
}
