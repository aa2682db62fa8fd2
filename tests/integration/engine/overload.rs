//! More new runs than there are threads for. Must not live here: how many requests may wait (`lifecycle`).

use std::sync::mpsc;
use std::time::Duration;

use amends::engine::{ListQuery, SignalOptions};
use amends::model::limits;
use amends::{ActivityContext, ActivityDefinition, Amends, Failure, RunStatus, SagaDefinition, Step};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

async fn one(_cx: ActivityContext) -> Result<u32, Failure> {
    Ok(1)
}

#[test]
fn new_runs_wait_while_attempts_have_no_thread_and_none_is_forgotten() {
    swamp(false);
}

#[test]
fn new_runs_that_begin_with_a_signal_wait_as_well() {
    swamp(true);
}

fn swamp(with_signal: bool) {
    // The host has one thread for activities, and somebody sits on it.
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (sitting, sits) = tokio::sync::oneshot::channel();
    let (get_up, stays) = mpsc::channel::<()>();
    host.block_on(async {
        let saga = SagaDefinition::builder("one")
            .step(Step::activity("one", "one"))
            .build()
            .unwrap();
        let builder = Amends::builder().memory().shards(1);
        let amends = builder
            .activity_definition(ActivityDefinition::of(one).unwrap())
            .saga(saga)
            .start()
            .await
            .unwrap();
        tokio::spawn(async move {
            let _ = sitting.send(());
            let _ = stays.recv();
        });
        sits.await.unwrap();

        let wanted = limits::SHARD_REQUESTS_MAX;
        let mut starts: FuturesUnordered<_> = (0..wanted)
            .map(|number| {
                let amends = amends.clone();
                async move {
                    let start = amends.workflow_by_name("one").id(format!("run-{number}"));
                    match with_signal {
                        true => {
                            let options = SignalOptions::default();
                            start.signal_with_start("hello", &number, &json!(null), options).await
                        }
                        false => start.start(&json!(null)).await,
                    }
                }
            })
            .collect();
        let mut runs = Vec::new();
        while runs.len() < limits::SHARD_BACKLOG_MAX {
            runs.push(starts.next().await.unwrap().unwrap());
        }
        // Those that have begun; some more than have an answer.
        let all = ListQuery {
            limit: wanted,
            ..ListQuery::default()
        };
        let begun = amends.client().list(&all).await.unwrap().len();
        assert!(
            begun < wanted / 2,
            "{begun} runs have begun, with no thread for their attempts"
        );
        get_up.send(()).unwrap();
        while let Some(started) = starts.next().await {
            runs.push(started.unwrap());
        }
        assert_eq!(runs.len(), wanted);
        for run in runs {
            assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Completed);
        }
        amends.shutdown(Duration::from_secs(5)).await;
    });
}
