//! Workload `stored`: whether a store full of ended runs makes new ones slower than a new store does, or the process
//! larger. Must not live here: the sagas (`steps`), taking turns (`closed_loop`).
//!
//! What is measured fills the store: two seconds add tens of thousands of runs. So slices end after as many sagas as there
//! are runs, small stores are made anew for each slice, and the numbers that are told are means over all slices. The store
//! beside is made anew for each slice, too, with as many as the smallest one has, whose ratios thus show what chance does. It
//! fills up as fast: with a shorter slice it would stay smaller, but hear another noise than the store that it is compared with.

use std::path::PathBuf;
use std::time::Duration;

use crate::server::console::Console;

use super::args::Settings;
use super::closed_loop::one_turn;
use super::engine_load::EngineLoad;
use super::facts::grouped;
use super::figures::{Footprint, Level, Stored, Work, median};
use super::filling::{FILLERS, fill, settled_bytes};
use super::slice::Timing;
use super::steps::Steps;
use super::{BenchError, Scratch, report};

/// In flight while it is measured.
pub(super) const IN_FLIGHT: u32 = 64;

/// Ended runs in each store that the others are compared with, when its slice begins.
const NEW: u64 = 500;

/// Up to so many, a store is filled anew for each slice.
const ANEW_MAX: u64 = 100_000;

/// Slices that end early are so many times as many, at most.
const SHORT_SLICES: u64 = 5;

/// Sagas that are filled in at once: how long each took is kept until then, and would be a part of the memory that is
/// measured.
const PIECE: u64 = 50_000;

/// The numbers of ended runs at which it is measured, up to this one: decades, and from a hundred thousand on two in each.
fn sizes(largest: u64) -> Vec<u64> {
    let decades = (3..18).map(|zeros| 10_u64.pow(zeros));
    let ladder = decades.flat_map(|size| match size < 100_000 {
        true => vec![size],
        false => vec![size, 3 * size],
    });
    let mut sizes: Vec<u64> = ladder.take_while(|size| *size < largest).collect();
    sizes.push(largest);
    sizes
}

pub(super) async fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    report::title(settings, console);
    levels(settings, scratch, console).await.map(drop)
}

/// Measures and shows one size after the other.
pub(super) async fn levels(
    settings: &Settings,
    scratch: &Scratch,
    console: &Console,
) -> Result<Vec<Level>, BenchError> {
    let mut stores = Stores {
        settings,
        directory: scratch.directory("stored")?,
        made: 0,
        full: None,
        console,
    };
    let mut levels: Vec<Level> = Vec::new();
    for size in sizes(settings.runs) {
        let rate = levels
            .last()
            .map(|level| median(&level.engine, |slice| slice.sagas_per_second));
        let level = stores.level(&Plan::of(settings, size, rate.unwrap_or(0.0))).await?;
        report::level(settings, &level, console);
        levels.push(level);
    }
    if let Some(full) = stores.full.take() {
        full.discard().await;
    }
    Ok(levels)
}

/// How one size is measured.
#[derive(Debug, PartialEq)]
struct Plan {
    size: u64,
    /// Runs in the store before its first slice: its slices are about the size then, on average.
    begin: u64,
    anew: bool,
    slice: Duration,
    sagas_max: u64,
    pairs: u32,
}

impl Plan {
    /// `rate`: what was measured with fewer runs; 0 where nothing was.
    fn of(settings: &Settings, size: u64, rate: f64) -> Self {
        let timing = Timing::of(settings, IN_FLIGHT);
        let anew = size <= ANEW_MAX && !settings.engine_only;
        let whole = (rate * timing.slice.as_secs_f64()) as u64;
        let (sagas, more) = match whole {
            0 => (size, SHORT_SLICES),
            whole => (whole.min(size), (whole / size).clamp(1, SHORT_SLICES)),
        };
        let more = if anew && settings.slices.is_none() { more } else { 1 };
        let pairs = timing.pairs * u32::try_from(more).unwrap_or(1);
        let growth = if anew { sagas } else { sagas * u64::from(pairs) };
        Self {
            size,
            begin: size.saturating_sub(growth / 2).max(size / 2),
            anew,
            slice: timing.slice,
            sagas_max: size,
            pairs,
        }
    }

    fn timing(&self) -> Timing {
        Timing {
            warm_up: Duration::ZERO,
            // What ends before the window opens is in the store all the same.
            ramp: Duration::ZERO,
            slice: self.slice,
            sagas_max: self.sagas_max,
            pairs: 1,
        }
    }
}

/// The engines whose stores are compared.
struct Stores<'a> {
    settings: &'a Settings,
    directory: PathBuf,
    /// Directories so far.
    made: u64,
    /// The one that goes on from size to size.
    full: Option<Filled>,
    console: &'a Console,
}

