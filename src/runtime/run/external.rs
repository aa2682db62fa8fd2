//! A run's messages to other runs, and those that runs before it have left: handing them to a courier. Must not live here:
//! bringing them (that is `courier`).

use std::sync::Arc;

use actix::{Context, Handler};

use crate::model::{ExternalMessage, Input, MessageKey};

use super::super::courier;
use super::super::messages::{Ended, ExternalEnded, Letter, RunNews};
use super::RunActor;

impl RunActor {
    /// Sends what is to be sent and not under way, also when the run has ended. An engine that drains leaves it to the next
    /// one.
    pub(super) fn send_externals(&mut self, ctx: &Context<Self>) {
        let state = &self.state;
        self.couriers.retain(|key, _| state.owes_message(*key));
        if self.at.shared.is_draining() {
            return;
        }
        let own = state.externals();
        let own = own.map(|(initiated, message)| (state.message_key(initiated), message));
        let due = own.chain(state.left_messages());
        let due = due.filter(|(key, _)| !self.couriers.contains_key(key));
        let due: Vec<(MessageKey, ExternalMessage)> = due.map(|(key, message)| (key, message.clone())).collect();
        for (key, message) in due {
            let (shared, run) = (Arc::clone(&self.at.shared), self.line(ctx));
            let sender = self.at.workflow_id.clone();
            let courier = self.at.shared.attempts.supervise(move |_| async move {
                let outcome = courier::bring(&shared, &sender, key.request_id().as_str(), message).await;
                run.do_send(ExternalEnded { key, outcome });
            });
            self.couriers.insert(key, courier);
        }
    }

    /// How long its messages take is for those to say who get them, and nothing to those who wait for the end of the run. Its
    /// children they find as it left them.
    pub(super) fn tell_of_end_before_messages(&mut self, ended: Ended) {
        if !self.has_told_end && self.state.orphans().next().is_none() {
            self.has_told_end = true;
            self.tell_shard(RunNews::Ended(ended));
        }
    }
}

impl Handler<ExternalEnded> for RunActor {
    type Result = ();

    fn handle(&mut self, ExternalEnded { key, outcome }: ExternalEnded, ctx: &mut Context<Self>) {
        let is_left = self.state.left_messages().any(|(left, _)| left == key);
        match outcome {
            // The engine stops: the next one sends it.
            None => drop(self.couriers.remove(&key)),
            Some(outcome) if is_left => {
                if let Err(failure) = outcome {
                    let request_id = key.request_id();
                    tracing::info!(workflow_id = %self.at.workflow_id, %request_id, %failure, "a message cannot be brought");
                }
                let input = Input::MessageReleased { message: key };
                self.inbox.push(Letter::internal(input));
            }
            Some(outcome) => {
                let initiated = key.initiated;
                self.inbox
                    .push(Letter::internal(Input::ExternalEnded { initiated, outcome }));
            }
        }
        self.pump(ctx);
        self.answer_questions(ctx);
        self.count_busy();
    }
}
