//! The ledger of a saga: its steps, how they went, and what is owed for them. Must not live here: bringing anything about
//! (that is `saga`).
//!
//! The life of a step, as arrows:
//!
//! ```text
//! step:  Pending --completed--> Completed
//!        Pending --failed, timed out, canceled--> Failed
//! undo:  NotOwed      nothing to undo: no compensation, or it certainly had no effect
//!        Owed         may have had an effect; becomes due when the saga turns back
//!        Owed --compensation scheduled--> Running --compensation completed--> Done
//!        Owed --its input cannot be made--> Stuck
//! ```
//!
//! A compensation is owed from the moment its step is scheduled. It starts when the saga is unwinding, its step has
//! ended, and every step that depends on it is released (has ended and is undone, or never needed to be).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ActivityScheduled, Application, CompensationSpec, EventId, Failure, FailureKind, Payload, RetryState, StepKind,
    StepName, StepSpec,
};

use super::pending::PendingActivity;

/// What became of one saga step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Its name.
    pub name: StepName,
    /// The scheduling event.
    pub scheduled: EventId,
    /// What it means for the saga's course.
    pub kind: StepKind,
    /// Its input.
    pub input: Payload,
    /// How it went.
    pub state: StepState,
    /// How its undoing goes.
    pub undo: UndoState,
    /// The event that ended it.
    pub closed: Option<EventId>,
    pub(super) after: Option<Vec<StepName>>,
    pub(super) compensation: Option<CompensationSpec>,
    pub(super) activity_id: String,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Scheduled, not ended.
    Pending,
    /// Ended with a result.
    Completed {
        /// The result.
        output: Payload,
    },
    /// Ended without a result.
    Failed {
        /// How its last attempt failed.
        failure: Failure,
        /// Why it was not tried again.
        retry_state: RetryState,
        /// Whether it may have had an effect all the same.
        may_have_applied: bool,
    },
}

/// How the undoing of a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoState {
    /// There is nothing to undo.
    NotOwed,
    /// To be undone if the saga turns back.
    Owed,
    /// The compensation with this scheduling event is pending.
    Running(EventId),
    /// Undone.
    Done,
    /// The compensation cannot be started; waits for a person.
    Stuck,
}

impl StepRecord {
    /// Whether the step needs nothing (more) from an unwinding saga.
    fn is_settled(&self) -> bool {
        self.state != StepState::Pending && matches!(self.undo, UndoState::NotOwed | UndoState::Done)
    }
}

/// All steps of a saga, by scheduling event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SagaLedger {
    steps: BTreeMap<EventId, StepRecord>,
    names: BTreeMap<StepName, EventId>,
}

