//! Cancellation scopes and shields on a whole engine: what real attempts, timers and children hear of them, over restarts and
//! failing commits. Must not live here: what each kind of call does when it is reached (`src/replay/tests/scopes`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::Rejection;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, AmendsBuilder, CancellationType, Error, Failure, RunStatus, WorkflowContext,
    activity as act, workflow as flow,
};
use futures_util::future::join;
use serde_json::json;

use super::child_workflows::until_event;
use crate::support::{Home, Recorder, activity, insist_on_finding, run, whichever_commit_fails, workflow};

const HOUR: Duration = Duration::from_secs(3_600);

/// Watches something while it waits for somebody; then works until it is cancelled, and puts everything back.
fn job() -> amends::WorkflowDefinition {
    workflow("job", |cx, _| async move {
        let scope = cx.scope();
        let watching = cx
            .activity_by_name::<()>("watch", &json!(null))
            .cancellation(CancellationType::WaitCancellationCompleted);
        let stop = async {
            let stopped = cx.signal::<()>("enough").recv().await;
            scope.cancel();
            stopped
        };
        let (watched, stopped) = join(scope.run(watching), stop).await;
        stopped?;
        assert!(watched.unwrap_err().is_canceled());
        let worked = cx.activity_by_name::<()>("watch", &json!(null)).await;
        let tidied = cx.shield(async {
            cx.sleep(HOUR).await?;
            cx.activity_by_name::<()>("tidy", &json!(null)).await
        });
        tidied.await?;
        worked.map(|()| json!(null))
    })
}

fn watched(builder: AmendsBuilder, seen: &Recorder) -> AmendsBuilder {
    let (watching, tidying) = (seen.clone(), seen.clone());
    let watch = activity("watch", move |cx, _| {
        let seen = watching.clone();
        async move {
            seen.note("watching");
            loop {
                // Every beat may bring the news.
                cx.heartbeat(&())?;
                tokio::task::yield_now().await;
            }
        }
    });
    let tidy = activity("tidy", move |_, _| {
        let seen = tidying.clone();
        async move {
            seen.note("tidied");
            Ok(json!(null))
        }
    });
    builder
        .workflow_definition(job())
        .activity_definition(watch)
        .activity_definition(tidy)
}

#[test]
fn a_scope_stops_its_work_and_a_shield_tidies_up_after_a_cancellation_and_a_restart() {
    for home in Home::each() {
        run(async {
            let (clock, seen) = (VirtualClock::new(), Recorder::new());
            let builder = || watched(home.builder().clock(Arc::new(clock.clone())), &seen);
            let amends = builder().start().await.unwrap();
            let job = amends
                .workflow_by_name("job")
                .id("j")
                .start(&json!(null))
                .await
                .unwrap();
            seen.until("watching", 1).await;
            job.signal("enough", &()).await.unwrap();
            // The first one has ended; the second one begins only then.
            seen.until("watching", 2).await;
            assert_eq!(job.describe().await.unwrap().status, RunStatus::Running);
            job.cancel("enough of it").await.unwrap();
            until_event(&amends, "j", "TimerStarted").await;
            amends.shutdown(Duration::from_secs(5)).await;

            let amends = builder().start().await.unwrap();
            let job = amends.find("j").await.unwrap();
            assert_eq!(seen.count("tidied"), 0);
            clock.pass(HOUR).await;
            assert_eq!(job.outcome().await.unwrap().status(), RunStatus::Canceled);
            assert_eq!(seen.count("tidied"), 1);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[act]
async fn double(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
    Ok(2 * n)
}

/// Waits for ever.
#[flow]
async fn idle(cx: WorkflowContext) -> Result<(), Failure> {
    cx.signal::<()>("never").recv().await
}

#[flow]
async fn tidy(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    cx.activity(double, &n).await
}

/// Has a child and a timer in a scope, which a signal ends; waits for its own end, and tidies up by a child.
#[flow]
async fn house(cx: WorkflowContext) -> Result<u32, Failure> {
    let scope = cx.scope();
    let within = async { join(cx.child(idle).id("guest").run(&()), cx.sleep(HOUR)).await };
    let stop = async {
        let stopped = cx.signal::<()>("enough").recv().await;
        scope.cancel();
        stopped
    };
    let ((visited, slept), stopped) = join(scope.run(within), stop).await;
    stopped?;
    assert!(visited.unwrap_err().is_canceled() && slept.unwrap_err().is_canceled());
    let waited = cx.child(idle).id("lodger").run(&()).await;
    let tidied = cx.shield(cx.child(tidy).id("tidy").run(&4)).await?;
    assert_eq!(tidied, 8);
    waited.map(|()| tidied)
}

/// The kinds of all events of all runs. That a cancellation was delivered may be known before or after what it led to, and so
/// after the run has ended.
async fn lived(amends: &Amends) -> Vec<Vec<&'static str>> {
    let client = amends.client();
    let starter = || amends.workflow(house).id("house").request_id("h");
    insist_on_finding(|| async { starter().start(&()).await }).await;
    insist_on_finding(|| client.describe("guest")).await;
    let enough = amends::engine::SignalOptions {
        request_id: Some("enough".to_owned()),
        ..Default::default()
    };
    insist_on_finding(|| client.signal_with("house", "enough", &(), enough.clone())).await;
    insist_on_finding(|| client.describe("lodger")).await;
    insist_on_finding(|| async {
        match client.cancel("house", "it is late").await {
            // It had been told already.
            Err(Error::Rejected(Rejection::Closed)) => Ok(()),
            told => told,
        }
    })
    .await;
    let house = insist_on_finding(|| amends.find("house")).await;
    assert_eq!(
        insist_on_finding(|| house.outcome()).await.status(),
        RunStatus::Canceled
    );
    let mut kinds = Vec::new();
    for id in ["house", "guest", "lodger", "tidy"] {
        let history = insist_on_finding(|| client.history(id)).await;
        let mut of_run: Vec<_> = history.iter().map(|event| event.attributes.kind()).collect();
        of_run.sort_unstable();
        of_run.retain(|kind| !["WorkflowTaskCompleted", "ExternalWorkflowExecutionCancelRequested"].contains(kind));
        kinds.push(of_run);
    }
    kinds
}

#[test]
fn whichever_commit_fails_scopes_and_shields_are_the_same() {
    let registered = |builder: AmendsBuilder| {
        let builder = builder.activity(double).workflow(house);
        builder.workflow(idle).workflow(tidy)
    };
    let peace = whichever_commit_fails(12..=40, registered, lived);
    assert!(peace[0].contains(&"TimerCanceled"), "{peace:?}");
}
