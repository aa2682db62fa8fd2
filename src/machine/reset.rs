//! Making a run anew from the beginning of another one's history, so that a turn of it is decided again: what the new run
//! begins with, and what is refused. Must not live here: which turn is meant (`point`), what of the other run's pending
//! record counts (`base`), and bringing the new run to life (that is `runtime`).
//!
//! ```text
//! the base:     1 .. 9 | 10-12 turn | 13 .. 20 signal .. 30
//! the new run:  1 .. 9 | 10-12 WorkflowExecutionReset | 13 signal | 14-16 turn, decided again ..
//! ```
//!
//! Everything up to the last signal is the new run's first turn: it is there as a whole, or not at all. What the base had
//! under way at that point may have been begun; the machine takes it for lost, by the rules for a worker that died.

mod base;
mod point;

use crate::model::{
    ChildKey, Event, EventAttributes, EventId, HoldReason, LeftChild, MadeAnew, PendingChange, Reapply, RequestId,
    Reset, ResetAttempt, RunId, RunReset, StepKind, StepName, Timestamp, Turn, UpdateId, UpdateRequest,
    WorkflowSignaled,
};

use super::apply::ApplyError;
use super::chain::{Successor, was_handed_on};
use super::ledger::{StepRecord, StepState, UndoState};
use super::pending::LockState;
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

use self::base::Base;

/// Why a run cannot be reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefusal {
    /// No turn has this event.
    #[error("event {event} is not of a turn; the turns are at {}", .turns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoSuchEvent {
        /// The event that was named.
        event: EventId,
        /// Some events that could be: the last ones before it, and the first after it.
        turns: Vec<EventId>,
    },
    /// There are not so many turns.
    #[error("there is no turn {turn}; the run has decided {turns}")]
    NoSuchTurn {
        /// The number that was named.
        turn: u64,
        /// How many turns there are.
        turns: u64,
    },
    /// Nothing was decided in it yet.
    #[error("the run has not decided anything yet: there is no turn to go back to")]
    NoTurn,
    /// Steps that the new run would take for done are undone.
    #[error("{} of before that turn has been undone since; reset to a turn before it", .0.join(", "))]
    Undone(Vec<String>),
    /// Steps that the new run would do again may have had their effect.
    #[error("{} may have had an effect since that turn, and would be done again", .0.join(", "))]
    WouldRepeat(Vec<String>),
    /// It holds locks there, or waits for them.
    #[error(
        "the run has asked for the lock {0} before that turn, and gives it back when it is reset; reset to a turn before that"
    )]
    HasLock(String),
    /// It was started to undo another run.
    #[error("the run undoes another one; it has no turns of its own to go back to")]
    UndoesAnother,
    /// What is copied does not fit together: damage.
    #[error(transparent)]
    Misfit(#[from] ApplyError),
}

/// Where a run that was made of others comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Origins {
    /// Where it begins to have a history of its own, and whose history it has before that; oldest first.
    resets: Vec<(EventId, RunId)>,
    /// The deduplication key of the request that made it.
    request_id: Option<RequestId>,
    /// Updates that its base had accepted: the next task is about them.
    readmitted: Vec<UpdateRequest>,
}

