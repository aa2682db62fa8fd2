//! A run and its saga, step by step, for programs; and the words for how a step stands, which people see too. Must not live
//! here: events, texts of more than a word.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{
    ActivityPurpose, ActivityView, ChildView, CourseState, CourseView, DecisionView, LockState, LockView,
    RunDescription, StepState, StepView, Stuck, UndoState,
};
use crate::model::{Choice, ChoiceKind, HoldReason, ParkReason, SagaOptions, StepVerdict, StuckReason, UnwindCause};

use super::{attribute, failure, outcome, payload, put, time};

/// A run, step by step.
pub(in crate::server) fn description(run: &RunDescription) -> Value {
    json!({
        "namespace": run.workflow_id.namespace(),
        "workflow_id": run.workflow_id.as_str(),
        "run_id": run.run_id.to_string(),
        "workflow_type": run.workflow_type.as_str(),
        "definition": run.definition.map(|digest| digest.to_string()),
        "task_queue": run.task_queue.as_str(),
        "waits_for_worker": run.waits_for_worker,
        "parent": run.parent.as_ref().map(|parent| json!({
            "workflow_id": parent.workflow_id.as_str(), "run_id": parent.run_id.to_string(),
            "initiated": parent.initiated.map(|initiated| initiated.0),
        })),
        "search_attributes": attribute::all(&run.search_attributes),
        "memo": attribute::whole_memo(&run.memo),
        "first_run_id": run.first_run_id.to_string(),
        "follows": run.follows.map(|(run_id, why)| json!({"run_id": run_id.to_string(), "why": why.as_str()})),
        "next_run_id": run.next_run_id.map(|run_id| run_id.to_string()),
        "attempt": run.attempt,
        "begins_at": run.begins_at.map(time),
        "status": run.status.as_str(),
        "started_at": time(run.started_at),
        "last_turn_at": time(run.last_turn_at),
        "events": run.events,
        "input": payload(&run.input),
        "outcome": run.outcome.as_ref().map(outcome),
        "cancel_requested": run.cancel_requested,
        "paused": run.paused.as_ref().map(|pause| json!({
            "since": time(pause.since), "reason": pause.reason, "by": pause.identity,
        })),
        "parked": run.parked.as_ref().map(parked),
        "halted": run.halted.as_ref().map(failure),
        "waits_for": run.waits_for(),
        "saga_options": run.saga_options.as_ref().map(saga_options),
        "turned_back": run.turned_back.as_ref().map(|back| json!({
            "at": time(back.at), "cause": cause(&back.cause), "failure": failure(&back.cause.failure()),
        })),
        "stuck": run.stuck.iter().map(stuck).collect::<Vec<_>>(),
        "decisions": run.decisions.iter().map(decision).collect::<Vec<_>>(),
        "locks": run.locks.iter().map(lock).collect::<Vec<_>>(),
        "steps": run.steps.iter().map(step).collect::<Vec<_>>(),
        "pending": run.pending.iter().map(activity).collect::<Vec<_>>(),
        "children": run.children.iter().map(child).collect::<Vec<_>>(),
    })
}

fn child(child: &ChildView) -> Value {
    json!({
        "workflow_id": child.workflow_id.as_str(),
        "run_id": child.run_id.map(|run_id| run_id.to_string()),
        "workflow_type": child.workflow_type.as_str(),
        "initiated_at": time(child.initiated_at),
        "parent_close_policy": child.parent_close_policy.as_str(),
    })
}

fn cause(cause: &UnwindCause) -> &'static str {
    match cause {
        UnwindCause::Failed(_) => "failed",
        UnwindCause::Canceled(_) => "canceled",
        UnwindCause::TimedOut => "timed-out",
    }
}

fn saga_options(options: &SagaOptions) -> Value {
    let millis = |limit: &Option<Duration>| limit.map(|limit| limit.as_millis());
    json!({
        "unwind_timeout_ms": millis(&options.unwind_timeout),
        "unwind_parallel": options.unwind_parallel,
        "escalation": options.escalation.as_ref().map(|escalation| json!({
            "after_ms": escalation.after.as_millis(), "activity_type": escalation.activity_type.as_str(),
        })),
        "automatic": options.automatic.map(|automatic| json!({
            "after_ms": automatic.after.as_millis(), "choice": automatic.choice.as_str(),
        })),
    })
}

/// What needs a person.
pub(in crate::server) fn stuck(stuck: &Stuck) -> Value {
    json!({
        "step": stuck.step.as_ref().map(|step| step.as_str()),
        "reason": reason_word(stuck.reason),
        "text": stuck.reason.to_string(),
        "failure": failure(&stuck.failure),
        "since": time(stuck.since),
        "escalated": stuck.escalated,
        "choices": stuck.choices.iter().map(|choice| choice.as_str()).collect::<Vec<_>>(),
    })
}

fn reason_word(reason: StuckReason) -> &'static str {
    match reason {
        StuckReason::CompensationFailed => "compensation-failed",
        StuckReason::CompensationInput => "compensation-input",
        StuckReason::RetriableFailed => "retriable-failed",
        StuckReason::FailedAfterPivot => "failed-after-pivot",
        StuckReason::Ambiguous => "ambiguous",
        StuckReason::UnwindTimeout => "unwind-timeout",
    }
}

