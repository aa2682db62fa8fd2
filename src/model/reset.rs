//! A run that is made anew from the beginning of another one's history. Lives here: what is asked for, and what is recorded.
//! Must not live here: what is copied, and what is refused (that is `machine::reset`).

use super::{ActivityType, EventId, LeftChild, LeftMessage, RequestId, RunId, StepName, Turn, UpdateRequest};

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    /// The turn that is to be decided again.
    pub point: ResetPoint,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub identity: String,
    /// What came after that turn, and comes again.
    pub reapply: Reapply,
    /// Saga steps from that turn on that may have had an effect are left as they are, instead of being a reason to refuse.
    pub force: bool,
    /// Makes the request repeatable: as long as the run that it made is the newest one of its id, it makes no other.
    pub request_id: Option<RequestId>,
}

/// A turn of a run, as a person names it. Only turns in which something was decided count: those with a
/// `WorkflowTaskCompleted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPoint {
    /// The turn with this event: one of the three ids of its `WorkflowTaskCompleted`.
    Event(EventId),
    /// The turn with this number, counted from 1.
    Turn(u64),
    /// The first one.
    FirstTurn,
    /// The last one.
    LastTurn,
}

/// What of the things that came after the turn comes again. Requests to cancel, and decisions of persons, never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reapply {
    /// Nothing.
    None,
    /// Signals.
    Signals,
    /// Signals, and updates that were accepted: the code is asked for them again.
    #[default]
    All,
}

impl Reset {
    /// Everything that can come again comes again, and nothing is forced.
    #[must_use]
    pub fn to(point: ResetPoint, identity: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            point,
            reason: reason.into(),
            identity: identity.into(),
            reapply: Reapply::All,
            force: false,
            request_id: None,
        }
    }
}

/// The run that was made of another one, ready to begin: what the machine takes as an input.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeAnew {
    /// It.
    pub run_id: RunId,
    /// Its first turn: what is copied, the reset, what comes again.
    pub first: Turn,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub identity: String,
}

/// Attributes of the event where a run that was made of another one begins to have a history of its own. In Temporal's
/// histories it is a workflow task that failed because of a reset, so it takes three ids as well.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReset {
    /// The run of whose history everything before this event is a copy.
    pub base_run_id: RunId,
    /// The run that was made.
    pub new_run_id: RunId,
    /// The run that wrote event 1: the base, unless that one was made of another one, too.
    pub original_run_id: RunId,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub identity: String,
    /// The request's deduplication key.
    pub request_id: Option<RequestId>,
    /// How the base had come on with the activities that have not ended here.
    pub attempts: Vec<ResetAttempt>,
    /// Steps that have ended here, of whose effect only the base's pending record knew: by scheduling event.
    pub doubts: Vec<EventId>,
    /// Local activities that the code waits for here.
    pub locals: Vec<(u32, ActivityType)>,
    /// Updates that the base had accepted later: the code is asked for them again.
    pub updates: Vec<UpdateRequest>,
    /// Children that the run which gave way has left, and that this run does not have anyway.
    pub children: Vec<LeftChild>,
    /// Messages of earlier runs that are still to be brought, those of before the base's chain included. Those that the part
    /// which is undone has sent are not among them.
    pub messages: Vec<LeftMessage>,
    /// Saga steps of the base that may have had an effect, and that nobody undoes.
    pub left: Vec<StepName>,
}

/// An activity that has not ended in a run that was made of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetAttempt {
    /// Its scheduling event.
    pub scheduled: EventId,
    /// The number of its current attempt.
    pub attempt: u32,
    /// The base may have begun that attempt, and nobody will tell this run how it went: it counts as lost.
    pub lost: bool,
    /// An attempt before it may have had an effect.
    pub may_have_applied: bool,
    /// Attempts that do not count for its retry policy.
    pub forgiven: u32,
}
