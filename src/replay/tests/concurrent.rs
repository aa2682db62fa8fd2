//! Races and batches: who is polled follows from the history, so a crash at every turn boundary changes nothing.

use std::time::Duration;

use futures_util::future::Either;

use super::world::World;
use super::{double, half};
use crate::model::{Event, Failure, Input, Outcome, Payload};
use crate::sdk::{WorkflowContext, WorkflowFunction};

const ITEMS: u32 = 9;
const LIMIT: usize = 3;

/// Plays a run whose attempts end in an order that jumps about, crashing after every turn or never.
fn play<M>(function: impl WorkflowFunction<M>, crashing: bool, failing: &[u32], most: usize) -> (Outcome, Vec<Event>) {
    let mut world = World::new(function, crashing).begun();
    let mut places = [2_usize, 0, 1, 1, 2, 0].iter().cycle();
    while world.state.outcome().is_none() {
        let due = world.due();
        assert!(due.len() <= most, "{} at once", due.len());
        let Some(token) = due.get(places.next().unwrap() % due.len().max(1)).copied() else {
            world.step();
            continue;
        };
        let activity = world
            .state
            .activities()
            .find(|activity| activity.token() == token)
            .unwrap();
        let number: u32 = activity.attributes.input.to().unwrap();
        let outcome = match failing.contains(&number) {
            true => Err(Failure::not_applied("No", "")),
            false => Ok(Payload::json(&(number * 2)).unwrap()),
        };
        world.take(Input::AttemptEnded { token, outcome });
    }
    let history = world.history();
    (world.finish().0, history)
}

/// With and without crashes, which must not make a difference.
fn both<M, F: WorkflowFunction<M> + Copy>(function: F, failing: &[u32], most: usize) -> Outcome {
    let [(outcome, history), (again, same)] = [false, true].map(|crashing| play(function, crashing, failing, most));
    assert_eq!((&outcome, history), (&again, same));
    outcome
}

#[test]
fn a_batch_keeps_its_bound_and_the_order_of_its_items() {
    async fn batch(cx: WorkflowContext) -> Result<Vec<u32>, Failure> {
        let doubled = cx
            .map_concurrent(0..ITEMS, LIMIT, |number| cx.activity(double, &number))
            .await;
        Ok(doubled.into_iter().map(|doubled| doubled.unwrap_or(999)).collect())
    }
    let outcome = both(batch, &[4], LIMIT);
    let expected = [0, 2, 4, 6, 999, 10, 12, 14, 16];
    assert_eq!(outcome, Outcome::Completed(Payload::json(&expected).unwrap()));
}

#[test]
fn a_batch_ends_at_its_first_failure_and_stops_the_rest() {
    async fn batch(cx: WorkflowContext) -> Result<Vec<u32>, Failure> {
        cx.try_map_concurrent(0..ITEMS, LIMIT, |number| cx.activity(double, &number))
            .await
    }
    let [(outcome, history), (_, same)] = [false, true].map(|crashing| play(batch, crashing, &[4], LIMIT));
    assert_eq!(history, same);
    assert!(
        matches!(&outcome, Outcome::Failed(failure) if failure.is_type("No")),
        "{outcome:?}"
    );
    let count = |kind: &str| history.iter().filter(|event| event.attributes.kind() == kind).count();
    assert!(count("ActivityTaskScheduled") < ITEMS as usize, "nothing more is begun");
    assert_eq!(count("ActivityTaskCancelRequested"), 2, "the others are asked to stop");

    let outcome = both(batch, &[], LIMIT);
    let expected: Vec<u32> = (0..ITEMS).map(|number| number * 2).collect();
    assert_eq!(outcome, Outcome::Completed(Payload::json(&expected).unwrap()));
}

#[test]
fn each_item_of_a_batch_may_take_several_steps() {
    async fn batch(cx: WorkflowContext) -> Result<u32, Failure> {
        let sum = std::cell::Cell::new(0);
        cx.for_each_concurrent(1..=4_u32, 0, async |number| {
            if let Ok(doubled) = cx.activity(double, &number).await {
                sum.set(sum.get() + cx.activity(half, &doubled).await.unwrap_or(0));
            }
        })
        .await;
        Ok(sum.get())
    }
    // A bound of none is one. Every activity here doubles.
    let outcome = both(batch, &[], 1);
    assert_eq!(outcome, Outcome::Completed(Payload::json(&40).unwrap()));
}

#[test]
fn a_race_goes_to_the_first_and_of_two_at_once_to_the_first_given() {
    async fn races(cx: WorkflowContext) -> Result<(u32, usize, bool), Failure> {
        let now = cx.race(std::future::ready(1), std::future::ready(2)).await;
        let (Either::Left(first) | Either::Right(first)) = now;
        let (place, number) = cx
            .race_all((1..=3_u32).map(|number| cx.activity(double, &number)))
            .await;
        number?;
        let slow = cx
            .timeout(Duration::from_secs(1), cx.sleep(Duration::from_secs(5)))
            .await?;
        Ok((first, place, slow.is_none()))
    }
    assert_eq!(
        both(races, &[], 3),
        Outcome::Completed(Payload::json(&(1, 2, true)).unwrap())
    );
}
