//! Workload `parked`: runs that wait for a signal, what each of them costs while nothing happens, and how long it takes to
//! wake one. Must not live here: passivation.

use std::collections::BTreeSet;

use crate::SagaDefinition;
use crate::Step;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error, SignalBuilder};
use crate::model::Failure;
use crate::server::console::Console;

use super::args::{Form, Settings};
use super::engine_load::{Case, EngineLoad, builder, check, run_id, start_run};
use super::facts::{Facts, grouped};
use super::figures::{Latencies, Work};
use super::filling::{FILLERS, PASSIVATE_AFTER, fill, fill_bare, settled_bytes};
use super::meter::{monotonic, process_cpu, resident_bytes};
use super::order::{BENCH_SAGA, Order};
use super::signals::GO;
use super::{BenchError, Scratch};

/// Runs that are woken.
const WAKES: u64 = 1_000;

/// Runs that are started and left alone.
#[derive(Clone, Copy, Debug)]
struct Parked;

fn definition() -> Result<SagaDefinition, Error> {
    let saga = SagaDefinition::builder(BENCH_SAGA).step(Step::signal("wait", SignalBuilder::new(GO)));
    saga.build().map_err(|error| Error::Definition(vec![error]))
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
    let empty = resident_bytes();
    let started = fill(&engine, FILLERS, runs, "starting runs", console).await?;
    facts.side("started", "started", &started);
    let work = engine.work_per_saga().await?;
    if !settings.engine_only {
        let bare = fill_bare(settings, work, FILLERS, runs, &directory, console).await?;
        facts.side("bare_file", "bare file", &bare);
    }
    let parked = settled_bytes(console).await;
    facts.bytes("rss_bytes", "memory", parked);
    if let (Some(empty), Some(parked)) = (empty, parked) {
        let each = parked.saturating_sub(empty) as f64 / runs as f64;
        facts.amount("rss_bytes_per_run", "memory, each", each, "B");
    }
    facts.amount(
        "disk_bytes_per_run",
        "on disk, each",
        engine.disk_bytes() as f64 / runs as f64,
        "B",
    );
    wake(&engine, &mut facts, runs, console).await?;
    // A store does its part of passivating with commits that come later.
    facts.bytes("rss_bytes_woken", "  memory afterwards", settled_bytes(console).await);
    if !settings.engine_only {
        let work = Work { turns: 1, ..work };
        let bare = fill_bare(settings, work, 1, WAKES, &directory, console).await?;
        facts.side("wake_bare_file", "  bare file, one append each", &bare);
    }
    facts.show(console);
    engine.stop().await;
    Ok(())
}

/// One after the other: what is measured is waking, not a queue.
async fn wake(engine: &EngineLoad<Parked>, facts: &mut Facts, runs: u64, console: &Console) -> Result<(), BenchError> {
    let (mut taken, mut ended) = (Latencies::default(), Latencies::default());
    let cpu = process_cpu();
    let picks = picks(runs, WAKES);
    for (woken, number) in picks.iter().enumerate() {
        if woken % 100 == 0 {
            console.replace(&format!("waking: {woken} of {}", picks.len()));
        }
        let id = run_id(*number);
        let begun = monotonic();
        engine.client().signal(&id, GO, number).await?;
        taken.push(monotonic().saturating_sub(begun));
        let outcome = engine.engine().find(&id).await?.outcome().await?;
        ended.push(monotonic().saturating_sub(begun));
        check(&id, &outcome, false)?;
    }
    let cpu = process_cpu().saturating_sub(cpu).as_secs_f64() * 1e6;
    facts.number(
        "woken",
        "woken at random",
        u64::try_from(picks.len()).unwrap_or(u64::MAX),
    );
    facts.latencies("wake", "  signal acknowledged", taken);
    facts.latencies("wake_ended", "  run ended", ended);
    facts.amount("wake_cpu_us_each", "  CPU, each", cpu / picks.len() as f64, "us");
    Ok(())
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
