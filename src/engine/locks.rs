//! Looking at the engine's locks. Must not live here: taking them (workflows do).

use crate::model::{LockName, RunId, WorkflowId};

use super::{Client, Error};

/// A run that holds a lock or waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockPlace {
    /// The run's workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
}

impl Client {
    /// Who holds this lock, and behind it who waits for it, in the order in which they will get it. A run's place here is
    /// its place in the queue. Empty: the lock is free.
    ///
    /// # Errors
    /// When the name cannot be one of a lock.
    pub fn lock_line(&self, lock: &str) -> Result<Vec<LockPlace>, Error> {
        let lock = LockName::new(lock)?.in_namespace(&self.engine().namespace());
        let line = self.gateway().lock_line(&lock);
        let places = line.into_iter();
        Ok(places
            .map(|(workflow_id, run_id)| LockPlace { workflow_id, run_id })
            .collect())
    }
}
