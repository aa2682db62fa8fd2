//! Workload `stored`: whether a store full of ended runs makes new ones slower than a new store does, or the process
//! larger. Must not live here: the sagas (`steps`), taking turns (`closed_loop`).

use std::path::Path;

use crate::server::console::Console;

use super::args::Settings;
use super::closed_loop::in_turns;
use super::engine_load::EngineLoad;
use super::facts::grouped;
use super::figures::{Footprint, Level};
use super::filling::{fill, settled_bytes};
use super::slice::{self, Timing};
use super::steps::Steps;
use super::{BenchError, Scratch, report};

/// In flight while it is measured.
const IN_FLIGHT: u32 = 64;

/// In flight while the store is filled, where nothing is measured.
const FILLERS: u32 = 2_048;

/// Sagas that are filled in at once: how long each took is kept until then, and would be a part of the memory that is
/// measured.
const PIECE: u64 = 50_000;

/// The numbers of ended runs at which it is measured, up to this one. Fewer than the first are there before a new store has
/// warmed up.
fn sizes(largest: u64) -> Vec<u64> {
    let tens = (4..).map(|zeros| 10_u64.pow(zeros));
    let mut sizes: Vec<u64> = tens.take_while(|size| *size < largest).collect();
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
    let directory = scratch.directory("stored")?;
    let engine = EngineLoad::start(settings, Steps::of(settings), &directory.join("engine")).await?;
    let mut levels = Vec::new();
    for size in sizes(settings.runs) {
        let what = format!("filling up to {} ended runs", grouped(size));
        while engine.started() < size {
            let missing = size.saturating_sub(engine.started());
            fill(&engine, FILLERS, missing.min(PIECE), &what, console).await?;
        }
        let level = level(&engine, settings, &directory.join(format!("new-{size}")), console).await?;
        report::level(settings, &level, console);
        levels.push(level);
    }
    engine.stop().await;
    Ok(levels)
}

/// One size: the memory first, while nothing else is in the process, then both stores in turns.
async fn level(
    full: &EngineLoad<Steps>,
    settings: &Settings,
    directory: &Path,
    console: &Console,
) -> Result<Level, BenchError> {
    let timing = Timing::of(settings, IN_FLIGHT);
    slice::warm_up(full, IN_FLIGHT, timing.warm_up).await?;
    let stored = full.started();
    let footprint = Footprint {
        resident_bytes: settled_bytes(console).await,
        ..full.footprint()
    };
    let new = EngineLoad::start(settings, Steps::of(settings), directory).await?;
    slice::warm_up(&new, IN_FLIGHT, timing.warm_up).await?;
    let beside = (!settings.engine_only).then_some(&new);
    let (engine, beside) = in_turns(full, beside, IN_FLIGHT, timing, console).await?;
    new.stop().await;
    // The next one has a directory of its own: this only gives the space back.
    let _ = std::fs::remove_dir_all(directory);
    Ok(Level {
        clients: IN_FLIGHT,
        stored: Some(stored),
        work: full.work_per_saga().await?,
        engine,
        beside,
        footprint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_tenfold_up_to_what_was_asked_for() {
        assert_eq!(sizes(1_000_000), [10_000, 100_000, 1_000_000]);
        assert_eq!(sizes(25_000), [10_000, 25_000]);
        assert_eq!(sizes(20), [20]);
    }
}
