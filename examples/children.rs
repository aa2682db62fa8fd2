//! A fan-out over child workflows: a shipment is as many parcels, each a run of its own. When one cannot be sent, the shipment
//! fails, and the parcels that are still on their way are asked to turn back: their parent close policy says so.
//!
//! Run it with `cargo run --example children`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use amends::{
    ActivityContext, Amends, Failure, ParentClosePolicy, ResultError, RunStatus, WorkflowContext, activity, workflow,
};

#[activity(compensate = take_back)]
async fn hand_over(_cx: ActivityContext, address: String) -> Result<String, Failure> {
    match address.is_empty() {
        true => Err(Failure::not_applied("NoAddress", "where to?")),
        false => Ok(format!("parcel to {address}")),
    }
}

#[activity]
async fn take_back(_cx: ActivityContext, _undo: amends::Undo<String, String>) -> Result<(), Failure> {
    Ok(())
}

/// One parcel: handed over, and then on its way until somebody has signed for it.
#[workflow]
async fn parcel(cx: WorkflowContext, address: String) -> Result<String, Failure> {
    let parcel = cx.saga().run(hand_over, &address).await?;
    let by: String = cx.signal("signed").recv().await?;
    Ok(format!("{parcel}, signed for by {by}"))
}

/// All parcels at once; ends when all have arrived, or when the first one fails.
#[workflow]
async fn shipment(cx: WorkflowContext, addresses: Vec<String>) -> Result<Vec<String>, Failure> {
    let sent = cx.state(false);
    let all = sent.clone();
    // Who has something to tell the parcels asks this first: it is answered when all of them are there.
    cx.on_update("all sent", async move |(): ()| all.wait_until(|sent| *sent).await)?;
    let mut parcels = Vec::new();
    for address in &addresses {
        let child = cx
            .child(parcel)
            .id(format!("{}/to-{address}", cx.workflow_id()))
            .parent_close_policy(ParentClosePolicy::RequestCancel);
        parcels.push(child.start(address).await?);
    }
    sent.change(|sent| *sent = true);
    cx.try_map_concurrent(&parcels, parcels.len(), |parcel| parcel.result())
        .await
}

/// A shipment that arrives, and one that cannot; what the first one says, why the second one failed, and what became of the
/// parcel that had been on its way: it was taken back.
pub(crate) async fn run() -> Result<(Vec<String>, String, RunStatus), Box<dyn std::error::Error>> {
    let builder = Amends::builder().memory().activity(hand_over).activity(take_back);
    let amends = builder.workflow(parcel).workflow(shipment).start().await?;
    let client = amends.client();

    let addresses = ["Lisbon", "Porto"].map(str::to_owned).to_vec();
    let arriving = amends.workflow(shipment).id("books").start(&addresses).await?;
    arriving.update::<_, ()>("all sent", &()).await?;
    for (address, by) in [("Lisbon", "Ada"), ("Porto", "Grace")] {
        client.signal(&format!("books/to-{address}"), "signed", by).await?;
    }
    let arrived = arriving.result().await?;

    let addresses = ["Faro", ""].map(str::to_owned).to_vec();
    let failing = amends.workflow(shipment).id("lamps").start(&addresses).await?;
    let why = match failing.result().await {
        Err(ResultError::Failed(failure)) => failure.to_string(),
        other => format!("it did not fail: {other:?}"),
    };
    // The shipment has failed when its parcels were told; this one turns back, and undoes what it did.
    let on_its_way = amends.find("lamps/to-Faro").await?.outcome().await?;
    amends.shutdown(Duration::from_secs(5)).await;
    Ok((arrived, why, on_its_way.status()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (arrived, why, on_its_way) = run().await?;
    arrived.iter().for_each(|parcel| println!("{parcel}"));
    println!("the other shipment: {why}; its first parcel: {on_its_way}");
    Ok(())
}
