//! Events that Temporal does not have, both ways: to its tools they are markers with our names, whose details say everything.
//! Must not live here: events that Temporal has.

use serde_json::{Value, json};

use crate::model::{
    AdoptedStep, Choice, ChoiceKind, EventAttributes, Failure, Payload, ResetAttempt, RunId, RunReset, SagaAdopted,
    SagaDecided, SagaStepAmbiguous, SagaStepSkipped, SagaStuck, SagaUnwindStarted, SagaWaitStarted, StepVerdict,
    StuckReason, UnwindCause, UpdateRequest, WaitResult,
};

use super::HistoryError;
use super::activity::{self, STEP_KINDS, word};
use super::child;
use super::execution::run_id;
use super::failure;
use super::fields::Fields;
use super::message;
use super::refs::Refs;
use super::started::read_choice_kind;
use super::value;

const REASONS: [(&str, StuckReason); 6] = [
    ("compensation-failed", StuckReason::CompensationFailed),
    ("compensation-input", StuckReason::CompensationInput),
    ("retriable-failed", StuckReason::RetriableFailed),
    ("failed-after-pivot", StuckReason::FailedAfterPivot),
    ("ambiguous", StuckReason::Ambiguous),
    ("unwind-timeout", StuckReason::UnwindTimeout),
];

const VERDICTS: [(&str, StepVerdict); 3] = [
    ("applied", StepVerdict::Applied),
    ("not-applied", StepVerdict::NotApplied),
    ("unknown", StepVerdict::Unknown),
];

/// The details of the marker; `None` for an event that Temporal has.
pub(super) fn details(attributes: &EventAttributes) -> Option<Value> {
    use EventAttributes as E;
    Some(match attributes {
        E::SagaUnwindStarted(unwind) => cause(&unwind.cause),
        E::SagaStuck(stuck) => json!({
            "step": stuck.step.map(|step| step.0), "reason": word(&REASONS, stuck.reason),
            "failure": failure::failure(&stuck.failure),
        }),
        E::SagaDecided(decided) => decision(decided),
        E::SagaStepAmbiguous(ambiguous) => json!({
            "scheduled": ambiguous.scheduled.0, "failure": failure::failure(&ambiguous.failure),
            "retryState": failure::retry_state(ambiguous.retry_state),
        }),
        E::SagaStepResolved { scheduled, verdict } => {
            json!({"scheduled": scheduled.0, "verdict": word(&VERDICTS, *verdict)})
        }
        E::SagaRollbackStarted { keep } => json!({"keep": keep}),
        E::SagaRollbackCompleted { started } => json!({"started": started.0}),
        E::SagaWaitStarted(wait) => json!({
            "name": wait.name.as_str(), "after": names(&wait.after),
            "signal": wait.signal.as_ref().map(|signal| signal.as_str()),
            "until": wait.until.map(value::time), "default": wait.default.as_ref().map(value::payload),
        }),
        E::SagaWaitEnded { started, result } => {
            let (how, signal) = match result {
                WaitResult::Signaled(signal) => ("signaled", Some(signal.0)),
                WaitResult::Elapsed => ("elapsed", None),
                WaitResult::TimedOut => ("timed-out", None),
                WaitResult::Canceled => ("canceled", None),
            };
            json!({"started": started.0, "result": how, "signal": signal})
        }
        E::SagaStepSkipped(skipped) => json!({"name": skipped.name.as_str(), "after": names(&skipped.after)}),
        E::SagaLockRequested { lock, until, no_wait } => {
            json!({"lock": lock.as_str(), "until": until.map(value::time), "noWait": no_wait})
        }
        E::SagaLockAcquired { requested } => json!({"requested": requested.0}),
        E::SagaLockRefused { requested, failure } => {
            json!({"requested": requested.0, "failure": failure::failure(failure)})
        }
        E::SagaAdopted(adopted) => json!({
            "runId": adopted.run_id.to_string(), "steps": adopted.steps.iter().map(step).collect::<Vec<_>>(),
        }),
        _ => return None,
    })
}

