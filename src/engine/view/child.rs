//! A run's child workflows, for people and scripts. Must not live here: rendering.

use crate::machine::RunState;
use crate::model::{ParentClosePolicy, RunId, Timestamp, WorkflowId, WorkflowType};

/// A child workflow that has not ended, as its parent's journal has it.
#[derive(Clone, Debug)]
pub struct ChildView {
    /// The child's workflow id.
    pub workflow_id: WorkflowId,
    /// Its execution; `None` as long as it was not seen to begin.
    pub run_id: Option<RunId>,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// When it was asked for.
    pub initiated_at: Timestamp,
    /// What becomes of it when its parent ends first.
    pub parent_close_policy: ParentClosePolicy,
}

impl ChildView {
    /// The children that have not ended, those of earlier runs of the chain too, or that a run which has ended still has to
    /// let go of.
    pub(super) fn all(state: &RunState) -> Vec<Self> {
        let own = state.children().map(|(_, child)| {
            (
                &child.start,
                child.started.map(|(run_id, _)| run_id),
                child.initiated_at,
            )
        });
        let left = state.inherited_children().chain(state.orphans());
        let left = left.map(|child| (&child.start, child.run_id, child.initiated_at));
        own.chain(left)
            .map(|(start, run_id, initiated_at)| Self {
                workflow_id: start.workflow_id.clone(),
                run_id,
                workflow_type: start.workflow_type.clone(),
                initiated_at,
                parent_close_policy: start.parent_close_policy,
            })
            .collect()
    }
}
