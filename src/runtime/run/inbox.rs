//! What a run takes of that which has arrived. Must not live here: deciding it.

use crate::model::{HoldReason, Input, limits};

use super::super::messages::Letter;
use super::RunActor;

impl RunActor {
    /// The letters of one turn: all that there are, unless they are too large together. One that orders a reset has a turn
    /// of its own: it is about what is durable. None when that was answered.
    pub(super) fn take_letters(&mut self) -> Vec<Letter> {
        let mut bytes = 0_usize;
        let taken = self.inbox.iter().take_while(|letter| {
            let fits = bytes < limits::TURN_INPUT_BYTES_FULL && letter.order.is_none();
            bytes = bytes.saturating_add(letter.input.payload_bytes());
            fits
        });
        let taken = taken.count().max(1).min(self.inbox.len());
        let rest = self.inbox.split_off(taken);
        let letters = std::mem::replace(&mut self.inbox, rest);
        for letter in &letters {
            // Not before: as long as the state does not know that it ended, or is held, it would ask for it again.
            match &letter.input {
                Input::AttemptEnded { token, .. } => drop(self.attempts.remove(token)),
                Input::Hold { attempts, why } => {
                    for token in attempts {
                        self.attempts.remove(token);
                    }
                    if *why == HoldReason::Breaker {
                        self.expect_parked(attempts);
                    }
                }
                Input::Report(report) if letter.is_awaited() => self.hear_from_outside(report),
                _ => {}
            }
        }
        match letters.iter().any(|letter| letter.order.is_some()) {
            true => letters
                .into_iter()
                .filter_map(|letter| self.open_order(letter))
                .collect(),
            false => letters,
        }
    }
}
