//! Runs on a whole engine, on virtual time, whose histories are exchanged. Must not live here: what they decide (`workflows`),
//! what is done with the histories.

use std::sync::Arc;
use std::time::Duration;

use amends::model::Event;
use amends::testing::VirtualClock;
use amends::{Amends, RunStatus, UpdateOptions};

use super::workflows::*;
use crate::support::{Home, until_status};

/// Histories of a run each, under the name of a file.
pub(super) type Histories = Vec<(String, Vec<Event>)>;

struct World {
    amends: Amends,
    clock: VirtualClock,
    histories: Histories,
}

impl World {
    async fn save(&mut self, id: &str) {
        let history = self.amends.client().history(id).await.unwrap();
        self.histories.push((id.to_owned(), history));
    }

    async fn until_event(&self, id: &str, kind: &str) {
        let has_it = |history: Vec<Event>| history.iter().any(|event| event.attributes.kind() == kind);
        while !has_it(self.amends.client().history(id).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    }

    async fn until_ended(&self, id: &str, status: RunStatus) {
        until_status(&self.amends, id, status).await;
    }
}

/// Runs of every workflow.
pub(super) async fn all() -> Histories {
    let clock = VirtualClock::new();
    let builder = register(Home::memory().builder()).clock(Arc::new(clock.clone()));
    let amends = builder.start().await.unwrap();
    let histories = Histories::new();
    let mut world = World {
        amends,
        clock,
        histories,
    };
    activities(&mut world).await;
    local_activities(&mut world).await;
    signals(&mut world).await;
    updates(&mut world).await;
    others(&mut world).await;
    cancellations(&mut world).await;
    world.amends.shutdown(Duration::ZERO).await;
    world.histories
}

/// Activities: with retries, undone by the code, together, too slow; of a version of the code.
async fn activities(world: &mut World) {
    for (id, item, cents, status) in [
        ("order", "lamp", 900, RunStatus::Completed),
        ("order-undone", "piano", 900_000, RunStatus::Failed),
    ] {
        let order = Order {
            item: item.to_owned(),
            cents,
        };
        world.amends.workflow(place_order).id(id).start(&order).await.unwrap();
        // The timer, and the time until the bank is asked again.
        world.clock.pass(SECOND).await;
        world.clock.pass(SECOND).await;
        world.until_ended(id, status).await;
        world.save(id).await;
    }
    let squares = world
        .amends
        .workflow(add_squares)
        .id("squares")
        .start(&vec![3, 4, 5])
        .await
        .unwrap();
    assert_eq!(squares.result().await.unwrap(), 50);
    world.save("squares").await;
    let checked = world
        .amends
        .workflow(check_order)
        .id("checked")
        .start(&"lamp".to_owned())
        .await
        .unwrap();
    checked.result().await.unwrap();
    world.save("checked").await;
    let late = world
        .amends
        .workflow(try_in_vain)
        .id("too-late")
        .start(&())
        .await
        .unwrap();
    world.clock.pass(SECOND).await;
    assert_eq!(late.result().await.unwrap(), "too late");
    world.save("too-late").await;
    let versioned = world
        .amends
        .workflow(check_stock)
        .id("versioned")
        .start(&"lamp".to_owned())
        .await
        .unwrap();
    versioned.result().await.unwrap();
    world.save("versioned").await;
}

/// Local activities: some that find something, and one that is tried in vain.
async fn local_activities(world: &mut World) {
    let local = world
        .amends
        .workflow(look_around)
        .id("local")
        .start(&"key".to_owned())
        .await
        .unwrap();
    assert_eq!(local.result().await.unwrap(), "key!! is reserved");
    world.save("local").await;
    let elsewhere = world
        .amends
        .workflow(look_elsewhere)
        .id("local-in-vain")
        .start(&"key".to_owned())
        .await
        .unwrap();
    world.clock.pass(SECOND / 100).await;
    assert_eq!(elsewhere.result().await.unwrap(), "another key is reserved");
    world.save("local-in-vain").await;
}

/// Timers and signals, also from other runs.
async fn signals(world: &mut World) {
    let alone = world
        .amends
        .workflow(await_approval)
        .id("not-approved")
        .start(&1)
        .await
        .unwrap();
    world.clock.pass(SECOND).await;
    assert_eq!(alone.result().await.unwrap(), None);
    world.save("not-approved").await;
    let approved = world
        .amends
        .workflow(await_approval)
        .id("approved")
        .start(&3_600)
        .await
        .unwrap();
    let teller = world
        .amends
        .workflow(tell)
        .id("teller")
        .start(&"approved".to_owned())
        .await
        .unwrap();
    assert_eq!(teller.result().await.unwrap(), "told");
    assert_eq!(approved.result().await.unwrap().as_deref(), Some("Ada"));
    world.save("approved").await;
    world.save("teller").await;
}

/// An entity that is told and asked.
async fn updates(world: &mut World) {
    let counted = world.amends.workflow(counter).id("counted").start(&10).await.unwrap();
    counted.signal("add", &5).await.unwrap();
    assert_eq!(counted.update::<_, u64>("take", &2).await.unwrap(), 3);
    counted.update::<_, u64>("take", &20).await.unwrap_err();
    counted.update::<_, ()>("break", &()).await.unwrap_err();
    let named = UpdateOptions {
        update_id: Some("reach".to_owned()),
    };
    let reaching = counted.start_update::<_, u64>("reach", &4, named).await.unwrap();
    world.until_event("counted", "ActivityTaskCompleted").await;
    counted.signal("add", &7).await.unwrap();
    assert_eq!(
        (reaching.result().await.unwrap(), counted.result().await.unwrap()),
        (10, 10)
    );
    world.save("counted").await;
}

/// Children, runs that follow, and what runs are found by.
async fn others(world: &mut World) {
    let doubles = world
        .amends
        .workflow(double_each)
        .id("doubles")
        .start(&vec![2, 13, 4])
        .await
        .unwrap();
    assert_eq!(doubles.result().await.unwrap(), [4, 0, 8]);
    world.save("doubles").await;
    world.save("doubles-13").await;
    let first = world
        .amends
        .workflow(count_down)
        .id("countdown")
        .start(&1)
        .await
        .unwrap();
    world.clock.pass(SECOND).await;
    world.clock.pass(SECOND).await;
    assert_eq!(first.result().await.unwrap(), "lift-off");
    let history = world.amends.client().history_of(first.run_id()).await.unwrap();
    world.histories.push(("countdown-1".to_owned(), history));
    world.save("countdown").await;
    let starter = world.amends.workflow(label).id("labelled");
    let starter = starter.memo("title", "Order 1").unwrap();
    let labelled = starter
        .search_attribute("Customer", "ada")
        .unwrap()
        .start(&2)
        .await
        .unwrap();
    world.clock.pass(SECOND).await;
    labelled.result().await.unwrap();
    world.save("labelled").await;
}

/// Runs that are cancelled, terminated, out of time, or held.
async fn cancellations(world: &mut World) {
    let place = "Porto".to_owned();
    for (id, kind) in [("holiday", "TimerStarted"), ("terminated", "TimerStarted")] {
        world.amends.workflow(take_holiday).id(id).start(&place).await.unwrap();
        world.until_event(id, kind).await;
    }
    world.amends.client().cancel("holiday", "come back").await.unwrap();
    world.until_ended("holiday", RunStatus::Canceled).await;
    world.save("holiday").await;
    world
        .amends
        .client()
        .terminate("terminated", "never mind")
        .await
        .unwrap();
    world.until_ended("terminated", RunStatus::Terminated).await;
    world.save("terminated").await;
    world.amends.workflow(give_up).id("given-up").start(&()).await.unwrap();
    world.until_event("given-up", "ActivityTaskScheduled").await;
    world.amends.client().cancel("given-up", "").await.unwrap();
    world.until_ended("given-up", RunStatus::Canceled).await;
    world.save("given-up").await;
    let paused = world
        .amends
        .workflow(await_approval)
        .id("paused")
        .start(&3_600)
        .await
        .unwrap();
    world
        .amends
        .client()
        .pause("paused", "ada", "to look at it")
        .await
        .unwrap();
    world
        .amends
        .client()
        .unpause("paused", "ada", "it is well")
        .await
        .unwrap();
    paused.signal("approve", &"Bob").await.unwrap();
    assert_eq!(paused.result().await.unwrap().as_deref(), Some("Bob"));
    world.save("paused").await;
    let brief = world
        .amends
        .workflow(await_approval)
        .id("out-of-time")
        .run_timeout(SECOND);
    brief.start(&3_600).await.unwrap();
    world.clock.pass(SECOND).await;
    world.until_ended("out-of-time", RunStatus::TimedOut).await;
    world.save("out-of-time").await;
}
