//! Saga definition files: finding and reading them. The pure check of their text is `definition`'s. Must not live here:
//! what is done with a definition.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::definition::{BUILT_IN_ACTIVITIES, CheckReport, HTTP_ACTIVITY, ParseOptions, SagaDefinition};

use super::Error;

/// The definition files that a path stands for: a file for itself, a directory for its `*.toml` files, by name.
///
/// # Errors
/// When the directory cannot be read.
pub fn saga_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml") && file.is_file());
    files.sort();
    Ok(files)
}

/// Reads a definition file and reports everything that is wrong with it; the definition, if it can be used.
///
/// `settings` override values of its `[config]` table. Names of activities are not checked: that needs the engine that
/// knows them.
///
/// # Errors
/// When the file cannot be read.
pub fn check_saga(
    file: &Path,
    settings: &BTreeMap<String, String>,
) -> Result<(Option<SagaDefinition>, CheckReport), Error> {
    let options = ParseOptions {
        config: Some(settings),
        known_activities: None,
    };
    let parsed = SagaDefinition::parse(&file.display().to_string(), &read(file)?, &options);
    Ok(match parsed {
        Ok((saga, report)) => (Some(saga), report),
        Err(error) => (None, error.into()),
    })
}

/// Every activity that a saga calls, compensations and verifications included, by name, but those that every engine has.
/// `http` among them, if it has `http` steps: that is a feature.
#[must_use]
pub fn activities_of(saga: &SagaDefinition) -> BTreeSet<String> {
    let everywhere = |activity: &str| BUILT_IN_ACTIVITIES.contains(&activity) && activity != HTTP_ACTIVITY;
    let named = saga.activity_types().map(|(_, activity)| activity.to_string());
    named.filter(|activity| !everywhere(activity)).collect()
}

/// The text of a definition file.
pub(super) fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    Error::File {
        path: path.display().to_string(),
        reason,
    }
}
