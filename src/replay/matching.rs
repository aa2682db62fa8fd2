//! Comparing what the code asks for with what the history recorded, in words for the person who reads the difference at
//! three in the morning. Must not live here: the order in which things are compared (`decider`).
//!
//! Compared is what decides who is meant: kinds, ids, types, step names. Not compared: inputs, options, durations,
//! results and messages. Changing those in the code does not lead a run astray, because the recorded ones count.

use std::collections::BTreeMap;

use crate::model::{
    ActivityId, ActivityType, Command, Event, EventAttributes, EventId, Failure, LockName, SignalName, StepKind,
    StepSpec, StuckReason, TimerId, UnwindCause, UpdateId, VersionMarker, WorkflowId, WorkflowType,
};

/// A command as far as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    Schedule {
        id: ActivityId,
        activity_type: ActivityType,
        step: Option<(StepKind, String)>,
    },
    CancelActivity(ActivityId),
    StartTimer(TimerId),
    CancelTimer(TimerId),
    Marker(String),
    SearchAttributes,
    Memo,
    RollBack(u64),
    Lock(LockName),
    SignalExternal(WorkflowId, SignalName),
    CancelExternal(WorkflowId),
    AcceptUpdate(UpdateId),
    CompleteUpdate(UpdateId),
    /// What code does not ask for, or what leaves no event, with its name.
    Unrecorded(&'static str),
    ContinueAsNew(WorkflowType),
    Complete,
    /// With the failure as text, for the reader only.
    Fail(String),
    Cancel,
}

/// The ids of activities by their scheduling events: some events name only those.
pub(super) type ActivityIds = BTreeMap<EventId, ActivityId>;

impl Expected {
    /// `None` for what is matched by its id, wherever it stands (`versions`).
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::RecordVersion(_) => return None,
            Command::ScheduleActivity(schedule) => Expected::Schedule {
                id: schedule.activity_id.clone(),
                activity_type: schedule.activity_type.clone(),
                step: schedule.step.as_ref().map(step_key),
            },
            Command::RequestCancelActivity { activity_id } => Expected::CancelActivity(activity_id.clone()),
            Command::StartTimer { timer_id, .. } => Expected::StartTimer(timer_id.clone()),
            Command::CancelTimer { timer_id } => Expected::CancelTimer(timer_id.clone()),
            Command::RecordMarker { name, .. } => Expected::Marker(name.clone()),
            Command::UpsertSearchAttributes(_) => Expected::SearchAttributes,
            Command::ModifyProperties(_) => Expected::Memo,
            Command::RollBack { keep } => Expected::RollBack(*keep),
            Command::RequestLock { lock, .. } => Expected::Lock(lock.clone()),
            Command::SignalExternal(signal) => {
                Expected::SignalExternal(signal.workflow_id.clone(), signal.name.clone())
            }
            Command::RequestCancelExternal(cancel) => Expected::CancelExternal(cancel.workflow_id.clone()),
            Command::AcceptUpdate(update) => Expected::AcceptUpdate(update.update_id.clone()),
            Command::CompleteUpdate { update_id, .. } => Expected::CompleteUpdate(update_id.clone()),
            // Local ones leave no event to compare with; their ends are compared with what the code asked for.
            Command::RejectUpdate { .. }
            | Command::Wait(_)
            | Command::SkipStep { .. }
            | Command::RunLocalActivity { .. }
            | Command::ForgetLocalActivity { .. } => Expected::Unrecorded(command.kind()),
            Command::ContinueAsNew(next) => Expected::ContinueAsNew(next.workflow_type.clone()),
            Command::CompleteWorkflow { .. } => Expected::Complete,
            Command::FailWorkflow { failure } => Expected::Fail(failure.to_string()),
            Command::CancelWorkflow { .. } => Expected::Cancel,
        })
    }
}

