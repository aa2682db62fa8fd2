//! Making a run anew from an earlier turn of another one: reading what is needed for it, and, while no engine runs, both runs'
//! turns in one commit. Must not live here: what is copied and what is refused (that is `machine::reset`), or how a live run
//! takes it (`run`, `shard`).

use crate::machine::{Beside, NoDecider, Rejection, Reply, ResetRefusal, RunState, Successor, decide};
use crate::model::{
    Event, EventAttributes, EventId, Initiator, Input, MadeAnew, Reset, RunId, Timestamp, Turn, UNDO_SUFFIX,
    WorkflowId, limits,
};
use crate::store::{RunHead, Store};

use super::codecs::Codecs;
use super::entropy::Entropy;
use super::error::RequestError;
use super::offline::commit_as_guest;
use super::recovery::{fold, load_state, load_turns, turn_record};

/// Of which run another one is to be made, and how.
#[derive(Clone, Debug)]
pub(crate) struct ResetOrder {
    pub(crate) base: RunId,
    pub(crate) wanted: Reset,
}

/// The run that is made: newer than `newest`, the newest one of its workflow id, which gives way if it is open. Everything of
/// the id has to be durable.
pub(super) fn make_anew(
    store: &dyn Store,
    codecs: &Codecs,
    order: &ResetOrder,
    newest: RunId,
    gives_way: Option<&RunState>,
    now: Timestamp,
) -> Result<MadeAnew, RequestError> {
    let base = load_decoded(store, codecs, order.base)?;
    let around = Around::of(store, codecs, fold(order.base, &base)?, newest)?;
    let beside = Beside {
        continued: &around.continued,
        others: around.others(),
        gives_way,
    };
    let mut run_id = Entropy.run_id(now);
    // The newest run of an id is the one with the greatest run id, whatever the clock says.
    if run_id <= newest {
        run_id = newest.following(now);
    }
    let made = order.wanted.make(&base, beside, run_id, now).map_err(refused)?;
    // A run that is open must not end for one that cannot be written down.
    let state = RunState::fold([&made.first]).map_err(|misfit| refused(misfit.into()))?;
    turn_record(codecs, run_id, &state, &made.first).map_err(|error| error.of_run(order.base))?;
    Ok(made)
}

fn refused(refusal: ResetRefusal) -> RequestError {
    Rejection::ResetRefused(Box::new(refusal)).into()
}

fn load_decoded(store: &dyn Store, codecs: &Codecs, run_id: RunId) -> Result<Vec<Turn>, RequestError> {
    let mut turns = load_turns(store, run_id)?;
    codecs.decode(run_id, &mut turns)?;
    Ok(turns)
}

/// The runs that have gone on with the work of one that is to be reset.
struct Around {
    /// It, and then the others.
    runs: Vec<RunState>,
    /// What came to those that it continued as.
    continued: Vec<Turn>,
}

impl Around {
    fn of(store: &dyn Store, codecs: &Codecs, base: RunState, newest: RunId) -> Result<Self, RequestError> {
        let mut around = Self {
            runs: vec![base],
            continued: Vec::new(),
        };
        around.follow(store, codecs)?;
        around.trace_back(store, codecs, newest)?;
        around.look_for_undoing(store, codecs)?;
        Ok(around)
    }

    fn others(&self) -> &[RunState] {
        self.runs.get(1..).unwrap_or_default()
    }

    fn has(&self, run_id: RunId) -> bool {
        self.runs.iter().any(|run| run.run_id() == Some(run_id))
    }

    fn expect_room(&self, more: usize) -> Result<(), RequestError> {
        match self.runs.len() + more <= limits::RESET_RUNS_MAX {
            true => Ok(()),
            false => Err(refused(ResetRefusal::TooManyRuns)),
        }
    }

    /// The runs as which it continued, or was tried again.
    fn follow(&mut self, store: &dyn Store, codecs: &Codecs) -> Result<(), RequestError> {
        let mut only_continued = true;
        while let Some(last) = self.runs.last()
            && let Some(next) = last.next_run()
            && store.head(next)?.is_some()
        {
            let mut turns = load_decoded(store, codecs, next)?;
            let state = fold(next, &turns)?;
            let Some(follows) = same_work(&state).filter(|(run_id, _)| Some(*run_id) == last.run_id()) else {
                break;
            };
            self.expect_room(1)?;
            only_continued &= follows.1 == Initiator::Workflow;
            if only_continued {
                turns.iter_mut().for_each(|turn| turn.events.retain(may_come_again));
                self.continued.extend(turns);
            }
            self.runs.push(state);
        }
        Ok(())
    }

    /// The newest run of the id, and those that it follows, if they were made of one of these by a reset.
    fn trace_back(&mut self, store: &dyn Store, codecs: &Codecs, newest: RunId) -> Result<(), RequestError> {
        let (mut line, mut next) = (Vec::new(), Some(newest));
        while let Some(run_id) = next.filter(|run_id| !self.has(*run_id))
            && store.head(run_id)?.is_some()
        {
            self.expect_room(line.len() + 1)?;
            let state = load_state(codecs, store, run_id)?;
            let is_made_of_one = self.runs.iter().any(|run| first_writer(run) == first_writer(&state));
            next = same_work(&state).map(|(run_id, _)| run_id);
            line.push(state);
            if is_made_of_one {
                self.runs.extend(line);
                return Ok(());
            }
        }
        Ok(())
    }

    /// A step's run that its parent has had undone cannot go on.
    fn look_for_undoing(&self, store: &dyn Store, codecs: &Codecs) -> Result<(), RequestError> {
        let started = self.runs.first().and_then(RunState::started);
        let is_step = started
            .and_then(|started| started.parent.as_ref())
            .is_some_and(|parent| parent.initiated.is_none());
        let Some(started) = started.filter(|_| is_step) else {
            return Ok(());
        };
        let undoes = format!("{}{UNDO_SUFFIX}", started.workflow_id.as_str());
        let undoes = WorkflowId::from_trusted(undoes).beside(&started.workflow_id);
        let Some(head) = store.find(&undoes)? else {
            return Ok(());
        };
        let adopted_from = load_state(codecs, store, head.run_id)?.adopted_from();
        match adopted_from.is_some_and(|undone| self.has(undone)) {
            true => Err(refused(ResetRefusal::UndoneByParent(head.run_id))),
            false => Ok(()),
        }
    }
}

/// The run that this one follows, if it does the same again or goes on with it; what a schedule has begun is something else.
fn same_work(run: &RunState) -> Option<(RunId, Initiator)> {
    let follows = run.started()?.chain.as_ref()?.follows?;
    Some(follows).filter(|(_, initiator)| *initiator != Initiator::Cron)
}

fn first_writer(run: &RunState) -> Option<RunId> {
    run.writer_of(EventId::FIRST)
}

fn may_come_again(event: &Event) -> bool {
    use EventAttributes as E;
    matches!(
        event.attributes,
        E::WorkflowExecutionSignaled(_) | E::WorkflowExecutionUpdateAccepted(_) | E::WorkflowExecutionReset(_)
    )
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
    if ending.as_ref().is_some_and(RunState::is_closed) {
        return Err(refused(ResetRefusal::Leaving));
    }
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
        let state = RunState::fold([&made.first]).map_err(|misfit| refused(misfit.into()))?;
        turns.push(turn_record(codecs, run_id, &state, &made.first).map_err(|error| error.of_run(run_id))?);
    }
    commit_as_guest(store, turns)?;
    Ok(run_id)
}
