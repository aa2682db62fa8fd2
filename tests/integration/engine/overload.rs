//! More new runs than there are threads for. Must not live here: how many requests may wait (`lifecycle`).

use std::sync::mpsc;
use std::time::Duration;

use amends::engine::{ListQuery, SignalOptions};
use amends::model::limits;
use amends::{ActivityContext, ActivityDefinition, Amends, Failure, RunStatus, SagaDefinition, Step};
use futures_util::StreamExt;
use futures_util::future::{join_all, join3};
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::support::{Home, Recorder, counting_workflow, run, workflow};

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

#[test]
fn what_comes_behind_a_start_that_waits_for_its_round_reaches_its_run() {
    run(async {
        let home = Home::memory();
        let recorder = Recorder::new();
        let (release, held) = mpsc::channel::<()>();
        let (noted, held) = (recorder.clone(), std::sync::Mutex::new(held));
        // Holds the shard's thread, so that everything after it is there at once.
        let holding = workflow("holding", move |_, _| {
            noted.note("holds".to_owned());
            let _ = held.lock().unwrap().recv();
            async { Ok(Value::Null) }
        });
        let builder = home.builder().shards(1).workflow_definition(holding);
        let amends = builder
            .workflow_definition(counting_workflow("count"))
            .start()
            .await
            .unwrap();
        let first = amends.workflow_by_name("holding").id("h");
        let first = tokio::spawn(async move { first.start(&json!(0)).await });
        recorder.until_len(1).await;
        // More than a shard begins in a round.
        let starts = (0..40).map(|number| {
            let starter = amends.workflow_by_name("count").id(format!("c{number}"));
            async move { starter.start(&json!(1)).await }
        });
        let client = amends.client();
        let told = client.signal("c39", "go", &7_u64);
        let released = async { release.send(()) };
        let (runs, told, released) = join3(join_all(starts), told, released).await;
        released.unwrap();
        told.unwrap();
        let last = runs.into_iter().last().unwrap().unwrap();
        assert_eq!(last.result().await.unwrap(), json!([7]));
        first.await.unwrap().unwrap();
        amends.shutdown(Duration::ZERO).await;
    });
}
