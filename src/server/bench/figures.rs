//! The figures of slices and of whole levels. Lives here: counting, medians, percentiles. Must not live here: measuring,
//! or how figures are shown.

use std::time::Duration;

/// What one saga asks of any durable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// Turns, each of which waits for the one before it to be durable.
    pub(super) turns: u64,
    /// Encoded bytes of one turn, on average.
    pub(super) turn_bytes: u64,
}

/// What was written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) commits: u64,
    pub(super) syncs: u64,
}

impl Counters {
    pub(super) fn since(self, before: Counters) -> Counters {
        Counters {
            commits: self.commits.saturating_sub(before.commits),
            syncs: self.syncs.saturating_sub(before.syncs),
        }
    }
}

/// How long each saga took, in tenths of microseconds and in little memory: the process is measured that has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<u32>);

impl Latencies {
    pub(super) fn push(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_nanos() / 100).unwrap_or(u32::MAX));
    }

    pub(super) fn extend(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    /// The latencies that these shares of all stay within, in microseconds.
    pub(super) fn percentiles<const N: usize>(mut self, percents: [usize; N]) -> [f64; N] {
        self.0.sort_unstable();
        percents.map(|percent| self.percentile(percent))
    }

    /// The latency that this share of all stay within. `self` is sorted.
    fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last * percent + 50) / 100;
        self.0.get(at).map_or(0.0, |latency| f64::from(*latency) / 10.0)
    }
}

/// The CPU time of the process and the sagas that it was spent on, from rest to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) cpu: Duration,
    pub(super) sagas: u64,
}

/// One slice of one side. Latencies and CPU time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SliceFigures {
    pub(super) sagas: usize,
    pub(super) sagas_per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) commits_per_second: f64,
    pub(super) syncs_per_second: f64,
    pub(super) cpu_per_saga: f64,
}

impl SliceFigures {
    /// `None` when nothing ended.
    pub(super) fn new(time: Duration, spent: Spent, counters: Counters, mut latencies: Latencies) -> Option<Self> {
        let sagas = latencies.0.len();
        if sagas == 0 || time.is_zero() {
            return None;
        }
        latencies.0.sort_unstable();
        let per_second = |count: f64| count / time.as_secs_f64();
        Some(Self {
            sagas,
            sagas_per_second: per_second(sagas as f64),
            p50: latencies.percentile(50),
            p99: latencies.percentile(99),
            commits_per_second: per_second(counters.commits as f64),
            syncs_per_second: per_second(counters.syncs as f64),
            cpu_per_saga: spent.cpu.as_secs_f64() * 1e6 / spent.sagas.max(1) as f64,
        })
    }
}

/// What the engine occupies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footprint {
    pub(super) resident_bytes: Option<u64>,
    pub(super) disk_bytes_per_saga: f64,
}

/// Everything about one number of sagas in flight.
pub(super) struct Level {
    pub(super) clients: u32,
    /// Ended runs in the store before, where that is what is measured.
    pub(super) stored: Option<u64>,
    pub(super) work: Work,
    pub(super) engine: Vec<SliceFigures>,
    /// What it is compared with, slice by slice: the bare file, or the engine with a new store.
    pub(super) beside: Vec<SliceFigures>,
    pub(super) footprint: Footprint,
}

/// The middle value of a figure over all slices.
pub(super) fn median(slices: &[SliceFigures], figure: impl Fn(&SliceFigures) -> f64) -> f64 {
    middle(slices.iter().map(figure).collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

impl Level {
    /// How often a figure of the engine is the other side's: the median over pairs of neighbouring slices, which hear the
    /// same noise.
    pub(super) fn ratio(&self, figure: impl Fn(&SliceFigures) -> f64) -> f64 {
        let pairs = self.engine.iter().zip(&self.beside);
        let pairs = pairs.map(|(engine, beside)| (figure(engine), figure(beside)));
        middle(
            pairs
                .filter(|(_, beside)| *beside > 0.0)
                .map(|(engine, beside)| engine / beside)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(millis: impl IntoIterator<Item = u64>) -> Option<SliceFigures> {
        let mut latencies = Latencies::default();
        millis
            .into_iter()
            .for_each(|millis| latencies.push(Duration::from_millis(millis)));
        let counters = Counters { commits: 30, syncs: 20 };
        let spent = Spent {
            cpu: Duration::from_millis(10),
            sagas: 100,
        };
        SliceFigures::new(Duration::from_secs(2), spent, counters, latencies)
    }

    #[test]
    fn a_slice_tells_rates_percentiles_and_cost() {
        let slice = slice((1..=101).rev()).unwrap();
        assert_eq!((slice.p50, slice.p99), (51_000.0, 100_000.0));
        assert_eq!((slice.sagas_per_second, slice.commits_per_second), (50.5, 15.0));
        assert_eq!((slice.syncs_per_second, slice.cpu_per_saga.round()), (10.0, 100.0));
    }

    #[test]
    fn an_empty_slice_is_no_slice() {
        assert_eq!(slice([]), None);
    }

    #[test]
    fn medians_and_their_ratio_ignore_the_odd_one_out() {
        let level = Level {
            clients: 1,
            stored: None,
            work: Work {
                turns: 4,
                turn_bytes: 200,
            },
            engine: [3, 900, 4].into_iter().filter_map(|millis| slice([millis])).collect(),
            beside: [2, 1, 800].into_iter().filter_map(|millis| slice([millis])).collect(),
            footprint: Footprint::default(),
        };
        assert_eq!(median(&level.engine, |slice| slice.p50), 4_000.0);
        assert_eq!(level.ratio(|slice| slice.p50), 1.5, "of 1.5, 900 and 0.005");
        assert_eq!(median(&[], |slice| slice.p50), 0.0);
    }
}
