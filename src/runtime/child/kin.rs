//! Whether a run is the child that is meant, and what it means when there is none. Must not live here: what is done with it.

use crate::machine::RunState;
use crate::model::{AttemptOutcome, Failure, ParentRun, Payload, WorkflowId};

use super::super::recovery::load_state;
use super::Attendant;

impl Attendant {
    pub(super) fn is_own(&self, state: &RunState) -> bool {
        let parent = state.started().and_then(|started| started.parent.as_ref());
        parent == Some(&self.order.parent) || parent.is_some_and(|parent| self.is_of_a_base(parent))
    }

    /// Whether it is a child of a run that the one which is undone was made of by a reset: the run that undoes it has taken
    /// over what that one had copied.
    fn is_of_a_base(&self, parent: &ParentRun) -> bool {
        let order = &self.order;
        if !order.speaks_for_another || parent.workflow_id != order.parent.workflow_id {
            return false;
        }
        let store = self.gateway.store();
        let state = store.and_then(|store| Ok(load_state(&self.shared.codecs, &*store, order.parent.run_id)?));
        state.is_ok_and(|state| state.bases().any(|base| base == parent.run_id))
    }

    /// The step's child is not there. Mostly it was never started; but of one that was, somebody has to undo what it did.
    pub(super) fn without_child(&self, id: &WorkflowId) -> AttemptOutcome {
        match self.order.had_child {
            false => Ok(Payload::null()),
            true => {
                let message = format!("the child {id:?} is not in the store any more, so what it did cannot be undone");
                Err(Failure::non_retryable("ChildNotUndone", message))
            }
        }
    }
}
