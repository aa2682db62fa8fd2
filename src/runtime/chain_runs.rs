//! The runs of a chain, as far as the store has them: which one follows, which one came before, and what is left of a chain when
//! retention has taken some. Must not live here: what is looked for in them, or how a run comes to be followed
//! (`machine::chain`).
//!
//! - The first turn of a run names the run that it follows, the first one of its chain, and those that resets have made it of.
//! - The turn that ends a run names the run that follows it. No turn after that has events.
//! - A run that is gone names nothing any more. Its chain goes on with the newest run that is left of it.
//! - All this can be read also of runs whose data nobody can decode.

use crate::model::{EventAttributes, PendingChange, RunId, RunStarted, Turn, WorkflowId};
use crate::store::record::decode_turn;
use crate::store::{Error, Store, StoredTurn};

/// Heads that are read at once.
const LOOK_RUNS: usize = 100;

/// Runs of an id that are looked at for what is left of a chain.
const LOOK_RUNS_MAX: usize = 1_000;

/// The chain that a run of this workflow id is a part of.
#[derive(Clone, Copy)]
pub(super) struct ChainRuns<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) workflow_id: &'a WorkflowId,
}

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To earlier runs.
    Back,
    /// To later runs.
    On,
}

impl<'a> ChainRuns<'a> {
    /// The run that follows this one; `None`: none does, or it is gone and nothing later is left. That run may be gone itself:
    /// so ask again.
    pub(super) fn after(&self, run_id: RunId) -> Result<Option<RunId>, Error> {
        match next_of(self.store, run_id)? {
            Some(next) => Ok(next),
            None => self.newest_left(run_id),
        }
    }

    /// The newest run of the chain that this run was a part of, of those that are newer.
    pub(super) fn newest_left(&self, gone: RunId) -> Result<Option<RunId>, Error> {
        // Of each chain that has had the id since: its first run, and its newest.
        let mut chains: Vec<(RunId, RunId)> = Vec::new();
        let (mut before, mut looked_at) = (None, 0);
        while looked_at < LOOK_RUNS_MAX {
            let heads = self.store.runs_of(self.workflow_id, before, LOOK_RUNS)?;
            for head in heads.iter().take_while(|head| head.run_id > gone) {
                let Some(links) = links_of(self.store, head.run_id)? else {
                    continue;
                };
                let known = chains.iter().find(|(first, _)| *first == links.first);
                let newest = known.map_or(head.run_id, |(_, newest)| *newest);
                if links.lead_to(gone) {
                    return Ok(Some(newest));
                }
                if known.is_none() {
                    chains.push((links.first, newest));
                }
            }
            match heads.last() {
                Some(last) if heads.len() == LOOK_RUNS && last.run_id > gone => before = Some(last.run_id),
                _ => break,
            }
            looked_at += heads.len();
        }
        Ok(None)
    }

    /// The oldest run of them that one comes to from the newest.
    fn oldest_left(&self, gone: RunId) -> Result<Option<RunId>, Error> {
        let Some(newest) = self.newest_left(gone)? else {
            return Ok(None);
        };
        let mut oldest = newest;
        for run_id in self.walk(newest, Way::Back).take(LOOK_RUNS_MAX) {
            match run_id? {
                run_id if run_id > gone => oldest = run_id,
                _ => break,
            }
        }
        Ok(Some(oldest))
    }

    /// The runs from this one on, one after the other, without those that are gone.
    pub(super) fn walk(self, from: RunId, way: Way) -> Walk<'a> {
        Walk {
            chain: self,
            way,
            at: At::Before(from),
        }
    }
}

/// A walk over the runs of a chain.
pub(super) struct Walk<'a> {
    chain: ChainRuns<'a>,
    way: Way,
    at: At,
}

