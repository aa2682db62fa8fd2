//! Events that only sagas have, for programs and people. Must not live here: any other event.

use serde_json::{Value, json};

use crate::model::{Choice, EventAttributes, EventId, SagaDecided, StepVerdict, WaitResult};
use crate::server::text as words;

use super::super::{failure, payload, time};
use super::retry_state;

pub(super) fn attributes(attributes: &EventAttributes) -> Value {
    use EventAttributes as E;
    let id = |id: &EventId| json!(id.0);
    match attributes {
        E::SagaDecided(decided) => json!({
            "step": decided.step.as_ref().map(id), "choice": decided.choice.kind().as_str(),
            "data": data(&decided.choice), "by": decided.by, "reason": decided.reason, "automatic": decided.automatic,
            "request_id": decided.request_id.as_ref().map(|request| request.as_str()),
        }),
        E::SagaStepAmbiguous(ambiguous) => json!({
            "scheduled": id(&ambiguous.scheduled), "failure": failure(&ambiguous.failure),
            "retry_state": retry_state(ambiguous.retry_state),
        }),
        E::SagaStepResolved { scheduled, verdict } => {
            json!({"scheduled": id(scheduled), "verdict": verdict_text(*verdict)})
        }
        E::SagaRollbackStarted { keep } => json!({"keep": keep}),
        E::SagaRollbackCompleted { started } => json!({"started": id(started)}),
        E::SagaWaitStarted(wait) => json!({
            "step": wait.name.as_str(), "signal": wait.signal.as_ref().map(|signal| signal.as_str()),
            "until": wait.until.map(time), "default": wait.default.as_ref().map(payload),
        }),
        E::SagaWaitEnded { started, result } => json!({
            "started": id(started), "result": result_text(*result),
            "signal": match result {
                WaitResult::Signaled(signal) => Some(signal.0),
                _ => None,
            },
        }),
        E::SagaStepSkipped(skipped) => json!({"step": skipped.name.as_str()}),
        E::SagaLockRequested { lock, until, no_wait } => {
            json!({"lock": lock.as_str(), "until": until.map(time), "no_wait": no_wait})
        }
        E::SagaLockAcquired { requested } => json!({"requested": id(requested)}),
        E::SagaLockRefused {
            requested,
            failure: cause,
        } => json!({"requested": id(requested), "failure": failure(cause)}),
        E::SagaAdopted(adopted) => json!({
            "run_id": adopted.run_id.to_string(),
            "steps": adopted.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
        }),
        _ => super::message::attributes(attributes),
    }
}

pub(super) fn text(attributes: &EventAttributes) -> String {
    use EventAttributes as E;
    match attributes {
        E::SagaDecided(decided) => decided_text(decided),
        E::SagaStepAmbiguous(ambiguous) => {
            format!("of {}: {}", ambiguous.scheduled, words::failure(&ambiguous.failure))
        }
        E::SagaStepResolved { scheduled, verdict } => format!("of {scheduled}: {}", verdict_text(*verdict)),
        E::SagaRollbackStarted { keep } => format!("keeping the first {keep} steps"),
        E::SagaRollbackCompleted { started } => format!("of {started}"),
        E::SagaWaitStarted(wait) => {
            let signal = wait.signal.as_ref().map(|signal| format!(" for signal {signal}"));
            let until = wait.until.map(|until| format!(" until {until}"));
            format!(
                "step {}{}{}",
                wait.name,
                signal.unwrap_or_default(),
                until.unwrap_or_default()
            )
        }
        E::SagaWaitEnded { started, result } => format!("of {started}: {}", result_text(*result)),
        E::SagaStepSkipped(skipped) => format!("step {}", skipped.name),
        E::SagaLockRequested { lock, .. } => lock.to_string(),
        E::SagaLockAcquired { requested } => format!("of {requested}"),
        E::SagaLockRefused { requested, failure } => format!("of {requested}: {}", words::failure(failure)),
        E::SagaAdopted(adopted) => format!("{} steps of run {}", adopted.steps.len(), adopted.run_id),
        _ => super::message::text(attributes),
    }
}

fn decided_text(decided: &SagaDecided) -> String {
    let step = decided.step.map(|step| format!(" for step {step}")).unwrap_or_default();
    let itself = if decided.automatic { " (automatic)" } else { "" };
    let reason = match decided.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{}{step}, by {}{itself}{reason}", decided.choice.kind(), decided.by)
}

fn data(choice: &Choice) -> Option<Value> {
    match choice {
        Choice::RetryWith { input } => Some(payload(input)),
        Choice::MarkDone { output } => Some(payload(output)),
        _ => None,
    }
}

fn verdict_text(verdict: StepVerdict) -> &'static str {
    match verdict {
        StepVerdict::Applied => "applied",
        StepVerdict::NotApplied => "not applied",
        StepVerdict::Unknown => "unknown",
    }
}

fn result_text(result: WaitResult) -> &'static str {
    match result {
        WaitResult::Signaled(_) => "signaled",
        WaitResult::Elapsed => "elapsed",
        WaitResult::TimedOut => "timed out",
        WaitResult::Canceled => "canceled",
    }
}
