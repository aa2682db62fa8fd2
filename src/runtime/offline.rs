//! Inputs for runs while no engine runs: decided and journaled here and now, brought about by the next engine. Lives
//! here: one turn without any actor. Must not live here: attempts, timers; nothing is ever executed here.

#[cfg(feature = "schedules")]
mod at_hand;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::machine::{
    Decider, DefinitionDecider, NoDecider, PendingActivity, QueryError, Rejection, Reply, RunState, Successor, decide,
};
use crate::model::{
    AttemptToken, Event, HoldReason, Input, ParkReason, Payload, Query, RunId, Timestamp, Turn, WorkflowId,
};
use crate::replay::CodeDecider;
use crate::sdk::Workflow;
use crate::store::{CommitBatch, Epoch, Error, Store, TurnRecord};

use super::codecs::Codecs;
use super::error::RequestError;
use super::recovery::{ParkedDecider, definition_from, fold, load_turns, turn_record};

/// What inputs are decided and journaled with.
pub(crate) struct OfflineDesk<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) codecs: &'a Codecs,
    pub(crate) now: Timestamp,
    /// The code of the workflow types that amends brings along itself: it is asked here, too.
    pub(crate) code: &'a BTreeMap<&'static str, Arc<dyn Workflow>>,
}

impl OfflineDesk<'_> {
    /// Hands an input to an open run. What its code would say to it is not asked, unless it is at hand: code hears of it when
    /// an engine runs it again. A saga definition is at hand, in the store, so such a run turns back at once.
    pub(crate) fn deliver(&self, workflow_id: &WorkflowId, input: Input) -> Result<RunId, RequestError> {
        self.decided(workflow_id, input).map(|(run_id, _)| run_id)
    }

    fn decided(&self, workflow_id: &WorkflowId, input: Input) -> Result<(RunId, RunState), RequestError> {
        let head = self.store.find(workflow_id)?;
        let head = head.ok_or_else(|| RequestError::NotFound(workflow_id.clone()))?;
        if head.status.is_closed() {
            return Err(RequestError::Rejected(Rejection::Closed));
        }
        let run_id = head.run_id;
        let (mut state, history) = self.load(run_id)?;
        let started = state.started();
        let mut decider: Box<dyn Decider> = match started.and_then(|started| started.definition) {
            Some(digest) => Box::new(DefinitionDecider::new(definition_from(self.store, digest)?)),
            None => {
                let workflow_type = started.map(|started| started.workflow_type.to_string());
                self.decider(&workflow_type.unwrap_or_default(), &history)
            }
        };
        self.turn(run_id, &mut state, &mut *decider, input)?;
        Ok((run_id, state))
    }

    fn load(&self, run_id: RunId) -> Result<(RunState, Vec<Event>), RequestError> {
        let mut turns = load_turns(self.store, run_id)?;
        self.codecs.decode(run_id, &mut turns)?;
        let state = fold(run_id, &turns)?;
        Ok((state, turns.into_iter().flat_map(|turn| turn.events).collect()))
    }

    fn decider(&self, workflow_type: &str, history: &[Event]) -> Box<dyn Decider> {
        let Some(workflow) = self.code.get(workflow_type) else {
            return Box::new(NoDecider);
        };
        match CodeDecider::replay(Arc::clone(workflow), history) {
            Ok(code) => Box::new(code),
            Err(reason) => Box::new(ParkedDecider::of_code(reason)),
        }
    }

    /// One turn, made durable.
    fn turn(
        &self,
        run_id: RunId,
        state: &mut RunState,
        decider: &mut dyn Decider,
        input: Input,
    ) -> Result<(), RequestError> {
        let (codecs, now) = (self.codecs, self.now);
        // What came due since the last engine ended was begun by nobody either.
        let begun_until = self.store.left_at().unwrap_or(now);
        let due_before = state.attempts_due(begun_until).map(PendingActivity::token);
        let due_before: BTreeSet<AttemptToken> = due_before.collect();
        let decision = decide(state, vec![input], now, decider);
        if let Some(Reply::Rejected(rejection)) = decision.replies.into_iter().next() {
            return Err(RequestError::Rejected(rejection));
        }
        let mut turns = Vec::new();
        if let Some(turn) = decision.turn {
            turns.push(record(codecs, run_id, state, &turn)?);
        }
        if let Some(Successor { state, turn }) = decision.successor.as_deref()
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
            && let Some(turn) = decide(state, vec![hold], now, decider).turn
        {
            turns.push(record(codecs, run_id, state, &turn)?);
        }
        if !turns.is_empty() {
            commit_as_guest(self.store, turns)?;
        }
        Ok(())
    }
}

/// Writes turns while no engine runs.
pub(super) fn commit_as_guest(store: &dyn Store, turns: Vec<TurnRecord>) -> Result<(), Error> {
    let definitions = Vec::new();
    as_guest(store, |epoch| store.commit(epoch, &CommitBatch { turns, definitions }))
}

/// Writes while no engine runs, and begins nothing: what the last engine has said of its end still holds afterwards.
pub(super) fn as_guest<T>(store: &dyn Store, write: impl FnOnce(Epoch) -> Result<T, Error>) -> Result<T, Error> {
    let left_at = store.left_at();
    let epoch = store.claim()?;
    let written = write(epoch)?;
    if let Some(at) = left_at {
        store.leave(epoch, at)?;
    }
    Ok(written)
}

/// Answers a query about a run of code by replaying its history.
pub(super) fn ask_replayed(
    workflow: Arc<dyn Workflow>,
    state: &RunState,
    history: &[Event],
    query: &Query,
) -> Result<Payload, QueryError> {
    let replayed = CodeDecider::replay(workflow, history).and_then(|mut decider| {
        decider.check_rest(history)?;
        Ok(decider)
    });
    match replayed {
        Ok(mut decider) => decider.query(state, query),
        Err(reason) => Err(undecidable(reason)),
    }
}

pub(super) fn undecidable(reason: ParkReason) -> QueryError {
    QueryError::Undecidable(Box::new(reason))
}

fn record(codecs: &Codecs, run_id: RunId, state: &RunState, turn: &Turn) -> Result<TurnRecord, Error> {
    turn_record(codecs, run_id, state, turn).map_err(|error| error.of_run(run_id))
}
