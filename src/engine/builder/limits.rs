//! What an engine does at once, how fast, and for whom: limits, and the task queues that it serves. Must not live here:
//! keeping them (that is `runtime`).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::definition::{Catalog, DefinitionError, EXEC_ACTIVITY, EXEC_WORD, Problem, SagaDefinition, Severity};
use crate::model::{ActivityLimits, Rate, TaskQueue, TaskQueueOptions, limits};

use super::super::error::Error;
use super::AmendsBuilder;

impl AmendsBuilder {
    /// What this engine grants the activity type of this name: how many attempts at once, how fast, and when they are parked
    /// instead of made because its participant does not answer. Steps of definitions that call `http` or run programs are
    /// of the types `http` and `exec`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{ActivityLimits, Amends, Breaker};
    ///
    /// let builder = Amends::builder()
    ///     .activity_limits("charge_card", ActivityLimits::new().max_concurrent(8).breaker(Breaker::after(5)))
    ///     .activity_limits("send_mail", ActivityLimits::new().rate(14, Duration::from_secs(1)))
    ///     .max_concurrent_activities(500);
    /// # let _ = builder;
    /// ```
    pub fn activity_limits(mut self, activity_type: impl Into<String>, limits: ActivityLimits) -> Self {
        self.limits.types.insert(activity_type.into(), limits);
        self
    }

    /// When a turn whose code has not come back is told of while it hangs: as a warning (and again each time that it has hung
    /// for twice as long), and by [`Client::hung_turns`](crate::Client::hung_turns). In real time, whatever the engine's clock
    /// shows. 2 s when not said otherwise; zero: never.
    pub fn turn_hangs_after(mut self, time: Duration) -> Self {
        self.turn_hangs_after = time;
        self
    }

    /// How many async attempts that go forward this engine makes at once, 16,384 when not said otherwise; and as many
    /// blocking ones, within [`max_blocking_activities`](Self::max_blocking_activities). Compensations have places of their own.
    pub fn max_concurrent_activities(mut self, attempts: usize) -> Self {
        self.limits.max_concurrent = Some(attempts.clamp(1, limits::ATTEMPTS_MAX));
        self
    }

    /// How many attempts of blocking activities that go forward this engine makes at once, each on a thread of its own: 64 when
    /// not said otherwise, at most 256. The threads are those of the tokio runtime that activities run on, which has to allow
    /// as many (512, when not said otherwise). Compensations have places of their own.
    pub fn max_blocking_activities(mut self, attempts: usize) -> Self {
        self.limits.max_blocking = Some(attempts.clamp(1, limits::BLOCKING_ATTEMPTS_MAX));
        self
    }

