//! Children that are open when their parent's run ends: handed on to the run that follows, and owed their parent close policy
//! when no other one does. Must not live here: children of a run that goes on (`child`); telling them anything (`runtime`).
//!
//! ```text
//!  the run ends, followed     --> its open children are the next run's --> (pending record) released: they have ended, or
//!                                                                          what was owed to them at once was done
//!  the run ends, the last one --> its own and those are owed their policies --> (pending record) released, one by one
//! ```
//!
//! A parent that has ended is kept open in the store until every child was let go of; but of a workflow id only one run can be
//! open, which is why the children go along the chain.

use std::sync::Arc;

use crate::model::{ChildKey, EventId, ExternalMessage, LeftChild, ParentClosePolicy, PendingChange, StartChild};

use super::apply::ApplyError;
use super::child::{Children, PendingChild};
use super::state::RunState;
use super::turn::{Reply, TurnBuilder};

impl TurnBuilder<'_> {
    /// What was owed to a child was done, or it has ended.
    pub(super) fn child_released(&mut self, child: ChildKey) -> Reply {
        if self.state.left_child(child).is_none() {
            return Reply::Duplicate;
        }
        self.change(PendingChange::ChildReleased { child });
        Reply::Accepted
    }
}

/// Folding.
impl RunState {
    /// The run has ended. When no other one follows, the open children are owed what their policies say. Those that were not
    /// started, and would only be ended, are owed that too: they may have been started all the same. So are messages that are
    /// on their way.
    pub(super) fn leave_what_is_owed(&mut self) {
        let (children, messages) = match self.next_run.or(self.gives_way_to) {
            Some(_) => Default::default(),
            None => (self.orphans_left(), self.messages_left()),
        };
        self.children = Children::default();
        self.externals.clear();
        self.inherit_children(&children);
        self.inherit_messages(&messages);
    }

    /// Children of a run that this one follows, or that gave way to it.
    pub(super) fn inherit_children(&mut self, children: &[LeftChild]) {
        for child in children {
            let place = match child.let_go {
                true => &mut self.children.orphans,
                false => &mut self.children.inherited,
            };
            place.insert(child.key, child.clone());
        }
    }

    pub(super) fn release_child(&mut self, key: ChildKey) -> Result<(), ApplyError> {
        if self.children.orphans.remove(&key).is_some() {
            return Ok(());
        }
        match self.children.inherited.get_mut(&key) {
            // It was asked to end; when the chain ends it is ended, if it has not by then.
            Some(child) if child.owes_cancel && child.start.parent_close_policy == ParentClosePolicy::Terminate => {
                child.owes_cancel = false;
                Ok(())
            }
            Some(_) => {
                self.children.inherited.remove(&key);
                Ok(())
            }
            None => Err(self.misfit(format!("child {} is not to be let go of", key.initiated))),
        }
    }
}

impl RunState {
    /// The children that the run leaves when it ends now, its own and those that it was left: all but those that go their own
    /// way by now.
    pub(super) fn children_left(&self) -> Vec<LeftChild> {
        let Some(parent_run) = self.run_id() else {
            return Vec::new();
        };
        let is_asked_to_end = |child: &PendingChild| self.externals.values().any(|message| cancels(message, child));
        let left = |initiated: EventId, child: &PendingChild| LeftChild {
            key: ChildKey {
                parent_run: self.writer_of(initiated).unwrap_or(parent_run),
                initiated,
            },
            start: without_content(child),
            initiated_at: child.initiated_at,
            run_id: child.started.map(|(run_id, _)| run_id),
            owes_cancel: is_asked_to_end(child),
            let_go: false,
        };
        let own = self.children.pending.iter();
        let own = own.map(|(initiated, child)| left(*initiated, child));
        let own = own.filter(|child| !child.is_due() || child.run_id.is_none() || child.owes_cancel);
        let earlier = self.children.orphans.values().chain(self.children.inherited.values());
        earlier.cloned().chain(own).collect()
    }

    /// The same, when its chain ends with it.
    pub(super) fn orphans_left(&self) -> Vec<LeftChild> {
        let mut left = self.children_left();
        left.iter_mut().for_each(|child| child.let_go = true);
        left
    }

    /// The children that earlier runs of the chain have left, while this one is open. Effect: those that are
    /// [due](LeftChild::is_due) have to be told, or started; the others are looked after until they have ended.
    pub fn inherited_children(&self) -> impl Iterator<Item = &LeftChild> {
        self.children.inherited.values()
    }

    /// Effect: the children of a chain that has ended which have to be told so; its own, or that of a run which gave way to it.
    pub fn orphans(&self) -> impl Iterator<Item = &LeftChild> {
        self.children.orphans.values()
    }

    /// One of either.
    #[must_use]
    pub fn left_child(&self, key: ChildKey) -> Option<&LeftChild> {
        let left = &self.children;
        left.inherited.get(&key).or_else(|| left.orphans.get(&key))
    }

    /// Whether there is nothing left to do for the run: it has ended, and its children have been let go of and its messages
    /// brought, or they are the next run's.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_closed() && self.children.orphans.is_empty() && self.left_messages.is_empty()
    }
}

/// Whether the message asks this child to end, which has begun.
pub(super) fn cancels(message: &ExternalMessage, child: &PendingChild) -> bool {
    let started = child.started.as_ref();
    started.is_some_and(|(first, _)| message.cancels_child(&child.start.workflow_id, *first))
}

/// What is not to be started any more needs nothing of its start.
fn without_content(child: &PendingChild) -> Arc<StartChild> {
    let is_to_start = child.started.is_none() && child.start.parent_close_policy == ParentClosePolicy::Abandon;
    match is_to_start {
        true => Arc::clone(&child.start),
        false => Arc::new(child.start.without_content()),
    }
}
