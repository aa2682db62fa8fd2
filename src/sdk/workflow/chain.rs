//! What workflow code is told of its run and the chain of runs it belongs to, and how it continues as a new one. Must not
//! live here: what becomes of it (`machine`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::model::{
    ContinueAsNew, Failure, FromPayload, Initiator, Payload, RetryPolicy, RunId, SearchAttributeValue, TaskQueue,
    ToPayload, WorkflowId, WorkflowType,
};
use crate::sdk::function::{WorkflowFunction, encode};
use crate::sdk::metadata;

use super::call::invalid_id;
use super::core::Core;
use super::saga::unnamed;
use super::{WorkflowContext, invalid_input};

/// What a run knows of itself; see [`WorkflowContext::info`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkflowInfo {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// This execution. Of a run that was reset: the one that decided this turn first.
    pub run_id: RunId,
    /// Which workflow this is.
    pub workflow_type: WorkflowType,
    /// The first run of the chain that this run is a part of: itself, when it follows no other.
    pub first_run_id: RunId,
    /// The run that this one follows, and why it does; `None` for the first.
    pub follows: Option<(RunId, Initiator)>,
    /// Which try this is, by the run's retry policy: 1 for the first.
    pub attempt: u32,
    /// How the run before failed, when this one follows a failed one.
    pub last_failure: Option<Failure>,
    /// Events of the history so far.
    pub history_length: u64,
    /// Bytes of the history so far.
    pub history_bytes: u64,
    /// The history has become long (4,096 events, or 4 MiB): continue as a new run at the next occasion.
    pub continue_as_new_suggested: bool,
}

impl WorkflowContext {
    /// What the run knows of itself: recorded, so the same on replay.
    #[must_use]
    pub fn info(&self) -> WorkflowInfo {
        let core = self.core.borrow();
        let (started, history) = (core.started(), core.history());
        let chain = started.chain.as_deref();
        WorkflowInfo {
            workflow_id: started.workflow_id.clone(),
            run_id: core.run_id(),
            workflow_type: started.workflow_type.clone(),
            first_run_id: chain.and_then(|chain| chain.first).unwrap_or(core.run_id()),
            follows: chain.and_then(|chain| chain.follows),
            attempt: chain.map_or(1, |chain| chain.attempt),
            last_failure: chain.and_then(|chain| chain.last_failure.clone()),
            history_length: history.events,
            history_bytes: history.bytes,
            continue_as_new_suggested: history.continue_as_new_suggested,
        }
    }

    /// The result of the last run of this chain that had one: of a run that is repeated by a schedule. `None` without one.
    ///
    /// # Errors
    /// A failure of type `InvalidInput` when it does not fit `T`.
    pub fn last_result<T: FromPayload>(&self) -> Result<Option<T>, Failure> {
        let core = self.core.borrow();
        let last = core
            .started()
            .chain
            .as_deref()
            .and_then(|chain| chain.last_result.as_ref());
        let read = last.map(Payload::to).transpose();
        read.map_err(|error| Failure::non_retryable("InvalidInput", format!("the last result cannot be read: {error}")))
    }

    /// Ends this run and begins a new one under the same workflow id, with an empty history: for workflows that live for
    /// long. Give it the state that the new run needs. The function may be the running one or another.
    ///
    /// Both become durable together. Whoever waits for the result goes on to wait for the new run's; signals, updates and
    /// queries to the workflow id reach the newest run. Signals that the code has not received are the new run's, in
    /// their order. Everything else ends with this run: what it waits for, its handlers that have not ended (wait for
    /// them with [`all_handlers_finished`](Self::all_handlers_finished)), its locks. Open child workflows go on, though the new
    /// run's code does not know them: their parent has ended when the last run of its chain has. Time limits, the task queue and the
    /// rest of what its start said hold for the new run, too, unless this call says otherwise; search attributes and the memo go
    /// along as they are now.
    ///
    /// A run whose saga would have to undo something if it failed cannot: it fails, and goes back. Say
    /// [`saga_done`](ContinueAsNewCall::saga_done) when the saga is through, or give it a run of its own.
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn meter(cx: WorkflowContext, mut total: u64) -> Result<u64, Failure> {
    ///     let readings = cx.signal::<u64>("reading");
    ///     loop {
    ///         // Once it is time to go on, only what has arrived already.
    ///         let reading = match cx.info().continue_as_new_suggested {
    ///             false => Some(readings.recv().await?),
    ///             true => readings.try_recv()?,
    ///         };
    ///         match reading {
    ///             Some(0) => return Ok(total),
    ///             Some(reading) => total += reading,
    ///             None => return cx.continue_as_new(meter, &total).await,
    ///         }
    ///     }
    /// }
    /// # let _ = amends::WorkflowDefinition::of(meter);
    /// ```
    ///
    /// # Errors
    /// What this gives does not resolve, but for a failure: a cancellation when the run is cancelled, a failure of type
    /// `InvalidInput` when the input or the memo has no JSON form or is too large, `InvalidId` for a task queue that cannot be one,
    /// `InvalidSearchAttribute` for attributes and a memo that no run can have. A run that has more than 2,000 unread signals, or 8 MiB
    /// of them, is parked with all of them until its code receives some first.
    pub fn continue_as_new<M, F>(&self, function: F, input: &F::Input) -> ContinueAsNewCall<F::Output>
    where
        F: WorkflowFunction<M>,
        F::Input: ToPayload,
    {
        let workflow_type = type_of(function);
        ContinueAsNewCall::new(self.core.clone(), workflow_type, input)
    }

    /// The same, by the name of a workflow.
    ///
    /// # Errors
    /// As [`continue_as_new`](Self::continue_as_new); also when the name cannot be one.
    pub fn continue_as_new_by_name<O>(
        &self,
        workflow_type: impl AsRef<str>,
        input: &(impl ToPayload + ?Sized),
    ) -> ContinueAsNewCall<O> {
        let workflow_type = WorkflowType::new(workflow_type.as_ref()).map_err(|error| invalid_id(&error));
        ContinueAsNewCall::new(self.core.clone(), workflow_type, input)
    }
}

/// The function is only asked for its name.
fn type_of<F: 'static>(_function: F) -> Result<WorkflowType, Failure> {
    metadata::workflow_type::<F>().map_err(|error| unnamed(&error))
}

