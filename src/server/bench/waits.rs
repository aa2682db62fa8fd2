//! How long millions have waited, in memory that does not grow with their number: counts of buckets, each a
//! sixty-fourth wide at most. Must not live here: figures that are to be exact (`figures`).

use std::time::Duration;

/// Buckets of each power of two.
const STEPS: u32 = 128;

/// Waits in tenths of microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    counts: Vec<u64>,
    all: u64,
    most: u32,
}

/// Small ones have a bucket each.
fn bucket(wait: u32) -> u32 {
    let shift = (wait / STEPS).checked_ilog2().map_or(0, |log| log + 1);
    // Of the upper half of what is left after the shift; the lower half belongs to the shifts before.
    shift * (STEPS / 2) + (wait >> shift)
}

/// The smallest wait of the bucket.
fn least(bucket: u32) -> u64 {
    let shift = (bucket / (STEPS / 2)).saturating_sub(1);
    u64::from(bucket - shift * (STEPS / 2)) << shift
}

impl Waits {
    pub(super) fn push(&mut self, wait: Duration) {
        let wait = u32::try_from(wait.as_nanos() / 100).unwrap_or(u32::MAX);
        let at = usize::try_from(bucket(wait)).unwrap_or(0);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.all += 1;
        self.most = self.most.max(wait);
    }

    /// The wait that this share of all stay within, in microseconds; 0 when there were none.
    pub(super) fn percentile(&self, percent: u64) -> f64 {
        let wanted = (self.all.saturating_sub(1) * percent + 50) / 100;
        let mut before = 0;
        for (at, count) in (0..).zip(&self.counts) {
            before += count;
            if before > wanted {
                // The largest of the last one is known.
                let upper = least(at + 1) - 1;
                return upper.min(u64::from(self.most)) as f64 / 10.0;
            }
        }
        0.0
    }

    /// Median, 99th percentile and maximum.
    pub(super) fn percentiles(&self) -> [f64; 3] {
        [self.percentile(50), self.percentile(99), f64::from(self.most) / 10.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        let mut last = 0;
        for wait in (0..100_000).chain([1 << 20, (1 << 27) + 12_345, u32::MAX]) {
            let at = bucket(wait);
            assert!(
                at >= last && (wait > 100_000 || at <= last + 1),
                "{wait}: {at} after {last}"
            );
            let (least, wait) = (least(at), u64::from(wait));
            assert!(least <= wait && (wait - least) * 64 <= wait, "{wait}");
            last = at;
        }
    }

    #[test]
    fn percentiles_are_right_within_the_width_of_a_bucket() {
        let mut waits = Waits::default();
        assert_eq!(waits.percentiles(), [0.0; 3]);
        (1..=101).for_each(|millis| waits.push(Duration::from_millis(millis)));
        let [p50, p99, most] = waits.percentiles();
        assert!((51_000.0..51_900.0).contains(&p50), "{p50}");
        assert!((100_000.0..=101_000.0).contains(&p99), "{p99}");
        assert_eq!(most, 101_000.0);
    }
}
