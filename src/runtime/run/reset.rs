//! A live run that ends because it, or an earlier run of its workflow id, is reset. Must not live here: what the new run
//! begins with (that is `machine::reset`).

use actix::{ActorContext, Context};

use crate::model::Input;

use super::super::error::RequestError;
use super::super::messages::{Delivered, Letter, RunNews};
use super::super::reset::{ResetOrder, make_anew};
use super::{Next, Over, RunActor};

impl RunActor {
    /// The run only begins here: it is made live from its journal.
    pub(in crate::runtime) fn leaving(mut self) -> Self {
        self.next = Some(Next::Leave);
        self
    }

    /// Its first turn is in the journal, or will never be.
    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        self.over = Some(Over::Failed);
        self.tell_shard(RunNews::Idle);
        ctx.stop();
    }

    /// The letters of the next turn are one that orders a reset; everything of this run is durable. `None`: it is answered.
    pub(super) fn open_order(&self, mut letter: Letter) -> Option<Letter> {
        let Some(order) = letter.order.take() else {
            return Some(letter);
        };
        let request_id = order.wanted.request_id.as_ref();
        if request_id.is_some_and(|request_id| self.state.was_made_by(request_id)) {
            letter.answer(Ok(Delivered {
                run_id: self.at.run_id,
                duplicate: true,
                stop_asked: false,
            }));
            return None;
        }
        match self.input_for(&order) {
            Ok(input) => {
                letter.input = input;
                Some(letter)
            }
            Err(error) => {
                letter.answer(Err(error));
                None
            }
        }
    }

    fn input_for(&self, order: &ResetOrder) -> Result<Input, RequestError> {
        let shared = &self.at.shared;
        let (store, now) = (shared.store.get()?, shared.clock.now());
        let made = make_anew(&*store, &shared.codecs, order, self.at.run_id, Some(&self.state), now)?;
        Ok(Input::Reset(Box::new(made)))
    }
}