impl SagaLedger {
    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &StepRecord> {
        self.steps.values()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&StepRecord> {
        self.names.get(name).and_then(|scheduled| self.steps.get(scheduled))
    }

    pub(super) fn by_scheduled(&self, scheduled: EventId) -> Option<&StepRecord> {
        self.steps.get(&scheduled)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.steps.values().any(|step| step.undo == UndoState::Stuck)
    }

    /// Whether a pivot has succeeded, or may be succeeding right now: the saga only goes forward.
    pub(super) fn is_past_pivot(&self) -> bool {
        self.steps
            .values()
            .any(|step| step.kind == StepKind::Pivot && !matches!(step.state, StepState::Failed { .. }))
    }

    /// Whether a pivot has succeeded.
    pub(super) fn pivot_completed(&self) -> bool {
        self.steps
            .values()
            .any(|step| step.kind == StepKind::Pivot && matches!(step.state, StepState::Completed { .. }))
    }

    pub(super) fn on_scheduled(&mut self, id: EventId, attributes: &ActivityScheduled) {
        if let Some(undone) = attributes.undoes.and_then(|step| self.steps.get_mut(&step)) {
            undone.undo = UndoState::Running(id);
        }
        let Some(StepSpec {
            name,
            kind,
            after,
            compensation,
        }) = &attributes.step
        else {
            return;
        };
        let undo = match compensation {
            Some(_) => UndoState::Owed,
            None => UndoState::NotOwed,
        };
        let record = StepRecord {
            name: name.clone(),
            scheduled: id,
            kind: *kind,
            input: attributes.input.clone(),
            state: StepState::Pending,
            undo,
            closed: None,
            after: after.clone(),
            compensation: compensation.clone(),
            activity_id: attributes.activity_id.to_string(),
        };
        self.names.insert(name.clone(), id);
        self.steps.insert(id, record);
    }

    pub(super) fn on_completed(&mut self, id: EventId, activity: &PendingActivity, result: &Payload) {
        if let Some(undone) = activity.attributes.undoes.and_then(|step| self.steps.get_mut(&step)) {
            undone.undo = UndoState::Done;
        }
        if let Some(step) = self.steps.get_mut(&activity.scheduled) {
            step.closed = Some(id);
            step.state = StepState::Completed { output: result.clone() };
        }
    }

    pub(super) fn on_failed(
        &mut self,
        id: EventId,
        activity: &PendingActivity,
        failure: &Failure,
        retry_state: RetryState,
    ) {
        // Only forward steps end in failure; a compensation that fails for good stays pending, stuck.
        let Some(step) = self.steps.get_mut(&activity.scheduled) else {
            return;
        };
        // The last word is not the only one: an earlier attempt that timed out may have had its effect.
        let last_attempt_ran = activity.last_started == activity.attempt;
        let may_have_applied = activity.may_have_applied || (last_attempt_ran && !says_not_applied(failure));
        step.closed = Some(id);
        if !may_have_applied {
            step.undo = UndoState::NotOwed;
        }
        step.state = StepState::Failed {
            failure: failure.clone(),
            retry_state,
            may_have_applied,
        };
    }

    pub(super) fn on_stuck(&mut self, step: EventId) -> bool {
        match self.steps.get_mut(&step) {
            Some(step) => {
                step.undo = UndoState::Stuck;
                true
            }
            None => false,
        }
    }

    /// A pivot that cannot be undone and succeeded although the saga had turned back already, or failed without being
    /// sure that nothing happened. Undoing the steps before it could leave the saga half done.
    pub(super) fn pivot_not_undoable(&self) -> Option<&StepRecord> {
        self.steps.values().find(|step| {
            let took_effect = match &step.state {
                StepState::Pending => false,
                StepState::Completed { .. } => true,
                // Attempts share one idempotency key: a participant's final word that nothing happened holds for all.
                StepState::Failed {
                    failure,
                    may_have_applied,
                    ..
                } => *may_have_applied && !is_final_refusal(failure),
            };
            step.kind == StepKind::Pivot && step.compensation.is_none() && took_effect
        })
    }

    pub(super) fn is_settled(&self) -> bool {
        self.steps.values().all(StepRecord::is_settled)
    }

    /// The steps whose compensation may start now, newest first.
    pub(super) fn ready_to_undo(&self) -> Vec<EventId> {
        let mut held: BTreeSet<EventId> = BTreeSet::new();
        let mut newest_held_without_order: Option<EventId> = None;
        let mut ready = Vec::new();
        // A step's dependents were scheduled after it, so from the newest to the oldest, whatever holds a step back is known
        // when the step is looked at.
        for step in self.steps.values().rev() {
            // Steps without an explicit order may build on every step that had ended when they were scheduled.
            let built_upon =
                newest_held_without_order.is_some_and(|newest| step.closed.is_some_and(|end| end < newest));
            let free = !held.contains(&step.scheduled) && !built_upon;
            if free && step.undo == UndoState::Owed && step.state != StepState::Pending {
                ready.push(step.scheduled);
            }
            if free && step.is_settled() {
                continue;
            }
            match &step.after {
                None => newest_held_without_order = newest_held_without_order.or(Some(step.scheduled)),
                Some(after) => held.extend(after.iter().filter_map(|name| self.names.get(name))),
            }
        }
        ready
    }
}

/// Whether a participant has refused for good, and not only could not be reached this time.
fn is_final_refusal(failure: &Failure) -> bool {
    let finally = |application: &Application| application.not_applied && application.non_retryable;
    matches!(&failure.kind, FailureKind::Application(application) if finally(application))
}

/// Whether a failed attempt is sure that nothing happened. Only the attempt's own word counts: it may have done much before
/// something that it called did nothing.
pub(super) fn says_not_applied(failure: &Failure) -> bool {
    matches!(&failure.kind, FailureKind::Application(application) if application.not_applied)
}
