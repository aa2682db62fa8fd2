//! What callers and runs see of a store that fails and is opened again. Must not live here: damage on a disk (the store's
//! own tests), deaths of the process (`crash`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::machine::Rejection;
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{AmendsBuilder, Error, store};
use serde_json::{Value, json};

use crate::support::{Gate, Home, Recorder, activity, counting_workflow, run, workflow};

const SECOND: Duration = Duration::from_secs(1);

fn is_of_the_store(error: &Error) -> bool {
    matches!(error, Error::Interrupted | Error::Store(_))
}

/// Does a request again and again until it is not the store that refuses it: what a careful caller does.
async fn insist<T, R: Future<Output = Result<T, Error>>>(mut request: impl FnMut() -> R) -> Result<T, Error> {
    loop {
        match request().await {
            Err(error) if is_of_the_store(&error) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

/// A signal, an activity, a nap and another activity, that give back what they were given.
fn worker(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let recorder = recorder.clone();
    let builder = builder.activity_definition(activity("work", move |cx, input| {
        recorder.note(cx.info().idempotency_key.clone());
        async { Ok(input) }
    }));
    builder.workflow_definition(workflow("worker", |cx, _| async move {
        let first: Value = cx.signal("go").recv().await?;
        let second: Value = cx.activity_by_name("work", &first).await?;
        cx.sleep(Duration::from_millis(1)).await?;
        let third: Value = cx.activity_by_name("work", &second).await?;
        Ok(json!([first, second, third]))
    }))
}

#[test]
fn what_was_acknowledged_survives_failing_commits_and_everything_goes_on() {
    for home in Home::each() {
        run(async {
            let (faults, recorder) = (StoreFaults::new(), Recorder::new());
            let amends = worker(home.faulty_builder(&faults), &recorder).start().await.unwrap();
            for (round, (nth, fault)) in [
                (1, CommitFault::Lost),
                (3, CommitFault::Kept),
                (2, CommitFault::Lost),
                (4, CommitFault::Kept),
            ]
            .into_iter()
            .enumerate()
            {
                faults.fail_commit(nth, fault);
                let callers: Vec<_> = (0..24)
                    .map(|number| {
                        let (amends, id) = (amends.clone(), format!("w{round}-{number}"));
                        tokio::spawn(async move {
                            let run = insist(|| {
                                let starter = amends.workflow_by_name("worker").id(&id).request_id("s");
                                async move { starter.start(&json!(0)).await }
                            });
                            let run = run.await.unwrap();
                            let client = amends.client();
                            let signal = insist(|| {
                                let options = SignalOptions {
                                    request_id: Some("go".to_owned()),
                                    ..SignalOptions::default()
                                };
                                client.signal_with(&id, "go", &number, options)
                            });
                            match signal.await {
                                // Kept by the commit that failed, and the run was done before it could be repeated.
                                Ok(()) | Err(Error::Rejected(Rejection::Closed)) => {}
                                Err(other) => panic!("{other}"),
                            }
                            run.result().await
                        })
                    })
                    .collect();
                for (number, caller) in callers.into_iter().enumerate() {
                    let seen = caller.await.unwrap().unwrap();
                    assert_eq!(seen, json!([number, number, number]));
                }
            }
            assert_eq!(faults.opens(), 5, "opened once, and again after each failure");
            let mut keys = recorder.all();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), 4 * 24 * 2, "attempts may be repeated, under the same key");
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

/// Those who wait for a result go on waiting through a failure; those who ask for something are told.
#[test]
fn callers_are_told_and_waiters_are_kept() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let builder = home
            .faulty_builder(&faults)
            .workflow_definition(counting_workflow("count"));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("count").id("c").start(&json!(2)).await.unwrap();
        let waiting = tokio::spawn({
            let run = amends.find("c").await.unwrap();
            async move { run.result().await }
        });
        faults.fail_opens(u64::MAX);
        faults.fail_commit(1, CommitFault::Lost);
        for value in [0, 1] {
            let refused = run.signal("go", &value).await.unwrap_err();
            assert!(is_of_the_store(&refused), "{refused}");
        }
        faults.fail_opens(0);
        insist(|| run.signal("go", &2)).await.unwrap();
        run.signal("go", &3).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), json!([2, 3]));
        amends.shutdown(SECOND).await;
    });
}

