//! Replay tests: saved histories against today's code. Lives here: reading them from files. Must not live here: the
//! comparing (`replay`), the form of the files (`history`).

use std::fmt;
use std::path::{Path, PathBuf};

use crate::history::{HistoryError, from_temporal_json};
use crate::model::{Event, EventAttributes, ParkReason};
use crate::replay::replay_history;
use crate::sdk::{Registry, RegistryError, WorkflowDefinition, WorkflowFunction};

/// Checks that today's code decides what saved histories say: the test that runs before new code meets open runs.
///
/// A history is saved with `amends history ID --output temporal-json`, by [`to_temporal_json`](crate::history::to_temporal_json),
/// or by Temporal's own tools. Histories of runs that are still going on are as good as those of runs that have ended.
///
/// ```no_run
/// use amends::testing::Replayer;
/// use amends::{Failure, WorkflowContext};
///
/// async fn place_order(cx: WorkflowContext, order: String) -> Result<String, Failure> {
///     cx.activity_by_name("charge", &order).await
/// }
///
/// # fn test() -> Result<(), amends::testing::ReplayError> {
/// let replayer = Replayer::new().workflow(place_order);
/// let replayed = replayer.directory("tests/histories")?;
/// assert!(replayed > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Replayer {
    registry: Registry,
    refused: Option<RegistryError>,
}

/// Why a saved history does not replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The code decides differently, or cannot decide: what the engine would park the run for.
    #[error("{0}")]
    Differs(Box<ParkReason>),
    /// The run follows a saga definition, which is kept with the run: no change of code can lead it astray.
    #[error("the run follows a saga definition: there is no code to replay")]
    FollowsDefinition,
    /// The text is no history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A workflow cannot be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Of the files of a directory, these do not replay.
    #[error("{}", Listed(.0))]
    Files(Vec<(PathBuf, ReplayError)>),
}

impl Replayer {
    /// Without any workflow.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the workflows of an engine.
    #[must_use]
    pub fn with(registry: Registry) -> Self {
        let refused = None;
        Self { registry, refused }
    }

    /// Adds a workflow.
    #[must_use]
    pub fn workflow<M>(mut self, function: impl WorkflowFunction<M>) -> Self {
        let definition = WorkflowDefinition::of(function);
        let added = definition.and_then(|definition| self.registry.add_workflow(definition));
        self.refused = self.refused.or(added.err());
        self
    }

    /// Replays a history.
    ///
    /// # Errors
    /// When the code does not decide what the history says.
    pub fn history(&self, history: &[Event]) -> Result<(), ReplayError> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone().into());
        }
        let replayed = replay_history(&self.registry, history);
        replayed.map_err(
            |reason| match (&reason, history.first().map(|first| &first.attributes)) {
                (ParkReason::UnknownWorkflow { .. }, Some(EventAttributes::WorkflowExecutionStarted(started)))
                    if started.definition.is_some() =>
                {
                    ReplayError::FollowsDefinition
                }
                _ => ReplayError::Differs(Box::new(reason)),
            },
        )
    }

    /// Replays a history from the JSON that Temporal's tools exchange.
    ///
    /// # Errors
    /// As for [`Replayer::history`]; and when the text is no history.
    pub fn json(&self, text: &str) -> Result<(), ReplayError> {
        self.history(&from_temporal_json(text)?)
    }

    /// Replays the history in a file.
    ///
    /// # Errors
    /// As for [`Replayer::json`]; and when the file cannot be read.
    pub fn file(&self, path: impl AsRef<Path>) -> Result<(), ReplayError> {
        self.json(&std::fs::read_to_string(path)?)
    }

    /// Replays the histories in all `.json` files of a directory, and says how many there were.
    ///
    /// # Errors
    /// [`ReplayError::Files`] with every file that does not replay; [`ReplayError::Unreadable`] when there is no such
    /// directory.
    pub fn directory(&self, path: impl AsRef<Path>) -> Result<usize, ReplayError> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
        files.sort();
        let count = files.len();
        let replayed = files.into_iter().map(|path| (self.file(&path), path));
        let failed: Vec<_> = replayed
            .filter_map(|(replayed, path)| Some((path, replayed.err()?)))
            .collect();
        match failed.is_empty() {
            true => Ok(count),
            false => Err(ReplayError::Files(failed)),
        }
    }
}

/// Files with what is wrong with them, one a line.
struct Listed<'a>(&'a [(PathBuf, ReplayError)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (path, error)) in self.0.iter().enumerate() {
            let line_end = if place == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}: {error}", path.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::history::to_temporal_json;
    use crate::model::{
        DefinitionDigest, EventId, Failure, Payload, RunId, RunStarted, Timestamp, WorkflowId, WorkflowTask,
        WorkflowType,
    };
    use crate::sdk::WorkflowContext;

    async fn hello(_cx: WorkflowContext, name: String) -> Result<String, Failure> {
        Ok(format!("Hello, {name}"))
    }

    mod later {
        use super::*;

        pub(super) async fn hello(cx: WorkflowContext, name: String) -> Result<String, Failure> {
            cx.sleep(std::time::Duration::from_secs(1)).await?;
            Ok(name)
        }
    }

    fn saved(definition: Option<DefinitionDigest>) -> String {
        let (id, run_id) = (WorkflowId::from_trusted("hello-1"), RunId::from_bytes([1; 16]));
        let workflow_type = WorkflowType::from_trusted(definition.map_or("hello", |_| "trip"));
        let started = RunStarted {
            definition,
            ..RunStarted::new(id, run_id, workflow_type, Payload::json("Ada").unwrap())
        };
        let event = |id, attributes| Event {
            id: EventId(id),
            time: Timestamp::EPOCH,
            attributes,
        };
        let result = Payload::json("Hello, Ada").unwrap();
        let history = [
            event(1, EventAttributes::WorkflowExecutionStarted(Arc::new(started))),
            event(2, EventAttributes::WorkflowTask(WorkflowTask::default())),
            event(5, EventAttributes::WorkflowExecutionCompleted { result }),
        ];
        to_temporal_json(&history).to_string()
    }

    #[test]
    fn saved_histories_are_checked_against_the_code() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("1.json", &saved(None));
        write("2.json", &saved(None));
        write("notes.txt", "not a history");
        assert_eq!(Replayer::new().workflow(hello).directory(directory.path()).unwrap(), 2);

        write("3.json", &saved(Some(DefinitionDigest([7; 32]))));
        write("4.json", "{}");
        let told = Replayer::new()
            .workflow(later::hello)
            .directory(directory.path())
            .unwrap_err();
        let told = told
            .to_string()
            .replace(&format!("{}/", directory.path().display()), "");
        let differs = "nondeterminism at event 5: the code now asks for StartTimer (id 1), but the history has \
                       WorkflowExecutionCompleted";
        assert_eq!(
            told,
            format!(
                "1.json: {differs}\n2.json: {differs}\n3.json: the run follows a saga definition: there is no code to \
                 replay\n4.json: not a history as `temporal workflow show --output json` writes it: it has no list of \
                 \"events\""
            )
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let unknown = Replayer::new().json(&saved(None)).unwrap_err();
        assert_eq!(unknown.to_string(), "no workflow of type \"hello\" is registered");
        let twice = Replayer::new()
            .workflow(hello)
            .workflow(hello)
            .json(&saved(None))
            .unwrap_err();
        assert!(
            twice
                .to_string()
                .starts_with("two workflows are registered as \"hello\""),
            "{twice}"
        );
        assert!(matches!(
            Replayer::new().directory("no-such-directory"),
            Err(ReplayError::Unreadable(_))
        ));
    }
}
