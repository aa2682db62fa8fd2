//! Stopping and starting engines: what is kept, what goes on, what callers hear. Must not live here: deaths (`crash`).

use std::sync::Arc;
use std::time::Duration;

use amends::testing::{StoreFaults, VirtualClock};
use amends::{ActivityDefinition, Amends, Error, Failure, ResultError, RetryPolicy, RunStatus};
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Gate, Home, Recorder, activity, counting_workflow, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Two activities in a row, the first of them held up by a gate.
fn two_steps() -> amends::WorkflowDefinition {
    workflow("two", |cx, input| async move {
        let first: Value = cx.activity_by_name("first", &input).await?;
        let second: Value = cx.activity_by_name("second", &input).await?;
        Ok(json!([first, second]))
    })
}

fn held(name: &'static str, recorder: &Recorder, gate: &Gate) -> ActivityDefinition {
    let (recorder, gate) = (recorder.clone(), gate.clone());
    activity(name, move |cx, input| {
        let (recorder, gate) = (recorder.clone(), gate.clone());
        async move {
            recorder.note(format!("{name} {}", cx.info().attempt));
            gate.passed().await;
            recorder.note(format!("{name} done"));
            Ok(input)
        }
    })
}

#[test]
fn results_and_open_runs_survive_a_restart() {
    for home in Home::each() {
        let first = run(async {
            let amends = home.counting().await;
            let closed = amends
                .workflow_by_name("count")
                .id("closed")
                .request_id("r")
                .start(&json!(1))
                .await
                .unwrap();
            closed.signal("go", &1).await.unwrap();
            closed.result().await.unwrap();
            let open = amends
                .workflow_by_name("count")
                .id("open")
                .start(&json!(2))
                .await
                .unwrap();
            open.signal("go", &1).await.unwrap();
            amends.shutdown(SECOND).await;
            closed.run_id()
        });
        run(async {
            let amends = home.counting().await;
            let closed = amends.find("closed").await.unwrap();
            assert_eq!(closed.run_id(), first);
            assert_eq!(closed.result().await.unwrap(), json!([1]));
            let again = amends
                .workflow_by_name("count")
                .id("closed")
                .request_id("r")
                .start(&json!(1))
                .await
                .unwrap();
            assert_eq!(again.run_id(), first);
            let open = amends.find("open").await.unwrap();
            let waiting = tokio::spawn(async move { open.result().await });
            amends.client().signal("open", "go", &2).await.unwrap();
            assert_eq!(waiting.await.unwrap().unwrap(), json!([1, 2]));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_store_is_free_for_the_next_engine_once_shutdown_returns() {
    run(async {
        let home = Home::sled();
        let amends = home.counting().await;
        let run = amends.workflow_by_name("count").id("c").start(&json!(1)).await.unwrap();
        match home.builder().start().await {
            Err(error @ Error::Store(amends::store::Error::InUse { .. })) => {
                assert_eq!(error.code().to_string(), "E0020")
            }
            other => panic!("{:?}", other.map(drop)),
        }
        amends.shutdown(SECOND).await;
        // The old engine is still held, and says what it is.
        let next = home.counting().await;
        assert!(matches!(
            run.result().await,
            Err(ResultError::Engine(Error::ShuttingDown))
        ));
        assert!(matches!(amends.client().describe("c").await, Err(Error::ShuttingDown)));
        assert!(matches!(run.signal("go", &1).await, Err(Error::ShuttingDown)));
        let start = amends.workflow_by_name("count").start(&json!(1)).await;
        assert!(matches!(start, Err(Error::ShuttingDown)), "{start:?}");
        next.client().signal("c", "go", &1).await.unwrap();
        assert_eq!(next.find("c").await.unwrap().result().await.unwrap(), json!([1]));
        next.shutdown(SECOND).await;
    });
}

/// The second attempt, which is the last one, is due between two engines: the next one makes it, instead of counting it as lost.
#[test]
fn an_attempt_that_comes_due_while_no_engine_runs_is_made_by_the_next_one() {
    for home in Home::each() {
        run(async {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let engine = || {
                let noted = recorder.clone();
                let flaky = activity("flaky", move |cx, _| {
                    noted.note(format!("attempt {}", cx.info().attempt));
                    async move {
                        match cx.info().attempt {
                            1 => Err(Failure::new("Busy", "").retry_after(SECOND * 60)),
                            _ => Ok(json!("done")),
                        }
                    }
                });
                let calling = workflow("calling", |cx, _| async move {
                    let retry = RetryPolicy {
                        maximum_attempts: 2,
                        ..RetryPolicy::default()
                    };
                    cx.activity_by_name::<Value>("flaky", &()).retry(retry).await
                });
                let builder = home.builder().clock(Arc::new(clock.clone()));
                builder.activity_definition(flaky).workflow_definition(calling)
            };
            let amends = engine().start().await.unwrap();
            amends
                .workflow_by_name("calling")
                .id("w")
                .start(&json!(0))
                .await
                .unwrap();
            until_pending(&amends, "w", |pending| pending.attempt == 2).await;
            amends.shutdown(Duration::ZERO).await;
            // Who writes meanwhile begins nothing either.
            clock.advance(SECOND * 45);
            home.offline().prune(SECOND, &mut |_| {}).unwrap();
            clock.advance(SECOND * 45);

            let amends = engine().start().await.unwrap();
            let called = amends.find("w").await.unwrap();
            assert_eq!(called.result().await.unwrap(), json!("done"));
            assert_eq!(recorder.all(), ["attempt 1", "attempt 2"]);
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn a_graceful_shutdown_waits_for_running_attempts_and_records_them() {
    for home in Home::each() {
        let (recorder, gate) = (Recorder::new(), Gate::shut());
        let builder = || {
            home.builder()
                .activity_definition(held("first", &recorder, &gate))
                .activity_definition(held("second", &recorder, &gate))
                .workflow_definition(two_steps())
        };
        run(async {
            let amends = builder().start().await.unwrap();
            for number in 0..20 {
                amends
                    .workflow_by_name("two")
                    .id(format!("t{number}"))
                    .start(&json!(number))
                    .await
                    .unwrap();
            }
            recorder.until("first 1", 20).await;
            let waiting = tokio::spawn({
                let run = amends.find("t0").await.unwrap();
                async move { run.result().await }
            });
            let stopping = tokio::spawn({
                let amends = amends.clone();
                async move { amends.shutdown(SECOND * 60).await }
            });
            // Once requests are refused, the engine drains.
            while !matches!(amends.client().signal("t0", "x", &0).await, Err(Error::ShuttingDown)) {
                tokio::task::yield_now().await;
            }
            gate.open();
            stopping.await.unwrap();
            assert!(matches!(
                waiting.await.unwrap(),
                Err(ResultError::Engine(Error::ShuttingDown))
            ));
        });
        assert_eq!(recorder.count("first done"), 20);
        assert_eq!(recorder.len(), 40, "no second attempt began: {:?}", recorder.all());
        run(async {
            let amends = builder().start().await.unwrap();
            for number in 0..20 {
                let run = amends.find(&format!("t{number}")).await.unwrap();
                assert_eq!(run.result().await.unwrap(), json!([number, number]));
            }
            amends.shutdown(SECOND).await;
        });
        assert_eq!(
            (recorder.count("first 1"), recorder.count("second 1")),
            (20, 20),
            "{:?}",
            recorder.all()
        );
    }
}

#[test]
fn after_the_grace_attempts_are_cut_off_and_tried_again_by_the_next_engine() {
    let (home, recorder, gate) = (Home::sled(), Recorder::new(), Gate::shut());
    let builder = || {
        home.builder()
            .activity_definition(held("first", &recorder, &gate))
            .activity_definition(held("second", &recorder, &gate))
            .workflow_definition(two_steps())
    };
    run(async {
        let clock = VirtualClock::new();
        let amends = builder().clock(Arc::new(clock.clone())).start().await.unwrap();
        amends.workflow_by_name("two").id("t").start(&json!(1)).await.unwrap();
        recorder.until("first 1", 1).await;
        let stopping = tokio::spawn(async move { amends.shutdown(SECOND * 7).await });
        clock.pass(SECOND * 7).await;
        stopping.await.unwrap();
    });
    gate.open();
    run(async {
        let amends = builder().start().await.unwrap();
        assert_eq!(amends.find("t").await.unwrap().result().await.unwrap(), json!([1, 1]));
        amends.shutdown(SECOND).await;
    });
    assert_eq!(
        recorder.all(),
        ["first 1", "first 2", "first done", "second 1", "second done"]
    );
}

/// Two hundred starts race with a shutdown: each is either there afterwards, or its caller was told that it is not taken.
#[test]
fn requests_that_meet_a_shutdown_are_answered_and_what_was_acknowledged_is_kept() {
    for home in Home::each() {
        let acknowledged = run(async {
            let amends = home.counting().await;
            let starts: Vec<_> = (0..200)
                .map(|number| {
                    let amends = amends.clone();
                    tokio::spawn(async move {
                        let starter = amends.workflow_by_name("count").id(format!("c{number}"));
                        starter.start(&json!(1)).await.map(|run| run.workflow_id().to_string())
                    })
                })
                .collect();
            // In the middle of them, if they are quick enough; it must hold at any time.
            while amends.client().store_stats().is_ok_and(|stats| stats.turns < 20) {
                tokio::task::yield_now().await;
            }
            amends.shutdown(SECOND * 60).await;
            let mut acknowledged = Vec::new();
            for start in starts {
                match start.await.unwrap() {
                    Ok(id) => acknowledged.push(id),
                    Err(Error::ShuttingDown) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            acknowledged
        });
        run(async {
            let amends = home.counting().await;
            for id in &acknowledged {
                amends.client().signal(id, "go", &1).await.unwrap();
                assert!(amends.find(id).await.unwrap().result().await.is_ok());
            }
            amends.shutdown(SECOND).await;
        });
        assert!(acknowledged.len() >= 20);
    }
}

#[test]
fn a_full_queue_pushes_back() {
    run(async {
        let (home, faults, clock) = (Home::memory(), StoreFaults::new(), VirtualClock::new());
        let builder = home.faulty_builder(&faults).shards(1).clock(Arc::new(clock.clone()));
        let builder = builder.admission_timeout(SECOND * 3).passivate_after(SECOND * 3_600);
        let amends = builder
            .workflow_definition(counting_workflow("count"))
            .start()
            .await
            .unwrap();
        faults.hold();
        let start = |amends: Amends, id: String| {
            tokio::spawn(async move { amends.workflow_by_name("count").id(id).start(&json!(0)).await })
        };
        let max = amends::model::limits::SHARD_REQUESTS_MAX;
        let taken: Vec<_> = (0..max)
            .map(|number| start(amends.clone(), format!("c{number}")))
            .collect();
        // One too many: whichever comes last waits, then is refused.
        let extra = start(amends.clone(), "extra".to_owned());
        clock.pass(SECOND * 3).await;
        faults.release();
        let mut overloaded = 0;
        for start in taken.into_iter().chain([extra]) {
            match start.await.unwrap() {
                Ok(run) => assert_eq!(run.result().await.unwrap(), json!([])),
                Err(Error::Overloaded) => overloaded += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(overloaded, 1);
        assert!(start(amends.clone(), "later".to_owned()).await.unwrap().is_ok());
        until_status(&amends, "later", RunStatus::Completed).await;
        amends.shutdown(SECOND).await;
    });
}
