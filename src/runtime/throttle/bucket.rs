//! A token bucket: how soon the next may go. Pure: time comes in as a value. Must not live here: waiting.

use std::time::Duration;

use crate::model::{Rate, Timestamp};

/// Lets `attempts` go at once after a pause of `per`, then one every `per / attempts`. Kept as one point in time: when the
/// bucket would be full again.
#[derive(Debug)]
pub(super) struct Bucket {
    spacing: Duration,
    depth: Duration,
    full_at: Timestamp,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        // Whole microseconds, as the clock has them: else a wait could be too short for it to show.
        let micros = rate.per.as_micros().div_ceil(u128::from(rate.attempts.get()));
        let spacing = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        Self {
            spacing,
            depth: spacing.saturating_mul(rate.attempts.get() - 1),
            full_at: Timestamp::EPOCH,
        }
    }

    /// When there will be a token; `None` when there is one.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        // Later it never is, unless the clock was set back: that is not to be waited for.
        self.full_at = self.full_at.min(now.after(self.depth).after(self.spacing));
        let wait = self.full_at.max(now).since(now).saturating_sub(self.depth);
        (!wait.is_zero()).then(|| now.after(wait))
    }

    /// Takes a token, which is there.
    pub(super) fn take(&mut self, now: Timestamp) {
        self.full_at = self.full_at.max(now).after(self.spacing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_millis(millis))
    }

    fn bucket(attempts: u32, millis: u64) -> Bucket {
        let attempts = attempts.try_into().unwrap();
        let per = Duration::from_millis(millis);
        Bucket::new(Rate { attempts, per })
    }

    fn take(bucket: &mut Bucket, now: Timestamp) -> Result<(), Timestamp> {
        match bucket.next(now) {
            None => {
                bucket.take(now);
                Ok(())
            }
            Some(then) => Err(then),
        }
    }

    #[test]
    fn a_burst_then_evenly_spaced() {
        let mut bucket = bucket(4, 1_000);
        for taken in 0..4 {
            assert_eq!(take(&mut bucket, at(0)), Ok(()), "{taken}");
        }
        assert_eq!(take(&mut bucket, at(0)), Err(at(250)));
        assert_eq!(take(&mut bucket, at(249)), Err(at(250)));
        assert_eq!(take(&mut bucket, at(250)), Ok(()));
        assert_eq!(take(&mut bucket, at(250)), Err(at(500)));
        // After a pause all of them may go again, and not more.
        let after_a_pause = (0..9).filter(|_| take(&mut bucket, at(5_000)).is_ok());
        assert_eq!(after_a_pause.count(), 4);
    }

    #[test]
    fn whoever_comes_when_told_is_served_and_over_time_the_rate_is_kept() {
        for (attempts, millis) in [(1, 100), (3, 1_000), (7, 50), (100, 1_000)] {
            let mut bucket = bucket(attempts, millis);
            let (mut now, mut served) = (at(0), 0);
            while now < at(millis * 10) {
                match take(&mut bucket, now) {
                    Ok(()) => served += 1,
                    Err(then) => {
                        assert!(then > now);
                        now = then;
                    }
                }
            }
            let most = u64::from(attempts) * 11;
            assert!(
                (most - u64::from(attempts) - 1..=most).contains(&served),
                "{attempts}: {served}"
            );
        }
    }

    #[test]
    fn no_time_is_no_limit_and_a_clock_set_back_locks_nobody_out() {
        let mut free = bucket(1, 0);
        assert!((0..1_000).all(|_| take(&mut free, at(0)).is_ok()));
        for attempts in [1, 4] {
            let mut bucket = bucket(attempts, 1_000);
            let spacing = 1_000 / u64::from(attempts);
            while take(&mut bucket, at(3_600_000)).is_ok() {}
            assert_eq!(take(&mut bucket, at(5_000)), Err(at(5_000 + spacing)), "an hour back");
            assert_eq!(take(&mut bucket, at(5_000 + spacing)), Ok(()));
            assert!(
                take(&mut bucket, at(5_000 + spacing)).is_err(),
                "and no faster than before"
            );
        }
    }
}
