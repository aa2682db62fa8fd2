//! Workload `saturation`: four times as many starts as the engine can take, whether it keeps up or not. Lives here: the
//! open loop, and the audit afterwards. Must not live here: back-pressure itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::{Error, ListQuery};
use crate::model::RunStatus;
use crate::model::limits::SHARD_REQUESTS_MAX;
use crate::server::console::Console;
use crate::server::text::count;

use super::args::Settings;
use super::closed_loop::in_turns;
use super::engine_load::{EngineLoad, builder, check, run_id, start_run};
use super::facts::{Facts, grouped};
use super::figures::{SliceFigures, Spent};
use super::filling::until;
use super::meter::{CpuWatch, monotonic, resident_bytes, wait};
use super::order::Order;
use super::slice::{self, Timing};
use super::steps::Steps;
use super::waits::Waits;
use super::{BenchError, Scratch};

/// In flight where nothing is saturated, and where just everything is.
const UNSATURATED: u32 = 64;
const SATURATED: u32 = 512;

/// How much more is asked for than can be done.
const EXCESS: f64 = 4.0;

/// How much longer sagas may take than what is to be expected of as many as wait in front of them.
const PER_PLACE_MAX: f64 = 3.0;

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
    refusals: Mutex<Waits>,
    answers: Mutex<Waits>,
    ends: Mutex<Waits>,
    failed: Mutex<Option<BenchError>>,
}

impl Tally {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn of(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }

    fn push(waits: &Mutex<Waits>, begun: Duration) {
        let wait = monotonic().saturating_sub(begun);
        waits.lock().unwrap_or_else(PoisonError::into_inner).push(wait);
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
        Err(BenchError::Engine(Error::Overloaded)) => {
            Tally::add(&tally.refused);
            Tally::push(&tally.refusals, due);
        }
        Err(error) => tally.fail(error),
    }
    Tally::add(&tally.settled);
}

pub(super) async fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    let directory = scratch.directory("saturation")?.join("engine");
    let shards = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = builder(settings, &directory).shards(shards);
    let engine = EngineLoad::start_with(builder, settings, Steps::of(settings), &directory).await?;
    let steps = count(u64::from(settings.steps), "step");
    let title = format!("Sagas of {steps}, {EXCESS} times as many as can be done");
    let mut facts = Facts::new(settings, title);

    let calm = closed(&engine, UNSATURATED, settings, console).await?;
    facts.side("unsaturated", &format!("{UNSATURATED} in flight"), &calm);
    let full = closed(&engine, SATURATED, settings, console).await?;
    facts.side("saturated", &format!("{SATURATED} in flight"), &full);
    let before = engine.started();

    let flood = flood(&engine, settings, full.sagas_per_second * EXCESS, console).await?;
    flood.tell(full.sagas_per_second, &mut facts);
    let tally = &flood.tally;
    let p99 = tell_waits(tally, &mut facts);
    tell_bound(p99 / calm.p99.max(1.0), shards, &mut facts);

    let accepted = Tally::of(&tally.accepted);
    audit(&engine, before + accepted, &mut facts, console).await?;
    facts.show(console);
    engine.stop().await;
    Ok(())
}

/// As many clients as are given, one saga after the other.
async fn closed(
    engine: &EngineLoad<Steps>,
    clients: u32,
    settings: &Settings,
    console: &Console,
) -> Result<SliceFigures, BenchError> {
    let settings = Settings {
        seconds: settings.seconds.min(10),
        engine_only: true,
        ..settings.clone()
    };
    let timing = Timing::of(&settings, clients);
    console.replace(&format!("{clients} in flight: warming up"));
    slice::warm_up(engine, clients, timing.warm_up).await?;
    let alone = None::<&EngineLoad<Steps>>;
    let (slices, _) = in_turns(engine, alone, clients, timing, console).await?;
    SliceFigures::medians(&slices).ok_or(BenchError::Silence)
}

/// What came of it.
struct Flood {
    tally: Arc<Tally>,
    /// While it went on, and until everything had its end.
    offering: Duration,
    settling: Duration,
    spent: Spent,
    /// Memory after a quarter of the time, and at the end of it.
    early: Option<u64>,
    late: Option<u64>,
}

