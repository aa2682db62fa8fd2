//! Activities: their attempts, retries and ends. Must not live here: executing anything.
//!
//! The life of an activity, as arrows:
//!
//! ```text
//! Scheduled -> attempt 1 due -> completed                     => Started, Completed
//!                            -> failed, may be retried        => (pending record) attempt n+1 due later
//!                            -> failed for good               => Started, Failed | TimedOut | Canceled
//!              not handed out yet, asked to stop              => Canceled
//!              in backoff, asked to stop                      => Started (with the last failure), Canceled
//!              step in backoff, asked to stop                 => Started, Failed (last failure)
//!              schedule-to-close passed                       => Started, TimedOut
//!              retriable step or compensation, failed for good => SagaStuck, kept pending
//!              step that ended without an answer, by its policy => SagaStepAmbiguous | SagaStuck, kept pending
//!              attempt fenced by a saga that turns back       => Started, Canceled
//! ```

use crate::model::{
    ActivityRole, AttemptOutcome, AttemptToken, Choice, EventAttributes, EventId, Failure, FailureKind, HoldReason,
    InFlight, Payload, PendingChange, RetryDecision, RetryState, StepKind, StepSpec, StuckReason, TimeoutKind,
    Timestamp,
};

use super::ledger::UndoScope;
use super::pending::PendingActivity;
use super::state::Phase;
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn attempt_ended(&mut self, token: AttemptToken, outcome: AttemptOutcome) -> Result<Reply, Rejection> {
        if let Some(seq) = token.local() {
            return self.local_ended(seq, outcome);
        }
        let current = self.state.activities.get(&token.scheduled);
        let is_current = current.is_some_and(|activity| activity.attempt == token.attempt && !activity.is_suspended());
        if !is_current || self.is_new(token.scheduled) {
            self.note_late_result(token);
            return Err(Rejection::StaleAttempt);
        }
        match self.state.within_limits(outcome) {
            Ok(result) => self.complete_activity(token.scheduled, result),
            Err(failure) => self.attempt_failed(token.scheduled, failure),
        }
        Ok(Reply::Accepted)
    }

    /// A result of an attempt that was given up is refused, and remembered as such: it may explain what a participant did.
    pub(super) fn note_late_result(&mut self, AttemptToken { scheduled, attempt }: AttemptToken) {
        if self.state.saga.by_scheduled(scheduled).is_some() && !self.began_in_this_turn(scheduled) {
            self.change(PendingChange::LateResult { scheduled, attempt });
        }
    }

    /// The process died: every attempt that was due may have been running, and nobody will tell how it went.
    pub(super) fn recovered(&mut self, at: Timestamp) -> Reply {
        let lost: Vec<EventId> = self
            .state
            .attempts_due(at.min(self.now))
            // What waits for another run finds it again, and has lost nothing.
            .filter(|activity| !activity.is_about_a_child())
            .map(|activity| activity.scheduled)
            .filter(|scheduled| !self.is_new(*scheduled))
            .collect();
        for scheduled in lost {
            self.attempt_failed(scheduled, Failure::worker_lost());
        }
        let held = self
            .state
            .activities
            .values()
            // What no worker takes, no worker took: it is let go when there is one.
            .filter(|activity| activity.held.is_some_and(|why| why != HoldReason::NoWorker));
        let held: Vec<EventId> = held.map(|activity| activity.scheduled).collect();
        for scheduled in held {
            self.change(PendingChange::Released { scheduled });
        }
        Reply::Accepted
    }

    /// What is not handed out although it is due is remembered, so that it does not count as lost after a crash.
    pub(super) fn hold(&mut self, attempts: Vec<AttemptToken>, why: HoldReason) -> Reply {
        for AttemptToken { scheduled, attempt } in attempts {
            let activity = self.state.activities.get(&scheduled);
            let is_current = |activity: &PendingActivity| activity.attempt == attempt && !activity.is_suspended();
            if activity.is_some_and(|activity| is_current(activity) && activity.held.is_none()) {
                self.change(PendingChange::Held { scheduled, why });
            }
        }
        Reply::Accepted
    }

    pub(super) fn complete_activity(&mut self, scheduled: EventId, result: Payload) {
        let verifies = self
            .state
            .activities
            .get(&scheduled)
            .and_then(|activity| match activity.attributes.role {
                ActivityRole::Verification(step) => Some((step, result.clone())),
                _ => None,
            });
        if let Some(started) = self.emit_started(scheduled, CurrentAttempt::Running) {
            self.emit(EventAttributes::ActivityTaskCompleted {
                scheduled,
                started,
                result,
            });
        }
        if let Some((step, verdict)) = verifies {
            self.verified(step, &verdict);
        }
    }

    pub(super) fn attempt_failed(&mut self, scheduled: EventId, failure: Failure) {
        let failure = self.with_last_heartbeat(scheduled, failure);
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        let stopping = activity.attributes.is_of_the_code()
            && (activity.cancel_requested || matches!(self.state.phase, Phase::Unwinding(_)));
        let decision = match stopping {
            true => RetryDecision::Stop(RetryState::CancelRequested),
            false => {
                let attempt = activity.attempt.saturating_sub(activity.attempts_forgiven);
                let deadline = self.state.budget_end(activity);
                activity
                    .attributes
                    .options
                    .retry
                    .decide(attempt, &failure, self.now, deadline)
            }
        };
        match decision {
            RetryDecision::RetryAt(due) => {
                let failed_attempt = activity.attempt;
                self.change(PendingChange::RetryScheduled {
                    scheduled,
                    failed_attempt,
                    failure,
                    due,
                });
            }
            RetryDecision::Stop(retry_state) => {
                // Nobody took this attempt: it was never handed out.
                let attempt = match failure.timeout_kind() {
                    Some(TimeoutKind::ScheduleToStart) => CurrentAttempt::Waiting,
                    _ => CurrentAttempt::Running,
                };
                self.fail_activity(scheduled, failure, retry_state, attempt);
            }
        }
    }

    /// Ends an activity without a result; what must not simply fail waits for a person instead.
    pub(super) fn fail_activity(
        &mut self,
        scheduled: EventId,
        failure: Failure,
        retry_state: RetryState,
        attempt: CurrentAttempt,
    ) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        if let Some((step, reason)) = stuck_instead(activity, self.state.goes_back(scheduled)) {
            self.emit_stuck(Some(step), reason, failure);
            return;
        }
        let verifies = match activity.attributes.role {
            ActivityRole::Verification(step) => Some((step, failure.clone())),
            _ => None,
        };
        if self.find_out_first(scheduled, &failure, retry_state, attempt) {
            return;
        }
        self.close_failed(scheduled, failure, retry_state, attempt);
        if let Some((step, failure)) = verifies {
            self.not_verified(step, failure);
        }
    }

    /// Writes down that an activity has ended without a result.
    pub(super) fn close_failed(
        &mut self,
        scheduled: EventId,
        failure: Failure,
        retry_state: RetryState,
        attempt: CurrentAttempt,
    ) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        let cancel_requested = activity.cancel_requested;
        let started = self.emit_started(scheduled, attempt);
        self.emit(match (&failure.kind, started) {
            (FailureKind::Canceled { details }, _) if cancel_requested => EventAttributes::ActivityTaskCanceled {
                scheduled,
                started,
                details: details.clone(),
            },
            (FailureKind::Timeout { .. }, _) | (_, None) => EventAttributes::ActivityTaskTimedOut {
                scheduled,
                started,
                failure,
                retry_state,
            },
            (_, Some(started)) => EventAttributes::ActivityTaskFailed {
                scheduled,
                started,
                failure,
                retry_state,
            },
        });
    }

    /// Writes down the last attempt that was started, now that the activity ends; `None` when there was none.
    pub(super) fn emit_started(&mut self, scheduled: EventId, current: CurrentAttempt) -> Option<EventId> {
        let activity = self.state.activities.get(&scheduled)?;
        let (attempt, last_failure) = match current {
            CurrentAttempt::Running if !activity.is_suspended() => (activity.attempt, activity.last_failure.clone()),
            // The failure that is known is that attempt's own, and how the one before it failed is forgotten.
            CurrentAttempt::Running => (activity.attempt, None),
            CurrentAttempt::Waiting => (activity.attempt.saturating_sub(1), None),
            CurrentAttempt::CalledOff => (activity.attempt.saturating_sub(1), activity.last_failure.clone()),
        };
        (attempt > 0).then(|| {
            self.emit(EventAttributes::ActivityTaskStarted {
                scheduled,
                attempt,
                last_failure,
            })
        })
    }

    /// Asks an activity to stop. One that waits for an attempt stops at once.
    pub(super) fn request_cancel_activity(&mut self, scheduled: EventId) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        let goes_back = self.state.goes_back(scheduled);
        // Whether a step without an answer had its effect is found out all the same.
        let unanswered = self.state.stuck.get(&Some(scheduled));
        let unanswered = unanswered.is_some_and(|item| item.reason == StuckReason::Ambiguous);
        let unanswered = unanswered || activity.ambiguous.is_some();
        let waits_for_person = activity.stuck && goes_back && !unanswered;
        let kept_back = activity.is_kept_back() || self.state.is_kept_back(activity);
        // Whether the last attempt of a step had its effect is what the saga asks for; of anything else, that it was stopped.
        let is_plain = activity.attributes.role == ActivityRole::Plain;
        let attempt = match kept_back || activity.due > self.now || self.is_new(scheduled) {
            true if is_plain => CurrentAttempt::CalledOff,
            true => CurrentAttempt::Waiting,
            false => CurrentAttempt::Running,
        };
        // A pivot that nothing undoes is never given up without an answer.
        let may_be_fenced = |step: &StepSpec| step.in_flight == InFlight::Fence && !step.is_bare_pivot();
        let fenced = goes_back && activity.attributes.step().is_some_and(may_be_fenced);
        let failure = activity.last_failure.clone().filter(|_| !is_plain);
        let failure = failure
            .unwrap_or_else(|| Failure::canceled("the activity was canceled before its first, or next, attempt"));
        if !activity.cancel_requested {
            self.emit(EventAttributes::ActivityTaskCancelRequested { scheduled });
        } else if !waits_for_person {
            return;
        }
        if unanswered {
            return;
        }
        if waits_for_person || attempt != CurrentAttempt::Running {
            self.fail_activity(scheduled, failure, RetryState::CancelRequested, attempt);
        } else if fenced {
            let failure = Failure::canceled("the saga turned back and did not wait for the attempt");
            self.close_failed(scheduled, failure, RetryState::CancelRequested, attempt);
        }
    }

    /// The saga turns back: everything that still goes forward is asked to stop.
    pub(super) fn stop_forward_activities(&mut self, scope: UndoScope) {
        let concerned = self.state.saga.scheduled_in(scope);
        let forward: Vec<EventId> = self
            .state
            .activities
            .values()
            .filter(|activity| activity.attributes.is_of_the_code())
            .map(|activity| activity.scheduled)
            .filter(|scheduled| scope == UndoScope::Everything || concerned.contains(scheduled))
            .collect();
        for scheduled in forward {
            self.request_cancel_activity(scheduled);
        }
    }

    /// Whether the activity's current attempt came about in this very turn: nothing leaves before its turn is durable, so
    /// nobody has it yet.
    pub(super) fn is_new(&self, scheduled: EventId) -> bool {
        let retried_now = |change: &PendingChange| matches!(change, PendingChange::RetryScheduled { scheduled: of, .. } if *of == scheduled);
        self.began_in_this_turn(scheduled)
            || self.changes().iter().any(retried_now)
            || self.is_let_go_now(scheduled)
            || self.decided_now().any(|step| self.is_of_step(scheduled, step))
    }

    /// The steps that this turn's decisions let be tried again.
    fn decided_now(&self) -> impl Iterator<Item = EventId> {
        self.events().iter().filter_map(|event| match &event.attributes {
            EventAttributes::SagaDecided(decided) => {
                let again = matches!(decided.choice, Choice::Retry | Choice::RetryWith { .. });
                decided.step.filter(|_| again)
            }
            _ => None,
        })
    }

    /// Whether the activity is the step itself or its compensation.
    fn is_of_step(&self, scheduled: EventId, step: EventId) -> bool {
        let activity = self.state.activities.get(&scheduled);
        scheduled == step || activity.is_some_and(|activity| activity.attributes.undoes() == Some(step))
    }
}

/// Where an activity's current attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CurrentAttempt {
    /// Handed out, or perhaps handed out.
    Running,
    /// Certainly not handed out: it is due later, or came about in this turn.
    Waiting,
    /// The same, and the activity ends as canceled: how the attempt before it failed is told nowhere else.
    CalledOff,
}

/// A compensation and a step after the pivot have no way to fail: the step to name, and why it waits.
fn stuck_instead(activity: &PendingActivity, goes_back: bool) -> Option<(EventId, StuckReason)> {
    if let Some(step) = activity.attributes.undoes() {
        return Some((step, StuckReason::CompensationFailed));
    }
    // A saga that goes back does not need its retriable steps any more.
    let kind = activity.attributes.step().map(|step| step.kind);
    let needed = kind == Some(StepKind::Retriable) && !goes_back;
    needed.then_some((activity.scheduled, StuckReason::RetriableFailed))
}
