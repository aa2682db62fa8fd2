//! Starting runs and talking to them. Must not live here: time, restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::machine::Rejection;
use amends::store::ListQuery;
use amends::{
    ActivityContext, Error, Failure, Outcome, ResultError, RunStatus, Undo, WorkflowContext, activity, workflow as flow,
};
use serde_json::{Value, json};

use crate::support::{Gate, Home, Recorder, activity as named_activity, run, workflow};

#[activity(start_to_close = "5s", compensate = release)]
async fn reserve(cx: ActivityContext, item: String) -> Result<u32, Failure> {
    cx.state::<Recorder>().unwrap().note(format!("reserve {item}"));
    Ok(7)
}

#[activity]
async fn release(cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> {
    let Undo { input, output, .. } = undo;
    cx.state::<Recorder>()
        .unwrap()
        .note(format!("release {input} {output:?}"));
    Ok(())
}

#[flow]
async fn order(cx: WorkflowContext, item: String) -> Result<u32, Failure> {
    let reservation = cx.saga().run(reserve, &item).await?;
    cx.signal::<()>("confirm").recv().await?;
    Ok(reservation)
}

#[test]
fn a_run_is_started_described_listed_and_ends_with_its_result() {
    for home in Home::each() {
        run(async {
            let recorder = Recorder::new();
            let builder = home.builder().state(recorder.clone());
            let amends = builder
                .activity(reserve)
                .activity(release)
                .workflow(order)
                .start()
                .await
                .unwrap();
            let run = amends
                .workflow(order)
                .id("order-1")
                .start(&"book".to_owned())
                .await
                .unwrap();
            recorder.until("reserve book", 1).await;
            run.signal("confirm", &()).await.unwrap();
            assert_eq!(run.result().await.unwrap(), 7);
            assert_eq!(run.result().await.unwrap(), 7, "as often as one likes");

            let description = amends.client().describe("order-1").await.unwrap();
            assert_eq!(description.status, RunStatus::Completed);
            assert_eq!(description.run_id, run.run_id());
            assert_eq!(description.steps.len(), 1);
            let history = amends.client().history("order-1").await.unwrap();
            let ids: Vec<u64> = history.iter().map(|event| event.id.0).collect();
            assert!(ids.is_sorted() && ids.first() == Some(&1));
            let listed = amends.client().list(&ListQuery::default()).await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].status, RunStatus::Completed);
            let found = amends.find("order-1").await.unwrap();
            assert_eq!(found.result().await.unwrap(), json!(7), "also by its id");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_cancelled_run_undoes_its_steps_and_a_terminated_one_does_not() {
    for home in Home::each() {
        run(async {
            let recorder = Recorder::new();
            let builder = home.builder().state(recorder.clone());
            let amends = builder
                .activity(reserve)
                .activity(release)
                .workflow(order)
                .start()
                .await
                .unwrap();
            let canceled = amends.workflow(order).id("c").start(&"cup".to_owned()).await.unwrap();
            let terminated = amends.workflow(order).id("t").start(&"tea".to_owned()).await.unwrap();
            recorder.until("reserve cup", 1).await;
            recorder.until("reserve tea", 1).await;
            canceled.cancel("no cups").await.unwrap();
            assert!(matches!(canceled.result().await, Err(ResultError::Amended(failure)) if failure.is_canceled()));
            terminated.terminate("no tea").await.unwrap();
            let outcome = terminated.outcome().await.unwrap();
            assert_eq!(
                outcome,
                Outcome::Terminated {
                    reason: "no tea".to_owned()
                }
            );
            assert_eq!(recorder.count("release cup Some(7)"), 1);
            assert_eq!(recorder.len(), 3, "{:?}", recorder.all());
            for request in [
                canceled.signal("confirm", &()).await,
                canceled.cancel("again").await,
                terminated.terminate("again").await,
            ] {
                assert!(
                    matches!(request, Err(Error::Rejected(Rejection::Closed))),
                    "{request:?}"
                );
            }
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

#[test]
fn an_id_is_started_once_and_a_request_is_answered_the_same_each_time() {
    for home in Home::each() {
        run(async {
            let amends = home.counting().await;
            let start = |request: Option<&str>| {
                let starter = amends.workflow_by_name("count").id("only");
                match request {
                    Some(request) => starter.request_id(request),
                    None => starter,
                }
            };
            let first = start(Some("r1")).start(&json!(1)).await.unwrap();
            let again = start(Some("r1")).start(&json!(1)).await.unwrap();
            assert_eq!(again.run_id(), first.run_id());
            for request in [None, Some("r2")] {
                match start(request).start(&json!(1)).await {
                    Err(Error::AlreadyStarted { run_id, status, .. }) => {
                        assert_eq!((run_id, status), (first.run_id(), RunStatus::Running));
                    }
                    other => panic!("{other:?}"),
                }
            }
            first.signal("go", &1).await.unwrap();
            assert_eq!(again.result().await.unwrap(), json!([1]), "both wait for the same run");
            let closed = start(Some("r1")).start(&json!(1)).await.unwrap();
            assert_eq!(closed.result().await.unwrap(), json!([1]));
            match start(Some("r2")).start(&json!(1)).await {
                Err(Error::AlreadyStarted { run_id, status, .. }) => {
                    assert_eq!((run_id, status), (first.run_id(), RunStatus::Completed));
                }
                other => panic!("{other:?}"),
            }
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

#[test]
fn of_a_hundred_starts_at_once_one_wins() {
    run(async {
        let amends = Home::memory().counting().await;
        let starts = (0..100).map(|_| {
            let amends = amends.clone();
            tokio::spawn(async move { amends.workflow_by_name("count").id("only").start(&json!(1)).await })
        });
        let mut won = 0;
        let mut runs = BTreeSet::new();
        for start in starts.collect::<Vec<_>>() {
            match start.await.unwrap() {
                Ok(run) => {
                    won += 1;
                    runs.insert(run.run_id());
                }
                Err(Error::AlreadyStarted { run_id, .. }) => drop(runs.insert(run_id)),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((won, runs.len()), (1, 1));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_signal_with_a_request_id_counts_once() {
    for home in Home::each() {
        run(async {
            let amends = home.counting().await;
            let run = amends.workflow_by_name("count").id("c").start(&json!(3)).await.unwrap();
            for (request, value) in [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5)] {
                let options = SignalOptions {
                    request_id: Some(request.to_owned()),
                    ..SignalOptions::default()
                };
                amends.client().signal_with("c", "go", &value, options).await.unwrap();
            }
            assert_eq!(run.result().await.unwrap(), json!([1, 2, 5]));
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

#[test]
fn what_does_not_exist_is_not_found_and_what_is_not_registered_is_named() {
    run(async {
        let home = Home::memory();
        let amends = home.counting().await;
        assert!(matches!(
            amends.client().signal("x", "go", &1).await,
            Err(Error::NotFound(_))
        ));
        assert!(matches!(amends.client().cancel("x", "").await, Err(Error::NotFound(_))));
        assert!(matches!(amends.client().describe("x").await, Err(Error::NotFound(_))));
        assert!(matches!(amends.find("x").await, Err(Error::NotFound(_))));
        assert!(matches!(amends.client().describe("").await, Err(Error::Id(_))));
        match amends.workflow_by_name("sum").start(&json!(1)).await {
            Err(Error::UnknownWorkflow { name, known }) => {
                assert_eq!((&*name, &*known), ("sum", &["count".to_owned()][..]))
            }
            other => panic!("{other:?}"),
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

/// A request that arrives while its run ends is either taken or refused; whoever asks never hears "perhaps".
#[test]
fn requests_that_meet_the_end_of_their_run_get_a_clear_answer() {
    run(async {
        let home = Home::memory();
        let amends = home.counting().await;
        for round in 0..100 {
            let id = format!("c{round}");
            let started = amends.workflow_by_name("count").id(&id).start(&json!(1)).await.unwrap();
            let requests = (0..30).map(|number| {
                let (amends, id) = (amends.clone(), id.clone());
                tokio::spawn(async move {
                    match number % 3 {
                        0 => amends
                            .workflow_by_name("count")
                            .id(&id)
                            .start(&json!(1))
                            .await
                            .map(drop),
                        _ => amends.client().signal(&id, "go", &number).await,
                    }
                })
            });
            for request in requests.collect::<Vec<_>>() {
                match request.await.unwrap() {
                    Ok(()) | Err(Error::Rejected(Rejection::Closed) | Error::AlreadyStarted { .. }) => {}
                    Err(other) => panic!("round {round}: {other}"),
                }
            }
            assert!(started.result().await.is_ok());
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_failed_workflow_without_steps_fails_and_cancelled_it_is_canceled() {
    run(async {
        let gate = Gate::shut();
        let held = gate.clone();
        let home = Home::memory();
        let builder = home.builder().activity_definition(named_activity("wait", move |cx, _| {
            let held = held.clone();
            async move {
                tokio::select! {
                    () = held.passed() => Ok(Value::Null),
                    () = cx.canceled() => Err(Failure::canceled("as asked")),
                }
            }
        }));
        let amends = builder
            .workflow_definition(workflow("fails", |_, input| async move {
                Err(Failure::new("Broken", input.to_string()))
            }))
            .workflow_definition(workflow("waits", |cx, _| async move {
                cx.activity_by_name::<Value>("wait", &()).await
            }))
            .start()
            .await
            .unwrap();
        let failed = amends.workflow_by_name("fails").start(&json!("glass")).await.unwrap();
        assert!(matches!(failed.result().await, Err(ResultError::Failed(failure)) if failure.is_type("Broken")));
        let canceled = amends.workflow_by_name("waits").start(&json!(0)).await.unwrap();
        canceled.cancel("enough").await.unwrap();
        assert!(matches!(canceled.result().await, Err(ResultError::Canceled(_))));
        amends.shutdown(Duration::ZERO).await;
    });
}
