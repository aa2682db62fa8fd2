//! Code whose runs are made anew from an earlier turn: what was copied is replayed, what comes after is decided anew. Must not
//! live here: what is copied (`machine`).

use std::cell::Cell;

use crate::model::{EventAttributes, EventId, Reset, ResetPoint, RunId};
use crate::model::{Failure, Outcome};
use crate::replay::replay_history;
use crate::sdk::WorkflowContext;

use super::messages::{plays, signal, update};
use super::mini_machine::registry_with;
use super::world::{World, number};
use super::{double, half};

fn to(point: ResetPoint) -> Reset {
    Reset::to(point, "ada", "a bug is mended")
}

/// Everything that a copy must bring along: what looks random, names made of the run's id, activities, signals, an update.
async fn busy(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let told = cx.state(0_u32);
    told.on_update("add", |told, more: u32| {
        *told += more;
        Ok::<u32, Failure>(*told)
    })?;
    cx.record_marker("begun", &(cx.run_id().to_string(), cx.random_below(1_000_000)))?;
    let doubled = cx.activity(double, &n).await?;
    let local = cx.local_activity(half, &doubled).await?;
    let heard = cx.signal::<u32>("n").recv().await?;
    cx.record_marker("heard", &(cx.run_id().to_string(), cx.random_below(1_000_000)))?;
    let again = cx.activity(double, &heard).await?;
    cx.sleep(std::time::Duration::from_secs(5)).await?;
    Ok(doubled + local + heard + again + told.get())
}

fn markers(world: &World, name: &str) -> Vec<(String, u32)> {
    let details = world.history().into_iter().filter_map(|event| match event.attributes {
        EventAttributes::MarkerRecorded { name: of, details } if of == name => Some(details),
        _ => None,
    });
    details.map(|details| details.to().unwrap()).collect()
}

#[test]
fn a_run_that_was_reset_in_any_turn_decides_again_and_a_crash_anywhere_changes_nothing() {
    let base = |world: &mut World| {
        world.step();
        world.step();
        world.take(signal("n", 7));
        world.take(update("u", "add", 100));
        world.until_closed();
    };
    let turns = Cell::new(0);
    plays(busy, |world| {
        base(world);
        turns.set(world.tasks());
    });
    assert!(turns.get() > 4, "{turns:?}");
    for turn in 1..=turns.get() {
        plays(busy, |world| {
            base(world);
            let (first, before) = (world.state.run_id().unwrap(), markers(world, "begun"));
            world.reset(&to(ResetPoint::Turn(turn)));
            world.until_closed();
            let second = world.state.run_id().unwrap();
            assert!(second > first);
            let ended = world.state.outcome().map(number);
            assert_eq!(ended, Some(Ok(10 + 10 + 7 + 10 + 100)), "signal and update come again");
            match turn {
                1 => assert_eq!(markers(world, "begun")[0].0, second.to_string(), "decided again"),
                _ => assert_eq!(markers(world, "begun"), before, "copied"),
            }
            // And once more, to its own beginning.
            world.reset(&to(ResetPoint::FirstTurn));
            world.until_closed();
            assert!(matches!(world.state.outcome(), Some(Outcome::Completed(_))));
        });
    }
}

#[test]
fn what_looks_random_after_the_reset_is_not_what_it_was() {
    plays(busy, |world| {
        world.step();
        world.step();
        world.take(signal("n", 7));
        let before = markers(world, "heard");
        world.reset(&to(ResetPoint::LastTurn));
        let after = markers(world, "heard");
        let second = world.state.run_id().unwrap();
        assert_eq!(after[0].0, second.to_string());
        assert_ne!(before[0].1, after[0].1, "the keys that are made of it must not meet");
    });
}

async fn first_version(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let a = cx.activity(double, &n).await?;
    let heard = cx.signal::<u32>("n").recv().await?;
    cx.activity(double, &(a + heard)).await
}

async fn second_version(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let a = cx.activity(double, &n).await?;
    let heard = cx.signal::<u32>("n").recv().await?;
    cx.activity(half, &(a + heard)).await
}

#[test]
fn code_that_cannot_replay_a_run_goes_on_from_before_the_turn_that_it_would_decide_otherwise() {
    for crashing in [false, true] {
        let mut world = World::start(first_version, crashing, &[]);
        world.step();
        world.take(signal("n", 7));
        let parked = replay_history(&registry_with(second_version), &world.history());
        assert!(parked.is_err(), "this is why it is reset");
        world.reset_for(second_version, &to(ResetPoint::LastTurn));
        let (outcome, ran) = world.finish();
        assert!(matches!(outcome, Outcome::Completed(_)), "{outcome:?}");
        assert_eq!(ran, ["double 1", "half 17"]);
    }
}

#[test]
fn a_history_says_in_temporals_way_that_it_was_reset() {
    let mut world = World::start(first_version, false, &[]);
    world.step();
    world.take(signal("n", 7));
    let base: RunId = world.state.run_id().unwrap();
    world.reset(&to(ResetPoint::Event(EventId(8))));
    let json = crate::history::to_temporal_json(&world.history());
    let events = json["events"].as_array().unwrap();
    let failed = events
        .iter()
        .find(|event| event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_FAILED")
        .unwrap();
    assert_eq!(failed["eventId"], "10");
    let told = &failed["workflowTaskFailedEventAttributes"];
    assert_eq!(told["cause"], "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW");
    assert_eq!(told["baseRunId"], base.to_string());
    assert_eq!(told["newRunId"], world.state.run_id().unwrap().to_string());
    assert_eq!(told["failure"]["message"], "a bug is mended");
    assert_eq!(
        (&told["scheduledEventId"], &told["startedEventId"]),
        (&"8".into(), &"9".into())
    );
}
