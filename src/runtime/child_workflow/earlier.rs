//! Which run of a workflow id is a child, when other runs may have had the id since: ids may be used again. Must not live here:
//! starting a child, or telling it anything.
//!
//! A child is known by what its first event says of its parent: the run, and the event of it that asked for the child. Times and
//! run ids say nothing here, as clocks are set back; and all runs of a child's chain have the same parent.

use crate::model::{ParentRun, RunId, WorkflowId};
use crate::store::{Error, RunHead, Store};

use super::super::chain_runs::{ChainRuns, first_of, first_turn, started_by};

/// Heads that are looked at before others have their turn.
const LOOK_RUNS: usize = 100;

/// A child's chain, as far as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct ChildChain {
    /// Its first run, by which its parent knows it; retention may have taken that.
    pub(in super::super) first: RunId,
    /// Its newest one.
    pub(in super::super) newest: RunId,
}

/// The child that this event of the parent has begun; without an event, the one that is a step of it.
pub(in super::super) async fn begun_by(
    store: &dyn Store,
    workflow_id: &WorkflowId,
    parent: &ParentRun,
) -> Result<Option<ChildChain>, Error> {
    let mut before = None;
    loop {
        let heads = store.runs_of(workflow_id, before, LOOK_RUNS)?;
        // Heads know the parent's run, but not its event.
        for head in heads.iter().filter(|head| is_asked_for_by(head, parent.run_id)) {
            if let Some(first) = first_run_of(store, head.run_id, parent)? {
                let newest = head.run_id;
                return Ok(Some(ChildChain { first, newest }));
            }
        }
        match heads.last() {
            Some(last) if heads.len() == LOOK_RUNS => before = Some(last.run_id),
            _ => return Ok(None),
        }
        tokio::task::yield_now().await;
    }
}

fn is_asked_for_by(head: &RunHead, parent_run: RunId) -> bool {
    parent_of(head).is_some_and(|parent| parent.run_id == parent_run)
}

fn parent_of(head: &RunHead) -> Option<&ParentRun> {
    head.found_by.as_ref()?.parent.as_ref()
}

/// The newest run of the chain that begins with this run, or is all that is left of it, if that is a child of this workflow id's.
/// It may have ended, and another run may have its id by now.
pub(in super::super) fn newest_of_child(
    store: &dyn Store,
    parent: &WorkflowId,
    workflow_id: &WorkflowId,
    first: RunId,
) -> Result<Option<RunId>, Error> {
    let is_child = |head: &RunHead| {
        let parent_id = parent_of(head).map(|of| of.workflow_id.beside(&head.workflow_id));
        head.workflow_id == *workflow_id && parent_id.as_ref() == Some(parent)
    };
    let chain = ChainRuns { store, workflow_id };
    let Some(known) = store.head(first)? else {
        let left = chain.newest_left(first)?.map(|left| store.head(left)).transpose()?;
        return Ok(left.flatten().filter(is_child).map(|head| head.run_id));
    };
    if !is_child(&known) {
        return Ok(None);
    }
    if known.status.is_closed()
        && let Some(newest) = store.find(workflow_id)?.filter(is_child)
        && let Some(turn) = first_turn(store, newest.run_id)?
        && started_by(&turn).map(first_of) == Some(first)
    {
        return Ok(Some(newest.run_id));
    }
    // Whoever speaks to it comes from one run of its chain to the next.
    Ok(Some(first))
}

