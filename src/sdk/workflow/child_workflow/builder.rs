//! Describing a child workflow before it is started. Must not live here: what its start resolves to (`child_workflow`).

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use crate::model::{
    Failure, IdReusePolicy, ParentClosePolicy, Payload, RetryPolicy, SearchAttributeValue, StartChild, TaskQueue,
    ToPayload, WorkflowId, WorkflowType, check_memo,
};
use crate::sdk::function::encode;

use super::super::call::{Progress, invalid_id};
use super::super::core::{ChildRequest, Core, refused_attribute};
use super::super::{ChildCancellationType, invalid_input};
use super::{ChildRun, ChildStart};

/// Describes a child before it is started; see [`WorkflowContext::child`](crate::WorkflowContext::child).
///
/// ```
/// use std::time::Duration;
/// use amends::{Failure, RetryPolicy, WorkflowContext};
///
/// async fn parcel(_cx: WorkflowContext, address: String) -> Result<u32, Failure> { Ok(address.len() as u32) }
///
/// async fn shipment(cx: WorkflowContext, address: String) -> Result<u32, Failure> {
///     let parcel = cx.child(parcel).id(format!("parcel-to-{address}"));
///     let parcel = parcel.retry_policy(RetryPolicy { maximum_attempts: 3, ..RetryPolicy::default() });
///     let parcel = parcel.execution_timeout(Duration::from_secs(7 * 86_400)).task_queue("parcels");
///     parcel.search_attribute("City", &address).memo("sender", "Ada").run(&address).await
/// }
/// # let _ = amends::WorkflowDefinition::of(shipment);
/// ```
#[must_use = "a child is only started when `start` or `run` is awaited"]
pub struct ChildWorkflow<I, O> {
    core: Rc<RefCell<Core>>,
    workflow_type: Result<WorkflowType, Failure>,
    workflow_id: Option<WorkflowId>,
    cancellation: ChildCancellationType,
    /// But for its type, its id and its input.
    start: StartChild,
    /// The first option that cannot be.
    refused: Option<Failure>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> ChildWorkflow<I, O> {
    pub(super) fn new(core: Rc<RefCell<Core>>, workflow_type: Result<WorkflowType, Failure>) -> Self {
        Self {
            core,
            workflow_type,
            workflow_id: None,
            cancellation: ChildCancellationType::default(),
            start: StartChild::new(
                WorkflowId::from_trusted(""),
                WorkflowType::from_trusted(""),
                Payload::null(),
            ),
            refused: None,
            types: PhantomData,
        }
    }

    fn set<T>(mut self, value: Result<T, Failure>, set: impl FnOnce(&mut Self, T)) -> Self {
        match value {
            Ok(value) => set(&mut self, value),
            Err(failure) => drop(self.refused.get_or_insert(failure)),
        }
        self
    }

    /// Its workflow id. When not given it is made of this run's id and the child's number, the same on replay.
    pub fn id(self, id: impl AsRef<str>) -> Self {
        let id = WorkflowId::new(id).map_err(|error| invalid_id(&error));
        self.set(id, |child, id| child.workflow_id = Some(id))
    }

    /// Whether it may begin when the last run with its workflow id has ended. By default it may
    /// ([`AllowDuplicate`](IdReusePolicy::AllowDuplicate)), unlike runs that are started from outside: this run's history keeps
    /// a child from being started twice. While a run with its id is open, it may not in any case.
    pub fn id_reuse_policy(mut self, policy: IdReusePolicy) -> Self {
        self.start.id_reuse_policy = policy;
        self
    }

    /// What becomes of it when this run ends first; by default it is terminated.
    pub fn parent_close_policy(mut self, policy: ParentClosePolicy) -> Self {
        self.start.parent_close_policy = policy;
        self
    }

    /// What becomes of it when this run is cancelled, or does not wait for it any more; by default it is asked to end, and
    /// waited for.
    pub fn cancellation(mut self, cancellation: ChildCancellationType) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// How long each run of it may take; then that one ends, undoing its saga steps. No limit when not given.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.start.run_timeout = Some(timeout);
        self
    }

    /// How long it may take together with all runs that follow it in its chain: those that its code continues as, its retries,
    /// those of its schedule. Then the open one ends, and none follows. No limit when not given.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.start.execution_timeout = Some(timeout);
        self
    }

    /// Has a run of it that fails, or whose time is up, followed by another one with the same input, after its saga was undone.
    /// This run hears how the last one ended. Not at all when not given: try activities again instead where you can.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.start.retry = Some(policy);
        self
    }

    /// Has it begin when this schedule is due, and another run follow at its next time whenever one has ended, however it ended:
    /// five fields, in UTC, as for `Starter::cron_schedule`. It ends when somebody cancels or terminates it; or, when the next time
    /// is behind its execution timeout, as its last run did.
    pub fn cron_schedule(mut self, schedule: impl Into<String>) -> Self {
        self.start.cron = Some(schedule.into());
        self
    }

    /// The task queue whose workers decide for it; instead of the one that its own workflow or definition names, or else this
    /// run's.
    pub fn task_queue(self, task_queue: impl AsRef<str>) -> Self {
        let task_queue = TaskQueue::new(task_queue).map_err(|error| invalid_id(&error));
        self.set(task_queue, |child, queue| child.start.task_queue = Some(queue))
    }

    /// Something that it can be found by; it has none of this run's. A second value for the same name replaces the first.
    pub fn search_attribute(mut self, name: impl Into<String>, value: impl Into<SearchAttributeValue>) -> Self {
        self.start.search_attributes.insert(name.into(), value.into());
        self
    }

    /// Something that is shown with it, and that it cannot be found by; it has nothing of this run's memo. A second value for the
    /// same name replaces the first.
    pub fn memo<T: ToPayload + ?Sized>(self, name: impl Into<String>, value: &T) -> Self {
        let value = encode(value).and_then(Payload::checked);
        let value = value.map_err(|error| invalid_input("the child's memo", &error));
        self.set(value, |child, value| drop(child.start.memo.insert(name.into(), value)))
    }

    /// Starts it, and resolves when it has begun. Dropping this before that is as if it was cancelled.
    ///
    /// # Errors
    /// A failure of kind [`ChildWorkflow`](crate::model::FailureKind::ChildWorkflow) when it cannot be started; its cause
    /// is of type `WorkflowAlreadyExists` when another run has its id, or `InvalidInput` when its definition does not take
    /// the input, or its schedule is none. A failure of type `InvalidInput` when the input or the memo has no JSON form or is too
    /// large, of type `InvalidId` for a name that cannot be one, of type `InvalidSearchAttribute` as for
    /// [`upsert_search_attributes`](crate::WorkflowContext::upsert_search_attributes), or a cancellation when this run is cancelled.
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
    /// As [`start`](Self::start), and as [`ChildHandle::result`](super::ChildHandle::result).
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
        if let Some(failure) = self.refused {
            return Err(failure);
        }
        check_memo(&self.start.memo).map_err(|error| refused_attribute(&error))?;
        let input = encode(input)
            .and_then(Payload::checked)
            .map_err(|error| invalid_input(&format!("the input of child workflow {workflow_type}"), &error))?;
        Ok(Box::new(ChildRequest {
            workflow_id: self.workflow_id,
            cancellation: self.cancellation,
            start: StartChild {
                workflow_type,
                input,
                ..self.start
            },
        }))
    }
}

impl<I, O> fmt::Debug for ChildWorkflow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildWorkflow").field(&self.workflow_type).finish()
    }
}
