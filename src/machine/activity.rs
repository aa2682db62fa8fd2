//! Activities: their attempts, retries and ends. Must not live here: executing anything.
//!
//! The life of an activity, as arrows:
//!
//! ```text
//! Scheduled -> attempt 1 due -> completed                     => Started, Completed
//!                            -> failed, may be retried        => (pending record) attempt n+1 due later
//!                            -> failed for good               => Started, Failed | TimedOut | Canceled
//!              in backoff, asked to stop                      => Started, Failed (last failure)
//!              schedule-to-close passed                       => Started, TimedOut
//!              retriable step or compensation, failed for good => SagaStuck, kept pending
//! ```

use crate::model::{
    AttemptOutcome, AttemptToken, EventAttributes, EventId, Failure, FailureKind, Payload, PendingChange,
    RetryDecision, RetryState, StepKind, StuckReason, TimeoutKind,
};

use super::state::{PendingActivity, Phase};
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn attempt_ended(&mut self, token: AttemptToken, outcome: AttemptOutcome) -> Result<Reply, Rejection> {
        let current = self.state.activities.get(&token.scheduled);
        if current.is_none_or(|activity| activity.attempt != token.attempt || activity.stuck) {
            return Err(Rejection::StaleAttempt);
        }
        match outcome {
            Ok(result) => self.complete_activity(token.scheduled, result),
            Err(failure) => self.attempt_failed(token.scheduled, failure),
        }
        Ok(Reply::Accepted)
    }

    /// The process died: every attempt that was due may have been running, and nobody will tell how it went.
    pub(super) fn recovered(&mut self) -> Reply {
        let lost: Vec<EventId> = self
            .state
            .attempts_due(self.now)
            .map(|activity| activity.scheduled)
            .collect();
        for scheduled in lost {
            self.attempt_failed(scheduled, Failure::worker_lost());
        }
        Reply::Accepted
    }

    fn complete_activity(&mut self, scheduled: EventId, result: Payload) {
        let Some(started) = self.emit_started(scheduled) else {
            return;
        };
        self.emit(EventAttributes::ActivityTaskCompleted {
            scheduled,
            started,
            result,
        });
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
            RetryDecision::Stop(retry_state) => self.fail_activity(scheduled, failure, retry_state),
        }
    }

    /// Ends an activity without a result; what must not simply fail waits for a person instead.
    pub(super) fn fail_activity(&mut self, scheduled: EventId, failure: Failure, retry_state: RetryState) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        if let Some((step, reason)) = stuck_instead(activity) {
            self.emit_stuck(Some(step), reason, failure);
            return;
        }
        let canceled = activity.cancel_requested && failure.kind == FailureKind::Canceled;
        // An attempt that was never handed out left no trace anywhere.
        let never_started = activity.attempt == 1 && failure.kind == FailureKind::Timeout(TimeoutKind::ScheduleToStart);
        let started = match never_started {
            true => None,
            false => self.emit_started(scheduled),
        };
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

    fn emit_started(&mut self, scheduled: EventId) -> Option<EventId> {
        let activity = self.state.activities.get(&scheduled)?;
        // In backoff, the attempt that is due later has not started: the last one that did is the one before it.
        let attempt = match activity.due > self.now {
            true => activity.attempt.saturating_sub(1),
            false => activity.attempt,
        };
        let last_failure = activity.last_failure.clone();
        Some(self.emit(EventAttributes::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        }))
    }

    /// Asks an activity to stop. One that waits for its next attempt stops at once.
    pub(super) fn request_cancel_activity(&mut self, scheduled: EventId) {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return;
        };
        if activity.cancel_requested {
            return;
        }
        let last_failure = (activity.due > self.now)
            .then(|| activity.last_failure.clone())
            .flatten();
        self.emit(EventAttributes::ActivityTaskCancelRequested { scheduled });
        if let Some(failure) = last_failure {
            self.fail_activity(scheduled, failure, RetryState::CancelRequested);
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
}

/// A compensation and a step after the pivot have no way to fail: the step to name, and why it waits.
fn stuck_instead(activity: &PendingActivity) -> Option<(EventId, StuckReason)> {
    if let Some(step) = activity.attributes.undoes {
        return Some((step, StuckReason::CompensationFailed));
    }
    let kind = activity.attributes.step.as_ref().map(|step| step.kind);
    (kind == Some(StepKind::Retriable)).then_some((activity.scheduled, StuckReason::RetriableFailed))
}
