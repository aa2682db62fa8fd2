//! Code that panics. Must not live here: other bad code (`code`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::model::ParkReason;
use amends::testing::VirtualClock;
use amends::{Error, ResultError, RetryPolicy, RunStatus};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{SECOND, among_good_runs, listed, one_shard};
use crate::support::{Home, activity, run, until_status_as_time_passes, workflow};

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

/// Code that falls over at every fifth signal, and each time gets over it, while signals keep coming from all sides.
#[test]
fn runs_that_panic_now_and_then_lose_no_signal() {
    const RUNS: u64 = 10;
    const SIGNALS: u64 = 25;
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let panicked = Arc::new(Mutex::new(BTreeSet::new()));
        let builder = one_shard(&home, &clock).workflow_definition(workflow("shaky", move |cx, _| {
            let panicked = panicked.clone();
            async move {
                let (id, signals) = (cx.workflow_id().to_string(), cx.signal::<u64>("go"));
                let mut seen = BTreeSet::new();
                while (seen.len() as u64) < SIGNALS {
                    seen.insert(signals.recv().await?);
                    cx.activity_by_name::<Value>("work", &()).await?;
                    let accident = seen.len() % 5 == 0 && panicked.lock().unwrap().insert((id.clone(), seen.len()));
                    assert!(!accident, "accident {} of {id}", seen.len());
                }
                Ok(json!(seen))
            }
        }));
        let amends = builder.start().await.unwrap();
        let mut runs = Vec::new();
        for number in 0..RUNS {
            runs.push(
                amends
                    .workflow_by_name("shaky")
                    .id(format!("s{number}"))
                    .start(&json!(0))
                    .await
                    .unwrap(),
            );
        }
        let requests: Vec<_> = (0..RUNS * SIGNALS)
            .map(|number| {
                let client = amends.client();
                tokio::spawn(async move {
                    let (id, value) = (format!("s{}", number % RUNS), number / RUNS);
                    loop {
                        let options = SignalOptions {
                            request_id: Some(value.to_string()),
                            ..SignalOptions::default()
                        };
                        match client.signal_with(&id, "go", &value, options).await {
                            Err(Error::Interrupted) => tokio::task::yield_now().await,
                            other => return other.unwrap(),
                        }
                    }
                })
            })
            .collect();
        let results = tokio::spawn(async move {
            for run in runs {
                let all: Vec<u64> = (0..SIGNALS).collect();
                assert_eq!(run.result().await.unwrap(), json!(all));
            }
        });
        while !results.is_finished() {
            clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
        results.await.unwrap();
        for request in requests {
            request.await.unwrap();
        }
        amends.shutdown(SECOND).await;
    });
}
