//! A history of ours as Temporal's tools have it. Lives here: each event's type and attributes. Must not live here: reading
//! them back (`read`), what Temporal does not have (`ours`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::{
    ActivityScheduled, Event, EventAttributes, EventId, RunId, RunReset, TaskQueue, WorkflowId, WorkflowTask,
};

use super::activity::{self, OURS};
use super::attribute;
use super::child::Children;
use super::execution::{execution, task_queue};
use super::value::{self, put};
use super::{AMENDED, failure, markers, ours, started};

/// What the core of Temporal's SDKs calls `IdAndTypeDeterminismChecks`. Without it a replay there does not look at the types of
/// activities and children: what it did before it knew the flag.
const COMPARES_TYPES: u32 = 1;

/// Writes event by event; some tell of those before them.
#[derive(Default)]
pub(super) struct Writer {
    events: Vec<Value>,
    /// The event that ended the last turn.
    task_completed: u64,
    /// Whom messages to other runs are for.
    targets: BTreeMap<EventId, (WorkflowId, Option<RunId>)>,
    cancels: BTreeMap<EventId, u64>,
    /// Whose workers decide for the run.
    task_queue: Option<TaskQueue>,
    /// It has a retry policy.
    is_retried: bool,
    children: Children,
}

impl Writer {
    pub(super) fn finish(mut self, next: Option<RunId>) -> Value {
        if let (Some(next), Some(last)) = (next, self.events.last_mut()) {
            followed_by(last, next);
        }
        let mut history = json!({"events": self.events});
        value::without_nulls(&mut history);
        history
    }

    pub(super) fn event(&mut self, event: &Event) {
        match &event.attributes {
            EventAttributes::WorkflowTask(task) => self.task(event, task),
            EventAttributes::WorkflowExecutionReset(reset) => self.reset(event, reset),
            attributes => {
                self.note(event);
                let (kind, attributes) = self.attributes(event, attributes);
                self.push(event.id.0, event, kind, attributes);
                let Some(written) = self.events.last_mut() else {
                    return;
                };
                if is_amended(&event.attributes) {
                    let summary = value::enclosed(json!(AMENDED));
                    put(written, "userMetadata", json!({"summary": summary}));
                }
                if is_of_a_pause(&event.attributes) {
                    // As Temporal's server says: its SDKs do not know these events.
                    put(written, "workerMayIgnore", true);
                }
            }
        }
    }

    fn push(&mut self, id: u64, event: &Event, kind: &str, attributes: Value) {
        let words: String = value::read_word(kind, "EVENT_TYPE");
        let mut field: String = kind.chars().take(1).flat_map(char::to_lowercase).collect();
        field.extend(kind.chars().skip(1));
        let mut written = json!({
            "eventId": id.to_string(),
            "eventTime": value::time(event.time),
            "eventType": format!("EVENT_TYPE_{words}"),
            "taskId": id.to_string(),
        });
        put(&mut written, &format!("{field}EventAttributes"), attributes);
        self.events.push(written);
    }

    /// A task that failed, because the run was reset.
    fn reset(&mut self, event: &Event, reset: &RunReset) {
        let (scheduled, begun) = (event.id.0, event.id.0 + 1);
        let attributes = json!({"taskQueue": self.task_queue(), "startToCloseTimeout": "10s", "attempt": 1});
        self.push(scheduled, event, "WorkflowTaskScheduled", attributes);
        let attributes = json!({"scheduledEventId": scheduled.to_string(), "identity": reset.identity});
        self.push(begun, event, "WorkflowTaskStarted", attributes);
        let attributes = json!({
            "scheduledEventId": scheduled.to_string(), "startedEventId": begun.to_string(),
            "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW", "failure": ours::reset(reset),
            "identity": reset.identity, "baseRunId": reset.base_run_id.to_string(),
            "newRunId": reset.new_run_id.to_string(),
        });
        self.push(event.id.0 + 2, event, "WorkflowTaskFailed", attributes);
    }

