//! What a run hears of running attempts before they end: that they are alive, be it from outside, that somebody else will end them,
//! or that they were not made. Must not live here: what the run makes of it.

use actix::{Context, Handler, Message};

use crate::machine::PendingActivity;
use crate::model::{AttemptReport, AttemptToken, HoldReason, Input, Payload, Reported, ReportedAttempt, Timestamp};

use super::super::messages::Letter;
use super::RunActor;

/// Attempt to run: it is alive and has come this far.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AttemptBeats {
    pub(super) token: AttemptToken,
    pub(super) details: Payload,
}

/// Attempt to run: its code has returned, and somebody else will say how it ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AttemptHandedOver {
    pub(super) token: AttemptToken,
    pub(super) started: Timestamp,
}

/// Attempt to run: it was not made, the breaker of its type keeps it back.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AttemptParked(pub(super) AttemptToken);

impl Handler<AttemptParked> for RunActor {
    type Result = ();

    fn handle(&mut self, AttemptParked(token): AttemptParked, ctx: &mut Context<Self>) {
        let (attempts, why) = (vec![token], HoldReason::Breaker);
        self.receive(Input::Hold { attempts, why }, ctx);
    }
}

impl Handler<AttemptBeats> for RunActor {
    type Result = ();

    fn handle(&mut self, beats: AttemptBeats, ctx: &mut Context<Self>) {
        let AttemptBeats { token, details } = beats;
        let report = AttemptReport {
            of: ReportedAttempt::Token(token),
            what: Reported::Heartbeat(details),
        };
        self.receive(Input::Report(Box::new(report)), ctx);
    }
}

impl Handler<AttemptHandedOver> for RunActor {
    type Result = ();

    fn handle(&mut self, over: AttemptHandedOver, ctx: &mut Context<Self>) {
        let AttemptHandedOver { token, started } = over;
        self.receive(Input::HandedOver { token, started }, ctx);
    }
}

impl RunActor {
    /// Who was given an attempt's token may say that it is alive while its code still runs, too: that is no silence.
    pub(super) fn hear_from_outside(&self, report: &AttemptReport) {
        if !matches!(report.what, Reported::Heartbeat(_)) {
            return;
        }
        let token = match &report.of {
            ReportedAttempt::Token(token) => Some(*token),
            ReportedAttempt::Activity(id) => {
                let mut activities = self.state.activities();
                let activity = activities.find(|activity| activity.attributes.activity_id == *id);
                activity.map(PendingActivity::token)
            }
        };
        if let Some(attempt) = token.and_then(|token| self.attempts.get(&token)) {
            attempt.touch(self.at.shared.clock.now());
        }
    }

    fn receive(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.inbox.push(Letter::internal(input));
        self.pump(ctx);
        self.count_busy();
    }
}
