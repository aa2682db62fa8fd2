//! One turn: inputs in, events and a new state out. Lives here: the loop over inputs and the builder that emits events.
//! Must not live here: what a single input or command means (each concept has its own file).

use crate::model::{
    ChoiceKind, Event, EventAttributes, EventId, Failure, Input, ParkReason, PendingChange, RunId, Timestamp, Turn,
    limits,
};

use super::chain::Successor;
use super::decider::Decider;
use super::reset::ResetRefusal;
use super::state::RunState;
use super::update::Admissions;

/// What came of a turn.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// What is to be journaled; `None` when nothing changed.
    pub turn: Option<Turn>,
    /// The answer to each input, in order.
    pub replies: Vec<Reply>,
    /// Why the decider could not do its task, if it could not. The inputs are journaled all the same.
    pub task_failure: Option<ParkReason>,
    /// The run that follows this one, which has ended: its first turn is to be journaled together with this one's.
    pub successor: Option<Box<Successor>>,
}

/// The answer to an input, to be given once the turn is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It was taken.
    Accepted,
    /// It was taken, and the activity that it is about has been asked to stop.
    StopAsked,
    /// It had been taken before; nothing changed.
    Duplicate,
    /// This run has ended for it, and another one follows.
    Begun {
        /// That run.
        run_id: RunId,
    },
    /// It was refused; nothing changed.
    Rejected(Rejection),
}

/// Why an input was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The run has ended.
    #[error("the run has already ended")]
    Closed,
    /// The run has not begun.
    #[error("the run has not started")]
    NotStarted,
    /// The run has begun already.
    #[error("run {run_id} has already started")]
    AlreadyStarted {
        /// Which run that is.
        run_id: RunId,
    },
    /// The attempt is not the current one: its result comes too late.
    #[error("the attempt is not current any more; its result is refused")]
    StaleAttempt,
    /// The saga's pivot has succeeded or is being tried: it only goes forward.
    #[error("the saga has reached its pivot and only goes forward; it can not be canceled")]
    PastPivot,
    /// Nothing about the saga needs a person.
    #[error("the saga is not stuck: there is nothing to decide")]
    NotStuck,
    /// Nothing about this step needs a person.
    #[error("step {step:?} is not stuck; stuck: {}", .stuck.join(", "))]
    StepNotStuck {
        /// The step that was named.
        step: String,
        /// The steps that are stuck.
        stuck: Vec<String>,
    },
    /// Several things are stuck, and the decision does not say which it is about.
    #[error("several things are stuck, say which one is meant: {}", .stuck.join(", "))]
    WhichStep {
        /// The steps that are stuck.
        stuck: Vec<String>,
    },
    /// The choice is not open now.
    #[error("{choice} is not possible here; possible: {}", .open.join(", "))]
    ChoiceNotOpen {
        /// What was chosen.
        choice: ChoiceKind,
        /// What can be chosen.
        open: Vec<String>,
    },
    /// Too many signals wait for a step that reads them.
    #[error("{} signals are unread; the run takes no more", limits::PENDING_MAX)]
    TooManySignals,
    /// Too many updates were accepted and are not answered.
    #[error(
        "{} updates are in progress; try again when one of them is answered",
        limits::UPDATES_IN_FLIGHT_MAX
    )]
    TooManyUpdatesInFlight,
    /// Too many updates were accepted, all in all.
    #[error("the run has had {} updates and takes no more; start a new run", limits::UPDATES_MAX)]
    TooManyUpdates,
    /// The run refused the update; nothing of it is recorded.
    #[error("the update was refused: {0}")]
    UpdateRefused(Box<Failure>),
    /// The run is going back, or waits for a person: it takes no updates.
    #[error("the run does not go forward any more; it takes no updates")]
    NotGoingForward,
    /// A run cannot be made anew from that turn.
    #[error(transparent)]
    ResetRefused(#[from] Box<ResetRefusal>),
    /// The run stands still: it takes no updates.
    #[error("the run is paused, and takes no updates until it is unpaused")]
    Paused,
    /// The run begins later: it follows a run that failed, or has a schedule.
    #[error("the run begins at {at}; it takes no updates before that")]
    NotBegun {
        /// When it begins.
        at: Timestamp,
    },
    /// The run's code cannot decide about the update; nothing of it is recorded.
    #[error("the run's code cannot decide now: {0}")]
    CannotDecide(Box<ParkReason>),
    /// The history may not grow any more.
    #[error("the history has reached its limit of {max} events")]
    HistoryFull {
        /// That many.
        max: u64,
    },
    /// A value is larger than the run's namespace grants.
    #[error(
        "the value has {bytes} bytes, more than the {max} that the namespace grants (store large data elsewhere and pass a \
         reference)"
    )]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
        /// What is granted.
        max: usize,
    },
}

/// Decides what the inputs mean, and lets the decider react to them, as one turn.
///
/// The state is left as it is after the turn. `now` must not be read from the state; time that runs backwards is held at
/// the last turn's time. Between two turns of one process it must not run backwards past the dispatch of an attempt, or
/// the machine would take that attempt for one that still waits.
pub fn decide(state: &mut RunState, inputs: Vec<Input>, now: Timestamp, decider: &mut dyn Decider) -> Decision {
    let now = now.max(state.last_time);
    let mut turn = TurnBuilder::new(state, now);
    let inputs = inputs.into_iter().enumerate();
    let mut replies: Vec<Reply> = inputs
        .map(|(place, input)| turn.take(place, input, &*decider))
        .collect();
    let task_failure = turn.run_to_rest(decider).err();
    std::mem::take(&mut turn.admissions).answer(&mut replies, turn.state, task_failure.as_ref());
    let successor = turn.successor.take();
    let turn = turn.finish();
    Decision {
        turn,
        replies,
        task_failure,
        successor,
    }
}

