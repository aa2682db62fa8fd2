//! What is said to a run that answers, and what a run says to others: updates, queries, signals and cancellations for
//! other runs. Must not live here: what becomes of them (that is `machine`).

use super::{EventId, Failure, Payload, QueryName, RequestId, RunId, SignalName, UpdateId, UpdateName, WorkflowId};

/// A question to a run. Answering it changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which question.
    pub name: QueryName,
    /// What exactly is asked.
    pub input: Payload,
}

/// A request that a run may refuse, and that it answers when it has met it.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRequest {
    /// Names this request within its run: a second one with the same id is the same request.
    pub update_id: UpdateId,
    /// Which update.
    pub name: UpdateName,
    /// Its data.
    pub input: Payload,
    /// Who asks.
    pub identity: String,
}

/// Attributes of the end of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateCompleted {
    /// Which request.
    pub update_id: UpdateId,
    /// The accepting event.
    pub accepted: EventId,
    /// The answer.
    pub outcome: Result<Payload, Failure>,
}

/// A signal for another run.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalSignal {
    /// Whose workflow id.
    pub workflow_id: WorkflowId,
    /// Only for this execution; `None`: for the open one.
    pub run_id: Option<RunId>,
    /// The signal's name.
    pub name: SignalName,
    /// Its data.
    pub input: Payload,
}

/// Another run is to be asked to end.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalCancel {
    /// Whose workflow id.
    pub workflow_id: WorkflowId,
    /// Only this execution; `None`: the open one.
    pub run_id: Option<RunId>,
    /// Why.
    pub reason: String,
}

/// Attributes of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowSignaled {
    /// Its name.
    pub name: SignalName,
    /// Its data.
    pub input: Payload,
    /// The sender's deduplication key.
    pub request_id: Option<RequestId>,
    /// Who sent it.
    pub identity: String,
}
