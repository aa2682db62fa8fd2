//! One try of an activity: an incarnation that its run supervises. Lives here: starting it where it may run, watching its
//! time, turning panics into failures, stopping it. Must not live here: whether there is another try (that is the retry
//! policy, in `machine`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::model::{AttemptOutcome, AttemptToken, Failure, Payload, TimeoutKind, Timestamp, limits};
use crate::sdk::{Activity, ActivityContext, ActivityInfo, CancelFlag, Execution, SharedState};

use super::clock::Clock;
use super::secrets::Declared;

#[cfg(test)]
mod tests;

/// Where attempts run, and how many at once.
#[derive(Clone)]
pub(super) struct AttemptPool {
    handle: tokio::runtime::Handle,
    clock: Arc<dyn Clock>,
    state: SharedState,
    forward: Slots,
    amends: Slots,
}

/// How many attempts of one lane may run at once.
#[derive(Clone)]
struct Slots {
    running: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
}

/// Whom an attempt waits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Other work that goes forward.
    Forward,
    /// Only others that set something right: compensations, verifications, escalations.
    Amends,
}

/// Takes the result of a blocking attempt that nobody waits for any more.
pub(super) type Late = Arc<dyn Fn(AttemptToken, AttemptOutcome) + Send + Sync>;

/// What is to be tried.
pub(super) struct AttemptOrder {
    pub(super) token: AttemptToken,
    pub(super) lane: Lane,
    pub(super) activity: Arc<dyn Activity>,
    pub(super) info: ActivityInfo,
    /// What the definition of its run allows it to reveal.
    pub(super) secrets: Option<Declared>,
    pub(super) input: Payload,
    pub(super) due: Timestamp,
    pub(super) schedule_to_start: Option<Duration>,
    pub(super) start_to_close: Duration,
    pub(super) heartbeat: Option<Duration>,
}

/// A running attempt. Dropping it ends the attempt: an async one at once; a blocking one is left to itself, and its result
/// comes late.
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
            forward: Slots::new(limits::ATTEMPTS_MAX, limits::BLOCKING_ATTEMPTS_MAX),
            amends: Slots::new(limits::COMPENSATIONS_MAX, limits::BLOCKING_COMPENSATIONS_MAX),
        }
    }

    /// Starts an attempt; `done` hears of its end exactly once, unless the handle is dropped before. A blocking attempt
    /// that was given up (its time was up, or its handle was dropped) goes on all the same: `late` hears of its result.
    pub(super) fn launch(
        &self,
        order: AttemptOrder,
        done: impl FnOnce(AttemptToken, AttemptOutcome) + Send + 'static,
        late: Late,
    ) -> AttemptHandle {
        let pool = self.clone();
        self.supervise(move |cancel| async move {
            let token = order.token;
            let outcome = pool.run(order, cancel, late).await;
            done(token, outcome);
        })
    }

    /// Starts work of the engine's own in an attempt's stead: it takes no place in the pool, and watches its own time.
    pub(super) fn supervise<F>(&self, work: impl FnOnce(CancelFlag) -> F) -> AttemptHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = CancelFlag::new();
        let task = self.handle.spawn(work(cancel.clone()));
        AttemptHandle {
            cancel,
            task: task.abort_handle(),
        }
    }

    /// Runs something on the blocking threads, beside the attempts; `None` when it panicked.
    pub(super) async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.handle.spawn_blocking(work).await.ok()
    }

    /// An attempt that cannot even be started; `done` hears of it like of any other end.
    pub(super) fn refuse(
        &self,
        token: AttemptToken,
        failure: Failure,
        done: impl FnOnce(AttemptToken, AttemptOutcome) + Send + 'static,
    ) -> AttemptHandle {
        self.supervise(move |_| async move { done(token, Err(failure)) })
    }

    async fn run(&self, order: AttemptOrder, cancel: CancelFlag, late: Late) -> AttemptOutcome {
        let lane = match order.lane {
            Lane::Forward => &self.forward,
            Lane::Amends => &self.amends,
        };
        let slots = match order.activity.execution() {
            Execution::Async => &lane.running,
            Execution::Blocking => &lane.blocking,
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
        let work = self.execute(order, cx, permit, late);
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
        let state = match &order.secrets {
            Some(declared) => self.state.clone().with(declared.clone()),
            None => self.state.clone(),
        };
        ActivityContext::new(order.info.clone(), state, cancel, Some(heartbeat))
    }

    /// The permit is held for as long as the user's code runs, which for blocking code is longer than anybody listens to
    /// it: a thread whose attempt timed out is still taken.
    async fn execute(
        &self,
        order: AttemptOrder,
        cx: ActivityContext,
        permit: OwnedSemaphorePermit,
        late: Late,
    ) -> AttemptOutcome {
        let AttemptOrder {
            activity, input, token, ..
        } = order;
        if activity.execution() == Execution::Async {
            let _permit = permit;
            return settled(AssertUnwindSafe(activity.execute(cx, input)).catch_unwind().await);
        }
        let (report, result) = oneshot::channel();
        let mut listening = Listening {
            token,
            result,
            late: Arc::clone(&late),
        };
        let work = move || {
            // Given up before it began: it does not begin.
            if report.is_closed() {
                return;
            }
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| activity.execute_blocking(cx, input)));
            drop(permit);
            if let Err(unheard) = report.send(settled(result)) {
                late(token, unheard);
            }
        };
        self.handle.spawn_blocking(work);
        let heard = (&mut listening.result).await;
        heard.unwrap_or_else(|_| Err(Failure::worker_lost()))
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

impl Slots {
    fn new(running: usize, blocking: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            blocking: Arc::new(Semaphore::new(blocking)),
        }
    }
}

/// Waits for the result of a blocking attempt. Given up, it still passes on a result that has come in just now.
struct Listening {
    token: AttemptToken,
    result: oneshot::Receiver<AttemptOutcome>,
    late: Late,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.result.close();
        if let Ok(unheard) = self.result.try_recv() {
            (self.late)(self.token, unheard);
        }
    }
}

/// What the user's code ended with.
fn settled(result: std::thread::Result<Result<Payload, Failure>>) -> AttemptOutcome {
    match result {
        Ok(Ok(payload)) => payload.checked().map_err(Failure::from),
        Ok(Err(failure)) => Err(failure),
        Err(panic) => Err(Failure::new("Panic", panic_message(&*panic))),
    }
}

/// The text of a panic, as far as it has one.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