enum At {
    Before(RunId),
    Passed(RunId),
    End,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Option<RunId>, Error> {
        let (store, way) = (self.chain.store, self.way);
        let next = match (std::mem::replace(&mut self.at, At::End), way) {
            (At::Before(run_id), _) => Some(run_id),
            (At::Passed(run_id), Way::Back) => links_of(store, run_id)?.and_then(|links| links.follows),
            (At::Passed(run_id), Way::On) => self.chain.after(run_id)?,
            (At::End, _) => None,
        };
        let Some(next) = next else { return Ok(None) };
        let there = match store.head(next)? {
            Some(_) => Some(next),
            // From a run that is gone, nothing leads back.
            None if way == Way::Back => None,
            None => self.chain.oldest_left(next)?,
        };
        self.at = there.map_or(At::End, At::Passed);
        Ok(there)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<RunId, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// What the first turn of a run says of other runs.
struct Links {
    first: RunId,
    follows: Option<RunId>,
    made_of: Vec<RunId>,
}

impl Links {
    /// Whether the run comes after this one, or is made of it.
    fn lead_to(&self, run_id: RunId) -> bool {
        self.first == run_id || self.follows == Some(run_id) || self.made_of.contains(&run_id)
    }
}

fn links_of(store: &dyn Store, run_id: RunId) -> Result<Option<Links>, Error> {
    let Some(turn) = first_turn(store, run_id)? else {
        return Ok(None);
    };
    let Some(started) = started_by(&turn) else {
        return Ok(None);
    };
    let made_of = turn.events.iter().filter_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionReset(reset) => Some(reset.base_run_id),
        _ => None,
    });
    let follows = started.chain.as_deref().and_then(|chain| chain.follows);
    Ok(Some(Links {
        first: first_of(started),
        follows: follows.map(|(run_id, _)| run_id),
        made_of: made_of.collect(),
    }))
}

/// The first run of the chain of a run that began like this.
pub(super) fn first_of(started: &RunStarted) -> RunId {
    let first = started.chain.as_deref().and_then(|chain| chain.first);
    first.unwrap_or(started.run_id)
}

/// How a run began, by its first turn.
pub(super) fn started_by(first: &Turn) -> Option<&RunStarted> {
    first.events.iter().find_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionStarted(started) => Some(&**started),
        _ => None,
    })
}

/// The first turn of a run, with what codecs have encoded left as it is; `None`: the run is not there (any more).
pub(super) fn first_turn(store: &dyn Store, run_id: RunId) -> Result<Option<Turn>, Error> {
    let stored = store.first_turn(run_id)?;
    stored.map(|turn| decode(run_id, &turn)).transpose()
}

/// All turns of a run; `None`: it is not there (any more).
pub(super) fn turns(store: &dyn Store, run_id: RunId) -> Result<Option<Vec<Turn>>, Error> {
    let stored = store.history(run_id)?;
    let decoded = stored.map(|turns| turns.iter().map(|turn| decode(run_id, turn)).collect());
    decoded.transpose()
}

/// The run that follows this one, if any; `None`: this one is not there (any more).
fn next_of(store: &dyn Store, run_id: RunId) -> Result<Option<Option<RunId>>, Error> {
    let Some(stored) = store.history(run_id)? else {
        return Ok(None);
    };
    for turn in stored.iter().rev() {
        let turn = decode(run_id, turn)?;
        let followed = turn.pending.iter().find_map(|change| match change {
            PendingChange::FollowedBy { run_id } => Some(*run_id),
            _ => None,
        });
        let continued = turn.events.iter().find_map(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionContinuedAsNew(next) => Some(next.new_run_id),
            _ => None,
        });
        let next = followed.or(continued);
        if next.is_some() || !turn.events.is_empty() {
            return Ok(Some(next));
        }
    }
    Ok(Some(None))
}

/// One turn, as [`turns`] gives it.
pub(super) fn decode(run_id: RunId, turn: &StoredTurn) -> Result<Turn, Error> {
    decode_turn(&turn.bytes).map_err(|error| Error::Corrupt {
        run: Some(run_id),
        what: format!("turn {}: {error}", turn.seq),
    })
}

#[cfg(test)]
mod tests;
