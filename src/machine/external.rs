//! What a run says to other runs: signals, and requests to end. Must not live here: delivering it (that is `runtime`).
//!
//! ```text
//!  command --> Initiated event --> (the runtime delivers it, as often as crashes make it) --> Signaled | Failed
//! ```
//!
//! The initiating event names the message for ever: the other run takes it once, however often it is brought.

use crate::model::{Command, EventAttributes, EventId, ExternalCancel, ExternalSignal, Failure, RunId, WorkflowId};

use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

/// A message that is on its way to another run.
#[derive(Clone, Debug, PartialEq)]
pub enum PendingExternal {
    /// A signal.
    Signal(Box<ExternalSignal>),
    /// A request to end.
    Cancel(Box<ExternalCancel>),
}

impl PendingExternal {
    /// Who is asked to end.
    pub(super) fn canceled(&self) -> Option<&WorkflowId> {
        match self {
            PendingExternal::Signal(_) => None,
            PendingExternal::Cancel(cancel) => Some(&cancel.workflow_id),
        }
    }
}

/// The deduplication key of a message to another run: equal however often it is sent.
#[must_use]
pub fn external_request_id(run_id: RunId, initiated: EventId) -> String {
    format!("{run_id}/{initiated}")
}

impl TurnBuilder<'_> {
    pub(super) fn say(&mut self, command: Command) {
        match command {
            Command::SignalExternal(signal) => {
                self.emit(EventAttributes::SignalExternalWorkflowExecutionInitiated(signal));
            }
            Command::RequestCancelExternal(cancel) => {
                self.emit(EventAttributes::RequestCancelExternalWorkflowExecutionInitiated(cancel));
            }
            Command::AcceptUpdate(request) => self.accept_update(*request),
            Command::CompleteUpdate { update_id, outcome } => self.complete_update(update_id, outcome),
            _ => {}
        }
    }

    pub(super) fn external_ended(
        &mut self,
        initiated: EventId,
        outcome: Result<(), Failure>,
    ) -> Result<Reply, Rejection> {
        use EventAttributes as E;
        let pending = self.state.externals.get(&initiated);
        let ended = match (pending.ok_or(Rejection::StaleAttempt)?, outcome) {
            (PendingExternal::Signal(_), Ok(())) => E::ExternalWorkflowExecutionSignaled { initiated },
            (PendingExternal::Cancel(_), Ok(())) => E::ExternalWorkflowExecutionCancelRequested { initiated },
            (PendingExternal::Signal(_), Err(failure)) => {
                E::SignalExternalWorkflowExecutionFailed { initiated, failure }
            }
            (PendingExternal::Cancel(_), Err(failure)) => {
                E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure }
            }
        };
        self.emit(ended);
        Ok(Reply::Accepted)
    }
}

impl RunState {
    /// Effect: every message that is to be brought to another run, by initiating event.
    pub fn externals(&self) -> impl Iterator<Item = (EventId, &PendingExternal)> {
        let open = !self.is_closed();
        let pending = self.externals.iter().filter(move |_| open);
        pending.map(|(initiated, pending)| (*initiated, pending))
    }
}
