//! How fast runs are rebuilt: histories of 50,000 events, decoded, folded and replayed by their code on one core.
//! Must not live here: the engine's own rate (`amends bench`).
//!
//! `cargo bench --bench replay`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark reads the clock, prints figures, and may fail loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use amends::machine::RunState;
use amends::model::{
    ActivityId, ActivityOptions, ActivityRole, ActivityScheduled, ActivityType, CompensationInput, CompensationSpec,
    Event, EventAttributes, EventId, InFlight, OnAmbiguous, Payload, RunId, RunStarted, SignalName, StepKind, StepName,
    StepSpec, TimerId, Timestamp, Turn, WorkflowId, WorkflowSignaled, WorkflowTask, WorkflowType,
};
use amends::replay::replay_history;
use amends::store::record::{decode_turn, encode_turn};
use amends::{Failure, Registry, WorkflowContext, WorkflowDefinition};
use futures_util::stream::{FuturesUnordered, StreamExt};

use EventAttributes as E;

/// Event ids of each history: a decided turn counts as Temporal's three events.
const EVENTS: u64 = 50_000;
/// Rounds, an odd number: their median is told, and the best of them, which is what a machine with nothing else to do gives.
const ROUNDS: usize = 15;
/// Activities that run at once, as many as a run may have pending in all.
const WIDTH: u64 = 2_000;

async fn activities(cx: WorkflowContext) -> Result<u64, Failure> {
    let mut sum = 0;
    loop {
        sum += cx.activity_by_name::<u64>("work", &sum).await?;
    }
}

async fn timers(cx: WorkflowContext) -> Result<(), Failure> {
    loop {
        cx.sleep(Duration::from_secs(60)).await?;
    }
}

async fn signals(cx: WorkflowContext) -> Result<u64, Failure> {
    let signals = cx.signal::<u64>("add");
    loop {
        signals.recv().await?;
    }
}

async fn fan_out(cx: WorkflowContext) -> Result<u64, Failure> {
    loop {
        let mut batch: FuturesUnordered<_> = (0..WIDTH).map(|n| cx.activity_by_name::<u64>("work", &n)).collect();
        while let Some(done) = batch.next().await {
            done?;
        }
    }
}

async fn saga(cx: WorkflowContext) -> Result<u64, Failure> {
    let (saga, mut sum) = (cx.saga(), 0);
    loop {
        let step = saga.step_by_name::<_, u64>(StepKind::Compensatable, "work", &sum);
        sum += step.compensate_by_name("undo").await?;
    }
}

/// Writes a history as the machine does: what arrived, the task, what the code asked for.
struct Writer {
    turns: Vec<Turn>,
    now: Timestamp,
    next: u64,
    activities: u64,
    timers: u64,
}

impl Writer {
    fn new(workflow_type: &str) -> Self {
        let mut writer = Self {
            turns: Vec::new(),
            now: Timestamp::from_micros(1_000_000),
            next: 1,
            activities: 0,
            timers: 0,
        };
        writer.turn();
        let (id, run_id) = (WorkflowId::from_trusted("benchmark-1"), RunId::from_bytes([7; 16]));
        let workflow_type = WorkflowType::from_trusted(workflow_type);
        writer.push(E::WorkflowExecutionStarted(Arc::new(RunStarted {
            identity: "bench".to_owned(),
            ..RunStarted::new(id, run_id, workflow_type, Payload::null())
        })));
        writer.task();
        writer
    }

    fn turn(&mut self) {
        self.now = self.now.after(Duration::from_secs(60));
        self.turns.push(Turn {
            seq: self.turns.len() as u64 + 1,
            time: self.now,
            events: Vec::new(),
            pending: Vec::new(),
        });
    }

    fn push(&mut self, attributes: EventAttributes) -> EventId {
        let id = EventId(self.next);
        self.next += attributes.ids();
        let time = self.now;
        self.turns
            .last_mut()
            .unwrap()
            .events
            .push(Event { id, time, attributes });
        id
    }

    fn task(&mut self) {
        self.push(E::WorkflowTask(WorkflowTask::default()));
    }

    fn schedule(&mut self) -> EventId {
        self.schedule_as(ActivityRole::Plain)
    }

    fn schedule_step(&mut self) -> EventId {
        let name = match self.activities {
            0 => "work".to_owned(),
            before => format!("work#{}", before + 1),
        };
        self.schedule_as(ActivityRole::Step(Box::new(StepSpec {
            name: StepName::from_trusted(name),
            kind: StepKind::Compensatable,
            after: None,
            compensation: Some(CompensationSpec {
                activity_type: ActivityType::from_trusted("undo"),
                options: ActivityOptions::default(),
                input: CompensationInput::Undo,
            }),
            on_ambiguous: OnAmbiguous::Compensate,
            in_flight: InFlight::Wait,
        })))
    }

