//! Code that was changed, is missing or does what it must not, and damaged data. Must not live here: panics (`panics`).

use std::time::Duration;

use amends::engine::RunDescription;
use amends::model::{ParkReason, RunId, WorkflowId};
use amends::store::{NewRun, Store, TurnRecord};
use amends::testing::VirtualClock;
use amends::{Amends, Error, Failure, ResultError, RunStatus, WorkflowDefinition};
use serde_json::{Value, json};

use super::{SECOND, among_good_runs, listed, one_shard};
use crate::support::{Home, Recorder, run, until_status, workflow};

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
        found_by: None,
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

/// What the machine refuses is recorded nowhere, but the code believes that it was done.
#[test]
fn a_run_that_was_parked_for_a_bad_command_keeps_its_reason_whatever_arrives() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let greedy = workflow("bad", |cx, _| async move {
            let naps = (0..=amends::model::limits::PENDING_MAX).map(|_| cx.sleep(SECOND));
            futures_util::future::join_all(naps).await;
            Ok(Value::Null)
        });
        let builder = one_shard(&home, &clock).workflow_definition(greedy);
        let amends = builder.start().await.unwrap();
        amends.workflow_by_name("bad").id("bad").start(&json!(0)).await.unwrap();
        let parked = until_status(&amends, "bad", RunStatus::Parked).await.parked;
        assert!(matches!(parked, Some(ParkReason::BadCommand { .. })), "{parked:?}");
        for _ in 0..3 {
            amends.client().signal("bad", "any", &()).await.unwrap();
        }
        assert_eq!(amends.client().describe("bad").await.unwrap().parked, parked);
        amends.shutdown(SECOND).await;
    });
}
