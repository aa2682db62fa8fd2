//! What can go wrong when an engine is asked for something: typed, with stable codes. Must not live here: failures of
//! users' code (those are `Failure`s).

use crate::definition::{DefinitionError, StartError};
use crate::machine::{CronError, QueryError, Rejection};
use crate::model::{
    ChoiceKind, IdConflictPolicy, IdError, PayloadError, RunId, RunStatus, SearchAttributeError, TaskQueue,
    TaskTokenError, UpdateId, WorkflowId,
};
use crate::runtime::RequestError;
use crate::sdk::RegistryError;
use crate::store;
use crate::visibility::QuerySyntaxError;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An id is not valid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A value cannot be a payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// Activities or workflows are not registered as they should be.
    #[error("{}", list(.0))]
    Registry(Vec<RegistryError>),
    /// Saga definitions have errors.
    #[error("{}", list(.0))]
    Definition(Vec<DefinitionError>),
    /// A definition file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file or directory.
        path: String,
        /// Why not.
        reason: String,
    },
    /// No workflow or saga of this name is known to the engine.
    #[error("no workflow or saga {name:?} is known to this engine{}", known_names(.known))]
    UnknownWorkflow {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// No namespace of this name is known to the engine.
    #[error(
        "no namespace {name:?} is known to this engine (known: {}); start it with `AmendsBuilder::namespace`",
        .known.join(", ")
    )]
    UnknownNamespace {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The namespace has as many open runs as it may have ([`Namespace::max_open_runs`](super::Namespace::max_open_runs)).
    #[error("the namespace {namespace:?} has {most} open runs, and may not have more; try again when one has ended")]
    TooManyOpenRuns {
        /// The namespace.
        namespace: String,
        /// How many it may have.
        most: usize,
    },
    /// A run with this workflow id exists already.
    #[error("workflow {workflow_id} has already been started (run {run_id}, {status})")]
    AlreadyStarted {
        /// The id.
        workflow_id: WorkflowId,
        /// Its run.
        run_id: RunId,
        /// How that run stands.
        status: RunStatus,
    },
    /// There is no such run.
    #[error("workflow {0} not found")]
    NotFound(WorkflowId),
    /// There is no run with this run id.
    #[error("run {0} not found")]
    RunNotFound(RunId),
    /// A text is no task token.
    #[error(transparent)]
    TaskToken(#[from] TaskTokenError),
    /// The attempt that is meant is not running: it has been answered, timed out, or was tried again.
    #[error(
        "workflow {0} has no such attempt of an activity running (any more): it has been answered, timed out, or was tried again"
    )]
    NoSuchAttempt(WorkflowId),
    /// The run refused the request.
    #[error(transparent)]
    Rejected(Rejection),
    /// A decision that leaves something undone does not say who made it, or why.
    #[error("{choice} leaves something undone: say {missing}")]
    Unexplained {
        /// What was decided.
        choice: ChoiceKind,
        /// What is not said.
        missing: &'static str,
    },
    /// A search attribute or a memo is refused: its name, its type, its size.
    #[error(transparent)]
    SearchAttribute(#[from] SearchAttributeError),
    /// A query for runs has a mistake.
    #[error("the query cannot be read: {0}")]
    RunQuery(QuerySyntaxError),
    /// A text is no token of a page, or not one of a page of this query.
    #[error("that is no token of a page of this query; leave it out to begin with the first page")]
    PageToken,
    /// The input, or a search attribute made of it, does not fit the saga's definition.
    #[error(transparent)]
    Input(#[from] StartError),
    /// The configuration of an engine has errors.
    #[error("the configuration cannot be used:\n{0}")]
    Config(DefinitionError),
    /// A text is no cron schedule.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// A start has a delay and a schedule.
    #[error("a run with a cron schedule begins when that is due: it cannot have a start delay, too")]
    DelayedSchedule,
    /// A start that brings a signal or an update along has a policy that does not leave the open run to it.
    #[error(
        "what comes with a start is for the run that is open: {0:?} does not fit; leave the policy out or say UseExisting, \
         and end the open run first if another one is to begin"
    )]
    ConflictPolicy(IdConflictPolicy),
    /// The times of a schedule are wrong.
    #[cfg(feature = "schedules")]
    #[error(transparent)]
    Schedule(#[from] crate::schedule::SpecError),
    /// The input of a schedule's runs is larger than [`limits::SCHEDULE_INPUT_BYTES_MAX`](crate::model::limits).
    #[cfg(feature = "schedules")]
    #[error(
        "the input of a schedule's runs has {bytes} bytes, more than the limit of {max} (store large data elsewhere and pass a reference)"
    )]
    ScheduleInput {
        /// Its size as JSON.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A query has no answer.
    #[error(transparent)]
    Query(QueryError),
    /// The run has accepted no update with this id.
    #[error("the run has accepted no update {0:?}")]
    UnknownUpdate(UpdateId),
    /// No worker of this engine serves the run's task queue, so nobody can decide about the request; nothing of it is
    /// recorded.
    #[error(
        "no worker of this engine serves the run's task queue {0:?}: serve it with `AmendsBuilder::task_queue`, or ask an \
         engine that does"
    )]
    NoWorker(TaskQueue),
    /// An engine is to be started in a worker process.
    #[error("this is a worker process of an engine: call `amends::worker_process()` first thing in `main`")]
    WorkerProcess,
    /// The last run of the workflow id has ended, and has not let go of the id: it still has children to tell, or messages to
    /// bring, and those who get them cannot take them just now. Nothing was started; try again later.
    #[error(
        "workflow {workflow_id} has ended (run {run_id}), and still tells its children so, or brings its last messages, which \
         another run keeps it from; nothing was started: try again later"
    )]
    Leaving {
        /// The id.
        workflow_id: WorkflowId,
        /// The run that has ended.
        run_id: RunId,
    },
    /// Too many requests are waiting; try again later.
    #[error("overloaded: too many requests are waiting; try again later")]
    Overloaded,
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// Whether the request was taken is not known; repeat it with the same request id. What is said of an attempt needs none: said
    /// again, it is taken, or there is no such attempt any more ([`Error::NoSuchAttempt`]).
    #[error("interrupted before an answer was certain; repeat the request, with the same request id if it takes one")]
    Interrupted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A stable number for each kind of [`Error`], for scripts, alerts and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

