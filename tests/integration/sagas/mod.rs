//! The definitions in `sagas/`, against participants that are real servers and real processes: each step fails in each
//! way, and afterwards the participants' ledger is read. Must not live here: the format's details.

mod audit;
mod place_order;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends::definition::ParseOptions;
use amends::engine::{Clock, RunDescription};
use amends::model::StepKind;
use amends::testing::VirtualClock;
use amends::{Amends, RunStatus, SagaDefinition};
use serde_json::Value;

use crate::support::{Home, run};
use audit::{Effects, audit};
use world::{Fault, Operation, World};

/// How far the clock moves when nothing but time is missing, while attempts run or are due: short, compared with timeouts
/// of seconds.
const TICK: Duration = Duration::from_millis(500);

/// A step is tried again after this many failures, when it is one that has to succeed.
const PASSING: u32 = 2;

/// One of the shipped definitions and what it needs to run.
struct Shipped {
    file: &'static str,
    /// Keys of `[config]`, and the service of the world (or `tools`) that they stand for.
    config: &'static [(&'static str, &'static str)],
    operations: &'static [Operation],
    effects: &'static Effects,
    /// What a request is about.
    subject: fn(&Value) -> String,
    /// The input of a run with this id.
    input: fn(&str) -> Value,
}

struct Stage {
    shipped: &'static Shipped,
    saga: SagaDefinition,
    world: World,
    clock: VirtualClock,
    amends: Amends,
}

impl Shipped {
    async fn stage(&'static self) -> Stage {
        let world = World::start(self.operations, self.subject);
        let place = |service: &str| {
            if service == "tools" {
                world.tools()
            } else {
                world.url(service)
            }
        };
        let config: BTreeMap<String, String> = self
            .config
            .iter()
            .map(|(key, service)| ((*key).to_owned(), place(service)))
            .collect();
        let path = format!("{}/sagas/{}", env!("CARGO_MANIFEST_DIR"), self.file);
        let text = std::fs::read_to_string(&path).unwrap();
        let options = ParseOptions {
            config: Some(&config),
            ..ParseOptions::default()
        };
        let (saga, _) = SagaDefinition::parse(self.file, &text, &options).unwrap();
        let clock = VirtualClock::new();
        let builder = Home::memory()
            .builder()
            .clock(Arc::new(clock.clone()))
            .saga(saga.clone());
        Stage {
            shipped: self,
            saga,
            world,
            clock,
            amends: builder.start().await.unwrap(),
        }
    }
}

impl Stage {
    /// Starts a run and lets time pass as it is needed, until the run has ended or waits for a person.
    async fn play(&self, id: &str) -> RunDescription {
        let workflow = self.amends.workflow_by_name(self.saga.name().as_str());
        workflow.id(id).start(&(self.shipped.input)(id)).await.unwrap();
        loop {
            let run = self.amends.client().describe(id).await.unwrap();
            if run.status.is_closed() || run.status == RunStatus::Stuck {
                return run;
            }
            if self.waits_for_time(&run) {
                self.clock.advance(TICK);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether nothing goes on but waiting: every attempt that runs is with a participant that will not answer.
    fn waits_for_time(&self, run: &RunDescription) -> bool {
        let now = self.clock.now();
        let mut running = run.pending.iter().filter(|activity| activity.due <= now);
        running.all(|activity| {
            let key = format!("{}/{}", run.run_id, activity.activity_id);
            self.world.hangs(&key, activity.attempt)
        })
    }

    /// Every step with an effect fails in every way, one run for each.
    async fn fail_at_each_step(&self) {
        for (step, effect) in self.saga.steps().iter().zip(self.shipped.effects) {
            let Some(operation) = effect else { continue };
            for fault in Fault::ALL {
                let retriable = step.spec().kind == StepKind::Retriable;
                let expected = match (retriable, fault) {
                    (false, _) => RunStatus::Amended,
                    (true, Fault::Refused) => RunStatus::Stuck,
                    (true, Fault::Silent | Fault::Lost) => RunStatus::Completed,
                };
                let id = format!("{}-{fault:?}", step.name());
                self.world.reset();
                self.world
                    .fail(operation, fault, if retriable { PASSING } else { u32::MAX });
                self.assert_ends(&id, expected).await;
            }
        }
    }

    /// Plays a run and audits what it leaves behind.
    async fn assert_ends(&self, id: &str, expected: RunStatus) {
        let run = self.play(id).await;
        let ledger = self.world.ledger();
        assert_eq!(run.status, expected, "{id}: {run:#?}\n{ledger:#?}");
        audit(
            id,
            &ledger,
            run.status,
            &self.saga,
            self.shipped.effects,
            self.shipped.operations,
        );
        if expected == RunStatus::Completed {
            let missing = self.shipped.effects.iter().flatten().find(|effect| {
                !ledger
                    .iter()
                    .any(|line| line.starts_with(&format!("applied {effect} ")))
            });
            assert_eq!(missing, None, "{id}: {ledger:#?}");
        }
    }
}

/// A run without any trouble, then one for each step and fault.
fn plays_to_the_end(shipped: &'static Shipped) {
    run(async {
        let stage = shipped.stage().await;
        stage.assert_ends("as-it-should", RunStatus::Completed).await;
        stage.fail_at_each_step().await;
        stage.amends.shutdown(Duration::ZERO).await;
    });
}