impl Reset {
    /// How the run begins that is made of the one with these turns; `continued` are the turns of the runs that the base
    /// continued as, in order: their signals come again as well; `gives_way` is the run of the id that is open: its children
    /// go on.
    ///
    /// # Errors
    /// When the new run would not be what its history says, or would do again what has had its effect.
    pub fn make(
        &self,
        turns: &[Turn],
        continued: &[Turn],
        gives_way: Option<&RunState>,
        run_id: RunId,
        now: Timestamp,
    ) -> Result<MadeAnew, ResetRefusal> {
        let base = Base::of(turns, self.point)?;
        let left = self.check(&base)?;
        let now = now.max(base.state.last_time);
        let base_run_id = base.state.run_id().unwrap_or(RunId::NIL);

        let mut state = RunState::default();
        let mut made = TurnBuilder::new(&mut state, now);
        for event in base.copied(run_id, now) {
            made.copy(event)?;
        }
        let later = || base.later().chain(continued.iter().flat_map(|turn| &turn.events));
        let updates = match self.reapply {
            Reapply::All => later().filter_map(update).collect(),
            Reapply::None | Reapply::Signals => Vec::new(),
        };
        made.emit(EventAttributes::WorkflowExecutionReset(Box::new(RunReset {
            base_run_id,
            new_run_id: run_id,
            original_run_id: base.state.writer_of(EventId::FIRST).unwrap_or(base_run_id),
            reason: self.reason.clone(),
            identity: self.identity.clone(),
            request_id: self.request_id.clone(),
            attempts: base.attempts(made.state, now)?,
            doubts: base.doubts(made.state),
            locals: base.locals(),
            updates,
            children: left_by(gives_way, &base.state, made.state),
            left,
        })));
        base.compare(made.state)?;
        if self.reapply != Reapply::None {
            later().filter_map(signal).for_each(|signal| made.signal_again(signal));
        }
        let first = made.finish();
        Ok(MadeAnew {
            run_id,
            first: first.expect("it has events"),
            reason: self.reason.clone(),
            identity: self.identity.clone(),
        })
    }

    /// Compares how the base has come to stand with what the new run begins from; says which steps are left as they are.
    fn check(&self, base: &Base<'_>) -> Result<Vec<StepName>, ResetRefusal> {
        if base.state.adopted_from().is_some() {
            return Err(ResetRefusal::UndoesAnother);
        }
        let asked_for = |lock: &&super::RunLock| !matches!(lock.state, LockState::Refused(_));
        if let Some(lock) = base.there.locks().find(asked_for) {
            return Err(ResetRefusal::HasLock(lock.lock.to_string()));
        }
        let texts = |names: Vec<&StepRecord>| names.iter().map(|step| step.name.to_string()).collect();
        let touched = |step: &&StepRecord| {
            let before = base.there.step_by_event(step.scheduled);
            before.is_some_and(|before| before.undo != step.undo && is_undone(step))
        };
        let undone: Vec<&StepRecord> = base.state.steps().filter(touched).collect();
        if !undone.is_empty() {
            return Err(ResetRefusal::Undone(texts(undone)));
        }
        let since = base.state.steps().filter(|step| step.scheduled >= base.point);
        let happened: Vec<&StepRecord> = since.filter(|step| may_have_effect(step)).collect();
        match self.force || happened.is_empty() {
            true => Ok(happened.iter().map(|step| step.name.clone()).collect()),
            false => Err(ResetRefusal::WouldRepeat(texts(happened))),
        }
    }
}

/// Whether a step is undone, or perhaps being undone.
fn is_undone(step: &StepRecord) -> bool {
    matches!(step.undo, UndoState::Done | UndoState::Running(_) | UndoState::Stuck)
}

fn may_have_effect(step: &StepRecord) -> bool {
    let has_activity = step.compensation().is_some() || step.kind != StepKind::Compensatable;
    let happened = match &step.state {
        StepState::Completed { .. } | StepState::Pending => true,
        StepState::Failed { may_have_applied, .. } => *may_have_applied,
        StepState::Skipped => false,
    };
    has_activity && happened && step.undo != UndoState::Done
}

/// The children that a run leaves when it gives way: those that the new run has anyway are not among them.
fn left_by(run: Option<&RunState>, base: &RunState, made: &RunState) -> Vec<LeftChild> {
    let mut left = run.map(RunState::children_left).unwrap_or_default();
    let is_there = |key: ChildKey| {
        // The new run does not know yet that it is made of another one.
        let copied = base.writer_of(key.initiated) == Some(key.parent_run) && made.child(key.initiated).is_some();
        copied || made.left_child(key).is_some()
    };
    left.retain(|child| !is_there(child.key));
    left
}

fn update(event: &Event) -> Option<UpdateRequest> {
    match &event.attributes {
        EventAttributes::WorkflowExecutionUpdateAccepted(update) => Some((**update).clone()),
        _ => None,
    }
}

/// A signal that somebody sent: what a run hands on to the one that follows it is there already.
fn signal(event: &Event) -> Option<&WorkflowSignaled> {
    match &event.attributes {
        EventAttributes::WorkflowExecutionSignaled(signal) if !was_handed_on(signal) => Some(signal),
        _ => None,
    }
}

