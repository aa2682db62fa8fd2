//! One turn of a run: what has arrived is decided, the turn goes to the journal, and callers are answered when it is durable. Must
//! not live here: what arrives (`inbox`), what follows from a durable turn (`effects`), the decisions themselves (`machine`).

use std::panic::AssertUnwindSafe;

use actix::Context;

use crate::machine::{Rejection, Reply, Successor, decide};
use crate::model::{Input, ParkReason, Turn};

use super::super::attempt::panic_message;
use super::super::error::RequestError;
use super::super::journal::CommitJob;
use super::super::messages::{Delivered, Letter};
use super::super::recovery::{Draining, UnwrittenTurn, measured_record};
use super::chain::first_record;
use super::{Over, RunActor, foreign, refuse};

impl RunActor {
    /// Requests that reach a run right after its end are still decided: only the machine knows how to refuse them.
    pub(super) fn may_decide(&self) -> bool {
        self.committing.is_none() && self.over != Some(Over::Failed) && !self.awaits_decider()
    }

    pub(super) fn decide_inbox(&mut self, ctx: &mut Context<Self>) {
        let mut letters = self.take_letters();
        if letters.is_empty() {
            return;
        }
        let inputs: Vec<Input> = letters
            .iter_mut()
            .map(|letter| std::mem::replace(&mut letter.input, Input::Wake))
            .collect();
        let is_recovery = |input: &Input| matches!(input, Input::Recovered { .. } | Input::Wake);
        let on_trial = self.at.has_failed || self.failing.is_some();
        let news = on_trial && !inputs.iter().all(is_recovery);
        self.is_on_trial = self.at.has_failed && news;
        let now = self.at.shared.clock.now();
        let draining = self.at.shared.is_draining();
        self.state.note_history_bytes(self.history_bytes);
        let watched = self.at.watch(foreign::workflow_type(&self.state, &inputs));
        let (state, decider) = (&mut *self.state, &mut *self.decider);
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| match draining {
            true => decide(state, inputs, now, &mut Draining(decider)),
            false => decide(state, inputs, now, decider),
        }));
        drop(watched);
        self.notice_slowness(now);
        let decision = match decided {
            Ok(decision) => decision,
            Err(panic) => {
                // The state may be half changed: nothing of it is used any more.
                let message = panic_message(&*panic);
                return self.fail(ctx, ParkReason::Panicked { message }, false);
            }
        };
        match decision.task_failure {
            _ if draining || self.worker.is_none() => {}
            Some(reason) => self.task_failed(reason),
            None if self.failing.is_some() => self.task_succeeded(news, decision.turn.as_ref()),
            None => {}
        }
        let replies = letters.drain(..).zip(decision.replies);
        let answers = replies.filter(|(letter, _)| letter.is_awaited()).collect();
        if self.inbox.is_empty() {
            // With its room, for the next turn.
            self.inbox = letters;
        }
        match decision.turn {
            Some(turn) => self.commit(ctx, &turn, decision.successor, answers),
            None => self.answer(answers),
        }
    }

    pub(super) fn commit(
        &mut self,
        ctx: &mut Context<Self>,
        turn: &Turn,
        successor: Option<Box<Successor>>,
        answers: Vec<(Letter, Reply)>,
    ) {
        let codecs = &self.at.shared.codecs;
        let following = || successor.as_ref().map(|next| first_record(codecs, next)).transpose();
        let records =
            measured_record(codecs, self.at.run_id, &self.state, turn).and_then(|record| Ok((record, following()?)));
        let ((record, history_bytes), following) = match records {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(run_id = %self.at.run_id, %error, "a turn cannot be written");
                let message = format!("a turn cannot be written: {error}");
                // A codec may do better the next time.
                let hopeless = !matches!(error, UnwrittenTurn::Codec(_));
                let error = RequestError::Store(error.of_run(self.at.run_id));
                refuse(answers.into_iter().map(|(letter, _)| letter), &error);
                return self.fail(ctx, ParkReason::BadCommand { message }, hopeless);
            }
        };
        self.count_history(history_bytes);
        self.following = successor.map(|successor| Box::new(successor.state));
        let opened = match &self.following {
            Some(following) => following.started(),
            None => self.state.started().filter(|_| turn.seq == 1),
        };
        let digest = opened.and_then(|started| started.definition);
        let definition = digest.and_then(|digest| self.at.shared.definitions.get(digest, &self.at.shared.store).ok());
        self.at.outbox.put(CommitJob {
            shard: self.at.shard_index,
            run: self.line(ctx),
            epoch: self.at.epoch,
            record,
            successor: following.map(Box::new),
            definition,
        });
        self.committing = Some(answers);
    }

    pub(super) fn answer(&self, answers: Vec<(Letter, Reply)>) {
        for (letter, reply) in answers {
            let duplicate = reply == Reply::Duplicate;
            let stop_asked = reply == Reply::StopAsked;
            let run_id = match reply {
                Reply::Begun { run_id } => run_id,
                _ => self.at.run_id,
            };
            letter.answer(match reply {
                Reply::Accepted | Reply::StopAsked | Reply::Duplicate | Reply::Begun { .. } => Ok(Delivered {
                    run_id,
                    duplicate,
                    stop_asked,
                }),
                Reply::Rejected(Rejection::CannotDecide(_)) if self.at.shared.is_draining() => {
                    Err(RequestError::ShuttingDown)
                }
                Reply::Rejected(Rejection::CannotDecide(_)) if self.worker.is_none() => {
                    Err(RequestError::NoWorker(self.task_queue()))
                }
                Reply::Rejected(rejection) => Err(RequestError::Rejected(rejection)),
            });
        }
    }
}
