//! Putting a number of runs into a store, and waiting for a number of things to happen, with progress on a terminal. Must
//! not live here: what the runs are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::server::console::Console;

use super::BenchError;
use super::args::Settings;
use super::bare_load::BareLoad;
use super::engine_load::{Case, EngineLoad};
use super::facts::grouped;
use super::figures::{Counters, Latencies, SliceFigures, Work};
use super::meter::{CpuWatch, monotonic, resident_bytes, wait};
use super::slice::{self, Load, Timing};

/// Clients that fill a store: enough for large commits, few enough for no queue.
pub(super) const FILLERS: u32 = 512;

/// Portions in which runs are put there, in turns with the bare file. A smaller one would say nothing: nobody waits until its
/// runs are idle.
const PORTIONS: u64 = 5;
const PORTION_MIN: u64 = 1_000;

/// Runs that are started before, at most.
const FIRST_MAX: u64 = 100;

/// The bare file's part of each turn.
const BARE: Timing = Timing {
    warm_up: Duration::from_millis(500),
    ramp: Duration::from_millis(100),
    slice: Duration::from_secs(1),
    sagas_max: u64::MAX,
    pairs: 1,
};

/// How often a person is told how far it is.
const PROGRESS: Duration = Duration::from_millis(200);

/// How long nothing may happen before it is taken for lost.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often a count is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a run is idle before its memory is returned, in workloads that measure what is left then.
pub(super) const PASSIVATE_AFTER: Duration = Duration::from_secs(1);

/// When all of it is returned: two sweeps, and what the store puts off.
const PASSIVATED_AFTER: Duration = Duration::from_secs(4);

/// Looks at the memory before it is taken as it is.
const SETTLING_LOOKS_MAX: u32 = 30;

/// What programs find of it: the engine's side, the bare file's, and their ratios.
pub(super) const STARTED: [&str; 3] = ["started", "bare_file", "started_ratio"];

/// Both sides of a comparison, turn by turn. The other is empty where the engine is alone.
#[derive(Default)]
pub(super) struct Sides {
    pub(super) engine: Vec<SliceFigures>,
    pub(super) bare: Vec<SliceFigures>,
}

/// What was put into a store, and how fast.
struct Filled {
    time: Duration,
    counters: Counters,
    latencies: Latencies,
}

/// Does so many sagas (or only starts, whatever the load does) as fast as these clients can.
pub(super) async fn fill(
    load: &impl Load,
    clients: u32,
    sagas: u64,
    what: &str,
    console: &Console,
) -> Result<(), BenchError> {
    timed_fill(load, clients, sagas, what, console).await.map(drop)
}

async fn timed_fill(
    load: &impl Load,
    clients: u32,
    sagas: u64,
    what: &str,
    console: &Console,
) -> Result<Filled, BenchError> {
    let left = Arc::new(AtomicU64::new(sagas));
    let (time, counters) = (monotonic(), load.counters());
    let mut running = JoinSet::new();
    for _ in 0..clients.min(u32::try_from(sagas).unwrap_or(u32::MAX)) {
        let (load, left) = (load.clone(), Arc::clone(&left));
        running.spawn(async move {
            let mut latencies = Latencies::default();
            let take = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let begun = monotonic();
                load.one_saga().await?;
                latencies.push(monotonic().saturating_sub(begun));
            }
            Ok::<_, BenchError>(latencies)
        });
    }
    let mut latencies = Latencies::default();
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(ended) => latencies.extend(ended.map_err(|error| BenchError::thread(&error))??),
                None => break,
            },
            () = wait(PROGRESS) => {
                let done = sagas - left.load(Ordering::Relaxed);
                console.replace(&format!("{what}: {} of {}", grouped(done), grouped(sagas)));
            }
        }
    }
    Ok(Filled {
        time: monotonic().saturating_sub(time),
        counters: load.counters().since(counters),
        latencies,
    })
}

/// One portion. Its CPU time is counted until its runs are idle and their memory is given back.
async fn portion(load: &impl Load, sagas: u64, what: &str, console: &Console) -> Result<SliceFigures, BenchError> {
    let cpu = CpuWatch::start().await;
    let filled = timed_fill(load, FILLERS, sagas, what, console).await?;
    if sagas >= PORTION_MIN {
        wait(PASSIVATED_AFTER).await;
    }
    let spent = cpu.stop(sagas).await;
    SliceFigures::new(filled.time, spent, filled.counters, filled.latencies).ok_or(BenchError::Silence)
}

/// The bare file that so many clients of such work are compared with, warmed up; `None` when the engine is to be alone.
pub(super) async fn bare_file(
    settings: &Settings,
    work: Work,
    clients: u32,
    file: &Path,
) -> Result<Option<BareLoad>, BenchError> {
    if settings.engine_only {
        return Ok(None);
    }
    let bare = BareLoad::start(file, work, settings.is_durable())?;
    slice::warm_up(&bare, clients, BARE.warm_up).await?;
    Ok(Some(bare))
}

/// The bare file's turn, if there is one.
pub(super) async fn bare_turn(
    bare: Option<&BareLoad>,
    clients: u32,
    console: &Console,
) -> Result<Option<SliceFigures>, BenchError> {
    let Some(bare) = bare else { return Ok(None) };
    console.replace("bare file");
    slice::measure(bare, clients, BARE).await.map(Some)
}

