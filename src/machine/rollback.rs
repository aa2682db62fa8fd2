//! Undoing a part of a saga, after which it goes on: rollback to a savepoint. Must not live here: going back for good
//! (that is `saga`).

use crate::model::EventAttributes;

use super::decider::Decider;
use super::ledger::UndoScope;
use super::pending::Rollback;
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

impl Rollback {
    fn scope(self) -> UndoScope {
        UndoScope::Since {
            keep: self.keep,
            before: self.started,
        }
    }
}
