//! The way back: turning a saga around, compensating what is owed, and ending the run. Must not live here: the ledger of
//! what is owed, or anything that depends on how the saga was written (code or definition).

use crate::model::{ActivityScheduled, CompensationInput, EventAttributes, EventId, Failure, StuckReason, UnwindCause};

use super::decider::{Decider, undo_payload};
use super::ledger::StepState;
use super::state::Phase;
use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    /// The run is to end with this cause: turns the saga back, or ends the run when nothing needs undoing.
    pub(super) fn unwind(&mut self, cause: UnwindCause, decider: &dyn Decider) {
        if self.state.saga.pivot_completed() {
            self.emit_stuck(None, StuckReason::FailedAfterPivot, cause.failure());
            return;
        }
        if self.halt_at_pivot(&cause) {
            return;
        }
        if self.state.saga.is_settled() {
            self.close_unwound(cause);
            return;
        }
        self.emit(EventAttributes::SagaUnwindStarted(Box::new(
            crate::model::SagaUnwindStarted { cause },
        )));
        self.stop_forward_activities();
        self.advance_unwinding(decider);
    }

    /// Starts every compensation that may start; ends the run when all is undone.
    pub(super) fn advance_unwinding(&mut self, decider: &dyn Decider) {
        let Phase::Unwinding(cause) = &self.state.phase else {
            return;
        };
        let cause = cause.clone();
        if self.halt_at_pivot(&cause) {
            return;
        }
        if self.state.saga.is_settled() {
            self.close_unwound(cause);
            return;
        }
        for step in self.state.saga.ready_to_undo() {
            self.schedule_compensation(step, decider);
        }
    }

    /// Waits for a person, instead of going back, when that would leave a pivot's effect behind.
    fn halt_at_pivot(&mut self, cause: &UnwindCause) -> bool {
        let Some(pivot) = self.state.saga.pivot_not_undoable() else {
            return false;
        };
        let how = match pivot.state {
            StepState::Failed { .. } => "failed without being sure that nothing happened",
            _ => "succeeded after the saga had turned back",
        };
        let message = format!("the pivot {:?} {how}, and has no compensation", pivot.name);
        let failure = Failure::non_retryable("PivotNotUndoable", message).caused_by(cause.failure());
        self.emit_stuck(None, StuckReason::FailedAfterPivot, failure);
        true
    }

    fn schedule_compensation(&mut self, step: EventId, decider: &dyn Decider) {
        let Some(record) = self.state.saga.by_scheduled(step) else {
            return;
        };
        let Some(compensation) = record.compensation.clone() else {
            return;
        };
        let input = match compensation.input {
            CompensationInput::Undo => undo_payload(record),
            CompensationInput::Mapped => decider.compensation_input(self.state, record),
        };
        match input {
            Ok(input) => {
                let activity_id = format!("{}/undo", record.activity_id);
                self.emit(EventAttributes::ActivityTaskScheduled(Box::new(ActivityScheduled {
                    activity_id: crate::model::ActivityId::from_trusted(activity_id),
                    activity_type: compensation.activity_type,
                    input,
                    options: compensation.options,
                    step: None,
                    undoes: Some(step),
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
        let amended = by_definition || !self.state.saga.is_empty();
        self.emit(match cause {
            UnwindCause::Failed(failure) => EventAttributes::WorkflowExecutionFailed { failure, amended },
            UnwindCause::Canceled(failure) => EventAttributes::WorkflowExecutionCanceled { failure, amended },
            UnwindCause::TimedOut => EventAttributes::WorkflowExecutionTimedOut { amended },
        });
    }

    pub(super) fn emit_stuck(&mut self, step: Option<EventId>, reason: StuckReason, failure: Failure) {
        let stuck = crate::model::SagaStuck { step, reason, failure };
        self.emit(EventAttributes::SagaStuck(Box::new(stuck)));
    }
}