impl TurnBuilder<'_> {
    /// Begins with what was made; a run that is open ends, and is followed by it.
    pub(super) fn reset(&mut self, made: MadeAnew) -> Result<Reply, Rejection> {
        let MadeAnew {
            run_id,
            first,
            reason,
            identity,
        } = made;
        let refused = |misfit: ApplyError| Rejection::ResetRefused(Box::new(misfit.into()));
        if self.state.started.is_none() {
            for event in first.events {
                self.copy(event).map_err(refused)?;
            }
            return Ok(Reply::Begun { run_id });
        }
        let state = RunState::fold([&first]).map_err(refused)?;
        self.change(PendingChange::FollowedBy { run_id });
        self.terminate(format!("reset, made anew as run {run_id}: {reason}"), identity);
        self.successor = Some(Box::new(Successor { state, turn: first }));
        Ok(Reply::Begun { run_id })
    }

    /// A signal that comes again, unless it is there.
    fn signal_again(&mut self, signal: &WorkflowSignaled) {
        let WorkflowSignaled {
            name,
            input,
            request_id,
            identity,
        } = signal.clone();
        // It was taken before, so there is room for it.
        let _ = self.signal(name, input, request_id, identity);
    }
}

impl RunState {
    /// The run that wrote this event: another one, for what this one has copied when it was made of that one by a reset.
    #[must_use]
    pub fn writer_of(&self, event: EventId) -> Option<RunId> {
        let mut resets = self.origins.iter().flat_map(|origins| &origins.resets);
        let copied_in = resets.find(|(reset, _)| event < *reset);
        copied_in.map(|(_, base)| *base).or_else(|| self.run_id())
    }

    /// The runs that this one was made of by resets, the first of them first.
    pub fn bases(&self) -> impl Iterator<Item = RunId> {
        let resets = self.origins.iter().flat_map(|origins| &origins.resets);
        resets.map(|(_, base)| *base)
    }

    /// Whether this request has made the run.
    #[must_use]
    pub fn was_made_by(&self, request_id: &RequestId) -> bool {
        let made_by = self.origins.as_ref().and_then(|origins| origins.request_id.as_ref());
        made_by == Some(request_id)
    }

    /// The updates that the next task is about before any other.
    pub(super) fn readmitted(&self) -> &[UpdateRequest] {
        let origins = self.origins.as_deref();
        origins.map(|origins| origins.readmitted.as_slice()).unwrap_or_default()
    }

    pub(super) fn is_readmitted(&self, update_id: &UpdateId) -> bool {
        self.readmitted().iter().any(|update| update.update_id == *update_id)
    }

    /// They were shown to the decider.
    pub(super) fn forget_readmitted(&mut self) {
        if let Some(origins) = &mut self.origins {
            origins.readmitted.clear();
        }
    }

    pub(super) fn apply_reset(&mut self, event: &Event, reset: &RunReset) -> Result<(), ApplyError> {
        let origins = self.origins.get_or_insert_default();
        origins.resets.push((event.id, reset.base_run_id));
        origins.request_id.clone_from(&reset.request_id);
        origins.readmitted.clone_from(&reset.updates);
        // What counts from a run's start counts from here.
        self.started_at = event.time;
        self.backoff_until = None;
        self.task_due = true;
        self.locals = reset.locals.iter().cloned().collect();
        self.inherit_more(&reset.children);
        for attempt in &reset.attempts {
            self.take_over(attempt, event.time)?;
        }
        for step in &reset.doubts {
            self.saga.doubt(*step);
        }
        Ok(())
    }

    /// An activity goes on under the number to which its base had come. An attempt that nobody has begun is held, and let go
    /// by whoever makes the run live; the others are due, and count as lost then.
    fn take_over(&mut self, from: &ResetAttempt, now: Timestamp) -> Result<(), ApplyError> {
        let activity = self.pending(from.scheduled)?;
        activity.attempt = from.attempt;
        activity.attempts_forgiven = from.forgiven;
        activity.may_have_applied |= from.may_have_applied;
        activity.held = (!from.lost).then_some(HoldReason::Stopping);
        activity.since_turn = 0;
        activity.budget_from = now;
        Ok(())
    }
}
