//! The system's clock, from which time can be skipped: timers of an hour hence fire when the benchmark is ready for them.
//! Must not live here: what is timed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{Clock, SystemClock};
use crate::model::Timestamp;

/// Clones are the same clock.
#[derive(Clone)]
pub(super) struct SkippingClock {
    /// How far it is ahead of the system's.
    ahead: Arc<watch::Sender<Duration>>,
}

impl SkippingClock {
    pub(super) fn new() -> Self {
        Self {
            ahead: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Lets it show this time now, unless it is later already.
    pub(super) fn skip_to(&self, time: Timestamp) {
        let left = time.since(self.now());
        self.ahead.send_modify(|ahead| *ahead += left);
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().after(*self.ahead.borrow())
    }

    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        let mut skips = self.ahead.subscribe();
        Box::pin(async move {
            loop {
                skips.mark_unchanged();
                let left = deadline.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = SystemClock.sleep_until(SystemClock.now().after(left)) => {}
                    // The sender lives as long as `clock` does.
                    _ = skips.changed() => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_sleeps_wakes_when_the_time_is_skipped() {
        let clock = SkippingClock::new();
        let day = Duration::from_secs(86_400);
        let deadline = clock.now().after(day);
        let sleeper = tokio::spawn(clock.sleep_until(deadline));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.skip_to(deadline);
        sleeper.await.unwrap();
        let later = clock.now();
        assert!(later >= deadline);
        clock.skip_to(deadline);
        assert!(clock.now().since(later) < day, "it does not go back, and not on");
    }
}