    /// A turn stands for three events.
    fn task(&mut self, event: &Event, task: &WorkflowTask) {
        let identity = &task.identity;
        let (scheduled, begun, completed) = (event.id.0, event.id.0 + 1, event.id.0 + 2);
        let attributes = json!({"taskQueue": self.task_queue(), "startToCloseTimeout": "10s", "attempt": 1});
        self.push(scheduled, event, "WorkflowTaskScheduled", attributes);
        let attributes = json!({
            "scheduledEventId": scheduled.to_string(), "identity": identity,
            "historySizeBytes": (task.history_bytes > 0).then(|| task.history_bytes.to_string()),
            "suggestContinueAsNew": task.continue_as_new_suggested.then_some(true),
        });
        self.push(begun, event, "WorkflowTaskStarted", attributes);
        let is_first = self.task_completed == 0;
        let attributes = json!({
            "scheduledEventId": scheduled.to_string(), "startedEventId": begun.to_string(), "identity": identity,
            "sdkMetadata": is_first.then(|| json!({"coreUsedFlags": [COMPARES_TYPES]})),
        });
        self.push(completed, event, "WorkflowTaskCompleted", attributes);
        self.task_completed = completed;
    }

    fn note(&mut self, event: &Event) {
        use EventAttributes as E;
        self.children.note(event);
        match &event.attributes {
            E::WorkflowExecutionStarted(started) => {
                self.task_queue.clone_from(&started.task_queue);
                self.is_retried = started.chain.as_deref().is_some_and(|chain| chain.retry.is_some());
            }
            E::SignalExternalWorkflowExecutionInitiated(signal) => {
                self.targets
                    .insert(event.id, (signal.workflow_id.clone(), signal.run_id));
            }
            E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => {
                self.targets
                    .insert(event.id, (cancel.workflow_id.clone(), cancel.run_id));
            }
            E::ActivityTaskCancelRequested { scheduled } => {
                self.cancels.insert(*scheduled, event.id.0);
            }
            _ => {}
        }
    }

    /// The event's type and attributes.
    fn attributes(&self, event: &Event, attributes: &EventAttributes) -> (&'static str, Value) {
        use EventAttributes as E;
        if let Some(details) = ours::details(attributes) {
            let details = json!({OURS: {"payloads": [value::enclosed(details)]}});
            return ("MarkerRecorded", self.marker(attributes.kind(), &details));
        }
        let value = match attributes {
            E::WorkflowExecutionStarted(started) => started::started(started, &task_queue(started.task_queue.as_ref())),
            E::WorkflowExecutionCompleted { result } => self.of_a_task(json!({"result": value::payloads(result)})),
            E::WorkflowExecutionFailed { failure, .. } => self.of_a_task(json!({
                // With a policy, whether it was tried again is not a part of its history.
                "failure": failure::failure(failure), "retryState": (!self.is_retried).then_some("RETRY_STATE_RETRY_POLICY_NOT_SET"),
            })),
            E::WorkflowExecutionContinuedAsNew(next) => self.of_a_task(json!({
                "newExecutionRunId": next.new_run_id.to_string(), "input": value::arguments(&next.input),
                "workflowType": {"name": next.workflow_type.as_str()}, "taskQueue": task_queue(next.task_queue.as_ref()),
                "workflowRunTimeout": value::limit(next.run_timeout), "workflowTaskTimeout": "10s",
                "initiator": "CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
            })),
            E::WorkflowExecutionTimedOut { .. } => json!({"retryState": "RETRY_STATE_TIMEOUT"}),
            E::WorkflowExecutionCanceled { failure, .. } => {
                let details = value::enclosed(failure::failure(failure));
                self.of_a_task(json!({"details": {"payloads": [details]}}))
            }
            E::WorkflowExecutionTerminated { reason, identity } => json!({"reason": reason, "identity": identity}),
            E::WorkflowExecutionPaused { reason, identity } | E::WorkflowExecutionUnpaused { reason, identity } => {
                json!({"reason": reason, "identity": identity})
            }
            E::WorkflowExecutionCancelRequested { reason, identity } => json!({"cause": reason, "identity": identity}),
            E::WorkflowExecutionSignaled(signal) => json!({
                "signalName": signal.name.as_str(), "input": value::arguments(&signal.input),
                "identity": signal.identity, "requestId": signal.request_id.as_ref().map(|id| id.as_str()),
            }),
            E::TimerStarted { timer_id, fire_at } => self.of_a_task(json!({
                "timerId": timer_id.as_str(), "startToFireTimeout": value::duration(fire_at.since(event.time)),
            })),
            E::TimerFired { timer_id, started } => {
                json!({"timerId": timer_id.as_str(), "startedEventId": started.0.to_string()})
            }
            E::TimerCanceled { timer_id, started } => self.of_a_task(json!({
                "timerId": timer_id.as_str(), "startedEventId": started.0.to_string(),
            })),
            E::MarkerRecorded { name, details } => self.marker(name, &json!({"details": value::payloads(details)})),
            E::VersionMarkerRecorded(marker) => self.marker(marker.name(), &markers::version(marker)),
            E::LocalActivityEnded(ended) => return ("MarkerRecorded", markers::local(ended, event.time)),
            _ => return (attributes.kind(), self.activity_or_message(attributes)),
        };
        (attributes.kind(), value)
    }

