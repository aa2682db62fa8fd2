//! Semantic locks over several shards: one at a time, in turn, across restarts. Must not live here: who gets what when (the
//! table's own tests).

use std::sync::Arc;
use std::time::Duration;

use amends::model::{Outcome, StepKind};
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Amends, AmendsBuilder, Failure, ResultError, RunStatus, WorkflowDefinition};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Takes the locks that its input names, one after the other; before each but the first, and before its end, it waits for
/// the signal `go`. What it does under its locks is noted.
fn locker() -> WorkflowDefinition {
    workflow("locker", |cx, names| async move {
        let go = cx.signal::<Value>("go");
        for (index, name) in names.as_array().into_iter().flatten().enumerate() {
            if index > 0 {
                go.recv().await?;
            }
            cx.saga().lock(name.as_str().unwrap_or("")).await?;
            cx.activity_by_name::<Value>("note", name).await?;
        }
        go.recv().await?;
        cx.activity_by_name::<Value>("note", &json!("last")).await
    })
}

/// Takes a lock, or says how it was refused.
fn asker(name: &'static str, timeout: Option<Duration>) -> WorkflowDefinition {
    workflow(name, move |cx, lock| async move {
        let call = cx.saga().lock(lock.as_str().unwrap_or(""));
        let call = match timeout {
            Some(timeout) => call.timeout(timeout),
            None => call.no_wait(),
        };
        Ok(call
            .await
            .map_or_else(|failure| json!(failure.root().to_string()), |()| json!("held")))
    })
}

fn with_all(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let recorder = recorder.clone();
    builder
        .shards(4)
        .activity_definition(activity("note", move |cx, input| {
            recorder.note(format!("{} {}", cx.info().workflow_id, input.as_str().unwrap_or("?")));
            async { Ok(Value::Null) }
        }))
        .workflow_definition(locker())
        .workflow_definition(asker("patient", Some(SECOND * 30)))
        .workflow_definition(asker("hasty", None))
}

async fn start(amends: &Amends, id: &str, locks: Value) {
    amends.workflow_by_name("locker").id(id).start(&locks).await.unwrap();
}

async fn go(amends: &Amends, id: &str) {
    amends.client().signal(id, "go", &json!(1)).await.unwrap();
}

fn line(amends: &Amends, lock: &str) -> Vec<String> {
    let line = amends.client().lock_line(lock).unwrap();
    line.iter().map(|place| place.workflow_id.to_string()).collect()
}

async fn until_line(amends: &Amends, lock: &str, wanted: &[&str]) {
    while line(amends, lock) != wanted {
        tokio::task::yield_now().await;
    }
}

#[test]
fn sagas_on_one_lock_are_serial_whatever_their_shards() {
    for home in Home::each() {
        run(async {
            let (recorder, held) = (Recorder::new(), Recorder::new());
            let noted = held.clone();
            let amends = with_all(home.builder(), &recorder)
                .activity_definition(activity("enter", move |_, input| {
                    noted.note("in");
                    let noted = noted.clone();
                    async move {
                        tokio::task::yield_now().await;
                        noted.note("out");
                        Ok(input)
                    }
                }))
                .workflow_definition(workflow("enters", |cx, input| async move {
                    cx.saga().lock("order:42").await?;
                    cx.activity_by_name::<Value>("enter", &input).await
                }))
                .start()
                .await
                .unwrap();
            let starts = (0..40).map(|number| {
                let amends = amends.clone();
                async move {
                    let starter = amends.workflow_by_name("enters").id(format!("e{number}"));
                    let run = starter.start(&json!(number)).await.unwrap();
                    run.result().await.unwrap()
                }
            });
            join_all(starts).await;
            let notes = held.all();
            assert_eq!(notes.len(), 80);
            assert!(notes.chunks(2).all(|pair| pair == ["in", "out"]), "{notes:?}");
            assert!(line(&amends, "order:42").is_empty());
            amends.shutdown(SECOND).await;
        });
    }
}

