//! A history as text: a line for each turn, event and change of the pending record. Must not live here: comparing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{
    ChildEnd, ChildEvent, Event, EventAttributes, EventId, Failure, FailureKind, HoldReason, PendingChange, Timestamp,
    Turn, UnwindCause,
};

/// The names of the activities, by their scheduling events.
type Names = BTreeMap<EventId, String>;

/// Writes a history down: `@` starts a turn, `~` is a change of the pending record.
pub(super) fn history_text(turns: &[Turn]) -> String {
    let mut names = Names::new();
    let mut text = String::new();
    for turn in turns {
        writeln!(text, "@{}", seconds(turn.time)).unwrap();
        for change in &turn.pending {
            writeln!(text, "~ {}", change_text(change, &names)).unwrap();
        }
        for event in &turn.events {
            if let EventAttributes::ActivityTaskScheduled(scheduled) = &event.attributes {
                names.insert(event.id, scheduled.activity_id.to_string());
            }
            if let EventAttributes::SagaWaitStarted(wait) = &event.attributes {
                names.insert(event.id, wait.name.to_string());
            }
            writeln!(text, "{}", event_text(event, &names)).unwrap();
        }
    }
    text
}

/// Seconds since the scenario began.
pub(super) fn seconds(time: Timestamp) -> String {
    format!("{}s", time.as_micros() as f64 / 1e6)
}

/// A failure and its causes, by their kinds.
pub(super) fn brief(failure: &Failure) -> String {
    let one = |failure: &Failure| match &failure.kind {
        FailureKind::Application(application) => application.type_name.clone(),
        FailureKind::Timeout { kind, last_heartbeat } => match last_heartbeat {
            Some(details) => format!("{kind} at {details:?}"),
            None => kind.to_string(),
        },
        FailureKind::Canceled { details: None } => "canceled".to_owned(),
        FailureKind::Canceled { details: Some(details) } => format!("canceled at {details:?}"),
        FailureKind::Terminated => "terminated".to_owned(),
        FailureKind::WorkerLost => "worker-lost".to_owned(),
        FailureKind::Activity { activity_id, .. } => activity_id.to_string(),
        FailureKind::ChildWorkflow(child) => child.workflow_id.to_string(),
    };
    failure.chain().map(one).collect::<Vec<_>>().join(" < ")
}

fn change_text(change: &PendingChange, names: &Names) -> String {
    match change {
        PendingChange::RetryScheduled {
            scheduled,
            failed_attempt,
            failure,
            due,
        } => {
            let (name, failure) = (&names[scheduled], brief(failure));
            format!("{name} #{failed_attempt} failed: {failure}; next at {}", seconds(*due))
        }
        PendingChange::Parked { reason } => format!("parked: {}", reason.kind()),
        PendingChange::Held { scheduled, why } => match why {
            HoldReason::Stopping => format!("held {scheduled}"),
            HoldReason::NoWorker => format!("{} waits for a worker", names[scheduled]),
            HoldReason::Breaker => format!("{} parked by its breaker", names[scheduled]),
        },
        PendingChange::LocalBegun { seq, activity_type } => format!("local {seq} begun: {activity_type}"),
        PendingChange::LocalForgotten { seq } => format!("local {seq} forgotten"),
        PendingChange::Heartbeat { scheduled, details, .. } => format!("{} is at {details:?}", names[scheduled]),
        PendingChange::HandedOver { scheduled, attempt, .. } => format!("{} #{attempt} handed over", names[scheduled]),
        PendingChange::Released { scheduled } => format!("released {scheduled}"),
        PendingChange::LateResult { scheduled, attempt } => format!("{} #{attempt} came too late", names[scheduled]),
        PendingChange::ChildReleased { child } => format!("child {} let go", child.initiated),
        PendingChange::MessageReleased { message } => format!("message {} brought", message.initiated),
        PendingChange::GivesWay { .. } => "gives way".to_owned(),
        PendingChange::FollowedBy { .. } => "followed".to_owned(),
        PendingChange::Unparked => "unparked".to_owned(),
    }
}

fn event_text(event: &Event, names: &Names) -> String {
    let id = match event.attributes.ids() {
        1 => event.id.0.to_string(),
        ids => format!("{}-{}", event.id.0, event.id.0 + ids - 1),
    };
    let details = details(&event.attributes, names);
    format!("{id} {} {details}", event.attributes.kind())
        .trim_end()
        .to_owned()
}

