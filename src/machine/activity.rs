//! Activities: their attempts, retries and ends. Must not live here: executing anything.
//!
//! The life of an activity, as arrows:
//!
//! ```text
//! Scheduled -> attempt 1 due -> completed                     => Started, Completed
//!                            -> failed, may be retried        => (pending record) attempt n+1 due later
//!                            -> failed for good               => Started, Failed | TimedOut | Canceled
//!              not handed out yet, asked to stop              => Canceled
//!              in backoff, asked to stop                      => Started, Failed (last failure)
//!              schedule-to-close passed                       => Started, TimedOut
//!              retriable step or compensation, failed for good => SagaStuck, kept pending
//! ```

use crate::model::{
    AttemptOutcome, AttemptToken, EventAttributes, EventId, Failure, FailureKind, Payload, PendingChange,
    RetryDecision, RetryState, StepKind, StuckReason, TimeoutKind, Timestamp,
};

use super::pending::PendingActivity;
use super::state::Phase;
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn attempt_ended(&mut self, token: AttemptToken, outcome: AttemptOutcome) -> Result<Reply, Rejection> {
        let current = self.state.activities.get(&token.scheduled);
        let is_current = current.is_some_and(|activity| activity.attempt == token.attempt && !activity.stuck);
        if !is_current || self.is_new(token.scheduled) {
            return Err(Rejection::StaleAttempt);
        }
        match outcome {
            Ok(result) => self.complete_activity(token.scheduled, result),
            Err(failure) => self.attempt_failed(token.scheduled, failure),
        }
        Ok(Reply::Accepted)
    }

    /// The process died: every attempt that was due may have been running, and nobody will tell how it went.
    pub(super) fn recovered(&mut self, at: Timestamp) -> Reply {
        let lost: Vec<EventId> = self
            .state
            .attempts_due(at.min(self.now))
            .map(|activity| activity.scheduled)
            .filter(|scheduled| !self.is_new(*scheduled))
            .collect();
        for scheduled in lost {
            self.attempt_failed(scheduled, Failure::worker_lost());
        }
        let held = self.state.activities.values().filter(|activity| activity.held);
        let held: Vec<EventId> = held.map(|activity| activity.scheduled).collect();
        for scheduled in held {
            self.change(PendingChange::Released { scheduled });
        }
        Reply::Accepted
    }

    /// The engine is stopping: what it did not hand out is remembered, so that it does not count as lost afterwards.
    pub(super) fn hold(&mut self, attempts: Vec<AttemptToken>) -> Reply {
        for AttemptToken { scheduled, attempt } in attempts {
            let activity = self.state.activities.get(&scheduled);
            if activity.is_some_and(|activity| activity.attempt == attempt && !activity.held && !activity.stuck) {
                self.change(PendingChange::Held { scheduled });
            }
        }
        Reply::Accepted
    }

    fn complete_activity(&mut self, scheduled: EventId, result: Payload) {
        if let Some(started) = self.emit_started(scheduled, CurrentAttempt::Running) {
            self.emit(EventAttributes::ActivityTaskCompleted {
                scheduled,
                started,
                result,
            });
        }
    }

    fn attempt_failed(&mut self, scheduled: EventId, failure: Failure) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        let stopping = !activity.is_compensation()
            && (activity.cancel_requested || matches!(self.state.phase, Phase::Unwinding(_)));
        let decision = match stopping {
            true => RetryDecision::Stop(RetryState::CancelRequested),
            false => {
                activity
                    .attributes
                    .options
                    .retry
                    .decide(activity.attempt, &failure, self.now, activity.deadline())
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
                let attempt = match failure.kind {
                    FailureKind::Timeout(TimeoutKind::ScheduleToStart) => CurrentAttempt::Waiting,
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
        if let Some((step, reason)) = stuck_instead(activity, &self.state.phase) {
            self.emit_stuck(Some(step), reason, failure);
            return;
        }
        let canceled = activity.cancel_requested && failure.kind == FailureKind::Canceled;
        let started = self.emit_started(scheduled, attempt);
        self.emit(match (&failure.kind, started) {
            _ if canceled => EventAttributes::ActivityTaskCanceled { scheduled, started },
            (FailureKind::Timeout(_), _) | (_, None) => EventAttributes::ActivityTaskTimedOut {
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
    fn emit_started(&mut self, scheduled: EventId, current: CurrentAttempt) -> Option<EventId> {
        let activity = self.state.activities.get(&scheduled)?;
        let (attempt, last_failure) = match current {
            CurrentAttempt::Running if !activity.stuck => (activity.attempt, activity.last_failure.clone()),
            // The failure that is known is that attempt's own, and how the one before it failed is forgotten.
            CurrentAttempt::Running => (activity.attempt, None),
            CurrentAttempt::Waiting => (activity.attempt.saturating_sub(1), None),
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
        let waits_for_person = activity.stuck && matches!(self.state.phase, Phase::Unwinding(_));
        let attempt = match activity.due > self.now || self.is_new(scheduled) {
            true => CurrentAttempt::Waiting,
            false => CurrentAttempt::Running,
        };
        let failure = activity
            .last_failure
            .clone()
            .unwrap_or_else(|| Failure::canceled("the activity was canceled before its first attempt"));
        if !activity.cancel_requested {
            self.emit(EventAttributes::ActivityTaskCancelRequested { scheduled });
        } else if !waits_for_person {
            return;
        }
        if waits_for_person || attempt == CurrentAttempt::Waiting {
            self.fail_activity(scheduled, failure, RetryState::CancelRequested, attempt);
        }
    }

    /// The saga turns back: everything that still goes forward is asked to stop.
    pub(super) fn stop_forward_activities(&mut self) {
        let forward: Vec<EventId> = self
            .state
            .activities
            .values()
            .filter(|activity| !activity.is_compensation())
            .map(|activity| activity.scheduled)
            .collect();
        for scheduled in forward {
            self.request_cancel_activity(scheduled);
        }
    }

    /// Whether the activity's current attempt came about in this very turn: nothing leaves before its turn is durable, so
    /// nobody has it yet.
    fn is_new(&self, scheduled: EventId) -> bool {
        let retried_now = |change: &PendingChange| matches!(change, PendingChange::RetryScheduled { scheduled: of, .. } if *of == scheduled);
        self.began_in_this_turn(scheduled) || self.changes().iter().any(retried_now)
    }
}

/// Where an activity's current attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CurrentAttempt {
    /// Handed out, or perhaps handed out.
    Running,
    /// Certainly not handed out: it is due later, or came about in this turn.
    Waiting,
}

/// A compensation and a step after the pivot have no way to fail: the step to name, and why it waits.
fn stuck_instead(activity: &PendingActivity, phase: &Phase) -> Option<(EventId, StuckReason)> {
    if let Some(step) = activity.attributes.undoes {
        return Some((step, StuckReason::CompensationFailed));
    }
    // A saga that goes back (there was no pivot, then) does not need its retriable steps any more.
    let kind = activity.attributes.step.as_ref().map(|step| step.kind);
    let needed = kind == Some(StepKind::Retriable) && !matches!(phase, Phase::Unwinding(_));
    needed.then_some((activity.scheduled, StuckReason::RetriableFailed))
}
