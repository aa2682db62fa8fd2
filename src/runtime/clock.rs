//! The engine's clock: the only door to the time of day. Must not live here: timers (they only ask this clock).

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::model::Timestamp;

/// Tells the time and waits for it. Every timer and timeout of an engine reads this clock, so that a whole engine can
/// run on virtual time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Ends when the clock shows `deadline` or later. Called inside a tokio runtime with time enabled.
    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The system's wall clock, which in one process never goes back: what is set back goes on from where it was. Timers and
/// attempts that were due once stay due, and nothing waits for an hour to pass a second time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// How far the wall clock was ahead of the process's own time at most, in microseconds.
static AHEAD: AtomicI64 = AtomicI64::new(i64::MIN);

/// What a clock shows that is so far along in its process's own time, and that the wall's is read at the same moment.
fn never_back(ahead: &AtomicI64, own: Duration, wall: Timestamp) -> Timestamp {
    let own = i64::try_from(own.as_micros()).unwrap_or(i64::MAX);
    let now = wall.as_micros().saturating_sub(own);
    let mut most = ahead.load(Ordering::Relaxed);
    if now > most {
        most = ahead.fetch_max(now, Ordering::Relaxed).max(now);
    }
    Timestamp::from_micros(own.saturating_add(most))
}

/// A sleep looks at the wall clock at least this often, so that a clock that was set forward does not leave timers late
/// by hours.
const LONGEST_NAP: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the wall clock")]
    fn now(&self) -> Timestamp {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        never_back(&AHEAD, BEGAN.elapsed(), Timestamp::from_system(SystemTime::now()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_goes_on_and_one_that_is_set_forward_is_followed() {
        let ahead = AtomicI64::new(i64::MIN);
        let shown = |own_secs: u64, wall_secs: i64| {
            let wall = Timestamp::from_micros(wall_secs * 1_000_000);
            never_back(&ahead, Duration::from_secs(own_secs), wall).as_micros() / 1_000_000
        };
        assert_eq!(shown(0, 10_000), 10_000);
        assert_eq!(shown(5, 10_005), 10_005);
        assert_eq!(shown(6, 6_406), 10_006, "set back by an hour");
        assert_eq!(shown(3_006, 9_406), 13_006);
        assert_eq!(shown(3_007, 20_000), 20_000, "set forward, or woken after a night");
        assert_eq!(shown(3_008, 19_000), 20_001);
    }
}
