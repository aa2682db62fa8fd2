//! amends inside a service that runs on `#[tokio::main]`: an order saga in ordinary async Rust.
//!
//! Run it with `cargo run --example embed_tokio`. Run it twice: the second time finds the order done.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;
use std::time::Duration;

use amends::{ActivityContext, Amends, Failure, ResultError, Undo, WorkflowContext, activity, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u64,
}

/// Reserves the item. Its compensation is registered here, once, not at each call.
#[activity(start_to_close = "5s", retry(max_attempts = 5), compensate = release_item)]
async fn reserve_item(cx: ActivityContext, order: Order) -> Result<String, Failure> {
    // A real service hands `cx.info().idempotency_key` to the warehouse.
    Ok(format!("{} reserved under {}", order.item, cx.info().workflow_id))
}

#[activity]
async fn release_item(_cx: ActivityContext, undo: Undo<Order, String>) -> Result<(), Failure> {
    println!("released {} ({:?})", undo.input.item, undo.output);
    Ok(())
}

#[activity(start_to_close = "5s")]
async fn charge_card(_cx: ActivityContext, order: Order) -> Result<String, Failure> {
    match order.cents {
        0..=10_000 => Ok(format!("charged {} cents", order.cents)),
        // The bank is sure that nothing was charged, so this step itself needs no compensation.
        _ => Err(Failure::not_applied("CardDeclined", "more than the card's limit")),
    }
}

#[workflow]
async fn place_order(cx: WorkflowContext, order: Order) -> Result<String, Failure> {
    let saga = cx.saga();
    let reservation = saga.run(reserve_item, &order).await?;
    let charge = saga.run(charge_card, &order).await?;
    Ok(format!("{reservation}; {charge}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(&std::env::temp_dir().join("amends-example-tokio")).await
}

pub(crate) async fn run(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .sled(directory)
        .activity(reserve_item)
        .activity(release_item)
        .activity(charge_card)
        .workflow(place_order)
        .start()
        .await?;

    for (id, item, cents) in [("order-1", "a book", 2_500), ("order-2", "a piano", 900_000)] {
        let order = Order {
            item: item.to_owned(),
            cents,
        };
        // The same request id makes the start repeatable: a second run of this program finds the same orders.
        let run = amends.workflow(place_order).id(id).request_id(id).start(&order).await?;
        match run.result().await {
            Ok(receipt) => println!("{id}: {receipt}"),
            Err(ResultError::Amended(failure)) => println!("{id}: undone, because {failure}"),
            Err(other) => println!("{id}: {other}"),
        }
    }
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