    fn schedule_as(&mut self, role: ActivityRole) -> EventId {
        self.activities += 1;
        self.push(E::ActivityTaskScheduled(Arc::new(ActivityScheduled {
            activity_id: ActivityId::from_trusted(self.activities.to_string()),
            activity_type: ActivityType::from_trusted("work"),
            input: Payload::json(&self.activities).unwrap(),
            options: ActivityOptions::default(),
            role,
        })))
    }

    fn complete(&mut self, scheduled: EventId) {
        let (attempt, last_failure) = (1, None);
        let started = self.push(E::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        });
        let result = Payload::json(&1).unwrap();
        self.push(E::ActivityTaskCompleted {
            scheduled,
            started,
            result,
        });
    }

    fn is_long_enough(&self) -> bool {
        self.next > EVENTS
    }
}

fn of_activities() -> Vec<Turn> {
    let mut writer = Writer::new("activities");
    while !writer.is_long_enough() {
        let scheduled = writer.schedule();
        writer.turn();
        writer.complete(scheduled);
        writer.task();
    }
    writer.schedule();
    writer.turns
}

fn of_a_saga() -> Vec<Turn> {
    let mut writer = Writer::new("saga");
    while !writer.is_long_enough() {
        let scheduled = writer.schedule_step();
        writer.turn();
        writer.complete(scheduled);
        writer.task();
    }
    writer.schedule_step();
    writer.turns
}

fn of_timers() -> Vec<Turn> {
    let mut writer = Writer::new("timers");
    let start = |writer: &mut Writer| {
        writer.timers += 1;
        let timer_id = TimerId::from_trusted(writer.timers.to_string());
        let fire_at = writer.now.after(Duration::from_secs(60));
        (timer_id.clone(), writer.push(E::TimerStarted { timer_id, fire_at }))
    };
    while !writer.is_long_enough() {
        let (timer_id, started) = start(&mut writer);
        writer.turn();
        writer.push(E::TimerFired { timer_id, started });
        writer.task();
    }
    start(&mut writer);
    writer.turns
}

fn of_signals() -> Vec<Turn> {
    let mut writer = Writer::new("signals");
    while !writer.is_long_enough() {
        writer.turn();
        writer.push(E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: SignalName::from_trusted("add"),
            input: Payload::json(&1).unwrap(),
            request_id: None,
            identity: "bench".to_owned(),
        })));
        writer.task();
    }
    writer.turns
}

fn of_fan_out() -> Vec<Turn> {
    let mut writer = Writer::new("fan_out");
    loop {
        let batch: Vec<EventId> = (0..WIDTH).map(|_| writer.schedule()).collect();
        if writer.is_long_enough() {
            return writer.turns;
        }
        for scheduled in batch {
            writer.turn();
            writer.complete(scheduled);
            writer.task();
        }
    }
}

/// Times of several rounds.
#[derive(Clone, Copy)]
struct Times {
    median: Duration,
    best: Duration,
}

fn times(mut round: impl FnMut()) -> Times {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    Times {
        median: times[ROUNDS / 2],
        best: times[0],
    }
}

fn main() {
    let mut registry = Registry::new();
    for definition in [
        WorkflowDefinition::of(activities),
        WorkflowDefinition::of(timers),
        WorkflowDefinition::of(signals),
        WorkflowDefinition::of(fan_out),
        WorkflowDefinition::of(saga),
    ] {
        registry.add_workflow(definition.unwrap()).unwrap();
    }
    println!("events per second and core, medians of {ROUNDS} rounds; a decided turn counts as three");
    println!(
        "{:<12}{:>10}{:>10}{:>14}{:>14}{:>14}{:>14}{:>14}",
        "history", "events", "stored", "decode", "fold", "code", "all", "all, best"
    );
    let histories = [
        ("activities", of_activities()),
        ("timers", of_timers()),
        ("signals", of_signals()),
        ("fan-out", of_fan_out()),
        ("saga", of_a_saga()),
    ];
    for (name, turns) in histories {
        let records: Vec<_> = turns.iter().map(|turn| encode_turn(turn).unwrap()).collect();
        let history: Vec<Event> = turns.iter().flat_map(|turn| turn.events.clone()).collect();
        let last = history.last().unwrap();
        let events = last.id.plus(last.attributes.ids()).0 - 1;
        let decode = times(|| {
            let decoded: Vec<Turn> = records.iter().map(|record| decode_turn(record).unwrap()).collect();
            assert_eq!(decoded.len(), turns.len());
        });
        let fold = times(|| assert!(!RunState::fold(&turns).unwrap().is_closed()));
        let code = times(|| replay_history(&registry, &history).unwrap());
        let rate = |time: Duration| format!("{:.0}", events as f64 / time.as_secs_f64());
        println!(
            "{name:<12}{events:>10}{:>10}{:>14}{:>14}{:>14}{:>14}{:>14}",
            history.len(),
            rate(decode.median),
            rate(fold.median),
            rate(code.median),
            rate(decode.median + fold.median + code.median),
            rate(decode.best + fold.best + code.best)
        );
    }
}
