//! Steps that ended without an answer: whether they had their effect is found out before anything follows from it, if the
//! step's policy says so. Must not live here: what follows from it.

use std::sync::Arc;

use crate::model::{
    ActivityId, ActivityRole, ActivityScheduled, CompensationInput, CompensationSpec, EventAttributes, EventId,
    Failure, FailureKind, OnAmbiguous, Payload, RetryState, SagaStepAmbiguous, StepVerdict, StuckReason, Verdict,
};

use super::activity::CurrentAttempt;
use super::decider::{Decider, undo_payload_of};
use super::ledger::{is_final_refusal, says_not_applied};
use super::pending::PendingActivity;
use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    /// Whether it has to be found out first if the step, which failed for good, had its effect; begins to, if so.
    pub(super) fn find_out_first(
        &mut self,
        scheduled: EventId,
        failure: &Failure,
        retry_state: RetryState,
        attempt: CurrentAttempt,
    ) -> bool {
        let Some(activity) = self.state.activities.get(&scheduled) else {
            return false;
        };
        match policy(activity, failure, retry_state, attempt) {
            OnAmbiguous::Compensate => return false,
            OnAmbiguous::Ask => self.emit_stuck(Some(scheduled), StuckReason::Ambiguous, failure.clone()),
            OnAmbiguous::Verify(_) => {
                self.emit(EventAttributes::SagaStepAmbiguous(Box::new(SagaStepAmbiguous {
                    scheduled,
                    failure: failure.clone(),
                    retry_state,
                })));
            }
        }
        true
    }

    /// Starts the verifications that are due.
    pub(super) fn start_verifications(&mut self, decider: &dyn Decider) {
        let unanswered = self
            .state
            .activities
            .values()
            .filter(|activity| activity.ambiguous.is_some() && !activity.stuck);
        let due: Vec<(EventId, CompensationSpec)> = unanswered
            .filter_map(|activity| match &activity.attributes.step()?.on_ambiguous {
                OnAmbiguous::Verify(probe) => Some((activity.scheduled, (**probe).clone())),
                _ => None,
            })
            .filter(|(step, _)| !self.is_being_verified(*step))
            .collect();
        for (step, probe) in due {
            self.start_verification(step, probe, decider);
        }
    }

    fn is_being_verified(&self, step: EventId) -> bool {
        let mut roles = self.state.activities.values().map(|activity| &activity.attributes.role);
        roles.any(|role| *role == ActivityRole::Verification(step))
    }

    fn start_verification(&mut self, step: EventId, probe: CompensationSpec, decider: &dyn Decider) {
        let (Some(activity), Some(record)) = (self.state.activities.get(&step), self.state.saga.by_scheduled(step))
        else {
            return;
        };
        let failure = activity.last_failure.clone().unwrap_or_else(Failure::worker_lost);
        // One more after a person had the step tried again is a verification of its own.
        let activity_id = match activity.attempts_forgiven {
            0 => format!("{}/verify", record.activity_id()),
            forgiven => format!("{}/verify-{forgiven}", record.activity_id()),
        };
        let input = match probe.input {
            CompensationInput::Undo => undo_payload_of(record, None, Some(&failure)),
            CompensationInput::Mapped => decider.verification_input(self.state, record, &failure),
        };
        match input {
            Ok(input) => {
                self.emit(EventAttributes::ActivityTaskScheduled(Arc::new(ActivityScheduled {
                    activity_id: ActivityId::from_trusted(activity_id),
                    activity_type: probe.activity_type,
                    input,
                    options: probe.options,
                    role: ActivityRole::Verification(step),
                })));
            }
            Err(error) => self.not_verified(step, Failure::non_retryable("VerificationInput", error.to_string())),
        }
    }

    /// A verification has answered.
    pub(super) fn verified(&mut self, step: EventId, answer: &Payload) {
        match answer.to::<Verdict<Box<serde_json::value::RawValue>>>() {
            Ok(verdict) => {
                let output = verdict.output.filter(|_| verdict.applied);
                let output = output.map_or_else(Payload::null, |output| {
                    Payload::from_parts("json/plain", output.get().as_bytes().to_vec())
                });
                match verdict.applied {
                    true => self.resolve(step, StepVerdict::Applied, output),
                    false => self.resolve(step, StepVerdict::NotApplied, Payload::null()),
                }
            }
            Err(error) => {
                let message = format!("the verification must return {{\"applied\": true or false, ..}}: {error}");
                self.not_verified(step, Failure::non_retryable("BadVerdict", message));
            }
        }
    }

    /// A verification has failed: a person has to know.
    pub(super) fn not_verified(&mut self, step: EventId, failure: Failure) {
        let Some(activity) = self.state.activities.get(&step) else {
            return;
        };
        let mut failure = failure;
        if failure.cause.is_none()
            && let Some(last) = activity.last_failure.clone()
        {
            failure = failure.caused_by(last);
        }
        self.emit_stuck(Some(step), StuckReason::Ambiguous, failure);
    }

    /// It is known what became of a step: its activity ends accordingly.
    pub(super) fn resolve(&mut self, step: EventId, verdict: StepVerdict, output: Payload) {
        let Some(activity) = self.state.activities.get(&step) else {
            return;
        };
        let retry_state = activity.ambiguous.unwrap_or(RetryState::MaximumAttemptsReached);
        let failure = activity.last_failure.clone().unwrap_or_else(Failure::worker_lost);
        self.emit(EventAttributes::SagaStepResolved {
            scheduled: step,
            verdict,
        });
        match verdict {
            StepVerdict::Applied => self.complete_activity(step, output),
            StepVerdict::NotApplied | StepVerdict::Unknown => {
                self.close_failed(step, failure, retry_state, CurrentAttempt::Running);
            }
        }
    }
}

/// What is to be done about a step that failed for good like this.
fn policy(
    activity: &PendingActivity,
    failure: &Failure,
    retry_state: RetryState,
    attempt: CurrentAttempt,
) -> OnAmbiguous {
    let Some(step) = activity.attributes.step() else {
        return OnAmbiguous::Compensate;
    };
    let last_attempt_ran = attempt == CurrentAttempt::Running;
    let may_have_applied = activity.may_have_applied || (last_attempt_ran && !says_not_applied(failure));
    if !may_have_applied {
        return OnAmbiguous::Compensate;
    }
    // Nothing undoes it, so that nothing may be assumed: only the participant's final word that nothing happened counts
    // (for all attempts, since they share one idempotency key).
    if step.is_bare_pivot() {
        return match (&step.on_ambiguous, is_final_refusal(failure)) {
            (_, true) => OnAmbiguous::Compensate,
            (OnAmbiguous::Compensate, false) => OnAmbiguous::Ask,
            (policy, false) => policy.clone(),
        };
    }
    match is_answer(failure, retry_state) {
        true => OnAmbiguous::Compensate,
        false => step.on_ambiguous.clone(),
    }
}

/// Whether the participant (or the attempt, asked to stop) has said what it has to say.
fn is_answer(failure: &Failure, retry_state: RetryState) -> bool {
    let final_word = matches!(retry_state, RetryState::NonRetryable | RetryState::CancelRequested);
    final_word && matches!(failure.kind, FailureKind::Application(_) | FailureKind::Canceled { .. })
}
