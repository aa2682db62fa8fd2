//! Workflow code under the real machine: what it journals must replay, after a crash in any place.

use std::time::Duration;

use futures_util::future::{join, select, try_join};

use crate::machine::{RunState, decide};
use crate::model::{
    Event, Failure, Input, Outcome, Payload, RunId, SignalName, StartRun, Timestamp, Turn, WorkflowId, WorkflowType,
};
use crate::replay::{CodeDecider, replay_history};
use crate::sdk::{Registry, WorkflowContext, WorkflowFunction};

use super::mini_machine::registry_with;
use super::{double, half, undo_double};

/// One run, with a journal to rebuild it from.
struct World {
    registry: Registry,
    state: RunState,
    decider: CodeDecider,
    journal: Vec<Turn>,
    now: Timestamp,
    /// Whether the process dies after every turn.
    crashing: bool,
    /// The activity types that fail, for good and without effect.
    failing: &'static [&'static str],
    ran: Vec<String>,
}

impl World {
    fn start<M>(function: impl WorkflowFunction<M>, crashing: bool, failing: &'static [&'static str]) -> Self {
        let registry = registry_with(function);
        let workflow = registry.workflow("w").unwrap().workflow().clone();
        let mut world = Self {
            registry,
            state: RunState::default(),
            decider: CodeDecider::new(workflow),
            journal: Vec::new(),
            now: Timestamp::from_micros(1_000_000),
            crashing,
            failing,
            ran: Vec::new(),
        };
        world.take(Input::Start(Box::new(StartRun {
            workflow_id: WorkflowId::from_trusted("w"),
            run_id: RunId::from_bytes([9; 16]),
            workflow_type: WorkflowType::from_trusted("w"),
            definition: None,
            input: Payload::json(&1).unwrap(),
            request_id: None,
            run_timeout: None,
            identity: String::new(),
            saga: None,
            parent: None,
            search_attributes: std::collections::BTreeMap::new(),
            adopted: None,
        })));
        world
    }

    fn take(&mut self, input: Input) {
        let decision = decide(&mut self.state, vec![input], self.now, &mut self.decider);
        assert_eq!(decision.task_failure, None, "after {:?}", self.history());
        self.journal.extend(decision.turn);
        if self.crashing {
            self.crash();
        }
    }

    fn crash(&mut self) {
        let mut state = RunState::default();
        self.journal.iter().for_each(|turn| state.apply(turn).unwrap());
        self.state = state;
        let workflow = self.registry.workflow("w").unwrap().workflow().clone();
        self.decider = CodeDecider::replay(workflow, &self.history()).unwrap();
    }

    fn history(&self) -> Vec<Event> {
        self.journal.iter().flat_map(|turn| turn.events.clone()).collect()
    }

    fn signal(&mut self, value: u32) {
        self.take(Input::Signal {
            name: SignalName::from_trusted("n"),
            input: Payload::json(&value).unwrap(),
            request_id: None,
            identity: String::new(),
        });
    }

    fn cancel(&mut self) {
        self.take(Input::RequestCancel {
            reason: String::new(),
            identity: String::new(),
        });
    }

    /// Runs attempts and lets time pass until the run has ended.
    fn finish(mut self) -> (Outcome, Vec<String>) {
        for _ in 0..100 {
            if let Some(outcome) = self.state.outcome().cloned() {
                replay_history(&self.registry, &self.history()).unwrap();
                return (outcome, self.ran);
            }
            self.step();
        }
        unreachable!("it does not end: {:?}", self.history())
    }

    fn step(&mut self) {
        let due = self.state.attempts_due(self.now).next();
        let due = due.map(|activity| (activity.token(), activity.attributes.clone()));
        match due {
            Some((token, attributes)) => {
                self.ran
                    .push(format!("{} {:?}", attributes.activity_type, attributes.input));
                let outcome = match self.failing.contains(&attributes.activity_type.as_str()) {
                    true => Err(Failure::not_applied("No", "")),
                    false => Ok(Payload::json(&10).unwrap()),
                };
                self.take(Input::AttemptEnded { token, outcome });
            }
            None => {
                self.now = self.state.next_wake(self.now).unwrap().max(self.now);
                self.take(Input::Wake);
            }
        }
    }
}

async fn order(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    cx.sleep(Duration::from_secs(5)).await?;
    saga.pivot(half, &first).await?;
    saga.retriable(double, &first).await
}

#[test]
fn a_saga_completes_with_and_without_crashes() {
    for crashing in [false, true] {
        let (outcome, ran) = World::start(order, crashing, &[]).finish();
        assert_eq!(outcome, Outcome::Completed(Payload::json(&10).unwrap()));
        assert_eq!(ran, ["double 1", "half 10", "double 10"]);
    }
}

#[test]
fn a_failing_pivot_amends() {
    for crashing in [false, true] {
        let (outcome, ran) = World::start(order, crashing, &["half"]).finish();
        assert!(
            matches!(&outcome, Outcome::Amended(failure) if failure.is_type("No")),
            "{outcome:?}"
        );
        let undo = r#"undo_double {"input":1,"output":10,"failure":null}"#;
        assert_eq!(ran, ["double 1", "half 10", undo]);
    }
}

#[test]
fn a_cancelled_saga_amends_from_wherever_it_is() {
    for crashing in [false, true] {
        for steps in [0, 1] {
            let mut world = World::start(order, crashing, &[]);
            (0..steps).for_each(|_| world.step());
            world.cancel();
            let (outcome, ran) = world.finish();
            assert!(
                matches!(&outcome, Outcome::Amended(failure) if failure.is_canceled()),
                "{outcome:?}"
            );
            let undone = ran.iter().filter(|line| line.starts_with("undo_double")).count();
            assert_eq!(undone, 1, "{ran:?}");
        }
    }
}

#[test]
fn parallel_steps_and_losers_of_races_replay() {
    async fn racing(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let numbers = cx.signal::<u32>("n");
        try_join(saga.run(double, &n).compensate(undo_double), saga.run(half, &n)).await?;
        // The loser is scheduled and asked to stop in turns of its own, and in the turn of its start.
        let raced = select(cx.sleep(Duration::from_secs(60)), Box::pin(numbers.recv())).await;
        drop(raced);
        let mut slow = cx.activity(half, &n);
        let (_, signal) = join(futures_util::future::poll_immediate(&mut slow), numbers.recv()).await;
        drop(slow);
        cx.activity(double, &signal?).await
    }
    for crashing in [false, true] {
        let mut world = World::start(racing, crashing, &[]);
        (0..2).for_each(|_| world.step());
        world.signal(5);
        world.signal(6);
        let (outcome, ran) = world.finish();
        assert_eq!(outcome, Outcome::Completed(Payload::json(&10).unwrap()));
        assert!(ran.contains(&"double 6".to_owned()), "{ran:?}");
    }
}

#[test]
fn returning_over_a_step_in_flight_is_not_completing() {
    async fn hasty(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let mut step = saga.run(double, &n).compensate(undo_double);
        let _ = futures_util::future::poll_immediate(&mut step).await;
        cx.sleep(Duration::from_secs(1)).await?;
        let mut rest = saga.run(half, &n);
        let _ = futures_util::future::poll_immediate(&mut rest).await;
        std::mem::forget(rest);
        Ok(n)
    }
    for crashing in [false, true] {
        let (outcome, _) = World::start(hasty, crashing, &[]).finish();
        assert!(
            matches!(&outcome, Outcome::Amended(failure) if failure.is_type("StepInFlight")),
            "{outcome:?}"
        );
    }
}
