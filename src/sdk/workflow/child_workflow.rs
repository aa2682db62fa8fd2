//! Child workflows: runs of their own that a workflow starts, hears of, and may end with. Must not live here: sagas as steps
//! (`child`); starting runs (`runtime`).

mod builder;

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::FusedFuture;

use crate::model::{Failure, FromPayload, RunId, ToPayload, WorkflowId, WorkflowType};
use crate::sdk::function::WorkflowFunction;
use crate::sdk::metadata;

use super::WorkflowContext;
use super::call::{Progress, invalid_id};
use super::core::{ChildRequest, ChildSerial, Core};
use super::external::{ExternalCall, ExternalWorkflow};
use super::saga::unnamed;

pub use builder::ChildWorkflow;

impl WorkflowContext {
    /// Another workflow as a child of this run: a run of its own, with its own history, that this one hears of.
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn parcel(_cx: WorkflowContext, address: String) -> Result<u32, Failure> { Ok(address.len() as u32) }
    ///
    /// async fn shipment(cx: WorkflowContext, addresses: Vec<String>) -> Result<u32, Failure> {
    ///     // Starts the child and waits for its result.
    ///     let first = cx.child(parcel).run(&addresses[0]).await?;
    ///     // The same in two parts.
    ///     let second = cx.child(parcel).id("parcel-2").start(&addresses[1]).await?;
    ///     second.signal("hurry", &true).await?;
    ///     Ok(first + second.result().await?)
    /// }
    /// # let _ = amends::WorkflowDefinition::of(shipment);
    /// ```
    ///
    /// A child is not a step of this run's saga: nothing undoes it when this run turns back. For that, see
    /// [`Saga::child`](super::Saga::child).
    pub fn child<M, F>(&self, _function: F) -> ChildWorkflow<F::Input, F::Output>
    where
        F: WorkflowFunction<M>,
    {
        let workflow_type = metadata::workflow_type::<F>().map_err(|error| unnamed(&error));
        ChildWorkflow::new(self.core.clone(), workflow_type)
    }

    /// A child by the name of its workflow, or of its definition.
    ///
    /// # Errors
    /// Starting it resolves to a failure of type `InvalidId` when no workflow can have this name.
    pub fn child_by_name<I, O>(&self, workflow_type: impl AsRef<str>) -> ChildWorkflow<I, O> {
        let workflow_type = WorkflowType::new(workflow_type).map_err(|error| invalid_id(&error));
        ChildWorkflow::new(self.core.clone(), workflow_type)
    }
}

/// Keeps what is known of a child for as long as somebody may ask.
struct Hold {
    core: Rc<RefCell<Core>>,
    serial: ChildSerial,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.core.borrow_mut().let_go_of_child(self.serial);
    }
}

/// Resolves when a child has begun; see [`ChildWorkflow::start`].
#[must_use = "a child is only started when this is awaited"]
pub struct ChildStart<O> {
    core: Rc<RefCell<Core>>,
    child: Option<Rc<Hold>>,
    progress: Progress<Result<Box<ChildRequest>, Failure>>,
    output: PhantomData<fn() -> O>,
}

impl<O> Future for ChildStart<O> {
    type Output = Result<ChildHandle<O>, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut begun = None;
        let polled = this.progress.poll(&this.core, cx, |core, request| {
            let (serial, key) = core.start_child(*request?)?;
            begun = Some(serial);
            Ok(key)
        });
        if let Some(serial) = begun {
            let core = this.core.clone();
            this.child = Some(Rc::new(Hold { core, serial }));
        }
        polled.map(|outcome| {
            let child = this.child.take();
            outcome?;
            let not_begun = || Failure::non_retryable("ChildNotStarted", "the child has not begun");
            let child = child.ok_or_else(not_begun)?;
            let (workflow_id, run_id) = this.core.borrow().child_ids(child.serial).ok_or_else(not_begun)?;
            Ok(ChildHandle {
                child,
                workflow_id,
                run_id,
                output: PhantomData,
            })
        })
    }
}

impl<O> FusedFuture for ChildStart<O> {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl<O> Drop for ChildStart<O> {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl<O> fmt::Debug for ChildStart<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStart").finish_non_exhaustive()
    }
}

