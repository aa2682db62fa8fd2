//! Closed loops: as many sagas in flight as there are clients, engine and bare file in turns. Lives here: the order of
//! slices and levels. Must not live here: what a saga is (a file each), how figures are shown.

use std::path::Path;

use crate::server::console::Console;

use super::args::Settings;
use super::bare_load::BareLoad;
use super::engine_load::{Case, EngineLoad};
use super::figures::{Level, SliceFigures};
use super::filling::bare_file;
use super::slice::{self, Load, Timing};
use super::{BenchError, Scratch, report};

/// In flight at once, when nothing else is asked for.
const LEVELS: [u32; 3] = [1, 64, 512];

/// Measures one number in flight after the other, and shows each as soon as it is there.
pub(super) async fn measure(
    settings: &Settings,
    case: impl Case,
    scratch: &Scratch,
    console: &Console,
) -> Result<(), BenchError> {
    report::title(settings, console);
    let levels = settings.concurrency.map_or(LEVELS.to_vec(), |one| vec![one]);
    for clients in levels {
        let directory = scratch.directory(&clients.to_string())?;
        let timing = Timing::of(settings, clients);
        let level = one_level(settings, case.clone(), clients, timing, &directory, console).await?;
        report::level(settings, &level, console);
    }
    Ok(())
}

/// One number in flight, in a store of its own.
pub(super) async fn one_level(
    settings: &Settings,
    case: impl Case,
    clients: u32,
    timing: Timing,
    directory: &Path,
    console: &Console,
) -> Result<Level, BenchError> {
    let engine = EngineLoad::start(settings, case, &directory.join("engine")).await?;
    console.replace(&format!("{clients} in flight: warming up"));
    slice::warm_up(&engine, clients, timing.warm_up).await?;
    let work = engine.work_per_saga().await?;
    let bare = bare_file(settings, work, clients, &directory.join("bare")).await?;
    let (measured, beside) = in_turns(&engine, bare.as_ref(), clients, timing, console).await?;
    let footprint = engine.footprint();
    bare.iter().for_each(BareLoad::stop);
    engine.stop().await;
    Ok(Level {
        clients,
        stored: None,
        work,
        engine: measured,
        beside,
        footprint,
    })
}

/// Slices of both sides, one after the other: now the one is first, now the other.
pub(super) async fn in_turns(
    engine: &impl Load,
    beside: Option<&impl Load>,
    clients: u32,
    timing: Timing,
    console: &Console,
) -> Result<(Vec<SliceFigures>, Vec<SliceFigures>), BenchError> {
    let (mut slices, mut others) = (Vec::new(), Vec::new());
    for pair in 1..=timing.pairs {
        console.replace(&format!("{clients} in flight: slice {pair} of {}", timing.pairs));
        let (slice, other) = one_turn(engine, beside, clients, timing, pair % 2 == 1).await?;
        slices.push(slice);
        others.extend(other);
    }
    Ok((slices, others))
}

/// A slice of each side.
pub(super) async fn one_turn(
    engine: &impl Load,
    beside: Option<&impl Load>,
    clients: u32,
    timing: Timing,
    engine_is_first: bool,
) -> Result<(SliceFigures, Option<SliceFigures>), BenchError> {
    let Some(beside) = beside else {
        return Ok((slice::measure(engine, clients, timing).await?, None));
    };
    let first = match engine_is_first {
        true => Some(slice::measure(engine, clients, timing).await?),
        false => None,
    };
    let other = slice::measure(beside, clients, timing).await?;
    let slice = match first {
        Some(first) => first,
        None => slice::measure(engine, clients, timing).await?,
    };
    Ok((slice, Some(other)))
}

/// For tests: until some sagas have ended, however slow the machine is.
#[cfg(test)]
pub(super) const SHORT: Timing = Timing {
    warm_up: std::time::Duration::from_millis(30),
    ramp: std::time::Duration::from_millis(5),
    slice: std::time::Duration::from_secs(20),
    sagas_max: 8,
    pairs: 1,
};

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::super::fan_out::FanOut;
    use super::super::signals::Signals;
    use super::super::steps::Steps;
    use super::*;
    use crate::server::console::Format;

    async fn level(line: &str, case: impl Case) -> Level {
        let parent = tempfile::tempdir().unwrap();
        let console = Console::new(Format::Json);
        let scratch = Scratch::new(Some(parent.path())).unwrap();
        let directory = scratch.directory("4").unwrap();
        let level = one_level(&settings(line), case, 4, SHORT, &directory, &console)
            .await
            .unwrap();
        assert!(level.engine.iter().all(|slice| slice.sagas > 0), "{line}");
        assert!(level.beside.iter().all(|slice| slice.sagas > 0), "{line}");
        drop(scratch);
        assert_eq!(
            std::fs::read_dir(parent.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
        level
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn both_sides_are_measured_and_nothing_is_left_behind() {
        for (line, turns) in [
            ("--store memory --rollback", 6),
            ("--store sled --durability process", 4),
            ("--store memory --form code --rollback", 6),
            ("--store memory --form code --steps 9", 10),
        ] {
            let level = level(line, Steps::of(&settings(line))).await;
            assert_eq!(level.work.turns, turns, "{line}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn steps_at_once_need_fewer_turns_than_steps() {
        for line in [
            "--workload fan-out --store memory",
            "--workload fan-out --store memory --form code",
        ] {
            let turns = level(line, FanOut).await.work.turns;
            assert!((2..=11).contains(&turns), "{line}: {turns}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_signal_is_a_turn_of_its_own() {
        for line in [
            "--workload signals --store memory",
            "--workload signals --store memory --form code",
        ] {
            let turns = level(line, Signals).await.work.turns;
            assert_eq!(turns, 101, "{line}");
        }
    }
}
