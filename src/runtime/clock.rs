//! The engine's clock: the only door to the time of day. Must not live here: timers (they only ask this clock).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::Timestamp;

/// Tells the time and waits for it. Every timer and timeout of an engine reads this clock, so that a whole engine can
/// run on virtual time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Ends when the clock shows `deadline` or later. Called inside a tokio runtime with time enabled.
    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A sleep looks at the wall clock at least this often, so that a clock that was set forward does not leave timers late
/// by hours.
const LONGEST_NAP: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_system(std::time::SystemTime::now())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to real waiting")]
    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = *self;
        Box::pin(async move {
            loop {
                let left = deadline.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }
}
