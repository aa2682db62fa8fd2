//! Signals, updates, and messages between runs while each commit in turn fails: whatever was lost, and whatever was kept
//! without anybody's knowing, the histories are those of a run in peace. Must not live here: deaths of the process
//! (`crash`), other requests (`store_failure`).

use amends::engine::SignalOptions;
use amends::{Amends, AmendsBuilder, Failure, UpdateOptions, WorkflowContext, workflow as flow};

use crate::support::{insist, whichever_commit_fails};

/// Adds up what it is told, and tells the till when it is asked to pay.
#[flow]
async fn cart(cx: WorkflowContext, till: String) -> Result<u32, Failure> {
    let total = cx.state(0_u32);
    total.on_signal("add", |total, cents: u32| *total += cents)?;
    total.on_query("total", |total, ()| *total)?;
    total.on_update("add-and-tell", |total, cents: u32| {
        *total += cents;
        Ok::<u32, Failure>(*total)
    })?;
    let paid = cx.state(false);
    let (own, adding, paying) = (cx.clone(), total.clone(), paid.clone());
    cx.on_update("pay", async move |(): ()| {
        own.external(&till).signal("paid", &adding.get()).await?;
        paying.change(|paid| *paid = true);
        Ok::<u32, Failure>(adding.get())
    })?;
    paid.wait_until(|paid| *paid).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    Ok(total.get())
}

#[flow]
async fn till(cx: WorkflowContext) -> Result<u32, Failure> {
    cx.signal::<u32>("paid").recv().await
}

fn named(update_id: &str) -> UpdateOptions {
    UpdateOptions {
        update_id: Some(update_id.to_owned()),
    }
}

/// Everything once; the kinds of all events of both runs.
async fn shop(amends: &Amends) -> Vec<Vec<&'static str>> {
    let owed = insist(|| amends.workflow(till).id("till").request_id("t").start(&())).await;
    let first = insist(|| {
        let starter = amends.workflow(cart).id("cart").request_id("c");
        async move {
            let till = "till".to_owned();
            starter
                .update_with_start::<_, u32>("add-and-tell", &3, &till, named("first"))
                .await
        }
    });
    let (bought, first) = first.await;
    assert_eq!(insist(|| first.result()).await, 3);
    let client = amends.client();
    insist(|| {
        let options = SignalOptions {
            request_id: Some("second".to_owned()),
            ..SignalOptions::default()
        };
        client.signal_with("cart", "add", &4, options)
    })
    .await;
    assert_eq!(insist(|| bought.query::<_, u32>("total", &())).await, 7);
    let paying = insist(|| bought.start_update::<_, u32>("pay", &(), named("pay"))).await;
    assert_eq!(insist(|| paying.result()).await, 7);
    assert_eq!(bought.result().await.unwrap(), 7);
    assert_eq!(owed.result().await.unwrap(), 7);
    let mut kinds = Vec::new();
    for id in ["cart", "till"] {
        let history = insist(|| client.history(id)).await;
        kinds.push(history.iter().map(|event| event.attributes.kind()).collect());
    }
    kinds
}

#[test]
fn whichever_commit_fails_the_history_is_the_same() {
    let registered = |builder: AmendsBuilder| builder.workflow(cart).workflow(till);
    let peace = whichever_commit_fails(6..=20, registered, shop);
    let answered = peace[0].iter().filter(|kind| kind.contains("UpdateCompleted"));
    assert_eq!(answered.count(), 2);
}