    fn activity_or_message(&self, attributes: &EventAttributes) -> Value {
        use EventAttributes as E;
        match attributes {
            E::ActivityTaskScheduled(scheduled) => self.scheduled(scheduled),
            E::ActivityTaskStarted {
                scheduled,
                attempt,
                last_failure,
            } => json!({
                "scheduledEventId": scheduled.0.to_string(), "attempt": attempt,
                "lastFailure": last_failure.as_ref().map(failure::failure),
            }),
            E::ActivityTaskCompleted {
                scheduled,
                started,
                result,
            } => json!({
                "result": value::payloads(result), "scheduledEventId": scheduled.0.to_string(),
                "startedEventId": started.0.to_string(),
            }),
            E::ActivityTaskFailed {
                scheduled,
                started,
                failure,
                retry_state,
            } => json!({
                "failure": failure::failure(failure), "scheduledEventId": scheduled.0.to_string(),
                "startedEventId": started.0.to_string(), "retryState": failure::retry_state(*retry_state),
            }),
            E::ActivityTaskTimedOut {
                scheduled,
                started,
                failure,
                retry_state,
            } => json!({
                "failure": failure::failure(failure), "scheduledEventId": scheduled.0.to_string(),
                "startedEventId": started.map(|id| id.0.to_string()), "retryState": failure::retry_state(*retry_state),
            }),
            E::ActivityTaskCancelRequested { scheduled } => {
                self.of_a_task(json!({"scheduledEventId": scheduled.0.to_string()}))
            }
            E::ActivityTaskCanceled {
                scheduled,
                started,
                details,
            } => json!({
                "details": details.as_ref().map(value::payloads),
                "latestCancelRequestedEventId": self.cancels.get(scheduled).map(u64::to_string),
                "scheduledEventId": scheduled.0.to_string(), "startedEventId": started.map(|id| id.0.to_string()),
            }),
            _ => self.message(attributes),
        }
    }

    fn scheduled(&self, scheduled: &ActivityScheduled) -> Value {
        let mut value = activity::options(&scheduled.options);
        put(&mut value, "activityId", scheduled.activity_id.as_str());
        put(
            &mut value,
            "activityType",
            json!({"name": scheduled.activity_type.as_str()}),
        );
        put(
            &mut value,
            "taskQueue",
            task_queue(scheduled.options.task_queue.as_ref()),
        );
        put(&mut value, "input", value::arguments(&scheduled.input));
        put(&mut value, "header", activity::header(&scheduled.role));
        self.of_a_task(value)
    }

