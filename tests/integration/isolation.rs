//! One bad run never stops another: whatever goes wrong in a run's own code or data leaves it in a state that can be seen,
//! while a hundred others on the same shard end as they should. Must not live here: failing stores (`store_failure`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use amends::engine::RunDescription;
use amends::model::{ParkReason, RunId, WorkflowId};
use amends::store::{ListQuery, NewRun, Store, TurnRecord};
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, Error, Failure, ResultError, RetryPolicy, RunStatus, WorkflowDefinition};
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::support::{
    Home, Recorder, activity, counting_workflow, run, until_status, until_status_as_time_passes, workflow,
};

const SECOND: Duration = Duration::from_secs(1);

/// An engine of one shard, on whose only thread the bad run meets the good ones.
fn one_shard(home: &Home, clock: &VirtualClock) -> AmendsBuilder {
    home.builder()
        .shards(1)
        .clock(Arc::new(clock.clone()))
        .passivate_after(SECOND * 3_600)
        .activity_definition(activity("work", |_, input| async move { Ok(input) }))
        .workflow_definition(workflow("good", |cx, input| async move {
            let worked: Value = cx.activity_by_name("work", &input).await?;
            cx.signal::<()>("go").recv().await?;
            cx.activity_by_name("work", &worked).await
        }))
        .workflow_definition(counting_workflow("count"))
}

/// A hundred good runs, begun before and ended after whatever happens in between.
async fn among_good_runs<T>(amends: &Amends, happening: impl Future<Output = T>) -> T {
    let mut runs = Vec::new();
    for number in 0..100 {
        runs.push(amends.workflow_by_name("good").start(&json!(number)).await.unwrap());
    }
    let happened = happening.await;
    for run in &runs {
        run.signal("go", &()).await.unwrap();
    }
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(run.result().await.unwrap(), json!(number));
    }
    happened
}

async fn listed(amends: &Amends, status: RunStatus) -> Vec<String> {
    let query = ListQuery {
        statuses: vec![status],
        ..ListQuery::default()
    };
    let heads = amends.client().list(&query).await.unwrap();
    heads.into_iter().map(|head| head.workflow_id.to_string()).collect()
}

#[test]
fn a_panicking_activity_is_a_failed_attempt() {
    run(async {
        let (home, clock, tries) = (Home::memory(), VirtualClock::new(), Arc::new(AtomicU32::new(0)));
        let builder = one_shard(&home, &clock).activity_definition(activity("panics", move |_, _| {
            let attempt = tries.fetch_add(1, Ordering::SeqCst);
            async move { panic!("attempt {attempt} fell over") }
        }));
        let builder = builder.workflow_definition(workflow("bad", |cx, _| async move {
            let retry = RetryPolicy {
                initial_interval: Duration::ZERO,
                maximum_attempts: 3,
                ..RetryPolicy::default()
            };
            cx.activity_by_name::<Value>("panics", &()).retry(retry).await
        }));
        let amends = builder.start().await.unwrap();
        among_good_runs(&amends, async {
            let bad = amends.workflow_by_name("bad").start(&json!(0)).await.unwrap();
            match bad.result().await {
                Err(ResultError::Failed(failure)) => {
                    assert!(
                        failure.is_type("Panic") && failure.to_string().contains("attempt 2 fell over"),
                        "{failure}"
                    );
                }
                other => panic!("{other:?}"),
            }
        })
        .await;
        amends.shutdown(SECOND).await;
    });
}

/// A panic may be an accident: it is tried again a few times, then the run is parked, and its signals are kept.
#[test]
fn a_panicking_workflow_is_tried_again_then_parked_and_goes_on_with_better_code() {
    let (home, clock, polls) = (Home::sled(), VirtualClock::new(), Arc::new(AtomicU32::new(0)));
    run(async {
        let polled = polls.clone();
        let builder = one_shard(&home, &clock).workflow_definition(workflow("bad", move |cx, _| {
            let polled = polled.clone();
            async move {
                let value: Value = cx.signal("value").recv().await?;
                polled.fetch_add(1, Ordering::SeqCst);
                panic!("cannot stand {value}")
            }
        }));
        let amends = builder.start().await.unwrap();
        let parked = among_good_runs(&amends, async {
            let bad = amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
            bad.signal("value", &13).await.unwrap();
            until_status_as_time_passes(&amends, &clock, "bad", RunStatus::Parked).await
        })
        .await;
        let message = "cannot stand 13".to_owned();
        assert_eq!(parked.parked, Some(ParkReason::Panicked { message }));
        assert_eq!(listed(&amends, RunStatus::Parked).await, ["bad"]);
        assert_eq!(polls.load(Ordering::SeqCst), amends::model::limits::TURN_FAILURES_MAX);
        amends.client().signal("bad", "value", &14).await.unwrap();
        amends.shutdown(SECOND).await;
    });
    run(async {
        let better = workflow("bad", |cx, _| async move {
            let signals = cx.signal::<Value>("value");
            Ok(json!([signals.recv().await?, signals.recv().await?]))
        });
        let amends = one_shard(&home, &clock)
            .workflow_definition(better)
            .start()
            .await
            .unwrap();
        assert_eq!(
            amends.find("bad").await.unwrap().result().await.unwrap(),
            json!([13, 14])
        );
        amends.shutdown(SECOND).await;
    });
}

