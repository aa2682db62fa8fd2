//! The end of a run that is followed by another one of its workflow id: what the next one begins with. Must not
//! live here: making it live (that is `shard`).

use crate::machine::{RunState, Successor};
use crate::store::TurnRecord;

use super::super::codecs::Codecs;
use super::super::messages::Following;
use super::super::recovery::{UnwrittenTurn, turn_record};

/// What the store gets for the first turn of a run that follows another one.
pub(super) fn first_record(codecs: &Codecs, successor: &Successor) -> Result<TurnRecord, UnwrittenTurn> {
    let run_id = successor.state.run_id().unwrap_or(crate::model::RunId::NIL);
    turn_record(codecs, run_id, &successor.state, &successor.turn)
}

/// What the shard has to know of it.
pub(super) fn following(state: &RunState) -> Option<Following> {
    let run_id = state.run_id()?;
    let wake = state.wake_after_restart(state.started_at());
    Some(Following { run_id, wake })
}