    fn message(&self, attributes: &EventAttributes) -> Value {
        use EventAttributes as E;
        match attributes {
            E::WorkflowExecutionUpdateAccepted(update) => json!({
                "protocolInstanceId": update.update_id.as_str(),
                "acceptedRequestMessageId": format!("{}/request", update.update_id),
                "acceptedRequestSequencingEventId": self.task_completed.saturating_sub(2).to_string(),
                "acceptedRequest": {
                    "meta": {"updateId": update.update_id.as_str(), "identity": update.identity},
                    "input": {"name": update.name.as_str(), "args": value::arguments(&update.input)},
                },
            }),
            E::WorkflowExecutionUpdateCompleted(completed) => json!({
                "meta": {"updateId": completed.update_id.as_str()},
                "acceptedEventId": completed.accepted.0.to_string(),
                "outcome": match &completed.outcome {
                    Ok(result) => json!({"success": value::payloads(result)}),
                    Err(failure) => json!({"failure": failure::failure(failure)}),
                },
            }),
            E::UpsertWorkflowSearchAttributes(changes) => {
                self.of_a_task(json!({"searchAttributes": attribute::changes(changes)}))
            }
            E::WorkflowPropertiesModified(changes) => {
                self.of_a_task(json!({"upsertedMemo": attribute::memo_changes(changes)}))
            }
            E::SignalExternalWorkflowExecutionInitiated(signal) => self.of_a_task(json!({
                "workflowExecution": execution(&signal.workflow_id, signal.run_id),
                "signalName": signal.name.as_str(), "input": value::arguments(&signal.input),
            })),
            E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => self.of_a_task(json!({
                "workflowExecution": execution(&cancel.workflow_id, cancel.run_id), "reason": cancel.reason,
            })),
            E::SignalExternalWorkflowExecutionFailed { initiated, failure }
            | E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure } => {
                let prefix = match attributes {
                    E::SignalExternalWorkflowExecutionFailed { .. } => "SIGNAL",
                    _ => "CANCEL",
                };
                let mut value = self.about(*initiated);
                let cause = "EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND";
                put(&mut value, "cause", format!("{prefix}_{cause}"));
                let mut told = failure::failure(failure);
                value::without_nulls(&mut told);
                // The only field that can hold why.
                put(&mut value, "control", told.to_string());
                self.of_a_task(value)
            }
            E::Child(event) => {
                let (value, of_a_task) = self.children.attributes(event);
                match of_a_task {
                    true => self.of_a_task(value),
                    false => value,
                }
            }
            E::ExternalWorkflowExecutionSignaled { initiated }
            | E::ExternalWorkflowExecutionCancelRequested { initiated } => self.about(*initiated),
            // Every event is either in one of the lists before, or one of ours.
            _ => json!({}),
        }
    }

    /// The run's own, which is also that of the runs that follow, and of children whose code names none.
    fn task_queue(&self) -> Value {
        task_queue(self.task_queue.as_ref())
    }

    /// About a message to another run.
    fn about(&self, initiated: EventId) -> Value {
        let target = self.targets.get(&initiated);
        json!({
            "initiatedEventId": initiated.0.to_string(),
            "workflowExecution": target.map(|(workflow_id, run_id)| execution(workflow_id, *run_id)),
        })
    }

    fn marker(&self, name: &str, details: &Value) -> Value {
        self.of_a_task(json!({"markerName": name, "details": details}))
    }

    fn of_a_task(&self, mut value: Value) -> Value {
        put(
            &mut value,
            "workflowTaskCompletedEventId",
            self.task_completed.to_string(),
        );
        value
    }
}

/// Ends that another run may follow say which, except those whose code asked for it: they have said so.
fn followed_by(last: &mut Value, next: RunId) {
    for end in ["Completed", "Failed", "TimedOut"] {
        if let Some(attributes) = last.get_mut(format!("workflowExecution{end}EventAttributes")) {
            put(attributes, "newExecutionRunId", next.to_string());
        }
    }
}

fn is_amended(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    matches!(
        attributes,
        E::WorkflowExecutionFailed { amended: true, .. }
            | E::WorkflowExecutionCanceled { amended: true, .. }
            | E::WorkflowExecutionTimedOut { amended: true }
    )
}

fn is_of_a_pause(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    matches!(
        attributes,
        E::WorkflowExecutionPaused { .. } | E::WorkflowExecutionUnpaused { .. }
    )
}
