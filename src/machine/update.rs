//! Updates: requests that the run's decider may refuse, and answers when it has met them. Must not live here: what an
//! update does (that is the code's), or who waits for its answer (that is `runtime`).
//!
//! ```text
//!  asked --(known)--> the same request: nothing happens
//!    |
//!  admitted (in memory only, for this turn) --decider refuses--> nothing is journaled
//!    |
//!  Accepted event --> the handler runs, over turns and crashes --> Completed event
//! ```
//!
//! A task that is made for updates alone leaves no trace when all of them are refused: no event, not even of the task.

use std::collections::BTreeMap;

use crate::model::{
    Command, EventAttributes, EventId, Failure, ParkReason, Payload, UpdateCompleted, UpdateId, UpdateName,
    UpdateRequest, limits,
};

use super::state::{Phase, RunState};
use super::turn::{Rejection, Reply, TurnBuilder};

/// The type of the failure that answers an update which a run has left unanswered.
pub const UPDATE_ABANDONED: &str = "UpdateAbandoned";

/// An update that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRecord {
    /// The accepting event.
    pub accepted: EventId,
    /// Which update.
    pub name: UpdateName,
    /// The answer; `None` as long as the run is about it.
    pub outcome: Option<Result<Payload, Failure>>,
}

/// The updates that arrive in one turn.
#[derive(Default)]
pub(super) struct Admissions {
    /// Not shown to the decider yet.
    waiting: Vec<UpdateRequest>,
    /// Which inputs ask for which update.
    asked: Vec<(usize, UpdateId)>,
    /// What the decider made of them.
    verdicts: BTreeMap<UpdateId, Result<(), Failure>>,
}

impl Admissions {
    pub(super) fn take_waiting(&mut self) -> Vec<UpdateRequest> {
        std::mem::take(&mut self.waiting)
    }

    /// Puts the real answers in the places of those inputs.
    pub(super) fn answer(self, replies: &mut [Reply], state: &RunState, task_failure: Option<&ParkReason>) {
        for (index, update_id) in self.asked {
            let Some(reply) = replies.get_mut(index) else {
                continue;
            };
            *reply = match (self.verdicts.get(&update_id), task_failure) {
                (Some(Ok(())), _) => Reply::Accepted,
                (Some(Err(failure)), _) => Reply::Rejected(Rejection::UpdateRefused(Box::new(failure.clone()))),
                (None, Some(reason)) => Reply::Rejected(Rejection::CannotDecide(Box::new(reason.clone()))),
                (None, None) if state.is_closed() => Reply::Rejected(Rejection::Closed),
                (None, None) if state.paused.is_some() => Reply::Rejected(Rejection::Paused),
                (None, None) => Reply::Rejected(Rejection::NotGoingForward),
            };
        }
    }
}

impl TurnBuilder<'_> {
    /// Takes an update in, for the decider to look at in this turn. The answer is only known after that.
    pub(super) fn admit_update(&mut self, input: usize, request: UpdateRequest) -> Result<Reply, Rejection> {
        let id = &request.update_id;
        if self.state.updates.contains_key(id) || self.state.was_updated_before(id) {
            return Ok(Reply::Duplicate);
        }
        self.state.check_payload(&request.input)?;
        if self.state.phase != Phase::Running {
            return Err(Rejection::NotGoingForward);
        }
        if self.state.paused.is_some() {
            return Err(Rejection::Paused);
        }
        if let Some(at) = self.state.backoff_until.filter(|at| *at > self.now)
            && !self.state.may_begin_early()
        {
            return Err(Rejection::NotBegun { at });
        }
        let same = |asked: &(usize, UpdateId)| asked.1 == request.update_id;
        if !self.admissions.asked.iter().any(same) {
            let new = self.admissions.waiting.len();
            let in_flight = self.state.updates.values().filter(|update| update.outcome.is_none());
            if in_flight.count() + new >= limits::UPDATES_IN_FLIGHT_MAX {
                return Err(Rejection::TooManyUpdatesInFlight);
            }
            if self.state.updates.len() + new >= limits::UPDATES_MAX {
                return Err(Rejection::TooManyUpdates);
            }
            self.check_room()?;
            self.admissions.waiting.push(request.clone());
        }
        self.admissions.asked.push((input, request.update_id));
        Ok(Reply::Accepted)
    }

    /// Whether the decider has something to look at.
    pub(super) fn wants_task(&self) -> bool {
        self.state.task_due(self.now) || (!self.admissions.waiting.is_empty() && self.state.phase == Phase::Running)
    }

    /// Takes the refusals out of a task's commands: they are answers, and leave nothing else.
    pub(super) fn note_refusals(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let (mut rest, verdicts) = (Vec::with_capacity(commands.len()), &mut self.admissions.verdicts);
        for command in commands {
            match command {
                Command::RejectUpdate { update_id, failure } => drop(verdicts.insert(update_id, Err(failure))),
                other => rest.push(other),
            }
        }
        rest
    }

    pub(super) fn accept_update(&mut self, request: UpdateRequest) {
        self.admissions.verdicts.insert(request.update_id.clone(), Ok(()));
        self.emit(EventAttributes::WorkflowExecutionUpdateAccepted(Box::new(request)));
    }

    pub(super) fn complete_update(&mut self, update_id: UpdateId, outcome: Result<Payload, Failure>) {
        let open = self.state.updates.get(&update_id);
        let Some(accepted) = open
            .filter(|update| update.outcome.is_none())
            .map(|update| update.accepted)
        else {
            return;
        };
        self.emit(EventAttributes::WorkflowExecutionUpdateCompleted(Box::new(
            UpdateCompleted {
                update_id,
                accepted,
                outcome: outcome.map_err(Failure::bounded),
            },
        )));
    }
}

impl RunState {
    /// Every update that was accepted, by id.
    pub fn updates(&self) -> impl Iterator<Item = (&UpdateId, &UpdateRecord)> {
        self.updates.iter()
    }

    /// Whether the run has accepted it, or is to be asked for it again after a reset: it never will be once it goes forward no
    /// more.
    #[must_use]
    pub fn knows_update(&self, update_id: &UpdateId) -> bool {
        self.updates.contains_key(update_id) || (self.phase == Phase::Running && self.is_readmitted(update_id))
    }

    /// Whether the run has left it unanswered for good.
    #[must_use]
    pub fn has_abandoned(&self, update_id: &UpdateId) -> bool {
        let open = self
            .updates
            .get(update_id)
            .is_some_and(|update| update.outcome.is_none());
        open && self.phase != Phase::Running
    }

    /// The answer to an accepted update, as far as there is or can be one: a run that ends, or turns back, leaves what it
    /// had accepted unanswered for good. `None`: not accepted, or still in progress.
    #[must_use]
    pub fn update_outcome(&self, update_id: &str) -> Option<Result<Payload, Failure>> {
        let update = self.updates.get(update_id)?;
        match (&update.outcome, &self.phase) {
            (Some(outcome), _) => Some(outcome.clone()),
            (None, Phase::Running) => None,
            (None, _) => Some(Err(Failure::non_retryable(
                UPDATE_ABANDONED,
                format!(
                    "the run ended, or turned back, before it had answered the update {:?}",
                    update.name
                ),
            ))),
        }
    }
}
