//! What the world says of attempts beside their ends: heartbeats, handing over, answers from outside. Must not live here:
//! when that happens.

use super::world::World;
use crate::model::*;

impl World<'_> {
    pub(super) fn beats(&mut self, token: AttemptToken) {
        let process = self.process.as_ref();
        if process.is_some_and(|process| process.out.contains(&token)) {
            let details = Payload::json(&self.trace.len()).unwrap();
            self.report(token, Reported::Heartbeat(details));
        }
    }

    pub(super) fn hands_over(&mut self, token: AttemptToken) {
        let started = self.now;
        let process = self.process.as_mut();
        if process.is_some_and(|process| process.out.remove(&token)) {
            self.turn(vec![Input::HandedOver { token, started }], None);
        }
    }

    pub(super) fn report(&mut self, token: AttemptToken, what: Reported) {
        let of = ReportedAttempt::Token(token);
        self.turn(vec![Input::Report(Box::new(AttemptReport { of, what }))], None);
    }
}
