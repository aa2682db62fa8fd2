//! An order that a person approves by a signal, within a time; silence means no.
//!
//! Run it with `cargo run --example order_approval`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;
use std::time::Duration;

use amends::{ActivityContext, Amends, Failure, ResultError, Undo, WorkflowContext, activity, workflow};
use serde::{Deserialize, Serialize};

/// How long a person may think about it. In life rather days: the wait survives restarts, and a run that is idle leaves memory
/// but for its timer, about 130 bytes.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Approval {
    by: String,
    granted: bool,
}

#[activity(start_to_close = "5s", compensate = release)]
async fn reserve(_cx: ActivityContext, order: Order) -> Result<String, Failure> {
    Ok(format!("{} is reserved", order.item))
}

#[activity]
async fn release(_cx: ActivityContext, undo: Undo<Order, String>) -> Result<(), Failure> {
    println!("  {} is released again", undo.input.item);
    Ok(())
}

#[workflow]
async fn approved_order(cx: WorkflowContext, order: Order) -> Result<String, Failure> {
    let approval = cx.state(None::<Approval>);
    approval.on_signal("approve", |approval, given: Approval| {
        // The first word counts.
        approval.get_or_insert(given);
    })?;
    approval.on_query("approval", |approval, ()| approval.clone())?;
    cx.saga().run(reserve, &order).await?;
    let decided = approval.clone();
    cx.wait_condition_for(PATIENCE, move || decided.read(Option::is_some))
        .await?;
    match approval.get() {
        Some(Approval { by, granted: true }) => {
            Ok(format!("{} for {} cents, approved by {by}", order.item, order.cents))
        }
        Some(Approval { by, .. }) => Err(Failure::non_retryable("Declined", format!("{by} said no"))),
        None => Err(Failure::non_retryable("NotApproved", "nobody said anything in time")),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(&std::env::temp_dir().join("amends-example-approval"))
        .await
        .map(drop)
}

/// Gives back how each order ended.
pub(crate) async fn run(directory: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .sled(directory)
        .activity(reserve)
        .activity(release)
        .workflow(approved_order)
        .start()
        .await?;
    let mut ends = Vec::new();
    for (id, granted) in [
        ("approve-1", Some(true)),
        ("approve-2", Some(false)),
        ("approve-3", None),
    ] {
        let order = Order {
            item: "a piano".to_owned(),
            cents: 900_000,
        };
        let run = amends
            .workflow(approved_order)
            .id(id)
            .request_id(id)
            .start(&order)
            .await?;
        if let Some(granted) = granted
            && !run.describe().await?.status.is_closed()
        {
            let by = "Ada".to_owned();
            run.signal("approve", &Approval { by, granted }).await?;
        }
        let end = match run.result().await {
            Ok(receipt) => receipt,
            Err(ResultError::Amended(failure)) => format!("undone: {failure}"),
            Err(other) => other.to_string(),
        };
        let approval: Option<Approval> = run.query("approval", &()).await?;
        println!("{id}: {end} (asked afterwards: {approval:?})");
        ends.push(end);
    }
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(ends)
}
