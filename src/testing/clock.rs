//! A clock that moves only when it is told to, so that tests of hours and months take milliseconds and end the same way
//! every time. Must not live here: what sleeps.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::model::Timestamp;
use crate::runtime::Clock;

/// A clock for tests; clones show the same time. It begins at 2026-01-01T00:00:00Z and stands still until somebody
/// [`advance`](Self::advance)s it.
///
/// Threads of an engine run beside the test, so a test that moved the clock at once could be ahead of the timer that it
/// means. [`pass`](Self::pass) waits until somebody sleeps until the very point that it then moves to: since the clock
/// stands still, that is exact.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use amends::{Amends, Failure, WorkflowContext, testing::VirtualClock};
///
/// async fn remind(cx: WorkflowContext, days: u64) -> Result<u64, Failure> {
///     cx.sleep(Duration::from_secs(days * 86_400)).await?;
///     Ok(days)
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let clock = VirtualClock::new();
/// let amends = Amends::builder().memory().clock(Arc::new(clock.clone())).workflow(remind).start().await?;
/// let run = amends.workflow(remind).start(&30).await?;
/// clock.pass(Duration::from_secs(30 * 86_400)).await;
/// assert_eq!(run.result().await?, 30);
/// # amends.shutdown(Duration::ZERO).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
}

struct State {
    now: Timestamp,
    next_key: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    /// Who waits for somebody to fall asleep.
    watchers: Vec<Waker>,
}

/// 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

impl VirtualClock {
    /// A clock that shows 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(BEGINNING)
    }

    /// A clock that shows this time.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now,
                next_key: 0,
                sleepers: BTreeMap::new(),
                watchers: Vec::new(),
            })),
        }
    }

    /// Moves the clock and wakes everybody whose time has come.
    pub fn advance(&self, duration: Duration) {
        let woken = {
            let mut state = self.lock();
            state.now = state.now.after(duration);
            let later = (Timestamp::from_micros(state.now.as_micros().saturating_add(1)), 0);
            let asleep = state.sleepers.split_off(&later);
            std::mem::replace(&mut state.sleepers, asleep)
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// Waits until somebody sleeps until exactly `duration` from now, then moves there.
    pub async fn pass(&self, duration: Duration) {
        self.until_asleep(duration).await;
        self.advance(duration);
    }

    /// Waits until somebody sleeps until exactly `duration` from now.
    pub async fn until_asleep(&self, duration: Duration) {
        let wanted = self.lock().now.after(duration);
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.sleepers.keys().any(|(deadline, _)| *deadline == wanted) {
                return Poll::Ready(());
            }
            state.watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    // Nothing under the lock can panic, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleeping {
            clock: self.clone(),
            deadline,
            key: None,
        })
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let deadlines: Vec<Timestamp> = state.sleepers.keys().map(|(deadline, _)| *deadline).collect();
        f.debug_struct("VirtualClock")
            .field("now", &state.now)
            .field("asleep_until", &deadlines)
            .finish()
    }
}

/// One sleeper; forgotten when it is dropped.
struct Sleeping {
    clock: VirtualClock,
    deadline: Timestamp,
    key: Option<u64>,
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.clock.lock();
        if state.now >= this.deadline {
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            state.next_key = state.next_key.wrapping_add(1);
            state.next_key
        });
        let replaced = state.sleepers.insert((this.deadline, key), cx.waker().clone());
        let watchers = std::mem::take(&mut state.watchers);
        // Wakers are somebody else's code: not under the lock.
        drop(state);
        drop(replaced);
        watchers.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let removed = self.clock.lock().sleepers.remove(&(self.deadline, key));
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sleepers_wake_when_told_and_not_before() {
        let clock = VirtualClock::new();
        let begun = clock.now();
        let mut early = clock.sleep_until(begun.after(SECOND));
        let mut late = clock.sleep_until(begun.after(SECOND * 2));
        assert!(early.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());
        clock.advance(SECOND);
        assert!(early.now_or_never().is_some() && late.as_mut().now_or_never().is_none());
        assert!(
            clock.sleep_until(begun).now_or_never().is_some(),
            "the past is not waited for"
        );
        assert_eq!(clock.now(), begun.after(SECOND));
    }

    #[test]
    fn passing_time_waits_for_the_sleeper_that_is_meant() {
        let clock = VirtualClock::new();
        let begun = clock.now();
        let mut passing = Box::pin(clock.pass(SECOND * 5));
        assert!(passing.as_mut().now_or_never().is_none());
        let mut other = clock.sleep_until(begun.after(SECOND));
        assert!(other.as_mut().now_or_never().is_none() && passing.as_mut().now_or_never().is_none());
        let mut meant = clock.sleep_until(begun.after(SECOND * 5));
        assert!(meant.as_mut().now_or_never().is_none() && passing.now_or_never().is_some());
        assert!(other.now_or_never().is_some() && meant.now_or_never().is_some());
    }

    #[test]
    fn a_sleeper_that_gave_up_is_forgotten() {
        let clock = VirtualClock::new();
        let mut given_up = clock.sleep_until(clock.now().after(SECOND));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        assert!(clock.until_asleep(SECOND).now_or_never().is_none());
    }
}
