//! Isolated activities: attempts in child processes of this very program. One works, one never comes to an end, one aborts its
//! process; the engine and the others do not notice.
//!
//! Run it with `cargo run --example isolated`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its reader"
)]

use std::time::Duration;

use amends::{ActivityContext, Amends, Failure, ResultError, RetryPolicy, WorkflowContext};

/// Takes the processor for a while, and says how far it has come.
#[amends::activity(isolated, start_to_close = "1m")]
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
fn count_primes(cx: ActivityContext, below: u32) -> Result<u32, Failure> {
    let mut primes = 0;
    for number in 2..below {
        if number % 1_000 == 0 {
            cx.heartbeat(&number)?;
        }
        primes += u32::from(
            (2..number)
                .take_while(|factor| factor * factor <= number)
                .all(|factor| number % factor != 0),
        );
    }
    Ok(primes)
}

/// Native code that has lost its way: nothing can stop it but the end of its process.
#[amends::activity(isolated, start_to_close = "300ms", retry(max_attempts = 1))]
fn loop_for_ever(_cx: ActivityContext) -> Result<(), Failure> {
    loop {
        std::hint::spin_loop();
    }
}

/// Native code that gives up. What it says before is in the failure.
#[amends::activity(isolated, retry(max_attempts = 2, initial_interval = "10ms"))]
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
fn abort(cx: ActivityContext) -> Result<u32, Failure> {
    match cx.info().attempt {
        1 => {
            eprintln!("the image is not square");
            std::process::abort()
        }
        attempt => Ok(attempt),
    }
}

#[amends::workflow]
async fn three(cx: WorkflowContext, below: u32) -> Result<(u32, String, u32), Failure> {
    let lost = cx.activity(loop_for_ever, &()).await;
    let lost = lost.expect_err("it has no end of its own").to_string();
    let primes = cx.activity(count_primes, &below).retry(RetryPolicy::never()).await?;
    Ok((primes, lost, cx.activity(abort, &()).await?))
}

/// Runs all three, and says what came of each.
///
/// # Errors
/// When the engine cannot be started, or the run fails.
pub(crate) async fn run(engine: amends::AmendsBuilder) -> Result<(u32, String, u32), ResultError> {
    let amends = engine
        .worker_processes(2)
        .activity(count_primes)
        .activity(loop_for_ever)
        .activity(abort)
        .workflow(three)
        .start()
        .await?;
    let run = amends.workflow(three).start(&100_000).await?;
    let ended = run.result().await;
    amends.shutdown(Duration::from_secs(5)).await;
    ended
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a worker process this does not return.
    amends::worker_process();
    let runtime = tokio::runtime::Runtime::new()?;
    let (primes, lost, attempts) = runtime.block_on(run(Amends::builder().memory()))?;
    println!("{primes} primes; one never came to an end: {lost}; one came through in attempt {attempts}");
    Ok(())
}
