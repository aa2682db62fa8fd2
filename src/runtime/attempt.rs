//! One try of an activity: an incarnation that its run supervises. Lives here: starting it where it may run, watching its
//! time, turning panics into failures, stopping it. Must not live here: whether there is another try (that is the retry
//! policy, in `machine`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::machine::HeartbeatThrottle;
use crate::model::{AttemptOutcome, Failure, Payload, TimeoutKind, Timestamp, limits};
use crate::sdk::{Activity, ActivityContext, ActivityInfo, CancelFlag, Execution, HeartbeatSink, SharedState};

use super::clock::Clock;
use super::secrets::Declared;
use super::throttle::{EngineLimits, LaneLimits, Parked, Pass, Throttle};

mod heart;
mod places;
#[cfg(test)]
mod tests;

use heart::{Heart, Pulse};
use places::{Entered, Places, Slots};

/// Where attempts run, and how many at once.
pub(super) struct AttemptPool {
    handle: tokio::runtime::Handle,
    clock: Arc<dyn Clock>,
    state: SharedState,
    forward: Slots,
    amends: Slots,
    throttle: Arc<Throttle>,
}

/// Whom an attempt waits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Other work that goes forward.
    Forward,
    /// Only others that set something right: compensations, verifications, escalations.
    Amends,
}

/// How the task of an attempt ends.
pub(super) enum AttemptEnd {
    /// The attempt has ended, too.
    Ended(AttemptOutcome),
    /// Somebody else will say how the attempt, which was started then, ends.
    HandedOver { started: Timestamp },
    /// The attempt was not made: the breaker of its type keeps it back.
    Parked,
}

/// Whoever an attempt is made for. One thing for all that there is to say, because every attempt has one.
pub(super) trait Ear: Send + Sync + 'static {
    /// A thread has taken it up: it waits for its places now, if not for nothing.
    fn begun(&self);

    /// The attempt has ended: said once, unless its handle was dropped before.
    fn ended(&self, end: AttemptEnd);

    /// How far the attempt has got, by a heartbeat that is to be recorded.
    fn beat(&self, details: Payload);

    /// The result of a blocking attempt that nobody waits for any more.
    fn late(&self, outcome: AttemptOutcome);
}

/// What is to be tried.
pub(super) struct AttemptOrder {
    pub(super) lane: Lane,
    pub(super) activity: Arc<dyn Activity>,
    pub(super) info: ActivityInfo,
    /// What the definition of its run allows it to reveal.
    pub(super) secrets: Option<Declared>,
    pub(super) input: Payload,
    /// What its task queue grants, if it limits anything.
    pub(super) queue: Option<Arc<LaneLimits>>,
    pub(super) due: Timestamp,
    pub(super) schedule_to_start: Option<Duration>,
    pub(super) start_to_close: Duration,
    /// When it has to have ended, if nobody else watches that: whatever it waits for until then.
    pub(super) close_by: Option<Timestamp>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) ear: Arc<dyn Ear>,
}

/// A running attempt. Dropping it ends the attempt: an async one at once; a blocking one is left to itself, and its result
/// comes late.
pub(super) struct AttemptHandle {
    cancel: CancelFlag,
    task: AbortHandle,
    /// Of one that must not be silent for long.
    pulse: Option<Arc<Pulse>>,
}

impl AttemptHandle {
    /// Asks the attempt to stop early.
    pub(super) fn cancel(&self) {
        self.cancel.raise();
    }

    /// Somebody else than its own code says that the attempt is alive: whoever it has given its token to.
    pub(super) fn touch(&self, now: Timestamp) {
        if let Some(pulse) = &self.pulse {
            pulse.touch(now);
        }
    }
}

impl Drop for AttemptHandle {
    fn drop(&mut self) {
        self.cancel.raise();
        self.task.abort();
    }
}

impl AttemptPool {
    pub(super) fn new(
        handle: tokio::runtime::Handle,
        clock: Arc<dyn Clock>,
        state: SharedState,
        limits: &EngineLimits,
    ) -> Self {
        let (places, blocking) = (limits.most_at_once(), limits.most_blocking());
        let processes = limits.worker_processes.unwrap_or(1).max(1);
        Self {
            throttle: Arc::new(Throttle::new(Arc::clone(&clock), limits)),
            handle,
            clock,
            state,
            forward: Slots::new(places, blocking, processes),
            amends: Slots::new(limits::COMPENSATIONS_MAX, limits::BLOCKING_COMPENSATIONS_MAX, processes),
        }
    }