/// The open loop. Ends when everything that was offered has its answer, and its end.
async fn flood(
    engine: &EngineLoad<Steps>,
    settings: &Settings,
    per_second: f64,
    console: &Console,
) -> Result<Flood, BenchError> {
    let tally = Arc::new(Tally::default());
    let seconds = Duration::from_secs(u64::from(settings.seconds));
    let cpu = CpuWatch::start().await;
    let (begun, first) = (monotonic(), engine.started());
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
    let (offering, late) = (monotonic().saturating_sub(begun), resident_bytes());
    let offered = Tally::of(&tally.offered);
    until(|| Tally::of(&tally.settled), offered, "waiting for the rest", console).await?;
    let settling = monotonic().saturating_sub(begun);
    let spent = cpu.stop(Tally::of(&tally.accepted)).await;
    if let Some(error) = tally.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    Ok(Flood {
        tally,
        offering,
        settling,
        spent,
        early,
        late,
    })
}

impl Flood {
    /// `saturated` is the rate that can be done.
    fn tell(&self, saturated: f64, facts: &mut Facts) {
        let rate = |count: &AtomicU64, time: Duration| Tally::of(count) as f64 / time.as_secs_f64();
        let tally = &self.tally;
        facts.amount(
            "offered_per_second",
            "offered",
            rate(&tally.offered, self.offering),
            "per second",
        );
        // Until the last of them has ended.
        let accepted = rate(&tally.accepted, self.settling);
        facts.amount("accepted_per_second", "  accepted", accepted, "per second");
        let label = format!("  goodput, of the rate of {SATURATED} in flight");
        facts.amount("goodput_share", &label, accepted / saturated.max(1.0), "");
        facts.amount(
            "refused_per_second",
            "  refused as overloaded",
            rate(&tally.refused, self.offering),
            "per second",
        );
        facts.number("accepted", "  accepted in all", Tally::of(&tally.accepted));
        facts.number("refused", "  refused in all", Tally::of(&tally.refused));
        facts.cpu("cpu_us_per_accepted", "  CPU for each accepted", self.spent);
        facts.bytes("rss_bytes_early", "  memory after a quarter of the time", self.early);
        facts.bytes("rss_bytes_late", "  memory at the end", self.late);
    }
}

/// How long everybody waited; gives the 99th percentile of accepted sagas' ends in microseconds.
fn tell_waits(tally: &Tally, facts: &mut Facts) -> f64 {
    let [refusals, answers, ends] = [&tally.refusals, &tally.answers, &tally.ends]
        .map(|waits| waits.lock().unwrap_or_else(PoisonError::into_inner).percentiles());
    facts.percentiles("refusal", "  refused: answer", refusals);
    facts.percentiles("answer", "  accepted: start acknowledged", answers);
    facts.percentiles("end", "  accepted: saga ended", ends);
    let [_, p99, _] = ends;
    p99
}

/// Whether what is accepted waits behind the places that there are, and for nothing else. `ratio`: to those whom nobody
/// stood in front of.
fn tell_bound(ratio: f64, shards: usize, facts: &mut Facts) {
    let places = u64::try_from(shards.saturating_mul(SHARD_REQUESTS_MAX)).unwrap_or(u64::MAX);
    let label = format!("  p99, times that of {UNSATURATED} in flight");
    facts.amount("p99_ratio", &label, ratio, "");
    facts.number("places", "  places of starts that wait", places);
    let each = ratio * f64::from(UNSATURATED) / places as f64;
    facts.amount("p99_ratio_per_place", "  p99, times that, for each place", each, "");
    let verdict = match each <= PER_PLACE_MAX {
        true => format!("at most {PER_PLACE_MAX}: bounded by the places"),
        false => format!("more than {PER_PLACE_MAX}: something else is waited for"),
    };
    facts.word("p99_verdict", "  verdict", &verdict);
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

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::*;

    #[test]
    fn the_bound_has_a_verdict() {
        let verdict = |ratio| {
            let mut facts = Facts::new(&settings("--workload saturation"), "many");
            tell_bound(ratio, 2, &mut facts);
            let object = facts.object();
            let each = object["p99_ratio_per_place"].as_f64().unwrap();
            (each, object["p99_verdict"].as_str().unwrap().to_owned())
        };
        let (each, said) = verdict(249.6);
        assert_eq!((each, said.as_str()), (1.95, "at most 3: bounded by the places"));
        assert!(verdict(400.0).1.starts_with("more than 3"));
    }

    #[test]
    fn who_was_refused_is_told_how_long_that_took() {
        let tally = Tally::default();
        Tally::push(&tally.refusals, monotonic().saturating_sub(Duration::from_secs(1)));
        let mut facts = Facts::new(&settings("--workload saturation"), "many");
        tell_waits(&tally, &mut facts);
        let object = facts.object();
        assert!(object["refusal_p99_us"].as_f64().unwrap() >= 1e6, "{object}");
        assert_eq!(object["end_p99_us"], 0.0);
    }
}
