//! What the journal, the shard and ended attempts tell a run. Must not live here: what follows (that is the module above);
//! letters, which `questions` sorts.

use actix::{ActorContext, Context, Handler};

use crate::model::{HoldReason, Input, ParkReason, limits};

use super::super::messages::{Abandon, AttemptEnded, AttemptHeld, Durable, Letter, PassivateIfIdle, RunNews};
use super::{Over, RunActor};

impl Handler<AttemptEnded> for RunActor {
    type Result = ();

    fn handle(&mut self, ended: AttemptEnded, ctx: &mut Context<Self>) {
        let AttemptEnded { token, outcome } = ended;
        self.inbox
            .push(Letter::internal(Input::AttemptEnded { token, outcome }));
        self.pump(ctx);
        self.count_busy();
    }
}

impl Handler<AttemptHeld> for RunActor {
    type Result = ();

    fn handle(&mut self, AttemptHeld(token): AttemptHeld, ctx: &mut Context<Self>) {
        let (attempts, why) = (vec![token], HoldReason::Stopping);
        self.inbox.push(Letter::internal(Input::Hold { attempts, why }));
        self.pump(ctx);
        self.count_busy();
    }
}

impl Handler<Durable> for RunActor {
    type Result = ();

    fn handle(&mut self, _: Durable, ctx: &mut Context<Self>) {
        let Some(answers) = self.committing.take() else {
            return;
        };
        // Before a question may replace the code that knows of them.
        self.tell_of_unfinished_handlers();
        self.answer(answers);
        self.answer_questions(ctx);
        if self.over == Some(Over::Failed) {
            return;
        }
        if self.is_on_trial && self.next.is_none() && self.state.parked().is_none() {
            self.at.has_failed = false;
            self.is_on_trial = false;
            self.tell_shard(RunNews::Sound);
        }
        self.follow_up(ctx);
        if !self.inbox.is_empty() {
            self.pump(ctx);
        }
        self.count_busy();
    }
}

impl RunActor {
    /// The code has ended, and left handlers behind.
    fn tell_of_unfinished_handlers(&mut self) {
        let unfinished = self.decider.take_unfinished();
        if unfinished.is_empty() {
            return;
        }
        let named: Vec<String> = unfinished
            .iter()
            .take(limits::UNFINISHED_NAMED_MAX)
            .map(ToString::to_string)
            .collect();
        let workflow_type = self.state.started().map(|started| &started.workflow_type);
        tracing::warn!(
            workflow_id = %self.at.workflow_id, run_id = %self.at.run_id,
            workflow_type = workflow_type.map_or("", |workflow_type| workflow_type.as_str()),
            count = unfinished.len(), handlers = %named.join(", "),
            "the run's code ended before its handlers had finished, and they never will; callers of updates hear \
             UpdateAbandoned. Let it wait: cx.wait_condition(|| cx.all_handlers_finished()), or say of handlers that may be \
             abandoned: unfinished(HandlerUnfinishedPolicy::Abandon)"
        );
    }
}

impl Handler<PassivateIfIdle> for RunActor {
    type Result = ();

    fn handle(&mut self, _: PassivateIfIdle, ctx: &mut Context<Self>) {
        match self.is_idle() && self.questions.is_empty() {
            // The shard hears of the end first, and lets go.
            true if self.over.is_some() => {}
            true => {
                self.tell_shard(RunNews::Idle);
                ctx.stop();
            }
            false => self.tell_shard(RunNews::Busy),
        }
    }
}

impl Handler<Abandon> for RunActor {
    type Result = ();

    /// Callers that wait hear "interrupted" by their reply being dropped.
    fn handle(&mut self, _: Abandon, ctx: &mut Context<Self>) {
        if self.over.is_some() {
            return;
        }
        let message = "the journal did not take its turn".to_owned();
        self.fail(ctx, ParkReason::BadCommand { message }, false);
    }
}
