//! Runs that ended long ago are deleted, in memory and on a real store. Must not live here: which of them may go, case by case
//! (`runtime::retention`).

use std::sync::Arc;
use std::time::Duration;

use amends::model::limits::RETENTION_REST;
use amends::testing::VirtualClock;
use amends::{Amends, Error, Failure, RunStatus, WorkflowContext, workflow};

use crate::support::{Home, run, until_status};

const DAY: Duration = Duration::from_secs(86_400);

/// Ends when it is told to, as a new run if that is what it is told.
#[workflow]
async fn told(cx: WorkflowContext, again: u32) -> Result<u32, Failure> {
    match cx.signal::<bool>("end").recv().await? {
        true => Ok(again),
        false => cx.continue_as_new(told, &(again + 1)).await,
    }
}

/// Has a child, and outlives it.
#[workflow]
async fn family(cx: WorkflowContext, _: ()) -> Result<u32, Failure> {
    let result = cx.child(told).id("child").run(&7).await?;
    cx.signal::<bool>("end").recv().await?;
    Ok(result)
}

async fn engine(home: &Home, clock: &VirtualClock) -> Amends {
    let builder = home.builder().clock(Arc::new(clock.clone())).retention(DAY);
    builder.workflow(told).workflow(family).start().await.unwrap()
}

/// Lets the engine look at all runs, and waits until it has.
pub(super) async fn look(clock: &VirtualClock) {
    clock.pass(RETENTION_REST).await;
    clock.until_asleep(RETENTION_REST).await;
}

pub(super) async fn is_there(amends: &Amends, id: &str) -> bool {
    match amends.find(id).await {
        Ok(_) => true,
        Err(Error::NotFound(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_ended_long_ago_goes_also_when_the_engine_was_down_meanwhile() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let amends = engine(&home, &clock).await;
            let start = async |amends: &Amends, id: &str| {
                let starter = amends.workflow(told).id(id).request_id(id);
                starter.start(&1).await.unwrap()
            };
            for id in ["early", "late"] {
                start(&amends, id).await.signal("end", &true).await.unwrap();
                until_status(&amends, id, RunStatus::Completed).await;
                clock.advance(DAY / 2);
            }
            start(&amends, "open").await;
            look(&clock).await;
            assert!(!is_there(&amends, "early").await, "it ended a day ago");
            assert!(is_there(&amends, "late").await && is_there(&amends, "open").await);
            amends.shutdown(Duration::ZERO).await;

            clock.advance(DAY);
            let amends = engine(&home, &clock).await;
            assert!(
                is_there(&amends, "late").await,
                "what must be looked at after a start goes first"
            );
            look(&clock).await;
            assert!(!is_there(&amends, "late").await && is_there(&amends, "open").await);
            // Nothing is known of what is gone: neither its id nor its request id.
            let again = start(&amends, "late").await;
            again.signal("end", &true).await.unwrap();
            assert_eq!(again.result().await.unwrap(), 1);
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn a_chain_goes_on_without_its_first_runs() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let amends = engine(&home, &clock).await;
            let first = amends.workflow(told).id("entity").start(&1).await.unwrap();
            first.signal("end", &false).await.unwrap();
            assert!(matches!(
                first.run_outcome().await,
                Ok(amends::Outcome::ContinuedAsNew { .. })
            ));
            clock.advance(DAY);
            look(&clock).await;
            assert!(matches!(
                amends.find_run(first.run_id()).await.map(drop),
                Err(Error::RunNotFound(_))
            ));
            assert_eq!(first.describe().await.unwrap().status, RunStatus::Running);
            let other = amends.find("entity").await.unwrap();
            assert_ne!(other.run_id(), first.run_id());
            // A handle on the first run finds those that followed, by the workflow id.
            first.signal("end", &true).await.unwrap();
            assert_eq!(first.result().await.unwrap(), 2);
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn a_child_stays_as_long_as_its_parent() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = engine(&home, &clock).await;
        let parent = amends.workflow(family).id("parent").start(&()).await.unwrap();
        until_status(&amends, "child", RunStatus::Running).await;
        amends.client().signal("child", "end", &true).await.unwrap();
        until_status(&amends, "child", RunStatus::Completed).await;
        clock.advance(DAY * 30);
        look(&clock).await;
        assert!(is_there(&amends, "child").await);
        parent.signal("end", &true).await.unwrap();
        assert_eq!(parent.result().await.unwrap(), 7);
        look(&clock).await;
        assert!(
            is_there(&amends, "child").await,
            "its parent is there, and may be reset"
        );
        clock.advance(DAY);
        look(&clock).await;
        assert!(!is_there(&amends, "child").await && !is_there(&amends, "parent").await);
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Has a child in its first run, and ends in its second one.
#[workflow]
async fn moved_on(cx: WorkflowContext, has_child: bool) -> Result<bool, Failure> {
    if has_child {
        cx.signal("end").recv().await
    } else {
        cx.child(told).id("child").start(&1).await?;
        cx.continue_as_new(moved_on, &true).await
    }
}

#[test]
fn a_child_whose_first_run_is_gone_is_still_its_parent_s() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let engine = async || {
                let builder = home.builder().clock(Arc::new(clock.clone())).retention(DAY);
                builder.workflow(told).workflow(moved_on).start().await.unwrap()
            };
            let amends = engine().await;
            let parent = amends.workflow(moved_on).id("parent").start(&false).await.unwrap();
            parent.run_outcome().await.unwrap();
            let first = amends.find("child").await.unwrap();
            first.signal("end", &false).await.unwrap();
            first.run_outcome().await.unwrap();
            clock.advance(DAY);
            look(&clock).await;
            for gone in [parent.run_id(), first.run_id()] {
                assert!(matches!(amends.find_run(gone).await, Err(Error::RunNotFound(_))));
            }
            amends.shutdown(Duration::ZERO).await;

            let amends = engine().await;
            look(&clock).await;
            let parent = amends.find("parent").await.unwrap();
            assert_eq!(parent.describe().await.unwrap().children.len(), 1);
            parent.signal("end", &true).await.unwrap();
            parent.outcome().await.unwrap();
            until_status(&amends, "child", RunStatus::Terminated).await;
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}