    /// How many attempts that go forward (at least one) this engine makes in so much time. Compensations are not counted.
    pub fn activity_rate(mut self, attempts: u32, per: Duration) -> Self {
        let attempts = NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN);
        self.limits.rate = Some(Rate { attempts, per });
        self
    }

    /// Serves this task queue, beside the default one: this engine's workers make the attempts of the activities that name
    /// it, and decide for its runs, so many at once as the options say. For `"default"` it says what is granted to the
    /// default queue.
    ///
    /// What names a queue that no worker serves is not lost: an activity is pending, with `no worker` as the reason, and its
    /// schedule-to-start goes on; a run is open, takes signals, and decides nothing. Both go on when an engine is started
    /// that serves the queue.
    ///
    /// ```
    /// use amends::{Amends, TaskQueueOptions};
    ///
    /// let builder = Amends::builder()
    ///     .task_queue("gpu", TaskQueueOptions::new().max_concurrent_activities(2))
    ///     .task_queue("reports", TaskQueueOptions::new());
    /// # let _ = builder;
    /// ```
    pub fn task_queue(mut self, task_queue: impl AsRef<str>, options: TaskQueueOptions) -> Self {
        match TaskQueue::new(task_queue) {
            Ok(task_queue) => drop(self.namespaces.default.queues.named.insert(task_queue, options)),
            Err(error) => self.registry_errors.push(error.into()),
        }
        self
    }

    /// Serves only the task queues that are named with [`task_queue`](Self::task_queue), not the default one: what names no
    /// queue is left to another engine.
    pub fn without_default_task_queue(mut self) -> Self {
        self.namespaces.default.queues.no_default = true;
        self
    }

    /// Serves every task queue there is, those that are not named with [`task_queue`](Self::task_queue) without limits of
    /// their own.
    pub fn every_task_queue(mut self) -> Self {
        self.namespaces.default.queues.every_other = true;
        self
    }

    /// Leaves a schedule's run of a workflow that this engine does not know to one that does, instead of passing it over.
    #[cfg(all(feature = "schedules", feature = "server"))]
    pub(crate) fn leave_unknown_workflows(mut self) -> Self {
        self.leaves_unknown = true;
        self
    }

    /// How many attempts of isolated activities that go forward this engine makes at once, each in a process of its own, one for
    /// each core when not said otherwise. Compensations have as many processes of their own.
    pub fn worker_processes(mut self, processes: usize) -> Self {
        self.limits.worker_processes = Some(processes.clamp(1, limits::WORKER_PROCESSES_MAX));
        self
    }

    /// What this executable is started with as a worker process, for programs that need an argument to come by
    /// `amends::worker_process()`. Nothing when not said otherwise.
    pub fn worker_arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.worker_arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The limits of activity types that definition files name become the engine's, unless the builder says otherwise.
    pub(super) fn settle_limits(&mut self, sagas: &Catalog) -> Result<(), Error> {
        // What the steps of definitions are called in files.
        if self.registry.activity(EXEC_WORD).is_none()
            && let Some(limits) = self.limits.types.remove(EXEC_WORD)
        {
            self.limits.types.entry(EXEC_ACTIVITY.to_owned()).or_insert(limits);
        }
        let mut said: BTreeMap<&str, (&ActivityLimits, String)> = BTreeMap::new();
        let mut errors = Vec::new();
        for saga in sagas.iter() {
            for (activity_type, limits) in saga.activity_limits() {
                let said = said.entry(activity_type).or_insert((limits, saga.versioned_name()));
                if said.0 != limits && !self.limits.types.contains_key(activity_type) {
                    errors.push(differ(saga, activity_type, &said.1));
                }
            }
        }
        if !errors.is_empty() {
            return Err(Error::Definition(errors));
        }
        for (activity_type, (limits, _)) in said {
            let types = &mut self.limits.types;
            types.entry(activity_type.to_owned()).or_insert_with(|| limits.clone());
        }
        for activity_type in self.limits.types.keys() {
            if self.registry.activity(activity_type).is_none() {
                tracing::warn!(
                    activity_type,
                    "limits are given for an activity that is not registered: is the name right?"
                );
            }
        }
        Ok(())
    }

    /// Puts worker processes in the place of the code of isolated activities.
    pub(super) fn isolate(&mut self) -> Result<(), Error> {
        #[cfg(unix)]
        {
            use crate::runtime::process::{ProcessPool, is_worker_process};
            if is_worker_process() {
                return Err(Error::WorkerProcess);
            }
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            self.limits
                .worker_processes
                .get_or_insert(cores.min(limits::WORKER_PROCESSES_MAX));
            let arguments = std::mem::take(&mut self.worker_arguments);
            let pool = ProcessPool::new(std::sync::Arc::clone(&self.clock), arguments);
            self.registry.make_isolated_elsewhere(|| pool.activity());
        }
        #[cfg(not(unix))]
        if self
            .registry
            .activities()
            .any(crate::sdk::ActivityDefinition::is_isolated)
        {
            tracing::warn!("isolated activities run in the engine's own process: there are no worker processes here");
        }
        Ok(())
    }
}

/// Limits are the engine's: of two that differ nobody knows which is meant.
fn differ(saga: &SagaDefinition, activity_type: &str, other: &str) -> DefinitionError {
    let word = if activity_type == EXEC_ACTIVITY {
        EXEC_WORD
    } else {
        activity_type
    };
    DefinitionError {
        file: saga.versioned_name(),
        problems: vec![Problem {
            severity: Severity::Error,
            position: None,
            place: format!("activity_limits.{word}"),
            message: format!(
                "the saga {other:?} has other limits for the activity `{word}`, and they are the engine's"
            ),
            hint: Some(
                "say the same in both, or say it once in the engine's configuration (`[activities.<activity>]`)"
                    .to_owned(),
            ),
        }],
    }
}
