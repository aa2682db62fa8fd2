//! Child workflows, both ways. Must not live here: messages to other runs (`write`, `events`), sagas as steps (which are
//! activities).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, Event, EventAttributes, EventId, LeftChild,
    ParentClosePolicy, RunId, StartChild, Timestamp, WorkflowId, WorkflowType,
};

use super::HistoryError;
use super::events::{read_canceled, read_refusal};
use super::execution::{execution, run_id};
use super::failure;
use super::fields::Fields;
use super::refs::Refs;
use super::value::{self, put};

const POLICIES: [(&str, ParentClosePolicy); 3] = [
    ("TERMINATE", ParentClosePolicy::Terminate),
    ("ABANDON", ParentClosePolicy::Abandon),
    ("REQUEST_CANCEL", ParentClosePolicy::RequestCancel),
];

/// The children of a history that is being written: what Temporal repeats in each of their events.
#[derive(Default)]
pub(super) struct Children(BTreeMap<EventId, (WorkflowId, WorkflowType, Option<RunId>)>);

impl Children {
    pub(super) fn note(&mut self, event: &Event) {
        let EventAttributes::Child(child) = &event.attributes else {
            return;
        };
        match &**child {
            ChildEvent::Initiated(child) => {
                let known = (child.workflow_id.clone(), child.workflow_type.clone(), None);
                self.0.insert(event.id, known);
            }
            ChildEvent::Started { initiated, run_id } => {
                if let Some((_, _, run)) = self.0.get_mut(initiated) {
                    *run = Some(*run_id);
                }
            }
            _ => {}
        }
    }

    /// The event's attributes; `true`: it belongs to a turn.
    pub(super) fn attributes(&self, event: &ChildEvent, task_queue: &Value) -> (Value, bool) {
        match event {
            ChildEvent::Initiated(child) => {
                let value = json!({
                    "workflowId": child.workflow_id.as_str(), "workflowType": {"name": child.workflow_type.as_str()},
                    "taskQueue": task_queue, "input": value::arguments(&child.input),
                    "workflowRunTimeout": value::limit(child.run_timeout),
                    "parentClosePolicy": failure::named("PARENT_CLOSE_POLICY", &POLICIES, child.parent_close_policy),
                });
                (value, true)
            }
            ChildEvent::StartFailed { initiated, failure } => {
                let mut value = self.about(*initiated);
                let cause = "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS";
                put(&mut value, "cause", cause);
                let mut told = failure::failure(failure);
                value::without_nulls(&mut told);
                // The only field that can hold why.
                put(&mut value, "control", told.to_string());
                (value, true)
            }
            ChildEvent::Started { initiated, run_id } => {
                let mut value = self.about(*initiated);
                if let Some(execution) = value.get_mut("workflowExecution") {
                    put(execution, "runId", run_id.to_string());
                }
                (value, false)
            }
            ChildEvent::Ended {
                initiated,
                started,
                end,
            } => {
                let mut value = self.about(*initiated);
                put(&mut value, "startedEventId", started.0.to_string());
                match end {
                    ChildEnd::Completed(result) => put(&mut value, "result", value::payloads(result)),
                    ChildEnd::Failed(failure) => {
                        put(&mut value, "failure", failure::failure(failure));
                        put(&mut value, "retryState", "RETRY_STATE_RETRY_POLICY_NOT_SET");
                    }
                    ChildEnd::Canceled(failure) => {
                        let details = value::enclosed(failure::failure(failure));
                        put(&mut value, "details", json!({"payloads": [details]}));
                    }
                    ChildEnd::TimedOut => put(&mut value, "retryState", "RETRY_STATE_TIMEOUT"),
                    ChildEnd::Terminated => {}
                }
                (value, false)
            }
        }
    }

    fn about(&self, initiated: EventId) -> Value {
        let child = self.0.get(&initiated);
        json!({
            "initiatedEventId": initiated.0.to_string(),
            "workflowId": child.map(|(workflow_id, ..)| workflow_id.as_str()),
            "workflowType": child.map(|(_, workflow_type, _)| json!({"name": workflow_type.as_str()})),
            "workflowExecution": {
                "workflowId": child.map(|(workflow_id, ..)| workflow_id.as_str()),
                "runId": child.and_then(|(_, _, run)| run.map(|run| run.to_string())),
            },
        })
    }
}

