//! Executions and task queues that events name, both ways. Must not live here: what the events say of them.

use serde_json::{Value, json};

use crate::model::{RunId, TaskQueue, WorkflowId};

use super::HistoryError;
use super::fields::Fields;

/// The queue that tools see where we name none.
const TASK_QUEUE: &str = "amends";

pub(super) fn execution(workflow_id: &WorkflowId, run_id: Option<RunId>) -> Value {
    json!({"workflowId": workflow_id.as_str(), "runId": run_id.map(|run_id| run_id.to_string())})
}

pub(super) fn run_id(fields: &Fields<'_>, key: &str) -> Result<Option<RunId>, HistoryError> {
    let text = fields.text(key)?;
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse();
    parsed
        .map(Some)
        .map_err(|_| fields.error(format!("{key}: {text:?} is not a UUID")))
}

pub(super) fn task_queue(named: Option<&TaskQueue>) -> Value {
    let name = named.map_or(TASK_QUEUE, TaskQueue::as_str);
    json!({"name": name, "kind": "TASK_QUEUE_KIND_NORMAL"})
}

/// The queue that an event names; `None` where none of ours was named.
pub(super) fn read_task_queue(fields: &Fields<'_>) -> Result<Option<TaskQueue>, HistoryError> {
    let named = fields.object("taskQueue")?;
    let named = named.map(|queue| queue.id_or_none("name")).transpose()?.flatten();
    Ok(named.filter(|queue: &TaskQueue| queue.as_str() != TASK_QUEUE))
}
