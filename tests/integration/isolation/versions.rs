//! Workflow code that changes under open runs, in a whole engine: versions, what they park, and what only replaying every
//! turn finds. Must not live here: the table of what fits what (`replay/tests/versions`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends::model::{EventAttributes, ParkReason, VersionMarker};
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Amends, DEFAULT_VERSION, Error, RunStatus, WorkflowDefinition};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{SECOND, among_good_runs, one_shard};
use crate::support::{Home, run, until_status, workflow};

#[path = "../../../examples/versioned_change.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod versioned_change;

#[test]
fn the_example_changes_its_workflow_while_runs_are_under_way() {
    let directory = tempfile::TempDir::new().unwrap();
    let orders = run(async { versioned_change::run(directory.path()).await.unwrap() });
    let done = |order: &str| orders[order].join(", ");
    assert_eq!(done("approved-before"), "approved-before charged, approved-before sent");
    assert_eq!(
        done("approved-after"),
        "approved-after checked, approved-after charged, approved-after sent"
    );
    assert_eq!(
        done("begun-after"),
        "begun-after checked, begun-after charged, begun-after sent"
    );
    assert_eq!(
        done("begun-last"),
        "begun-last checked, begun-last charged, begun-last sent and tracked"
    );
}

/// Waits for `go`, then does what this version of the code does, waits again, and says which version that was.
fn versioned(oldest: i32, newest: i32) -> WorkflowDefinition {
    workflow("versioned", move |cx, _| async move {
        cx.signal::<()>("go").recv().await?;
        let version = cx.version("shape", oldest, newest);
        for _ in 0..=version {
            cx.activity_by_name::<Value>("work", &version).await?;
        }
        cx.signal::<()>("end").recv().await?;
        Ok(json!(version))
    })
}

fn unversioned() -> WorkflowDefinition {
    workflow("versioned", move |cx, _| async move {
        cx.signal::<()>("go").recv().await?;
        cx.signal::<()>("end").recv().await?;
        Ok(json!("unversioned"))
    })
}

async fn life<T>(home: &Home, definition: WorkflowDefinition, story: impl AsyncFnOnce(&Amends) -> T) -> T {
    let amends = one_shard(home, &VirtualClock::new())
        .workflow_definition(definition)
        .start()
        .await
        .unwrap();
    let told = story(&amends).await;
    amends.shutdown(SECOND).await;
    told
}

async fn begin(amends: &Amends, id: &str) {
    amends
        .workflow_by_name("versioned")
        .id(id)
        .start(&json!(0))
        .await
        .unwrap();
    amends.client().signal(id, "go", &()).await.unwrap();
}

async fn end(amends: &Amends, id: &str) -> Value {
    amends.client().signal(id, "end", &()).await.unwrap();
    amends.find(id).await.unwrap().result().await.unwrap()
}

