//! Talking to other runs from workflow code: signals, and requests to end. Must not live here: delivering them.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::model::{Command, ExternalCancel, ExternalSignal, Failure, RunId, SignalName, ToPayload, WorkflowId};
use crate::sdk::function::encode;

use super::call::{Progress, invalid_id};
use super::core::Core;
use super::invalid_input;

/// Another run, as workflow code talks to it; see [`WorkflowContext::external`](super::WorkflowContext::external).
#[derive(Clone)]
pub struct ExternalWorkflow {
    core: Rc<RefCell<Core>>,
    workflow_id: Result<WorkflowId, Failure>,
    run_id: Option<RunId>,
}

impl ExternalWorkflow {
    pub(super) fn new(core: Rc<RefCell<Core>>, workflow_id: &str) -> Self {
        Self {
            core,
            workflow_id: WorkflowId::new(workflow_id).map_err(|error| invalid_id(&error)),
            run_id: None,
        }
    }

    /// Only this execution of it; of a child of this workflow's, those that follow it, too.
    #[must_use]
    pub fn run(mut self, run_id: RunId) -> Self {
        self.run_id = Some(run_id);
        self
    }

    /// Sends it a signal. The signal is durable with the turn that first polls this, arrives exactly once, also over
    /// crashes, and is not taken back by dropping this, nor by the end of the run.
    ///
    /// # Errors
    /// Resolves to a failure of type `ExternalWorkflowNotFound` when there is no open run with this id,
    /// `ExternalSignalRefused` when the run takes no more signals, `InvalidInput` when the data has no JSON form or is too
    /// large, or to a cancellation when this run is cancelled.
    pub fn signal(&self, name: impl AsRef<str>, input: &(impl ToPayload + ?Sized)) -> ExternalCall {
        let command = self.workflow_id.clone().and_then(|workflow_id| {
            let name = SignalName::new(name).map_err(|error| invalid_id(&error))?;
            let input = encode(input)
                .and_then(|input| input.checked())
                .map_err(|error| invalid_input(&format!("signal {name}"), &error))?;
            Ok(Command::SignalExternal(Box::new(ExternalSignal {
                workflow_id,
                run_id: self.run_id,
                name,
                input,
            })))
        });
        ExternalCall::new(self.core.clone(), command)
    }

    /// Asks it to end, undoing what it did. Resolves as soon as it was asked, not when it has ended.
    ///
    /// # Errors
    /// Resolves to a failure of type `ExternalWorkflowNotFound` when there is no open run with this id,
    /// `ExternalCancelRefused` when its saga has reached its pivot, or to a cancellation when this run is cancelled.
    pub fn cancel(&self, reason: impl Into<String>) -> ExternalCall {
        let command = self.workflow_id.clone().map(|workflow_id| {
            Command::RequestCancelExternal(Box::new(ExternalCancel {
                workflow_id,
                run_id: self.run_id,
                reason: reason.into(),
            }))
        });
        ExternalCall::new(self.core.clone(), command)
    }
}

impl fmt::Debug for ExternalWorkflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExternalWorkflow").field(&self.workflow_id).finish()
    }
}

/// Resolves when a message to another run was delivered; see [`ExternalWorkflow`].
#[must_use = "a message is only sent when its call is awaited"]
pub struct ExternalCall {
    core: Rc<RefCell<Core>>,
    progress: Progress<Result<Command, Failure>>,
}

impl ExternalCall {
    fn new(core: Rc<RefCell<Core>>, command: Result<Command, Failure>) -> Self {
        Self {
            core,
            progress: Progress::Prepared(command),
        }
    }
}

impl Future for ExternalCall {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.progress.poll(&this.core, cx, |core, command| core.say(command?));
        polled.map(|outcome| outcome.map(drop))
    }
}

impl Drop for ExternalCall {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl fmt::Debug for ExternalCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalCall").finish_non_exhaustive()
    }
}
