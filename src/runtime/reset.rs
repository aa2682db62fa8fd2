//! Making a run anew from an earlier turn of another one: reading what is needed for it, and, while no engine runs, both runs'
//! turns in one commit. Must not live here: what is copied and what is refused (that is `machine::reset`), or how a live run
//! takes it (`run`, `shard`).

use crate::machine::{NoDecider, Rejection, Reply, RunState, Successor, decide};
use crate::model::{Input, MadeAnew, Outcome, Reset, RunId, Timestamp, Turn, WorkflowId};
use crate::store::{CommitBatch, RunHead, Store};

use super::codecs::Codecs;
use super::entropy::Entropy;
use super::error::RequestError;
use super::recovery::{fold, load_state, load_turns, turn_record};

/// Of which run another one is to be made, and how.
#[derive(Clone, Debug)]
pub(crate) struct ResetOrder {
    pub(crate) base: RunId,
    pub(crate) wanted: Reset,
}

/// The run that is made: newer than `newest`, the newest one of its workflow id, which gives way if it is open. Everything of the base has to be durable.
pub(super) fn make_anew(
    store: &dyn Store,
    codecs: &Codecs,
    order: &ResetOrder,
    newest: RunId,
    gives_way: Option<&RunState>,
    now: Timestamp,
) -> Result<MadeAnew, RequestError> {
    let base = load_decoded(store, codecs, order.base)?;
    let mut continued: Vec<Turn> = Vec::new();
    let mut next = continued_as(store, order.base, &base)?;
    while let Some(run_id) = next {
        let turns = load_decoded(store, codecs, run_id)?;
        next = continued_as(store, run_id, &turns)?;
        continued.extend(turns);
    }
    let mut run_id = Entropy.run_id(now);
    // The newest run of an id is the one with the greatest run id, whatever the clock says.
    if run_id <= newest {
        run_id = newest.following(now);
    }
    let made = order.wanted.make(&base, &continued, gives_way, run_id, now);
    made.map_err(|refusal| Rejection::ResetRefused(Box::new(refusal)).into())
}

fn load_decoded(store: &dyn Store, codecs: &Codecs, run_id: RunId) -> Result<Vec<Turn>, RequestError> {
    let mut turns = load_turns(store, run_id)?;
    codecs.decode(run_id, &mut turns)?;
    Ok(turns)
}

/// The run as which this one was continued by its own code, if it was, and is still there.
fn continued_as(store: &dyn Store, run_id: RunId, turns: &[Turn]) -> Result<Option<RunId>, RequestError> {
    let state = fold(run_id, turns)?;
    let next = match state.outcome() {
        Some(Outcome::ContinuedAsNew { new_run_id }) => *new_run_id,
        _ => return Ok(None),
    };
    Ok(store.head(next)?.map(|head| head.run_id))
}

/// The newest run of the id, if this request has made it.
pub(super) fn made_before(
    store: &dyn Store,
    codecs: &Codecs,
    wanted: &Reset,
    newest: RunId,
) -> Result<bool, RequestError> {
    let Some(request_id) = &wanted.request_id else {
        return Ok(false);
    };
    Ok(load_state(codecs, store, newest)?.was_made_by(request_id))
}

/// Ends the newest run of the id, if it is open, and begins the one that is made. The next engine decides its turn again.
pub(crate) fn reset_offline(
    store: &dyn Store,
    codecs: &Codecs,
    workflow_id: &WorkflowId,
    order: &ResetOrder,
    now: Timestamp,
) -> Result<RunId, RequestError> {
    let newest = store.find(workflow_id)?;
    let newest: RunHead = newest.ok_or_else(|| RequestError::NotFound(workflow_id.clone()))?;
    if made_before(store, codecs, &order.wanted, newest.run_id)? {
        return Ok(newest.run_id);
    }
    let mut ending = match newest.status.is_closed() {
        true => None,
        false => Some(load_state(codecs, store, newest.run_id)?),
    };
    let made = make_anew(store, codecs, order, newest.run_id, ending.as_ref(), now)?;
    let run_id = made.run_id;
    let mut turns = Vec::new();
    if let Some(ending) = &mut ending {
        let decision = decide(ending, vec![Input::Reset(Box::new(made))], now, &mut NoDecider);
        if let Some(Reply::Rejected(rejection)) = decision.replies.into_iter().next() {
            return Err(rejection.into());
        }
        let ended = decision.turn.iter().map(|turn| (newest.run_id, &*ending, turn));
        let begun = decision.successor.as_deref().into_iter();
        let begun = begun.map(|Successor { state, turn }| (run_id, state, turn));
        for (run_id, state, turn) in ended.chain(begun) {
            turns.push(turn_record(codecs, run_id, state, turn).map_err(|error| error.of_run(run_id))?);
        }
    } else {
        let state = RunState::fold([&made.first]).map_err(|misfit| Rejection::ResetRefused(Box::new(misfit.into())))?;
        turns.push(turn_record(codecs, run_id, &state, &made.first).map_err(|error| error.of_run(run_id))?);
    }
    let definitions = Vec::new();
    store.commit(store.claim()?, &CommitBatch { turns, definitions })?;
    Ok(run_id)
}
