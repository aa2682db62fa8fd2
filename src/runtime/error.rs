//! Why a request to a run could not be met. Must not live here: error codes for users (that is `engine`).

use crate::machine::Rejection;
use crate::model::{RunId, RunStatus, TaskQueue, UpdateId, WorkflowId};
use crate::store;

/// Why a request to a run could not be met.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// A run with this workflow id exists.
    #[error("workflow {workflow_id} has already been started (run {run_id}, {status})")]
    AlreadyStarted {
        /// The id.
        workflow_id: WorkflowId,
        /// Its run.
        run_id: RunId,
        /// How that run stands.
        status: RunStatus,
    },
    /// No run with this workflow id (or run id) exists.
    #[error("workflow {0} not found")]
    NotFound(WorkflowId),
    /// The run refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The run has no accepted update with this id.
    #[error("the run has accepted no update {0:?}")]
    UnknownUpdate(UpdateId),
    /// No worker of this engine serves the run's task queue.
    #[error("no worker of this engine serves the run's task queue {0:?}")]
    NoWorker(TaskQueue),
    /// The namespace has as many open runs as it may have.
    #[error("the namespace {namespace:?} has {most} open runs, and may not have more; try again when one has ended")]
    TooManyOpenRuns {
        /// The namespace.
        namespace: String,
        /// How many it may have.
        most: usize,
    },
    /// The last run of the workflow id has ended, and has not let go of the id: it still has children to tell, or messages to
    /// bring.
    #[error(
        "workflow {0} has ended (run {1}), and still tells its children so, or brings its last messages, which another run \
         keeps it from; nothing was started: try again later"
    )]
    Leaving(WorkflowId, RunId),
    /// Too many requests are waiting.
    #[error("overloaded: too many requests are waiting; try again later")]
    Overloaded,
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// The run's actor was lost before it could answer. The request may or may not have been taken: repeat it with the
    /// same request id.
    #[error("interrupted before an answer was certain; repeat the request, with the same request id if it takes one")]
    Interrupted,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}
