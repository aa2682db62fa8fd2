//! A configuration on its way to the builder. Must not live here: reading it.

use std::path::Path;

use crate::engine::{AmendsBuilder, Error};

use super::EngineConfig;

impl AmendsBuilder {
    /// Takes what a configuration says. What is said to the builder afterwards counts more.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), amends::Error> {
    /// let amends = amends::Amends::builder().config_file("config/amends.toml")?.start().await?;
    /// # Ok(()) }
    /// ```
    pub fn config(mut self, config: EngineConfig) -> Self {
        #[cfg(feature = "sled")]
        if let Some(directory) = &config.data_directory {
            self = self.sled(directory);
        }
        if let Some(durability) = config.durability {
            self = self.durability(durability);
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
        self
    }

    /// Takes what a configuration file says, such as `config/amends.toml`.
    ///
    /// # Errors
    /// As for [`EngineConfig::from_file`].
    pub fn config_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(self.config(EngineConfig::from_file(path)?))
    }
}