/// Accidents count together only when they come in a row.
#[test]
fn a_run_that_recovers_between_panics_is_not_parked() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let panics = Arc::new(AtomicBool::new(false));
        let panicking = panics.clone();
        let builder = one_shard(&home, &clock).workflow_definition(workflow("shaky", move |cx, wanted| {
            let panicking = panicking.clone();
            async move {
                let signals = cx.signal::<u64>("go");
                for _ in 0..wanted.as_u64().unwrap_or(0) {
                    signals.recv().await?;
                    assert!(!panicking.swap(false, Ordering::SeqCst), "an accident");
                }
                Ok(wanted)
            }
        }));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("shaky").id("s").start(&json!(8)).await.unwrap();
        for _ in 0..4 {
            panics.store(true, Ordering::SeqCst);
            run.signal("go", &1).await.unwrap();
            while panics.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            // The signal waits for the run's restart, if need be.
            let signalling = run.signal("go", &2);
            tokio::pin!(signalling);
            loop {
                if let Some(answer) = signalling.as_mut().now_or_never() {
                    break answer.unwrap();
                }
                clock.advance(Duration::from_millis(10));
                tokio::task::yield_now().await;
            }
            assert_eq!(run.describe().await.unwrap().parked, None);
        }
        assert_eq!(run.result().await.unwrap(), json!(8));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_workflow_that_awaits_a_foreign_future_is_parked() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        #[expect(clippy::disallowed_methods, reason = "the mistake that this test is about")]
        let foreign = workflow("bad", |_, _| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(Value::Null)
        });
        let amends = one_shard(&home, &clock)
            .workflow_definition(foreign)
            .start()
            .await
            .unwrap();
        let parked = among_good_runs(&amends, async {
            amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
            until_status(&amends, "bad", RunStatus::Parked).await
        })
        .await;
        assert_eq!(parked.parked, Some(ParkReason::ForeignFuture));
        let run = amends.find("bad").await.unwrap();
        run.terminate("hopeless").await.unwrap();
        assert!(
            matches!(run.result().await, Err(ResultError::Terminated { .. })),
            "a parked run can be ended"
        );
        amends.shutdown(SECOND).await;
    });
}

/// Works, waits, and then works (or naps, if it is the other version) before it is done.
fn version(naps_first: bool) -> WorkflowDefinition {
    workflow("changing", move |cx, input| async move {
        if naps_first {
            cx.sleep(SECOND).await?;
        }
        let worked: Value = cx.activity_by_name("work", &input).await?;
        cx.signal::<()>("go").recv().await?;
        cx.activity_by_name("work", &worked).await
    })
}

