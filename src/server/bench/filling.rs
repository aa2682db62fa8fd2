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
use super::facts::grouped;
use super::figures::{Latencies, SliceFigures, Spent, Work};
use super::meter::{monotonic, process_cpu, resident_bytes, until_at_rest, wait};
use super::slice::Load;

/// Clients that fill a store: enough for large commits, few enough for no queue.
pub(super) const FILLERS: u32 = 512;

/// Appends of the bare file that a filling is compared with: enough for a second or so.
const BARE_APPENDS: u64 = 50_000;

/// How often a person is told how far it is.
const PROGRESS: Duration = Duration::from_millis(200);

/// How long nothing may happen before it is taken for lost.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often a count is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a run is idle before its memory is returned, in workloads that measure what is left then.
pub(super) const PASSIVATE_AFTER: Duration = Duration::from_secs(1);

/// Looks at the memory before it is taken as it is.
const SETTLING_LOOKS_MAX: u32 = 30;

/// Does so many sagas (or only starts, whatever the load does) as fast as these clients can.
pub(super) async fn fill(
    load: &impl Load,
    clients: u32,
    sagas: u64,
    what: &str,
    console: &Console,
) -> Result<SliceFigures, BenchError> {
    let left = Arc::new(AtomicU64::new(sagas));
    let (time, cpu, counters) = (monotonic(), process_cpu(), load.counters());
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
    let mut all = Latencies::default();
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(ended) => all.extend(ended.map_err(|error| BenchError::thread(&error))??),
                None => break,
            },
            () = wait(PROGRESS) => {
                let done = sagas - left.load(Ordering::Relaxed);
                console.replace(&format!("{what}: {} of {}", grouped(done), grouped(sagas)));
            }
        }
    }
    let time = monotonic().saturating_sub(time);
    let counters = load.counters().since(counters);
    until_at_rest().await;
    let cpu = process_cpu().saturating_sub(cpu);
    SliceFigures::new(time, Spent { cpu, sagas }, counters, all).ok_or(BenchError::Silence)
}

/// The same work on the bare file, for at most some seconds.
pub(super) async fn fill_bare(
    settings: &Settings,
    work: Work,
    clients: u32,
    sagas: u64,
    directory: &Path,
    console: &Console,
) -> Result<SliceFigures, BenchError> {
    let bare = BareLoad::start(&directory.join("bare"), work, settings.is_durable())?;
    let figures = fill(&bare, clients, sagas.min(BARE_APPENDS), "bare file", console).await;
    bare.stop();
    figures
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
    use super::super::figures::Counters;
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
            let figures = fill(&load, clients, sagas, "test", &console).await.unwrap();
            assert_eq!(figures.sagas as u64, sagas);
            assert_eq!(load.0.load(Ordering::Relaxed), sagas);
        }
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
