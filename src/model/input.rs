//! What arrives for a run. Lives here: the closed list of inputs. Must not live here: who sends them or how.

use std::time::Duration;

use super::{
    AttemptReport, ChildEnd, ChildKey, Decide, DefinitionDigest, EventId, Failure, HoldReason, IdPolicies, LockName,
    MadeAnew, Memo, MessageKey, ParentRun, Payload, Reported, RequestId, RunChain, RunId, SagaAdopted, SagaOptions,
    SearchAttributes, SignalName, TaskQueue, Timestamp, UpdateRequest, WorkflowId, WorkflowType,
};

/// One thing that arrives for a run. Everything that can move a run is in this list.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin.
    Start(Box<StartRun>),
    /// A signal.
    Signal {
        /// Its name.
        name: SignalName,
        /// Its data.
        input: Payload,
        /// The sender's deduplication key.
        request_id: Option<RequestId>,
        /// Who sends it.
        identity: String,
    },
    /// A request that the run may refuse, and answers when it has met it.
    Update(Box<UpdateRequest>),
    /// A message of the run's to another run was delivered, or cannot be.
    ExternalEnded {
        /// The initiating event.
        initiated: EventId,
        /// Whether it was.
        outcome: Result<(), Failure>,
    },
    /// A child was started, or cannot be.
    ChildStarted {
        /// The initiating event.
        initiated: EventId,
        /// Its execution, or why there is none.
        outcome: Result<RunId, Failure>,
    },
    /// A child has ended.
    ChildEnded {
        /// The initiating event.
        initiated: EventId,
        /// How.
        end: ChildEnd,
    },
    /// What was owed to a child that a run has left open was done, or the child has ended.
    ChildReleased {
        /// Which child.
        child: ChildKey,
    },
    /// A message that a run which has ended has left was brought, or cannot be.
    MessageReleased {
        /// Which message.
        message: MessageKey,
    },
    /// Ask the run to end, undoing what it did.
    RequestCancel {
        /// Why.
        reason: String,
        /// Who asks.
        identity: String,
    },
    /// Let the run stand still.
    Pause {
        /// Why.
        reason: String,
        /// Who wants it.
        identity: String,
    },
    /// Let the run go on.
    Unpause {
        /// Why.
        reason: String,
        /// Who wants it.
        identity: String,
    },
    /// Begin with a part of another run's history. An open run ends, and is followed by that one.
    Reset(Box<MadeAnew>),
    /// End the run at once, undoing nothing.
    Terminate {
        /// Why.
        reason: String,
        /// Who decides so.
        identity: String,
    },
    /// An attempt of an activity ended.
    AttemptEnded {
        /// Which attempt.
        token: AttemptToken,
        /// With what.
        outcome: AttemptOutcome,
    },
    /// Something is said of an attempt: a heartbeat, or by somebody else how it ended.
    Report(Box<AttemptReport>),
    /// The attempt's code has returned, and somebody else will say how the attempt ended.
    HandedOver {
        /// Which attempt.
        token: AttemptToken,
        /// When it was started: its time runs from there.
        started: Timestamp,
    },
    /// The process (or the actor) that ran the attempts is gone: those that were due by this time are lost.
    Recovered {
        /// When it ended, or, if nobody knows, when another one took over.
        at: Timestamp,
    },
    /// The engine does not hand out these attempts now. They are not lost when it comes back.
    Hold {
        /// The attempts that were due.
        attempts: Vec<AttemptToken>,
        /// Why not.
        why: HoldReason,
    },
    /// What kept this attempt from being handed out is over.
    Release {
        /// The attempt that was held.
        token: AttemptToken,
    },
    /// A person's decision about a stuck saga.
    Decide(Box<Decide>),
    /// A lock that the run asked for is its own now.
    LockGranted {
        /// Which lock.
        lock: LockName,
    },
    /// The run does not get a lock that it asked for.
    LockRefused {
        /// Which lock.
        lock: LockName,
        /// Why.
        failure: Failure,
    },
    /// Time has passed: whatever is due by now is due.
    Wake,
}

impl Input {
    /// Bytes of data that it brings.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Input::Start(start) => start.input.data().len(),
            Input::Signal { input, .. } => input.data().len(),
            Input::Update(update) => update.input.data().len(),
            Input::AttemptEnded {
                outcome: Ok(result), ..
            } => result.data().len(),
            Input::AttemptEnded {
                outcome: Err(failure), ..
            } => failure.details_bytes(),
            Input::ChildEnded {
                end: ChildEnd::Completed(result),
                ..
            } => result.data().len(),
            Input::Report(report) => match &report.what {
                Reported::Completed(data) | Reported::Heartbeat(data) => data.data().len(),
                Reported::Failed(failure) => failure.details_bytes(),
            },
            _ => 0,
        }
    }
}

/// Names one attempt: the fencing token that its result is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptToken {
    /// The scheduling event of the activity.
    pub scheduled: EventId,
    /// The attempt's number, 1 for the first.
    pub attempt: u32,
}

/// What an attempt ended with. Timeouts, cancellations and lost workers are failures of those kinds.
pub type AttemptOutcome = Result<Payload, Failure>;

/// How a run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct StartRun {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// The new execution's id.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// The definition to follow, when it is not written in code.
    pub definition: Option<DefinitionDigest>,
    /// Its input.
    pub input: Payload,
    /// The caller's deduplication key for this start.
    pub request_id: Option<RequestId>,
    /// How long the run may take. `None`: no limit.
    pub run_timeout: Option<Duration>,
    /// Who starts it.
    pub identity: String,
    /// How its saga is undone; `None`: as by default.
    pub saga: Option<Box<SagaOptions>>,
    /// Whose workers decide for it, and make the attempts of its activities. `None`: those of the default queue.
    pub task_queue: Option<TaskQueue>,
    /// The run whose step this run is.
    pub parent: Option<ParentRun>,
    /// What it can be found by.
    pub search_attributes: SearchAttributes,
    /// What is shown with it.
    pub memo: Memo,
    /// What it means when its workflow id is not new.
    pub ids: IdPolicies,
    /// Its place among the runs of its workflow id, and what makes it have a next one; `None`: it is alone.
    pub chain: Option<Box<RunChain>>,
    /// The steps of another run, which this one is started to undo.
    pub adopted: Option<Box<SagaAdopted>>,
}

impl StartRun {
    /// A start without options. The new execution's id is for whoever begins it to say.
    #[must_use]
    pub fn new(workflow_id: WorkflowId, workflow_type: WorkflowType, input: Payload) -> Self {
        Self {
            workflow_id,
            run_id: RunId::NIL,
            workflow_type,
            definition: None,
            input,
            request_id: None,
            run_timeout: None,
            identity: String::new(),
            saga: None,
            task_queue: None,
            parent: None,
            search_attributes: SearchAttributes::new(),
            memo: Memo::new(),
            ids: IdPolicies::default(),
            chain: None,
            adopted: None,
        }
    }
}
