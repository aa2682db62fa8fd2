//! Workload `saturation`: four times as many starts as the engine can take, whether it keeps up or not. Lives here: the
//! open loop, and the audit afterwards. Must not live here: back-pressure itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::{Error, ListQuery};
use crate::model::RunStatus;
use crate::server::console::Console;
use crate::server::text::count;

use super::args::Settings;
use super::engine_load::{EngineLoad, check, run_id, start_run};
use super::facts::{Facts, grouped};
use super::figures::{Latencies, SliceFigures, median};
use super::filling::until;
use super::meter::{monotonic, process_cpu, resident_bytes, until_at_rest, wait};
use super::order::Order;
use super::slice::{self, Timing};
use super::steps::Steps;
use super::{BenchError, Scratch};

/// In flight where nothing is saturated, and where just everything is.
const UNSATURATED: u32 = 64;
const SATURATED: u32 = 512;

/// How much more is asked for than can be done.
const EXCESS: f64 = 4.0;

/// How often the open loop starts what is due.
const BEAT: Duration = Duration::from_millis(1);

/// Runs on one page of the audit.
const PAGE: usize = 5_000;

/// What became of every start.
#[derive(Default)]
struct Tally {
    offered: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Everything offered that has an answer and, if it was accepted, an end.
    settled: AtomicU64,
    answers: Mutex<Latencies>,
    ends: Mutex<Latencies>,
    failed: Mutex<Option<BenchError>>,
}

impl Tally {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn of(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }

    fn push(latencies: &Mutex<Latencies>, begun: Duration) {
        let latency = monotonic().saturating_sub(begun);
        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
    }

