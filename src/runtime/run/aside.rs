//! Setting a run aside whose code, or whatever decides for it, cannot go on: it is parked, visibly. Must not live here: how often
//! it is tried again before that (that is `shard`).

use crate::machine::{NoDecider, park};
use crate::model::{ParkReason, Turn};

use super::super::recovery::ParkedDecider;
use super::{Next, RunActor};

impl RunActor {
    /// The run has failed too often: its code is not asked any more, it is set aside for this reason.
    pub(in super::super) fn parking(mut self, reason: ParkReason) -> Self {
        let decider = std::mem::replace(&mut self.decider, Box::new(NoDecider));
        self.decider = Box::new(match self.is_code() {
            true => ParkedDecider::of_code(reason.clone()),
            false => ParkedDecider::before(decider, reason.clone()),
        });
        self.next = Some(Next::Park(reason));
        self.given_up = true;
        self
    }

    /// Whether its workflow is code, not a definition.
    fn is_code(&self) -> bool {
        self.state.started().is_none_or(|started| started.definition.is_none())
    }

    /// A panic may have been an accident: the run is rebuilt and tried again a few times. Everything else stays as it is
    /// until the code changes.
    pub(super) fn task_failed(&mut self, reason: ParkReason) {
        if self.state.parked() == Some(&reason) {
            return;
        }
        self.next = Some(match reason {
            ParkReason::Panicked { .. } if !self.given_up => Next::Fail(reason),
            reason => Next::Park(reason),
        });
    }

    /// Parks the run; the turn is to be recorded.
    pub(super) fn set_aside(&mut self, reason: ParkReason) -> Option<Turn> {
        tracing::warn!(workflow_id = %self.at.workflow_id, run_id = %self.at.run_id, %reason, "parked");
        if self.is_code() {
            // What it has decided is recorded nowhere: it and the history are not of one mind any more.
            self.decider = Box::new(ParkedDecider::of_code(reason.clone()));
        }
        park(&mut self.state, Some(reason), self.at.shared.clock.now())
    }
}
