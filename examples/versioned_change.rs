//! A workflow whose code changes while its runs are under way: three deployments of one service, one after the other on
//! the same data. The first change: orders are to be checked for fraud before their card is charged. The second one: parcels are
//! to be tracked.
//!
//! Run it with `cargo run --example versioned_change`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use amends::{ActivityContext, Amends, AmendsBuilder, Error, Failure, activity};

#[activity]
async fn charge_card(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} charged"))
}

#[activity]
async fn check_fraud(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} checked"))
}

#[activity]
async fn send_parcel(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} sent"))
}

#[activity]
async fn send_tracked(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} sent and tracked"))
}

/// What the service is at first.
mod first {
    use amends::{Failure, WorkflowContext, workflow};

    use super::{charge_card, send_parcel};

    #[workflow]
    pub(crate) async fn place_order(cx: WorkflowContext, order: String) -> Result<Vec<String>, Failure> {
        cx.signal::<()>("approve").recv().await?;
        let charged = cx.activity(charge_card, &order).await?;
        cx.signal::<()>("deliver").recv().await?;
        Ok(vec![charged, cx.activity(send_parcel, &order).await?])
    }
}

/// The change: orders that have been charged already go on as they began, all others are checked.
mod second {
    use amends::{Failure, WorkflowContext, workflow};

    use super::{charge_card, check_fraud, send_parcel};

    #[workflow]
    pub(crate) async fn place_order(cx: WorkflowContext, order: String) -> Result<Vec<String>, Failure> {
        cx.signal::<()>("approve").recv().await?;
        let mut done = Vec::new();
        if cx.patched("fraud-check") {
            done.push(cx.activity(check_fraud, &order).await?);
        }
        done.push(cx.activity(charge_card, &order).await?);
        cx.signal::<()>("deliver").recv().await?;
        done.push(cx.activity(send_parcel, &order).await?);
        Ok(done)
    }
}

/// No open order is without the check any more, so the old branch can go. When no open order was begun by the second
/// deployment either, `deprecate_patch` goes, too. The next change has versions, of which there may be more: an order that had been
/// approved before keeps the one from before.
mod third {
    use amends::{DEFAULT_VERSION, Failure, WorkflowContext, workflow};

    use super::{charge_card, check_fraud, send_parcel, send_tracked};

    #[workflow]
    pub(crate) async fn place_order(cx: WorkflowContext, order: String) -> Result<Vec<String>, Failure> {
        cx.signal::<()>("approve").recv().await?;
        cx.deprecate_patch("fraud-check");
        let parcels = cx.version("parcels", DEFAULT_VERSION, 1);
        let mut done = vec![cx.activity(check_fraud, &order).await?];
        done.push(cx.activity(charge_card, &order).await?);
        cx.signal::<()>("deliver").recv().await?;
        done.push(match parcels {
            DEFAULT_VERSION => cx.activity(send_parcel, &order).await?,
            _ => cx.activity(send_tracked, &order).await?,
        });
        Ok(done)
    }
}

fn service(directory: &Path) -> AmendsBuilder {
    Amends::builder()
        .sled(directory)
        .activity(charge_card)
        .activity(check_fraud)
        .activity(send_parcel)
        .activity(send_tracked)
}

async fn start(amends: &Amends, order: &str) -> Result<(), Error> {
    let starter = amends.workflow_by_name("place_order").id(order);
    starter.start(&order.into()).await.map(|_| ())
}

async fn tell(amends: &Amends, order: &str, signal: &str) -> Result<(), Error> {
    amends.client().signal(order, signal, &()).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("amends-example-versions-{}", std::process::id()));
    for (order, done) in run(&directory).await? {
        println!("{order}: {}", done.join(", "));
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// What was done for each order.
pub(crate) async fn run(directory: &Path) -> Result<BTreeMap<String, Vec<String>>, Box<dyn std::error::Error>> {
    let grace = Duration::from_secs(5);

    let amends = service(directory).workflow(first::place_order).start().await?;
    for order in ["approved-before", "approved-after"] {
        start(&amends, order).await?;
    }
    tell(&amends, "approved-before", "approve").await?;
    amends.shutdown(grace).await;

    let amends = service(directory).workflow(second::place_order).start().await?;
    tell(&amends, "approved-after", "approve").await?;
    start(&amends, "begun-after").await?;
    tell(&amends, "begun-after", "approve").await?;
    let mut orders = BTreeMap::new();
    // Which of the open orders are checked?
    let checked = "TemporalChangeVersion = 'fraud-check' AND CloseTime IS NULL";
    while amends.client().count(checked).await?.runs < 2 {
        tokio::task::yield_now().await;
    }
    for order in ["approved-before", "approved-after"] {
        tell(&amends, order, "deliver").await?;
        let done: serde_json::Value = amends.find(order).await?.result().await?;
        orders.insert(order.to_owned(), serde_json::from_value(done)?);
    }
    amends.shutdown(grace).await;

    let amends = service(directory).workflow(third::place_order).start().await?;
    start(&amends, "begun-last").await?;
    tell(&amends, "begun-last", "approve").await?;
    for order in ["begun-after", "begun-last"] {
        tell(&amends, order, "deliver").await?;
        let done: serde_json::Value = amends.find(order).await?.result().await?;
        orders.insert(order.to_owned(), serde_json::from_value(done)?);
    }
    amends.shutdown(grace).await;
    Ok(orders)
}
