//! The end of a run that is followed by another one of its workflow id: what the next one begins with; and the
//! length at which a run has to end. Must not live here: making a run live (that is `shard`).

use crate::machine::{RunState, Successor};
use crate::model::Input;
use crate::store::TurnRecord;

use super::super::codecs::Codecs;
use super::super::messages::{Following, Letter};
use super::super::recovery::{UnwrittenTurn, turn_record};
use super::RunActor;

/// What the store gets for the first turn of a run that follows another one.
pub(super) fn first_record(codecs: &Codecs, successor: &Successor) -> Result<TurnRecord, UnwrittenTurn> {
    let run_id = successor.state.run_id().unwrap_or(crate::model::RunId::NIL);
    turn_record(codecs, run_id, &successor.state, &successor.turn)
}

/// What the shard has to know of it.
pub(super) fn following(state: &RunState) -> Option<Following> {
    let run_id = state.run_id()?;
    let wake = state.wake_after_restart(state.started_at());
    let is_copy = state.bases().next().is_some();
    Some(Following { run_id, wake, is_copy })
}

impl RunActor {
    /// A history that has grown too large ends like a cancelled run: what was done is undone, while it can still be read.
    /// `bytes`: of the events of one more turn.
    pub(super) fn count_history(&mut self, bytes: u64) {
        self.history_bytes = self.history_bytes.saturating_add(bytes);
        let max = self.state.limits().history_bytes;
        // Said again by a run that was rebuilt: what was to be its end may have been lost with its memory.
        if self.history_bytes > max && !self.was_told_its_length {
            self.was_told_its_length = true;
            self.inbox.push(Letter::internal(Input::RequestCancel {
                reason: format!(
                    "the history has reached its limit of {max} bytes: let the workflow go on as a new run before that \
                     (continue_as_new, when cx.info().continue_as_new_suggested)"
                ),
                identity: env!("CARGO_PKG_NAME").to_owned(),
            }));
        }
    }
}
