//! amends inside a program without any async runtime of its own: a plain thread that waits.
//!
//! Run it with `cargo run --example embed_thread`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use amends::{ActivityContext, Amends, Failure, WorkflowContext, activity, workflow};

/// An ordinary blocking function: it runs on a bounded pool of threads made for that.
#[activity(start_to_close = "5s")]
fn digits(_cx: ActivityContext, number: u64) -> Result<usize, Failure> {
    Ok(number.to_string().len())
}

#[workflow]
async fn count(cx: WorkflowContext, number: u64) -> Result<usize, Failure> {
    cx.sleep(Duration::from_millis(10)).await?;
    cx.activity(digits, &number).await
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = std::thread::spawn(|| {
        amends::engine::block_on(async {
            let amends = Amends::builder()
                .memory()
                .activity(digits)
                .workflow(count)
                .start()
                .await?;
            let digits = amends.workflow(count).start(&1_000_000).await?.result().await?;
            println!("1000000 has {digits} digits");
            amends.shutdown(Duration::from_secs(5)).await;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })
    });
    worker
        .join()
        .map_err(|_| "the worker panicked")?
        .map_err(|error| error.to_string())?;
    Ok(())
}
