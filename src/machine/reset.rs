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
mod check;
mod origins;
mod point;

use std::collections::BTreeSet;

use crate::model::{
    ChildKey, Event, EventAttributes, EventId, LeftChild, LeftMessage, MadeAnew, PendingChange, Reapply, Reset, RunId,
    RunReset, Timestamp, Turn, UpdateId, UpdateRequest, WorkflowSignaled, limits,
};

use super::apply::ApplyError;
use super::chain::{Successor, was_handed_on};
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

use self::base::Base;
pub use self::check::ResetRefusal;
pub use self::origins::Origins;

/// What else there is under the workflow id of a run that is to be reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// What came to the runs that it continued as, in order: their signals and updates come again as well.
    pub continued: &'a [Turn],
    /// The runs that have gone on with its work: it continued as them, was tried again as them, or they were made of it. What
    /// they did counts as its own.
    pub others: &'a [RunState],
    /// The run that is open: it ends, and its children go on.
    pub gives_way: Option<&'a RunState>,
}

impl Reset {
    /// How the run begins that is made of the one with these turns.
    ///
    /// # Errors
    /// When the new run would not be what its history says, or would do again what has had its effect.
    pub fn make(
        &self,
        turns: &[Turn],
        beside: Beside<'_>,
        run_id: RunId,
        now: Timestamp,
    ) -> Result<MadeAnew, ResetRefusal> {
        let base = Base::of(turns, self.point)?;
        let left = self.check(&base, beside)?;
        let now = now.max(base.state.last_time);
        let base_run_id = base.state.run_id().unwrap_or(RunId::NIL);

        let mut state = RunState::default();
        let mut made = TurnBuilder::new(&mut state, now);
        for event in base.copied(run_id, now) {
            made.copy(event)?;
        }
        let later = || {
            base.later()
                .chain(beside.continued.iter().flat_map(|turn| &turn.events))
        };
        let updates = match self.reapply {
            Reapply::All => updates(later()),
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
            children: left_by(beside.gives_way, &base.state, made.state),
            messages: messages_left_by(beside, &base.state, made.state),
            left,
        })));
        base.compare(made.state)?;
        if self.reapply != Reapply::None {
            later().filter_map(signal).for_each(|signal| made.signal_again(signal));
            made.expect_room()?;
        }
        let first = made.finish();
        Ok(MadeAnew {
            run_id,
            first: first.expect("it has events"),
            reason: self.reason.clone(),
            identity: self.identity.clone(),
        })
    }
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

/// The messages that a run leaves when it gives way, without those that the new run has anyway, and those that are undone: the
/// code which has sent them is asked again, and says what it has to say.
fn messages_left_by(beside: Beside<'_>, base: &RunState, made: &RunState) -> Vec<LeftMessage> {
    let mut left = beside.gives_way.map(RunState::messages_left).unwrap_or_default();
    let undone: BTreeSet<RunId> = std::iter::once(base)
        .chain(beside.others)
        .filter_map(RunState::run_id)
        .collect();
    left.retain(|message| {
        let key = message.key;
        let is_copied = base.message_key(key.initiated) == key && made.externals.contains_key(&key.initiated);
        !is_copied && !undone.contains(&key.sender_run)
    });
    left
}

/// Updates that were accepted, and those that an earlier reset has asked for again, answered or not: each once.
fn updates<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<UpdateRequest> {
    let of = |event: &'a Event| match &event.attributes {
        EventAttributes::WorkflowExecutionUpdateAccepted(update) => std::slice::from_ref(&**update),
        EventAttributes::WorkflowExecutionReset(reset) => reset.updates.as_slice(),
        _ => &[],
    };
    let mut known: BTreeSet<&UpdateId> = BTreeSet::new();
    let new = events.flat_map(of).filter(|update| known.insert(&update.update_id));
    new.cloned().collect()
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

    /// A signal that comes again, unless it is there. It was taken before: that too many are unread is no reason to lose it.
    fn signal_again(&mut self, signal: &WorkflowSignaled) {
        let known = |state: &RunState| Some(state.knows_signal_request(signal.request_id.as_ref()?));
        if known(self.state) != Some(true) {
            self.emit(EventAttributes::WorkflowExecutionSignaled(Box::new(signal.clone())));
            self.serve_waits();
        }
    }

    /// What comes again is bounded by the history that it was in; but there may be many of those.
    fn expect_room(&self) -> Result<(), ResetRefusal> {
        // Of what is kept free for what must be written, a half.
        let most = limits::HISTORY_EVENTS_MAX - limits::HISTORY_EVENTS_MAX / 20;
        match self.state.events <= most {
            true => Ok(()),
            false => Err(ResetRefusal::TooMuchAgain),
        }
    }
}
