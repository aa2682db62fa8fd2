//! Workflow code under the real machine: what it journals must replay, after a crash in any place.

use std::time::Duration;

use futures_util::future::{join, select, try_join};

use crate::model::{Failure, Outcome, Payload};
use crate::sdk::WorkflowContext;

use super::world::World;
use super::{double, half, undo_double};

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
