//! What the start of a child workflow may say: a gallery hands its pictures to an archive. Each upload is a child that is tried
//! again, has workers of its own, is found by its picture, and does not happen twice; a check of what is there runs every night, for
//! three nights.
//!
//! Run it with `cargo run --example child_options --features testing`: three nights pass in a moment, on a virtual clock.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::sync::Arc;
use std::time::Duration;

use amends::testing::VirtualClock;
use amends::{Amends, Failure, IdReusePolicy, RetryPolicy, TaskQueueOptions, WorkflowContext, workflow};
use serde::{Deserialize, Serialize};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// What became of the pictures.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Archived {
    pub(crate) receipts: Vec<String>,
    /// Those that the archive has anyway.
    pub(crate) known: Vec<String>,
    pub(crate) nights: u32,
}

/// Hands one picture over. The archive is busy at first, as archives are.
#[workflow]
async fn upload(cx: WorkflowContext, picture: String) -> Result<String, Failure> {
    match cx.info().attempt {
        1 => Err(Failure::new("Busy", "come back in an hour")),
        attempt => Ok(format!("{picture}, at try {attempt}")),
    }
}

/// Looks whether everything is still there; knows how many nights it was.
#[workflow]
async fn check(cx: WorkflowContext) -> Result<u32, Failure> {
    Ok(cx.last_result::<u32>()?.unwrap_or(0) + 1)
}

#[workflow]
async fn gallery(cx: WorkflowContext, pictures: Vec<String>) -> Result<Archived, Failure> {
    // At three in the morning. The last one is the last that is due before its time is up, counted from the first.
    let nightly = cx
        .child(check)
        .cron_schedule("0 3 * * *")
        .execution_timeout(DAY * 2 + HOUR);
    let nightly = nightly.start(&()).await?;
    let (mut receipts, mut known) = (Vec::new(), Vec::new());
    for picture in pictures {
        // Its id may be used again as long as the picture has not arrived.
        let child = cx.child(upload).id(format!("upload/{picture}"));
        let child = child
            .id_reuse_policy(IdReusePolicy::AllowDuplicateFailedOnly)
            .task_queue("uploads");
        let child = child.retry_policy(RetryPolicy {
            initial_interval: HOUR,
            maximum_attempts: 5,
            ..RetryPolicy::default()
        });
        let child = child
            .search_attribute("Picture", &picture)
            .memo("sender", "the gallery");
        match child.run(&picture).await {
            Ok(receipt) => receipts.push(receipt),
            Err(failure) if failure.is_type("WorkflowAlreadyExists") => known.push(picture),
            Err(failure) => return Err(failure),
        }
    }
    // However many runs it had, it is one child, and ends as its last run.
    let nights = nightly.result().await?;
    Ok(Archived {
        receipts,
        known,
        nights,
    })
}

/// What became of the pictures, one of which is sent twice; and how many runs are found by another one.
pub(crate) async fn run() -> Result<(Archived, usize), Box<dyn std::error::Error>> {
    let clock = VirtualClock::new();
    let builder = Amends::builder().memory().clock(Arc::new(clock.clone()));
    let builder = builder.task_queue("uploads", TaskQueueOptions::new());
    let builder = builder.workflow(upload).workflow(check).workflow(gallery);
    let amends = builder.start().await?;
    let pictures = ["dawn", "dusk", "dawn"].map(str::to_owned).to_vec();
    let sent = amends.workflow(gallery).id("gallery").start(&pictures).await?;
    // Two uploads are tried again, an hour later each; then it is three o'clock, and again, and again.
    for passes in [HOUR, HOUR, HOUR, DAY, DAY] {
        clock.pass(passes).await;
    }
    let archived = sent.result().await?;
    let found = amends.client().list("Picture = 'dusk'").await?.len();
    amends.shutdown(Duration::from_secs(5)).await;
    Ok((archived, found))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (archived, found) = run().await?;
    println!("{archived:#?}; {found} runs for the picture of dusk");
    Ok(())
}
