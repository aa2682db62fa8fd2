//! Updates over a reset: who waits for the answer hears the new run's, or hears that there will be none. Must not live here:
//! which updates come again (the machine's own tests).

use std::time::Duration;

use amends::model::{Reapply, Reset, ResetPoint};
use amends::{
    Amends, AmendsBuilder, Error, Failure, UpdateError, UpdateHandle, UpdateOptions, WorkflowContext, workflow as flow,
};

use super::reset::offline;
use crate::support::{Home, insist, run, whichever_commit_fails};

/// Reaches what it is asked to reach, unless it is locked by then.
#[flow]
async fn climber(cx: WorkflowContext, start: u32) -> Result<u32, Failure> {
    let height = cx.state((start, false));
    height.on_signal("climb", |(height, _), by: u32| *height += by)?;
    height.on_signal("lock", |(_, is_locked), ()| *is_locked = true)?;
    let (own, looked, reached) = (cx.clone(), height.clone(), height.clone());
    cx.on_validated_update(
        "reach",
        move |_: &u32| match looked.get() {
            (_, true) => Err(Failure::new("Locked", "")),
            (_, false) => Ok(()),
        },
        async move |wanted: u32| {
            let looked = reached.clone();
            own.wait_condition(move || looked.get().0 >= wanted).await?;
            Ok::<u32, Failure>(reached.get().0)
        },
    )?;
    cx.signal::<()>("end").recv().await?;
    Ok(height.get().0)
}

fn registered(builder: AmendsBuilder) -> AmendsBuilder {
    builder.workflow(climber)
}

async fn engine(home: &Home) -> Amends {
    registered(home.builder().replay_every_turn()).start().await.unwrap()
}

fn named(update_id: &str) -> UpdateOptions {
    UpdateOptions {
        update_id: Some(update_id.to_owned()),
    }
}

fn again(reapply: Reapply) -> Reset {
    Reset {
        reapply,
        request_id: Some("again".parse().unwrap()),
        ..Reset::to(ResetPoint::FirstTurn, "ada", "again")
    }
}

fn is_abandoned(answer: &Result<u32, UpdateError>) -> bool {
    matches!(answer, Err(UpdateError::Failed(failure)) if failure.is_type("UpdateAbandoned"))
}

#[test]
fn who_waits_for_an_update_hears_the_answer_of_the_run_that_does_it_again() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home).await;
            let climbing = amends.workflow(climber).id("c").start(&0).await.unwrap();
            let old = amends.find_run(climbing.run_id()).await.unwrap().only_this_run();
            let reach: UpdateHandle<u32> = climbing.start_update("reach", &5, named("u")).await.unwrap();
            let done: UpdateHandle<u32> = climbing.start_update("reach", &0, named("done")).await.unwrap();
            assert_eq!(done.result().await.unwrap(), 0);
            let waiting = tokio::spawn(async move { reach.result().await });
            let new = climbing.reset(&again(Reapply::All)).await.unwrap();
            assert_eq!(new.update::<_, u32>("reach", &0).await.unwrap(), 0, "it has decided");
            // And once more: the answer comes from the last of them.
            let newest = new.reset(&again(Reapply::All)).await.unwrap();
            assert_ne!(newest.run_id(), climbing.run_id());
            newest.signal("climb", &6).await.unwrap();
            assert_eq!(waiting.await.unwrap().unwrap(), 6);

            let of_old = old.update_handle::<u32>("u").unwrap();
            assert!(is_abandoned(&of_old.result().await), "the run itself never answered");
            assert_eq!(done.result().await.unwrap(), 0, "what was answered stays so");
            amends.shutdown(Duration::ZERO).await;

            // Whoever asks later hears the same, also when the new run has ended.
            let amends = engine(&home).await;
            let chain = amends.find_run(climbing.run_id()).await.unwrap();
            let asked = chain.update_handle::<u32>("u").unwrap();
            assert_eq!(asked.result().await.unwrap(), 6);
            chain.signal("end", &()).await.unwrap();
            assert_eq!(chain.result().await.unwrap(), 6);
            assert_eq!(asked.result().await.unwrap(), 6);
            let repeated: UpdateHandle<u32> = chain.start_update("reach", &5, named("u")).await.unwrap();
            assert_eq!(repeated.result().await.unwrap(), 6);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