/// The event that a marker of ours stands for; `None` when its name is none of ours.
pub(super) fn read(name: &str, fields: &Fields<'_>, refs: &Refs) -> Result<Option<EventAttributes>, HistoryError> {
    use EventAttributes as E;
    Ok(Some(match name {
        "SagaUnwindStarted" => E::SagaUnwindStarted(Box::new(SagaUnwindStarted {
            cause: read_cause(fields)?,
        })),
        "SagaStuck" => E::SagaStuck(Box::new(SagaStuck {
            step: fields.event_id_or_none("step", refs)?,
            reason: fields.one_of("reason", &REASONS)?,
            failure: read_failure(fields)?,
        })),
        "SagaDecided" => E::SagaDecided(Box::new(SagaDecided {
            step: fields.event_id_or_none("step", refs)?,
            choice: read_choice(fields)?,
            by: fields.text("by")?,
            reason: fields.text("reason")?,
            request_id: fields.id_or_none("requestId")?,
            automatic: fields.flag("automatic")?,
        })),
        "SagaStepAmbiguous" => E::SagaStepAmbiguous(Box::new(SagaStepAmbiguous {
            scheduled: fields.event_id("scheduled", refs)?,
            failure: read_failure(fields)?,
            retry_state: failure::read_retry_state(fields)?,
        })),
        "SagaStepResolved" => E::SagaStepResolved {
            scheduled: fields.event_id("scheduled", refs)?,
            verdict: fields.one_of("verdict", &VERDICTS)?,
        },
        "SagaRollbackStarted" => E::SagaRollbackStarted {
            keep: fields.number("keep")?,
        },
        "SagaRollbackCompleted" => E::SagaRollbackCompleted {
            started: fields.event_id("started", refs)?,
        },
        "SagaWaitStarted" => E::SagaWaitStarted(Box::new(SagaWaitStarted {
            name: fields.id("name")?,
            after: fields.ids("after")?,
            signal: fields.id_or_none("signal")?,
            until: fields.time("until")?,
            default: fields.payload("default")?,
        })),
        "SagaWaitEnded" => E::SagaWaitEnded {
            started: fields.event_id("started", refs)?,
            result: read_wait_result(fields, refs)?,
        },
        "SagaStepSkipped" => E::SagaStepSkipped(Box::new(SagaStepSkipped {
            name: fields.id("name")?,
            after: fields.ids("after")?,
        })),
        "SagaLockRequested" => E::SagaLockRequested {
            lock: fields.id("lock")?,
            until: fields.time("until")?,
            no_wait: fields.flag("noWait")?,
        },
        "SagaLockAcquired" => E::SagaLockAcquired {
            requested: fields.event_id("requested", refs)?,
        },
        "SagaLockRefused" => E::SagaLockRefused {
            requested: fields.event_id("requested", refs)?,
            failure: read_failure(fields)?,
        },
        "SagaAdopted" => E::SagaAdopted(Box::new(SagaAdopted {
            run_id: run_id(fields, "runId")?.unwrap_or(RunId::NIL),
            steps: read_steps(fields)?,
        })),
        _ => return Ok(None),
    }))
}

fn names(names: &[crate::model::StepName]) -> Vec<&str> {
    names.iter().map(|name| name.as_str()).collect()
}

fn read_failure(fields: &Fields<'_>) -> Result<Failure, HistoryError> {
    failure::read(&fields.needed("failure")?)
}

fn cause(cause: &UnwindCause) -> Value {
    match cause {
        UnwindCause::Failed(failure) => json!({"cause": "failed", "failure": failure::failure(failure)}),
        UnwindCause::Canceled(failure) => json!({"cause": "canceled", "failure": failure::failure(failure)}),
        UnwindCause::TimedOut => json!({"cause": "timed-out"}),
    }
}

fn read_cause(fields: &Fields<'_>) -> Result<UnwindCause, HistoryError> {
    match fields.text("cause")?.as_str() {
        "failed" => Ok(UnwindCause::Failed(read_failure(fields)?)),
        "canceled" => Ok(UnwindCause::Canceled(read_failure(fields)?)),
        "timed-out" => Ok(UnwindCause::TimedOut),
        other => Err(fields.error(format!(
            "a saga turns back as failed, canceled or timed-out, not {other:?}"
        ))),
    }
}

