//! Namespaces as users see them: described to the builder, and chosen before anything is asked for. Must not live here: what keeps
//! them apart (ids do), or what they grant (`runtime`).

use std::time::Duration;

use crate::model::{IdError, NamespaceName, RunId, RunLimits, TaskQueue, TaskQueueOptions, WorkflowId, limits};
use crate::runtime::NamespaceOptions;
use crate::store::RunHead;

use super::{Amends, Error};

/// A namespace of an engine: runs with workflow ids, task queues, a retention and limits of their own. See
/// [`AmendsBuilder::namespace`](super::AmendsBuilder::namespace).
///
/// ```
/// use std::time::Duration;
/// use amends::{Amends, Namespace, TaskQueueOptions};
///
/// let payments = Namespace::new("payments")
///     .retention(Duration::from_secs(90 * 24 * 60 * 60))
///     .max_open_runs(50_000)
///     .task_queue("cards", TaskQueueOptions::new().max_concurrent_activities(8));
/// let builder = Amends::builder().namespace(payments);
/// # let _ = builder;
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is there when the builder was given it"]
pub struct Namespace {
    name: Result<NamespaceName, IdError>,
    options: NamespaceOptions,
    errors: Vec<IdError>,
}

impl Namespace {
    /// The namespace of this name: 1 to 64 bytes, no control characters. Its runs are kept for ever, as many as there are, and
    /// its default task queue is served, when not said otherwise.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: NamespaceName::new(name),
            options: NamespaceOptions::default(),
            errors: Vec::new(),
        }
    }

    /// How long its runs are kept after their end; at least a second. As
    /// [`AmendsBuilder::retention`](super::AmendsBuilder::retention) for the default namespace.
    pub fn retention(mut self, period: Duration) -> Self {
        self.options.retention = Some(period.max(limits::RETENTION_MIN));
        self
    }

    /// How many of its runs may be open at once; a start beyond that is refused with [`Error::TooManyOpenRuns`]. Child
    /// workflows and runs that follow others are counted, and never refused: what has begun must be able to end.
    pub fn max_open_runs(mut self, runs: usize) -> Self {
        self.options.max_open_runs = Some(runs);
        self
    }

    /// How large a value of its runs may be, at most [`limits::PAYLOAD_BYTES_MAX`] as everywhere: of an input, a result, a
    /// signal, an update, a memo. A start, signal or update with a larger one is refused
    /// ([`Rejection::PayloadTooLarge`](crate::machine::Rejection::PayloadTooLarge)); an activity's result that is larger is a
    /// failure of type `InvalidPayload`, which is not retried; and code that hands on a larger one fails its run with such a
    /// failure, undoing what the run has done.
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.run_limits().grant_payload_bytes(bytes);
        self
    }

    /// How many events the history of one of its runs may have, at most [`limits::HISTORY_EVENTS_MAX`] as everywhere. A run
    /// that comes near ends with a failure of type `HistoryTooLong`, undoing what it has done; at half of it, it is told to
    /// continue as a new run (`cx.info()`).
    pub fn max_history_events(mut self, events: u64) -> Self {
        self.run_limits().grant_history_events(events);
        self
    }

    /// How many bytes the history of one of its runs may have, at most [`limits::HISTORY_BYTES_MAX`] as everywhere. A run with
    /// more is cancelled; at half of it, it is told to continue as a new run (`cx.info()`).
    pub fn max_history_bytes(mut self, bytes: u64) -> Self {
        self.run_limits().grant_history_bytes(bytes);
        self
    }

    /// Serves this task queue of the namespace; as [`AmendsBuilder::task_queue`](super::AmendsBuilder::task_queue) for the
    /// default one. A queue of the same name in another namespace is another queue.
    pub fn task_queue(mut self, task_queue: impl AsRef<str>, options: TaskQueueOptions) -> Self {
        match TaskQueue::new(task_queue) {
            Ok(task_queue) => drop(self.options.queues.named.insert(task_queue, options)),
            Err(error) => self.errors.push(error),
        }
        self
    }

    /// Serves only the task queues that are named.
    pub fn without_default_task_queue(mut self) -> Self {
        self.options.queues.no_default = true;
        self
    }

    /// Serves every task queue of the namespace.
    pub fn every_task_queue(mut self) -> Self {
        self.options.queues.every_other = true;
        self
    }

    /// What its runs are granted.
    pub(crate) fn run_limits(&mut self) -> &mut RunLimits {
        &mut self.options.limits
    }

    /// Its name and what it is granted.
    ///
    /// # Errors
    /// What is wrong with its names.
    pub(super) fn into_parts(self) -> Result<(NamespaceName, NamespaceOptions), IdError> {
        match self.errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok((self.name?, self.options)),
        }
    }
}

impl Amends {
    /// The same engine, in this namespace: what is started, found, listed, asked or scheduled through it (and through the
    /// clients and handles that it gives) is of this namespace, and of no other. `"default"` is the one without a name.
    ///
    /// ```
    /// # use amends::{Amends, Failure, Namespace, WorkflowContext};
    /// async fn order(_cx: WorkflowContext, number: u32) -> Result<u32, Failure> { Ok(number) }
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let builder = Amends::builder().memory().workflow(order);
    /// let amends = builder.namespace(Namespace::new("payments")).start().await?;
    /// let payments = amends.in_namespace("payments")?;
    /// // The same id in two namespaces is two workflows.
    /// let first = amends.workflow(order).id("order-1").start(&1).await?;
    /// let second = payments.workflow(order).id("order-1").start(&2).await?;
    /// assert_eq!((first.result().await?, second.result().await?), (1, 2));
    /// assert_eq!(payments.client().list("").await?.len(), 1);
    /// # amends.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownNamespace`] when the engine was not started with it; it names those that there are.
    pub fn in_namespace(&self, name: &str) -> Result<Amends, Error> {
        let name = NamespaceName::new(name)?;
        let known = || self.runtime().namespaces();
        let namespace = match name.is_default() {
            true => None,
            false if known().any(|known| *known == name) => Some(name),
            false => {
                let known = known().map(ToString::to_string);
                return Err(Error::UnknownNamespace {
                    name: name.to_string(),
                    known: std::iter::once(NamespaceName::default().to_string())
                        .chain(known)
                        .collect(),
                });
            }
        };
        Ok(Amends {
            inner: self.inner.clone(),
            namespace,
        })
    }

    /// The namespace that this is in.
    #[must_use]
    pub fn namespace(&self) -> NamespaceName {
        self.namespace.clone().unwrap_or_default()
    }

    /// The engine as a run with this workflow id means it.
    #[cfg(feature = "schedules")]
    pub(super) fn beside(self, run: &WorkflowId) -> Result<Amends, Error> {
        self.in_namespace(run.namespace())
    }

    /// An id of a run of this namespace.
    pub(super) fn workflow_id(&self, text: &str) -> Result<WorkflowId, Error> {
        let plain = WorkflowId::new(text)?;
        Ok(match &self.namespace {
            None => plain,
            Some(namespace) => plain.in_namespace(namespace),
        })
    }

    /// A run of this namespace by its run id.
    pub(super) fn own_run(&self, run_id: RunId) -> Result<RunHead, Error> {
        let head = self.runtime().store()?.head(run_id)?;
        let own = self.namespace();
        head.filter(|head| head.workflow_id.namespace() == own.as_str())
            .ok_or(Error::RunNotFound(run_id))
    }
}
