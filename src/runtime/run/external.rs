//! A run's messages to other runs: handing them to a courier. Must not live here: bringing them (that is `courier`).

use std::sync::Arc;

use actix::{Context, Handler};

use crate::machine::{PendingExternal, external_request_id};
use crate::model::{AttemptToken, EventId, Input};

use super::super::courier;
use super::super::messages::{AttemptHeld, ExternalEnded, Letter};
use super::RunActor;

/// Messages are in the list of what is under way under their initiating events, which no activity has.
fn token(initiated: EventId) -> AttemptToken {
    AttemptToken {
        scheduled: initiated,
        attempt: 1,
    }
}

impl RunActor {
    /// Sends what is to be sent and not under way. An engine that drains leaves it to the next one.
    pub(super) fn send_externals(&mut self, ctx: &Context<Self>) {
        if self.at.shared.is_draining() {
            return;
        }
        let due = self.state.externals();
        let due = due.filter(|(initiated, _)| !self.attempts.contains_key(&token(*initiated)));
        let due: Vec<(EventId, PendingExternal)> =
            due.map(|(initiated, message)| (initiated, message.clone())).collect();
        for (initiated, message) in due {
            let (shared, run) = (Arc::clone(&self.at.shared), self.line(ctx));
            let key = external_request_id(self.at.run_id, initiated);
            let sender = self.at.workflow_id.clone();
            let courier = self.at.shared.attempts.supervise(move |_| async move {
                match courier::bring(&shared, &sender, &key, message).await {
                    Some(outcome) => run.do_send(ExternalEnded { initiated, outcome }),
                    None => run.do_send(AttemptHeld(token(initiated))),
                }
            });
            self.attempts.insert(token(initiated), courier);
        }
    }
}

impl Handler<ExternalEnded> for RunActor {
    type Result = ();

    fn handle(&mut self, ExternalEnded { initiated, outcome }: ExternalEnded, ctx: &mut Context<Self>) {
        self.inbox
            .push(Letter::internal(Input::ExternalEnded { initiated, outcome }));
        self.pump(ctx);
        self.answer_questions(ctx);
        self.count_busy();
    }
}
