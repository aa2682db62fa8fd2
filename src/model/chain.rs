//! Runs that follow one another under one workflow id: what a run knows of its chain, how the next one begins, and what a
//! start means when its workflow id is not new. Must not live here: deciding when a run is followed (that is `machine`).

use std::time::Duration;

use super::{
    Failure, LeftChild, LeftMessage, Memo, Payload, RequestId, RetryPolicy, RunId, RunStatus, SearchAttributes,
    SignalName, TaskQueue, Timestamp, UpdateId, WorkflowType,
};

/// A run's place in its chain, and what makes it have a next one. Journaled with the run's first event; a run that is
/// neither a part of a chain nor can become one by itself has none.
#[derive(Clone, Debug, PartialEq)]
pub struct RunChain {
    /// The chain's first run; `None`: it is this one.
    pub first: Option<RunId>,
    /// The run that this one follows, and why.
    pub follows: Option<(RunId, Initiator)>,
    /// Which try this is, by the retry policy: 1 for the first.
    pub attempt: u32,
    /// How long after its beginning the run is first decided about.
    pub backoff: Duration,
    /// How long the whole chain may take. `None`: no limit.
    pub execution_timeout: Option<Duration>,
    /// When the whole chain's time is up: counted from its first run.
    pub expires_at: Option<Timestamp>,
    /// When a run that failed is followed by another one.
    pub retry: Option<RetryPolicy>,
    /// When a run that ended is followed by another one.
    pub cron: Option<String>,
    /// How the run before failed, if it did.
    pub last_failure: Option<Failure>,
    /// The result of the last run of the chain that had one.
    pub last_result: Option<Payload>,
    /// Deduplication keys of signals that earlier runs of the chain had, oldest first.
    pub signal_requests: Vec<RequestId>,
    /// Updates that earlier runs of the chain accepted, oldest first.
    pub updates: Vec<UpdateId>,
    /// Children of earlier runs of the chain that were open when the last one ended; or of the run that this one was started
    /// in place of, whose chain has ended.
    pub children: Vec<LeftChild>,
    /// Messages of those runs to others, which have not been brought yet.
    pub messages: Vec<LeftMessage>,
}

impl Default for RunChain {
    fn default() -> Self {
        Self {
            first: None,
            follows: None,
            attempt: 1,
            backoff: Duration::ZERO,
            execution_timeout: None,
            expires_at: None,
            retry: None,
            cron: None,
            last_failure: None,
            last_result: None,
            signal_requests: Vec::new(),
            updates: Vec::new(),
            children: Vec::new(),
            messages: Vec::new(),
        }
    }
}

/// Why one run follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// Its code continued as a new run.
    Workflow,
    /// It failed, and its retry policy has it tried again.
    Retry,
    /// Its schedule has it run again.
    Cron,
}

impl Initiator {
    /// The reason as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Initiator::Workflow => "continue-as-new",
            Initiator::Retry => "retry",
            Initiator::Cron => "cron",
        }
    }
}

/// How workflow code wants to be followed by a new run of its workflow id.
#[derive(Clone, Debug, PartialEq)]
pub struct ContinueAsNew {
    /// Which workflow the new run is.
    pub workflow_type: WorkflowType,
    /// The new run's input.
    pub input: Payload,
    /// How long the new run may take. `None`: as long as this one.
    pub run_timeout: Option<Duration>,
    /// Whose workers decide for the new run. `None`: those of this one.
    pub task_queue: Option<TaskQueue>,
    /// When the new run, should it fail, is followed by another one. `None`: as this one.
    pub retry: Option<RetryPolicy>,
    /// What the new run can be found by. `None`: what this one can be found by at its end.
    pub search_attributes: Option<SearchAttributes>,
    /// What is shown with the new run. `None`: what is shown with this one at its end.
    pub memo: Option<Memo>,
    /// The steps of the run's saga count as done for good: they are not undone any more.
    pub saga_done: bool,
    /// Signals that the code has not received: the new run gets them.
    pub unread: Vec<(SignalName, Payload)>,
}

impl ContinueAsNew {
    /// A new run for which everything holds that holds for this one.
    #[must_use]
    pub fn new(workflow_type: WorkflowType, input: Payload) -> Self {
        Self {
            workflow_type,
            input,
            run_timeout: None,
            task_queue: None,
            retry: None,
            search_attributes: None,
            memo: None,
            saga_done: false,
            unread: Vec::new(),
        }
    }
}

/// Attributes of the event that ends a run which is followed by another one because its code asked for that.
#[derive(Clone, Debug, PartialEq)]
pub struct ContinuedAsNew {
    /// The run that follows.
    pub new_run_id: RunId,
    /// Which workflow it is.
    pub workflow_type: WorkflowType,
    /// Its input.
    pub input: Payload,
    /// How long it may take. `None`: no limit.
    pub run_timeout: Option<Duration>,
    /// Whose workers decide for it. `None`: those of the default queue.
    pub task_queue: Option<TaskQueue>,
}

/// Whether a run may begin under a workflow id whose last run has ended; Temporal's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdReusePolicy {
    /// Never: a workflow id is the deduplication key of a business transaction. The default of starts here, not in Temporal;
    /// that of child workflows is `AllowDuplicate` in both.
    #[default]
    RejectDuplicate,
    /// Only when that run has not completed: it failed, or was amended, cancelled, terminated or timed out.
    AllowDuplicateFailedOnly,
    /// Always.
    AllowDuplicate,
}

impl IdReusePolicy {
    /// The policy as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IdReusePolicy::RejectDuplicate => "reject-duplicate",
            IdReusePolicy::AllowDuplicateFailedOnly => "allow-duplicate-failed-only",
            IdReusePolicy::AllowDuplicate => "allow-duplicate",
        }
    }

    /// Whether a run may begin after one that ended like this.
    #[must_use]
    pub fn allows_after(self, status: RunStatus) -> bool {
        match self {
            IdReusePolicy::RejectDuplicate => false,
            IdReusePolicy::AllowDuplicateFailedOnly => status.is_closed() && status != RunStatus::Completed,
            IdReusePolicy::AllowDuplicate => status.is_closed(),
        }
    }
}

/// What a start means while a run with its workflow id is open; Temporal's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdConflictPolicy {
    /// It is refused.
    #[default]
    Fail,
    /// It gives that run.
    UseExisting,
    /// That run is terminated, nothing of it is undone, and the new one begins, in one commit.
    TerminateExisting,
}

/// What a start means when its workflow id is not new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IdPolicies {
    /// When the last run has ended.
    pub reuse: IdReusePolicy,
    /// When a run is open.
    pub conflict: IdConflictPolicy,
}