/// The first run of the chain of this run, if that is the child of this event.
fn first_run_of(store: &dyn Store, run_id: RunId, parent: &ParentRun) -> Result<Option<RunId>, Error> {
    let asked = |of: &ParentRun| (of.run_id, of.initiated) == (parent.run_id, parent.initiated);
    let turn = first_turn(store, run_id)?;
    let started = turn.as_ref().and_then(started_by);
    let started = started.filter(|started| started.parent.as_ref().is_some_and(asked));
    Ok(started.map(first_of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{NoDecider, RunState, decide};
    use crate::model::{EventId, Input, Payload, RunChain, RunStatus, StartRun, Timestamp, WorkflowType};
    use crate::runtime::codecs::Codecs;
    use crate::runtime::recovery::turn_record;
    use crate::store::{CommitBatch, MemoryStore, TurnRecord};

    fn asked_by(run: u8, event: u64) -> ParentRun {
        ParentRun {
            workflow_id: WorkflowId::from_trusted("shipment"),
            run_id: RunId::from_bytes([run; 16]),
            initiated: Some(EventId(event)),
        }
    }

    /// The first turn of a run, the `number`th of all, which has ended by now.
    fn begun(id: &str, parent: Option<ParentRun>, number: u16) -> TurnRecord {
        of_chain(id, parent, number, None)
    }

    fn numbered(number: u16) -> RunId {
        let [high, low] = number.to_be_bytes();
        RunId::from_parts(5_000, &[high, low, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn of_chain(id: &str, parent: Option<ParentRun>, number: u16, first: Option<RunId>) -> TurnRecord {
        let run_id = numbered(number);
        let (id, workflow_type) = (WorkflowId::from_trusted(id), WorkflowType::from_trusted("parcel"));
        let start = StartRun {
            run_id,
            parent,
            chain: first.map(|first| {
                Box::new(RunChain {
                    first: Some(first),
                    ..RunChain::default()
                })
            }),
            ..StartRun::new(id, workflow_type, Payload::null())
        };
        let mut state = RunState::default();
        let input = Input::Start(Box::new(start));
        // Whatever the clock shows.
        let at = Timestamp::from_micros(i64::from(u16::MAX - number));
        let turn = decide(&mut state, vec![input], at, &mut NoDecider).turn.unwrap();
        let record = turn_record(&Codecs::default(), run_id, &state, &turn).ok().unwrap();
        let status = RunStatus::Completed;
        TurnRecord { status, ..record }
    }

    #[tokio::test]
    async fn a_child_is_found_by_who_asked_for_it_behind_any_number_of_others() {
        let store = MemoryStore::new();
        let epoch = store.claim().unwrap();
        let own = begun("parcel-1", Some(asked_by(9, 4)), 1);
        let next_of_chain = of_chain("parcel-1", Some(asked_by(9, 4)), 2, Some(own.run_id));
        let (first, newest) = (own.run_id, next_of_chain.run_id);
        let mut turns = vec![begun("parcel-1", Some(asked_by(9, 1)), 0), own, next_of_chain];
        for number in 3..3 * u16::try_from(LOOK_RUNS).unwrap() {
            turns.push(match number % 4 {
                0 => begun("parcel-1", Some(asked_by(8, 4)), number),
                1 => begun("parcel-1", Some(asked_by(9, 7)), number),
                2 => begun("parcel-1", None, number),
                _ => begun("letter", Some(asked_by(9, 4)), number),
            });
        }
        let definitions = Vec::new();
        store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
        let found = async |id: &str, parent: ParentRun| {
            let id = WorkflowId::from_trusted(id);
            let chain = begun_by(&store, &id, &parent).await.unwrap();
            chain.map(|chain| (chain.first, chain.newest))
        };
        assert_eq!(found("parcel-1", asked_by(9, 4)).await, Some((first, newest)));
        assert_eq!(
            found("parcel-1", asked_by(9, 5)).await,
            None,
            "the same parent's, but another event's"
        );
        assert_eq!(
            found("parcel-1", asked_by(7, 4)).await,
            None,
            "the same event, but of another run"
        );
        assert_eq!(
            found("parcel-2", asked_by(9, 4)).await,
            None,
            "another child has its id"
        );
        store.delete(epoch, &[newest]).unwrap();
        assert_eq!(found("parcel-1", asked_by(9, 4)).await, Some((first, first)));
    }
}
