//! Which turn of a run is meant. Must not live here: what comes of it.

use crate::model::{EventAttributes, EventId, ResetPoint, TURN_EVENT_IDS, Turn};

use super::ResetRefusal;

/// How many turns a refusal names.
const TURNS_NAMED: usize = 4;

/// Every task, with the place of the turn that has it.
fn tasks(turns: &[Turn]) -> impl DoubleEndedIterator<Item = (usize, EventId)> {
    turns.iter().enumerate().flat_map(|(place, turn)| {
        let tasks = turn.events.iter();
        let tasks = tasks.filter(|event| matches!(event.attributes, EventAttributes::WorkflowTask(_)));
        tasks.map(move |task| (place, task.id))
    })
}

/// The task that is meant, and the place of the turn that has it.
pub(super) fn find(point: ResetPoint, turns: &[Turn]) -> Result<(usize, EventId), ResetRefusal> {
    let mut known = tasks(turns);
    let Some(first) = tasks(turns).next() else {
        return Err(ResetRefusal::NoTurn);
    };
    match point {
        ResetPoint::FirstTurn => Ok(first),
        ResetPoint::LastTurn => Ok(known.next_back().unwrap_or(first)),
        ResetPoint::Turn(turn) => {
            let at = turn.checked_sub(1).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| known.nth(at)).ok_or(ResetRefusal::NoSuchTurn {
                turn,
                turns: tasks(turns).count() as u64,
            })
        }
        ResetPoint::Event(event) => {
            let has_it = |(_, task): &(usize, EventId)| (*task..task.plus(TURN_EVENT_IDS)).contains(&event);
            known.find(has_it).ok_or_else(|| {
                let before = tasks(turns).filter(|(_, task)| *task < event).count();
                let from = before.saturating_sub(TURNS_NAMED - 1);
                let near = tasks(turns).skip(from).take(TURNS_NAMED);
                let turns = near.map(|(_, task)| task).collect();
                ResetRefusal::NoSuchEvent { event, turns }
            })
        }
    }
}
