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
    /// Only for this execution, or, when it is a child of the sender's, for its chain; `None`: for the open one.
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
    /// Only this execution, or, when it is a child of the sender's, its chain; `None`: the open one.
    pub run_id: Option<RunId>,
    /// Why.
    pub reason: String,
}

/// What a run says to another one.
#[derive(Clone, Debug, PartialEq)]
pub enum ExternalMessage {
    /// A signal.
    Signal(Box<ExternalSignal>),
    /// A request to end.
    Cancel(Box<ExternalCancel>),
}

impl ExternalMessage {
    /// Whether it asks the child of this id to end that began with this run. Messages of old do not say which child of the id.
    #[must_use]
    pub fn cancels_child(&self, workflow_id: &WorkflowId, first: RunId) -> bool {
        match self {
            ExternalMessage::Signal(_) => false,
            ExternalMessage::Cancel(cancel) => {
                cancel.workflow_id == *workflow_id && cancel.run_id.is_none_or(|run_id| run_id == first)
            }
        }
    }
}

/// Names a message to another run for ever: the run that sends it, and its event that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageKey {
    /// The sender's execution.
    pub sender_run: RunId,
    /// The initiating event.
    pub initiated: EventId,
}

impl MessageKey {
    /// The deduplication key: equal however often the message is brought.
    #[must_use]
    pub fn request_id(self) -> RequestId {
        RequestId::from_trusted(format!("{}/{}", self.sender_run, self.initiated))
    }
}

/// A message that was on its way to another run when its sender ended. It is brought all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftMessage {
    /// Which.
    pub key: MessageKey,
    /// It.
    pub message: ExternalMessage,
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