impl Expected {
    /// Whether this event is what the command leads to.
    pub(super) fn fits(&self, event: &Event, ids: &ActivityIds) -> bool {
        use EventAttributes as E;
        match (self, &event.attributes) {
            (
                Expected::Schedule {
                    id,
                    activity_type,
                    step,
                },
                E::ActivityTaskScheduled(scheduled),
            ) => {
                *id == scheduled.activity_id
                    && *activity_type == scheduled.activity_type
                    && *step == scheduled.step().map(step_key)
            }
            (Expected::CancelActivity(id), E::ActivityTaskCancelRequested { scheduled }) => {
                ids.get(scheduled) == Some(id)
            }
            (Expected::StartTimer(id), E::TimerStarted { timer_id, .. })
            | (Expected::CancelTimer(id), E::TimerCanceled { timer_id, .. }) => id == timer_id,
            (Expected::Marker(expected), E::MarkerRecorded { name, .. }) => expected == name,
            (Expected::SearchAttributes, E::UpsertWorkflowSearchAttributes(_))
            | (Expected::Memo, E::WorkflowPropertiesModified(_)) => true,
            (Expected::RollBack(expected), E::SagaRollbackStarted { keep }) => expected == keep,
            (Expected::Lock(expected), E::SagaLockRequested { lock, .. }) => expected == lock,
            (Expected::SignalExternal(id, name), E::SignalExternalWorkflowExecutionInitiated(signal)) => {
                *id == signal.workflow_id && *name == signal.name
            }
            (Expected::CancelExternal(id), E::RequestCancelExternalWorkflowExecutionInitiated(cancel)) => {
                *id == cancel.workflow_id
            }
            (Expected::AcceptUpdate(id), E::WorkflowExecutionUpdateAccepted(update)) => *id == update.update_id,
            (Expected::CompleteUpdate(id), E::WorkflowExecutionUpdateCompleted(update)) => *id == update.update_id,
            (Expected::Complete, E::WorkflowExecutionCompleted { .. })
            | (Expected::Fail(_), E::WorkflowExecutionFailed { .. })
            | (Expected::Cancel, E::WorkflowExecutionCanceled { .. }) => true,
            (Expected::Fail(_), E::SagaUnwindStarted(unwind)) => matches!(unwind.cause, UnwindCause::Failed(_)),
            (Expected::Cancel, E::SagaUnwindStarted(unwind)) => matches!(unwind.cause, UnwindCause::Canceled(_)),
            // After the pivot there is no way back: the machine calls a person instead.
            (Expected::Fail(_) | Expected::Cancel, E::SagaStuck(stuck)) => {
                stuck.reason == StuckReason::FailedAfterPivot
            }
            // The machine does not complete a run over a step, or a rollback, in flight.
            (Expected::ContinueAsNew(expected), E::WorkflowExecutionContinuedAsNew(next)) => {
                *expected == next.workflow_type
            }
            // Nor does it let a saga be forgotten.
            (Expected::ContinueAsNew(_), other) => {
                verdict(other).is_some_and(|failure| failure.is_type("StepInFlight") || failure.is_type("SagaNotDone"))
            }
            (Expected::Complete, other) => verdict(other).is_some_and(|failure| failure.is_type("StepInFlight")),
            _ => false,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Expected::Schedule {
                id,
                activity_type,
                step,
            } => {
                format!(
                    "ScheduleActivityTask {activity_type} {}",
                    activity_detail(id, step.as_ref())
                )
            }
            Expected::CancelActivity(id) => format!("RequestCancelActivityTask (id {id})"),
            Expected::StartTimer(id) => format!("StartTimer (id {id})"),
            Expected::CancelTimer(id) => format!("CancelTimer (id {id})"),
            Expected::Marker(name) => format!("RecordMarker {name}"),
            Expected::SearchAttributes => "UpsertWorkflowSearchAttributes".to_owned(),
            Expected::Memo => "ModifyWorkflowProperties".to_owned(),
            Expected::RollBack(keep) => format!("RollBackSaga (keeping {keep} steps)"),
            Expected::Lock(lock) => format!("RequestSagaLock {lock}"),
            Expected::SignalExternal(id, name) => format!("SignalExternalWorkflowExecution {name} (to {id})"),
            Expected::CancelExternal(id) => format!("RequestCancelExternalWorkflowExecution (of {id})"),
            Expected::AcceptUpdate(id) => format!("AcceptUpdate (id {id})"),
            Expected::CompleteUpdate(id) => format!("CompleteUpdate (id {id})"),
            Expected::Unrecorded(kind) => (*kind).to_owned(),
            Expected::ContinueAsNew(workflow_type) => format!("ContinueAsNewWorkflowExecution ({workflow_type})"),
            Expected::Complete => "CompleteWorkflowExecution".to_owned(),
            Expected::Fail(failure) => format!("FailWorkflowExecution ({failure})"),
            Expected::Cancel => "CancelWorkflowExecution".to_owned(),
        }
    }
}

