//! Which engine a command starts: its configuration file, its data directory, its definitions. Must not live here: starting it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::config::EngineConfig;
use crate::engine::{Amends, AmendsBuilder, Error, saga_files};
use crate::model::{DEFAULT_NAMESPACE, NamespaceName};

use super::exit::Refusal;
use super::input::{DATA_DIRECTORY, DataArgs, SettingArgs};

/// The options of commands that start an engine.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PlaceArgs {
    /// The engine's configuration: data directory, definitions, limits, task queues (config/amends.toml shows every key). What
    /// the command line says counts more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory that keeps the runs [default: the configuration's, or amends-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The namespace of the runs that are meant
    #[arg(long, value_name = "NAME", env = "AMENDS_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: NamespaceName,
    /// Definitions that the engine knows: a file, or a directory of them. May be given several times
    #[arg(long, value_name = "PATH")]
    sagas: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

/// What was said on the command line and in the configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    config: EngineConfig,
    pub(crate) data: DataArgs,
    /// Files only, each once.
    sagas: Vec<PathBuf>,
    /// Values for the definitions' `[config]` tables.
    pub(crate) settings: BTreeMap<String, String>,
}

impl PlaceArgs {
    /// Reads the configuration file. `own` is a definition file that is loaded in any case.
    pub(crate) fn settle(&self, own: Option<&PathBuf>) -> Result<Place, Refusal> {
        let mut config = match &self.config {
            Some(file) => EngineConfig::from_file(file)?,
            None => EngineConfig::default(),
        };
        let data = self.data.clone().or_else(|| config.data_directory.take());
        let mut settings = std::mem::take(&mut config.settings);
        settings.extend(self.settings.to_map());
        let more = std::mem::take(&mut config.sagas);
        Ok(Place {
            sagas: once(self.sagas.iter().chain(&more), own)?,
            data: DataArgs {
                data: data.unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY)),
                namespace: self.namespace.clone(),
            },
            config,
            settings,
        })
    }
}

impl Place {
    /// The engine, but for where it keeps its runs.
    pub(crate) fn engine(&self, command: &str) -> AmendsBuilder {
        let mut config = self.config.clone();
        let own = &self.data.namespace;
        if !own.is_default() {
            config.namespaces.entry(own.clone()).or_default();
        }
        // There is no other engine beside it that could serve what nobody says anything about.
        config.every_task_queue |= config.task_queues.is_empty() && config.default_task_queue != Some(false);
        for namespace in config.namespaces.values_mut() {
            namespace.every_task_queue |=
                namespace.task_queues.is_empty() && namespace.default_task_queue != Some(false);
        }
        let mut builder = Amends::builder()
            .identity(format!("amends {command}@{}", std::process::id()))
            .leave_unknown_workflows()
            .config(config);
        for file in &self.sagas {
            builder = builder.sagas(file);
        }
        for (key, value) in &self.settings {
            builder = builder.set(key, value);
        }
        builder
    }

    /// How many definition files there are.
    pub(crate) fn definitions(&self) -> usize {
        self.sagas.len()
    }
}

/// The files that are meant, each once, without the one that is loaded in any case.
fn once<'a>(paths: impl Iterator<Item = &'a PathBuf>, own: Option<&PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let own = own.and_then(|file| file.canonicalize().ok());
    let mut seen: BTreeSet<PathBuf> = own.into_iter().collect();
    let mut files = Vec::new();
    for path in paths {
        for file in saga_files(path)? {
            let is_new = file.canonicalize().map_or(true, |file| seen.insert(file));
            if is_new {
                files.push(file);
            }
        }
    }
    Ok(files)
}