    /// Starts an attempt. A blocking one that was given up (its time was up, or its handle was dropped) goes on all the
    /// same: its result comes late.
    pub(super) fn launch(self: &Arc<Self>, order: AttemptOrder) -> AttemptHandle {
        let pool = Arc::clone(self);
        // Moved about from here on.
        let order = Box::new(order);
        let pulse = order.heartbeat.map(|_| Arc::new(Pulse::default()));
        let felt = pulse.clone();
        let mut attempt = self.supervise(move |cancel| async move {
            let ear = Arc::clone(&order.ear);
            ear.begun();
            ear.ended(pool.run(order, cancel, felt).await);
        });
        attempt.pulse = pulse;
        attempt
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
            pulse: None,
        }
    }

    /// What limits the activity types.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// A breaker keeps an attempt back, and its run knows: to be let go in time.
    pub(super) fn park(&self, activity_type: &str, parked: Parked) {
        self.throttle.park(activity_type, parked, &self.handle);
    }

    /// An attempt is parked no more, because its run makes it now, or for whatever reason does not.
    pub(super) fn unpark(&self, activity_type: &str, parked: &Parked, is_made: bool) {
        self.throttle.unpark(activity_type, parked, is_made);
    }

    /// Waits until the breaker of this type lets go what it has kept back.
    pub(super) async fn until_let_go(&self, activity_type: &str) {
        self.throttle.until_let_go(activity_type, &self.handle).await;
    }

    /// Runs something on the blocking threads, beside the attempts; `None` when it panicked.
    pub(super) async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.handle.spawn_blocking(work).await.ok()
    }

    /// An attempt that cannot even be started; its end is heard of like any other.
    pub(super) fn refuse(&self, ear: Arc<dyn Ear>, failure: Failure) -> AttemptHandle {
        self.supervise(move |_| async move { ear.ended(AttemptEnd::Ended(Err(failure))) })
    }

    /// Makes an attempt here and now, and gives its end. Whoever else may say that it is alive does so with the pulse.
    pub(super) async fn run(
        &self,
        order: Box<AttemptOrder>,
        cancel: CancelFlag,
        pulse: Option<Arc<Pulse>>,
    ) -> AttemptEnd {
        let entered = match self.enter_at_once(&order) {
            Some(entered) => Entered::Places(entered),
            // In a box of its own, for which those that need not wait have no room.
            None => Box::pin(self.enter(&order)).await,
        };
        match entered {
            Entered::Places((pass, places)) => self.make(order, cancel, pulse, &pass, places).await,
            Entered::Not(end) => end,
        }
    }

    /// The attempt itself, which has its places.
    async fn make(
        &self,
        order: Box<AttemptOrder>,
        cancel: CancelFlag,
        pulse: Option<Arc<Pulse>>,
        pass: &Pass,
        places: Places,
    ) -> AttemptEnd {
        let (started, heartbeat) = (self.clock.now(), order.heartbeat);
        let start_to_close = started.after(order.start_to_close);
        let (deadline, which) = match order.close_by {
            Some(close) if close <= start_to_close => (close, TimeoutKind::ScheduleToClose),
            _ => (start_to_close, TimeoutKind::StartToClose),
        };
        let throttle = HeartbeatThrottle::new(heartbeat, order.info.heartbeat_details.clone());
        let heart = Heart::new(
            Arc::clone(&self.clock),
            self.handle.clone(),
            throttle,
            Arc::clone(&order.ear),
            pulse,
        );
        // Pinned here, so that it is not moved into each future that waits for it.
        let mut work = std::pin::pin!(self.execute(order, heart.sink(), cancel, places));
        let outcome = tokio::select! {
            biased;
            outcome = self.within(Some(deadline), work.as_mut()) => {
                outcome.unwrap_or_else(|| Err(Failure::timeout(which)))
            }
            () = self.silence(heartbeat, &heart) => Err(Failure::timeout(TimeoutKind::Heartbeat)),
        };
        if outcome.is_err() {
            heart.record_last();
        }
        self.throttle.leave(pass, &outcome);
        match outcome {
            Err(failure) if failure.is_completed_later() => AttemptEnd::HandedOver { started },
            outcome => AttemptEnd::Ended(outcome),
        }
    }

    fn state_for(&self, secrets: Option<Declared>) -> SharedState {
        match secrets {
            Some(declared) => self.state.clone().with(declared),
            None => self.state.clone(),
        }
    }

    /// The permit is held for as long as the user's code runs, which for blocking code is longer than anybody listens to
    /// it: a thread whose attempt timed out is still taken.
    async fn execute(
        &self,
        order: Box<AttemptOrder>,
        heartbeats: HeartbeatSink,
        cancel: CancelFlag,
        places: Places,
    ) -> AttemptOutcome {
        let AttemptOrder {
            activity,
            info,
            secrets,
            input,
            ear,
            ..
        } = *order;
        let cx = ActivityContext::new(info, self.state_for(secrets), cancel, Some(heartbeats));
        if activity.execution() != Execution::Blocking {
            let _places = places;
            return settled(AssertUnwindSafe(activity.execute(cx, input)).catch_unwind().await);
        }
        let (report, result) = oneshot::channel();
        let mut listening = Listening {
            result,
            ear: Arc::clone(&ear),
        };
        let work = move || {
            // Given up before it began: it does not begin.
            if report.is_closed() {
                return;
            }
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| activity.execute_blocking(cx, input)));
            drop(places);
            if let Err(unheard) = report.send(settled(result)) {
                ear.late(unheard);
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
    async fn silence(&self, limit: Option<Duration>, heart: &Heart) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        loop {
            let deadline = heart.last_beat().after(limit);
            if self.clock.now() >= deadline {
                return;
            }
            self.clock.sleep_until(deadline).await;
        }
    }
}

/// Waits for the result of a blocking attempt. Given up, it still passes on a result that has come in just now.
struct Listening {
    result: oneshot::Receiver<AttemptOutcome>,
    ear: Arc<dyn Ear>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.result.close();
        if let Ok(unheard) = self.result.try_recv() {
            self.ear.late(unheard);
        }
    }
}

/// What the user's code ended with.
pub(super) fn settled(result: std::thread::Result<Result<Payload, Failure>>) -> AttemptOutcome {
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
