//! Closed loops: a fixed number of clients, each with one saga in flight, for a slice of time. Lives here: what counts
//! and what does not. Must not live here: what a saga is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::BenchError;
use super::args::{Settings, Workload};
use super::figures::{Counters, Latencies, SliceFigures};
use super::meter::{CpuWatch, monotonic, wait};

/// How long clients may take to get under way, and how often it is looked at.
const RAMP_MAX: Duration = Duration::from_secs(60);
const RAMP_LOOK: Duration = Duration::from_millis(1);

/// How much longer a slice is at least for each client: one in which each of them ends a single saga says little.
const PER_CLIENT_MIN: Duration = Duration::from_micros(300);

/// How long what is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Not measured at all: files grow to their size, caches fill.
    pub(super) warm_up: Duration,
    /// Not measured at the beginning of each slice: clients get out of step with each other, threads wake up.
    pub(super) ramp: Duration,
    pub(super) slice: Duration,
    /// A slice ends earlier when so many sagas have: where they would change what is measured.
    pub(super) sagas_max: u64,
    /// Slices of each side.
    pub(super) pairs: u32,
}

impl Timing {
    pub(super) fn of(settings: &Settings, clients: u32) -> Self {
        // Odd numbers have a middle. Two stores differ by less than a store and a bare file: more and longer slices.
        let pairs = settings.slices.unwrap_or(match settings.workload {
            Workload::Stored => (settings.seconds / 4).clamp(9, 15) | 1,
            _ => (settings.seconds / 2).clamp(5, 15) | 1,
        });
        let sides = if settings.engine_only { 1 } else { 2 };
        let slice = Duration::from_secs(u64::from(settings.seconds)) / (pairs * sides);
        Self {
            warm_up: Duration::from_millis(1_500),
            ramp: Duration::from_millis(100),
            slice: slice.max(PER_CLIENT_MIN * clients),
            sagas_max: u64::MAX,
            pairs,
        }
    }
}

/// Something that can do one saga after the other.
pub(super) trait Load: Clone + Send + Sync + 'static {
    /// One saga, from its start to its end.
    fn one_saga(&self) -> impl Future<Output = Result<(), BenchError>> + Send;

    /// What was written so far.
    fn counters(&self) -> Counters;
}

/// The two moments between which things count.
struct Window {
    open: AtomicBool,
    over: AtomicBool,
    /// Sagas that have ended, whether they count or not.
    ended: AtomicU64,
    /// With so many of them it is over, and told at once: in a millisecond more would end than a short slice has.
    goal: AtomicU64,
    reached: Notify,
}

impl Window {
    fn new() -> Self {
        Self {
            open: AtomicBool::new(false),
            over: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        }
    }

    /// One more has ended.
    fn end(&self) {
        // In one order for all: either this sees the goal, or who sets it sees this one.
        let ended = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        if ended >= self.goal.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }

    /// Waits until so many more have ended.
    async fn until_ended(&self, more: u64) {
        let goal = self.ended.load(Ordering::SeqCst).saturating_add(more);
        self.goal.store(goal, Ordering::SeqCst);
        if self.ended.load(Ordering::SeqCst) < goal {
            self.reached.notified().await;
        }
    }
}

/// Lets the load run without counting anything.
pub(super) async fn warm_up(load: &impl Load, clients: u32, time: Duration) -> Result<(), BenchError> {
    let window = Arc::new(Window::new());
    let running = start_clients(load, clients, &window);
    wait(time).await;
    finish(running, &window).await.map(drop)
}

