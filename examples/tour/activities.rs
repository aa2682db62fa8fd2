//! Activities that take too long, say how far they are, are stopped, are short, or block; on a clock that the stop moves.

use std::time::Duration;

use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, CancellationType, Failure, Payload, ResultError, RetryPolicy, WorkflowContext, activity,
    workflow,
};

use super::{Notes, SECOND, Told, note, on, until_run};

/// Hangs, but for its third attempt.
#[activity(start_to_close = "10s")]
async fn hang(cx: ActivityContext) -> Result<u32, Failure> {
    note(&cx, format!("attempt {}", cx.info().attempt));
    match cx.info().attempt {
        3 => Ok(3),
        _ => std::future::pending().await,
    }
}

/// Copies rows, and says how far it is. The first attempt loses its connection.
#[activity(start_to_close = "1h")]
async fn copy(cx: ActivityContext, rows: u32) -> Result<String, Failure> {
    let done = cx.heartbeat_details::<u32>()?.unwrap_or(0);
    for row in done..rows {
        cx.heartbeat(&(row + 1))?;
        if row + 1 == 60 {
            return Err(Failure::new("ConnectionLost", "after 60 rows").retry_after(Duration::ZERO));
        }
    }
    Ok(format!("attempt {} went on after row {done}", cx.info().attempt))
}

/// Says one thing, and then nothing any more.
#[activity(start_to_close = "1h", heartbeat = "5s", retry(max_attempts = 1))]
async fn fall_silent(cx: ActivityContext) -> Result<(), Failure> {
    cx.heartbeat("row 7")?;
    std::future::pending().await
}

