//! The configuration file of an engine, `config/amends.toml`: what an operator says, beside what the program registers. Lives here:
//! reading it, and handing it to the builder. Must not live here: what any of it means (that is `engine`).

mod apply;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::Error;
use crate::model::{ActivityLimits, NamespaceName, Rate, SearchAttributeType, TaskQueue, TaskQueueOptions};
use crate::store::Durability;

/// What a configuration file says. What it does not say is as the builder has it.
///
/// ```
/// use amends::config::EngineConfig;
///
/// let config = EngineConfig::parse("amends.toml", r#"
///     shards = 2
///     [activities.charge_card]
///     max_concurrent = 8
///     breaker = { failures = 5, open_for = "30s" }
/// "#)?;
/// assert_eq!(config.shards, Some(2));
/// let builder = amends::Amends::builder().config(config);
/// # let _ = builder;
///
/// let error = EngineConfig::parse("amends.toml", "shrads = 2").unwrap_err();
/// assert!(error.to_string().ends_with("amends.toml:1:1: error: unknown key `shrads`; did you mean `shards`?"));
/// # Ok::<(), amends::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineConfig {
    /// Where everything is kept.
    pub data_directory: Option<PathBuf>,
    /// What an acknowledged request survives.
    pub durability: Option<Durability>,
    /// Memory for pages of the store's database, in bytes.
    pub cache_bytes: Option<u64>,
    /// How many threads run workflows.
    pub shards: Option<usize>,
    /// How long a run may be idle before its memory is returned.
    pub passivate_after: Option<Duration>,
    /// How long a request may wait for a place in a full queue.
    pub admission_timeout: Option<Duration>,
    /// When a turn whose code does not come back is told of; zero: never.
    pub turn_hangs_after: Option<Duration>,
    /// Who the engine is, as recorded with what it starts and sends.
    pub identity: Option<String>,
    /// Replays every run at each of its turns: for development.
    pub replay_every_turn: bool,
    /// Definition files, and directories of them.
    pub sagas: Vec<PathBuf>,
    /// Values for the definitions' `[config]` tables.
    pub settings: BTreeMap<String, String>,
    /// How many attempts that go forward at once.
    pub max_concurrent_activities: Option<usize>,
    /// How many of them may be attempts of blocking activities.
    pub max_blocking_activities: Option<usize>,
    /// How many attempts that go forward in how much time.
    pub activity_rate: Option<Rate>,
    /// How many worker processes for isolated activities.
    pub worker_processes: Option<usize>,
    /// Whether the default task queue is served.
    pub default_task_queue: Option<bool>,
    /// Whether all task queues are served.
    pub every_task_queue: bool,
    /// The task queues that are served by name.
    pub task_queues: BTreeMap<TaskQueue, TaskQueueOptions>,
    /// Limits of activity types.
    pub activities: BTreeMap<String, ActivityLimits>,
    /// Types of search attributes.
    pub search_attributes: BTreeMap<String, SearchAttributeType>,
    /// How long runs of the default namespace are kept after their end.
    pub retention: Option<Duration>,
    /// How many of them may be open at once.
    pub max_open_runs: Option<usize>,
    /// How large a value of the default namespace's runs may be, in bytes.
    pub max_payload_bytes: Option<usize>,
    /// How many events one of their histories may have.
    pub max_history_events: Option<u64>,
    /// How many bytes one of their histories may have.
    pub max_history_bytes: Option<u64>,
    /// The namespaces beside the default one.
    pub namespaces: BTreeMap<NamespaceName, NamespaceConfig>,
}

/// What a configuration file says of one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceConfig {
    /// How long its runs are kept after their end.
    pub retention: Option<Duration>,
    /// How many of them may be open at once.
    pub max_open_runs: Option<usize>,
    /// How large a value of its runs may be, in bytes.
    pub max_payload_bytes: Option<usize>,
    /// How many events one of their histories may have.
    pub max_history_events: Option<u64>,
    /// How many bytes one of their histories may have.
    pub max_history_bytes: Option<u64>,
    /// Whether its default task queue is served.
    pub default_task_queue: Option<bool>,
    /// Whether all of its task queues are served.
    pub every_task_queue: bool,
    /// Its task queues that are served by name.
    pub task_queues: BTreeMap<TaskQueue, TaskQueueOptions>,
}

impl EngineConfig {
    /// Reads a file. Paths in it are as seen from the directory that the file is in.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Config`] with every problem of it, with line and column.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| Error::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let mut config = Self::parse(&path.display().to_string(), &text)?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let mut paths: Vec<&mut PathBuf> = config.data_directory.iter_mut().collect();
        paths.extend(config.sagas.iter_mut());
        for path in paths {
            *path = directory.join(&*path);
        }
        Ok(config)
    }

    /// Reads a text. The name is only for messages.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem of it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Error> {
        read::read(text).map_err(|problems| {
            Error::Config(crate::definition::DefinitionError {
                file: file_name.to_owned(),
                problems,
            })
        })
    }
}