/// Sets the run aside, or takes it up again, as a turn of its own.
pub fn park(state: &mut RunState, reason: Option<ParkReason>, now: Timestamp) -> Option<Turn> {
    if state.is_closed() || state.parked == reason {
        return None;
    }
    let now = now.max(state.last_time);
    let mut turn = TurnBuilder::new(state, now);
    turn.change(match reason {
        Some(reason) => PendingChange::Parked { reason },
        None => PendingChange::Unparked,
    });
    turn.finish()
}

/// A turn in the making. Whatever is emitted is folded into the state at once, by the code that recovery uses.
pub(super) struct TurnBuilder<'a> {
    pub(super) state: &'a mut RunState,
    pub(super) now: Timestamp,
    events: Vec<Event>,
    pending: Vec<PendingChange>,
    pub(super) admissions: Admissions,
    /// The run has ended, and this one follows.
    pub(super) successor: Option<Box<Successor>>,
}

impl<'a> TurnBuilder<'a> {
    pub(super) fn new(state: &'a mut RunState, now: Timestamp) -> Self {
        Self {
            state,
            now,
            events: Vec::new(),
            pending: Vec::new(),
            admissions: Admissions::default(),
            successor: None,
        }
    }
}

impl TurnBuilder<'_> {
    /// Records a fact; returns its id.
    pub(super) fn emit(&mut self, attributes: EventAttributes) -> EventId {
        let event = Event {
            id: self.state.next_event(),
            time: self.now,
            attributes,
        };
        self.state
            .apply_event(&event)
            .expect("what is decided from a state fits it; a misfit is a bug that must stop this run only");
        let id = event.id;
        self.events.push(event);
        id
    }

    /// Keeps an event that the state has taken already.
    pub(super) fn take_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Records a change of the pending record.
    pub(super) fn change(&mut self, change: PendingChange) {
        self.state
            .apply_pending(&change)
            .expect("what is decided from a state fits it; a misfit is a bug that must stop this run only");
        self.pending.push(change);
    }

    /// What this turn changed in the pending record so far.
    pub(super) fn changes(&self) -> &[PendingChange] {
        &self.pending
    }

    /// What this turn recorded so far.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether this turn recorded the event.
    pub(super) fn began_in_this_turn(&self, event: EventId) -> bool {
        self.events.first().is_some_and(|first| first.id <= event)
    }

    fn take(&mut self, place: usize, input: Input, decider: &dyn Decider) -> Reply {
        let result = match input {
            Input::Start(start) => self.start(*start, decider),
            Input::Recovered { at } => Ok(self.recovered(at)),
            Input::Wake => Ok(self.wake(decider)),
            Input::Reset(made) if !self.state.is_closed() => self.reset(*made),
            _ if self.state.started.is_none() => Err(Rejection::NotStarted),
            Input::ChildReleased { child } => Ok(self.child_released(child)),
            Input::MessageReleased { message } => Ok(self.message_released(message)),
            _ if self.state.is_closed() => Err(Rejection::Closed),
            Input::Signal {
                name,
                input,
                request_id,
                identity,
            } => self.signal(name, input, request_id, identity),
            Input::Update(request) => self.admit_update(place, *request),
            Input::ExternalEnded { initiated, outcome } => self.external_ended(initiated, outcome),
            Input::ChildStarted { initiated, outcome } => self.child_started(initiated, outcome),
            Input::ChildEnded { initiated, end } => self.child_ended(initiated, end),
            Input::RequestCancel { reason, identity } => self.request_cancel(reason, identity),
            Input::Pause { reason, identity } => self.pause(reason, identity),
            Input::Unpause { reason, identity } => Ok(self.unpause(reason, identity, decider)),
            Input::Reset(_) => Err(Rejection::Closed),
            Input::Terminate { reason, identity } => Ok(self.terminate(reason, identity)),
            Input::Decide(decision) => self.decide_stuck(*decision, decider),
            Input::LockGranted { lock } => Ok(self.lock_granted(&lock)),
            Input::LockRefused { lock, failure } => Ok(self.lock_refused(&lock, failure)),
            Input::Hold { attempts, why } => Ok(self.hold(attempts, why)),
            Input::Release { token } => Ok(self.release(token)),
            Input::Report(report) => self.report(*report),
            Input::HandedOver { token, started } => self.hand_over(token, started),
            Input::AttemptEnded { token, outcome } => self.attempt_ended(token, outcome),
        };
        match result {
            Ok(reply) => reply,
            Err(rejection) => Reply::Rejected(rejection),
        }
    }

    pub(super) fn finish(self) -> Option<Turn> {
        if self.events.is_empty() && self.pending.is_empty() {
            return None;
        }
        let turn = Turn {
            seq: self.state.turns + 1,
            time: self.now,
            events: self.events,
            pending: self.pending,
        };
        self.state.finish_turn(turn.seq, turn.time);
        Some(turn)
    }
}