#[test]
fn a_lock_goes_to_those_who_wait_in_their_order_and_their_place_can_be_seen() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let ids = ["d", "a", "c", "b"];
        for (index, id) in ids.iter().enumerate() {
            start(&amends, id, json!(["x"])).await;
            until_line(&amends, "x", &ids[..=index]).await;
        }
        for (index, id) in ids.iter().enumerate() {
            recorder.until(&format!("{id} x"), 1).await;
            assert_eq!(line(&amends, "x"), ids[index..]);
            go(&amends, id).await;
        }
        until_line(&amends, "x", &[]).await;
        let expected = ids.iter().flat_map(|id| [format!("{id} x"), format!("{id} last")]);
        assert_eq!(recorder.all(), expected.collect::<Vec<_>>());
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn waiting_for_a_lock_has_an_end_if_asked_for() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let builder = with_all(home.builder(), &recorder).clock(Arc::new(clock.clone()));
        let amends = builder.passivate_after(SECOND * 3_600).start().await.unwrap();
        start(&amends, "holder", json!(["x"])).await;
        recorder.until("holder x", 1).await;
        let hasty = amends.workflow_by_name("hasty").start(&json!("x")).await.unwrap();
        let refused = hasty.result().await.unwrap();
        assert_eq!(refused, json!("LockHeld: the lock \"x\" is held by \"holder\""));
        let patient = amends.workflow_by_name("patient").start(&json!("x")).await.unwrap();
        clock.pass(SECOND * 30).await;
        let refused = patient.result().await.unwrap();
        assert!(refused.as_str().unwrap().starts_with("LockTimeout"), "{refused}");
        assert_eq!(line(&amends, "x"), ["holder"]);
        let patient = amends.workflow_by_name("patient").start(&json!("x")).await.unwrap();
        go(&amends, "holder").await;
        assert_eq!(patient.result().await.unwrap(), json!("held"));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_deadlock_is_named_and_ends_with_one_saga_turning_back() {
    run(async {
        let (home, recorder) = (Home::sled(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        start(&amends, "one", json!(["x", "y"])).await;
        start(&amends, "two", json!(["y", "x"])).await;
        recorder.until_len(2).await;
        go(&amends, "one").await;
        until_line(&amends, "y", &["two", "one"]).await;
        go(&amends, "two").await;
        let failed = amends.find("two").await.unwrap().outcome().await.unwrap();
        let Outcome::Failed(failure) = failed else {
            panic!("{failed:?}");
        };
        assert!(failure.is_type("Deadlock"), "{failure}");
        for part in [
            "\"two\" waits for \"x\", which \"one\" holds",
            "\"one\" waits for \"y\", which \"two\" holds",
        ] {
            assert!(failure.to_string().contains(part), "{failure}");
        }
        recorder.until("one y", 1).await;
        go(&amends, "one").await;
        until_status(&amends, "one", RunStatus::Completed).await;
        amends.shutdown(SECOND).await;
    });
}

/// Nobody gets a lock behind the back of its holder, whoever is made live first. Runs that wait or hold leave memory
/// meanwhile, and are in line all the same.
#[test]
fn holders_and_the_line_survive_a_restart() {
    for home in Home::each() {
        let recorder = Recorder::new();
        for round in 0..3 {
            run(async {
                let builder = with_all(home.builder(), &recorder).passivate_after(Duration::from_millis(1));
                let amends = builder.start().await.unwrap();
                if round == 0 {
                    for (index, id) in ["a", "b", "c"].iter().enumerate() {
                        start(&amends, id, json!(["x"])).await;
                        until_line(&amends, "x", &["a", "b", "c"][..=index]).await;
                    }
                    recorder.until("a x", 1).await;
                } else {
                    start(&amends, &format!("new-{round}"), json!(["x"])).await;
                    let line_now = ["a", "b", "c", "new-1", "new-2"];
                    until_line(&amends, "x", &line_now[..3 + round]).await;
                }
                amends.shutdown(SECOND).await;
            });
        }
        assert_eq!(recorder.all(), ["a x"]);
        run(async {
            let amends = with_all(home.builder(), &recorder).start().await.unwrap();
            for id in ["a", "b", "c", "new-1", "new-2"] {
                recorder.until(&format!("{id} x"), 1).await;
                go(&amends, id).await;
                until_status(&amends, id, RunStatus::Completed).await;
            }
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

/// Everybody's memory is lost at each commit in turn, with and without the batch: never do two hold the lock.
#[test]
fn a_lost_memory_gives_no_lock_away() {
    for nth in 1..30 {
        run(async {
            let (home, faults, recorder) = (Home::memory(), StoreFaults::new(), Recorder::new());
            let inside = Recorder::new();
            let noted = inside.clone();
            let amends = with_all(home.faulty_builder(&faults), &recorder)
                .activity_definition(activity("enter", move |cx, input| {
                    noted.note(format!("in {}", cx.info().workflow_id));
                    async move { Ok(input) }
                }))
                .workflow_definition(workflow("enters", |cx, input| async move {
                    let saga = cx.saga();
                    saga.lock("x").await?;
                    for _ in 0..3 {
                        let step = saga.step_by_name::<_, Value>(StepKind::Compensatable, "enter", &input);
                        step.await?;
                    }
                    Ok(input)
                }))
                .start()
                .await
                .unwrap();
            let fault = match nth % 2 {
                0 => CommitFault::Lost,
                _ => CommitFault::Kept,
            };
            faults.fail_commit(nth, fault);
            for number in 0..4 {
                loop {
                    let starter = amends
                        .workflow_by_name("enters")
                        .id(format!("e{number}"))
                        .request_id("once");
                    match starter.start(&json!(number)).await {
                        Ok(_) => break,
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            }
            for number in 0..4 {
                until_status(&amends, &format!("e{number}"), RunStatus::Completed).await;
            }
            let mut turns = inside.all();
            turns.dedup();
            assert_eq!(turns.len(), 4, "commit {nth}: {turns:?}");
            amends.shutdown(SECOND).await;
        });
    }
}

#[test]
fn a_saga_keeps_its_locks_until_it_has_made_amends() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let (noted, clock) = (recorder.clone(), VirtualClock::new());
        let amends = with_all(home.builder(), &recorder)
            .clock(Arc::new(clock.clone()))
            .activity_definition(activity("do", |_, input| async move { Ok(input) }))
            .activity_definition(activity("undo", move |_, _| {
                noted.note("undo");
                async { Ok(Value::Null) }
            }))
            .workflow_definition(workflow("turns-back", |cx, _| async move {
                let saga = cx.saga();
                saga.lock("x").await?;
                let step = saga.step_by_name::<_, Value>(StepKind::Compensatable, "do", &json!(1));
                step.compensate_by_name("undo").await?;
                cx.signal::<Value>("go").recv().await?;
                Err(Failure::non_retryable("Enough", "it turns back"))
            }))
            .start()
            .await
            .unwrap();
        let first = amends
            .workflow_by_name("turns-back")
            .id("first")
            .start(&json!(0))
            .await
            .unwrap();
        until_line(&amends, "x", &["first"]).await;
        start(&amends, "next", json!(["x"])).await;
        until_line(&amends, "x", &["first", "next"]).await;
        go(&amends, "first").await;
        assert!(matches!(first.result().await, Err(ResultError::Amended(_))));
        recorder.until("next x", 1).await;
        assert_eq!(recorder.all(), ["undo", "next x"]);
        go(&amends, "next").await;
        let outcome = amends.find("next").await.unwrap().outcome().await.unwrap();
        assert!(matches!(outcome, Outcome::Completed(_)), "{outcome:?}");
        amends.shutdown(SECOND).await;
    });
}