/// Measures one slice. Rates and latencies are those of sagas that end within the window; those that are in flight at its
/// end are waited for, so that the other side has the machine for itself. CPU time is counted from rest to rest, over all
/// sagas of the slice, so that what is done behind acknowledged commits counts, too.
pub(super) async fn measure(load: &impl Load, clients: u32, timing: Timing) -> Result<SliceFigures, BenchError> {
    let window = Arc::new(Window::new());
    let cpu = CpuWatch::start().await;
    let running = start_clients(load, clients, &window);
    wait(timing.ramp).await;
    until_under_way(&window, clients).await?;
    let (time, counters) = (monotonic(), load.counters());
    window.open.store(true, Ordering::Relaxed);
    until_over(&window, timing).await;
    window.open.store(false, Ordering::Relaxed);
    let time = monotonic().saturating_sub(time);
    let counters = load.counters().since(counters);
    let latencies = finish(running, &window).await?;
    let spent = cpu.stop(window.ended.load(Ordering::Relaxed)).await;
    SliceFigures::new(time, spent, counters, latencies).ok_or(BenchError::Silence)
}

/// All clients begin at once. What counts is what follows when about each of them has ended a saga.
async fn until_under_way(window: &Window, clients: u32) -> Result<(), BenchError> {
    let begun = monotonic();
    while window.ended.load(Ordering::Relaxed) < u64::from(clients) {
        if monotonic().saturating_sub(begun) > RAMP_MAX {
            return Err(BenchError::Silence);
        }
        wait(RAMP_LOOK).await;
    }
    Ok(())
}

/// A slice lasts as long as it is to, and on a busy machine until something has ended in it.
async fn until_over(window: &Window, timing: Timing) {
    let before = window.ended.load(Ordering::SeqCst);
    tokio::select! {
        () = window.until_ended(timing.sagas_max) => {}
        () = wait(timing.slice) => {}
    }
    if window.ended.load(Ordering::SeqCst) == before {
        tokio::select! {
            () = window.until_ended(1) => {}
            () = wait(RAMP_MAX) => {}
        }
    }
}

type Clients = JoinSet<Result<Latencies, BenchError>>;

fn start_clients(load: &impl Load, clients: u32, window: &Arc<Window>) -> Clients {
    let mut running = JoinSet::new();
    for _ in 0..clients {
        running.spawn(client(load.clone(), Arc::clone(window)));
    }
    running
}

async fn client(load: impl Load, window: Arc<Window>) -> Result<Latencies, BenchError> {
    let mut latencies = Latencies::default();
    while !window.over.load(Ordering::Relaxed) {
        let begun = monotonic();
        load.one_saga().await?;
        if window.open.load(Ordering::Relaxed) {
            latencies.push(monotonic().saturating_sub(begun));
        }
        window.end();
    }
    Ok(latencies)
}

async fn finish(mut running: Clients, window: &Window) -> Result<Latencies, BenchError> {
    window.over.store(true, Ordering::Relaxed);
    let mut all = Latencies::default();
    while let Some(ended) = running.join_next().await {
        all.extend(ended.map_err(|error| BenchError::thread(&error))??);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::*;

    #[test]
    fn there_are_five_pairs_or_more_and_slices_in_which_every_client_gets_on() {
        let timing = |line, clients| {
            let timing = Timing::of(&settings(line), clients);
            (timing.pairs, timing.slice.as_millis())
        };
        assert_eq!(timing("--seconds 1", 1), (5, 100));
        assert_eq!(timing("", 64), (5, 1_000));
        assert_eq!(timing("--seconds 60", 64), (15, 2_000));
        assert_eq!(timing("", 10_000), (5, 3_000));
        assert_eq!(timing("--seconds 6 --slices 1 --engine-only", 64), (1, 6_000));
        assert_eq!(timing("--workload stored", 64), (9, 2_000));
    }

    #[derive(Clone)]
    struct Quick;

    impl Load for Quick {
        async fn one_saga(&self) -> Result<(), BenchError> {
            tokio::task::yield_now().await;
            Ok(())
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }
    }

    #[tokio::test]
    async fn a_slice_is_over_when_enough_has_ended() {
        let timing = Timing {
            ramp: Duration::ZERO,
            slice: Duration::from_secs(3_600),
            sagas_max: 10,
            ..Timing::of(&settings(""), 2)
        };
        let measured = measure(&Quick, 2, timing).await.unwrap();
        // In a millisecond thousands end; tokio has some tens of turns before whoever waits has one.
        assert!((10..200).contains(&measured.sagas), "{measured:?}");
    }
}
