//! Heartbeats: what the next attempt is told, what a crash leaves of it, how seldom it is written, and how a cancellation
//! comes back with it.

use std::sync::Arc;
use std::time::Duration;

use amends::engine::RunDescription;
use amends::model::EventAttributes;
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, CancellationType, Failure, ResultError, RetryPolicy, RunStatus};
use serde_json::{Value, json};

use crate::support::{
    Home, Recorder, activity, blocking_activity, insist, insist_on_finding, run, whichever_commit_fails, workflow,
};

const SECOND: Duration = Duration::from_secs(1);

/// Looks again and again until the first pending activity is as asked for.
pub(super) async fn until_pending(
    amends: &Amends,
    id: &str,
    wanted: impl Fn(&amends::engine::ActivityView) -> bool,
) -> RunDescription {
    loop {
        if let Ok(description) = amends.client().describe(id).await
            && description.pending.first().is_some_and(&wanted)
        {
            return description;
        }
        tokio::task::yield_now().await;
    }
}

/// Looks again and again until the run has no activity that has not ended, after it had one.
pub(super) async fn until_idle(amends: &Amends, id: &str) {
    loop {
        let events = amends.client().history(id).await.unwrap_or_default();
        let ended =
            |event: &amends::model::Event| matches!(event.attributes, EventAttributes::ActivityTaskCompleted { .. });
        if events.iter().any(ended) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn until_heartbeat(amends: &Amends, id: &str, details: &Value) {
    until_pending(amends, id, |pending| {
        let said = pending.heartbeat.as_ref().map(|details| details.to::<Value>().unwrap());
        said.as_ref() == Some(details)
    })
    .await;
}

#[test]
fn the_next_attempt_goes_on_where_the_last_one_was() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .activity_definition(activity("import", |cx, _| async move {
                let done = cx.heartbeat_details::<u64>()?.unwrap_or(0);
                // Faster than is written: what counts is what was said last.
                for row in done..done + 50 {
                    cx.heartbeat(&(row + 1))?;
                }
                match done {
                    100 => Ok(json!(done)),
                    _ => Err(Failure::new("ConnectionLost", "")),
                }
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let retry = RetryPolicy {
                    initial_interval: Duration::ZERO,
                    ..RetryPolicy::default()
                };
                cx.activity_by_name::<Value>("import", &()).retry(retry).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!(100));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn details_outlive_the_engine() {
    run(async {
        for home in Home::each() {
            let start = || {
                let builder = home.builder();
                let builder = builder.activity_definition(activity("import", |cx, _| async move {
                    match cx.heartbeat_details::<String>()? {
                        Some(details) => Ok(json!([cx.info().attempt, details])),
                        None => {
                            cx.heartbeat("row 7")?;
                            std::future::pending().await
                        }
                    }
                }));
                let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
                    cx.activity_by_name::<Value>("import", &()).await
                }));
                builder.start()
            };
            let amends = start().await.unwrap();
            let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
            until_heartbeat(&amends, "w", &json!("row 7")).await;
            drop(run);
            amends.shutdown(Duration::ZERO).await;
            let amends = start().await.unwrap();
            let run = amends.find("w").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!([2, "row 7"]));
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}

/// A heartbeat timeout of 10 s lets a heartbeat through at once, and then one every 8 s, the newest.
#[test]
fn heartbeats_are_written_seldom_and_a_timeout_says_the_last() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(SECOND * 3_600)
            .activity_definition(activity("import", move |cx, _| {
                let noted = noted.clone();
                async move {
                    for row in 1..=1_000 {
                        cx.heartbeat(&row)?;
                    }
                    noted.note("said");
                    std::future::pending().await
                }
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let call = cx.activity_by_name::<Value>("import", &()).heartbeat(SECOND * 10);
                call.retry(RetryPolicy::never()).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        recorder.until("said", 1).await;
        until_heartbeat(&amends, "w", &json!(1)).await;
        clock.pass(SECOND * 8).await;
        until_heartbeat(&amends, "w", &json!(1_000)).await;
        clock.pass(SECOND * 2).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => {
                assert_eq!(failure.root().message, "heartbeat timeout");
                assert_eq!(failure.last_heartbeat().unwrap().to::<u32>().unwrap(), 1_000);
            }
            other => panic!("{other:?}"),
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_heartbeat_leads_out_of_cancelled_work() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let noted = recorder.clone();
        let amends = home
            .builder()
            .activity_definition(blocking_activity("convert", move |cx, _| {
                noted.note("began");
                loop {
                    cx.heartbeat(&"page")?;
                    std::thread::yield_now();
                }
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let call = cx.activity_by_name::<Value>("convert", &());
                call.cancellation(CancellationType::WaitCancellationCompleted).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        recorder.until("began", 1).await;
        run.cancel("enough").await.unwrap();
        assert!(matches!(run.result().await, Err(ResultError::Canceled(_))));
        let history = amends.client().history("w").await.unwrap();
        let canceled = |event: &amends::model::Event| {
            matches!(
                &event.attributes,
                EventAttributes::ActivityTaskCanceled { started: Some(_), .. }
            )
        };
        assert!(history.iter().any(canceled), "{history:?}");
        let description = amends.client().describe("w").await.unwrap();
        assert_eq!(description.status, RunStatus::Canceled);
        amends.shutdown(SECOND).await;
    });
}

/// Three rows are copied, one by each attempt, which says so and loses its connection. A failed commit loses all that is in
/// memory: an attempt under way, and what was not recorded of what it has said.
#[test]
fn whichever_commit_fails_the_next_attempt_goes_on_from_what_was_recorded() {
    let given = Recorder::new();
    let noted = given.clone();
    let registered = move |builder: AmendsBuilder| {
        let noted = noted.clone();
        let copy = activity("copy", move |cx, _| {
            let noted = noted.clone();
            async move {
                let copied = cx.heartbeat_details::<u32>()?.unwrap_or(0);
                noted.note(copied.to_string());
                // After a crash there may be nothing left to be copied.
                let copied = 3.min(copied + 1);
                cx.heartbeat(&copied)?;
                match copied {
                    3 => Ok(json!(copied)),
                    _ => Err(Failure::new("ConnectionLost", "")),
                }
            }
        });
        let copies = workflow("w", |cx, _| async move {
            let retry = RetryPolicy {
                initial_interval: Duration::ZERO,
                ..RetryPolicy::default()
            };
            cx.activity_by_name::<Value>("copy", &()).retry(retry).await
        });
        builder.activity_definition(copy).workflow_definition(copies)
    };
    let told = whichever_commit_fails(4..=20, registered, async |amends| {
        let before = given.len();
        let starter = || amends.workflow_by_name("w").id("w").request_id("w");
        insist(|| async { starter().start(&json!(0)).await.map(drop) }).await;
        let run = insist_on_finding(|| amends.find("w")).await;
        let outcome = insist(|| run.outcome()).await;
        let given: Vec<u32> = given.all()[before..].iter().map(|row| row.parse().unwrap()).collect();
        assert!(given.is_sorted(), "what was recorded is never taken back: {given:?}");
        assert!(
            [0, 1, 2].iter().all(|row| given.contains(row)),
            "none is left out: {given:?}"
        );
        let history = insist(|| async { amends.client().history("w").await }).await;
        let kinds = history.iter().map(|event| event.attributes.kind());
        (format!("{outcome:?}"), kinds.collect::<Vec<_>>())
    });
    assert!(told.0.contains("Completed") && told.1.len() == 7, "{told:?}");
}
