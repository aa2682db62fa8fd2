//! The namespaces of an engine, and how long runs are kept. Must not live here: keeping them apart (ids do), deleting runs
//! (`runtime` does).

use std::time::Duration;

use crate::model::{RunLimits, limits};

use super::super::Namespace;
use super::AmendsBuilder;

impl AmendsBuilder {
    /// Adds a namespace beside the default one: its runs have workflow ids, task queues, a retention and limits of their own,
    /// and no list or count mixes them with others. See [`Amends::in_namespace`](super::super::Amends::in_namespace). Given
    /// again, or for `"default"`, it replaces what was said of that namespace before.
    ///
    /// Activities, workflows, definitions, and what they are granted per type, are the whole engine's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{Amends, Namespace};
    ///
    /// let builder = Amends::builder()
    ///     .namespace(Namespace::new("payments").retention(Duration::from_secs(90 * 24 * 60 * 60)))
    ///     .namespace(Namespace::new("mail").max_open_runs(10_000));
    /// # let _ = builder;
    /// ```
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        match namespace.into_parts() {
            Ok((name, options)) if name.is_default() => self.namespaces.default = options,
            Ok((name, options)) => drop(self.namespaces.named.insert(name, options)),
            Err(error) => self.registry_errors.push(error.into()),
        }
        self
    }

    /// How long runs are kept after their end; at least a second. For ever when not said otherwise.
    ///
    /// What is kept no longer is deleted in the background, a few runs at a time, within minutes of its time (later where
    /// millions of other runs have to be looked at), also what was there before this was said. With the run goes everything
    /// that is known of it: its history, its result, and that its workflow id and its request id were used. A run stays
    /// for as long as the run whose child it is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::Amends;
    ///
    /// let builder = Amends::builder().retention(Duration::from_secs(30 * 24 * 60 * 60));
    /// # let _ = builder;
    /// ```
    pub fn retention(mut self, period: Duration) -> Self {
        self.namespaces.default.retention = Some(period.max(limits::RETENTION_MIN));
        self
    }

    /// How many runs of the default namespace may be open at once; as [`Namespace::max_open_runs`] for others. As many as there
    /// is room for when not said otherwise.
    pub fn max_open_runs(mut self, runs: usize) -> Self {
        self.namespaces.default.max_open_runs = Some(runs);
        self
    }

    /// How large a value of a run of the default namespace may be; as [`Namespace::max_payload_bytes`] for others.
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.run_limits().grant_payload_bytes(bytes);
        self
    }

    /// How many events the history of a run of the default namespace may have; as [`Namespace::max_history_events`] for others.
    pub fn max_history_events(mut self, events: u64) -> Self {
        self.run_limits().grant_history_events(events);
        self
    }

    /// How many bytes the history of a run of the default namespace may have; as [`Namespace::max_history_bytes`] for others.
    pub fn max_history_bytes(mut self, bytes: u64) -> Self {
        self.run_limits().grant_history_bytes(bytes);
        self
    }

    /// What runs of the default namespace are granted.
    pub(crate) fn run_limits(&mut self) -> &mut RunLimits {
        &mut self.namespaces.default.limits
    }
}
