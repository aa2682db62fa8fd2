//! Messages for one very run of a workflow id, on a whole engine: what a run that has ended still answers, and that nothing of
//! the rest reaches the run which follows. Must not live here: handles that follow a chain (`chain`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{RunHandle, UpdateHandle};
use amends::machine::Rejection;
use amends::model::{Reset, ResetPoint};
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Error, Failure, IdReusePolicy, Outcome, ResultError, RunStatus, UpdateError, UpdateOptions,
    WorkflowContext, workflow as flow,
};
use serde_json::Value;

use super::retention::look;
use crate::support::{Home, run};

/// Continues as new when it is told to go on; ends when it is told not to.
#[flow]
async fn relay(cx: WorkflowContext, sum: u64) -> Result<u64, Failure> {
    let shown = cx.state(sum);
    shown.on_query("sum", |sum, ()| *sum)?;
    shown.on_signal("add", |sum, n: u64| *sum += n)?;
    shown.on_update("raise", |sum, n: u64| {
        *sum += n;
        Ok::<u64, Failure>(*sum)
    })?;
    let own = cx.clone();
    cx.on_update("never", async move |(): ()| own.wait_condition(|| false).await)?;
    match cx.signal::<bool>("on").recv().await? {
        true => cx.continue_as_new(relay, &shown.get()).await,
        false => Ok(shown.get()),
    }
}

async fn engine(builder: AmendsBuilder) -> Amends {
    builder.workflow(relay).start().await.unwrap()
}

fn named(update_id: &str) -> UpdateOptions {
    UpdateOptions {
        update_id: Some(update_id.to_owned()),
    }
}

/// Whether everything but questions is refused, because the run has ended.
async fn is_closed<O>(run: &RunHandle<O>) -> bool {
    let closed = |told: Result<(), Error>| matches!(told, Err(Error::Rejected(Rejection::Closed)));
    let new: Result<UpdateHandle<u64>, _> = run.start_update("raise", &1, named("new")).await;
    let waited = run.update::<_, u64>("raise", &1).await;
    matches!(new, Err(UpdateError::Engine(Error::Rejected(Rejection::Closed))))
        && matches!(waited, Err(UpdateError::Engine(Error::Rejected(Rejection::Closed))))
        && closed(run.signal("add", &1).await)
        && closed(run.cancel("enough").await)
        && closed(run.terminate("enough").await)
        && closed(run.pause("ada", "lunch").await)
}

async fn raised<O>(run: &RunHandle<O>, update_id: &str) -> Result<u64, UpdateError> {
    run.update_handle::<u64>(update_id).unwrap().result().await
}