/// Works page by page until it is asked to stop, and says how far it has come.
#[activity(start_to_close = "1h", cancellation = "wait_cancellation_completed")]
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
fn print(cx: ActivityContext, pages: u32) -> Result<(), Failure> {
    for page in 1..=pages {
        if let Err(stop) = cx.heartbeat(&page) {
            note(&cx, "the printer stops");
            return Err(stop.with_details(Payload::of("between two pages")?));
        }
        if page == 1 {
            note(&cx, "the first page");
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Succeeds at the second attempt.
#[activity]
async fn look_up(cx: ActivityContext, name: String) -> Result<String, Failure> {
    match cx.info().attempt {
        1 => Err(Failure::new("Busy", "again")),
        attempt => Ok(format!("{name}, at attempt {attempt}")),
    }
}

/// Takes a thread of its own: not one that others wait for.
#[activity]
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
fn crunch(cx: ActivityContext, numbers: u64) -> Result<u64, Failure> {
    let thread = std::thread::current();
    note(
        &cx,
        format!(
            "on a shard's thread: {}",
            thread.name().is_some_and(|name| name.contains("shard"))
        ),
    );
    Ok((1..=numbers).sum())
}

#[workflow]
async fn hangs(cx: WorkflowContext, limit: Option<u64>) -> Result<u32, Failure> {
    let call = cx.activity(hang, &());
    match limit {
        Some(seconds) => call.schedule_to_close(Duration::from_secs(seconds)).await,
        None => call.await,
    }
}

/// Its activity is for workers of a queue that nobody serves.
#[workflow]
async fn waits_for_a_worker(cx: WorkflowContext) -> Result<u32, Failure> {
    cx.activity(hang, &())
        .task_queue("gpu")
        .schedule_to_start(SECOND * 30)
        .await
}

#[workflow]
async fn copies(cx: WorkflowContext) -> Result<String, Failure> {
    cx.activity(copy, &100).await
}

#[workflow]
async fn listens(cx: WorkflowContext) -> Result<(), Failure> {
    cx.activity(fall_silent, &()).await
}

/// Waits for the printer's real end: its attribute says so. The call of another kind counts more than the attribute.
#[workflow]
async fn prints(cx: WorkflowContext, patient: bool) -> Result<(), Failure> {
    let call = cx.activity(print, &u32::MAX);
    match patient {
        true => call.await,
        false => call.cancellation(CancellationType::TryCancel).await,
    }
}

#[workflow]
async fn looks_up(cx: WorkflowContext) -> Result<String, Failure> {
    cx.local_activity(look_up, &"Ada".to_owned()).await
}

#[workflow]
async fn crunches(cx: WorkflowContext) -> Result<u64, Failure> {
    cx.activity(crunch, &1_000).retry(RetryPolicy::never()).await
}

/// How a run that does not come through has ended.
fn ended<T>(result: Result<T, ResultError>) -> String {
    result
        .err()
        .map_or("it came through".to_owned(), |error| error.to_string())
}

/// An attempt that takes longer is given up, and the retry policy decides what follows.
async fn start_to_close(amends: &Amends, clock: &VirtualClock, notes: &Notes) -> Told {
    let run = amends.workflow(hangs).id("h1").start(&None).await?;
    for (attempt, backoff) in [(1, 1), (2, 2)] {
        notes.until(attempt).await;
        clock.pass(SECOND * 10).await;
        clock.pass(SECOND * backoff).await;
    }
    Ok(vec![format!(
        "start-to-close: attempt {} came through",
        run.result().await?
    )])
}

/// All attempts together, with what lies between them.
async fn schedule_to_close(amends: &Amends, clock: &VirtualClock, notes: &Notes) -> Told {
    let before = notes.all().len();
    let run = amends.workflow(hangs).id("h2").start(&Some(15)).await?;
    clock.pass(SECOND * 10).await;
    clock.pass(SECOND).await;
    notes.until(before + 2).await;
    clock.pass(SECOND * 4).await;
    Ok(vec![format!("schedule-to-close: {}", ended(run.result().await))])
}

/// Until an attempt is begun: here nobody is there to do so.
async fn schedule_to_start(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends.workflow(waits_for_a_worker).id("g").start(&()).await?;
    let seen = until_run(amends, "g", |seen| {
        seen.pending.iter().any(|pending| pending.held.is_some())
    })
    .await;
    let held = seen.pending.first().and_then(|pending| pending.held);
    clock.pass(SECOND * 30).await;
    let held = held.map_or(String::new(), |held| format!("{held:?}"));
    Ok(vec![format!(
        "schedule-to-start, held because of {held}: {}",
        ended(run.result().await)
    )])
}

/// What an attempt said last is there for the next one.
async fn heartbeats(amends: &Amends) -> Told {
    Ok(vec![amends.workflow(copies).start(&()).await?.result().await?])
}

/// An attempt that says nothing for too long is given up; the failure has what it said last.
async fn silence(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends.workflow(listens).id("l").start(&()).await?;
    until_run(amends, "l", |seen| {
        seen.pending.iter().any(|pending| pending.heartbeat.is_some())
    })
    .await;
    clock.pass(SECOND * 5).await;
    let Err(ResultError::Failed(failure)) = run.result().await else {
        return Ok(vec!["it did not fail".to_owned()]);
    };
    let last: Option<String> = failure.last_heartbeat().map(|last| last.to()).transpose()?;
    Ok(vec![format!(
        "{}, after {:?}",
        failure.root().message,
        last.unwrap_or_default()
    )])
}

/// A heartbeat leads out of cancelled work. The code waits for that, or not, as its cancellation type says.
async fn cancellation(amends: &Amends, notes: &Notes) -> Told {
    let mut told = Vec::new();
    for patient in [true, false] {
        let before = notes.all().len();
        let id = format!("patient: {patient}");
        let run = amends.workflow(prints).id(&id).start(&patient).await?;
        notes.until(before + 1).await;
        run.cancel("no paper").await?;
        let Err(ResultError::Canceled(failure)) = run.result().await else {
            return Ok(vec!["it was not canceled".to_owned()]);
        };
        let details: Option<String> = failure.canceled_details().map(|details| details.to()).transpose()?;
        told.push(format!(
            "{id}: {}",
            details.unwrap_or_else(|| "nobody asked how far it was".to_owned())
        ));
        notes.until(before + 2).await;
    }
    Ok(told)
}

/// A local activity is one event, whatever it took.
async fn local(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends.workflow(looks_up).id("local").start(&()).await?;
    clock.pass(SECOND).await;
    let found = run.result().await?;
    let history = amends.client().history("local").await?;
    let about = history
        .iter()
        .filter(|event| event.attributes.kind().contains("Activity"))
        .count();
    Ok(vec![format!("{found}: {about} event")])
}

/// A plain function runs where it may block.
async fn blocking(amends: &Amends, notes: &Notes) -> Told {
    let sum = amends.workflow(crunches).start(&()).await?.result().await?;
    Ok(vec![format!("{sum}, {}", notes.all().pop().unwrap_or_default())])
}

pub(crate) async fn visit() -> Told {
    let (clock, notes) = (VirtualClock::new(), Notes::default());
    let builder = on(&clock).state(notes.clone());
    let builder = builder
        .activity(hang)
        .activity(copy)
        .activity(fall_silent)
        .activity(print);
    let builder = builder.activity(look_up).activity(crunch);
    let builder = builder
        .workflow(hangs)
        .workflow(waits_for_a_worker)
        .workflow(copies)
        .workflow(listens);
    let amends = builder
        .workflow(prints)
        .workflow(looks_up)
        .workflow(crunches)
        .start()
        .await?;
    let mut told = start_to_close(&amends, &clock, &notes).await?;
    told.extend(schedule_to_close(&amends, &clock, &notes).await?);
    told.extend(schedule_to_start(&amends, &clock).await?);
    told.extend(heartbeats(&amends).await?);
    told.extend(silence(&amends, &clock).await?);
    told.extend(cancellation(&amends, &notes).await?);
    told.extend(local(&amends, &clock).await?);
    told.extend(blocking(&amends, &notes).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
