//! The first event, both ways. Must not live here: any other event.

use serde_json::{Value, json};

use crate::model::{
    AutomaticDecision, ChoiceKind, ContinuedAsNew, DefinitionDigest, Escalation, EventId, ParentRun, RunId, RunStarted,
    SagaOptions, WorkflowId,
};

use super::HistoryError;
use super::activity::{OURS, options, ours, read_options};
use super::attribute;
use super::chain;
use super::execution::{execution, read_task_queue, run_id};
use super::fields::Fields;
use super::value::{self, put};

/// The workflow id of a history that has none: Temporal's servers before 1.21 did not write it.
const NAMELESS: &str = "imported";

pub(super) fn started(started: &RunStarted, task_queue: &Value) -> Value {
    let of_ours = json!({
        "definition": started.definition.map(|digest| digest.to_string()),
        "requestId": started.request_id.as_ref().map(|id| id.as_str()),
        "saga": started.saga.as_deref().map(saga),
        "chain": started.chain.as_deref().map(chain::ours),
    });
    let has_ours = started.definition.is_some()
        || started.request_id.is_some()
        || started.saga.is_some()
        || started.chain.is_some();
    let header = has_ours.then(|| json!({"fields": {OURS: value::enclosed(of_ours)}}));
    let mut value = json!({
        "workflowType": {"name": started.workflow_type.as_str()},
        "workflowId": started.workflow_id.as_str(),
        "taskQueue": task_queue,
        "input": value::arguments(&started.input),
        "workflowExecutionTimeout": "0s",
        "workflowRunTimeout": value::limit(started.run_timeout),
        "workflowTaskTimeout": "10s",
        "originalExecutionRunId": started.run_id.to_string(),
        "firstExecutionRunId": started.run_id.to_string(),
        "attempt": 1,
        "firstWorkflowTaskBackoff": "0s",
        "identity": started.identity,
        "parentWorkflowExecution": started.parent.as_ref().map(|parent| execution(&parent.workflow_id, Some(parent.run_id))),
        "parentInitiatedEventId": started.parent.as_ref().and_then(|parent| Some(parent.initiated?.0.to_string())),
        "searchAttributes": attribute::attributes(&started.search_attributes),
        "memo": attribute::memo(&started.memo),
        "header": header,
    });
    if let Some(chain) = &started.chain {
        chain::put_into(&mut value, chain);
    }
    value
}

pub(super) fn read_continued(fields: &Fields<'_>) -> Result<ContinuedAsNew, HistoryError> {
    Ok(ContinuedAsNew {
        new_run_id: run_id(fields, "newExecutionRunId")?.unwrap_or(RunId::NIL),
        workflow_type: fields.needed("workflowType")?.id("name")?,
        input: fields.payloads("input")?,
        run_timeout: fields.limit("workflowRunTimeout")?,
        task_queue: read_task_queue(fields)?,
    })
}

pub(super) fn read(fields: &Fields<'_>) -> Result<RunStarted, HistoryError> {
    let of_ours = ours(fields)?.unwrap_or_else(|| json!({}));
    let of_ours = Fields::of(&of_ours, fields.event())?;
    let workflow_id: Option<WorkflowId> = fields.id_or_none("workflowId")?;
    let initiated = fields.number("parentInitiatedEventId")?;
    let initiated = (initiated > 0).then_some(EventId(initiated));
    Ok(RunStarted {
        task_queue: read_task_queue(fields)?,
        workflow_id: workflow_id.unwrap_or_else(|| WorkflowId::from_trusted(NAMELESS)),
        run_id: run_id(fields, "originalExecutionRunId")?.unwrap_or(RunId::NIL),
        workflow_type: fields.needed("workflowType")?.id("name")?,
        definition: digest(&of_ours)?,
        input: fields.payloads("input")?,
        request_id: of_ours.id_or_none("requestId")?,
        run_timeout: fields.limit("workflowRunTimeout")?,
        identity: fields.text("identity")?,
        saga: of_ours
            .object("saga")?
            .map(|saga| read_saga(&saga).map(Box::new))
            .transpose()?,
        parent: fields
            .object("parentWorkflowExecution")?
            .map(|parent| read_parent(&parent, initiated))
            .transpose()?,
        search_attributes: attribute::read_attributes(fields, "searchAttributes")?,
        memo: attribute::read_memo(fields, "memo")?,
        chain: chain::read(fields, &of_ours)?.map(Box::new),
    })
}

fn read_parent(fields: &Fields<'_>, initiated: Option<EventId>) -> Result<ParentRun, HistoryError> {
    Ok(ParentRun {
        workflow_id: fields.id("workflowId")?,
        run_id: run_id(fields, "runId")?.unwrap_or(RunId::NIL),
        initiated,
    })
}

fn digest(fields: &Fields<'_>) -> Result<Option<DefinitionDigest>, HistoryError> {
    let text = fields.text("definition")?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || fields.error("the digest of a definition has 64 hexadecimal digits");
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (place, byte) in digest.iter_mut().enumerate() {
        let digits = text.get(place * 2..place * 2 + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(Some(DefinitionDigest(digest)))
}

fn saga(saga: &SagaOptions) -> Value {
    json!({
        "unwindTimeout": saga.unwind_timeout.map(value::duration),
        "unwindParallel": saga.unwind_parallel,
        "escalation": saga.escalation.as_ref().map(|escalation| {
            let mut value = options(&escalation.options);
            put(&mut value, "after", value::duration(escalation.after));
            put(&mut value, "activityType", escalation.activity_type.as_str());
            value
        }),
        "automatic": saga.automatic.map(|automatic| json!({
            "after": value::duration(automatic.after), "choice": automatic.choice.as_str(),
        })),
    })
}

fn read_saga(fields: &Fields<'_>) -> Result<SagaOptions, HistoryError> {
    Ok(SagaOptions {
        unwind_timeout: fields.duration("unwindTimeout")?,
        unwind_parallel: fields
            .get("unwindParallel")
            .map(|_| fields.number_u32("unwindParallel"))
            .transpose()?,
        escalation: fields
            .object("escalation")?
            .map(|fields| read_escalation(&fields))
            .transpose()?,
        automatic: fields
            .object("automatic")?
            .map(|fields| read_automatic(&fields))
            .transpose()?,
    })
}

fn read_escalation(fields: &Fields<'_>) -> Result<Escalation, HistoryError> {
    Ok(Escalation {
        after: fields.duration("after")?.unwrap_or_default(),
        activity_type: fields.id("activityType")?,
        options: read_options(fields)?,
    })
}

fn read_automatic(fields: &Fields<'_>) -> Result<AutomaticDecision, HistoryError> {
    Ok(AutomaticDecision {
        after: fields.duration("after")?.unwrap_or_default(),
        choice: read_choice_kind(fields, "choice")?,
    })
}

pub(super) fn read_choice_kind(fields: &Fields<'_>, key: &str) -> Result<ChoiceKind, HistoryError> {
    let word = fields.text(key)?;
    ChoiceKind::from_word(&word).ok_or_else(|| fields.error(format!("{key}: there is no choice {word:?}")))
}
