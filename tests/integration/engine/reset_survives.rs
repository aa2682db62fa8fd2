//! Resets on a store that fails in the middle of them: both runs are there, or neither has changed. Must not live here: what
//! is copied and what is refused (the machine's own tests).

use std::future::Future;
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::model::{Reset, ResetPoint};
use amends::testing::{CommitFault, StoreFaults};
use amends::{Amends, Error, UpdateError};
use serde_json::{Value, json};

use crate::support::{Home, activity, run, workflow};

/// What a careful caller does: the same again, until it is not the store that refuses it.
async fn insist<T, E: Into<UpdateError>, R: Future<Output = Result<T, E>>>(mut request: impl FnMut() -> R) -> T {
    loop {
        match request().await.map_err(Into::into) {
            Ok(answer) => return answer,
            Err(UpdateError::Engine(Error::Interrupted | Error::Store(_))) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

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
    let play = |planned: Option<(u64, CommitFault)>| {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let (kinds, opens) = run(async {
            let charge = activity("charge", |_, _: Value| async move { Ok(json!("paid")) });
            let order = workflow("order", |cx, input| async move {
                let paid: Value = cx.activity_by_name("charge", &input).await?;
                cx.signal::<Value>("address").recv().await?;
                Ok(paid)
            });
            let builder = home.faulty_builder(&faults).activity_definition(charge);
            let amends = builder.workflow_definition(order).start().await.unwrap();
            if let Some((nth, fault)) = planned {
                faults.fail_commit(nth, fault);
            }
            let kinds = tell(&amends).await;
            amends.shutdown(Duration::from_secs(1)).await;
            (kinds, faults.opens())
        });
        home.assert_sound();
        (kinds, opens)
    };
    let (peace, _) = play(None);
    assert_eq!(peace.len(), 3, "{peace:?}");
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        for nth in 1..=20 {
            let (kinds, opens) = play(Some((nth, fault)));
            assert_eq!(kinds, peace, "{fault:?} {nth}");
            if opens == 1 {
                assert!(nth > 6, "{fault:?}: the {nth}th commit was never made");
                break;
            }
        }
    }
}
