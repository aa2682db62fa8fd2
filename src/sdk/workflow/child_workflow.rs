//! Child workflows: runs of their own that a workflow starts, hears of, and may end with. Must not live here: sagas as steps
//! (`child`); starting runs (`runtime`).

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;

use crate::model::{Failure, FromPayload, ParentClosePolicy, Payload, RunId, ToPayload, WorkflowId, WorkflowType};
use crate::sdk::function::{WorkflowFunction, encode};
use crate::sdk::metadata;

use super::call::{Progress, invalid_id};
use super::core::{ChildRequest, ChildSerial, Core};
use super::external::{ExternalCall, ExternalWorkflow};
use super::saga::unnamed;
use super::{ChildCancellationType, WorkflowContext, invalid_input};

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

/// Describes a child before it is started; see [`WorkflowContext::child`].
#[must_use = "a child is only started when `start` or `run` is awaited"]
pub struct ChildWorkflow<I, O> {
    core: Rc<RefCell<Core>>,
    workflow_type: Result<WorkflowType, Failure>,
    workflow_id: Option<Result<WorkflowId, Failure>>,
    parent_close_policy: ParentClosePolicy,
    cancellation: ChildCancellationType,
    run_timeout: Option<Duration>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> ChildWorkflow<I, O> {
    fn new(core: Rc<RefCell<Core>>, workflow_type: Result<WorkflowType, Failure>) -> Self {
        Self {
            core,
            workflow_type,
            workflow_id: None,
            parent_close_policy: ParentClosePolicy::default(),
            cancellation: ChildCancellationType::default(),
            run_timeout: None,
            types: PhantomData,
        }
    }

    /// Its workflow id. When not given it is made of this run's id and the child's number, the same on replay.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.workflow_id = Some(WorkflowId::new(id).map_err(|error| invalid_id(&error)));
        self
    }

    /// What becomes of it when this run ends first; by default it is terminated.
    pub fn parent_close_policy(mut self, policy: ParentClosePolicy) -> Self {
        self.parent_close_policy = policy;
        self
    }

    /// What becomes of it when this run is cancelled, or does not wait for it any more; by default it is asked to end, and
    /// waited for.
    pub fn cancellation(mut self, cancellation: ChildCancellationType) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// How long it may take; then it ends, undoing its saga steps. No limit when not given.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = Some(timeout);
        self
    }

    /// Starts it, and resolves when it has begun. Dropping this before that is as if it was cancelled.
    ///
    /// # Errors
    /// A failure of kind [`ChildWorkflow`](crate::model::FailureKind::ChildWorkflow) when it cannot be started; its cause
    /// is of type `WorkflowAlreadyExists` when another run has its id, or `InvalidInput` when its definition does not take
    /// the input. A failure of type `InvalidInput` when the input has no JSON form or is too large, or a cancellation when
    /// this run is cancelled.
    pub fn start(self, input: &I) -> ChildStart<O>
    where
        I: ToPayload,
    {
        let core = self.core.clone();
        ChildStart {
            core,
            child: None,
            progress: Progress::Prepared(self.request(input)),
            output: PhantomData,
        }
    }

    /// Starts it and waits for its result. Dropping this before that is as if the child was cancelled.
    ///
    /// # Errors
    /// As [`start`](Self::start), and as [`ChildHandle::result`].
    pub fn run(self, input: &I) -> ChildRun<O>
    where
        I: ToPayload,
    {
        ChildRun {
            start: self.start(input),
            result: None,
        }
    }

    fn request(self, input: &I) -> Result<Box<ChildRequest>, Failure>
    where
        I: ToPayload,
    {
        let workflow_type = self.workflow_type?;
        let input = encode(input)
            .and_then(Payload::checked)
            .map_err(|error| invalid_input(&format!("the input of child workflow {workflow_type}"), &error))?;
        Ok(Box::new(ChildRequest {
            workflow_id: self.workflow_id.transpose()?,
            workflow_type,
            input,
            parent_close_policy: self.parent_close_policy,
            cancellation: self.cancellation,
            run_timeout: self.run_timeout,
        }))
    }
}

impl<I, O> fmt::Debug for ChildWorkflow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildWorkflow").field(&self.workflow_type).finish()
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

    fn external(&self) -> ExternalWorkflow {
        ExternalWorkflow::new(self.child.core.clone(), self.workflow_id.as_str())
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
