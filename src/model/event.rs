//! Facts, past tense, journaled, never edited: Temporal's history events, and a few of ours for sagas. Must not live
//! here: their wire form (`store::record`) or their meaning for a run's state (`machine`).

mod kind;

use std::sync::Arc;
use std::time::Duration;

use super::{
    ActivityId, ActivityOptions, ActivityType, ChildEvent, ContinuedAsNew, DefinitionDigest, EventId, ExternalCancel,
    ExternalSignal, Failure, LocalActivityEnded, Memo, MemoChanges, ParentRun, Payload, RequestId, RetryState,
    RunChain, RunId, RunReset, SagaAdopted, SagaDecided, SagaOptions, SagaStepAmbiguous, SagaStepSkipped, SagaStuck,
    SagaUnwindStarted, SagaWaitStarted, SearchAttributeChanges, SearchAttributes, StepSpec, StepVerdict, TaskQueue,
    TimerId, Timestamp, UpdateCompleted, UpdateRequest, VersionMarker, WaitResult, WorkflowId, WorkflowSignaled,
    WorkflowTask, WorkflowType,
};

/// How many ids a decided turn takes: it stands for WorkflowTaskScheduled, WorkflowTaskStarted and
/// WorkflowTaskCompleted.
pub const TURN_EVENT_IDS: u64 = 3;

/// One fact of a run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place: 1 for the first. Ids are dense; a workflow task takes three and carries the first of them.
    pub id: EventId,
    /// When it was decided.
    pub time: Timestamp,
    /// What happened.
    pub attributes: EventAttributes,
}

