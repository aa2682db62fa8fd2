//! Letters that ask instead of telling: queries, and callers who wait for the answer to an update. Must not live here: what
//! the answer is (the decider and the state know).
//!
//! A run answers only while everything that it decided is durable: what a caller hears, a crash cannot take back.

use std::panic::AssertUnwindSafe;

use actix::{Context, Handler};

use crate::machine::QueryError;
use crate::model::{Input, Payload, Query, UpdateId, limits};

use super::super::attempt::panic_message;
use super::super::error::RequestError;
use super::super::messages::{Letter, Question, ReplyTo, Take, UpdateOutcome};
use super::{Over, RunActor};

/// What a run was asked and has not answered.
#[derive(Default)]
pub(super) struct Questions {
    /// Not looked at yet.
    asked: Vec<Letter>,
    /// Those who wait for the answer to an update that the run is about.
    waiting: Vec<(UpdateId, ReplyTo<UpdateOutcome>)>,
}

impl Questions {
    /// Takes the questions out of what has arrived.
    pub(super) fn sort(inbox: Vec<Letter>) -> (Vec<Letter>, Self) {
        if inbox.iter().all(|letter| letter.question.is_none()) {
            return (inbox, Self::default());
        }
        let (asked, inbox) = inbox.into_iter().partition(|letter| letter.question.is_some());
        let waiting = Vec::new();
        (inbox, Self { asked, waiting })
    }

    /// Whether somebody counts on the run's being in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.waiting.iter().all(|(_, reply)| reply.is_closed())
    }
}

impl RunActor {
    /// To be called whenever everything may be durable.
    pub(super) fn answer_questions(&mut self, ctx: &mut Context<Self>) {
        let nothing_asked = self.questions.asked.is_empty() && self.questions.waiting.is_empty();
        if nothing_asked || self.committing.is_some() || self.over == Some(Over::Failed) || self.awaits_decider() {
            return;
        }
        for mut letter in std::mem::take(&mut self.questions.asked) {
            match letter.question.take().map(|question| *question) {
                Some(Question::Query { query, reply }) => {
                    let _ = reply.send(Ok(self.query(&query, ctx)));
                    if self.over == Some(Over::Failed) {
                        // Whoever else has asked hears "interrupted".
                        return;
                    }
                }
                Some(Question::UpdateOutcome { update_id, reply }) => self.wait_for_update(update_id, reply),
                None => {}
            }
        }
        for (update_id, reply) in std::mem::take(&mut self.questions.waiting) {
            match self.state.update_outcome(update_id.as_str()) {
                Some(outcome) => drop(reply.send(Ok(outcome))),
                None if reply.is_closed() => {}
                // A reset asked for it again, and it was refused.
                None if !self.state.knows_update(&update_id) => {
                    drop(reply.send(Err(RequestError::UnknownUpdate(update_id))));
                }
                None => self.questions.waiting.push((update_id, reply)),
            }
        }
    }

    fn wait_for_update(&mut self, update_id: UpdateId, reply: ReplyTo<UpdateOutcome>) {
        let refusal = match (
            self.state.knows_update(&update_id),
            self.questions.waiting.len() < limits::PENDING_MAX,
        ) {
            (true, true) => return self.questions.waiting.push((update_id, reply)),
            (true, false) => RequestError::Overloaded,
            (false, _) => RequestError::UnknownUpdate(update_id),
        };
        let _ = reply.send(Err(refusal));
    }

    fn query(&mut self, query: &Query, ctx: &mut Context<Self>) -> Result<Payload, QueryError> {
        let watched = self
            .at
            .watch(self.state.started().map(|started| &started.workflow_type));
        let (state, decider) = (&self.state, &mut *self.decider);
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| decider.query(state, query)));
        drop(watched);
        let answer = asked.unwrap_or_else(|panic| Err(QueryError::Panicked(panic_message(&*panic))));
        if answer.as_ref().is_err_and(QueryError::leaves_doubt) {
            // Whatever its handler did to the code's memory is undone by another memory. Everything is durable just now.
            self.renew_decider("a query left doubt", ctx);
        }
        answer
    }
}

impl Handler<Take> for RunActor {
    type Result = ();

    fn handle(&mut self, Take(letter): Take, ctx: &mut Context<Self>) {
        if letter.question.is_some() {
            self.questions.asked.push(letter);
        } else {
            if matches!(letter.input, Input::Wake) {
                // The shard has taken the time out of its list: whatever is next must be told again, the same time included.
                self.wake = None;
            }
            self.inbox.push(letter);
            self.pump(ctx);
        }
        self.answer_questions(ctx);
        self.count_busy();
    }
}
