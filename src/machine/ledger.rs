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
//!        Owed --its input cannot be made--> Stuck --a person decides--> Owed | Done | Skipped
//!        Running --a person decides to leave it--> Skipped
//! ```
//!
//! A compensation is owed from the moment its step is scheduled. It starts when the saga is unwinding, its step has
//! ended, and every step that depends on it is released (has ended and is undone, or never needed to be).

mod doubt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    ActivityScheduled, AdoptedStep, Application, CompensationSpec, EventId, Failure, FailureKind, Payload, RetryState,
    SagaWaitStarted, StepKind, StepName, StepVerdict,
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
    /// How many of its results came too late and were refused.
    pub late_results: u32,
    /// The input of its compensation, when a person gave one.
    pub(super) undo_input: Option<Payload>,
    declared: Declared,
}

/// Where it is said what a step depends on, and what undoes it.
#[derive(Clone, Debug, PartialEq)]
enum Declared {
    /// By its scheduling: shared, because every step of every run has one.
    AtScheduling(Arc<ActivityScheduled>),
    /// Here.
    Here {
        after: Option<Vec<StepName>>,
        compensation: Option<CompensationSpec>,
    },
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Scheduled, not ended.
    Pending,
    /// Left out: its condition did not hold.
    Skipped,
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
    /// Not undone: a person decided to leave it as it is.
    Skipped,
    /// The compensation cannot be started; waits for a person.
    Stuck,
}

impl Declared {
    fn only_after(after: &[StepName]) -> Self {
        Self::Here {
            after: Some(after.to_vec()),
            compensation: None,
        }
    }
}

impl StepRecord {
    fn new(name: StepName, scheduled: EventId, kind: StepKind, input: Payload, declared: Declared) -> Self {
        Self {
            name,
            scheduled,
            kind,
            input,
            state: StepState::Pending,
            undo: UndoState::NotOwed,
            closed: None,
            late_results: 0,
            undo_input: None,
            declared,
        }
    }

    /// The steps it depends on. `None`: every step that had ended when this one was scheduled.
    #[must_use]
    pub fn after(&self) -> Option<&[StepName]> {
        match &self.declared {
            Declared::AtScheduling(scheduled) => scheduled.step()?.after.as_deref(),
            Declared::Here { after, .. } => after.as_deref(),
        }
    }

    /// What was registered to undo it.
    #[must_use]
    pub fn compensation(&self) -> Option<&CompensationSpec> {
        match &self.declared {
            Declared::AtScheduling(scheduled) => scheduled.step()?.compensation.as_ref(),
            Declared::Here { compensation, .. } => compensation.as_ref(),
        }
    }

    /// The id that its own activity has, or would have.
    pub(super) fn activity_id(&self) -> &str {
        match &self.declared {
            Declared::AtScheduling(scheduled) => scheduled.activity_id.as_str(),
            Declared::Here { .. } => self.name.as_str(),
        }
    }

    /// Whether it is a pivot that nothing undoes.
    fn is_bare_pivot(&self) -> bool {
        self.kind == StepKind::Pivot && self.compensation().is_none()
    }

    /// Whether the step needs nothing (more) from an unwinding saga.
    fn is_settled(&self) -> bool {
        self.state != StepState::Pending
            && matches!(self.undo, UndoState::NotOwed | UndoState::Done | UndoState::Skipped)
    }
}

/// All steps of a saga, by scheduling event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SagaLedger {
    steps: BTreeMap<EventId, Box<StepRecord>>,
    names: BTreeMap<StepName, EventId>,
}