/// A shard that was busy while the store failed and was opened again still has a turn from before: that turn must not get
/// into the journal, where its run would be open without anybody who runs it.
#[test]
fn a_turn_from_before_the_failure_is_not_committed_after_it() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        // The thread is busy until there is nobody any more who could free it.
        let (free, busy) = std::sync::mpsc::channel::<()>();
        let busy = Mutex::new(busy);
        let (inside, entered) = tokio::sync::oneshot::channel();
        let inside = Mutex::new(Some(inside));
        let builder = home
            .faulty_builder(&faults)
            .shards(1)
            .workflow_definition(counting_workflow("count"));
        let builder = builder.workflow_definition(workflow("busy", move |cx, input| {
            if let Some(inside) = inside.lock().unwrap().take() {
                inside.send(()).unwrap();
            }
            let _freed = busy.lock().unwrap().recv();
            async move {
                cx.sleep(Duration::from_millis(1)).await?;
                Ok(input)
            }
        }));
        let amends = builder.start().await.unwrap();
        let count = amends.workflow_by_name("count").start(&json!(1)).await.unwrap();
        faults.hold();
        faults.fail_commit(1, CommitFault::Lost);
        let signal = tokio::spawn(async move { count.signal("go", &1).await });
        let holding = faults.clone();
        tokio::task::spawn_blocking(move || holding.until_held()).await.unwrap();
        let start = tokio::spawn({
            let starter = amends.workflow_by_name("busy").id("b").request_id("r");
            async move { starter.start(&json!(5)).await.map(drop) }
        });
        entered.await.unwrap();
        faults.release();
        while faults.opens() < 2 {
            tokio::task::yield_now().await;
        }
        drop(free);
        assert!(signal.await.unwrap().is_err());
        let _perhaps = start.await.unwrap();
        let again = insist(|| {
            let starter = amends.workflow_by_name("busy").id("b").request_id("r");
            async move { starter.start(&json!(5)).await }
        });
        assert_eq!(again.await.unwrap().result().await.unwrap(), json!(5));
        amends.shutdown(SECOND).await;
    });
}

/// An outcome that was committed although its commit seemed to fail reaches whoever waits for it.
#[test]
fn an_end_that_was_kept_reaches_its_waiters() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let amends = home
            .faulty_builder(&faults)
            .workflow_definition(counting_workflow("count"))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("count").id("c").start(&json!(1)).await.unwrap();
        faults.fail_commit(1, CommitFault::Kept);
        assert!(run.signal("go", &5).await.is_err());
        assert_eq!(run.result().await.unwrap(), json!([5]));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn an_attempt_that_ran_while_the_store_failed_is_tried_again() {
    run(async {
        let (home, faults, recorder, gate) = (Home::sled(), StoreFaults::new(), Recorder::new(), Gate::shut());
        let (noted, held) = (recorder.clone(), gate.clone());
        let builder = home
            .faulty_builder(&faults)
            .activity_definition(activity("slow", move |cx, input| {
                noted.note(format!("attempt {}", cx.info().attempt));
                let held = held.clone();
                async move {
                    held.passed().await;
                    Ok(input)
                }
            }));
        let builder = builder
            .workflow_definition(counting_workflow("count"))
            .workflow_definition(workflow("slow", |cx, input| async move {
                cx.activity_by_name::<Value>("slow", &input).await
            }));
        let amends = builder.start().await.unwrap();
        let slow = amends.workflow_by_name("slow").start(&json!(1)).await.unwrap();
        recorder.until("attempt 1", 1).await;
        faults.fail_commit(1, CommitFault::Lost);
        assert!(
            amends
                .workflow_by_name("count")
                .id("other")
                .start(&json!(0))
                .await
                .is_err()
        );
        recorder.until("attempt 2", 1).await;
        gate.open();
        assert_eq!(slow.result().await.unwrap(), json!(1));
        assert!(
            matches!(amends.find("other").await, Err(Error::NotFound(_))),
            "a start that was lost leaves nothing"
        );
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn shutdown_returns_although_the_store_cannot_be_opened_again() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let amends = home
            .faulty_builder(&faults)
            .workflow_definition(counting_workflow("count"))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("count").id("c").start(&json!(1)).await.unwrap();
        faults.fail_opens(u64::MAX);
        faults.fail_commit(1, CommitFault::Lost);
        assert!(run.signal("go", &1).await.is_err());
        let description = amends.client().describe("c").await;
        assert!(
            matches!(description, Err(Error::Store(store::Error::Poisoned(_)))),
            "{description:?}"
        );
        amends.shutdown(SECOND).await;
    });
}

/// The last commit fails, with the stop behind it in the queue: nothing is to be opened any more.
#[test]
fn shutdown_returns_although_its_own_last_commit_fails() {
    run(async {
        let (home, faults, clock) = (Home::memory(), StoreFaults::new(), VirtualClock::new());
        let builder = home.faulty_builder(&faults).clock(Arc::new(clock.clone()));
        let amends = builder
            .workflow_definition(counting_workflow("count"))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("count").start(&json!(1)).await.unwrap();
        faults.fail_opens(u64::MAX);
        faults.fail_commit(1, CommitFault::Lost);
        faults.hold();
        let signal = tokio::spawn(async move { run.signal("go", &1).await });
        let held = faults.clone();
        tokio::task::spawn_blocking(move || held.until_held()).await.unwrap();
        let stopping = tokio::spawn(async move { amends.shutdown(SECOND).await });
        clock.pass(SECOND).await;
        faults.release();
        stopping.await.unwrap();
        assert!(signal.await.unwrap().is_err());
    });
}

#[test]
fn a_store_that_panics_is_a_store_that_failed() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let builder = home
            .faulty_builder(&faults)
            .workflow_definition(counting_workflow("count"));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("count").start(&json!(1)).await.unwrap();
        faults.fail_commit(1, CommitFault::Panics);
        assert!(is_of_the_store(&run.signal("go", &1).await.unwrap_err()));
        insist(|| run.signal("go", &2)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!([2]));
        amends.shutdown(SECOND).await;
    });
}