fn decision(decided: &SagaDecided) -> Value {
    let data = match &decided.choice {
        Choice::RetryWith { input } => Some(input),
        Choice::MarkDone { output } => Some(output),
        _ => None,
    };
    json!({
        "step": decided.step.map(|step| step.0), "choice": decided.choice.kind().as_str(),
        "data": data.map(value::payload), "by": decided.by, "reason": decided.reason,
        "requestId": decided.request_id.as_ref().map(|id| id.as_str()), "automatic": decided.automatic,
    })
}

fn read_choice(fields: &Fields<'_>) -> Result<Choice, HistoryError> {
    let data = fields.payload("data")?.unwrap_or_default();
    Ok(match read_choice_kind(fields, "choice")? {
        ChoiceKind::Retry => Choice::Retry,
        ChoiceKind::RetryWith => Choice::RetryWith { input: data },
        ChoiceKind::Skip => Choice::Skip,
        ChoiceKind::MarkDone => Choice::MarkDone { output: data },
        ChoiceKind::GoForward => Choice::GoForward,
        ChoiceKind::GoBack => Choice::GoBack,
        ChoiceKind::Abandon => Choice::Abandon,
    })
}

fn read_wait_result(fields: &Fields<'_>, refs: &Refs) -> Result<WaitResult, HistoryError> {
    match fields.text("result")?.as_str() {
        "signaled" => Ok(WaitResult::Signaled(fields.event_id("signal", refs)?)),
        "elapsed" => Ok(WaitResult::Elapsed),
        "timed-out" => Ok(WaitResult::TimedOut),
        "canceled" => Ok(WaitResult::Canceled),
        other => Err(fields.error(format!("a wait does not end as {other:?}"))),
    }
}

/// The failure of the task that a reset is to Temporal's tools, with everything about the reset.
pub(super) fn reset(reset: &RunReset) -> Value {
    let update = |update: &UpdateRequest| {
        json!({
            "updateId": update.update_id.as_str(), "name": update.name.as_str(),
            "input": value::payload(&update.input), "identity": update.identity,
        })
    };
    let attempt = |of: &ResetAttempt| {
        json!({
            "scheduled": of.scheduled.0, "attempt": of.attempt, "lost": of.lost,
            "mayHaveApplied": of.may_have_applied, "forgiven": of.forgiven,
        })
    };
    let told = json!({
        "originalRunId": reset.original_run_id.to_string(),
        "requestId": reset.request_id.as_ref().map(|id| id.as_str()),
        "attempts": reset.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "doubts": reset.doubts.iter().map(|step| step.0).collect::<Vec<_>>(),
        "locals": reset.locals.iter().map(|(seq, of)| json!({"seq": seq, "type": of.as_str()})).collect::<Vec<_>>(),
        "updates": reset.updates.iter().map(update).collect::<Vec<_>>(),
        "children": reset.children.iter().map(child::left).collect::<Vec<_>>(),
        "messages": reset.messages.iter().map(message::left).collect::<Vec<_>>(),
        "left": names(&reset.left),
    });
    json!({
        "message": reset.reason, "source": activity::OURS,
        "resetWorkflowFailureInfo": {"lastHeartbeatDetails": {"payloads": [value::enclosed(told)]}},
    })
}

