//! The definitions in `sagas/`, against participants that are real servers and real processes: each step fails in each
//! way, and afterwards the participants' ledger is read. Must not live here: the format's details.

mod audit;
mod shipped;
mod tests;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends::definition::ParseOptions;
use amends::definition::{SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};
use amends::engine::{Clock, RunDescription, StepState, StepView};
use amends::model::{OnAmbiguous, StepKind};
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, RunStatus, SagaDefinition};
use serde_json::Value;

use crate::support::Home;
use audit::{Effects, audit};
use world::{Fault, Operation, World};

/// How far the clock moves when nothing but time is missing, while attempts run or are due: short, compared with timeouts
/// of seconds.
const TICK: Duration = Duration::from_millis(500);

/// A step is tried again after this many failures, when it is one that has to succeed.
const PASSING: u32 = 2;

/// How far the clock moves while a step waits for a signal or a time, of hours or days.
const LONG: Duration = Duration::from_secs(15 * 60);

const SECRET: &str = "s3cret";

/// One of the shipped definitions and what it needs to run.
struct Shipped {
    /// The definition, and the ones that it needs.
    files: &'static [&'static str],
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
        let sagas: Vec<SagaDefinition> = self.files.iter().map(|file| self.saga(file, &world)).collect();
        let clock = VirtualClock::new();
        let secret = |name: &str| (name == "BANK_TOKEN").then(|| SECRET.to_owned());
        let builder = Home::memory().builder().clock(Arc::new(clock.clone())).secrets(secret);
        let builder = sagas.iter().cloned().fold(builder, AmendsBuilder::saga);
        Stage {
            shipped: self,
            saga: sagas[0].clone(),
            world,
            clock,
            amends: builder.start().await.unwrap(),
        }
    }

    /// The definition, with its participants in this world.
    fn saga(&self, file: &str, world: &World) -> SagaDefinition {
        let path = format!("{}/sagas/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let place = |service: &str| match service {
            "tools" => world.tools(),
            _ => world.url(service),
        };
        let declared: toml::Table = text.parse().unwrap();
        let declared = |key: &str| declared["config"].get(key).is_some();
        let config = self.config.iter().filter(|(key, _)| declared(key));
        let config: BTreeMap<String, String> = config
            .map(|(key, service)| ((*key).to_owned(), place(service)))
            .collect();
        let options = ParseOptions {
            config: Some(&config),
            ..ParseOptions::default()
        };
        let (saga, report) = SagaDefinition::parse(file, &text, &options).unwrap();
        assert_eq!(report.problems, [], "{file}");
        saga
    }
}

impl Stage {
    async fn start(&self, id: &str) {
        let workflow = self.amends.workflow_by_name(self.saga.name().as_str());
        workflow.id(id).start(&(self.shipped.input)(id)).await.unwrap();
    }

    /// Lets time pass as it is needed, until a run has ended or waits for a person.
    async fn play(&self, id: &str) -> RunDescription {
        loop {
            let run = self.amends.client().describe(id).await.unwrap();
            if run.status.is_closed() || run.status == RunStatus::Stuck {
                return run;
            }
            let mut open = vec![run];
            // A saga that is a step is another run.
            for step in open[0].steps.clone() {
                let children = [format!("{id}/{}", step.name), format!("{id}/{}/undo", step.name)];
                for child in children {
                    open.extend(
                        self.amends
                            .client()
                            .describe(&child)
                            .await
                            .ok()
                            .filter(|run| !run.status.is_closed()),
                    );
                }
            }
            if open.iter().all(|run| self.waits_for_time(run)) {
                let waits = |step: &StepView| step.activity_type.is_none() && step.state == StepState::Pending;
                let only_waits = open[0].pending.is_empty() && open[0].steps.iter().any(waits);
                self.clock.advance(if only_waits { LONG } else { TICK });
            }
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass as it is needed, until the ledger has this line of a run.
    async fn until_done(&self, id: &str, what: &str) {
        while !self.world.did(&format!("{what} {id}")) {
            let run = self.amends.client().describe(id).await.unwrap();
            if self.waits_for_time(&run) {
                self.clock.advance(TICK);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether nothing goes on but waiting: every attempt that runs is with a participant that will not answer, or is a
    /// saga itself, and no step's time has come. A step whose time has come needs a moment of the engine's threads, not
    /// more time: a clock that went on meanwhile would run the saga's own time out.
    fn waits_for_time(&self, run: &RunDescription) -> bool {
        let now = self.clock.now();
        let due = |step: &StepView| {
            let until = step.wait.as_ref().and_then(|wait| wait.until);
            step.state == StepState::Pending && until.is_some_and(|until| until <= now)
        };
        if run.steps.iter().any(due) {
            return false;
        }
        let mut running = run
            .pending
            .iter()
            .filter(|activity| activity.due <= now && !activity.stuck);
        running.all(|activity| {
            let key = format!("{}/{}", run.run_id, activity.activity_id);
            let is_saga = [SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY].contains(&activity.activity_type.as_str());
            is_saga || self.world.hangs(&key, activity.attempt)
        })
    }

    /// Every step with an effect fails in every way, one run for each.
    async fn fail_at_each_step(&self) {
        for (step, effect) in self.saga.steps().iter().zip(self.shipped.effects) {
            let Some(operation) = effect else { continue };
            for fault in Fault::ALL {
                let retriable = step.spec().kind == StepKind::Retriable;
                let expected = match (fault, &step.spec().on_ambiguous) {
                    (Fault::Refused, _) if retriable => RunStatus::Stuck,
                    (Fault::Silent | Fault::Lost, _) if retriable => RunStatus::Completed,
                    (Fault::Silent, OnAmbiguous::Verify(_)) => RunStatus::Completed,
                    (Fault::Silent | Fault::Lost, OnAmbiguous::Ask) => RunStatus::Stuck,
                    _ => RunStatus::Amended,
                };
                let id = format!("{}-{fault:?}", step.name());
                self.world.reset();
                self.world
                    .fail(operation, fault, if retriable { PASSING } else { u32::MAX });
                self.start(&id).await;
                self.assert_ends(&id, expected).await;
            }
        }
    }

    /// Plays a run and audits what it leaves behind.
    async fn assert_ends(&self, id: &str, expected: RunStatus) {
        let run = self.play(id).await;
        let ledger = self.world.ledger();
        assert!(!format!("{run:?}").contains(SECRET), "{run:#?}");
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
