//! Child workflows, as their parent sees them: asked for, begun, ended. Must not live here: what becomes of those that are
//! open when their parent ends (`left_child`); starting a child, or finding out how it ended (that is `runtime`).
//!
//! ```text
//!  command --> Initiated --> (the runtime starts it, as often as crashes make it) --> Started | StartFailed
//!  Started --> (the runtime looks after it) --> Completed | Failed | Canceled | TimedOut | Terminated
//! ```
//!
//! The initiating event names the child for ever: its start has that for its request id, so the same child is found however
//! often it is started.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ChildEnd, ChildEvent, ChildKey, EventAttributes, EventId, Failure, LeftChild, RunId, StartChild, Timestamp, limits,
};

use super::apply::ApplyError;
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
}

/// The children of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Children {
    pub(super) pending: BTreeMap<EventId, PendingChild>,
    /// Those that earlier runs of the chain have left.
    pub(super) inherited: BTreeMap<ChildKey, LeftChild>,
    /// Those that were open when the chain ended, this one or that of the run which gave way to this one, and were not let go
    /// of yet.
    pub(super) orphans: BTreeMap<ChildKey, LeftChild>,
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
}

impl RunState {
    /// The children that have not ended, by initiating event.
    pub fn children(&self) -> impl Iterator<Item = (EventId, &PendingChild)> {
        self.children
            .pending
            .iter()
            .map(|(initiated, child)| (*initiated, child))
    }

    /// A child that has not ended, by its initiating event.
    #[must_use]
    pub fn child(&self, initiated: EventId) -> Option<&PendingChild> {
        self.children.pending.get(&initiated)
    }

    pub(super) fn has_children(&self) -> bool {
        let children = &self.children;
        !(children.pending.is_empty() && children.inherited.is_empty() && children.orphans.is_empty())
    }

    pub(super) fn children_with(&self, more: usize) -> Result<(), String> {
        let max = limits::CHILDREN_PENDING_MAX;
        let open = self.children.pending.len() + self.children.inherited.len() + self.children.orphans.len();
        match open + more <= max {
            true => Ok(()),
            false => Err(format!("more than {max} pending child workflows")),
        }
    }
}
