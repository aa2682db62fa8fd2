//! Child workflows: what a run asks for when it starts one, and what it hears of it. Must not live here: sagas as steps
//! (`child`), or what becomes of any of it (`machine`).

use std::sync::Arc;
use std::time::Duration;

use super::{
    EventId, Failure, FailureKind, IdReusePolicy, Memo, Outcome, Payload, RetryPolicy, RunChain, RunId,
    SearchAttributes, TaskQueue, Timestamp, UnwindCause, WorkflowId, WorkflowType,
};

/// What becomes of a child that is open when its parent ends; Temporal's parent close policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ParentClosePolicy {
    /// It is ended at once. Nothing of it is undone: for a child that is a saga, choose
    /// [`RequestCancel`](Self::RequestCancel).
    #[default]
    Terminate,
    /// It goes on.
    Abandon,
    /// It is asked to end, undoing what it did.
    RequestCancel,
}

impl ParentClosePolicy {
    /// The policy as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ParentClosePolicy::Terminate => "terminate",
            ParentClosePolicy::Abandon => "abandon",
            ParentClosePolicy::RequestCancel => "request-cancel",
        }
    }
}

/// The child to start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartChild {
    /// Its workflow id.
    pub workflow_id: WorkflowId,
    /// Which workflow; of a definition, its name.
    pub workflow_type: WorkflowType,
    /// Its input.
    pub input: Payload,
    /// What becomes of it when its parent ends first.
    pub parent_close_policy: ParentClosePolicy,
    /// Whether it may begin when the last run with its id has ended.
    pub id_reuse_policy: IdReusePolicy,
    /// How long each run of it may take. `None`: no limit.
    pub run_timeout: Option<Duration>,
    /// How long it may take with all runs that follow it in its chain. `None`: no limit.
    pub execution_timeout: Option<Duration>,
    /// When a run of it that failed is followed by another one. `None`: never.
    pub retry: Option<RetryPolicy>,
    /// When a run of it that ended is followed by another one. `None`: never.
    pub cron: Option<String>,
    /// Whose workers decide for it. `None`: those that its own code or definition names, or those of its parent.
    pub task_queue: Option<TaskQueue>,
    /// What it can be found by.
    pub search_attributes: SearchAttributes,
    /// What is shown with it.
    pub memo: Memo,
}

impl StartChild {
    /// A child without options: its id may be used again when its last run has ended, which is Temporal's default. The event that
    /// asks for it keeps it from being started twice.
    #[must_use]
    pub fn new(workflow_id: WorkflowId, workflow_type: WorkflowType, input: Payload) -> Self {
        Self {
            workflow_id,
            workflow_type,
            input,
            parent_close_policy: ParentClosePolicy::default(),
            id_reuse_policy: IdReusePolicy::AllowDuplicate,
            run_timeout: None,
            execution_timeout: None,
            retry: None,
            cron: None,
            task_queue: None,
            search_attributes: SearchAttributes::new(),
            memo: Memo::new(),
        }
    }

    /// What makes it have a next run, as a start has it; `None`: nothing does.
    #[must_use]
    pub fn chain(&self) -> Option<RunChain> {
        let chain = RunChain {
            execution_timeout: self.execution_timeout,
            retry: self.retry.clone(),
            cron: self.cron.clone(),
            ..RunChain::default()
        };
        (chain != RunChain::default()).then_some(chain)
    }

    /// The same without what only its start needs: for one that is not to be started any more.
    #[must_use]
    pub fn without_content(&self) -> Self {
        Self {
            parent_close_policy: self.parent_close_policy,
            id_reuse_policy: self.id_reuse_policy,
            ..Self::new(self.workflow_id.clone(), self.workflow_type.clone(), Payload::null())
        }
    }
}

/// What happened between a run and a child of it, as the parent's history has it.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildEvent {
    /// A child is to be started.
    Initiated(Arc<StartChild>),
    /// It cannot be started.
    StartFailed {
        /// The initiating event.
        initiated: EventId,
        /// Why.
        failure: Failure,
    },
    /// It has begun.
    Started {
        /// The initiating event.
        initiated: EventId,
        /// Its execution.
        run_id: RunId,
    },
    /// It has ended.
    Ended {
        /// The initiating event.
        initiated: EventId,
        /// The event of its beginning.
        started: EventId,
        /// How.
        end: ChildEnd,
    },
}