/// Whether the event is what a command of code leads to. Everything else the machine does by itself, or it comes from
/// outside: the code is told, or does not have to know.
pub(super) fn is_of_a_command(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    match attributes {
        E::ActivityTaskScheduled(scheduled) => scheduled.is_of_the_code(),
        E::ActivityTaskCancelRequested { .. }
        | E::TimerStarted { .. }
        | E::TimerCanceled { .. }
        | E::MarkerRecorded { .. }
        | E::VersionMarkerRecorded(_)
        | E::UpsertWorkflowSearchAttributes(_)
        | E::WorkflowPropertiesModified(_)
        | E::SagaRollbackStarted { .. }
        | E::SagaLockRequested { .. }
        | E::SignalExternalWorkflowExecutionInitiated(_)
        | E::RequestCancelExternalWorkflowExecutionInitiated(_)
        | E::WorkflowExecutionUpdateAccepted(_)
        | E::WorkflowExecutionUpdateCompleted(_)
        | E::WorkflowExecutionCompleted { .. }
        | E::WorkflowExecutionFailed { .. }
        | E::WorkflowExecutionCanceled { .. }
        | E::WorkflowExecutionContinuedAsNew(_)
        | E::SagaUnwindStarted(_) => true,
        // A step that is stuck does not concern the code, which just goes on waiting for it.
        E::SagaStuck(stuck) => stuck.step.is_none(),
        _ => false,
    }
}

/// Whether the event, which is not of a command, changes what the code waits for: that is for a turn to bring about.
pub(super) fn is_news(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    matches!(
        attributes,
        E::WorkflowExecutionStarted(_)
            | E::ActivityTaskCompleted { .. }
            | E::ActivityTaskFailed { .. }
            | E::ActivityTaskTimedOut { .. }
            | E::ActivityTaskCanceled { .. }
            | E::LocalActivityEnded(_)
            | E::TimerFired { .. }
            | E::WorkflowExecutionSignaled(_)
            | E::WorkflowExecutionCancelRequested { .. }
            | E::SagaRollbackCompleted { .. }
            | E::SagaLockAcquired { .. }
            | E::SagaLockRefused { .. }
            | E::ExternalWorkflowExecutionSignaled { .. }
            | E::SignalExternalWorkflowExecutionFailed { .. }
            | E::ExternalWorkflowExecutionCancelRequested { .. }
            | E::RequestCancelExternalWorkflowExecutionFailed { .. }
    )
}

/// Whether the machine ended the run instead of obeying its code, because its history had become too long.
pub(super) fn overrules_the_code(attributes: &EventAttributes) -> bool {
    verdict(attributes).is_some_and(|failure| failure.is_type("HistoryTooLong"))
}

/// The failure that the run ends with, unwinds with, or waits for a person with.
fn verdict(attributes: &EventAttributes) -> Option<&Failure> {
    match attributes {
        EventAttributes::WorkflowExecutionFailed { failure, .. } => Some(failure),
        EventAttributes::SagaStuck(stuck) => Some(&stuck.failure),
        EventAttributes::SagaUnwindStarted(unwind) => match &unwind.cause {
            UnwindCause::Failed(failure) => Some(failure),
            UnwindCause::Canceled(_) | UnwindCause::TimedOut => None,
        },
        _ => None,
    }
}

/// Whether from this event on the run is the machine's alone. With a step that is stuck it is not: when a person decides
/// that it goes on, so does the code.
pub(super) fn ends_the_codes_part(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    match attributes {
        E::SagaUnwindStarted(_) => true,
        E::SagaStuck(stuck) => stuck.step.is_none(),
        other => other.closes(),
    }
}

