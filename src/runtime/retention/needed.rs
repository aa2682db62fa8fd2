//! Runs that have ended and that an open one may still need. Must not live here: how long others are kept.
//!
//! A child is needed while the run whose child it is, or a run above that one, is open: that one may still ask how it ended, and
//! a saga that turns back undoes its children by their histories. Two other runs may do so in its place: one that was made of it
//! by a reset, which has copied its children, and the one that undoes it as a unit, which has taken its steps over. As it may be
//! reset for as long as it is there, its children are there that long, too.

use std::collections::BTreeMap;

use crate::machine::Origins;
use crate::model::{ParentRun, RunId, WorkflowId};
use crate::store::{Error, RunHead, Store};

use super::super::child::undo_id;
use super::super::recovery::{fold, load_turns};

/// Runs above a run that are looked at: nobody nests as deeply, and a run that does is kept.
const ANCESTORS_MAX: usize = 1_000;

/// Finds out whether runs are needed; remembers what it had to read for that.
pub(super) struct Needed<'a> {
    store: &'a dyn Store,
    /// What runs were made of by resets; `None`: it cannot be read.
    origins: BTreeMap<RunId, Option<Origins>>,
}

impl<'a> Needed<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        let origins = BTreeMap::new();
        Self { store, origins }
    }

    /// Whether an open run may still need this one, which has ended. Those above it that `stays` means are not deleted yet.
    pub(super) fn is(&mut self, head: &RunHead, stays: impl Fn(&RunHead) -> bool) -> Result<bool, Error> {
        let mut of = parent_of(head);
        for _ in 0..ANCESTORS_MAX {
            let Some((workflow_id, run_id)) = of else {
                return Ok(false);
            };
            let above = self.store.head(run_id)?;
            if above.as_ref().is_some_and(&stays) || self.is_stood_in_for(&workflow_id, run_id, &stays)? {
                return Ok(true);
            }
            // One that was deleted was needed by none above it.
            of = above.as_ref().and_then(parent_of);
        }
        Ok(true)
    }

    /// Whether another run does what is left to do of this one.
    fn is_stood_in_for(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        stays: &impl Fn(&RunHead) -> bool,
    ) -> Result<bool, Error> {
        if let Ok(undoing) = undo_id(workflow_id)
            && self.store.find(&undoing)?.is_some_and(|undoing| stays(&undoing))
        {
            return Ok(true);
        }
        let newest = self.store.find(workflow_id)?;
        let newest = newest.filter(|newest| newest.run_id != run_id && stays(newest));
        Ok(newest.is_some_and(|newest| self.is_made_of(newest.run_id, run_id)))
    }

    /// Whether this run was made of that one by resets. One that cannot be read may have been.
    fn is_made_of(&mut self, run: RunId, of: RunId) -> bool {
        let store = self.store;
        let read = || {
            let folded = load_turns(store, run).and_then(|turns| fold(run, &turns));
            Some(folded.ok()?.origins().cloned().unwrap_or_default())
        };
        let origins = self.origins.entry(run).or_insert_with(read);
        origins.as_ref().is_none_or(|origins| origins.contain(of))
    }
}

fn parent_of(head: &RunHead) -> Option<(WorkflowId, RunId)> {
    let ParentRun {
        workflow_id, run_id, ..
    } = head.found_by.as_ref()?.parent.as_ref()?;
    Some((workflow_id.beside(&head.workflow_id), *run_id))
}
