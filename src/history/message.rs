//! Messages to other runs that their sender has left, both ways. Must not live here: the events that say so (`write`, `events`).

use serde_json::{Value, json};

use crate::model::{EventId, ExternalCancel, ExternalMessage, ExternalSignal, LeftMessage, MessageKey};

use super::HistoryError;
use super::execution::{execution, run_id};
use super::fields::Fields;
use super::value::{self, put};

/// A message that an earlier run has left: its event is in that run's history.
pub(super) fn left(left: &LeftMessage) -> Value {
    let mut told = match &left.message {
        ExternalMessage::Signal(signal) => json!({
            "workflowExecution": execution(&signal.workflow_id, signal.run_id),
            "signalName": signal.name.as_str(),
            "input": value::arguments(&signal.input),
        }),
        ExternalMessage::Cancel(cancel) => json!({
            "workflowExecution": execution(&cancel.workflow_id, cancel.run_id),
            "reason": cancel.reason,
        }),
    };
    put(&mut told, "senderRunId", left.key.sender_run.to_string());
    put(&mut told, "initiatedEventId", left.key.initiated.0.to_string());
    told
}

pub(super) fn read_left(fields: &Fields<'_>) -> Result<LeftMessage, HistoryError> {
    let execution = fields.needed("workflowExecution")?;
    let sender_run = run_id(fields, "senderRunId")?;
    let (to, to_run) = (execution.id("workflowId")?, run_id(&execution, "runId")?);
    let message = match fields.id_or_none("signalName")? {
        Some(name) => ExternalMessage::Signal(Box::new(ExternalSignal {
            workflow_id: to,
            run_id: to_run,
            name,
            input: fields.payloads("input")?,
        })),
        None => ExternalMessage::Cancel(Box::new(ExternalCancel {
            workflow_id: to,
            run_id: to_run,
            reason: fields.text("reason")?,
        })),
    };
    Ok(LeftMessage {
        key: MessageKey {
            sender_run: sender_run.ok_or_else(|| fields.error("senderRunId is missing"))?,
            initiated: EventId(fields.number("initiatedEventId")?),
        },
        message,
    })
}
