//! Child workflows, for programs and people. Must not live here: any other event.

use serde_json::{Value, json};

use crate::model::{ChildEnd, ChildEvent, StartChild, TaskQueue};
use crate::server::text as words;

use super::super::{attribute, failure, payload, put};
use super::chain;

pub(super) fn attributes(event: &ChildEvent) -> Value {
    match event {
        ChildEvent::Initiated(start) => initiated(start),
        ChildEvent::StartFailed {
            initiated,
            failure: cause,
        } => json!({"initiated": initiated.0, "failure": failure(cause)}),
        ChildEvent::Started { initiated, run_id } => json!({"initiated": initiated.0, "run_id": run_id.to_string()}),
        ChildEvent::Ended {
            initiated,
            started,
            end,
        } => {
            let mut value = json!({"initiated": initiated.0, "started": started.0});
            match end {
                ChildEnd::Completed(result) => put(&mut value, "result", payload(result)),
                ChildEnd::Failed(cause) | ChildEnd::Canceled(cause) => put(&mut value, "failure", failure(cause)),
                ChildEnd::TimedOut | ChildEnd::Terminated => {}
            }
            value
        }
    }
}

fn initiated(start: &StartChild) -> Value {
    json!({
        "workflow_id": start.workflow_id.as_str(), "workflow_type": start.workflow_type.as_str(),
        "input": payload(&start.input), "parent_close_policy": start.parent_close_policy.as_str(),
        "id_reuse_policy": start.id_reuse_policy.as_str(),
        "run_timeout_ms": start.run_timeout.map(|limit| limit.as_millis()),
        "execution_timeout_ms": start.execution_timeout.map(|limit| limit.as_millis()),
        "retry": start.retry.as_ref().map(chain::retry), "cron": start.cron,
        "task_queue": start.task_queue.as_ref().map(TaskQueue::as_str),
        "search_attributes": attribute::all(&start.search_attributes), "memo": attribute::whole_memo(&start.memo),
    })
}

pub(super) fn text(event: &ChildEvent) -> String {
    match event {
        ChildEvent::Initiated(start) => format!("{} {} {:?}", start.workflow_id, start.workflow_type, start.input),
        ChildEvent::StartFailed { initiated, failure } => format!("of {initiated}: {}", words::failure(failure)),
        ChildEvent::Started { initiated, run_id } => format!("of {initiated}: run {run_id}"),
        ChildEvent::Ended { initiated, end, .. } => match end {
            ChildEnd::Completed(result) => format!("of {initiated}: {result:?}"),
            ChildEnd::Failed(failure) | ChildEnd::Canceled(failure) => {
                format!("of {initiated}: {}", words::failure(failure))
            }
            ChildEnd::TimedOut | ChildEnd::Terminated => format!("of {initiated}"),
        },
    }
}
