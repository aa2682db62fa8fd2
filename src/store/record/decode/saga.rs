//! The events that Temporal does not have, and the saga's part of a start, from the wire. Must not live here: anything
//! else.

use super::super::v1 as wire;
use super::{
    Decoded, chain, compensation, damaged, duration, names, options as activity_options, payload, retry_state,
    step_kind,
};
use crate::model::{
    ActivityType, AdoptedStep, AutomaticDecision, Choice, ChoiceKind, Escalation, EventAttributes, EventId, LockName,
    RequestId, RunId, SagaAdopted, SagaDecided, SagaOptions, SagaStepAmbiguous, SagaStepSkipped, SagaWaitStarted,
    SignalName, StepName, StepVerdict, Timestamp, WaitResult,
};

/// Everything that the caller has not read itself.
pub(super) fn attributes(attributes: wire::Attributes<'_>) -> Decoded<EventAttributes> {
    use EventAttributes as E;
    use wire::Attributes as W;
    Ok(match attributes {
        W::SagaDecided(decided) => E::SagaDecided(Box::new(self::decided(&decided))),
        W::SagaStepAmbiguous {
            scheduled,
            failure,
            retry_state: state,
        } => E::SagaStepAmbiguous(Box::new(SagaStepAmbiguous {
            scheduled: EventId(scheduled),
            failure: chain(failure)?,
            retry_state: retry_state(&state),
        })),
        W::SagaStepResolved { scheduled, verdict } => E::SagaStepResolved {
            scheduled: EventId(scheduled),
            verdict: match verdict {
                wire::Verdict::Applied => StepVerdict::Applied,
                wire::Verdict::NotApplied => StepVerdict::NotApplied,
                wire::Verdict::Unknown => StepVerdict::Unknown,
            },
        },
        W::SagaRollbackStarted { keep } => E::SagaRollbackStarted { keep },
        W::SagaRollbackCompleted { started } => E::SagaRollbackCompleted {
            started: EventId(started),
        },
        W::SagaWaitStarted {
            name,
            after,
            signal,
            until,
            default,
        } => E::SagaWaitStarted(Box::new(SagaWaitStarted {
            name: StepName::from_trusted(name),
            after: names(after),
            signal: signal.map(SignalName::from_trusted),
            until: until.map(Timestamp::from_micros),
            default: default.as_ref().map(payload),
        })),
        W::SagaWaitEnded { started, result } => E::SagaWaitEnded {
            started: EventId(started),
            result: match result {
                wire::WaitResult::Signaled(signal) => WaitResult::Signaled(EventId(signal)),
                wire::WaitResult::Elapsed => WaitResult::Elapsed,
                wire::WaitResult::TimedOut => WaitResult::TimedOut,
                wire::WaitResult::Canceled => WaitResult::Canceled,
            },
        },
        W::SagaStepSkipped { name, after } => E::SagaStepSkipped(Box::new(SagaStepSkipped {
            name: StepName::from_trusted(name),
            after: names(after),
        })),
        W::SagaLockRequested { lock, until, no_wait } => E::SagaLockRequested {
            lock: LockName::from_trusted(lock),
            until: until.map(Timestamp::from_micros),
            no_wait,
        },
        W::SagaLockAcquired { requested } => E::SagaLockAcquired {
            requested: EventId(requested),
        },
        W::SagaLockRefused { requested, failure } => E::SagaLockRefused {
            requested: EventId(requested),
            failure: chain(failure)?,
        },
        W::SagaAdopted { run_id, steps } => E::SagaAdopted(Box::new(SagaAdopted {
            run_id: RunId::from_bytes(run_id),
            steps: steps.into_iter().map(adopted_step).collect::<Decoded<_>>()?,
        })),
        _ => return damaged("an event that the reader forgot"),
    })
}

fn decided(decided: &wire::Decided<'_>) -> SagaDecided {
    SagaDecided {
        step: decided.step.map(EventId),
        choice: match &decided.choice {
            wire::Choice::Retry => Choice::Retry,
            wire::Choice::RetryWith(input) => Choice::RetryWith { input: payload(input) },
            wire::Choice::Skip => Choice::Skip,
            wire::Choice::MarkDone(output) => Choice::MarkDone {
                output: payload(output),
            },
            wire::Choice::GoForward => Choice::GoForward,
            wire::Choice::GoBack => Choice::GoBack,
            wire::Choice::Abandon => Choice::Abandon,
        },
        by: decided.by.to_owned(),
        reason: decided.reason.to_owned(),
        request_id: decided.request_id.map(RequestId::from_trusted),
        automatic: decided.automatic,
    }
}

fn adopted_step(step: wire::AdoptedStep<'_>) -> Decoded<AdoptedStep> {
    Ok(AdoptedStep {
        name: StepName::from_trusted(step.name),
        kind: step_kind(&step.kind),
        after: step.after.map(names),
        input: payload(&step.input),
        outcome: match step.outcome {
            Ok(output) => Ok(payload(&output)),
            Err(failure) => Err(chain(failure)?),
        },
        compensation: step.compensation.as_ref().map(compensation).transpose()?,
        scheduled: EventId(step.scheduled),
        closed: EventId(step.closed),
    })
}

pub(super) fn options(options: &wire::SagaOptions<'_>) -> Decoded<SagaOptions> {
    let escalation = |escalation: &wire::Escalation<'_>| -> Decoded<Escalation> {
        Ok(Escalation {
            after: duration(escalation.after)?,
            activity_type: ActivityType::from_trusted(escalation.activity_type),
            options: activity_options(&escalation.options)?,
        })
    };
    let automatic = |automatic: &wire::AutomaticDecision| -> Decoded<AutomaticDecision> {
        Ok(AutomaticDecision {
            after: duration(automatic.after)?,
            choice: match automatic.choice {
                wire::ChoiceKind::Retry => ChoiceKind::Retry,
                wire::ChoiceKind::RetryWith => ChoiceKind::RetryWith,
                wire::ChoiceKind::Skip => ChoiceKind::Skip,
                wire::ChoiceKind::MarkDone => ChoiceKind::MarkDone,
                wire::ChoiceKind::GoForward => ChoiceKind::GoForward,
                wire::ChoiceKind::GoBack => ChoiceKind::GoBack,
                wire::ChoiceKind::Abandon => ChoiceKind::Abandon,
            },
        })
    };
    Ok(SagaOptions {
        unwind_timeout: options.unwind_timeout.map(duration).transpose()?,
        unwind_parallel: options.unwind_parallel,
        escalation: options.escalation.as_ref().map(escalation).transpose()?,
        automatic: options.automatic.as_ref().map(automatic).transpose()?,
    })
}
