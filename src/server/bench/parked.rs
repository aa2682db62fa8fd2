//! Workload `parked`: runs that wait for a signal, what each of them costs while nothing happens, and how long it takes to
//! wake one. Must not live here: passivation.

use std::collections::BTreeSet;

use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error};
use crate::model::Failure;
use crate::server::console::Console;

use super::args::{Form, Settings};
use super::bare_load::BareLoad;
use super::engine_load::{Case, EngineLoad, builder, check, run_id, start_run};
use super::facts::{Facts, grouped};
use super::figures::{Latencies, SliceFigures, Work};
use super::filling::{PASSIVATE_AFTER, STARTED, Sides, bare_file, bare_turn, fill_in_turns, settled_bytes};
use super::meter::{CpuWatch, monotonic};
use super::order::{BENCH_SAGA, Order, saga};
use super::signals::GO;
use super::slice::Load;
use super::{BenchError, Scratch};

/// Runs that are woken, and in each of the turns with the bare file.
const WAKES: u64 = 1_000;
const WAKES_AT_ONCE: usize = 200;

/// What programs find: the engine's side, the bare file's, and the ratios.
const WOKEN: [&str; 3] = ["wake_one_by_one", "wake_bare_file", "wake_ratio"];

/// Runs that are started and left alone.
#[derive(Clone, Copy, Debug)]
struct Parked;

fn definition() -> Result<SagaDefinition, Error> {
    saga(&format!(
        "name = \"{BENCH_SAGA}\"\n[[step]]\nname = \"wait\"\nsignal = {{ name = \"{GO}\" }}\n"
    ))
}

async fn bench_saga(cx: WorkflowContext, _: Order) -> Result<u64, Failure> {
    cx.signal::<u64>(GO).recv().await
}

impl Case for Parked {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
        Ok(match form {
            Form::Definition => engine.saga(definition()?),
            Form::Code => engine.workflow(bench_saga),
        })
    }

    async fn once(&self, engine: &Amends, id: &str, number: u64) -> Result<(), BenchError> {
        let order = Order {
            number,
            ..Order::default()
        };
        start_run(engine, id, &order).await.map(drop)
    }
}

/// So many different numbers below `bound`, in an order that looks random and is always the same.
fn picks(bound: u64, wanted: u64) -> Vec<u64> {
    let wanted = usize::try_from(wanted.min(bound)).unwrap_or(usize::MAX);
    let (mut picked, mut order, mut state) = (BTreeSet::new(), Vec::new(), 0x9e37_79b9_7f4a_7c15_u64);
    while order.len() < wanted {
        // Marsaglia's xorshift: every number but zero comes once in its period.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pick = state % bound;
        if picked.insert(pick) {
            order.push(pick);
        }
    }
    order
}

pub(super) async fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    let runs = settings.runs;
    let mut facts = Facts::new(settings, format!("{} runs that wait for a signal", grouped(runs)));
    facts.number("runs", "runs", runs);
    let directory = scratch.directory("parked")?;
    let store = directory.join("engine");
    let builder = builder(settings, &store).passivate_after(PASSIVATE_AFTER);
    let engine = EngineLoad::start_with(builder, settings, Parked, &store).await?;
    let waiting = fill_in_turns(&engine, settings, &directory, "starting runs", console).await?;
    facts.sides(STARTED, ["started", "bare file", "  ratio"], &waiting.sides);
    facts.bytes("rss_bytes", "memory", waiting.bytes);
    if let Some(each) = waiting.bytes_each {
        facts.amount("rss_bytes_per_run", "memory, each", each, "B");
    }
    facts.amount(
        "disk_bytes_per_run",
        "on disk, each",
        engine.disk_bytes() as f64 / runs as f64,
        "B",
    );
    let work = Work {
        turns: 1,
        ..waiting.work
    };
    let bare = bare_file(settings, work, 1, &directory.join("bare-wake")).await?;
    wake_in_turns(&engine, bare.as_ref(), &mut facts, runs, console).await?;
    bare.iter().for_each(BareLoad::stop);
    // A store does its part of passivating with commits that come later.
    facts.bytes("rss_bytes_woken", "  memory afterwards", settled_bytes(console).await);
    facts.show(console);
    engine.stop().await;
    Ok(())
}

/// How long those took that were woken, until the signal was acknowledged, and until the run had ended.
#[derive(Default)]
struct Woken {
    taken: Latencies,
    ended: Latencies,
}

/// Portions of those that are woken, in turns with the bare file.
async fn wake_in_turns(
    engine: &EngineLoad<Parked>,
    bare: Option<&BareLoad>,
    facts: &mut Facts,
    runs: u64,
    console: &Console,
) -> Result<(), BenchError> {
    let picks = picks(runs, WAKES);
    let (mut all, mut sides) = (Woken::default(), Sides::default());
    for (at, some) in picks.chunks(WAKES_AT_ONCE).enumerate() {
        console.replace(&format!("waking: {} of {}", at * WAKES_AT_ONCE, picks.len()));
        let cpu = CpuWatch::start().await;
        let (time, counters) = (monotonic(), engine.counters());
        let woken = wake(engine, some).await?;
        let (time, counters) = (monotonic().saturating_sub(time), engine.counters().since(counters));
        let spent = cpu.stop(u64::try_from(some.len()).unwrap_or(u64::MAX)).await;
        sides
            .engine
            .extend(SliceFigures::new(time, spent, counters, woken.taken.clone()));
        sides.bare.extend(bare_turn(bare, 1, console).await?);
        all.taken.extend(woken.taken);
        all.ended.extend(woken.ended);
    }
    facts.number(
        "woken",
        "woken at random",
        u64::try_from(picks.len()).unwrap_or(u64::MAX),
    );
    facts.latencies("wake", "  signal acknowledged", all.taken);
    facts.latencies("wake_ended", "  run ended", all.ended);
    facts.sides(
        WOKEN,
        ["  one by one", "  bare file, one append each", "  ratio"],
        &sides,
    );
    Ok(())
}

/// One after the other: what is measured is waking, not a queue.
async fn wake(engine: &EngineLoad<Parked>, numbers: &[u64]) -> Result<Woken, BenchError> {
    let mut woken = Woken::default();
    for number in numbers {
        let id = run_id(*number);
        let begun = monotonic();
        engine.client().signal(&id, GO, number).await?;
        woken.taken.push(monotonic().saturating_sub(begun));
        let outcome = engine.engine().find(&id).await?.outcome().await?;
        woken.ended.push(monotonic().saturating_sub(begun));
        check(&id, &outcome, false)?;
    }
    Ok(woken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_different_scattered_and_the_same_every_time() {
        let picked = picks(100_000, 1_000);
        let sorted: BTreeSet<u64> = picked.iter().copied().collect();
        assert_eq!((picked.len(), sorted.len()), (1_000, 1_000));
        assert!(sorted.iter().all(|pick| *pick < 100_000));
        assert!(sorted.first().is_some_and(|first| *first < 2_000) && sorted.last().is_some_and(|last| *last > 98_000));
        assert_eq!(picked, picks(100_000, 1_000));
        assert_eq!(picks(3, 10).len(), 3);
    }
}
