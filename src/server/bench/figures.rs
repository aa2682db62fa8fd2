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
    /// Whether the process did rest, before and after: it may else hold what others have caused, or lack a part.
    pub(super) rested: bool,
}

impl Spent {
    /// In microseconds.
    pub(super) fn each(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.sagas.max(1) as f64
    }
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
    /// Whether CPU time was counted from rest to rest.
    pub(super) rested: bool,
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
            cpu_per_saga: spent.each(),
            rested: spent.rested,
        })
    }

    /// The medians of all figures; `None` of nothing.
    pub(super) fn medians(slices: &[SliceFigures]) -> Option<Self> {
        let figure = |figure: fn(&SliceFigures) -> f64| median(slices, figure);
        (!slices.is_empty()).then(|| Self {
            sagas: slices.iter().map(|slice| slice.sagas).sum(),
            sagas_per_second: figure(|slice| slice.sagas_per_second),
            p50: figure(|slice| slice.p50),
            p99: figure(|slice| slice.p99),
            commits_per_second: figure(|slice| slice.commits_per_second),
            syncs_per_second: figure(|slice| slice.syncs_per_second),
            cpu_per_saga: figure(|slice| slice.cpu_per_saga),
            rested: slices.iter().all(|slice| slice.rested),
        })
    }
}

/// What the engine occupies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footprint {
    pub(super) resident_bytes: Option<u64>,
    pub(super) disk_bytes_per_saga: f64,
}

/// Ended runs in the stores that are compared: the mean over all slices, each of which adds some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) full: u64,
    /// In the new ones beside; `None` where there are none.
    pub(super) new: Option<u64>,
}

/// Everything about one number of sagas in flight.
pub(super) struct Level {
    pub(super) clients: u32,
    /// Where the number of ended runs is what is measured.
    pub(super) stored: Option<Stored>,
    pub(super) work: Work,
    pub(super) engine: Vec<SliceFigures>,
    /// What it is compared with, slice by slice: the bare file, or the engine with a new store. Empty when it is alone.
    pub(super) beside: Vec<SliceFigures>,
    pub(super) footprint: Footprint,
}

/// The middle value of a figure over all slices.
pub(super) fn median(slices: &[SliceFigures], figure: impl Fn(&SliceFigures) -> f64) -> f64 {
    middle(slices.iter().map(figure).collect())
}

/// The median; of an even number the mean of the two in the middle.
pub(super) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().unwrap_or(0.0);
    match values.len() % 2 {
        0 => half
            .checked_sub(1)
            .and_then(|at| values.get(at))
            .map_or(0.0, |lower| (lower + upper) / 2.0),
        _ => upper,
    }
}

/// How often a figure of one side is the other side's, in pairs of neighbouring slices, which hear the same noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Ratio {
    /// `None` where there is nothing to compare.
    pub(super) fn of(
        one: &[SliceFigures],
        other: &[SliceFigures],
        figure: impl Fn(&SliceFigures) -> f64,
    ) -> Option<Self> {
        let pairs = one.iter().zip(other);
        let pairs = pairs.map(|(one, other)| (figure(one), figure(other)));
        let ratios: Vec<f64> = pairs
            .filter(|(_, other)| *other > 0.0)
            .map(|(one, other)| one / other)
            .collect();
        let least = ratios.iter().copied().min_by(f64::total_cmp)?;
        let most = ratios.iter().copied().max_by(f64::total_cmp)?;
        let median = middle(ratios);
        Some(Self { median, least, most })
    }
}

impl Level {
    /// How often a figure of the engine is the other side's.
    pub(super) fn ratio(&self, figure: impl Fn(&SliceFigures) -> f64) -> Option<Ratio> {
        Ratio::of(&self.engine, &self.beside, figure)
    }

    /// Whether all CPU time was counted from rest to rest.
    pub(super) fn rested(&self) -> bool {
        self.engine.iter().chain(&self.beside).all(|slice| slice.rested)
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
            rested: true,
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
        let ratio = level.ratio(|slice| slice.p50).unwrap();
        assert_eq!(ratio.median, 1.5, "of 1.5, 900 and 0.005");
        assert_eq!((ratio.least, ratio.most), (0.005, 900.0));
        let medians = SliceFigures::medians(&level.engine).unwrap();
        assert_eq!((medians.p50, medians.sagas, medians.rested), (4_000.0, 3, true));
        let alone = Level {
            beside: Vec::new(),
            ..level
        };
        assert_eq!(alone.ratio(|slice| slice.p50), None);
    }

    #[test]
    fn an_even_number_has_two_in_the_middle() {
        assert_eq!(middle(vec![9.0, 1.0, 3.0]), 3.0);
        assert_eq!(middle(vec![9.0, 1.0, 3.0, 4.0]), 3.5);
        assert_eq!(middle(vec![7.0]), 7.0);
        assert_eq!(middle(Vec::new()), 0.0);
    }
}