#[test]
fn a_run_that_was_followed_answers_what_is_its_own_and_refuses_the_rest() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder().replay_every_turn()).await;
            let chain = amends.workflow(relay).id("r").start(&0).await.unwrap();
            let first = amends.find_run(chain.run_id()).await.unwrap().only_this_run();
            first.signal("add", &1).await.unwrap();
            assert_eq!(first.update::<_, u64>("raise", &10).await.unwrap(), 11);
            let first_u: UpdateHandle<u64> = first.start_update("raise", &100, named("u")).await.unwrap();
            let unfinished: UpdateHandle<()> = first.start_update("never", &(), named("v")).await.unwrap();
            first.signal("on", &true).await.unwrap();
            let Outcome::ContinuedAsNew { new_run_id } = first.outcome().await.unwrap() else {
                panic!("it continued");
            };
            assert!(
                matches!(first.result().await, Err(ResultError::ContinuedAsNew { new_run_id: next }) if next == new_run_id)
            );
            assert_eq!(first.describe().await.unwrap().status, RunStatus::ContinuedAsNew);

            let second = amends.find_run(new_run_id).await.unwrap().only_this_run();
            second.signal("add", &1_000).await.unwrap();
            let before = amends.client().history("r").await.unwrap();
            assert!(is_closed(&first).await);
            assert_eq!(
                amends.client().history("r").await.unwrap(),
                before,
                "nothing of it goes on"
            );
            assert_eq!(first.query::<_, u64>("sum", &()).await.unwrap(), 111);
            assert_eq!(second.query::<_, u64>("sum", &()).await.unwrap(), 1_111);
            assert_eq!(chain.query::<_, u64>("sum", &()).await.unwrap(), 1_111);

            // Answers are of the run that gave them.
            assert_eq!(first_u.result().await.unwrap(), 111);
            let again: UpdateHandle<u64> = first.start_update("raise", &100, named("u")).await.unwrap();
            assert_eq!(again.result().await.unwrap(), 111);
            let abandoned = unfinished.result().await;
            assert!(matches!(abandoned, Err(UpdateError::Failed(failure)) if failure.is_type("UpdateAbandoned")));
            let not_its_own = raised(&second, "u").await;
            assert!(
                matches!(not_its_own, Err(UpdateError::Engine(Error::UnknownUpdate(_)))),
                "{not_its_own:?}"
            );
            assert_eq!(raised(&chain, "u").await.unwrap(), 111, "a chain remembers");
            amends.shutdown(Duration::ZERO).await;

            let amends = engine(home.builder()).await;
            let first = amends.find_run(first.run_id()).await.unwrap().only_this_run();
            assert!(is_closed(&first).await);
            assert_eq!(first.query::<_, u64>("sum", &()).await.unwrap(), 111);
            assert_eq!(raised(&first, "u").await.unwrap(), 111);
            let second = amends.find_run(new_run_id).await.unwrap().only_this_run();
            second.pause("ada", "lunch").await.unwrap();
            second.unpause("ada", "").await.unwrap();
            second.cancel("enough").await.unwrap();
            assert!(matches!(second.result().await, Err(ResultError::Canceled(_))));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_update_that_an_earlier_run_has_done_is_not_done_again_and_has_the_same_answer() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder()).await;
            let chain = amends.workflow(relay).id("r").start(&0).await.unwrap();
            let first = amends.find_run(chain.run_id()).await.unwrap().only_this_run();
            let _u: UpdateHandle<u64> = first.start_update("raise", &10, named("u")).await.unwrap();
            first.signal("on", &true).await.unwrap();
            let Outcome::ContinuedAsNew { new_run_id } = first.outcome().await.unwrap() else {
                panic!("it continued");
            };
            let second = amends.find_run(new_run_id).await.unwrap().only_this_run();
            let again: UpdateHandle<u64> = second.start_update("raise", &10, named("u")).await.unwrap();
            assert_eq!(again.result().await.unwrap(), 10);
            assert_eq!(second.query::<_, u64>("sum", &()).await.unwrap(), 10, "once");

            // What the run has taken on itself stays its own, also when it is repeated.
            let _v: UpdateHandle<()> = second.start_update("never", &(), named("v")).await.unwrap();
            let own: UpdateHandle<()> = second.start_update("never", &(), named("v")).await.unwrap();
            second
                .reset(&Reset::to(ResetPoint::FirstTurn, "ada", "again"))
                .await
                .unwrap();
            let abandoned = own.result().await;
            assert!(
                matches!(&abandoned, Err(UpdateError::Failed(failure)) if failure.is_type("UpdateAbandoned")),
                "{abandoned:?}"
            );
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_older_run_of_an_id_is_not_the_one_that_is_open() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder()).await;
            let start = async || {
                let start = amends
                    .workflow(relay)
                    .id("r")
                    .id_reuse_policy(IdReusePolicy::AllowDuplicate);
                start.start(&0).await.unwrap().only_this_run()
            };
            let old = start().await;
            old.signal("add", &1).await.unwrap();
            old.signal("on", &false).await.unwrap();
            assert_eq!(old.result().await.unwrap(), 1);
            let new = start().await;
            assert!(is_closed(&old).await);
            assert_eq!(old.query::<_, u64>("sum", &()).await.unwrap(), 1);
            assert_eq!(new.query::<_, u64>("sum", &()).await.unwrap(), 0);
            assert_eq!(new.describe().await.unwrap().status, RunStatus::Running);
            new.terminate("enough").await.unwrap();
            assert!(matches!(new.outcome().await, Ok(Outcome::Terminated { .. })));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_that_was_deleted_is_not_its_follower() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let day = Duration::from_secs(24 * 3600);
        let builder = home.builder().clock(Arc::new(clock.clone())).retention(day);
        let amends = engine(builder).await;
        let chain = amends.workflow(relay).id("r").start(&7).await.unwrap();
        let first = amends.find_run(chain.run_id()).await.unwrap().only_this_run();
        first.signal("on", &true).await.unwrap();
        first.outcome().await.unwrap();
        clock.advance(day);
        look(&clock).await;
        let gone = |error: &Error| matches!(error, Error::RunNotFound(run_id) if *run_id == first.run_id());
        let told = first.signal("add", &1).await.unwrap_err();
        assert!(gone(&told), "{told:?}");
        let asked = first.query::<_, Value>("sum", &()).await.unwrap_err();
        assert!(gone(&asked), "{asked:?}");
        let ended = first.outcome().await.unwrap_err();
        assert!(gone(&ended), "{ended:?}");
        let updated = first.update::<_, u64>("raise", &1).await;
        assert!(
            matches!(&updated, Err(UpdateError::Engine(error)) if gone(error)),
            "{updated:?}"
        );
        assert_eq!(chain.query::<_, u64>("sum", &()).await.unwrap(), 7);
        amends.shutdown(Duration::ZERO).await;
    });
}