impl ChildEvent {
    /// The event's type, in Temporal's name for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            ChildEvent::Initiated(_) => "StartChildWorkflowExecutionInitiated",
            ChildEvent::StartFailed { .. } => "StartChildWorkflowExecutionFailed",
            ChildEvent::Started { .. } => "ChildWorkflowExecutionStarted",
            ChildEvent::Ended { end, .. } => match end {
                ChildEnd::Completed(_) => "ChildWorkflowExecutionCompleted",
                ChildEnd::Failed(_) => "ChildWorkflowExecutionFailed",
                ChildEnd::Canceled(_) => "ChildWorkflowExecutionCanceled",
                ChildEnd::TimedOut => "ChildWorkflowExecutionTimedOut",
                ChildEnd::Terminated => "ChildWorkflowExecutionTerminated",
            },
        }
    }
}

/// How a child ended. Whether it undid what it had done is in its own history.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildEnd {
    /// With a result.
    Completed(Payload),
    /// With a failure.
    Failed(Failure),
    /// As cancelled.
    Canceled(Failure),
    /// Its time was up.
    TimedOut,
    /// Somebody ended it, or its parent's end did.
    Terminated,
}

impl ChildEnd {
    /// What a child's outcome is to its parent.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed(result) => ChildEnd::Completed(result),
            Outcome::Amended(failure) if failure == UnwindCause::TimedOut.failure() => ChildEnd::TimedOut,
            Outcome::Amended(failure) if matches!(failure.kind, FailureKind::Canceled { .. }) => {
                ChildEnd::Canceled(failure)
            }
            Outcome::Amended(failure) | Outcome::Failed(failure) => ChildEnd::Failed(failure),
            Outcome::Canceled(failure) => ChildEnd::Canceled(failure),
            Outcome::Terminated { .. } => ChildEnd::Terminated,
            Outcome::TimedOut => ChildEnd::TimedOut,
            // Never the last of its chain, whose end is the child's.
            Outcome::ContinuedAsNew { .. } => {
                let message = "the child continued as a new run, and nobody knows as which";
                ChildEnd::Failed(Failure::non_retryable("ChildBroken", message))
            }
        }
    }

    /// Its result, or why there is none.
    ///
    /// # Errors
    /// For every end but the first.
    pub fn into_result(self) -> Result<Payload, Failure> {
        match self {
            ChildEnd::Completed(result) => Ok(result),
            ChildEnd::Failed(failure) | ChildEnd::Canceled(failure) => Err(failure),
            ChildEnd::TimedOut => Err(UnwindCause::TimedOut.failure()),
            ChildEnd::Terminated => Err(Failure {
                message: "the run was terminated".to_owned(),
                kind: FailureKind::Terminated,
                cause: None,
            }),
        }
    }
}

/// Names a child for ever: the run that asked for it, and its event that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChildKey {
    /// The parent's execution.
    pub parent_run: RunId,
    /// The initiating event.
    pub initiated: EventId,
}

/// A child that was open when the run that asked for it ended: it is owed its parent close policy when the parent's chain
/// has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftChild {
    /// Which.
    pub key: ChildKey,
    /// What was asked for; without the input, unless it has to be started yet.
    pub start: Arc<StartChild>,
    /// When it was asked for.
    pub initiated_at: Timestamp,
    /// Its execution; `None`: it was not seen to begin.
    pub run_id: Option<RunId>,
    /// It was to be told that it is to end, and has not been.
    pub owes_cancel: bool,
    /// The chain of its parent has ended: what its parent close policy says is due.
    pub let_go: bool,
}

impl LeftChild {
    /// Whether something is owed to it before its parent's chain has ended: to be told what it was to be told, or to be
    /// started, if it is to outlive its parent.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.owes_cancel || self.start.parent_close_policy == ParentClosePolicy::Abandon
    }
}

/// The run whose child, or whose step, another run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentRun {
    /// The caller's id of the parent.
    pub workflow_id: WorkflowId,
    /// The parent's execution.
    pub run_id: RunId,
    /// The parent's event that asked for it as a child workflow; `None`: it is a step of the parent's saga.
    pub initiated: Option<EventId>,
}

/// Which child failed. The failure that has this as its kind has as its cause how the child ended, or why it could not be
/// started.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildWorkflowFailure {
    /// The child's workflow id.
    pub workflow_id: WorkflowId,
    /// Its execution; `None` when it was not started.
    pub run_id: Option<RunId>,
    /// Which workflow.
    pub workflow_type: WorkflowType,
}
