//! What comes to be known of a step after its end: a late result, an earlier attempt's effect. Must not live here: who knows it.

use super::{SagaLedger, StepState, UndoState, owed};
use crate::model::EventId;

impl SagaLedger {
    pub(in crate::machine) fn on_late_result(&mut self, scheduled: EventId) {
        if let Some(step) = self.steps.get_mut(&scheduled) {
            step.late_results = step.late_results.saturating_add(1);
        }
    }

    /// A step that failed may have had an effect all the same, of which its last words say nothing.
    pub(in crate::machine) fn doubt(&mut self, scheduled: EventId) {
        let Some(step) = self.steps.get_mut(&scheduled) else {
            return;
        };
        let StepState::Failed { may_have_applied, .. } = &mut step.state else {
            return;
        };
        *may_have_applied = true;
        if step.undo == UndoState::NotOwed {
            step.undo = owed(step.compensation());
        }
    }
}
