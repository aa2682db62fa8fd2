//! Fan-out and fan-in: a long list is worked through, a bounded number at a time, and what came of it is gathered. And a race: of
//! two who can do the same, the faster one.
//!
//! Run it with `cargo run --example batch`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use amends::{ActivityContext, ActivityLimits, Amends, Breaker, Failure, WorkflowContext, activity, workflow};
use serde::{Deserialize, Serialize};

/// What came of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) cover: String,
    pub(crate) bytes: u64,
    pub(crate) broken: Vec<String>,
}

/// Makes a small picture of a large one. A page that takes long says how far it is, so that another attempt goes on there.
#[activity(start_to_close = "60s", retry(max_attempts = 3, non_retryable("NotAnImage")))]
async fn resize(cx: ActivityContext, image: String) -> Result<u64, Failure> {
    let done = cx.heartbeat_details::<u32>()?.unwrap_or(0);
    for stripe in done..4 {
        cx.heartbeat(&stripe)?;
    }
    match image.ends_with(".png") {
        true => Ok(u64::try_from(image.len()).unwrap_or(u64::MAX) * 1_000),
        false => Err(Failure::new("NotAnImage", image)),
    }
}

/// Two mirrors have the cover.
#[activity(start_to_close = "60s")]
async fn fetch_cover(cx: ActivityContext, mirror: String) -> Result<String, Failure> {
    if mirror == "far" {
        // This one takes longer than anybody waits, and stops when it is asked to.
        cx.canceled().await;
        return Err(Failure::canceled("the other one was faster"));
    }
    Ok(format!("the cover, from the {mirror} mirror"))
}

/// Eight at a time, however long the album is; one that fails does not stop the others.
#[workflow]
async fn shrink_album(cx: WorkflowContext, images: Vec<String>) -> Result<Report, Failure> {
    // Whoever loses the race is dropped, which asks it to stop.
    let mirrors = ["far", "near"].map(|mirror| cx.activity(fetch_cover, &mirror.to_owned()));
    let (_, cover) = cx.race_all(mirrors).await;
    let cover = cover?;
    let sizes = cx.map_concurrent(&images, 8, |image| cx.activity(resize, image)).await;
    let mut report = Report {
        cover,
        bytes: 0,
        broken: Vec::new(),
    };
    for (image, size) in images.iter().zip(sizes) {
        match size {
            Ok(bytes) => report.bytes += bytes,
            Err(failure) if failure.is_canceled() => return Err(failure),
            Err(_) => report.broken.push(image.clone()),
        }
    }
    Ok(report)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let images = (0..40).map(|number| format!("picture-{number}.png"));
    let report = run(images.chain(["notes.txt".to_owned()]).collect()).await?;
    println!(
        "{}; {} bytes; not images: {:?}",
        report.cover, report.bytes, report.broken
    );
    Ok(())
}

pub(crate) async fn run(images: Vec<String>) -> Result<Report, Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .memory()
        // Of all albums together at most 16 at a time; and a service that does not answer is left alone for a while.
        .activity_limits(
            "resize",
            ActivityLimits::new().max_concurrent(16).breaker(Breaker::after(5)),
        )
        .activity(resize)
        .activity(fetch_cover)
        .workflow(shrink_album)
        .start()
        .await?;
    let report = amends.workflow(shrink_album).start(&images).await?.result().await?;
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(report)
}
