//! One try of an activity: an incarnation that its run supervises. Lives here: starting it where it may run, watching its
//! time, turning panics into failures, stopping it. Must not live here: whether there is another try (that is the retry
//! policy, in `machine`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::model::{AttemptOutcome, AttemptToken, Failure, Payload, TimeoutKind, Timestamp, limits};
use crate::sdk::{Activity, ActivityContext, ActivityInfo, CancelFlag, Execution, SharedState};

use super::clock::Clock;

/// Where attempts run, and how many at once.
#[derive(Clone)]
pub(super) struct AttemptPool {
    handle: tokio::runtime::Handle,
    clock: Arc<dyn Clock>,
    state: SharedState,
    running: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
}

/// What is to be tried.
pub(super) struct AttemptOrder {
    pub(super) token: AttemptToken,
    pub(super) activity: Arc<dyn Activity>,
    pub(super) info: ActivityInfo,
    pub(super) input: Payload,
    pub(super) due: Timestamp,
    pub(super) schedule_to_start: Option<Duration>,
    pub(super) start_to_close: Duration,
    pub(super) heartbeat: Option<Duration>,
}

/// A running attempt. Dropping it ends the attempt (an async one at once; a blocking one is left to itself, its result is
/// not listened to).
pub(super) struct AttemptHandle {
    cancel: CancelFlag,
    task: AbortHandle,
}

impl AttemptHandle {
    /// Asks the attempt to stop early.
    pub(super) fn cancel(&self) {
        self.cancel.raise();
    }
}

impl Drop for AttemptHandle {
    fn drop(&mut self) {
        self.cancel.raise();
        self.task.abort();
    }
}

impl AttemptPool {
    pub(super) fn new(handle: tokio::runtime::Handle, clock: Arc<dyn Clock>, state: SharedState) -> Self {
        Self {
            handle,
            clock,
            state,
            running: Arc::new(Semaphore::new(limits::ATTEMPTS_MAX)),
            blocking: Arc::new(Semaphore::new(limits::BLOCKING_ATTEMPTS_MAX)),
        }
    }

    /// Starts an attempt; `done` hears of its end exactly once, unless the handle is dropped before.
    pub(super) fn launch(
        &self,
        order: AttemptOrder,
        done: impl FnOnce(AttemptToken, AttemptOutcome) + Send + 'static,
    ) -> AttemptHandle {
        let cancel = CancelFlag::new();
        let pool = self.clone();
        let flag = cancel.clone();
        let task = self.handle.spawn(async move {
            let token = order.token;
            let outcome = pool.run(order, flag).await;
            done(token, outcome);
        });
        AttemptHandle {
            cancel,
            task: task.abort_handle(),
        }
    }

    /// An attempt that cannot even be started; `done` hears of it like of any other end.
    pub(super) fn refuse(
        &self,
        token: AttemptToken,
        failure: Failure,
        done: impl FnOnce(AttemptToken, AttemptOutcome) + Send + 'static,
    ) -> AttemptHandle {
        let task = self.handle.spawn(async move { done(token, Err(failure)) });
        AttemptHandle {
            cancel: CancelFlag::new(),
            task: task.abort_handle(),
        }
    }

    async fn run(&self, order: AttemptOrder, cancel: CancelFlag) -> AttemptOutcome {
        let slots = match order.activity.execution() {
            Execution::Async => &self.running,
            Execution::Blocking => &self.blocking,
        };
        let wait_until = order.schedule_to_start.map(|limit| order.due.after(limit));
        let waiting = Arc::clone(slots).acquire_owned();
        let permit = match self.within(wait_until, waiting).await {
            Some(Ok(permit)) => permit,
            // Nobody closes the pools while attempts are started.
            Some(Err(_)) => return Err(Failure::worker_lost()),
            None => return Err(Failure::timeout(TimeoutKind::ScheduleToStart)),
        };
        let started = self.clock.now();
        let last_beat = Arc::new(AtomicI64::new(started.as_micros()));
        let cx = self.context(&order, cancel, Arc::clone(&last_beat));
        let deadline = Some(started.after(order.start_to_close));
        let heartbeat = order.heartbeat;
        let work = self.execute(order, cx, permit);
        tokio::select! {
            biased;
            outcome = self.within(deadline, work) => {
                outcome.unwrap_or_else(|| Err(Failure::timeout(TimeoutKind::StartToClose)))
            }
            () = self.silence(heartbeat, last_beat) => Err(Failure::timeout(TimeoutKind::Heartbeat)),
        }
    }

    fn context(&self, order: &AttemptOrder, cancel: CancelFlag, last_beat: Arc<AtomicI64>) -> ActivityContext {
        let clock = Arc::clone(&self.clock);
        let heartbeat = Arc::new(move |_details: Payload| last_beat.store(clock.now().as_micros(), Ordering::Relaxed));
        ActivityContext::new(order.info.clone(), self.state.clone(), cancel, Some(heartbeat))
    }

    /// The permit is held for as long as the user's code runs, which for blocking code is longer than anybody listens to
    /// it: a thread whose attempt timed out is still taken.
    async fn execute(&self, order: AttemptOrder, cx: ActivityContext, permit: OwnedSemaphorePermit) -> AttemptOutcome {
        let AttemptOrder { activity, input, .. } = order;
        let result = match activity.execution() {
            Execution::Async => {
                let _permit = permit;
                AssertUnwindSafe(activity.execute(cx, input)).catch_unwind().await
            }
            Execution::Blocking => {
                let work = move || {
                    let _permit = permit;
                    std::panic::catch_unwind(AssertUnwindSafe(|| activity.execute_blocking(cx, input)))
                };
                match self.handle.spawn_blocking(work).await {
                    Ok(result) => result,
                    Err(_) => Ok(Err(Failure::worker_lost())),
                }
            }
        };
        match result {
            Ok(Ok(payload)) => payload.checked().map_err(Failure::from),
            Ok(Err(failure)) => Err(failure),
            Err(panic) => Err(Failure::new("Panic", panic_message(&*panic))),
        }
    }

    /// The future's output, or `None` if the clock shows `deadline` before.
    async fn within<T>(&self, deadline: Option<Timestamp>, future: impl Future<Output = T>) -> Option<T> {
        let Some(deadline) = deadline else {
            return Some(future.await);
        };
        let mut future = std::pin::pin!(future);
        // Most attempts end before they first wait: those need no timer.
        if let Some(output) = future.as_mut().now_or_never() {
            return Some(output);
        }
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.clock.sleep_until(deadline) => None,
        }
    }

    /// Ends when there was no heartbeat for too long; never, if none are expected.
    async fn silence(&self, limit: Option<Duration>, last_beat: Arc<AtomicI64>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        loop {
            let deadline = Timestamp::from_micros(last_beat.load(Ordering::Relaxed)).after(limit);
            if self.clock.now() >= deadline {
                return;
            }
            self.clock.sleep_until(deadline).await;
        }
    }
}

/// The text of a panic, as far as it has one.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
