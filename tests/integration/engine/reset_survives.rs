//! Resets on a store that fails in the middle of them: both runs are there, or neither has changed. Must not live here: what
//! is copied and what is refused (the machine's own tests).

use amends::engine::SignalOptions;
use amends::model::{Reset, ResetPoint};
use amends::{Amends, AmendsBuilder, Error};
use serde_json::{Value, json};

use crate::support::{activity, insist, whichever_commit_fails, workflow};

fn wanted(point: ResetPoint, request_id: &str) -> Reset {
    Reset {
        request_id: Some(request_id.parse().unwrap()),
        ..Reset::to(point, "ada", "again")
    }
}

/// The run may have ended by a signal whose answer was lost: there is nobody any more who could be told again.
async fn signal(amends: &Amends, name: &str) {
    let client = amends.client();
    loop {
        let options = SignalOptions {
            request_id: Some(name.to_owned()),
            ..SignalOptions::default()
        };
        match client.signal_with("o", name, &1, options).await {
            Ok(()) | Err(Error::Rejected(_)) => return,
            Err(Error::Interrupted | Error::Store(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The kinds of all events of the id's runs, oldest first: an open run is reset, and one that has ended.
async fn tell(amends: &Amends) -> Vec<Vec<&'static str>> {
    let seven = json!(7);
    let start = || amends.workflow_by_name("order").id("o").request_id("r");
    let first = insist(|| async { start().start(&seven).await }).await;
    let client = amends.client();
    loop {
        let history = insist(|| client.history("o")).await;
        if history
            .iter()
            .any(|event| event.attributes.kind() == "ActivityTaskCompleted")
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    signal(amends, "other").await;
    let (open, ended) = (
        wanted(ResetPoint::Turn(2), "open"),
        wanted(ResetPoint::LastTurn, "ended"),
    );
    let second = insist(|| client.reset_run(first.run_id(), &open)).await;
    signal(amends, "address").await;
    let result = first.result().await.unwrap();
    assert_eq!(result, json!("paid"));
    let third = insist(|| client.reset_run(second, &ended)).await;
    let found = insist(|| amends.find("o")).await;
    assert_eq!(found.run_id(), third);
    assert_eq!(found.result().await.unwrap(), result);
    let mut kinds = Vec::new();
    for run_id in [first.run_id(), second, third] {
        let history = insist(|| client.history_of(run_id)).await;
        let all = history.iter().map(|event| event.attributes.kind());
        // A signal may come before or after a task of a run that an engine has just taken up.
        kinds.push(all.filter(|kind| *kind != "WorkflowTaskCompleted").collect());
    }
    kinds
}

#[test]
fn whichever_commit_fails_a_reset_is_there_once_or_not_at_all() {
    let registered = |builder: AmendsBuilder| {
        let charge = activity("charge", |_, _: Value| async move { Ok(json!("paid")) });
        let order = workflow("order", |cx, input| async move {
            let paid: Value = cx.activity_by_name("charge", &input).await?;
            cx.signal::<Value>("address").recv().await?;
            Ok(paid)
        });
        builder.activity_definition(charge).workflow_definition(order)
    };
    let peace = whichever_commit_fails(6..=20, registered, tell);
    assert_eq!(peace.len(), 3, "{peace:?}");
}
