//! Patches, versions and timers, with the process dying after any of their turns: the history in the end is the one that
//! it would have been without. Must not live here: random orders (`chaos`).

use std::time::Duration;

use futures_util::future::{Either, select};

use crate::model::{DEFAULT_VERSION, Event, Failure, Outcome};
use crate::sdk::WorkflowContext;

use super::world::{World, number};
use super::{double, half};

const SECOND: Duration = Duration::from_secs(1);

/// Timers that fire, lose and win against activities, with patches and versions in between.
async fn changing(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let mut sum = n;
    for round in 0..3_u32 {
        cx.sleep(SECOND * (round + 1)).await?;
        if cx.patched("doubled") {
            sum += cx.activity(double, &sum).await?;
        }
        let timeout = cx.sleep(SECOND * 60);
        match select(cx.activity(half, &sum), timeout).await {
            Either::Left((halved, _)) => sum += halved?,
            Either::Right((slept, _)) => slept?,
        }
        let asked = if cx.version("signals", DEFAULT_VERSION, 2) >= round.try_into().unwrap_or(i32::MAX) {
            1
        } else {
            0
        };
        for _ in 0..asked {
            match select(Box::pin(cx.signal::<u32>("n").recv()), cx.sleep(SECOND * 5)).await {
                Either::Left((signal, _)) => sum += signal?,
                Either::Right((slept, _)) => slept?,
            }
        }
    }
    cx.deprecate_patch("last");
    cx.activity(double, &sum).await
}

/// The same story each time: a signal comes in the middle.
fn lived(mut world: World) -> World {
    for step in 0..200 {
        if world.state.outcome().is_some() {
            return world;
        }
        if step == 4 {
            world.signal(7);
        }
        world.step();
    }
    unreachable!("it does not end: {:?}", world.history())
}

#[test]
fn the_history_is_the_same_wherever_the_process_dies() {
    let undisturbed = lived(World::new(changing, false).begun());
    let history = undisturbed.history();
    let markers = history
        .iter()
        .filter(|event| event.attributes.kind() == "MarkerRecorded");
    let timers = history
        .iter()
        .filter(|event| event.attributes.kind().starts_with("Timer"));
    assert_eq!((markers.count(), timers.count() > 10), (3, true), "{history:?}");
    let turns = undisturbed.turns();
    assert!(turns > 10);
    let dying_after = |crashes_after: Vec<usize>| {
        let mut world = World::new(changing, false);
        world.crashes_after = crashes_after;
        lived(world.begun())
    };
    for turn in 1..=turns {
        assert_eq!(dying_after(vec![turn]).history(), history, "dying after turn {turn}");
        assert_eq!(
            dying_after(vec![turn, turn + 2]).history(),
            history,
            "and again two turns later"
        );
    }
    assert_eq!(
        lived(World::new(changing, true).begun()).history(),
        history,
        "dying after every turn"
    );
    assert_eq!(
        lived(World::new(changing, false).begun().checking_every_turn()).history(),
        history,
        "replayed at every turn"
    );
}

/// The code before `changing` had any patch or version.
async fn unchanged(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let mut sum = n;
    for round in 0..3_u32 {
        cx.sleep(SECOND * (round + 1)).await?;
        let timeout = cx.sleep(SECOND * 60);
        match select(cx.activity(half, &sum), timeout).await {
            Either::Left((halved, _)) => sum += halved?,
            Either::Right((slept, _)) => slept?,
        }
    }
    cx.activity(double, &sum).await
}

/// New code comes with any turn's crash: what was decided stays, what comes after it is new.
#[test]
fn new_code_may_come_after_any_turn() {
    let turns = lived(World::new(unchanged, false).begun()).turns();
    let mut results = std::collections::BTreeSet::new();
    for turn in 1..turns {
        for crashing in [false, true] {
            let mut world = World::new(unchanged, crashing).begun();
            while world.turns() < turn {
                world.step();
            }
            let before = world.history();
            world.deploy(changing);
            let world = lived(world);
            let after = world.history();
            assert_eq!(kinds(&before), kinds(&after[..before.len()]), "what was is not changed");
            let (outcome, ran) = world.finish();
            assert!(
                matches!(outcome, Outcome::Completed(_)),
                "new code after turn {turn}: {outcome:?}"
            );
            results.insert((ran.len(), number(&outcome)));
        }
    }
    assert!(
        results.len() > 1,
        "when the new code comes makes a difference: {results:?}"
    );
}

fn kinds(history: &[Event]) -> Vec<&'static str> {
    history.iter().map(|event| event.attributes.kind()).collect()
}