/// Whether the machine may do this without being asked by the code: because time was up, or
/// otherwise as an answer to something that arrived since the last task.
pub(super) fn may_be_the_machines_own(attributes: &EventAttributes, something_arrived: bool) -> bool {
    use EventAttributes as E;
    match attributes {
        E::SagaUnwindStarted(unwind) => unwind.cause == UnwindCause::TimedOut || something_arrived,
        E::WorkflowExecutionFailed { .. } | E::WorkflowExecutionCanceled { .. } => something_arrived,
        // A run that was started to undo another one may halt at that one's pivot.
        E::SagaStuck(stuck) => stuck.step.is_none() && something_arrived,
        _ => false,
    }
}

pub(super) fn describe(event: &Event, ids: &ActivityIds) -> String {
    use EventAttributes as E;
    let kind = event.attributes.kind();
    let id_of = |scheduled: &EventId| match ids.get(scheduled) {
        Some(id) => format!("id {id}"),
        None => format!("scheduled by event {scheduled}"),
    };
    match &event.attributes {
        E::ActivityTaskScheduled(scheduled) => {
            let step = scheduled.step().map(step_key);
            let detail = activity_detail(&scheduled.activity_id, step.as_ref());
            format!("{kind} {} {detail}", scheduled.activity_type)
        }
        E::ActivityTaskCancelRequested { scheduled }
        | E::ActivityTaskCompleted { scheduled, .. }
        | E::ActivityTaskFailed { scheduled, .. }
        | E::ActivityTaskTimedOut { scheduled, .. }
        | E::ActivityTaskCanceled { scheduled, .. } => format!("{kind} ({})", id_of(scheduled)),
        E::TimerStarted { timer_id, .. } | E::TimerFired { timer_id, .. } | E::TimerCanceled { timer_id, .. } => {
            format!("{kind} (id {timer_id})")
        }
        E::MarkerRecorded { name, .. } => format!("{kind} {name}"),
        E::VersionMarkerRecorded(marker @ VersionMarker::Patch { deprecated: false, .. }) => {
            format!("{kind} {marker} (ask for it with `patched` or `deprecate_patch`)")
        }
        E::VersionMarkerRecorded(marker) => format!("{kind} {marker}"),
        E::LocalActivityEnded(ended) => format!("{kind} {} (number {})", ended.activity_type, ended.seq),
        E::SagaRollbackStarted { keep } => format!("{kind} (keeping {keep} steps)"),
        E::SagaLockRequested { lock, .. } => format!("{kind} {lock}"),
        E::WorkflowExecutionSignaled(signal) => format!("{kind} {}", signal.name),
        E::WorkflowExecutionUpdateAccepted(update) => format!("{kind} {} (id {})", update.name, update.update_id),
        E::WorkflowExecutionUpdateCompleted(update) => format!("{kind} (id {})", update.update_id),
        E::SignalExternalWorkflowExecutionInitiated(signal) => {
            format!("{kind} {} (to {})", signal.name, signal.workflow_id)
        }
        E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => format!("{kind} (of {})", cancel.workflow_id),
        E::WorkflowExecutionContinuedAsNew(next) => format!("{kind} ({})", next.workflow_type),
        E::WorkflowExecutionFailed { failure, .. } => format!("{kind} ({failure})"),
        E::SagaUnwindStarted(unwind) => match &unwind.cause {
            UnwindCause::Failed(failure) => format!("{kind} (failed: {failure})"),
            UnwindCause::Canceled(_) => format!("{kind} (canceled)"),
            UnwindCause::TimedOut => format!("{kind} (timed out)"),
        },
        _ => kind.to_owned(),
    }
}

fn step_key(step: &StepSpec) -> (StepKind, String) {
    (step.kind, step.name.to_string())
}

fn activity_detail(id: &ActivityId, step: Option<&(StepKind, String)>) -> String {
    match step {
        None => format!("(id {id})"),
        Some((StepKind::Compensatable, name)) => format!("(id {id}, step {name})"),
        Some((StepKind::Pivot, name)) => format!("(id {id}, pivot {name})"),
        Some((StepKind::Retriable, name)) => format!("(id {id}, retriable step {name})"),
    }
}
