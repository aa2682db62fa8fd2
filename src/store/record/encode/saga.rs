//! The events that Temporal does not have, and the saga's part of a start, to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::{chain, compensation, names, options as activity_options, payload, retry_state, span, step_kind};
use crate::model::{
    AdoptedStep, Choice, ChoiceKind, EventAttributes, RequestId, SagaDecided, SagaOptions, SignalName, StepVerdict,
    WaitResult,
};

/// Everything that the caller has not written itself.
pub(super) fn attributes(attributes: &EventAttributes) -> wire::Attributes<'_> {
    use EventAttributes as E;
    use wire::Attributes as W;
    match attributes {
        E::SagaDecided(decided) => W::SagaDecided(Box::new(self::decided(decided))),
        E::SagaStepAmbiguous(ambiguous) => W::SagaStepAmbiguous {
            scheduled: ambiguous.scheduled.0,
            failure: chain(&ambiguous.failure),
            retry_state: retry_state(ambiguous.retry_state),
        },
        E::SagaStepResolved { scheduled, verdict } => W::SagaStepResolved {
            scheduled: scheduled.0,
            verdict: match verdict {
                StepVerdict::Applied => wire::Verdict::Applied,
                StepVerdict::NotApplied => wire::Verdict::NotApplied,
                StepVerdict::Unknown => wire::Verdict::Unknown,
            },
        },
        E::SagaRollbackStarted { keep } => W::SagaRollbackStarted { keep: *keep },
        E::SagaRollbackCompleted { started } => W::SagaRollbackCompleted { started: started.0 },
        E::SagaWaitStarted(wait) => W::SagaWaitStarted {
            name: wait.name.as_str(),
            after: names(&wait.after),
            signal: wait.signal.as_ref().map(SignalName::as_str),
            until: wait.until.map(|until| until.as_micros()),
            default: wait.default.as_ref().map(payload),
        },
        E::SagaWaitEnded { started, result } => W::SagaWaitEnded {
            started: started.0,
            result: match result {
                WaitResult::Signaled(signal) => wire::WaitResult::Signaled(signal.0),
                WaitResult::Elapsed => wire::WaitResult::Elapsed,
                WaitResult::TimedOut => wire::WaitResult::TimedOut,
                WaitResult::Canceled => wire::WaitResult::Canceled,
            },
        },
        E::SagaStepSkipped(skipped) => W::SagaStepSkipped {
            name: skipped.name.as_str(),
            after: names(&skipped.after),
        },
        E::SagaLockRequested { lock, until, no_wait } => W::SagaLockRequested {
            lock: lock.as_str(),
            until: until.map(|until| until.as_micros()),
            no_wait: *no_wait,
        },
        E::SagaLockAcquired { requested } => W::SagaLockAcquired { requested: requested.0 },
        E::SagaLockRefused { requested, failure } => W::SagaLockRefused {
            requested: requested.0,
            failure: chain(failure),
        },
        E::SagaAdopted(adopted) => W::SagaAdopted {
            run_id: *adopted.run_id.as_bytes(),
            steps: adopted.steps.iter().map(adopted_step).collect(),
        },
        other => W::Message(Box::new(super::message::attributes(other))),
    }
}

fn decided(decided: &SagaDecided) -> wire::Decided<'_> {
    wire::Decided {
        step: decided.step.map(|step| step.0),
        choice: match &decided.choice {
            Choice::Retry => wire::Choice::Retry,
            Choice::RetryWith { input } => wire::Choice::RetryWith(payload(input)),
            Choice::Skip => wire::Choice::Skip,
            Choice::MarkDone { output } => wire::Choice::MarkDone(payload(output)),
            Choice::GoForward => wire::Choice::GoForward,
            Choice::GoBack => wire::Choice::GoBack,
            Choice::Abandon => wire::Choice::Abandon,
        },
        by: &decided.by,
        reason: &decided.reason,
        request_id: decided.request_id.as_ref().map(RequestId::as_str),
        automatic: decided.automatic,
    }
}

fn adopted_step(step: &AdoptedStep) -> wire::AdoptedStep<'_> {
    wire::AdoptedStep {
        name: step.name.as_str(),
        kind: step_kind(step.kind),
        after: step.after.as_deref().map(names),
        input: payload(&step.input),
        outcome: step.outcome.as_ref().map(payload).map_err(chain),
        compensation: step.compensation.as_ref().map(compensation),
        scheduled: step.scheduled.0,
        closed: step.closed.0,
    }
}

pub(super) fn options(options: &SagaOptions) -> wire::SagaOptions<'_> {
    wire::SagaOptions {
        unwind_timeout: options.unwind_timeout.map(span),
        unwind_parallel: options.unwind_parallel,
        escalation: options.escalation.as_ref().map(|escalation| wire::Escalation {
            after: span(escalation.after),
            activity_type: escalation.activity_type.as_str(),
            options: activity_options(&escalation.options),
        }),
        automatic: options.automatic.map(|automatic| wire::AutomaticDecision {
            after: span(automatic.after),
            choice: match automatic.choice {
                ChoiceKind::Retry => wire::ChoiceKind::Retry,
                ChoiceKind::RetryWith => wire::ChoiceKind::RetryWith,
                ChoiceKind::Skip => wire::ChoiceKind::Skip,
                ChoiceKind::MarkDone => wire::ChoiceKind::MarkDone,
                ChoiceKind::GoForward => wire::ChoiceKind::GoForward,
                ChoiceKind::GoBack => wire::ChoiceKind::GoBack,
                ChoiceKind::Abandon => wire::ChoiceKind::Abandon,
            },
        }),
    }
}