fn decision(decision: &DecisionView) -> Value {
    let data = match &decision.choice {
        Choice::RetryWith { input } => Some(payload(input)),
        Choice::MarkDone { output } => Some(payload(output)),
        _ => None,
    };
    let choice: ChoiceKind = decision.choice.kind();
    json!({
        "at": time(decision.at),
        "step": decision.step.as_ref().map(|step| step.as_str()),
        "choice": choice.as_str(),
        "data": data,
        "by": decision.by,
        "reason": decision.reason,
        "request_id": decision.request_id.as_ref().map(|request| request.as_str()),
        "automatic": decision.automatic,
    })
}

fn lock(lock: &LockView) -> Value {
    let (state, refused) = match &lock.state {
        LockState::Waiting => ("waiting", None),
        LockState::Held => ("held", None),
        LockState::Refused(cause) => ("refused", Some(failure(cause))),
    };
    json!({
        "lock": lock.lock.as_str(), "state": state, "failure": refused,
        "requested_at": time(lock.requested_at), "until": lock.until.map(time),
    })
}

fn parked(reason: &ParkReason) -> Value {
    let mut value = json!({"kind": reason.kind(), "text": reason.to_string()});
    if let ParkReason::Nondeterminism { at, expected, recorded } = reason {
        put(&mut value, "at", json!(at));
        put(&mut value, "expected", json!(expected));
        put(&mut value, "recorded", json!(recorded));
    }
    value
}

/// A step with its undoing and all that was found out or decided about it.
pub(in crate::server) fn step(step: &StepView) -> Value {
    let (output, cause, may_have_applied) = match &step.state {
        StepState::Pending | StepState::Skipped => (None, None, None),
        StepState::Completed { output } => (Some(payload(output)), None, Some(true)),
        StepState::Failed {
            failure: cause,
            may_have_applied,
            ..
        } => (None, Some(failure(cause)), Some(*may_have_applied)),
    };
    json!({
        "step": step.name.as_str(),
        "kind": step.kind.as_str(),
        "activity_type": step.activity_type.as_ref().map(|activity_type| activity_type.as_str()),
        "input": payload(&step.input),
        "state": state_text(step),
        "stuck": step.stuck,
        "attempts": step.attempts,
        "started_at": step.started_at.map(time),
        "ended_at": step.ended_at.map(time),
        "took_ms": millis(step.took()),
        "output": output,
        "failure": cause,
        "may_have_applied": may_have_applied,
        "last_failure": step.last_failure.as_ref().map(failure),
        "wait": step.wait.as_ref().map(|wait| json!({
            "signal": wait.signal.as_ref().map(|signal| signal.as_str()), "until": wait.until.map(time),
        })),
        "verification": step.verification.as_ref().map(course),
        "verdict": step.verdict.map(verdict),
        "undo": undo_text(step),
        "undoing": step.undoing.as_ref().map(course),
        "late_results": step.late_results,
        "decided": step.decided.as_ref().map(decision),
    })
}

fn course(course: &CourseView) -> Value {
    json!({
        "activity_type": course.activity_type.as_str(),
        "input": payload(&course.input),
        "state": match course.state {
            CourseState::Pending => "pending",
            CourseState::Stuck => "stuck",
            CourseState::Completed => "completed",
            CourseState::Failed => "failed",
        },
        "attempts": course.attempts,
        "started_at": time(course.started_at),
        "ended_at": course.ended_at.map(time),
        "took_ms": millis(course.took()),
        "last_failure": course.last_failure.as_ref().map(failure),
    })
}

fn millis(took: Option<Duration>) -> Option<u64> {
    took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

fn verdict(verdict: StepVerdict) -> &'static str {
    match verdict {
        StepVerdict::Applied => "applied",
        StepVerdict::NotApplied => "not applied",
        StepVerdict::Unknown => "unknown",
    }
}

fn activity(activity: &ActivityView) -> Value {
    json!({
        "activity_id": activity.activity_id.as_str(),
        "activity_type": activity.activity_type.as_str(),
        "task_queue": activity.task_queue.as_str(),
        "step": activity.step.as_ref().map(|step| step.as_str()),
        "purpose": match activity.purpose {
            ActivityPurpose::Plain => "activity",
            ActivityPurpose::Step => "step",
            ActivityPurpose::Compensation => "compensation",
            ActivityPurpose::Verification => "verification",
            ActivityPurpose::Escalation => "escalation",
        },
        "attempt": activity.attempt,
        "due": time(activity.due),
        "last_failure": activity.last_failure.as_ref().map(failure),
        "stuck": activity.stuck,
        "being_verified": activity.being_verified,
        "held": activity.held.map(|why| match why {
            HoldReason::Stopping => "stopping",
            HoldReason::Breaker => "breaker",
            HoldReason::NoWorker => "no-worker",
        }),
        "handed_over": activity.handed_over,
        "cancel_requested": activity.cancel_requested,
        "heartbeat": activity.heartbeat.as_ref().map(payload),
    })
}

pub(in crate::server) fn state_text(step: &StepView) -> &'static str {
    match &step.state {
        StepState::Pending if step.stuck => "stuck",
        StepState::Pending if step.wait.is_some() => "waiting",
        StepState::Pending => "pending",
        StepState::Skipped => "skipped",
        StepState::Completed { .. } => "completed",
        StepState::Failed { .. } => "failed",
    }
}

pub(in crate::server) fn undo_text(step: &StepView) -> &'static str {
    match step.undo {
        UndoState::NotOwed => "not owed",
        UndoState::Owed => "owed",
        UndoState::Running(_) if step.stuck => "stuck",
        UndoState::Running(_) => "running",
        UndoState::Done => "done",
        UndoState::Skipped => "skipped",
        UndoState::Stuck => "stuck",
    }
}
