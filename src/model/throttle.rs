//! How much of an activity type one engine does at once, how fast, and when it leaves it alone for a while. Lives here:
//! limits as data. Must not live here: keeping them (that is `runtime::throttle`).

use std::num::NonZeroU32;
use std::time::Duration;

/// What one engine grants an activity type. Nothing is limited when not said otherwise.
///
/// Forward work and what sets something right (compensations, verifications, calls for help) are counted apart, each with
/// these limits: a queue of orders must not hold up a refund. A breaker is about the participant, so both have it together.
///
/// ```
/// use std::time::Duration;
/// use amends::{ActivityLimits, Breaker};
///
/// let limits = ActivityLimits::new()
///     .max_concurrent(8)
///     .rate(100, Duration::from_secs(1))
///     .breaker(Breaker::after(5).open_for(Duration::from_secs(30)));
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use = "give them to the engine's builder"]
pub struct ActivityLimits {
    /// How many attempts at once.
    pub max_concurrent: Option<NonZeroU32>,
    /// How many in how much time.
    pub rate: Option<Rate>,
    /// When attempts are parked instead of made.
    pub breaker: Option<Breaker>,
}

/// So many attempts in so much time. They may come all at once after a pause; then evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub attempts: NonZeroU32,
    /// In how much time.
    pub per: Duration,
}

/// When the attempts of a type are parked instead of made, because its participant does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to the limits of an activity type"]
pub struct Breaker {
    /// How many failures in a row open it.
    pub failures: NonZeroU32,
    /// How long it stays open before one attempt may probe.
    pub open_for: Duration,
}

impl ActivityLimits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many attempts at once (at least one).
    pub fn max_concurrent(mut self, attempts: u32) -> Self {
        self.max_concurrent = Some(at_least_one(attempts));
        self
    }

    /// At most so many attempts (at least one) in so much time.
    pub fn rate(mut self, attempts: u32, per: Duration) -> Self {
        let attempts = at_least_one(attempts);
        self.rate = Some(Rate { attempts, per });
        self
    }

    /// Parks attempts while its participant does not answer.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = Some(breaker);
        self
    }
}

impl Breaker {
    /// Opens after so many failures in a row (at least one), for 30 s.
    ///
    /// What counts as a failure is an attempt that may be tried again: a timeout, a panic, a failure that is retryable. A
    /// refusal that is final (a declined card) is an answer.
    pub fn after(failures: u32) -> Self {
        Self {
            failures: at_least_one(failures),
            open_for: Duration::from_secs(30),
        }
    }

    /// How long it stays open before one attempt may probe; and again after a probe that failed.
    pub fn open_for(mut self, pause: Duration) -> Self {
        self.open_for = pause;
        self
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
