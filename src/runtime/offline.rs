//! Inputs for runs while no engine runs: decided and journaled here and now, brought about by the next engine. Lives
//! here: one turn without any actor. Must not live here: attempts, timers; nothing is ever executed here.

use std::collections::BTreeSet;

use crate::machine::{
    Decider, DefinitionDecider, NoDecider, PendingActivity, Rejection, Reply, RunState, Successor, decide,
};
use crate::model::{AttemptToken, HoldReason, Input, RunId, Timestamp, Turn, WorkflowId};
use crate::store::{CommitBatch, Error, Store, TurnRecord};

use super::codecs::Codecs;
use super::error::RequestError;
use super::recovery::{definition_from, load_state, turn_record};

/// Hands an input to an open run. What its code would say to it is not asked: code hears of it when an engine runs it
/// again. A saga definition is at hand, in the store, so such a run turns back at once.
pub(crate) fn deliver_offline(
    store: &dyn Store,
    codecs: &Codecs,
    workflow_id: &WorkflowId,
    input: Input,
    now: Timestamp,
) -> Result<RunId, RequestError> {
    let head = store.find(workflow_id)?;
    let head = head.ok_or_else(|| RequestError::NotFound(workflow_id.clone()))?;
    if head.status.is_closed() {
        return Err(RequestError::Rejected(Rejection::Closed));
    }
    let run_id = head.run_id;
    let mut state = load_state(codecs, store, run_id)?;
    let definition = state.started().and_then(|started| started.definition);
    let mut decider: Box<dyn Decider> = match definition {
        Some(digest) => Box::new(DefinitionDecider::new(definition_from(store, digest)?)),
        None => Box::new(NoDecider),
    };
    let due_before: BTreeSet<AttemptToken> = state.attempts_due(now).map(PendingActivity::token).collect();
    let decision = decide(&mut state, vec![input], now, &mut *decider);
    if let Some(Reply::Rejected(rejection)) = decision.replies.into_iter().next() {
        return Err(RequestError::Rejected(rejection));
    }
    let mut turns = Vec::new();
    if let Some(turn) = decision.turn {
        turns.push(record(codecs, run_id, &state, &turn)?);
    }
    if let Some(Successor { state, turn }) = &decision.successor
        && let Some(run_id) = state.run_id()
    {
        turns.push(record(codecs, run_id, state, turn)?);
    }
    // Nobody has had the attempts that are due by this: the next engine begins them, and must not take them for lost.
    let due = state.attempts_due(now).map(PendingActivity::token);
    let attempts: Vec<AttemptToken> = due.filter(|token| !due_before.contains(token)).collect();
    let why = HoldReason::Stopping;
    if !attempts.is_empty()
        && let hold = (Input::Hold { attempts, why })
        && let Some(turn) = decide(&mut state, vec![hold], now, &mut *decider).turn
    {
        turns.push(record(codecs, run_id, &state, &turn)?);
    }
    if !turns.is_empty() {
        let definitions = Vec::new();
        store.commit(store.claim()?, &CommitBatch { turns, definitions })?;
    }
    Ok(run_id)
}

fn record(codecs: &Codecs, run_id: RunId, state: &RunState, turn: &Turn) -> Result<TurnRecord, Error> {
    turn_record(codecs, run_id, state, turn).map_err(|error| error.of_run(run_id))
}