/// A child that has begun. Dropping the handle changes nothing for the child.
pub struct ChildHandle<O> {
    child: Rc<Hold>,
    workflow_id: WorkflowId,
    run_id: RunId,
    output: PhantomData<fn() -> O>,
}

impl<O> ChildHandle<O> {
    /// The child's workflow id.
    #[must_use]
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.workflow_id
    }

    /// The child's execution.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Waits until the child has ended. May be asked for several times. Dropping it only stops the waiting.
    ///
    /// # Errors
    /// A failure of kind [`ChildWorkflow`](crate::model::FailureKind::ChildWorkflow), whose cause says how the child ended
    /// instead; see [`Failure::child_workflow`]. A cancellation when this run is cancelled and the child's cancellation type
    /// does not wait for it.
    pub fn result(&self) -> ChildResult<O> {
        self.awaited(false)
    }

    fn awaited(&self, cancels: bool) -> ChildResult<O> {
        ChildResult {
            child: self.child.clone(),
            progress: Progress::Prepared(()),
            cancels,
            output: PhantomData,
        }
    }

    /// Sends it a signal; see [`ExternalWorkflow::signal`].
    ///
    /// # Errors
    /// As [`ExternalWorkflow::signal`].
    pub fn signal(&self, name: impl AsRef<str>, input: &(impl ToPayload + ?Sized)) -> ExternalCall {
        self.external().signal(name, input)
    }

    /// Asks it to end, undoing what it did; see [`ExternalWorkflow::cancel`].
    ///
    /// # Errors
    /// As [`ExternalWorkflow::cancel`].
    pub fn cancel(&self, reason: impl Into<String>) -> ExternalCall {
        self.external().cancel(reason)
    }

    /// Whichever run of its chain is open: the engine knows a child by its first run. When it has ended, another one may have its
    /// id, also before its parent has heard of that: what is said to the child is not for that one.
    fn external(&self) -> ExternalWorkflow {
        ExternalWorkflow::new(self.child.core.clone(), self.workflow_id.as_str()).run(self.run_id)
    }
}

impl<O> fmt::Debug for ChildHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildHandle({}, {})", self.workflow_id, self.run_id)
    }
}

/// Resolves when a child has ended; see [`ChildHandle::result`].
#[must_use = "futures do nothing unless awaited"]
pub struct ChildResult<O> {
    child: Rc<Hold>,
    progress: Progress<()>,
    /// Dropping it is as if the child was cancelled.
    cancels: bool,
    output: PhantomData<fn() -> O>,
}

impl<O: FromPayload> Future for ChildResult<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let serial = this.child.serial;
        let polled = this
            .progress
            .poll(&this.child.core, cx, |core, ()| core.await_child(serial));
        polled.map(|outcome| {
            outcome?.to().map_err(|error| {
                let message = format!("the child's result cannot be read as {}: {error}", type_name::<O>());
                Failure::non_retryable("InvalidOutput", message)
            })
        })
    }
}

impl<O: FromPayload> FusedFuture for ChildResult<O> {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl<O> Drop for ChildResult<O> {
    fn drop(&mut self) {
        let waiting = !self.progress.is_done();
        self.progress.abandon(&self.child.core);
        if waiting && self.cancels {
            self.child.core.borrow_mut().drop_child(self.child.serial);
        }
    }
}

impl<O> fmt::Debug for ChildResult<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildResult").finish_non_exhaustive()
    }
}

/// Starts a child and resolves when it has ended; see [`ChildWorkflow::run`].
#[must_use = "a child is only started when this is awaited"]
pub struct ChildRun<O> {
    start: ChildStart<O>,
    result: Option<ChildResult<O>>,
}

impl<O: FromPayload> Future for ChildRun<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.result.is_none() {
            let Poll::Ready(begun) = Pin::new(&mut this.start).poll(cx) else {
                return Poll::Pending;
            };
            match begun {
                Ok(child) => this.result = Some(child.awaited(true)),
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
        match &mut this.result {
            Some(result) => Pin::new(result).poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<O: FromPayload> FusedFuture for ChildRun<O> {
    fn is_terminated(&self) -> bool {
        match &self.result {
            Some(result) => result.is_terminated(),
            None => self.start.is_terminated(),
        }
    }
}

impl<O> fmt::Debug for ChildRun<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildRun").finish_non_exhaustive()
    }
}