/// What happened. Names and attributes are Temporal's; the last ones are ours and appear as markers to Temporal's tools.
#[derive(Clone, Debug, PartialEq)]
pub enum EventAttributes {
    /// The run began. Always event 1.
    WorkflowExecutionStarted(Arc<RunStarted>),
    /// The run ended with a result.
    WorkflowExecutionCompleted {
        /// The result.
        result: Payload,
    },
    /// The run ended with a failure.
    WorkflowExecutionFailed {
        /// Why.
        failure: Failure,
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// The run ended because its time was up.
    WorkflowExecutionTimedOut {
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// The run ended as cancelled.
    WorkflowExecutionCanceled {
        /// How the cancellation was met.
        failure: Failure,
        /// Whether every saga step that may have had an effect was compensated.
        amended: bool,
    },
    /// An operator ended the run at once; nothing was undone.
    WorkflowExecutionTerminated {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// The run ended, and its code had another one follow.
    WorkflowExecutionContinuedAsNew(Box<ContinuedAsNew>),
    /// Somebody asked the run to end.
    WorkflowExecutionCancelRequested {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// Somebody wants the run to stand still.
    WorkflowExecutionPaused {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// The run goes on.
    WorkflowExecutionUnpaused {
        /// Why.
        reason: String,
        /// Who.
        identity: String,
    },
    /// Ours, Temporal has a failed task: the run was made of another one, of whose history everything before this is a
    /// copy. Takes three ids.
    WorkflowExecutionReset(Box<RunReset>),
    /// A signal arrived.
    WorkflowExecutionSignaled(Box<WorkflowSignaled>),
    /// The decider looked at everything before this event and gave the commands whose events follow. Takes three ids.
    WorkflowTask(WorkflowTask),
    /// An activity is to be run; its compensation is owed from here on.
    ActivityTaskScheduled(Arc<ActivityScheduled>),
    /// An attempt was started; written when the activity ends, about its last attempt.
    ActivityTaskStarted {
        /// The scheduling event.
        scheduled: EventId,
        /// The number of the last attempt, 1 for the first.
        attempt: u32,
        /// How the attempt before it failed.
        last_failure: Option<Failure>,
    },
    /// The activity returned a result.
    ActivityTaskCompleted {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event.
        started: EventId,
        /// The result.
        result: Payload,
    },
    /// The activity failed for good.
    ActivityTaskFailed {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event.
        started: EventId,
        /// How its last attempt failed.
        failure: Failure,
        /// Why it was not retried.
        retry_state: RetryState,
    },
    /// The activity ran out of time for good.
    ActivityTaskTimedOut {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event; `None` when no attempt of it was ever started.
        started: Option<EventId>,
        /// Which time ran out, with the last failure as its cause.
        failure: Failure,
        /// Why it was not retried.
        retry_state: RetryState,
    },
    /// The activity is asked to stop.
    ActivityTaskCancelRequested {
        /// The scheduling event.
        scheduled: EventId,
    },
    /// The activity stopped as asked.
    ActivityTaskCanceled {
        /// The scheduling event.
        scheduled: EventId,
        /// The starting event; `None` when no attempt of it was ever started.
        started: Option<EventId>,
        /// What it says about how far it had come.
        details: Option<Payload>,
    },
    /// A timer was started.
    TimerStarted {
        /// Its name.
        timer_id: TimerId,
        /// When it fires.
        fire_at: Timestamp,
    },
    /// A timer fired.
    TimerFired {
        /// Its name.
        timer_id: TimerId,
        /// The starting event.
        started: EventId,
    },
    /// A timer was forgotten.
    TimerCanceled {
        /// Its name.
        timer_id: TimerId,
        /// The starting event.
        started: EventId,
    },
    /// A note of the decider's.
    MarkerRecorded {
        /// The kind of note.
        name: String,
        /// Its content.
        details: Payload,
    },
    /// The code met a change of itself: which version of it the run has from here on. A marker, too, to Temporal's tools.
    VersionMarkerRecorded(VersionMarker),
    /// What the run can be found by has changed.
    UpsertWorkflowSearchAttributes(Box<SearchAttributeChanges>),
    /// The run's memo has changed.
    WorkflowPropertiesModified(Box<MemoChanges>),
    /// Ours, Temporal's SDKs write a marker: a local activity has ended.
    LocalActivityEnded(Box<LocalActivityEnded>),
    /// An update was taken on.
    WorkflowExecutionUpdateAccepted(Box<UpdateRequest>),
    /// An update was answered.
    WorkflowExecutionUpdateCompleted(Box<UpdateCompleted>),
    /// Another run is sent a signal.
    SignalExternalWorkflowExecutionInitiated(Box<ExternalSignal>),
    /// The other run does not get the signal.
    SignalExternalWorkflowExecutionFailed {
        /// The initiating event.
        initiated: EventId,
        /// Why.
        failure: Failure,
    },
    /// The other run has the signal.
    ExternalWorkflowExecutionSignaled {
        /// The initiating event.
        initiated: EventId,
    },
    /// Another run is asked to end.
    RequestCancelExternalWorkflowExecutionInitiated(Box<ExternalCancel>),
    /// The other run cannot be asked to end.
    RequestCancelExternalWorkflowExecutionFailed {
        /// The initiating event.
        initiated: EventId,
        /// Why.
        failure: Failure,
    },
    /// The other run was asked to end.
    ExternalWorkflowExecutionCancelRequested {
        /// The initiating event.
        initiated: EventId,
    },
    /// A child was asked for, has begun, or has ended.
    Child(Box<ChildEvent>),
    /// Ours: the saga turned back; what is owed is compensated from here on.
    SagaUnwindStarted(Box<SagaUnwindStarted>),
    /// Ours: the saga cannot go on without a person.
    SagaStuck(Box<SagaStuck>),
    /// Ours: a person, or the saga's policy, decided how a stuck saga goes on.
    SagaDecided(Box<SagaDecided>),
    /// Ours: a step has ended without an answer, and its policy is to find out before anything else happens.
    SagaStepAmbiguous(Box<SagaStepAmbiguous>),
    /// Ours: it became known whether a step without an answer had its effect.
    SagaStepResolved {
        /// The step's scheduling event.
        scheduled: EventId,
        /// What became known.
        verdict: StepVerdict,
    },
    /// Ours: a part of the saga is undone; it goes on from there.
    SagaRollbackStarted {
        /// How many steps are kept, in the order of their scheduling.
        keep: u64,
    },
    /// Ours: the part is undone.
    SagaRollbackCompleted {
        /// The starting event.
        started: EventId,
    },
    /// Ours: a step that waits, for a signal or for a time, began to wait.
    SagaWaitStarted(Box<SagaWaitStarted>),
    /// Ours: a step that waits has what it waited for.
    SagaWaitEnded {
        /// The starting event.
        started: EventId,
        /// How it ended.
        result: WaitResult,
    },
    /// Ours: a step is left out, because its condition does not hold.
    SagaStepSkipped(Box<SagaStepSkipped>),
    /// Ours: the saga asks for a lock that it holds until it ends.
    SagaLockRequested {
        /// Which lock.
        lock: super::LockName,
        /// When it gives up waiting; `None`: never.
        until: Option<Timestamp>,
        /// It does not wait at all when somebody else holds it.
        no_wait: bool,
    },
    /// Ours: the saga holds the lock.
    SagaLockAcquired {
        /// The requesting event.
        requested: EventId,
    },
    /// Ours: the saga does not get the lock.
    SagaLockRefused {
        /// The requesting event.
        requested: EventId,
        /// Why: it took too long, somebody holds it, or waiting for it would never end.
        failure: Failure,
    },
    /// Ours: the run takes over the steps of another run, in order to undo them.
    SagaAdopted(Box<SagaAdopted>),
}

/// Attributes of the first event.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStarted {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// This execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// The definition it follows, when it is not written in code.
    pub definition: Option<DefinitionDigest>,
    /// Its input.
    pub input: Payload,
    /// The caller's deduplication key for this start.
    pub request_id: Option<RequestId>,
    /// How long the run may take. `None`: no limit.
    pub run_timeout: Option<Duration>,
    /// Who started it.
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
    /// Its place among the runs of its workflow id that follow one another; `None`: there is only this one.
    pub chain: Option<Box<RunChain>>,
}

impl RunStarted {
    /// The beginning of a run without options.
    #[must_use]
    pub fn new(workflow_id: WorkflowId, run_id: RunId, workflow_type: WorkflowType, input: Payload) -> Self {
        Self {
            workflow_id,
            run_id,
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
            chain: None,
        }
    }
}

/// Attributes of a scheduled activity.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityScheduled {
    /// Its name in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its input.
    pub input: Payload,
    /// Timeouts and retry policy.
    pub options: ActivityOptions,
    /// What it is for the run's saga.
    pub role: ActivityRole,
}

/// What an activity is for its run's saga.
#[derive(Clone, Debug, PartialEq)]
pub enum ActivityRole {
    /// Nothing.
    Plain,
    /// A forward step.
    Step(Box<StepSpec>),
    /// It undoes the step with this scheduling event.
    Compensation(EventId),
    /// It finds out whether the step with this scheduling event had its effect.
    Verification(EventId),
    /// It tells somebody that the step with this scheduling event (`None`: the saga as a whole) needs a person.
    Escalation(Option<EventId>),
}

impl ActivityScheduled {
    /// The saga's part, when it is a forward step.
    #[must_use]
    pub fn step(&self) -> Option<&StepSpec> {
        match &self.role {
            ActivityRole::Step(step) => Some(step),
            _ => None,
        }
    }

    /// The scheduling event of the step that it undoes, when it is a compensation.
    #[must_use]
    pub fn undoes(&self) -> Option<EventId> {
        match self.role {
            ActivityRole::Compensation(step) => Some(step),
            _ => None,
        }
    }

    /// Whether workflow code asked for it; everything else is the machine's own doing.
    #[must_use]
    pub fn is_of_the_code(&self) -> bool {
        matches!(self.role, ActivityRole::Plain | ActivityRole::Step(_))
    }
}