impl Error {
    /// The error's code; never reused, never changed.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode(match self {
            Error::Id(_) => 1,
            Error::Payload(_) | Error::Rejected(Rejection::PayloadTooLarge { .. }) => 2,
            Error::Registry(_) => 3,
            Error::Definition(_) => 4,
            Error::File { .. } => 5,
            Error::UnknownWorkflow { .. } => 6,
            Error::AlreadyStarted { .. } => 7,
            Error::NotFound(_) | Error::RunNotFound(_) => 8,
            Error::Rejected(Rejection::NotStuck) => 13,
            Error::Rejected(Rejection::StepNotStuck { .. }) => 14,
            Error::Rejected(Rejection::WhichStep { .. }) => 15,
            Error::Rejected(Rejection::ChoiceNotOpen { .. }) => 16,
            Error::Unexplained { .. } => 17,
            Error::SearchAttribute(_) => 18,
            Error::Input(_) => 19,
            Error::RunQuery(_) => 40,
            Error::PageToken => 41,
            Error::Config(_) => 62,
            Error::Cron(_) | Error::DelayedSchedule => 45,
            #[cfg(feature = "schedules")]
            Error::Schedule(_) | Error::ScheduleInput { .. } => 46,
            Error::ConflictPolicy(_) => 47,
            Error::Query(_) => 26,
            Error::UnknownUpdate(_) => 27,
            Error::Rejected(Rejection::TooManyUpdatesInFlight | Rejection::TooManyUpdates) => 28,
            Error::Rejected(Rejection::UpdateRefused(_)) => 29,
            Error::Rejected(Rejection::CannotDecide(_)) => 32,
            Error::Rejected(Rejection::Paused) => 50,
            Error::Rejected(Rejection::ResetRefused(_)) => 51,
            Error::Rejected(_) => 9,
            Error::Overloaded => 10,
            Error::Leaving { .. } => 48,
            Error::ShuttingDown => 11,
            Error::Interrupted => 12,
            Error::TaskToken(_) => 30,
            Error::NoSuchAttempt(_) => 31,
            Error::NoWorker(_) => 33,
            Error::WorkerProcess => 34,
            Error::UnknownNamespace { .. } => 60,
            Error::TooManyOpenRuns { .. } => 61,
            Error::Store(store::Error::InUse { .. }) => 20,
            Error::Store(store::Error::Unusable { .. }) => 21,
            Error::Store(store::Error::Format { .. }) => 22,
            Error::Store(store::Error::Corrupt { .. }) => 23,
            Error::Store(store::Error::Full(_)) => 24,
            Error::Store(store::Error::Codec { .. }) => 42,
            Error::Store(_) => 25,
        })
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::AlreadyStarted {
                workflow_id,
                run_id,
                status,
            } => Error::AlreadyStarted {
                workflow_id,
                run_id,
                status,
            },
            RequestError::NotFound(workflow_id) => Error::NotFound(workflow_id),
            RequestError::Rejected(rejection) => Error::Rejected(rejection),
            RequestError::UnknownUpdate(update_id) => Error::UnknownUpdate(update_id),
            RequestError::NoWorker(task_queue) => Error::NoWorker(task_queue),
            RequestError::TooManyOpenRuns { namespace, most } => Error::TooManyOpenRuns { namespace, most },
            RequestError::Leaving(workflow_id, run_id) => Error::Leaving { workflow_id, run_id },
            RequestError::Overloaded => Error::Overloaded,
            RequestError::ShuttingDown => Error::ShuttingDown,
            RequestError::Interrupted => Error::Interrupted,
            RequestError::Store(error) => Error::Store(error),
        }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("\n")
}

fn known_names(names: &[String]) -> String {
    match names {
        [] => "; register one with the builder".to_owned(),
        names => format!(" (known: {})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ResultError, UpdateError};
    use crate::model::Failure;

    /// Users return them: from 128 bytes on, clippy's `result_large_err` warns them of functions that do.
    #[test]
    fn errors_are_small_enough_to_be_returned() {
        for (error, bytes) in [
            ("Error", size_of::<Error>()),
            ("Failure", size_of::<Failure>()),
            ("RegistryError", size_of::<RegistryError>()),
            ("ResultError", size_of::<ResultError>()),
            ("StoreError", size_of::<store::Error>()),
            ("UpdateError", size_of::<UpdateError>()),
        ] {
            assert!(bytes <= 120, "{error} has {bytes} bytes");
        }
    }
}
