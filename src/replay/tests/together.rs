//! Messages, versions and local activities in one run: what a handler asks for is found again like what the function asks
//! for, and what only looks may ask for none of it.

use std::time::Duration;

use crate::machine::{QueryError, Reply};
use crate::model::{EventAttributes, Failure, Outcome, VersionMarker};
use crate::sdk::{ActivityContext, WorkflowContext};

use super::double;
use super::messages::{answer, ask, plays, refused, signal, update};
use super::world::World;

async fn look_up(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
    Ok(n)
}

/// Its handlers ask about changes, and run activities beside the code; its queries and validators try to.
async fn shop(cx: WorkflowContext, _n: u32) -> Result<String, Failure> {
    let told = cx.state(Vec::<String>::new());
    let (own, note) = (cx.clone(), told.clone());
    cx.on_signal("order", async move |n: u32| {
        let priced = match own.patched("prices are looked up") {
            true => own.local_activity(look_up, &n).await.unwrap_or(0),
            false => n,
        };
        note.change(|told| told.push(format!("order {priced}")));
    })?;
    let (own, note) = (cx.clone(), told.clone());
    cx.on_update("double", async move |n: u32| {
        let version = own.version("doubling", 1, 2);
        let doubled = own.activity(double, &n).await?;
        note.change(|told| told.push(format!("doubled {doubled} by {version}")));
        Ok::<u32, Failure>(doubled)
    })?;
    let own = cx.clone();
    cx.on_query("patched", move |(): ()| own.patched("later"))?;
    let own = cx.clone();
    cx.on_query("deprecated", move |(): ()| own.deprecate_patch("later"))?;
    let own = cx.clone();
    cx.on_query("version", move |(): ()| own.version("later", 1, 3))?;
    let own = cx.clone();
    cx.on_query("local", move |(): ()| {
        futures_util::FutureExt::now_or_never(own.local_activity(look_up, &1)).is_some()
    })?;
    told.on_query("told", |told, ()| told.clone())?;
    let own = cx.clone();
    cx.on_validated_update(
        "careful",
        move |(): &()| match own.patched("later") {
            true => Ok(()),
            false => Err(Failure::new("TooOld", "")),
        },
        async |(): ()| Ok(0_u32),
    )?;
    told.wait_until(|told| told.len() >= 3).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    if cx.patched("later") {
        cx.sleep(Duration::from_secs(5)).await?;
    }
    told.change(|told| told.push(format!("version {}", cx.version("later", 1, 3))));
    Ok(told.get().join(", "))
}

fn ordinary(world: &mut World) {
    world.take(signal("order", 1));
    assert_eq!(world.turn(vec![update("u", "double", 4)]), [Reply::Accepted]);
    world.take(signal("order", 2));
    for _ in 0..3 {
        world.step();
    }
    assert_eq!(answer(world, "u"), Ok(10));
    assert!(world.pass_time(), "the patch's branch sleeps");
    let Some(Outcome::Completed(result)) = world.state.outcome() else {
        unreachable!("{:?}", world.state.outcome());
    };
    let result = result.to::<String>().unwrap();
    assert_eq!(result, "order 10, order 10, doubled 10 by 2, version 3");
}

#[test]
fn handlers_meet_changes_and_run_local_activities_and_every_replay_finds_them_again() {
    let kinds = plays(shop, ordinary);
    let count = |kind: &str| kinds.iter().filter(|known| **known == kind).count();
    assert_eq!((count("MarkerRecorded"), count("LocalActivityEnded")), (4, 2));
}

#[test]
fn a_query_or_validator_that_asks_about_a_change_is_refused_and_the_answer_is_not_remembered() {
    let asked = plays(shop, |world| {
        let before = world.history();
        for (name, tried) in [
            ("patched", "ask for a patch"),
            ("deprecated", "ask for a patch"),
            ("version", "ask for a version"),
            ("local", "run a local activity"),
        ] {
            assert_eq!(ask(world, name), Err(QueryError::NotReadOnly(tried.to_owned())));
        }
        let replies = world.turn(vec![update("v", "careful", ())]);
        let refusal = refused(&replies[0]);
        assert!(
            refusal.is_type("NotReadOnly") && refusal.message.contains("ask for a patch"),
            "{refusal}"
        );
        assert_eq!(world.history(), before);
        // The same memory goes on: had it kept an answer, the markers would be missing now.
        ordinary(world);
        let markers = world.history().into_iter().filter_map(|event| match event.attributes {
            EventAttributes::VersionMarkerRecorded(marker) if marker.id().as_str() == "later" => Some(marker),
            _ => None,
        });
        let markers: Vec<VersionMarker> = markers.collect();
        assert!(
            matches!(
                markers[..],
                [
                    VersionMarker::Patch { deprecated: false, .. },
                    VersionMarker::Version { version: 3, .. }
                ]
            ),
            "{markers:?}"
        );
    });
    assert_eq!(asked, plays(shop, ordinary));
}

#[test]
fn a_query_sees_what_a_local_activity_came_to_only_when_its_turn_has() {
    let mut world = World::start(shop, false, &[]);
    world.take(signal("order", 1));
    assert_eq!(ask(&mut world, "told").unwrap(), serde_json::json!([]));
    let described = ask(&mut world, "__describe").unwrap();
    assert_eq!(
        described["waiting_for"],
        serde_json::json!(["local activity look_up (number 1)", "a condition"])
    );
    world.step();
    assert_eq!(ask(&mut world, "told").unwrap(), serde_json::json!(["order 10"]));
}

#[test]
fn a_refused_update_is_no_turn_to_a_replay_of_every_turn_either() {
    let mut world = World::new(shop, false).checking_every_turn().begun();
    world.take(signal("order", 1));
    let before = world.history();
    for id in ["u1", "u2"] {
        let replies = world.turn(vec![update(id, "unknown", ())]);
        assert!(refused(&replies[0]).is_type("UnknownUpdate"));
    }
    assert_eq!(world.history(), before);
    world.step();
    assert_eq!(ask(&mut world, "told").unwrap(), serde_json::json!(["order 10"]));
}
