//! Resets of runs: of an open one, which then ends itself, and of one that has ended. Must not live here: what a new run
//! begins with (that is `machine::reset`).

use actix::{Context, Handler};

use crate::model::Input;
use crate::store::RunHead;

use super::super::error::RequestError;
use super::super::messages::{Delivered, Letter, ResetRun};
use super::super::recovery::begin_by_copy;
use super::super::reset::{ResetOrder, made_before, make_anew};
use super::ShardActor;
use super::entry::{Entry, Presence};
use super::passive::LookedUp;

impl Handler<ResetRun> for ShardActor {
    type Result = ();

    fn handle(&mut self, reset: ResetRun, ctx: &mut Context<Self>) {
        let ResetRun {
            workflow_id,
            order,
            reply,
            admission,
        } = reset;
        let letter = Letter {
            reply: Some(reply),
            admission: Some(admission),
            ..Letter::internal(Input::Wake)
        };
        if let Some(refusal) = self.refusal() {
            return letter.answer(Err(refusal));
        }
        let refusal = match self.look_up(&workflow_id, None) {
            Ok(LookedUp::Open) => {
                let order = Some(order);
                return self.hand_over(&workflow_id, Letter { order, ..letter }, ctx);
            }
            Ok(LookedUp::Ended(last)) => match self.begin_anew(&last, &order) {
                Ok(Begun::Before) => {
                    return letter.answer(Ok(Delivered {
                        run_id: last.run_id,
                        duplicate: true,
                        stop_asked: false,
                    }));
                }
                Ok(Begun::Now(input)) => return self.open_copy(&last, Letter { input, ..letter }, ctx),
                Err(error) => error,
            },
            Ok(LookedUp::Unknown) => RequestError::NotFound(workflow_id),
            Err(error) => error.into(),
        };
        letter.answer(Err(refusal));
    }
}

/// What a reset comes to when no run of the id is open.
enum Begun {
    /// The same request has made the newest run.
    Before,
    Now(Input),
}

impl ShardActor {
    fn begin_anew(&self, last: &RunHead, order: &ResetOrder) -> Result<Begun, RequestError> {
        let (store, codecs) = (self.shared.store.get()?, &self.shared.codecs);
        if made_before(&*store, codecs, &order.wanted, last.run_id)? {
            return Ok(Begun::Before);
        }
        let made = make_anew(&*store, codecs, order, last.run_id, None, self.shared.clock.now())?;
        Ok(Begun::Now(Input::Reset(Box::new(made))))
    }

    /// Begins a run that is made of one that has ended. Its actor only brings its first turn into the journal; the run is
    /// then made live from there, as after a crash: what was under way counts as lost.
    fn open_copy(&mut self, last: &RunHead, letter: Letter, ctx: &mut Context<Self>) {
        let Input::Reset(made) = &letter.input else {
            return;
        };
        let (workflow_id, run_id) = (&last.workflow_id, made.run_id);
        self.shared.namespaces.begin_in_any_case(workflow_id);
        self.entries
            .insert(workflow_id.clone(), Entry::new(run_id, Presence::Passive));
        let actor = self.spawn_leaving(workflow_id, run_id, begin_by_copy(), vec![letter], ctx);
        if let Some(entry) = self.entries.get_mut(workflow_id) {
            entry.attempts_lost = Some(self.shared.clock.now());
            entry.actor = Presence::Passivating(actor, vec![Letter::internal(Input::Wake)]);
        }
    }
}
