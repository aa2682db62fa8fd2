//! Workload `timers`: many timers that are pending, then fire: some of them punctually, one after the other, while the
//! rest is pending, then all others at once. Must not live here: the clock that is skipped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ActivityContext;
use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Clock, Error};
use crate::model::{Failure, Payload, Timestamp};
use crate::server::console::Console;

use super::args::{Form, Settings};
use super::engine_load::{Case, EngineLoad, builder};
use super::facts::{Facts, grouped};
use super::figures::Latencies;
use super::filling::{PASSIVATE_AFTER, STARTED, fill_in_turns, until};
use super::meter::{CpuWatch, monotonic, resident_bytes};
use super::order::{BENCH_SAGA, saga};
use super::skipping_clock::SkippingClock;
use super::{BenchError, Scratch};

/// How far ahead the first timer is: further than starting all of them takes.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// One in so many fires punctually, while the others are pending.
const PUNCTUAL_SHARE: u64 = 10;

/// A run's input.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reminder {
    number: u64,
    /// In seconds since 1970.
    due: f64,
}

/// The activity behind each timer notes here how late it was.
#[derive(Clone)]
struct Fired {
    clock: SkippingClock,
    count: Arc<AtomicU64>,
    late: Arc<Mutex<Latencies>>,
}

impl Fired {
    fn note(&self, reminder: &Reminder) {
        let late = self.clock.now().since(due_at(reminder));
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(late);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn take_late(&self) -> Latencies {
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn due_at(reminder: &Reminder) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs_f64(reminder.due))
}

/// When which timer is due.
#[derive(Clone)]
struct Timers {
    fired: Fired,
    punctual: u64,
    first: Timestamp,
    /// The time over which the punctual ones are spread; the others are due when it is over.
    window: Duration,
}

impl Timers {
    fn new(settings: &Settings) -> Self {
        let clock = SkippingClock::new();
        Self {
            punctual: (settings.runs / PUNCTUAL_SHARE).max(1),
            first: clock.now().after(AHEAD),
            window: Duration::from_secs(u64::from(settings.seconds)),
            fired: Fired {
                clock,
                count: Arc::default(),
                late: Arc::default(),
            },
        }
    }

    fn due(&self, number: u64) -> Timestamp {
        match number < self.punctual {
            true => self
                .first
                .after(self.window.mul_f64(number as f64 / self.punctual as f64)),
            // An hour later: not while the punctual ones are still at it.
            false => self.rest(),
        }
    }

    fn rest(&self) -> Timestamp {
        self.first.after(self.window).after(AHEAD)
    }
}

async fn bench_fired(cx: ActivityContext, reminder: Reminder) -> Result<(), Failure> {
    let fired = cx.state::<Fired>();
    let fired = fired.ok_or_else(|| Failure::non_retryable("NoState", "the benchmark gives the engine its notes"))?;
    fired.note(&reminder);
    Ok(())
}

async fn bench_saga(cx: WorkflowContext, reminder: Reminder) -> Result<(), Failure> {
    cx.sleep(due_at(&reminder).since(cx.now())).await?;
    cx.activity(bench_fired, &reminder).await
}

fn definition() -> Result<SagaDefinition, Error> {
    let wait = "[[step]]\nname = \"wait\"\ntimer = { until = \"${ input.due }\" }\n";
    let fired = "[[step]]\nname = \"fired\"\nactivity = \"bench_fired\"\ncompensation = \"none\"\n";
    saga(&format!("name = \"{BENCH_SAGA}\"\n{wait}{fired}"))
}

impl Case for Timers {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
        let engine = engine.activity(bench_fired).state(self.fired.clone());
        Ok(match form {
            Form::Definition => engine.saga(definition()?),
            Form::Code => engine.workflow(bench_saga),
        })
    }

    /// Only started: it waits for its time.
    async fn once(&self, engine: &Amends, id: &str, number: u64) -> Result<(), BenchError> {
        let due = self.due(number).as_micros() as f64 / 1e6;
        let reminder = Payload::json(&Reminder { number, due }).map_err(Error::from)?;
        let starter = engine.workflow_by_name(BENCH_SAGA).id(id);
        starter.start_payload(reminder).await?;
        Ok(())
    }
}

pub(super) async fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    let facts = find_out(settings, scratch, console).await?;
    facts.show(console);
    Ok(())
}

async fn find_out(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<Facts, BenchError> {
    let runs = settings.runs;
    let mut facts = Facts::new(settings, format!("{} timers, one in each run", grouped(runs)));
    facts.number("runs", "timers", runs);
    let directory = scratch.directory("timers")?;
    let timers = Timers::new(settings);
    let clock = timers.fired.clock.clone();
    let store = directory.join("engine");
    let builder = builder(settings, &store).clock(Arc::new(clock.clone()));
    let builder = builder.passivate_after(PASSIVATE_AFTER);
    let engine = EngineLoad::start_with(builder, settings, timers.clone(), &store).await?;
    let waiting = fill_in_turns(&engine, settings, &directory, "starting timers", console).await?;
    facts.sides(STARTED, ["started", "bare file", "  ratio"], &waiting.sides);
    let disk = engine.disk_bytes();
    facts.amount("disk_bytes_per_timer", "on disk, each", disk as f64 / runs as f64, "B");
    facts.bytes("rss_bytes", "memory, all pending", waiting.bytes);
    if let Some(each) = waiting.bytes_each {
        facts.amount("rss_bytes_per_timer", "memory, each", each, "B");
    }

    let fired = &timers.fired;
    let due_per_second = timers.punctual as f64 / timers.window.as_secs_f64();
    facts.amount("punctual_per_second", "due one by one", due_per_second, "per second");
    clock.skip_to(timers.first);
    until(
        || fired.count(),
        timers.punctual.min(runs),
        "firing one by one",
        console,
    )
    .await?;
    facts.latencies("late", "  late by", fired.take_late());

    let rest = runs.saturating_sub(timers.punctual);
    if rest > 0 {
        let cpu = CpuWatch::start().await;
        let time = monotonic();
        clock.skip_to(timers.rest());
        until(|| fired.count(), runs, "firing all others", console).await?;
        let time = monotonic().saturating_sub(time);
        let spent = cpu.stop(rest).await;
        facts.number("at_once", "due at once", rest);
        facts.amount(
            "fired_per_second",
            "  fired",
            rest as f64 / time.as_secs_f64(),
            "per second",
        );
        facts.cpu("fired_cpu_us_each", "  CPU, each with its step", spent);
        facts.bytes("rss_bytes_fired", "  memory afterwards", resident_bytes());
    }
    engine.stop().await;
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::*;

    #[test]
    fn a_tenth_is_due_one_by_one_and_the_rest_long_after_them() {
        let timers = Timers::new(&settings("--workload timers --runs 100 --seconds 10"));
        let late = |number| timers.due(number).since(timers.first).as_secs();
        assert_eq!(timers.punctual, 10);
        assert_eq!([late(0), late(1), late(9)], [0, 1, 9]);
        assert!(late(10) > 3_600 && late(10) == late(99));
    }
}
