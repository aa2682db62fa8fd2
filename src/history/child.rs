//! Child workflows, both ways. Must not live here: messages to other runs (`write`, `events`), sagas as steps (which are
//! activities).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, Event, EventAttributes, EventId, IdReusePolicy, LeftChild,
    ParentClosePolicy, RunId, StartChild, Timestamp, WorkflowId,
};

use super::HistoryError;
use super::activity::{read_retry_policy, retry_policy};
use super::attribute;
use super::events::{read_canceled, read_refusal};
use super::execution::{execution, read_task_queue, run_id, task_queue};
use super::failure;
use super::fields::Fields;
use super::refs::Refs;
use super::value::{self, put};

const POLICIES: [(&str, ParentClosePolicy); 3] = [
    ("TERMINATE", ParentClosePolicy::Terminate),
    ("ABANDON", ParentClosePolicy::Abandon),
    ("REQUEST_CANCEL", ParentClosePolicy::RequestCancel),
];

const REUSE: [(&str, IdReusePolicy); 4] = [
    ("ALLOW_DUPLICATE", IdReusePolicy::AllowDuplicate),
    ("ALLOW_DUPLICATE_FAILED_ONLY", IdReusePolicy::AllowDuplicateFailedOnly),
    ("REJECT_DUPLICATE", IdReusePolicy::RejectDuplicate),
    // Temporal's older word for two policies at once; it does not end runs for a child.
    ("TERMINATE_IF_RUNNING", IdReusePolicy::AllowDuplicate),
];

/// The children of a history that is being written: what Temporal repeats in each of their events.
#[derive(Default)]
pub(super) struct Children(BTreeMap<EventId, (Arc<StartChild>, Option<RunId>)>);

impl Children {
    pub(super) fn note(&mut self, event: &Event) {
        let EventAttributes::Child(child) = &event.attributes else {
            return;
        };
        match &**child {
            ChildEvent::Initiated(child) => {
                self.0.insert(event.id, (Arc::clone(child), None));
            }
            ChildEvent::Started { initiated, run_id } => {
                if let Some((_, run)) = self.0.get_mut(initiated) {
                    *run = Some(*run_id);
                }
            }
            _ => {}
        }
    }

    /// The event's attributes; `true`: it belongs to a turn.
    pub(super) fn attributes(&self, event: &ChildEvent) -> (Value, bool) {
        match event {
            ChildEvent::Initiated(child) => {
                let mut value = start(child);
                put(&mut value, "workflowId", child.workflow_id.as_str());
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
                        // With a policy, why it was not tried again is in its own history.
                        let is_retried = self.0.get(initiated).is_some_and(|(child, _)| child.retry.is_some());
                        if !is_retried {
                            put(&mut value, "retryState", "RETRY_STATE_RETRY_POLICY_NOT_SET");
                        }
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
            "workflowId": child.map(|(child, _)| child.workflow_id.as_str()),
            "workflowType": child.map(|(child, _)| json!({"name": child.workflow_type.as_str()})),
            "workflowExecution": {
                "workflowId": child.map(|(child, _)| child.workflow_id.as_str()),
                "runId": child.and_then(|(_, run)| run.map(|run| run.to_string())),
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
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED" => {
            let start = read_start(fields, fields.id("workflowId")?)?;
            Ok(Some(ChildEvent::Initiated(Arc::new(start))))
        }
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

/// What was asked for, but for the id of the child.
fn start(child: &StartChild) -> Value {
    let mut value = json!({
        "workflowType": {"name": child.workflow_type.as_str()},
        "taskQueue": task_queue(child.task_queue.as_ref()),
        "input": value::arguments(&child.input),
        "workflowExecutionTimeout": value::limit(child.execution_timeout),
        "workflowRunTimeout": value::limit(child.run_timeout),
        "parentClosePolicy": failure::named("PARENT_CLOSE_POLICY", &POLICIES, child.parent_close_policy),
        "workflowIdReusePolicy": failure::named("WORKFLOW_ID_REUSE_POLICY", &REUSE, child.id_reuse_policy),
        "searchAttributes": attribute::attributes(&child.search_attributes),
        "memo": attribute::memo(&child.memo),
    });
    if let Some(retry) = &child.retry {
        put(&mut value, "retryPolicy", retry_policy(retry));
    }
    if let Some(cron) = &child.cron {
        put(&mut value, "cronSchedule", cron.as_str());
    }
    value
}

fn read_start(fields: &Fields<'_>, workflow_id: WorkflowId) -> Result<StartChild, HistoryError> {
    let unsaid = StartChild::new(
        workflow_id,
        fields.needed("workflowType")?.id("name")?,
        fields.payloads("input")?,
    );
    let is_said = |key: &str, prefix: &str| -> Result<bool, HistoryError> {
        Ok(!["", "UNSPECIFIED"].contains(&fields.word(key, prefix)?.as_str()))
    };
    let cron = fields.text("cronSchedule")?;
    Ok(StartChild {
        parent_close_policy: match is_said("parentClosePolicy", "PARENT_CLOSE_POLICY")? {
            true => failure::meaning(fields, "parentClosePolicy", "PARENT_CLOSE_POLICY", &POLICIES)?,
            false => unsaid.parent_close_policy,
        },
        id_reuse_policy: match is_said("workflowIdReusePolicy", "WORKFLOW_ID_REUSE_POLICY")? {
            true => failure::meaning(fields, "workflowIdReusePolicy", "WORKFLOW_ID_REUSE_POLICY", &REUSE)?,
            false => unsaid.id_reuse_policy,
        },
        run_timeout: fields.limit("workflowRunTimeout")?,
        execution_timeout: fields.limit("workflowExecutionTimeout")?,
        retry: fields
            .object("retryPolicy")?
            .map(|policy| read_retry_policy(&policy))
            .transpose()?,
        cron: (!cron.is_empty()).then_some(cron),
        task_queue: read_task_queue(fields)?,
        search_attributes: attribute::read_attributes(fields, "searchAttributes")?,
        memo: attribute::read_memo(fields, "memo")?,
        ..unsaid
    })
}

/// A child that an earlier run of the chain has left open: its events are in that run's history.
pub(super) fn left(child: &LeftChild) -> Value {
    let mut value = start(&child.start);
    put(&mut value, "parentRunId", child.key.parent_run.to_string());
    put(&mut value, "initiatedEventId", child.key.initiated.0.to_string());
    put(&mut value, "initiatedTime", value::time(child.initiated_at));
    let execution = execution(&child.start.workflow_id, child.run_id);
    put(&mut value, "workflowExecution", execution);
    put(&mut value, "owesCancel", child.owes_cancel);
    put(&mut value, "letGo", child.let_go);
    value
}

pub(super) fn read_left(fields: &Fields<'_>) -> Result<LeftChild, HistoryError> {
    let execution = fields.needed("workflowExecution")?;
    let parent_run = run_id(fields, "parentRunId")?;
    Ok(LeftChild {
        key: ChildKey {
            parent_run: parent_run.ok_or_else(|| fields.error("parentRunId is missing"))?,
            initiated: EventId(fields.number("initiatedEventId")?),
        },
        start: Arc::new(read_start(fields, execution.id("workflowId")?)?),
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
