//! Workload `stored`: whether a store full of ended runs makes new ones slower, or the process larger. Must not live here:
//! the sagas (`steps`).

use crate::server::console::Console;

use super::args::Settings;
use super::closed_loop::measure_in;
use super::engine_load::EngineLoad;
use super::facts::grouped;
use super::figures::Level;
use super::filling::fill;
use super::slice::Timing;
use super::steps::Steps;
use super::{BenchError, Scratch, report};

/// In flight while it is measured.
const IN_FLIGHT: u32 = 64;

/// In flight while the store is filled, where nothing is measured.
const FILLERS: u32 = 2_048;

/// Sagas that are filled in at once: how long each took is kept until then, and would be a part of the memory that is
/// measured.
const PIECE: u64 = 50_000;

/// The numbers of ended runs at which it is measured, up to this one.
fn sizes(largest: u64) -> Vec<u64> {
    let tens = (3..).map(|zeros| 10_u64.pow(zeros));
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
        let stored = engine.started();
        let timing = Timing::of(settings.seconds);
        let mut level = measure_in(&engine, settings, IN_FLIGHT, timing, &directory, console).await?;
        level.stored = Some(stored);
        report::level(settings, &level, console);
        levels.push(level);
    }
    engine.stop().await;
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_tenfold_up_to_what_was_asked_for() {
        assert_eq!(sizes(1_000_000), [1_000, 10_000, 100_000, 1_000_000]);
        assert_eq!(sizes(2_500), [1_000, 2_500]);
        assert_eq!(sizes(20), [20]);
    }
}