impl SagaLedger {
    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &StepRecord> + ExactSizeIterator {
        self.steps.values().map(Box::as_ref)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&StepRecord> {
        self.names.get(name).and_then(|scheduled| self.by_scheduled(*scheduled))
    }

    pub(super) fn by_scheduled(&self, scheduled: EventId) -> Option<&StepRecord> {
        self.steps.get(&scheduled).map(Box::as_ref)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether something is not undone although it has happened, or may have: a person decided to leave it, or it is a
    /// pivot that nothing undoes.
    pub(super) fn leaves_something(&self) -> bool {
        let left = |step: &StepRecord| {
            let happened = matches!(step.state, StepState::Completed { .. } | StepState::Pending);
            step.undo == UndoState::Skipped || (step.is_bare_pivot() && happened)
        };
        self.steps().any(left)
    }

    /// Whether a pivot has succeeded, or may be succeeding right now: the saga only goes forward.
    pub(super) fn is_past_pivot(&self) -> bool {
        self.has_pivot_in(UndoScope::Everything)
    }

    /// Whether a pivot has succeeded.
    pub(super) fn pivot_completed(&self) -> bool {
        self.steps
            .values()
            .any(|step| step.kind == StepKind::Pivot && matches!(step.state, StepState::Completed { .. }))
    }

    pub(super) fn on_scheduled(&mut self, id: EventId, attributes: &Arc<ActivityScheduled>) {
        if let Some(undone) = attributes.undoes().and_then(|step| self.steps.get_mut(&step)) {
            undone.undo = UndoState::Running(id);
        }
        let Some(step) = attributes.step() else {
            return;
        };
        let declared = Declared::AtScheduling(Arc::clone(attributes));
        let mut record = StepRecord::new(step.name.clone(), id, step.kind, attributes.input.clone(), declared);
        record.undo = owed(record.compensation());
        self.insert(record);
    }

    fn insert(&mut self, record: StepRecord) {
        self.names.insert(record.name.clone(), record.scheduled);
        self.steps.insert(record.scheduled, Box::new(record));
    }

    pub(super) fn on_wait_started(&mut self, id: EventId, wait: &SagaWaitStarted) {
        let declared = Declared::only_after(&wait.after);
        let kind = StepKind::Compensatable;
        self.insert(StepRecord::new(wait.name.clone(), id, kind, Payload::null(), declared));
    }

    pub(super) fn on_wait_ended(&mut self, id: EventId, started: EventId, state: StepState) -> bool {
        let Some(step) = self.steps.get_mut(&started) else {
            return false;
        };
        step.state = state;
        step.closed = Some(id);
        true
    }

    pub(super) fn on_skipped(&mut self, id: EventId, name: &StepName, after: &[StepName]) {
        let declared = Declared::only_after(after);
        let mut record = StepRecord::new(name.clone(), id, StepKind::Compensatable, Payload::null(), declared);
        record.state = StepState::Skipped;
        record.closed = Some(id);
        self.insert(record);
    }

    /// A step of another run. Its ids are that run's: they are kept apart from this run's own.
    pub(super) fn on_adopted(&mut self, step: &AdoptedStep) {
        let own = |id: EventId| EventId(id.0.saturating_add(ADOPTED_IDS_FROM));
        let declared = Declared::Here {
            after: step.after.clone(),
            compensation: step.compensation.clone(),
        };
        let (name, input) = (step.name.clone(), step.input.clone());
        let mut record = StepRecord::new(name, own(step.scheduled), step.kind, input, declared);
        record.undo = owed(step.compensation.as_ref());
        record.closed = Some(own(step.closed));
        record.state = match &step.outcome {
            Ok(output) => StepState::Completed { output: output.clone() },
            Err(failure) => StepState::Failed {
                failure: failure.clone(),
                retry_state: RetryState::NonRetryable,
                may_have_applied: true,
            },
        };
        self.insert(record);
    }

    /// A person changes how a step is undone, or with what.
    pub(super) fn decide_undo(&mut self, scheduled: EventId, undo: UndoState, input: Option<Payload>) {
        if let Some(step) = self.steps.get_mut(&scheduled) {
            step.undo = undo;
            if input.is_some() {
                step.undo_input = input;
            }
        }
    }

    /// A person gave a step another input.
    pub(super) fn change_input(&mut self, scheduled: EventId, input: &Payload) {
        if let Some(step) = self.steps.get_mut(&scheduled) {
            step.input = input.clone();
        }
    }

    pub(super) fn on_completed(&mut self, id: EventId, activity: &PendingActivity, result: &Payload) {
        if let Some(undone) = activity.attributes.undoes().and_then(|step| self.steps.get_mut(&step)) {
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
        let may_have_applied = match activity.verdict {
            Some(verdict) => verdict != StepVerdict::NotApplied,
            None => activity.may_have_applied || (last_attempt_ran && !says_not_applied(failure)),
        };
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

    /// A pivot that cannot be undone and succeeded although the saga had turned back already. Undoing the steps before it
    /// would leave the saga half done.
    pub(super) fn pivot_not_undoable(&self) -> Option<&StepRecord> {
        self.steps().find(|step| {
            let completed = matches!(step.state, StepState::Completed { .. });
            step.is_bare_pivot() && completed
        })
    }

    pub(super) fn is_settled(&self, scope: UndoScope) -> bool {
        self.in_scope(scope).all(StepRecord::is_settled)
    }

    /// How many compensations are under way.
    pub(super) fn undoing(&self) -> usize {
        let running = |step: &&StepRecord| matches!(step.undo, UndoState::Running(_));
        self.steps().filter(running).count()
    }

    /// The scheduling events of the steps concerned.
    pub(super) fn scheduled_in(&self, scope: UndoScope) -> BTreeSet<EventId> {
        self.in_scope(scope).map(|step| step.scheduled).collect()
    }

    /// Whether a pivot that has succeeded, or may be succeeding, is among the steps concerned.
    pub(super) fn has_pivot_in(&self, scope: UndoScope) -> bool {
        let decided = |step: &StepRecord| !matches!(step.state, StepState::Failed { .. } | StepState::Skipped);
        self.in_scope(scope)
            .any(|step| step.kind == StepKind::Pivot && decided(step))
    }

    fn in_scope(&self, scope: UndoScope) -> impl DoubleEndedIterator<Item = &StepRecord> {
        let (keep, before) = match scope {
            UndoScope::Everything => (0, EventId(u64::MAX)),
            UndoScope::Since { keep, before } => (usize::try_from(keep).unwrap_or(usize::MAX), before),
        };
        let after_the_kept = self.steps().skip(keep);
        after_the_kept.filter(move |step| step.scheduled < before)
    }

    /// The steps whose compensation may start now, newest first.
    pub(super) fn ready_to_undo(&self, scope: UndoScope) -> Vec<EventId> {
        let mut held: BTreeSet<EventId> = BTreeSet::new();
        let mut newest_held_without_order: Option<EventId> = None;
        let mut ready = Vec::new();
        // A step's dependents were scheduled after it, so from the newest to the oldest, whatever holds a step back is known
        // when the step is looked at.
        for step in self.in_scope(scope).rev() {
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
            match step.after() {
                None => newest_held_without_order = newest_held_without_order.or(Some(step.scheduled)),
                Some(after) => held.extend(after.iter().filter_map(|name| self.names.get(name))),
            }
        }
        ready
    }
}

/// Ids from here on are those of steps taken over from another run: no history is that long.
pub(super) const ADOPTED_IDS_FROM: u64 = 1 << 32;

/// Which steps are to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoScope {
    /// All of them.
    Everything,
    /// All but the first so many, if they were scheduled before this event.
    Since {
        /// How many are kept.
        keep: u64,
        /// The event.
        before: EventId,
    },
}

fn owed(compensation: Option<&CompensationSpec>) -> UndoState {
    match compensation {
        Some(_) => UndoState::Owed,
        None => UndoState::NotOwed,
    }
}

/// Whether a participant has refused for good, and not only could not be reached this time.
pub(super) fn is_final_refusal(failure: &Failure) -> bool {
    let finally = |application: &Application| application.not_applied && application.non_retryable;
    matches!(&failure.kind, FailureKind::Application(application) if finally(application))
}

/// Whether a failed attempt is sure that nothing happened. Only the attempt's own word counts: it may have done much before
/// something that it called did nothing.
pub(super) fn says_not_applied(failure: &Failure) -> bool {
    matches!(&failure.kind, FailureKind::Application(application) if application.not_applied)
}