/// An engine, and where its files are.
struct Filled {
    engine: EngineLoad<Steps>,
    directory: PathBuf,
}

impl Stores<'_> {
    /// One size: the memory first, while nothing else is in the process, then both stores in turns.
    async fn level(&mut self, plan: &Plan) -> Result<Level, BenchError> {
        let mut level = Level {
            clients: IN_FLIGHT,
            stored: None,
            work: Work {
                turns: 0,
                turn_bytes: 0,
            },
            engine: Vec::new(),
            beside: Vec::new(),
            footprint: Footprint::default(),
        };
        let (mut stored, mut stored_beside) = (0, 0);
        for pair in 1..=plan.pairs {
            let full = self.full(plan).await?;
            if pair == 1 {
                level.work = full.engine.work_per_saga().await?;
                level.footprint = Footprint {
                    resident_bytes: settled_bytes(self.console).await,
                    ..full.engine.footprint()
                };
            }
            let new = match self.settings.engine_only {
                true => None,
                false => Some(self.make(NEW.min(plan.begin)).await?),
            };
            let (size, pairs) = (grouped(plan.size), plan.pairs);
            let what = format!("{size} ended runs: slice {pair} of {pairs}");
            self.console.replace(&what);
            let beside = new.as_ref().map(|new| &new.engine);
            let count = || (full.engine.started(), beside.map_or(0, EngineLoad::started));
            let before = count();
            let (slice, other) = one_turn(&full.engine, beside, IN_FLIGHT, plan.timing(), pair % 2 == 1).await?;
            let after = count();
            stored += (before.0 + after.0) / 2;
            stored_beside += (before.1 + after.1) / 2;
            level.engine.push(slice);
            level.beside.extend(other);
            if let Some(new) = new {
                new.discard().await;
            }
            match plan.anew {
                true => full.discard().await,
                false => self.full = Some(full),
            }
        }
        let pairs = u64::from(plan.pairs);
        level.stored = Some(Stored {
            full: stored / pairs,
            new: (!level.beside.is_empty()).then_some(stored_beside / pairs),
        });
        Ok(level)
    }

    /// The store that is measured: another one each time, or the one that was there already.
    async fn full(&mut self, plan: &Plan) -> Result<Filled, BenchError> {
        match self.full.take() {
            Some(full) => {
                self.fill(&full.engine, plan.begin).await?;
                Ok(full)
            }
            None => self.make(plan.begin).await,
        }
    }

    async fn make(&mut self, runs: u64) -> Result<Filled, BenchError> {
        self.made += 1;
        let directory = self.directory.join(self.made.to_string());
        let engine = EngineLoad::start(self.settings, Steps::of(self.settings), &directory).await?;
        self.fill(&engine, runs).await?;
        Ok(Filled { engine, directory })
    }

    async fn fill(&self, engine: &EngineLoad<Steps>, runs: u64) -> Result<(), BenchError> {
        let what = format!("filling up to {} ended runs", grouped(runs));
        while engine.started() < runs {
            let missing = runs.saturating_sub(engine.started());
            fill(engine, FILLERS, missing.min(PIECE), &what, self.console).await?;
        }
        Ok(())
    }
}

impl Filled {
    async fn discard(self) {
        self.engine.stop().await;
        // The next one has a directory of its own: this only gives the space back.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::*;

    #[test]
    fn sizes_are_decades_up_to_what_was_asked_for() {
        assert_eq!(sizes(1_000_000), [1_000, 10_000, 100_000, 300_000, 1_000_000]);
        assert_eq!(sizes(2_500), [1_000, 2_500]);
        assert_eq!(sizes(20), [20]);
    }

    #[test]
    fn slices_are_about_the_size_on_average() {
        let default = settings("--workload stored");
        let of = |size, rate| {
            let plan = Plan::of(&default, size, rate);
            (plan.begin, plan.anew, plan.pairs)
        };
        // A fresh store of a thousand is measured for as long as another one takes for a thousand sagas, often.
        assert_eq!(of(1_000, 0.0), (500, true, 45));
        assert_eq!(of(10_000, 13_000.0), (5_000, true, 18));
        assert_eq!(of(100_000, 13_000.0), (87_000, true, 9));
        assert_eq!(of(1_000_000, 13_000.0), (1_000_000 - 9 * 13_000, false, 9));
        assert_eq!(Plan::of(&settings("--workload stored --slices 2"), 1_000, 0.0).pairs, 2);
        // For profilers one store grows.
        let alone = Plan::of(&settings("--workload stored --engine-only"), 1_000, 0.0);
        assert_eq!((alone.anew, alone.pairs), (false, 9));
    }
}
