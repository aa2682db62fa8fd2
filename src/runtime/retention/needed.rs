//! Runs that have ended and that an open one may still need. Must not live here: how long others are kept.
//!
//! A child is needed while the run whose child it is, or a run above that one, is open: that one may still ask how it ended, and
//! a saga that turns back undoes its children by their histories. Two other runs may do so in its place: one that was made of it
//! by a reset, which has copied its children, and the one that undoes it as a unit, which has taken its steps over. As it may be
//! reset for as long as it is there, its children are there that long, too.
//!
//! Children of an earlier run of a chain are not needed for their results: nobody hears of those any more. But one that is still to
//! be begun, as far as its parent's chain knows, may have been, and may have ended: without it another one would be begun.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::machine::{Origins, RunState};
use crate::model::{ParentRun, RunId, WorkflowId};
use crate::store::{Error, RunHead, Store};

use super::super::child::undo_id;
use super::super::recovery::{fold, load_turns};

/// Runs above a run that are looked at: nobody nests as deeply, and a run that does is kept.
const ANCESTORS_MAX: usize = 1_000;

/// Finds out whether runs are needed; remembers what it had to read for that.
pub(super) struct Needed<'a> {
    store: &'a dyn Store,
    /// What runs stand in for; `None`: it cannot be read.
    standing_in: BTreeMap<RunId, Option<StandsInFor>>,
}

/// What a run does in the place of others.
struct StandsInFor {
    /// The runs that it was made of by resets.
    origins: Origins,
    /// Children that are still to be begun, by the runs that asked for them.
    to_begin: BTreeSet<(RunId, WorkflowId)>,
}

impl StandsInFor {
    fn of(state: &RunState) -> Self {
        let left = state.inherited_children().chain(state.orphans());
        // Others, that were not seen to begin, are only looked for: none is begun again.
        let to_begin = left.filter(|child| child.run_id.is_none() && child.is_due());
        let to_begin = to_begin.map(|child| (child.key.parent_run, child.start.workflow_id.clone()));
        Self {
            origins: state.origins().cloned().unwrap_or_default(),
            to_begin: to_begin.collect(),
        }
    }
}

impl<'a> Needed<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        let standing_in = BTreeMap::new();
        Self { store, standing_in }
    }

    /// Whether an open run may still need this one, which has ended. Those above it that `stays` means are not deleted yet.
    pub(super) fn is(&mut self, head: &RunHead, stays: impl Fn(&RunHead) -> bool) -> Result<bool, Error> {
        let mut child = Cow::Borrowed(head);
        for _ in 0..ANCESTORS_MAX {
            let Some((workflow_id, run_id)) = parent_of(&child) else {
                return Ok(false);
            };
            let above = self.store.head(run_id)?;
            if above.as_ref().is_some_and(&stays)
                || self.is_stood_in_for(&workflow_id, run_id, &child.workflow_id, &stays)?
            {
                return Ok(true);
            }
            // One that was deleted was needed by none above it.
            let Some(above) = above else { return Ok(false) };
            child = Cow::Owned(above);
        }
        Ok(true)
    }

    /// Whether another run does what is left to do of this one.
    fn is_stood_in_for(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        child: &WorkflowId,
        stays: &impl Fn(&RunHead) -> bool,
    ) -> Result<bool, Error> {
        if let Ok(undoing) = undo_id(workflow_id)
            && self.store.find(&undoing)?.is_some_and(|undoing| stays(&undoing))
        {
            return Ok(true);
        }
        let newest = self.store.find(workflow_id)?;
        let newest = newest.filter(|newest| newest.run_id != run_id && stays(newest));
        Ok(newest.is_some_and(|newest| self.does_stand_in(newest.run_id, run_id, child)))
    }

    /// Whether this run was made of that one by resets, or has to begin its child. One that cannot be read may have to.
    fn does_stand_in(&mut self, run: RunId, of: RunId, child: &WorkflowId) -> bool {
        let store = self.store;
        let read = || {
            let folded = load_turns(store, run).and_then(|turns| fold(run, &turns));
            Some(StandsInFor::of(&folded.ok()?))
        };
        let standing_in = self.standing_in.entry(run).or_insert_with(read);
        let has_to_begin = |left: &StandsInFor| {
            let mut of_run = left.to_begin.iter().filter(|(parent_run, _)| *parent_run == of);
            of_run.any(|(_, to_begin)| to_begin.as_str() == child.as_str())
        };
        let does = |left: &StandsInFor| left.origins.contain(of) || has_to_begin(left);
        standing_in.as_ref().is_none_or(does)
    }
}

fn parent_of(head: &RunHead) -> Option<(WorkflowId, RunId)> {
    let ParentRun {
        workflow_id, run_id, ..
    } = head.found_by.as_ref()?.parent.as_ref()?;
    Some((workflow_id.beside(&head.workflow_id), *run_id))
}