/// While no engine runs, the run is made anew twice: the run in between never decides anything.
#[test]
fn the_answer_is_that_of_the_last_run_though_one_before_it_gave_way_before_it_decided() {
    for home in Home::each() {
        let first = run(async {
            let amends = engine(&home).await;
            let climbing = amends.workflow(climber).id("c").start(&0).await.unwrap();
            let _u: UpdateHandle<u32> = climbing.start_update("reach", &5, named("u")).await.unwrap();
            amends.shutdown(Duration::ZERO).await;
            climbing.run_id()
        });
        let again = Reset::to(ResetPoint::Turn(2), "ada", "again");
        let offline = offline(&home);
        let between = offline.reset("c", &again).unwrap();
        let last = offline
            .reset("c", &Reset::to(ResetPoint::FirstTurn, "ada", "again"))
            .unwrap();
        assert!(first < between && between < last);
        drop(offline);
        run(async {
            let amends = engine(&home).await;
            let made = amends.find_run(last).await.unwrap();
            assert_eq!(made.update::<_, u32>("reach", &0).await.unwrap(), 0, "it has decided");
            let chain = amends.find_run(first).await.unwrap();
            let reach = chain.update_handle::<u32>("u").unwrap();
            let waiting = tokio::spawn(async move { reach.result().await });
            made.signal("climb", &6).await.unwrap();
            assert_eq!(waiting.await.unwrap().unwrap(), 6);
            let of_first = chain.only_this_run().update_handle::<u32>("u").unwrap();
            assert!(is_abandoned(&of_first.result().await));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_update_that_does_not_come_again_or_is_refused_then_is_abandoned() {
    for (reapply, lock) in [(Reapply::Signals, false), (Reapply::None, false), (Reapply::All, true)] {
        let home = Home::memory();
        run(async {
            let amends = engine(&home).await;
            let climbing = amends.workflow(climber).id("c").start(&0).await.unwrap();
            let reach: UpdateHandle<u32> = climbing.start_update("reach", &5, named("u")).await.unwrap();
            let waiting = tokio::spawn(async move { reach.result().await });
            if lock {
                // It comes before the update when both come again.
                climbing.signal("lock", &()).await.unwrap();
            }
            let new = climbing.reset(&again(reapply)).await.unwrap();
            let answer = waiting.await.unwrap();
            assert!(is_abandoned(&answer), "{answer:?}");
            new.signal("climb", &6).await.unwrap();
            let unknown = new.update_handle::<u32>("u").unwrap().result().await;
            assert!(
                matches!(unknown, Err(UpdateError::Engine(Error::UnknownUpdate(_)))),
                "{unknown:?}"
            );
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn whichever_commit_fails_who_waits_over_a_reset_hears_of_the_new_run() {
    let answer = whichever_commit_fails(5..=14, registered, async |amends| {
        let start = || amends.workflow(climber).id("c").request_id("r");
        let climbing = insist(|| async { start().start(&0).await }).await;
        let reach: UpdateHandle<u32> = insist(|| climbing.start_update("reach", &5, named("u"))).await;
        let waiting = tokio::spawn(async move { insist(|| reach.result()).await });
        let base = climbing.run_id();
        let new = insist(|| async { amends.client().reset_run(base, &again(Reapply::All)).await }).await;
        let new = insist(|| amends.find_run(new)).await;
        let _more: UpdateHandle<u32> = insist(|| new.start_update("reach", &0, named("v"))).await;
        insist(|| async {
            let options = amends::engine::SignalOptions {
                request_id: Some("s".to_owned()),
                ..Default::default()
            };
            amends.client().signal_with("c", "climb", &6, options).await
        })
        .await;
        waiting.await.unwrap()
    });
    assert_eq!(answer, 6);
}