/// Ends the run when it is awaited; see [`WorkflowContext::continue_as_new`]. It resolves only to a failure.
#[must_use = "the run continues as a new one only when this is awaited"]
pub struct ContinueAsNewCall<O> {
    core: Rc<RefCell<Core>>,
    next: Option<Result<ContinueAsNew, Failure>>,
    output: PhantomData<fn() -> O>,
}

impl<O> ContinueAsNewCall<O> {
    fn new(
        core: Rc<RefCell<Core>>,
        workflow_type: Result<WorkflowType, Failure>,
        input: &(impl ToPayload + ?Sized),
    ) -> Self {
        let next = workflow_type.and_then(|workflow_type| {
            let input = encode(input)
                .and_then(|input| input.checked())
                .map_err(|error| invalid_input("the new run's input", &error))?;
            Ok(ContinueAsNew::new(workflow_type, input))
        });
        Self {
            core,
            next: Some(next),
            output: PhantomData,
        }
    }

    fn set(self, set: impl FnOnce(&mut ContinueAsNew)) -> Self {
        self.try_set(|next| {
            set(next);
            Ok(())
        })
    }

    /// What cannot be is what awaiting it gives.
    fn try_set(mut self, set: impl FnOnce(&mut ContinueAsNew) -> Result<(), Failure>) -> Self {
        if let Some(Ok(next)) = &mut self.next
            && let Err(failure) = set(next)
        {
            self.next = Some(Err(failure));
        }
        self
    }

    /// How long the new run may take; as long as this one when not given.
    pub fn run_timeout(self, timeout: Duration) -> Self {
        self.set(|next| next.run_timeout = Some(timeout))
    }

    /// The task queue of the new run; that of this one when not given.
    pub fn task_queue(self, task_queue: impl AsRef<str>) -> Self {
        self.try_set(|next| {
            let task_queue = TaskQueue::new(task_queue).map_err(|error| invalid_id(&error))?;
            next.task_queue = Some(task_queue);
            Ok(())
        })
    }

    /// Has the new run, should it fail, followed by another one, as for a start; as this one when not given.
    pub fn retry_policy(self, policy: RetryPolicy) -> Self {
        self.set(|next| next.retry = Some(policy))
    }

    /// Something that the new run can be found by, instead of all that this one is found by now; when none is given, that goes along.
    /// To change some only, [upsert](WorkflowContext::upsert_search_attributes) them before.
    pub fn search_attribute(self, name: impl Into<String>, value: impl Into<SearchAttributeValue>) -> Self {
        self.set(|next| {
            let attributes = next.search_attributes.get_or_insert_default();
            attributes.insert(name.into(), value.into());
        })
    }

    /// Something that is shown with the new run, instead of all that is shown with this one now; when none is given, that goes along.
    /// To change some only, [upsert](WorkflowContext::upsert_memo) them before.
    pub fn memo<T: ToPayload + ?Sized>(self, name: impl Into<String>, value: &T) -> Self {
        let value = encode(value).and_then(Payload::checked);
        self.try_set(|next| {
            let value = value.map_err(|error| invalid_input("the new run's memo", &error))?;
            next.memo.get_or_insert_default().insert(name.into(), value);
            Ok(())
        })
    }

    /// The saga of this run is through: its steps are not undone any more, whatever becomes of the new run. As when the
    /// function had returned a result.
    pub fn saga_done(self) -> Self {
        self.set(|next| next.saga_done = true)
    }
}

impl<O> Future for ContinueAsNewCall<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Asked for once; the run is over when its code waits next, which it does here.
        let Some(next) = this.next.take() else {
            return Poll::Pending;
        };
        match next.and_then(|next| this.core.borrow_mut().continue_as_new(next)) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(failure)),
        }
    }
}

impl<O> fmt::Debug for ContinueAsNewCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContinueAsNewCall").finish_non_exhaustive()
    }
}