#[test]
fn a_workflow_that_was_changed_is_parked_with_the_difference_until_its_code_is_back() {
    for home in Home::each() {
        let clock = VirtualClock::new();
        run(async {
            let amends = one_shard(&home, &clock)
                .workflow_definition(version(false))
                .start()
                .await
                .unwrap();
            let run = amends
                .workflow_by_name("changing")
                .id("c")
                .start(&json!(5))
                .await
                .unwrap();
            until_pending(&amends, "c", 0).await;
            run.signal("unrelated", &()).await.unwrap();
            amends.shutdown(SECOND).await;
        });
        run(async {
            let amends = one_shard(&home, &clock)
                .workflow_definition(version(true))
                .start()
                .await
                .unwrap();
            let parked = among_good_runs(&amends, async {
                amends.client().signal("c", "go", &()).await.unwrap();
                until_status(&amends, "c", RunStatus::Parked).await
            })
            .await;
            match parked.parked {
                Some(ParkReason::Nondeterminism { at, expected, recorded }) => {
                    assert_eq!(at, 5);
                    assert_eq!(expected, "StartTimer (id 1)");
                    assert_eq!(recorded, "ActivityTaskScheduled work (id 1)");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(listed(&amends, RunStatus::Parked).await, ["c"]);
            amends.shutdown(SECOND).await;
        });
        run(async {
            let amends = one_shard(&home, &clock)
                .workflow_definition(version(false))
                .start()
                .await
                .unwrap();
            let run = amends.find("c").await.unwrap();
            assert_eq!(
                run.result().await.unwrap(),
                json!(5),
                "nothing was lost while it was parked"
            );
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

/// Waits until the run has so many activities that have not ended, and its code waits.
async fn until_pending(amends: &Amends, workflow_id: &str, wanted: usize) -> RunDescription {
    loop {
        let description = amends.client().describe(workflow_id).await.unwrap();
        let events = amends.client().history(workflow_id).await.unwrap().len();
        if description.pending.len() == wanted && events > 4 {
            return description;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_run_whose_workflow_nobody_registered_is_parked_until_somebody_does() {
    let (home, clock) = (Home::sled(), VirtualClock::new());
    run(async {
        let amends = one_shard(&home, &clock)
            .workflow_definition(version(false))
            .start()
            .await
            .unwrap();
        amends
            .workflow_by_name("changing")
            .id("c")
            .start(&json!(5))
            .await
            .unwrap();
        until_pending(&amends, "c", 0).await;
        amends.shutdown(SECOND).await;
    });
    run(async {
        let amends = one_shard(&home, &clock).start().await.unwrap();
        let parked = among_good_runs(&amends, async {
            amends.client().signal("c", "go", &()).await.unwrap();
            until_status(&amends, "c", RunStatus::Parked).await
        })
        .await;
        let workflow_type = "changing".to_owned();
        assert_eq!(parked.parked, Some(ParkReason::UnknownWorkflow { workflow_type }));
        amends.shutdown(SECOND).await;
    });
    run(async {
        let amends = one_shard(&home, &clock)
            .workflow_definition(version(false))
            .start()
            .await
            .unwrap();
        assert_eq!(amends.find("c").await.unwrap().result().await.unwrap(), json!(5));
        amends.shutdown(SECOND).await;
    });
}

/// Puts a run into the store whose only turn is not one.
fn damage(store: &dyn Store, workflow_id: &str) {
    let record = TurnRecord {
        run_id: RunId::from_parts(1_000, &[7; 10]),
        seq: 1,
        time: amends::Timestamp::EPOCH,
        bytes: bytes::Bytes::from_static(b"\x01this is not a turn"),
        status: RunStatus::Running,
        next_event: 2,
        wake: Some(amends::Timestamp::EPOCH),
        opens: Some(NewRun {
            workflow_id: WorkflowId::new(workflow_id).unwrap(),
            workflow_type: amends::model::WorkflowType::new("good").unwrap(),
        }),
    };
    let batch = amends::store::CommitBatch {
        turns: vec![record],
        definitions: Vec::new(),
    };
    store.commit(store.claim().unwrap(), &batch).unwrap();
}

#[test]
fn a_damaged_run_says_so_to_everybody_who_asks_for_it() {
    for home in Home::each() {
        match &home {
            Home::Memory(memory) => damage(memory, "damaged"),
            Home::Sled(directory) => damage(&*crate::support::open_sled(directory.path()).unwrap(), "damaged"),
        }
        run(async {
            let clock = VirtualClock::new();
            let amends = one_shard(&home, &clock).start().await.unwrap();
            let is_damage = |error: &Error| {
                error.code().to_string() == "E0023" && error.to_string().contains("damaged data of run")
            };
            among_good_runs(&amends, async {
                let run = amends.find("damaged").await.unwrap();
                let signal = run.signal("go", &()).await.unwrap_err();
                assert!(is_damage(&signal), "{signal}");
                match run.result().await {
                    Err(ResultError::Engine(error)) => assert!(is_damage(&error), "{error}"),
                    other => panic!("{other:?}"),
                }
                let described = run.describe().await.unwrap_err();
                assert!(is_damage(&described), "{described}");
                let start = amends
                    .workflow_by_name("good")
                    .id("damaged")
                    .start(&json!(1))
                    .await
                    .unwrap_err();
                assert!(is_damage(&start), "{start}");
            })
            .await;
            assert_eq!(listed(&amends, RunStatus::Running).await, ["damaged"]);
            amends.shutdown(SECOND).await;
        });
    }
}

/// Code that wakes itself for ever would hold the shard's thread: it is stopped and parked.
#[test]
fn a_workflow_that_never_comes_to_rest_is_parked() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let restless = workflow("bad", move |_, _| {
            noted.note("begun");
            futures_util::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::<Result<Value, Failure>>::Pending
            })
        });
        let amends = one_shard(&home, &clock)
            .workflow_definition(restless)
            .start()
            .await
            .unwrap();
        let parked = among_good_runs(&amends, async {
            amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
            until_status(&amends, "bad", RunStatus::Parked).await
        })
        .await;
        assert!(
            matches!(parked.parked, Some(ParkReason::BadCommand { .. })),
            "{:?}",
            parked.parked
        );
        assert_eq!(recorder.len(), 1);
        amends.shutdown(SECOND).await;
    });
}
