//! The namespaces of an engine: whose workers make what, how long runs are kept, how many may be open, and how large they may
//! be. Must not live here: how ids of different namespaces are told apart (`model` does).
//!
//! Which namespaces there are, the engine is told at its start. What the store has of others stays as it is: such runs have no
//! worker here, like those of a task queue that nobody serves.
//!
//! Open runs are counted where a limit is given: from the store when it is opened, then with each beginning and end. A child
//! and a run that follows another one are counted and never refused, or runs that have begun could not end; nor is one that a
//! person has made of another one by a reset.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::machine::check_start;
use crate::model::{NamespaceName, RunLimits, StartRun, TaskQueue, WorkflowId};
use crate::store::{Error, ListQuery, Store};

use super::error::RequestError;
use super::queues::{ServedQueues, TaskQueueStatus, TaskQueues, Worker};
use super::retention::Retention;

/// What one namespace is granted.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceOptions {
    /// How long runs are kept after their end; `None`: for ever.
    pub(crate) retention: Option<Duration>,
    /// How many runs may be open at once; `None`: as many as there is room for.
    pub(crate) max_open_runs: Option<usize>,
    pub(crate) limits: RunLimits,
    pub(crate) queues: ServedQueues,
}

/// Every namespace of an engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespacesOptions {
    pub(crate) default: NamespaceOptions,
    pub(crate) named: BTreeMap<NamespaceName, NamespaceOptions>,
}

impl NamespacesOptions {
    pub(super) fn retention(&self) -> Retention {
        let named = self.named.iter();
        Retention {
            period: self.default.retention,
            named: named
                .filter_map(|(name, options)| Some((name.clone(), options.retention?)))
                .collect(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Namespaces {
    default: Room,
    named: BTreeMap<NamespaceName, Room>,
}

#[derive(Debug)]
struct Room {
    queues: TaskQueues,
    open_runs: Option<OpenRuns>,
    limits: RunLimits,
}

#[derive(Debug)]
struct OpenRuns {
    most: usize,
    now: AtomicUsize,
}

impl Room {
    fn new(options: &NamespaceOptions) -> Self {
        let open_runs = |most| OpenRuns {
            most,
            now: AtomicUsize::new(0),
        };
        Self {
            queues: TaskQueues::new(&options.queues),
            open_runs: options.max_open_runs.map(open_runs),
            limits: options.limits,
        }
    }
}

impl Namespaces {
    pub(super) fn new(options: &NamespacesOptions) -> Self {
        let named = options.named.iter();
        Self {
            default: Room::new(&options.default),
            named: named
                .map(|(name, options)| (name.clone(), Room::new(options)))
                .collect(),
        }
    }

    fn room(&self, namespace: &str) -> Option<&Room> {
        self.named.get(namespace)
    }

    fn room_of(&self, run: &WorkflowId) -> Option<&Room> {
        match run.is_in_default_namespace() {
            true => Some(&self.default),
            false => self.room(run.namespace()),
        }
    }

    /// The namespaces that there are beside the default one.
    pub(super) fn names(&self) -> impl Iterator<Item = &NamespaceName> {
        self.named.keys()
    }

    /// The worker for a task queue of this run's namespace (`None`: the default queue), if there is one here.
    pub(super) fn worker(&self, run: &WorkflowId, queue: Option<&TaskQueue>) -> Option<&Arc<Worker>> {
        self.room_of(run)?.queues.worker(queue)
    }

    /// The task queues that a namespace serves (`None`: the default one).
    pub(super) fn task_queues(&self, namespace: Option<&NamespaceName>) -> Vec<TaskQueueStatus> {
        let room = namespace.map_or(Some(&self.default), |name| self.room(name.as_str()));
        room.map(|room| room.queues.status()).unwrap_or_default()
    }

    /// What a run is granted. Of a namespace that nobody serves here: what everybody is.
    pub(super) fn limits(&self, run: &WorkflowId) -> RunLimits {
        self.room_of(run).map(|room| room.limits).unwrap_or_default()
    }

    /// A run begins: it is counted, if there is room for it, and it may have what it is given.
    pub(super) fn begin(&self, start: &StartRun) -> Result<(), RequestError> {
        check_start(&self.limits(&start.workflow_id), start)?;
        let Some(open) = self
            .room_of(&start.workflow_id)
            .and_then(|room| room.open_runs.as_ref())
        else {
            return Ok(());
        };
        let before = open.now.fetch_add(1, Ordering::AcqRel);
        if before < open.most || start.parent.is_some() {
            return Ok(());
        }
        open.now.fetch_sub(1, Ordering::AcqRel);
        Err(RequestError::TooManyOpenRuns {
            namespace: start.workflow_id.namespace().to_owned(),
            most: open.most,
        })
    }

    /// A run begins whatever there is room for: one that is made of another one, which has ended.
    pub(super) fn begin_in_any_case(&self, run: &WorkflowId) {
        if let Some(open) = self.room_of(run).and_then(|room| room.open_runs.as_ref()) {
            open.now.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A run has ended, and none follows it; or its beginning has come to nothing.
    pub(super) fn end(&self, run: &WorkflowId) {
        if let Some(open) = self.room_of(run).and_then(|room| room.open_runs.as_ref()) {
            let less = |now: usize| Some(now.saturating_sub(1));
            let _ = open.now.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        }
    }

    /// Counts from the store, which has just been opened.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn count(&self, store: &dyn Store) -> Result<(), Error> {
        let rooms = || std::iter::once(&self.default).chain(self.named.values());
        if rooms().all(|room| room.open_runs.is_none()) {
            return Ok(());
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        store.visit(&ListQuery::open_runs(), &mut |head| {
            let namespace = head.workflow_id.namespace();
            match counts.get_mut(namespace) {
                Some(count) => *count += 1,
                None => drop(counts.insert(namespace.to_owned(), 1)),
            }
            ControlFlow::Continue(())
        })?;
        let default = NamespaceName::default();
        let named = self.named.iter().map(|(name, room)| (name.as_str(), room));
        for (name, room) in std::iter::once((default.as_str(), &self.default)).chain(named) {
            if let Some(open) = &room.open_runs {
                open.now
                    .store(counts.get(name).copied().unwrap_or(0), Ordering::Release);
            }
        }
        Ok(())
    }
}
