//! Requests for one very run of a workflow id. Must not live here: what the run makes of them.

use crate::machine::Rejection;
use crate::model::{RunId, WorkflowId};
use crate::store::RunHead;

use super::super::Error;
use super::Offline;

impl Offline {
    /// The same store, but whatever is asked of a workflow id, or said to it, is for this run of it and for no other: an older
    /// one still answers, and refuses everything else, since it has ended.
    #[must_use]
    pub fn only_run(mut self, run_id: RunId) -> Self {
        self.only_run = Some(run_id);
        self
    }

    /// This very run.
    pub(super) fn this_run(&self, workflow_id: &WorkflowId, run_id: RunId) -> Result<RunHead, Error> {
        let head = self.store.head(run_id)?;
        head.filter(|head| head.workflow_id == *workflow_id)
            .ok_or(Error::RunNotFound(run_id))
    }

    /// Messages go to the newest run.
    pub(super) fn expect_newest(&self, workflow_id: &WorkflowId, run_id: Option<RunId>) -> Result<(), Error> {
        let Some(run_id) = run_id else {
            return Ok(());
        };
        self.this_run(workflow_id, run_id)?;
        match self.store.find(workflow_id)? {
            Some(newest) if newest.run_id != run_id => Err(Error::Rejected(Rejection::Closed)),
            _ => Ok(()),
        }
    }
}
