//! Whether a run may be reset: what has happened since that would not fit, or would be done again. Must not live here: what
//! the new run begins with.

use std::collections::BTreeSet;

use crate::machine::RunLock;
use crate::machine::apply::ApplyError;
use crate::machine::ledger::{StepRecord, StepState, UndoState};
use crate::machine::pending::LockState;
use crate::machine::state::RunState;
use crate::model::{EventId, Reset, RunId, StepKind, StepName, limits};

use super::Beside;
use super::base::Base;

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
    /// Steps of the run that is open may have had their effect, which the new run would know nothing of.
    #[error("{} may have had an effect, and nobody would undo that when this run gives way", .0.join(", "))]
    WouldLeave(Vec<String>),
    /// The run whose step it is has had it undone.
    #[error("run {0} has undone it: its parent turned back; there is nothing that could go on")]
    UndoneByParent(RunId),
    /// Too many runs have followed it.
    #[error("more than {} runs have followed it; reset a later one", limits::RESET_RUNS_MAX)]
    TooManyRuns,
    /// The run that is open has ended, and its children have not all been told, or its messages not all been brought.
    #[error(
        "the run has ended, and has still to tell its children so, or to bring messages to other runs; that needs an engine: \
         start one for a moment"
    )]
    Leaving,
    /// What came since is more than a history may have.
    #[error("more signals have come since that turn than a history has room for; reset a later turn, or a later run")]
    TooMuchAgain,
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

impl Reset {
    /// Compares how the base, and whatever has gone on with its work, has come to stand with what the new run begins from; says
    /// which steps are left as they are.
    pub(super) fn check(&self, base: &Base<'_>, beside: Beside<'_>) -> Result<Vec<StepName>, ResetRefusal> {
        if base.state.adopted_from().is_some() {
            return Err(ResetRefusal::UndoesAnother);
        }
        let asked_for = |lock: &&RunLock| !matches!(lock.state, LockState::Refused(_));
        if let Some(lock) = base.there.locks().find(asked_for) {
            return Err(ResetRefusal::HasLock(lock.lock.to_string()));
        }
        let runs = || std::iter::once(&base.state).chain(beside.others);
        let undone: Vec<Done<'_>> = runs().flat_map(|run| base.undone_by(run)).collect();
        if !undone.is_empty() {
            return Err(ResetRefusal::Undone(base.in_words(&undone)));
        }
        // Several runs may have the same step: what one of them has undone is undone, and each counts once.
        let is_undone = |done: &Done<'_>| done.step.undo == UndoState::Done;
        let every = || runs().flat_map(|run| run.steps().map(move |step| Done { run, step }));
        let mut settled: BTreeSet<_> = every().filter(is_undone).map(Done::key).collect();
        let mut happened: Vec<Done<'_>> = runs().flat_map(|run| base.done_by(run)).collect();
        happened.retain(|done| settled.insert(done.key()));
        if !self.force && !happened.is_empty() {
            return Err(ResetRefusal::WouldRepeat(base.in_words(&happened)));
        }
        let strange = |run: &&RunState| runs().all(|known| known.run_id() != run.run_id());
        if let Some(run) = beside.gives_way.filter(strange) {
            let left: Vec<Done<'_>> = base.done_by(run).collect();
            if !self.force && !left.is_empty() {
                return Err(ResetRefusal::WouldLeave(base.in_words(&left)));
            }
            happened.extend(left);
        }
        Ok(happened.iter().map(|done| done.step.name.clone()).collect())
    }
}

/// A step, and the run in which it stands so.
#[derive(Clone, Copy)]
struct Done<'a> {
    run: &'a RunState,
    step: &'a StepRecord,
}

impl Done<'_> {
    /// Equal for a step and its copies.
    fn key(self) -> (EventId, Option<RunId>) {
        (self.step.scheduled, self.run.writer_of(self.step.scheduled))
    }
}

impl Base<'_> {
    /// How a step stands in what is copied, if that has it.
    fn before(&self, done: Done<'_>) -> Option<&StepRecord> {
        let event = done.step.scheduled;
        let is_same = done.run.writer_of(event) == self.state.writer_of(event);
        self.there.step_by_event(event).filter(|_| is_same)
    }

    /// The steps which the new run would take for done, although this run has undone them.
    fn undone_by<'a>(&self, run: &'a RunState) -> impl Iterator<Item = Done<'a>> {
        let steps = run.steps().map(move |step| Done { run, step });
        steps.filter(move |done| {
            let before = self.before(*done);
            before.is_some_and(|before| before.undo != done.step.undo && is_undone(done.step))
        })
    }

    /// The steps of this run of which the new one would know nothing, although they may have had an effect.
    fn done_by<'a>(&self, run: &'a RunState) -> impl Iterator<Item = Done<'a>> {
        let steps = run.steps().map(move |step| Done { run, step });
        steps.filter(move |done| self.before(*done).is_none() && may_have_effect(done.step))
    }

    fn in_words(&self, steps: &[Done<'_>]) -> Vec<String> {
        let in_words = |Done { run, step }: &Done<'_>| match run.run_id() {
            Some(other) if Some(other) != self.state.run_id() => format!("{} of run {other}", step.name),
            _ => step.name.to_string(),
        };
        steps.iter().map(in_words).collect()
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