fn details(attributes: &EventAttributes, names: &Names) -> String {
    use EventAttributes as E;
    let name = |scheduled: &EventId| &names[scheduled];
    let amended = |amended: &bool| if *amended { " (amended)" } else { "" };
    match attributes {
        E::WorkflowExecutionStarted(started) => started.workflow_type.to_string(),
        E::WorkflowExecutionFailed { failure, amended: all } => format!("{}{}", brief(failure), amended(all)),
        E::WorkflowExecutionCanceled { failure, amended: all } => format!("{}{}", brief(failure), amended(all)),
        E::WorkflowExecutionTimedOut { amended: all } => amended(all).trim_start().to_owned(),
        E::WorkflowExecutionCompleted { result } => format!("{result:?}"),
        E::WorkflowExecutionTerminated { reason, .. } | E::WorkflowExecutionCancelRequested { reason, .. } => {
            reason.clone()
        }
        E::WorkflowExecutionReset(reset) => format!("{} by {}", reset.reason, reset.identity),
        E::WorkflowExecutionPaused { reason, identity } | E::WorkflowExecutionUnpaused { reason, identity } => {
            format!("{reason} by {identity}")
        }
        E::WorkflowExecutionSignaled(signal) => format!("{} {:?}", signal.name, signal.input),
        E::WorkflowExecutionContinuedAsNew(next) => format!("{} {:?}", next.workflow_type, next.input),
        E::WorkflowTask(_) => String::new(),
        E::ActivityTaskScheduled(scheduled) => scheduled.activity_id.to_string(),
        E::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        } => {
            let after = last_failure
                .as_ref()
                .map(|failure| format!(" after {}", brief(failure)));
            format!("{} #{attempt}{}", name(scheduled), after.unwrap_or_default())
        }
        E::ActivityTaskCompleted { scheduled, .. } | E::ActivityTaskCancelRequested { scheduled } => {
            name(scheduled).clone()
        }
        E::ActivityTaskFailed {
            scheduled,
            failure,
            retry_state,
            ..
        } => format!("{}: {} [{retry_state:?}]", name(scheduled), brief(failure)),
        E::ActivityTaskTimedOut {
            scheduled,
            started,
            failure,
            retry_state,
        } => {
            let never = if started.is_none() { ", never started" } else { "" };
            format!("{}: {} [{retry_state:?}{never}]", name(scheduled), brief(failure))
        }
        E::ActivityTaskCanceled {
            scheduled,
            started,
            details,
        } => {
            let never = if started.is_none() { " [never started]" } else { "" };
            let at = details.as_ref().map(|details| format!(" at {details:?}"));
            format!("{}{never}{}", name(scheduled), at.unwrap_or_default())
        }
        E::TimerStarted { timer_id, fire_at } => format!("{timer_id} fires at {}", seconds(*fire_at)),
        E::TimerFired { timer_id, .. } | E::TimerCanceled { timer_id, .. } => timer_id.to_string(),
        E::MarkerRecorded { name, .. } => name.clone(),
        E::VersionMarkerRecorded(marker) => marker.to_string(),
        E::UpsertWorkflowSearchAttributes(changes) => format!("{changes:?}"),
        E::WorkflowPropertiesModified(changes) => format!("{changes:?}"),
        E::LocalActivityEnded(ended) => match &ended.outcome {
            Ok(result) => format!("{} {}: {result:?}", ended.seq, ended.activity_type),
            Err(failure) => format!("{} {}: {}", ended.seq, ended.activity_type, brief(failure)),
        },
        E::Child(child) => child_text(child),
        E::SagaUnwindStarted(unwind) => match &unwind.cause {
            UnwindCause::Failed(failure) | UnwindCause::Canceled(failure) => brief(failure),
            UnwindCause::TimedOut => "timed out".to_owned(),
        },
        E::SagaStuck(stuck) => {
            let step = stuck
                .step
                .as_ref()
                .map(|step| format!("{}: ", name(step)))
                .unwrap_or_default();
            format!("{step}{} [{:?}]", brief(&stuck.failure), stuck.reason)
        }
        _ => saga_details(attributes, names),
    }
}

fn child_text(event: &ChildEvent) -> String {
    match event {
        ChildEvent::Initiated(start) => format!("{} {}", start.workflow_id, start.workflow_type),
        ChildEvent::StartFailed { initiated, failure } => format!("of {initiated}: {}", brief(failure)),
        ChildEvent::Started { initiated, .. } => format!("of {initiated}"),
        ChildEvent::Ended { initiated, end, .. } => match end {
            ChildEnd::Completed(result) => format!("of {initiated}: {result:?}"),
            ChildEnd::Failed(failure) | ChildEnd::Canceled(failure) => format!("of {initiated}: {}", brief(failure)),
            ChildEnd::TimedOut | ChildEnd::Terminated => format!("of {initiated}"),
        },
    }
}

fn saga_details(attributes: &EventAttributes, names: &Names) -> String {
    use EventAttributes as E;
    match attributes {
        E::SagaDecided(decided) => {
            let step = decided
                .step
                .map(|step| format!("{}: ", names[&step]))
                .unwrap_or_default();
            format!("{step}{} by {}", decided.choice.kind(), decided.by)
        }
        E::SagaStepAmbiguous(ambiguous) => {
            let name = &names[&ambiguous.scheduled];
            format!("{name}: {} [{:?}]", brief(&ambiguous.failure), ambiguous.retry_state)
        }
        E::SagaStepResolved { scheduled, verdict } => format!("{}: {verdict:?}", names[scheduled]),
        E::SagaRollbackStarted { keep } => format!("keeping {keep}"),
        E::SagaRollbackCompleted { started } => format!("of {started}"),
        E::SagaWaitStarted(wait) => {
            let until = wait.until.map(|until| format!(" until {}", seconds(until)));
            format!("{}{}", wait.name, until.unwrap_or_default())
        }
        E::SagaWaitEnded { started, result } => format!("{}: {result:?}", names[started]),
        E::SagaStepSkipped(skipped) => skipped.name.to_string(),
        E::SagaLockRequested { lock, .. } => lock.to_string(),
        E::SagaLockAcquired { requested } => format!("of {requested}"),
        E::SagaLockRefused { requested, failure } => format!("of {requested}: {}", brief(failure)),
        E::SagaAdopted(adopted) => format!("{} steps", adopted.steps.len()),
        _ => String::new(),
    }
}
