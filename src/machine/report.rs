//! What is said of an attempt by somebody who is not its own task, and attempts that were handed over to such a somebody.
//! Must not live here: what follows from an attempt's end (`activity`), which heartbeats are worth it (`heartbeat`).
//!
//! ```text
//! running -> its code returned "to be completed later" => (pending record) handed over
//! handed over -> completed | failed by token or id     => as if the attempt had ended so
//!             -> heartbeat                             => (pending record) details, silence counted anew
//!             -> start-to-close or heartbeat timeout   => as if the attempt had timed out
//!             -> the engine dies and comes back        => still handed over: nothing was lost
//! ```

use crate::model::{
    AttemptReport, AttemptToken, EventId, Failure, FailureKind, Payload, PendingChange, Reported, ReportedAttempt,
    TimeoutKind, Timestamp,
};

use super::ledger::StepState;
use super::pending::PendingActivity;
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn report(&mut self, AttemptReport { of, what }: AttemptReport) -> Result<Reply, Rejection> {
        let scheduled = match self.reported(&of) {
            Ok(scheduled) => scheduled,
            Err(rejection) => {
                self.note_late_report(&of, &what);
                return Err(rejection);
            }
        };
        let outcome = match what {
            Reported::Completed(result) => Ok(result),
            Reported::Failed(failure) => Err(failure),
            Reported::Heartbeat(details) => return Ok(self.heartbeat(scheduled, details)),
        };
        let token = self.state.activities.get(&scheduled).map(|activity| activity.token());
        self.attempt_ended(token.ok_or(Rejection::StaleAttempt)?, outcome)
    }

    /// The activity whose running attempt is meant. One that nobody has (it waits for its backoff, or for a person) cannot
    /// have been completed by anybody.
    fn reported(&self, of: &ReportedAttempt) -> Result<EventId, Rejection> {
        let mut pending = self.state.activities();
        let activity = match of {
            ReportedAttempt::Token(token) => self.state.activities.get(&token.scheduled).map(Box::as_ref),
            ReportedAttempt::Activity(id) => pending.find(|activity| activity.attributes.activity_id == *id),
        };
        let of_current = |activity: &&PendingActivity| match of {
            ReportedAttempt::Token(token) => activity.token() == *token,
            ReportedAttempt::Activity(_) => true,
        };
        let is_out = |activity: &&PendingActivity| {
            let is_due = activity.due <= self.now && activity.held.is_none() && !self.state.is_kept_back(activity);
            is_due && !activity.is_suspended() && !self.is_new(activity.scheduled)
        };
        let activity = activity.filter(of_current).filter(is_out);
        Ok(activity.ok_or(Rejection::StaleAttempt)?.scheduled)
    }

    /// A late result may explain what a participant did; the second answer to what was answered explains nothing.
    fn note_late_report(&mut self, of: &ReportedAttempt, what: &Reported) {
        let (ReportedAttempt::Token(token), Reported::Completed(_)) = (of, what) else {
            return;
        };
        let step = self.state.step_by_event(token.scheduled);
        if !step.is_some_and(|step| matches!(step.state, StepState::Completed { .. })) {
            self.note_late_result(*token);
        }
    }

    fn heartbeat(&mut self, scheduled: EventId, details: Payload) -> Reply {
        let at = self.now;
        self.change(PendingChange::Heartbeat { scheduled, at, details });
        let activity = self.state.activities.get(&scheduled);
        match activity.is_some_and(|activity| activity.cancel_requested) {
            true => Reply::StopAsked,
            false => Reply::Accepted,
        }
    }

    pub(super) fn hand_over(&mut self, token: AttemptToken, started: Timestamp) -> Result<Reply, Rejection> {
        let scheduled = self.reported(&ReportedAttempt::Token(token))?;
        self.change(PendingChange::HandedOver {
            scheduled,
            attempt: token.attempt,
            started,
            at: self.now,
        });
        Ok(Reply::Accepted)
    }

    /// What kept the attempt from being handed out is over.
    pub(super) fn release(&mut self, token: AttemptToken) -> Reply {
        let activity = self.state.activities.get(&token.scheduled);
        let is_held = activity.is_some_and(|activity| activity.token() == token && activity.held.is_some());
        if is_held {
            let scheduled = token.scheduled;
            self.change(PendingChange::Released { scheduled });
        }
        Reply::Accepted
    }

    /// Ends attempts that were handed over and of which nothing was heard in time, and those that waited for too long.
    pub(super) fn end_overdue_attempts(&mut self) {
        let now = self.now;
        let overdue = self.state.activities.values().filter_map(|activity| {
            let (deadline, kind) = activity.attempt_deadline()?;
            (deadline <= now).then_some((activity.scheduled, kind))
        });
        for (scheduled, kind) in overdue.collect::<Vec<_>>() {
            self.attempt_failed(scheduled, Failure::timeout(kind));
        }
    }

    /// A timeout of an attempt says how far that attempt had come.
    pub(super) fn with_last_heartbeat(&self, scheduled: EventId, mut failure: Failure) -> Failure {
        let activity = self.state.activities.get(&scheduled);
        let details = activity.and_then(|activity| activity.heartbeat.clone());
        if let FailureKind::Timeout { last_heartbeat, .. } = &mut failure.kind {
            *last_heartbeat = last_heartbeat.take().or(details);
        }
        failure
    }
}

/// An attempt that somebody else completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HandedOver {
    /// The attempt's number.
    pub(super) attempt: u32,
    /// When it was started.
    pub(super) started: Timestamp,
    /// When anything was last heard of it.
    pub(super) heard: Timestamp,
}

impl PendingActivity {
    /// Whether the code of its current attempt has returned, and somebody else will complete it.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        let current = self.handed_over.is_some_and(|over| over.attempt == self.attempt);
        current && !self.is_suspended()
    }

    /// When its current attempt times out, and how, as far as no task of the attempt's own watches that: it was handed over,
    /// or it is kept back.
    #[must_use]
    pub fn attempt_deadline(&self) -> Option<(Timestamp, TimeoutKind)> {
        if self.is_kept_back() && !self.is_suspended() {
            let limit = self.attributes.options.schedule_to_start?;
            return Some((self.due.after(limit), TimeoutKind::ScheduleToStart));
        }
        let over = self.handed_over.filter(|_| self.is_handed_over())?;
        let options = &self.attributes.options;
        let close = (over.started.after(options.start_to_close()), TimeoutKind::StartToClose);
        let silent = options
            .heartbeat
            .map(|limit| (over.heard.after(limit), TimeoutKind::Heartbeat));
        Some(silent.filter(|silent| silent.0 < close.0).unwrap_or(close))
    }
}
