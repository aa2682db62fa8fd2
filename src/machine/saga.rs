//! The way back: turning a saga around, compensating what is owed, and ending the run. Must not live here: the ledger of
//! what is owed, or anything that depends on how the saga was written (code or definition).

use std::sync::Arc;

use crate::model::{
    ActivityRole, ActivityScheduled, CompensationInput, EventAttributes, EventId, Failure, PendingChange, StuckReason,
    UnwindCause, limits,
};

use super::decider::{Decider, undo_payload};
use super::ledger::UndoScope;
use super::state::Phase;
use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    /// The run is to end with this cause: turns the saga back, or ends the run when nothing needs undoing.
    pub(super) fn unwind(&mut self, cause: UnwindCause, decider: &dyn Decider) {
        if self.state.saga.pivot_completed() && !self.state.pivot_overruled {
            self.emit_stuck(None, StuckReason::FailedAfterPivot, cause.failure());
            return;
        }
        if self.state.saga.is_settled(UndoScope::Everything) {
            self.close_unwound(cause);
            return;
        }
        self.emit(EventAttributes::SagaUnwindStarted(Box::new(
            crate::model::SagaUnwindStarted { cause },
        )));
        self.stop_waits();
        self.stop_forward_activities(UndoScope::Everything);
        self.advance(decider);
    }

    /// Does whatever the state of the saga asks for: starts every compensation and verification that may start, and ends
    /// an unwinding, or a rollback, that is done.
    pub(super) fn advance(&mut self, decider: &dyn Decider) {
        self.start_verifications(decider);
        match (&self.state.phase, self.state.rollback) {
            (Phase::Unwinding(cause), _) => {
                let cause = cause.clone();
                self.advance_unwinding(cause, decider);
            }
            (Phase::Running, Some(rollback)) => self.advance_rollback(rollback, decider),
            _ => {}
        }
    }

    fn advance_unwinding(&mut self, cause: UnwindCause, decider: &dyn Decider) {
        if self.halt_at_pivot(&cause) {
            return;
        }
        if self.state.saga.is_settled(UndoScope::Everything) {
            self.close_unwound(cause);
            return;
        }
        self.undo(UndoScope::Everything, decider);
    }

    /// Starts compensations, as many as may run at once.
    pub(super) fn undo(&mut self, scope: UndoScope, decider: &dyn Decider) {
        let options = self.state.saga_options();
        let bound = options.and_then(|options| options.unwind_parallel);
        let bound = usize::try_from(bound.unwrap_or(limits::UNWIND_PARALLEL_MAX).max(1)).unwrap_or(usize::MAX);
        // What waits for a person holds up nobody else.
        let stuck = self
            .state
            .activities
            .values()
            .filter(|activity| activity.stuck && activity.is_compensation());
        let room = bound.saturating_sub(self.state.saga.undoing().saturating_sub(stuck.count()));
        for step in self.state.saga.ready_to_undo(scope).into_iter().take(room) {
            self.schedule_compensation(step, decider);
        }
    }

    /// Waits for a person, instead of going back, when that would leave a pivot's effect behind.
    fn halt_at_pivot(&mut self, cause: &UnwindCause) -> bool {
        if self.state.pivot_overruled {
            return false;
        }
        let Some(pivot) = self.state.saga.pivot_not_undoable() else {
            return false;
        };
        let message = format!(
            "the pivot {:?} succeeded after the saga had turned back, and has no compensation",
            pivot.name
        );
        let failure = Failure::non_retryable("PivotNotUndoable", message).caused_by(cause.failure());
        self.emit_stuck(None, StuckReason::FailedAfterPivot, failure);
        true
    }

    fn schedule_compensation(&mut self, step: EventId, decider: &dyn Decider) {
        let Some(record) = self.state.saga.by_scheduled(step) else {
            return;
        };
        let Some(compensation) = record.compensation().cloned() else {
            return;
        };
        let input = match (&record.undo_input, compensation.input) {
            (Some(input), _) => Ok(input.clone()),
            (None, CompensationInput::Undo) => undo_payload(record),
            (None, CompensationInput::Mapped) => decider.compensation_input(self.state, record),
        };
        match input {
            Ok(input) => {
                let activity_id = format!("{}/undo", record.activity_id());
                self.emit(EventAttributes::ActivityTaskScheduled(Arc::new(ActivityScheduled {
                    activity_id: crate::model::ActivityId::from_trusted(activity_id),
                    activity_type: compensation.activity_type,
                    input,
                    options: compensation.options,
                    role: ActivityRole::Compensation(step),
                })));
            }
            Err(error) => {
                let failure = Failure::non_retryable("CompensationInput", error.to_string());
                self.emit_stuck(Some(step), StuckReason::CompensationInput, failure);
            }
        }
    }

    fn close_unwound(&mut self, cause: UnwindCause) {
        let by_definition = self.state.started().is_some_and(|started| started.definition.is_some());
        let amended = (by_definition || !self.state.saga.is_empty()) && !self.state.leaves_something();
        let next = self.next_after(&cause);
        if let Some(start) = &next {
            self.change(PendingChange::FollowedBy { run_id: start.run_id });
        }
        self.emit(match cause {
            UnwindCause::Failed(failure) => EventAttributes::WorkflowExecutionFailed { failure, amended },
            UnwindCause::Canceled(failure) => EventAttributes::WorkflowExecutionCanceled { failure, amended },
            UnwindCause::TimedOut => EventAttributes::WorkflowExecutionTimedOut { amended },
        });
        if let Some(start) = next {
            self.follow_as(start);
        }
    }

    pub(super) fn emit_stuck(&mut self, step: Option<EventId>, reason: StuckReason, failure: Failure) {
        let stuck = crate::model::SagaStuck { step, reason, failure };
        self.emit(EventAttributes::SagaStuck(Box::new(stuck)));
    }
}
