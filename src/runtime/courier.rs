//! Bringing a run's message to another run, until it is certain what became of it. Must not live here: when it is to be
//! brought (the sender's state says so), or what it means to the other run.
//!
//! The other run knows the message by its key: brought a second time, after a crash, it is a duplicate there. When the other
//! run has ended meanwhile, its history tells whether it had the message.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use crate::machine::Rejection;
use crate::model::{EventAttributes, ExternalMessage, Failure, Input, RequestId, RunId, Turn, WorkflowId};
use crate::store::Error;

use super::chain_runs::{ChainRuns, Way, turns};
use super::child_workflow::newest_of_child;
use super::error::RequestError;
use super::gateway::Gateway;
use super::shared::Shared;

/// How long to wait before an engine that could not do something just now is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Brings the message; `None` when the engine stopped before that.
pub(super) async fn bring(
    shared: &Arc<Shared>,
    sender: &WorkflowId,
    key: &str,
    message: ExternalMessage,
) -> Option<Result<(), Failure>> {
    let (workflow_id, run_id, input, refused) = match message {
        ExternalMessage::Signal(signal) => {
            let input = Input::Signal {
                name: signal.name,
                input: signal.input,
                request_id: Some(RequestId::from_trusted(key)),
                identity: format!("workflow {sender}"),
            };
            let workflow_id = signal.workflow_id.beside(sender);
            (workflow_id, signal.run_id, input, "ExternalSignalRefused")
        }
        ExternalMessage::Cancel(cancel) => {
            let input = Input::RequestCancel {
                reason: cancel.reason,
                identity: key.to_owned(),
            };
            let workflow_id = cancel.workflow_id.beside(sender);
            (workflow_id, cancel.run_id, input, "ExternalCancelRefused")
        }
    };
    loop {
        let gateway = shared.gateway.get().and_then(Weak::upgrade)?;
        let to = To {
            gateway: &gateway,
            sender,
            workflow_id: &workflow_id,
            run_id,
        };
        let error = match to.deliver(key, input.clone()).await {
            Ok(true) => return Some(Ok(())),
            Ok(false) => return Some(Err(not_found(&workflow_id, "has ended"))),
            Err(error) => error,
        };
        let failure = match error {
            RequestError::NotFound(_) => not_found(&workflow_id, "does not exist"),
            RequestError::Rejected(rejection) => {
                Failure::non_retryable(refused, format!("workflow {workflow_id:?}: {rejection}"))
            }
            RequestError::Store(Error::Corrupt { run: Some(_), what }) => {
                let message = format!("workflow {workflow_id:?} cannot be read: {what}");
                Failure::non_retryable("ExternalWorkflowBroken", message)
            }
            RequestError::ShuttingDown => return None,
            error => {
                tracing::debug!(%workflow_id, %error, "another run cannot be reached just now");
                shared.clock.sleep_until(shared.clock.now().after(ASK_AGAIN)).await;
                continue;
            }
        };
        return Some(Err(failure));
    }
}

fn not_found(workflow_id: &WorkflowId, how: &str) -> Failure {
    Failure::non_retryable("ExternalWorkflowNotFound", format!("workflow {workflow_id:?} {how}"))
}

/// Who is to get a message.
struct To<'a> {
    gateway: &'a Gateway,
    sender: &'a WorkflowId,
    workflow_id: &'a WorkflowId,
    run_id: Option<RunId>,
}

impl To<'_> {
    /// The newest run of the sender's own child that is meant; `None`: it is not one of those.
    fn child(&self) -> Result<Option<RunId>, RequestError> {
        let Some(run_id) = self.run_id else { return Ok(None) };
        let store = self.gateway.store()?;
        Ok(newest_of_child(&*store, self.sender, self.workflow_id, run_id)?)
    }

    /// A child is meant with all runs of its chain, and no other run that has its id by then; anybody else as it says. Whether it
    /// has the message: one that has ended may have had it before.
    async fn deliver(&self, key: &str, input: Input) -> Result<bool, RequestError> {
        let child = self.child()?;
        let delivered = match child {
            Some(newest) => self.gateway.deliver_to_chain(self.workflow_id, newest, input).await,
            None => self.gateway.deliver(self.workflow_id.clone(), self.run_id, input).await,
        };
        match delivered {
            Ok(_) => Ok(true),
            Err(RequestError::Rejected(Rejection::Closed)) => self.had_it(child, key),
            Err(error) => Err(error),
        }
    }

    /// Whether a run that has ended had the message before: of a child any run of its chain, as far as those are there.
    fn had_it(&self, child: Option<RunId>, key: &str) -> Result<bool, RequestError> {
        let store = self.gateway.store()?;
        let had_it = |run_id: RunId| -> Result<bool, RequestError> {
            let turns = turns(&*store, run_id)?;
            Ok(turns.is_some_and(|turns| has_had(&turns, key)))
        };
        let chain = ChainRuns {
            store: &*store,
            workflow_id: self.workflow_id,
        };
        let first = match self.run_id {
            None => store.find(self.workflow_id)?.map(|head| head.run_id),
            named => named,
        };
        let Some(first) = first else { return Ok(false) };
        if child.is_none() {
            return had_it(first);
        }
        for run_id in chain.walk(first, Way::On) {
            if had_it(run_id?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether the run has had the message with this key.
pub(super) fn has_had(turns: &[Turn], key: &str) -> bool {
    turns
        .iter()
        .flat_map(|turn| &turn.events)
        .any(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionSignaled(signal) => {
                signal.request_id.as_ref().is_some_and(|known| known.as_str() == key)
            }
            EventAttributes::WorkflowExecutionCancelRequested { identity, .. } => identity == key,
            // An earlier run of its chain may have had it.
            EventAttributes::WorkflowExecutionStarted(started) => {
                let known = started.chain.as_deref().map(|chain| &chain.signal_requests);
                known.is_some_and(|known| known.iter().any(|known| known.as_str() == key))
            }
            _ => false,
        })
}
