//! Undoing a part of a saga, after which it goes on: rollback to a savepoint. Must not live here: going back for good
//! (that is `saga`).

use crate::model::{EventAttributes, EventId};

use super::decider::Decider;
use super::ledger::UndoScope;
use super::pending::Rollback;
use super::state::{Phase, RunState};
use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    pub(super) fn roll_back(&mut self, keep: u64, decider: &dyn Decider) {
        let started = self.emit(EventAttributes::SagaRollbackStarted { keep });
        let rollback = Rollback { started, keep };
        self.stop_forward_activities(rollback.scope());
        self.advance_rollback(rollback, decider);
    }

    pub(super) fn advance_rollback(&mut self, rollback: Rollback, decider: &dyn Decider) {
        match self.state.saga.is_settled(rollback.scope()) {
            true => {
                let started = rollback.started;
                self.emit(EventAttributes::SagaRollbackCompleted { started });
            }
            false => self.undo(rollback.scope(), decider),
        }
    }
}

impl RunState {
    /// Whether a step is on its way back: the saga as a whole is, or its part behind a savepoint.
    pub(super) fn goes_back(&self, step: EventId) -> bool {
        let rolled_back = |rollback: Rollback| self.saga.scheduled_in(rollback.scope()).contains(&step);
        matches!(self.phase, Phase::Unwinding(_)) || self.rollback.is_some_and(rolled_back)
    }
}

impl Rollback {
    fn scope(self) -> UndoScope {
        UndoScope::Since {
            keep: self.keep,
            before: self.started,
        }
    }
}