/// What it takes to put runs that wait into a store, and to keep them there.
pub(super) struct Waiting {
    pub(super) sides: Sides,
    /// One start.
    pub(super) work: Work,
    /// Memory of the process when they are idle.
    pub(super) bytes: Option<u64>,
    /// What each of them has added to it.
    pub(super) bytes_each: Option<f64>,
}

/// Starts so many runs, portion by portion, in turns with the bare file. A few come first: they tell what work they are.
pub(super) async fn fill_in_turns<C: Case>(
    engine: &EngineLoad<C>,
    settings: &Settings,
    directory: &Path,
    what: &str,
    console: &Console,
) -> Result<Waiting, BenchError> {
    let first = (settings.runs / 10).clamp(1, FIRST_MAX);
    fill(engine, FILLERS, first, what, console).await?;
    let work = engine.work_per_saga().await?;
    let bare = bare_file(settings, work, FILLERS, &directory.join("bare")).await?;
    let (empty, left) = (resident_bytes(), settings.runs.saturating_sub(first));
    let mut sides = Sides::default();
    for (number, runs) in (1_u64..).zip(portions(left)) {
        let what = format!("{what}, portion {number}");
        sides.engine.push(portion(engine, runs, &what, console).await?);
        sides.bare.extend(bare_turn(bare.as_ref(), FILLERS, console).await?);
    }
    bare.iter().for_each(BareLoad::stop);
    if left < PORTION_MIN {
        let least = grouped(PORTION_MIN);
        console.note(format!(
            "with fewer than {least} runs the CPU time of their starts is told without that of returning their memory"
        ));
    }
    let bytes = settled_bytes(console).await;
    let more = bytes.zip(empty).filter(|_| left > 0);
    Ok(Waiting {
        sides,
        work,
        bytes,
        bytes_each: more.map(|(bytes, empty)| bytes.saturating_sub(empty) as f64 / left as f64),
    })
}

/// As equal as they can be.
fn portions(sagas: u64) -> Vec<u64> {
    let count = (sagas / PORTION_MIN).clamp(1, PORTIONS);
    let portions = (0..count).map(|at| sagas * (at + 1) / count - sagas * at / count);
    portions.filter(|sagas| *sagas > 0).collect()
}

/// Waits until `so_far` has reached `goal`.
pub(super) async fn until(
    so_far: impl Fn() -> u64,
    goal: u64,
    what: &str,
    console: &Console,
) -> Result<(), BenchError> {
    let (mut seen, mut changed, mut told) = (so_far(), monotonic(), monotonic());
    while seen < goal {
        wait(LOOK).await;
        let (now, found) = (monotonic(), so_far());
        if found != seen {
            (seen, changed) = (found, now);
        } else if now.saturating_sub(changed) > SILENCE_MAX {
            let silence = SILENCE_MAX.as_secs();
            let (seen, goal) = (grouped(seen), grouped(goal));
            return Err(BenchError::Lost(format!(
                "{what}: {seen} of {goal}, and nothing more for {silence} s"
            )));
        }
        if now.saturating_sub(told) > PROGRESS {
            told = now;
            console.replace(&format!("{what}: {} of {}", grouped(seen), grouped(goal)));
        }
    }
    Ok(())
}

/// Waits until idle runs have been passivated and the process does not shrink any more; gives its size.
pub(super) async fn settled_bytes(console: &Console) -> Option<u64> {
    let mut before = resident_bytes()?;
    let mut quiet = 0;
    for look in 1..=SETTLING_LOOKS_MAX {
        console.replace(&format!("waiting until idle runs are passivated: {look} s"));
        wait(PASSIVATE_AFTER).await;
        let now = resident_bytes()?;
        // Passivation takes two sweeps; a process that has shrunk by less than a hundredth since is done.
        quiet = if now.abs_diff(before) * 100 < before {
            quiet + 1
        } else {
            0
        };
        before = now;
        if quiet >= 3 {
            break;
        }
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::console::Format;

    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicU64>);

    impl Load for Counting {
        async fn one_saga(&self) -> Result<(), BenchError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(())
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }
    }

    #[tokio::test]
    async fn as_many_as_were_asked_for_are_done() {
        let console = Console::new(Format::Json);
        for (clients, sagas) in [(3, 100), (8, 5)] {
            let load = Counting::default();
            fill(&load, clients, sagas, "test", &console).await.unwrap();
            assert_eq!(load.0.load(Ordering::Relaxed), sagas);
        }
    }

    #[test]
    fn there_are_five_portions_where_they_are_not_too_small() {
        assert_eq!(portions(100_003), [20_000, 20_001, 20_000, 20_001, 20_001]);
        assert_eq!(portions(2_500), [1_250, 1_250]);
        assert_eq!((portions(40), portions(0)), (vec![40], Vec::new()));
    }

    #[tokio::test]
    async fn a_goal_that_is_reached_is_not_waited_for() {
        let console = Console::new(Format::Json);
        let seen = AtomicU64::new(0);
        until(|| seen.fetch_add(1, Ordering::Relaxed), 3, "test", &console)
            .await
            .unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 4);
    }
}
