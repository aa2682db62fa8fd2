//! Child workflows, as their parent sees them: asked for, begun, ended, and let go of when the parent ends first. Must not
//! live here: starting a child, or finding out how it ended (that is `runtime`); the child's own history.
//!
//! ```text
//!  command --> Initiated --> (the runtime starts it, as often as crashes make it) --> Started | StartFailed
//!  Started --> (the runtime looks after it) --> Completed | Failed | Canceled | TimedOut | Terminated
//!  the parent ends --> its open children are owed their parent close policy --> (pending record) released, one by one
//! ```
//!
//! The initiating event names the child for ever: its start has that for its request id, so the same child is found however
//! often it is started. A parent that has ended is kept open in the store until every child was let go of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ChildEnd, ChildEvent, EventAttributes, EventId, Failure, ParentClosePolicy, PendingChange, RunId, StartChild,
    Timestamp, WorkflowId, limits,
};

use super::apply::ApplyError;
use super::external::PendingExternal;
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

/// A child that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingChild {
    /// What was asked for.
    pub start: Arc<StartChild>,
    /// When it was asked for.
    pub initiated_at: Timestamp,
    /// Its execution and the event of its beginning; `None` as long as that is not known.
    pub started: Option<(RunId, EventId)>,
    /// The run has ended before the child was told that it is to end.
    pub owes_cancel: bool,
}

/// The children of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Children {
    pending: BTreeMap<EventId, PendingChild>,
    /// Those that were open when the run ended, and were not let go of yet.
    orphans: BTreeMap<EventId, PendingChild>,
}

impl TurnBuilder<'_> {
    pub(super) fn start_child(&mut self, start: StartChild) {
        self.emit_child(ChildEvent::Initiated(Arc::new(start)));
    }

    pub(super) fn child_started(
        &mut self,
        initiated: EventId,
        outcome: Result<RunId, Failure>,
    ) -> Result<Reply, Rejection> {
        let child = self.state.children.pending.get(&initiated);
        if child.is_none_or(|child| child.started.is_some()) {
            return Err(Rejection::StaleAttempt);
        }
        self.emit_child(match outcome {
            Ok(run_id) => ChildEvent::Started { initiated, run_id },
            Err(failure) => ChildEvent::StartFailed { initiated, failure },
        });
        Ok(Reply::Accepted)
    }

    pub(super) fn child_ended(&mut self, initiated: EventId, end: ChildEnd) -> Result<Reply, Rejection> {
        let child = self.state.children.pending.get(&initiated);
        let (_, started) = child.and_then(|child| child.started).ok_or(Rejection::StaleAttempt)?;
        self.emit_child(ChildEvent::Ended {
            initiated,
            started,
            end,
        });
        Ok(Reply::Accepted)
    }

    /// A child that was open when this run ended has been let go of.
    pub(super) fn child_released(&mut self, initiated: EventId) -> Reply {
        if !self.state.children.orphans.contains_key(&initiated) {
            return Reply::Duplicate;
        }
        self.change(PendingChange::ChildReleased { initiated });
        Reply::Accepted
    }

    fn emit_child(&mut self, event: ChildEvent) {
        self.emit(EventAttributes::Child(Box::new(event)));
    }
}

/// Folding.
impl RunState {
    pub(super) fn apply_child(&mut self, id: EventId, at: Timestamp, event: &ChildEvent) -> Result<(), ApplyError> {
        let unknown = |state: &Self, initiated: EventId| state.misfit(format!("child {initiated} is not pending"));
        match event {
            ChildEvent::Initiated(start) => {
                let child = PendingChild {
                    start: start.clone(),
                    initiated_at: at,
                    started: None,
                    owes_cancel: false,
                };
                self.children.pending.insert(id, child);
                return Ok(());
            }
            ChildEvent::Started { initiated, run_id } => match self.children.pending.get_mut(initiated) {
                Some(child) => child.started = Some((*run_id, id)),
                None => return Err(unknown(self, *initiated)),
            },
            ChildEvent::StartFailed { initiated, .. } | ChildEvent::Ended { initiated, .. } => {
                if self.children.pending.remove(initiated).is_none() {
                    return Err(unknown(self, *initiated));
                }
            }
        }
        self.task_due = true;
        Ok(())
    }

    /// The run has ended: its open children are owed what their policies say. Those that were not started, and would only
    /// be ended, are owed that too: they may have been started all the same.
    pub(super) fn orphan_children(&mut self) {
        let mut orphans = std::mem::take(&mut self.children.pending);
        let externals = std::mem::take(&mut self.externals);
        let asked: Vec<WorkflowId> = externals
            .into_values()
            .filter_map(PendingExternal::into_canceled)
            .collect();
        for child in orphans.values_mut() {
            child.owes_cancel = child.started.is_some() && asked.contains(&child.start.workflow_id);
        }
        let goes_on = |child: &PendingChild| child.start.parent_close_policy == ParentClosePolicy::Abandon;
        orphans.retain(|_, child| !goes_on(child) || child.started.is_none() || child.owes_cancel);
        self.children.orphans = orphans;
    }

    pub(super) fn release_child(&mut self, initiated: EventId) -> Result<(), ApplyError> {
        match self.children.orphans.remove(&initiated) {
            Some(_) => Ok(()),
            None => Err(self.misfit(format!("child {initiated} is not to be let go of"))),
        }
    }
}

impl RunState {
    /// The children that have not ended, by initiating event.
    pub fn children(&self) -> impl Iterator<Item = (EventId, &PendingChild)> {
        self.children
            .pending
            .iter()
            .map(|(initiated, child)| (*initiated, child))
    }

    /// A child that has not ended, or that the run has to let go of, by its initiating event.
    #[must_use]
    pub fn child(&self, initiated: EventId) -> Option<&PendingChild> {
        let Children { pending, orphans } = &self.children;
        pending.get(&initiated).or_else(|| orphans.get(&initiated))
    }

    /// Effect: the children of a run that has ended which have to be told so.
    pub fn orphans(&self) -> impl Iterator<Item = (EventId, &PendingChild)> {
        self.children
            .orphans
            .iter()
            .map(|(initiated, child)| (*initiated, child))
    }

    /// Whether there is nothing left to do for the run: it has ended, and has let go of its children. The children of a run
    /// that another one of its chain follows go on.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_closed() && (self.children.orphans.is_empty() || self.next_run.is_some())
    }

    pub(super) fn has_children(&self) -> bool {
        !self.children.pending.is_empty()
    }

    pub(super) fn children_with(&self, more: usize) -> Result<(), String> {
        let max = limits::CHILDREN_PENDING_MAX;
        match self.children.pending.len() + more <= max {
            true => Ok(()),
            false => Err(format!("more than {max} pending child workflows")),
        }
    }
}