    fn take(latencies: &Mutex<Latencies>) -> Latencies {
        std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, error: BenchError) {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

/// One start, whatever comes of it. Its latency counts from when it was due, not from when this process found the time.
async fn offer(engine: EngineLoad<Steps>, tally: Arc<Tally>, number: u64, steps: u32, due: Duration) {
    let order = Order {
        number,
        steps,
        rollback: false,
    };
    let id = run_id(number);
    match start_run(engine.engine(), &id, &order).await {
        Ok(run) => {
            Tally::add(&tally.accepted);
            Tally::push(&tally.answers, due);
            let ended = run.outcome().await.map_err(BenchError::from);
            match ended.and_then(|outcome| check(&id, &outcome, false)) {
                Ok(()) => Tally::push(&tally.ends, due),
                Err(error) => tally.fail(error),
            }
        }
        Err(BenchError::Engine(Error::Overloaded)) => Tally::add(&tally.refused),
        Err(error) => tally.fail(error),
    }
    Tally::add(&tally.settled);
}

pub(super) async fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    let directory = scratch.directory("saturation")?;
    let engine = EngineLoad::start(settings, Steps::of(settings), &directory.join("engine")).await?;
    let steps = count(u64::from(settings.steps), "step");
    let title = format!("Sagas of {steps}, {EXCESS} times as many as can be done");
    let mut facts = Facts::new(settings, title);

    let calm = closed(&engine, UNSATURATED, settings, console).await?;
    facts.side("unsaturated", "64 in flight", &calm);
    let full = closed(&engine, SATURATED, settings, console).await?;
    facts.side("saturated", "512 in flight", &full);
    let before = engine.started();

    let per_second = full.sagas_per_second * EXCESS;
    let tally = flood(&engine, settings, per_second, &mut facts, console).await?;
    let p99 = facts_of(&tally, &mut facts);
    facts.amount(
        "p99_ratio",
        "  p99, times that of 64 in flight",
        p99 / calm.p99.max(1.0),
        "",
    );

    let accepted = Tally::of(&tally.accepted);
    audit(&engine, before + accepted, &mut facts, console).await?;
    facts.show(console);
    engine.stop().await;
    Ok(())
}

async fn closed(
    engine: &EngineLoad<Steps>,
    clients: u32,
    settings: &Settings,
    console: &Console,
) -> Result<SliceFigures, BenchError> {
    console.replace(&format!("{clients} in flight"));
    let settings = Settings {
        seconds: settings.seconds.min(10),
        engine_only: true,
        ..settings.clone()
    };
    let timing = Timing::of(&settings, clients);
    slice::warm_up(engine, clients, timing.warm_up).await?;
    let mut slices = Vec::new();
    for _ in 0..timing.pairs {
        slices.push(slice::measure(engine, clients, timing).await?);
    }
    let first = slices.first().copied().ok_or(BenchError::Silence)?;
    Ok(SliceFigures {
        sagas_per_second: median(&slices, |slice| slice.sagas_per_second),
        p50: median(&slices, |slice| slice.p50),
        p99: median(&slices, |slice| slice.p99),
        cpu_per_saga: median(&slices, |slice| slice.cpu_per_saga),
        ..first
    })
}

/// The open loop. Ends when everything that was offered has its answer, and its end.
async fn flood(
    engine: &EngineLoad<Steps>,
    settings: &Settings,
    per_second: f64,
    facts: &mut Facts,
    console: &Console,
) -> Result<Arc<Tally>, BenchError> {
    let tally = Arc::new(Tally::default());
    let seconds = Duration::from_secs(u64::from(settings.seconds));
    let (begun, cpu) = (monotonic(), process_cpu());
    let first = engine.started();
    let (mut early, mut told) = (None, 0);
    loop {
        let time = monotonic().saturating_sub(begun);
        if time >= seconds {
            break;
        }
        let due = (time.as_secs_f64() * per_second) as u64;
        while Tally::of(&tally.offered) < due {
            let number = tally.offered.fetch_add(1, Ordering::Relaxed);
            let due = begun + Duration::from_secs_f64(number as f64 / per_second);
            let (engine, tally) = (engine.clone(), Arc::clone(&tally));
            tokio::spawn(offer(engine, tally, first + number, settings.steps, due));
        }
        if early.is_none() && time >= seconds / 4 {
            early = resident_bytes();
        }
        if time.as_secs() > told {
            told = time.as_secs();
            let [accepted, refused] = [&tally.accepted, &tally.refused].map(Tally::of).map(grouped);
            console.replace(&format!("second {told}: {accepted} accepted, {refused} refused"));
        }
        wait(BEAT).await;
    }
    let (time, late) = (monotonic().saturating_sub(begun), resident_bytes());
    let offered = Tally::of(&tally.offered);
    until(|| Tally::of(&tally.settled), offered, "waiting for the rest", console).await?;
    let settled = monotonic().saturating_sub(begun);
    until_at_rest().await;
    let cpu = process_cpu().saturating_sub(cpu);
    if let Some(error) = tally.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let rate = |count: &AtomicU64, time: Duration| Tally::of(count) as f64 / time.as_secs_f64();
    facts.amount(
        "offered_per_second",
        "offered",
        rate(&tally.offered, time),
        "per second",
    );
    // Until the last of them has ended.
    facts.amount(
        "accepted_per_second",
        "  accepted",
        rate(&tally.accepted, settled),
        "per second",
    );
    facts.amount(
        "refused_per_second",
        "  refused as overloaded",
        rate(&tally.refused, time),
        "per second",
    );
    facts.number("accepted", "  accepted in all", Tally::of(&tally.accepted));
    facts.number("refused", "  refused in all", Tally::of(&tally.refused));
    let each = cpu.as_secs_f64() * 1e6 / Tally::of(&tally.accepted).max(1) as f64;
    facts.amount("cpu_us_per_accepted", "  CPU for each accepted", each, "us");
    facts.bytes("rss_bytes_early", "  memory after a quarter of the time", early);
    facts.bytes("rss_bytes_late", "  memory at the end", late);
    Ok(tally)
}

/// Tells latencies of the accepted ones; gives the 99th percentile of their ends in microseconds.
fn facts_of(tally: &Tally, facts: &mut Facts) -> f64 {
    facts.latencies("answer", "  accepted: start acknowledged", Tally::take(&tally.answers));
    let ends = Tally::take(&tally.ends);
    let [p99] = ends.clone().percentiles([99]);
    facts.latencies("end", "  accepted: saga ended", ends);
    p99
}

/// Everything that was accepted is there and has completed, and nothing else is there.
async fn audit(
    engine: &EngineLoad<Steps>,
    expected: u64,
    facts: &mut Facts,
    console: &Console,
) -> Result<(), BenchError> {
    let mut query = ListQuery {
        limit: PAGE,
        ..ListQuery::default()
    };
    let (mut completed, mut others) = (0, 0);
    loop {
        let page = engine.client().list(&query).await?;
        let Some(last) = page.last() else { break };
        query.before = Some(last.run_id);
        let good = page.iter().filter(|run| run.status == RunStatus::Completed).count();
        completed += u64::try_from(good).unwrap_or(0);
        others += u64::try_from(page.len() - good).unwrap_or(0);
        console.replace(&format!("audit: {} runs", grouped(completed)));
    }
    let report = engine.client().verify(&mut |_| {}).await?;
    let problems = report.problems.len();
    facts.number("audit_expected", "audit: accepted", expected);
    facts.number("audit_completed", "  completed in the store", completed);
    if completed != expected || others != 0 || problems != 0 {
        return Err(BenchError::Lost(format!(
            "{} runs were accepted, {} are completed, {} are not, and the store has {problems} problems",
            grouped(expected),
            grouped(completed),
            grouped(others),
        )));
    }
    facts.word("audit", "  verdict", "nothing lost");
    Ok(())
}