/// What happened to a child; `None` for any other event.
pub(super) fn read(kind: &str, fields: &Fields<'_>, refs: &Refs) -> Result<Option<ChildEvent>, HistoryError> {
    let initiated = || fields.event_id("initiatedEventId", refs);
    let ended = |end: ChildEnd| -> Result<Option<ChildEvent>, HistoryError> {
        Ok(Some(ChildEvent::Ended {
            initiated: initiated()?,
            started: fields.event_id("startedEventId", refs)?,
            end,
        }))
    };
    match kind {
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED" => Ok(Some(ChildEvent::Initiated(Arc::new(StartChild {
            workflow_id: fields.id("workflowId")?,
            workflow_type: fields.needed("workflowType")?.id("name")?,
            input: fields.payloads("input")?,
            parent_close_policy: match fields.word("parentClosePolicy", "PARENT_CLOSE_POLICY")?.as_str() {
                "" | "UNSPECIFIED" => ParentClosePolicy::default(),
                _ => failure::meaning(fields, "parentClosePolicy", "PARENT_CLOSE_POLICY", &POLICIES)?,
            },
            run_timeout: fields.limit("workflowRunTimeout")?,
        })))),
        "START_CHILD_WORKFLOW_EXECUTION_FAILED" => Ok(Some(ChildEvent::StartFailed {
            initiated: initiated()?,
            failure: read_refusal(fields, "ChildAlreadyStarted")?,
        })),
        "CHILD_WORKFLOW_EXECUTION_STARTED" => Ok(Some(ChildEvent::Started {
            initiated: initiated()?,
            run_id: run_id(&fields.needed("workflowExecution")?, "runId")?.unwrap_or(RunId::NIL),
        })),
        "CHILD_WORKFLOW_EXECUTION_COMPLETED" => ended(ChildEnd::Completed(fields.payloads("result")?)),
        "CHILD_WORKFLOW_EXECUTION_FAILED" => ended(ChildEnd::Failed(failure::read(&fields.needed("failure")?)?)),
        "CHILD_WORKFLOW_EXECUTION_CANCELED" => ended(ChildEnd::Canceled(read_canceled(fields)?)),
        "CHILD_WORKFLOW_EXECUTION_TIMED_OUT" => ended(ChildEnd::TimedOut),
        "CHILD_WORKFLOW_EXECUTION_TERMINATED" => ended(ChildEnd::Terminated),
        _ => Ok(None),
    }
}

/// A child that an earlier run of the chain has left open: its events are in that run's history.
pub(super) fn left(child: &LeftChild) -> Value {
    json!({
        "parentRunId": child.key.parent_run.to_string(),
        "initiatedEventId": child.key.initiated.0.to_string(),
        "initiatedTime": value::time(child.initiated_at),
        "workflowExecution": execution(&child.start.workflow_id, child.run_id),
        "workflowType": {"name": child.start.workflow_type.as_str()},
        "input": value::arguments(&child.start.input),
        "workflowRunTimeout": value::limit(child.start.run_timeout),
        "parentClosePolicy": failure::named("PARENT_CLOSE_POLICY", &POLICIES, child.start.parent_close_policy),
        "owesCancel": child.owes_cancel,
        "letGo": child.let_go,
    })
}

pub(super) fn read_left(fields: &Fields<'_>) -> Result<LeftChild, HistoryError> {
    let execution = fields.needed("workflowExecution")?;
    let parent_run = run_id(fields, "parentRunId")?;
    Ok(LeftChild {
        key: ChildKey {
            parent_run: parent_run.ok_or_else(|| fields.error("parentRunId is missing"))?,
            initiated: EventId(fields.number("initiatedEventId")?),
        },
        start: Arc::new(StartChild {
            workflow_id: execution.id("workflowId")?,
            workflow_type: fields.needed("workflowType")?.id("name")?,
            input: fields.payloads("input")?,
            parent_close_policy: failure::meaning(fields, "parentClosePolicy", "PARENT_CLOSE_POLICY", &POLICIES)?,
            run_timeout: fields.limit("workflowRunTimeout")?,
        }),
        initiated_at: fields.time("initiatedTime")?.unwrap_or(Timestamp::EPOCH),
        run_id: run_id(&execution, "runId")?,
        owes_cancel: fields.flag("owesCancel")?,
        let_go: fields.flag("letGo")?,
    })
}

/// Which child failed, as a failure says it.
pub(super) fn failure_info(child: &ChildWorkflowFailure) -> Value {
    json!({
        "workflowExecution": execution(&child.workflow_id, child.run_id),
        "workflowType": {"name": child.workflow_type.as_str()},
        "retryState": "RETRY_STATE_RETRY_POLICY_NOT_SET",
    })
}

pub(super) fn read_failure_info(info: &Fields<'_>) -> Result<ChildWorkflowFailure, HistoryError> {
    let execution = info.needed("workflowExecution")?;
    Ok(ChildWorkflowFailure {
        workflow_id: execution.id("workflowId")?,
        run_id: run_id(&execution, "runId")?,
        workflow_type: info.needed("workflowType")?.id("name")?,
    })
}