/// The reset of a run, by amends or by Temporal's server.
pub(super) fn read_reset(fields: &Fields<'_>, refs: &Refs) -> Result<RunReset, HistoryError> {
    let failure = fields.needed("failure")?;
    let base_run_id = run_id(fields, "baseRunId")?.unwrap_or(RunId::NIL);
    let mut reset = RunReset {
        base_run_id,
        new_run_id: run_id(fields, "newRunId")?.unwrap_or(RunId::NIL),
        original_run_id: base_run_id,
        reason: failure.text("message")?,
        identity: fields.text("identity")?,
        request_id: None,
        attempts: Vec::new(),
        doubts: Vec::new(),
        locals: Vec::new(),
        updates: Vec::new(),
        children: Vec::new(),
        messages: Vec::new(),
        left: Vec::new(),
    };
    let info = failure.needed("resetWorkflowFailureInfo")?;
    if failure.text("source")? != activity::OURS {
        return Ok(reset);
    }
    let told = value::read_enclosed(fields, &info.payloads("lastHeartbeatDetails")?)?;
    let told = Fields::of(&told, fields.event())?;
    reset.original_run_id = run_id(&told, "originalRunId")?.unwrap_or(base_run_id);
    reset.left = told.ids("left")?;
    let each = |key: &str| -> Result<Vec<Fields<'_>>, HistoryError> {
        let list = told.list(key)?.iter();
        list.map(|one| Fields::of(one, fields.event())).collect()
    };
    reset.request_id = told.id_or_none("requestId")?;
    for one in told.list("doubts")? {
        let step = one.as_u64().and_then(|step| refs.get(step));
        let step = step.ok_or_else(|| fields.error("doubts: an event that is not in the history before it"))?;
        reset.doubts.push(step);
    }
    for one in each("attempts")? {
        reset.attempts.push(ResetAttempt {
            scheduled: one.event_id("scheduled", refs)?,
            attempt: one.number_u32("attempt")?,
            lost: one.flag("lost")?,
            may_have_applied: one.flag("mayHaveApplied")?,
            forgiven: one.number_u32("forgiven")?,
        });
    }
    for one in each("locals")? {
        reset.locals.push((one.number_u32("seq")?, one.id("type")?));
    }
    for one in each("children")? {
        reset.children.push(child::read_left(&one)?);
    }
    for one in each("messages")? {
        reset.messages.push(message::read_left(&one)?);
    }
    for one in each("updates")? {
        reset.updates.push(UpdateRequest {
            update_id: one.id("updateId")?,
            name: one.id("name")?,
            input: one.payload("input")?.unwrap_or_default(),
            identity: one.text("identity")?,
        });
    }
    Ok(reset)
}

/// The result or the failure of something, as two fields of which one is there.
pub(super) fn outcome(outcome: &Result<Payload, Failure>) -> (Option<Value>, Option<Value>) {
    match outcome {
        Ok(result) => (Some(value::payload(result)), None),
        Err(failure) => (None, Some(failure::failure(failure))),
    }
}

fn step(step: &AdoptedStep) -> Value {
    let (result, failure) = outcome(&step.outcome);
    json!({
        "name": step.name.as_str(), "kind": word(&STEP_KINDS, step.kind),
        "after": step.after.as_ref().map(|after| names(after)), "input": value::payload(&step.input),
        "result": result, "failure": failure,
        "compensation": step.compensation.as_ref().map(activity::compensation),
        // Events of the other run: they stay what they are.
        "scheduled": step.scheduled.0, "closed": step.closed.0,
    })
}

fn read_steps(fields: &Fields<'_>) -> Result<Vec<AdoptedStep>, HistoryError> {
    let steps = fields.list("steps")?.iter();
    steps
        .map(|step| read_step(&Fields::of(step, fields.event())?))
        .collect()
}

fn read_step(fields: &Fields<'_>) -> Result<AdoptedStep, HistoryError> {
    Ok(AdoptedStep {
        name: fields.id("name")?,
        kind: fields.one_of("kind", &STEP_KINDS)?,
        after: fields.get("after").map(|_| fields.ids("after")).transpose()?,
        input: fields.payload("input")?.unwrap_or_default(),
        outcome: match fields.object("failure")? {
            Some(failure) => Err(failure::read(&failure)?),
            None => Ok(fields.payload("result")?.unwrap_or_default()),
        },
        compensation: fields
            .object("compensation")?
            .map(|compensation| activity::read_compensation(&compensation))
            .transpose()?,
        scheduled: crate::model::EventId(fields.number("scheduled")?),
        closed: crate::model::EventId(fields.number("closed")?),
    })
}
