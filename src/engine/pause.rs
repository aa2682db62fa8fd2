//! Letting runs stand still, and go on. Must not live here: what standing still means (that is `machine::pause`).

use crate::model::{Input, RunId};

use super::{Client, Error, Offline, RunHandle};

fn paused(by: &str, reason: &str) -> Input {
    Input::Pause {
        reason: reason.to_owned(),
        identity: by.to_owned(),
    }
}

fn unpaused(by: &str, reason: &str) -> Input {
    Input::Unpause {
        reason: reason.to_owned(),
        identity: by.to_owned(),
    }
}

impl Client {
    /// Lets the open run with this id stand still: its code is not asked, and no attempt, timer or compensation begins.
    /// Attempts that are under way may end. What arrives is recorded, but updates are refused. A run that is paused
    /// already stays as it is.
    ///
    /// ```no_run
    /// # async fn morning(client: amends::Client) -> Result<(), amends::Error> {
    /// client.pause("order-42", "ada", "the bank is down").await?;
    /// client.unpause("order-42", "ada", "it is back").await
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no open run.
    pub async fn pause(&self, workflow_id: &str, by: &str, reason: &str) -> Result<(), Error> {
        self.deliver(workflow_id, None, paused(by, reason)).await
    }

    /// Lets the paused run with this id go on: what has become due meanwhile is due now. A run that is not paused stays as
    /// it is.
    ///
    /// # Errors
    /// When there is no open run.
    pub async fn unpause(&self, workflow_id: &str, by: &str, reason: &str) -> Result<(), Error> {
        self.deliver(workflow_id, None, unpaused(by, reason)).await
    }
}

impl<O> RunHandle<O> {
    /// Lets the run stand still; see [`Client::pause`].
    ///
    /// # Errors
    /// When the run has ended.
    pub async fn pause(&self, by: &str, reason: &str) -> Result<(), Error> {
        self.deliver(paused(by, reason)).await.map(drop)
    }

    /// Lets the run go on; see [`Client::unpause`].
    ///
    /// # Errors
    /// When the run has ended.
    pub async fn unpause(&self, by: &str, reason: &str) -> Result<(), Error> {
        self.deliver(unpaused(by, reason)).await.map(drop)
    }
}

impl Offline {
    /// Lets the open run with this id stand still, from the next engine on; see [`Client::pause`].
    ///
    /// # Errors
    /// When there is no open run.
    pub fn pause(&self, workflow_id: &str, by: &str, reason: &str) -> Result<RunId, Error> {
        self.deliver(workflow_id, paused(by, reason))
    }

    /// Lets the paused run with this id go on, as soon as an engine runs; see [`Client::unpause`].
    ///
    /// # Errors
    /// When there is no open run.
    pub fn unpause(&self, workflow_id: &str, by: &str, reason: &str) -> Result<RunId, Error> {
        self.deliver(workflow_id, unpaused(by, reason))
    }
}