#[test]
fn runs_keep_their_versions_through_deployments() {
    for home in Home::each() {
        run(async {
            life(&home, unversioned(), async |amends| begin(amends, "old").await).await;
            life(&home, versioned(DEFAULT_VERSION, 1), async |amends| {
                begin(amends, "one").await
            })
            .await;
            life(&home, versioned(DEFAULT_VERSION, 2), async |amends| {
                begin(amends, "two").await;
                for (id, version) in [("old", -1), ("one", 1), ("two", 2)] {
                    assert_eq!(end(amends, id).await, json!(version));
                    let history = amends.client().history(id).await.unwrap();
                    let markers = history
                        .iter()
                        .filter(|event| event.attributes.kind() == "MarkerRecorded");
                    assert_eq!(markers.count(), usize::from(version > 0), "of {id}");
                }
            })
            .await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_version_without_code_is_parked_with_the_difference_until_its_code_is_back() {
    for home in Home::each() {
        run(async {
            life(&home, versioned(DEFAULT_VERSION, 1), async |amends| {
                begin(amends, "one").await;
                begin(amends, "also one").await;
            })
            .await;
            life(&home, versioned(2, 2), async |amends| {
                let parked = among_good_runs(amends, async {
                    amends.client().signal("one", "end", &()).await.unwrap();
                    begin(amends, "two").await;
                    assert_eq!(end(amends, "two").await, json!(2), "others of its type go on");
                    until_status(amends, "one", RunStatus::Parked).await
                })
                .await;
                let marker = VersionMarker::Version {
                    id: "shape".parse().unwrap(),
                    version: 1,
                };
                let Some(ParkReason::Nondeterminism { expected, recorded, .. }) = parked.parked else {
                    panic!("{:?}", parked.parked)
                };
                assert_eq!(expected, "a version from 2 to 2 of change \"shape\"");
                assert_eq!(recorded, marker.to_string());
            })
            .await;
            life(&home, versioned(1, 2), async |amends| {
                let one: Value = amends.find("one").await.unwrap().result().await.unwrap();
                assert_eq!((one, end(amends, "also one").await), (json!(1), json!(1)));
            })
            .await;
        });
        home.assert_sound();
    }
}

/// Timers, with patches and versions in between.
fn changing() -> WorkflowDefinition {
    workflow("changing", |cx, _| async move {
        let mut told = Vec::new();
        for round in 0..3 {
            cx.sleep(SECOND).await?;
            if cx.patched(format!("patch-{round}")) {
                cx.sleep(SECOND).await?;
            }
            told.push(cx.version("shape", DEFAULT_VERSION, 2));
        }
        cx.deprecate_patch("patch-0");
        Ok(json!(told))
    })
}

/// The history of a run of it, without its times, when this commit fails and everything in memory is lost; and how many
/// commits there were.
async fn lived(fault: Option<(u64, CommitFault)>) -> (Vec<String>, u64) {
    let (home, clock, faults) = (Home::memory(), VirtualClock::new(), StoreFaults::new());
    let builder = home.faulty_builder(&faults).shards(1).clock(Arc::new(clock.clone()));
    let amends = builder.workflow_definition(changing()).start().await.unwrap();
    if let Some((nth, fault)) = fault {
        faults.fail_commit(nth, fault);
    }
    let run = loop {
        let starter = amends.workflow_by_name("changing").id("c").request_id("s");
        match starter.start(&json!(0)).await {
            Err(Error::Interrupted | Error::Store(_)) => clock.advance(SECOND / 100),
            other => break other.unwrap(),
        }
    };
    let result = run.result();
    tokio::pin!(result);
    let result = loop {
        if let Some(result) = result.as_mut().now_or_never() {
            break result.unwrap();
        }
        clock.advance(SECOND / 10);
        tokio::task::yield_now().await;
    };
    assert_eq!(result, json!([2, 2, 2]));
    let history = amends.client().history("c").await.unwrap();
    let told = history.iter().map(|event| {
        let detail = match &event.attributes {
            EventAttributes::VersionMarkerRecorded(marker) => marker.to_string(),
            EventAttributes::TimerStarted { timer_id, .. } | EventAttributes::TimerFired { timer_id, .. } => {
                timer_id.to_string()
            }
            _ => String::new(),
        };
        format!("{} {} {detail}", event.id, event.attributes.kind())
    });
    let told = told.collect();
    amends.shutdown(SECOND).await;
    (told, faults.commits())
}

#[test]
fn the_history_is_the_same_whichever_turn_the_engine_loses_its_memory_in() {
    run(async {
        let (history, commits) = lived(None).await;
        assert_eq!(
            (
                commits,
                history.iter().filter(|event| event.contains("MarkerRecorded")).count()
            ),
            (7, 4)
        );
        for nth in 1..=commits {
            for fault in [CommitFault::Lost, CommitFault::Kept] {
                let (disturbed, _) = lived(Some((nth, fault))).await;
                assert_eq!(disturbed, history, "commit {nth} {fault:?}");
            }
        }
    });
}

/// A counter beside the workflow: the mistake that nothing finds but a replay.
fn counting(calls: &Arc<AtomicU32>) -> WorkflowDefinition {
    let calls = Arc::clone(calls);
    workflow("bad", move |cx, _| {
        let calls = Arc::clone(&calls);
        async move {
            let worked: Value = cx.activity_by_name("work", &0).await?;
            let call = calls.fetch_add(1, Ordering::SeqCst);
            cx.activity_by_name::<Value>("work", &call).await?;
            Ok(worked)
        }
    })
}

#[test]
fn what_is_not_the_same_on_replay_is_parked_in_its_turn_when_every_turn_is_replayed() {
    run(async {
        let (home, clock, calls) = (Home::memory(), VirtualClock::new(), Arc::default());
        let amends = one_shard(&home, &clock)
            .workflow_definition(counting(&calls))
            .replay_every_turn()
            .start()
            .await
            .unwrap();
        let parked = among_good_runs(&amends, async {
            amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
            until_status(&amends, "bad", RunStatus::Parked).await
        })
        .await;
        let Some(ParkReason::Nondeterminism { expected, recorded, .. }) = parked.parked else {
            panic!("{:?}", parked.parked)
        };
        assert!(expected.contains("with input 1 and"), "{expected}");
        assert!(recorded.contains("with input 0 and"), "{recorded}");
        let history = amends.client().history("bad").await.unwrap();
        let scheduled = history
            .iter()
            .filter(|event| event.attributes.kind() == "ActivityTaskScheduled");
        assert_eq!(scheduled.count(), 1, "what was decided in that turn is not recorded");
        amends.shutdown(SECOND).await;
    });
}

/// A thread wakes code that also waits for a month: it is not left to be found then.
#[test]
fn a_foreign_wake_beside_a_month_of_sleep_parks_the_run_when_it_comes() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let (ring, _) = tokio::sync::broadcast::channel::<()>(1);
        let bell = ring.clone();
        let foreign = workflow("bad", move |cx, _| {
            let mut bell = bell.subscribe();
            async move {
                let month = Duration::from_secs(30 * 24 * 3_600);
                let rung = Box::pin(async move { bell.recv().await.is_ok() });
                let first = futures_util::future::select(cx.sleep(month), rung).await;
                Ok(json!(matches!(first, futures_util::future::Either::Right(_))))
            }
        });
        let amends = one_shard(&home, &clock)
            .workflow_definition(foreign)
            .start()
            .await
            .unwrap();
        let parked = among_good_runs(&amends, async {
            amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
            assert_eq!(
                ring.send(()).ok(),
                Some(1),
                "the code listens, and nothing else happens to it"
            );
            until_status(&amends, "bad", RunStatus::Parked).await
        })
        .await;
        assert_eq!(parked.parked, Some(ParkReason::ForeignFuture));
        amends.shutdown(SECOND).await;
    });
}
