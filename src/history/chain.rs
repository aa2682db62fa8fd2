//! A run's place in its chain, which Temporal has in the first event, both ways. Must not live here: the rest of that event.

use serde_json::{Value, json};

use crate::model::{Initiator, RunChain};

use super::HistoryError;
use super::activity::{read_retry_policy, retry_policy};
use super::child;
use super::execution::run_id;
use super::failure;
use super::fields::Fields;
use super::message;
use super::value::{self, put};

const INITIATORS: [(&str, Initiator); 3] = [
    ("WORKFLOW", Initiator::Workflow),
    ("RETRY", Initiator::Retry),
    ("CRON_SCHEDULE", Initiator::Cron),
];

/// What Temporal has no place for.
pub(super) fn ours(chain: &RunChain) -> Value {
    json!({
        "signalRequests": chain.signal_requests.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "updates": chain.updates.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "children": chain.children.iter().map(child::left).collect::<Vec<_>>(),
        "messages": chain.messages.iter().map(message::left).collect::<Vec<_>>(),
    })
}

/// What Temporal has, among the attributes of the first event.
pub(super) fn put_into(started: &mut Value, chain: &RunChain) {
    if let Some(first) = chain.first {
        put(started, "firstExecutionRunId", first.to_string());
    }
    if let Some((run_id, initiator)) = chain.follows {
        put(started, "continuedExecutionRunId", run_id.to_string());
        let word = INITIATORS.iter().find(|(_, known)| *known == initiator);
        let word = word.map_or("UNSPECIFIED", |(word, _)| word);
        put(started, "initiator", format!("CONTINUE_AS_NEW_INITIATOR_{word}"));
    }
    put(started, "attempt", chain.attempt);
    put(started, "firstWorkflowTaskBackoff", value::duration(chain.backoff));
    put(
        started,
        "workflowExecutionTimeout",
        value::limit(chain.execution_timeout),
    );
    if let Some(at) = chain.expires_at {
        put(started, "workflowExecutionExpirationTime", value::time(at));
    }
    if let Some(retry) = &chain.retry {
        put(started, "retryPolicy", retry_policy(retry));
    }
    if let Some(cron) = &chain.cron {
        put(started, "cronSchedule", cron.as_str());
    }
    if let Some(last) = &chain.last_failure {
        put(started, "continuedFailure", failure::failure(last));
    }
    if let Some(last) = &chain.last_result {
        put(started, "lastCompletionResult", value::payloads(last));
    }
}

/// A run of which neither says anything is alone.
pub(super) fn read(fields: &Fields<'_>, of_ours: &Fields<'_>) -> Result<Option<RunChain>, HistoryError> {
    let told = of_ours.object("chain")?;
    let own = run_id(fields, "originalExecutionRunId")?;
    let cron = fields.text("cronSchedule")?;
    let follows = match run_id(fields, "continuedExecutionRunId")? {
        Some(run_id) => Some((run_id, read_initiator(fields)?)),
        None => None,
    };
    let mut chain = RunChain {
        first: run_id(fields, "firstExecutionRunId")?.filter(|first| Some(*first) != own),
        follows,
        attempt: fields.number_u32("attempt")?.max(1),
        backoff: fields.duration("firstWorkflowTaskBackoff")?.unwrap_or_default(),
        execution_timeout: fields.limit("workflowExecutionTimeout")?,
        expires_at: fields.time("workflowExecutionExpirationTime")?,
        retry: fields
            .object("retryPolicy")?
            .map(|policy| read_retry_policy(&policy))
            .transpose()?,
        cron: (!cron.is_empty()).then_some(cron),
        last_failure: fields
            .object("continuedFailure")?
            .map(|last| failure::read(&last))
            .transpose()?,
        last_result: fields
            .object("lastCompletionResult")?
            .map(|last| value::read_payloads(&last))
            .transpose()?,
        ..RunChain::default()
    };
    if let Some(told) = told {
        chain.signal_requests = told.ids("signalRequests")?;
        chain.updates = told.ids("updates")?;
        let children = told.list("children")?.iter();
        let children = children.map(|child| child::read_left(&Fields::of(child, told.event())?));
        chain.children = children.collect::<Result<_, _>>()?;
        let messages = told.list("messages")?.iter();
        let messages = messages.map(|one| message::read_left(&Fields::of(one, told.event())?));
        chain.messages = messages.collect::<Result<_, _>>()?;
        return Ok(Some(chain));
    }
    Ok((chain != RunChain::default()).then_some(chain))
}

fn read_initiator(fields: &Fields<'_>) -> Result<Initiator, HistoryError> {
    let word = fields.word("initiator", "CONTINUE_AS_NEW_INITIATOR")?;
    let found = INITIATORS.iter().find(|(known, _)| *known == word);
    // Older servers did not say.
    Ok(found.map_or(Initiator::Workflow, |(_, initiator)| *initiator))
}
