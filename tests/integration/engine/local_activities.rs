//! Local activities on a real engine: what they leave in the history, where they are tried again, and when they give up.

use std::sync::Arc;
use std::time::Duration;

use amends::testing::VirtualClock;
use amends::{ActivityContext, Failure, ResultError, RetryPolicy, WorkflowContext};

use crate::support::{Home, Recorder, run};

const SECOND: Duration = Duration::from_secs(1);

async fn lookup(cx: ActivityContext, tries: u32) -> Result<u32, Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note(cx.info().idempotency_key.clone());
    match cx.info().attempt {
        attempt if attempt < tries => Err(Failure::new("Busy", "")),
        attempt => Ok(attempt),
    }
}

async fn hang(cx: ActivityContext) -> Result<u32, Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note("hangs");
    match recorder.count("hangs") {
        1 => std::future::pending().await,
        _ => Ok(7),
    }
}

async fn looks(cx: WorkflowContext, tries: u32) -> Result<(u32, u32), Failure> {
    let first = cx.local_activity(lookup, &tries).await?;
    Ok((first, cx.local_activity(lookup, &1).await?))
}

#[test]
fn tries_are_made_in_place_and_only_the_end_is_recorded() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let amends = builder.activity(lookup).workflow(looks).start().await.unwrap();
        let run = amends.workflow(looks).id("w").start(&3).await.unwrap();
        clock.pass(SECOND).await;
        clock.pass(SECOND * 2).await;
        assert_eq!(run.result().await.unwrap(), (3, 1));
        let history = amends.client().history("w").await.unwrap();
        let kinds: Vec<&str> = history.iter().map(|event| event.attributes.kind()).collect();
        assert_eq!(
            kinds,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskCompleted",
                "LocalActivityEnded",
                "WorkflowTaskCompleted",
                "LocalActivityEnded",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted"
            ]
        );
        let mut keys = recorder.all();
        keys.dedup();
        assert_eq!(keys.len(), 2, "one key for all tries: {keys:?}");
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn one_that_takes_too_long_fails_within_its_bound() {
    async fn patient(cx: WorkflowContext) -> Result<u32, Failure> {
        // Nobody may wait longer than a minute, whatever is asked for.
        let call = cx.local_activity(hang, &()).start_to_close(SECOND * 3_600);
        call.schedule_to_close(SECOND * 3_600)
            .retry(RetryPolicy::default())
            .await
    }
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let amends = builder.activity(hang).workflow(patient).start().await.unwrap();
        let run = amends.workflow(patient).start(&()).await.unwrap();
        recorder.until("hangs", 1).await;
        clock.pass(SECOND * 60).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => assert_eq!(failure.root().message, "start-to-close timeout"),
            other => panic!("{other:?}"),
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn the_next_engine_runs_again_what_had_not_ended() {
    async fn waits(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.local_activity(hang, &()).await
    }
    run(async {
        for home in Home::each() {
            let recorder = Recorder::new();
            let builder = home.builder().state(recorder.clone()).activity(hang).workflow(waits);
            let amends = builder.start().await.unwrap();
            drop(amends.workflow(waits).id("w").start(&()).await.unwrap());
            recorder.until("hangs", 1).await;
            amends.shutdown(Duration::ZERO).await;
            let builder = home.builder().state(recorder.clone()).activity(hang).workflow(waits);
            let amends = builder.start().await.unwrap();
            let run = amends.find("w").await.unwrap();
            assert_eq!(run.result().await.unwrap(), serde_json::json!(7));
            assert_eq!(recorder.len(), 2);
            amends.shutdown(Duration::ZERO).await;
        }
    });
}
