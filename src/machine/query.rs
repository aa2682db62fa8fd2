//! Questions to a run: what can go wrong, and the ones that every run answers from its state. Must not live here: the
//! queries of workflow code (that is `replay`).

use serde_json::{Value, json};

use crate::model::{Event, Failure, ParkReason, Payload, Query, QueryName, TaskQueue};

use super::ledger::{StepState, UndoState};
use super::state::RunState;

/// Why a query has no answer. Whatever it is, the run is as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The run knows no such query.
    #[error("the run answers no query {name:?}{}", .known.iter().fold(String::from("; known:"), |list, name| format!("{list} {name}")))]
    Unknown {
        /// What was asked.
        name: QueryName,
        /// What can be asked.
        known: Vec<String>,
    },
    /// The run's handler failed, or the question does not fit it.
    #[error("the query failed: {0}")]
    Failed(Box<Failure>),
    /// The run's handler tried to change something.
    #[error("a query only looks, but its handler tried to {0}: do that in an update or a signal handler")]
    NotReadOnly(String),
    /// The run's handler panicked.
    #[error("the query's handler {0}")]
    Panicked(String),
    /// The run's code does not fit its history, so nobody knows how it stands.
    #[error("the run's code cannot be asked: {0}")]
    Undecidable(Box<ParkReason>),
    /// No worker serves the run's task queue here.
    #[error("no worker of this engine serves the run's task queue {0:?}")]
    NoWorker(TaskQueue),
    /// Who could answer is not at hand here.
    #[error("the run's workflow code is not at hand")]
    NotHere,
}

impl QueryError {
    /// Whether the handler may have changed something although it must not: then who answered is not to be trusted any more.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, QueryError::NotReadOnly(_) | QueryError::Panicked(_))
    }
}

/// Queries that runs of definitions answer, beside their own names.
pub(super) const OF_DEFINITIONS: [&str; 3] = ["outputs", "status", "steps"];

impl RunState {
    /// The events after the last task, for runs of code: those of its commands, and what has arrived since.
    #[must_use]
    pub fn since_task(&self) -> &[Event] {
        &self.since_task
    }

    /// Answers a query about a run that follows a definition: `status`, `steps` (how each stands), `outputs` (of the steps
    /// that have completed).
    ///
    /// # Errors
    /// [`QueryError::Unknown`] for any other query.
    pub fn answer(&self, query: &Query) -> Result<Payload, QueryError> {
        let value = match query.name.as_str() {
            "status" => json!(self.status().to_string()),
            "steps" => self.steps().map(|step| (step.name.to_string(), state(step))).collect(),
            "outputs" => {
                let outputs = self.steps().filter_map(|step| match &step.state {
                    StepState::Completed { output } => Some((step.name.to_string(), data(output))),
                    _ => None,
                });
                outputs.collect()
            }
            _ => {
                let known = OF_DEFINITIONS.map(str::to_owned).to_vec();
                let name = query.name.clone();
                return Err(QueryError::Unknown { name, known });
            }
        };
        Payload::json(&value).map_err(|error| {
            let failure = Failure::non_retryable("InvalidOutput", error.to_string());
            QueryError::Failed(Box::new(failure))
        })
    }
}

fn state(step: &super::StepRecord) -> Value {
    let word = match (&step.undo, &step.state) {
        (UndoState::Done, _) => "undone",
        (_, StepState::Completed { .. }) => "completed",
        (_, StepState::Failed { .. }) => "failed",
        (_, StepState::Pending) => "pending",
        (_, StepState::Skipped) => "skipped",
    };
    json!(word)
}

/// A payload that is not JSON is told as its kind.
fn data(payload: &Payload) -> Value {
    match payload.is_null() {
        true => Value::Null,
        false => payload.to().unwrap_or_else(|_| json!(format!("{payload:?}"))),
    }
}
