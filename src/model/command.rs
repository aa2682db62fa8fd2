//! What workflow code (or a definition, or later a remote worker) asks for. Lives here: the commands, in Temporal's
//! direction. Must not live here: what becomes of them (that is `machine`).

use std::time::Duration;

use super::{
    ActivityId, ActivityOptions, ActivityType, ContinueAsNew, ExternalCancel, ExternalSignal, Failure, LockName,
    MemoChanges, Payload, SearchAttributeChanges, SignalName, StepName, StepSpec, TimerId, UpdateId, UpdateRequest,
    VersionMarker,
};

/// One request of a decider. Everything a decider can ask for is in this list.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run an activity.
    ScheduleActivity(Box<ScheduleActivity>),
    /// Ask a pending activity to stop.
    RequestCancelActivity {
        /// Which one.
        activity_id: ActivityId,
    },
    /// Start a durable timer.
    StartTimer {
        /// Its name, unique among pending timers.
        timer_id: TimerId,
        /// How long from now.
        after: Duration,
    },
    /// Forget a pending timer.
    CancelTimer {
        /// Which one.
        timer_id: TimerId,
    },
    /// Run an activity beside the code, and record its end only.
    RunLocalActivity {
        /// Which of the run's local activities: 1 for the first.
        seq: u32,
        /// Which activity. Its input and options stay with the decider.
        activity_type: ActivityType,
    },
    /// A local activity is not wanted any more.
    ForgetLocalActivity {
        /// Which one.
        seq: u32,
    },
    /// Write a note into the history.
    RecordMarker {
        /// The kind of note.
        name: String,
        /// Its content.
        details: Payload,
    },
    /// Write into the history which version of a change the run has.
    RecordVersion(VersionMarker),
    /// Change what the run can be found by.
    UpsertSearchAttributes(SearchAttributeChanges),
    /// Change the run's memo.
    ModifyProperties(MemoChanges),
    /// Undo every step but the first so many, in the order of their scheduling; then go on.
    RollBack {
        /// How many steps are kept.
        keep: u64,
    },
    /// Ask for a lock that the run holds until it ends. Asking for one that it holds already gives it at once.
    RequestLock {
        /// Which lock.
        lock: LockName,
        /// How long to wait for it; `None`: for as long as it takes.
        timeout: Option<Duration>,
        /// Do not wait at all.
        no_wait: bool,
    },
    /// Begin a step that waits. Only definitions do.
    Wait(Box<WaitStep>),
    /// Leave a step out. Only definitions do.
    SkipStep {
        /// Its name.
        name: StepName,
        /// The steps it depends on.
        after: Vec<StepName>,
    },
    /// Send another run a signal.
    SignalExternal(Box<ExternalSignal>),
    /// Ask another run to end.
    RequestCancelExternal(Box<ExternalCancel>),
    /// Take an update on: from here on it is journaled.
    AcceptUpdate(Box<UpdateRequest>),
    /// Refuse an update: nothing of it is journaled.
    RejectUpdate {
        /// Which one.
        update_id: UpdateId,
        /// Why.
        failure: Failure,
    },
    /// Answer an accepted update.
    CompleteUpdate {
        /// Which one.
        update_id: UpdateId,
        /// The answer.
        outcome: Result<Payload, Failure>,
    },
    /// End the run, and have another one follow under its workflow id. Must be the last command.
    ContinueAsNew(Box<ContinueAsNew>),
    /// End the run with a result. Must be the last command.
    CompleteWorkflow {
        /// The result.
        result: Payload,
    },
    /// End the run with a failure, after undoing its saga steps. Must be the last command.
    FailWorkflow {
        /// Why.
        failure: Failure,
    },
    /// End the run as cancelled, after undoing its saga steps. Must be the last command.
    CancelWorkflow {
        /// How the cancellation was met.
        failure: Failure,
    },
}

/// The activity to run.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleActivity {
    /// Its name, unique in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its input.
    pub input: Payload,
    /// Timeouts and retry policy.
    pub options: ActivityOptions,
    /// The saga's part, when it is a saga step.
    pub step: Option<StepSpec>,
}

/// A step that waits, for a signal or for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitStep {
    /// Its name.
    pub name: StepName,
    /// The steps it depends on.
    pub after: Vec<StepName>,
    /// The signal it waits for; `None`: only for the time.
    pub signal: Option<SignalName>,
    /// How long it waits; `None`: for as long as it takes.
    pub timeout: Option<Duration>,
    /// Its output when no signal came in time. `None`: it fails then.
    pub default: Option<Payload>,
}

impl Command {
    /// Whether the command ends the run: such a command must be the last of its turn.
    #[must_use]
    pub fn closes(&self) -> bool {
        matches!(
            self,
            Command::CompleteWorkflow { .. }
                | Command::FailWorkflow { .. }
                | Command::CancelWorkflow { .. }
                | Command::ContinueAsNew(_)
        )
    }

    /// Whether an event says that it was given. Of the others the pending record knows, or nobody.
    #[must_use]
    pub fn leaves_an_event(&self) -> bool {
        !matches!(
            self,
            Command::RunLocalActivity { .. } | Command::ForgetLocalActivity { .. } | Command::RejectUpdate { .. }
        )
    }

    /// The command's kind, in Temporal's name for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Command::ScheduleActivity(_) => "ScheduleActivityTask",
            Command::RequestCancelActivity { .. } => "RequestCancelActivityTask",
            Command::StartTimer { .. } => "StartTimer",
            Command::CancelTimer { .. } => "CancelTimer",
            Command::RunLocalActivity { .. } => "RunLocalActivity",
            Command::ForgetLocalActivity { .. } => "ForgetLocalActivity",
            Command::RecordMarker { .. } | Command::RecordVersion(_) => "RecordMarker",
            Command::UpsertSearchAttributes(_) => "UpsertWorkflowSearchAttributes",
            Command::ModifyProperties(_) => "ModifyWorkflowProperties",
            Command::RollBack { .. } => "RollBackSaga",
            Command::RequestLock { .. } => "RequestSagaLock",
            Command::Wait(_) => "StartSagaWait",
            Command::SkipStep { .. } => "SkipSagaStep",
            Command::SignalExternal(_) => "SignalExternalWorkflowExecution",
            Command::RequestCancelExternal(_) => "RequestCancelExternalWorkflowExecution",
            Command::AcceptUpdate(_) => "AcceptUpdate",
            Command::RejectUpdate { .. } => "RejectUpdate",
            Command::CompleteUpdate { .. } => "CompleteUpdate",
            Command::ContinueAsNew(_) => "ContinueAsNewWorkflowExecution",
            Command::CompleteWorkflow { .. } => "CompleteWorkflowExecution",
            Command::FailWorkflow { .. } => "FailWorkflowExecution",
            Command::CancelWorkflow { .. } => "CancelWorkflowExecution",
        }
    }
}
