//! A configuration on its way to the builder. Must not live here: reading it.

use std::path::Path;

use crate::engine::{AmendsBuilder, Error, Namespace};
use crate::model::{NamespaceName, RunLimits};

use super::{EngineConfig, NamespaceConfig};

impl AmendsBuilder {
    /// Takes what a configuration says. What is said to the builder afterwards counts more.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), amends::Error> {
    /// let amends = amends::Amends::builder().config_file("config/amends.toml")?.start().await?;
    /// # Ok(()) }
    /// ```
    pub fn config(mut self, config: EngineConfig) -> Self {
        if let Some(directory) = &config.data_directory {
            #[cfg(feature = "sled")]
            let kept = self.sled(directory);
            // What is to be kept is not kept in memory instead.
            #[cfg(not(feature = "sled"))]
            let kept = self.store({
                let path = directory.display().to_string();
                let reason = "this program was built without the feature `sled`".to_owned();
                move || {
                    Err(crate::store::Error::Unusable {
                        path: path.clone(),
                        reason: reason.clone(),
                    })
                }
            });
            self = kept;
        }
        if let Some(durability) = config.durability {
            self = self.durability(durability);
        }
        if let Some(bytes) = config.cache_bytes {
            self = self.cache_bytes(bytes);
        }
        if let Some(shards) = config.shards {
            self = self.shards(shards);
        }
        if let Some(idle) = config.passivate_after {
            self = self.passivate_after(idle);
        }
        if let Some(timeout) = config.admission_timeout {
            self = self.admission_timeout(timeout);
        }
        if let Some(time) = config.turn_hangs_after {
            self = self.turn_hangs_after(time);
        }
        if let Some(identity) = config.identity {
            self = self.identity(identity);
        }
        if config.replay_every_turn {
            self = self.replay_every_turn();
        }
        for path in config.sagas {
            self = self.sagas(path);
        }
        for (key, value) in config.settings {
            self = self.set(key, value);
        }
        if let Some(attempts) = config.max_concurrent_activities {
            self = self.max_concurrent_activities(attempts);
        }
        if let Some(attempts) = config.max_blocking_activities {
            self = self.max_blocking_activities(attempts);
        }
        if let Some(rate) = config.activity_rate {
            self = self.activity_rate(rate.attempts.get(), rate.per);
        }
        if let Some(processes) = config.worker_processes {
            self = self.worker_processes(processes);
        }
        if config.default_task_queue == Some(false) {
            self = self.without_default_task_queue();
        }
        if config.every_task_queue {
            self = self.every_task_queue();
        }
        for (queue, options) in config.task_queues {
            self = self.task_queue(queue.as_str(), options);
        }
        for (activity_type, limits) in config.activities {
            self = self.activity_limits(activity_type, limits);
        }
        for (name, kind) in config.search_attributes {
            self = self.search_attribute(&name, kind);
        }
        if let Some(period) = config.retention {
            self = self.retention(period);
        }
        if let Some(runs) = config.max_open_runs {
            self = self.max_open_runs(runs);
        }
        let said = Granted {
            payload_bytes: config.max_payload_bytes,
            history_events: config.max_history_events,
            history_bytes: config.max_history_bytes,
        };
        said.grant(self.run_limits());
        let namespaces = config.namespaces.into_iter();
        namespaces.fold(self, |builder, (name, said)| builder.namespace(namespace(&name, said)))
    }

    /// Takes what a configuration file says, such as `config/amends.toml`.
    ///
    /// # Errors
    /// As for [`EngineConfig::from_file`].
    pub fn config_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(self.config(EngineConfig::from_file(path)?))
    }
}

/// What a file says of the values and histories of a namespace's runs, be it the default one or another.
struct Granted {
    payload_bytes: Option<usize>,
    history_events: Option<u64>,
    history_bytes: Option<u64>,
}

impl Granted {
    fn grant(self, limits: &mut RunLimits) {
        if let Some(bytes) = self.payload_bytes {
            limits.grant_payload_bytes(bytes);
        }
        if let Some(events) = self.history_events {
            limits.grant_history_events(events);
        }
        if let Some(bytes) = self.history_bytes {
            limits.grant_history_bytes(bytes);
        }
    }
}

/// A namespace as the builder takes it.
fn namespace(name: &NamespaceName, said: NamespaceConfig) -> Namespace {
    let mut namespace = Namespace::new(name.as_str());
    if let Some(period) = said.retention {
        namespace = namespace.retention(period);
    }
    if let Some(runs) = said.max_open_runs {
        namespace = namespace.max_open_runs(runs);
    }
    let granted = Granted {
        payload_bytes: said.max_payload_bytes,
        history_events: said.max_history_events,
        history_bytes: said.max_history_bytes,
    };
    granted.grant(namespace.run_limits());
    if said.default_task_queue == Some(false) {
        namespace = namespace.without_default_task_queue();
    }
    if said.every_task_queue {
        namespace = namespace.every_task_queue();
    }
    let queues = said.task_queues.into_iter();
    queues.fold(namespace, |namespace, (queue, options)| {
        namespace.task_queue(queue.as_str(), options)
    })
}
