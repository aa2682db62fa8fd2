//! How runs begin, are limited, tried again, repeated and ended, on a clock on which hours pass at once.

use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, Error, Failure, IdConflictPolicy, IdReusePolicy, ResultError, RetryPolicy, Undo,
    WorkflowContext, activity, workflow,
};

use super::{DAY, HOUR, Notes, SECOND, Told, note, on, until};

/// Ends as it is told to.
#[workflow]
async fn shop(cx: WorkflowContext, name: String) -> Result<String, Failure> {
    match cx.signal::<bool>("close").recv().await? {
        true => Ok(name),
        false => Err(Failure::new("Bankrupt", name)),
    }
}

/// Succeeds at the third try.
#[workflow]
async fn third_time(cx: WorkflowContext) -> Result<u32, Failure> {
    match cx.info().attempt {
        3 => Ok(3),
        attempt => Err(Failure::new("NotYet", format!("try {attempt}"))),
    }
}

/// Counts the runs of its chain.
#[workflow]
async fn report(cx: WorkflowContext) -> Result<u32, Failure> {
    Ok(cx.last_result::<u32>()?.unwrap_or(0) + 1)
}

/// Goes on as another run until it has been through all stages, each of which is shown with its own run.
#[workflow]
async fn relay(cx: WorkflowContext, stages: Vec<String>) -> Result<usize, Failure> {
    match stages.split_first() {
        Some((next, rest)) => {
            let call = cx.continue_as_new(relay, &rest.to_vec());
            call.memo("stage", next).run_timeout(DAY).await
        }
        None => Ok(cx.memo().len()),
    }
}

#[activity(compensate = check_out)]
async fn check_in(cx: ActivityContext, guest: String) -> Result<(), Failure> {
    note(&cx, format!("{guest} checks in"));
    Ok(())
}

#[activity]
async fn check_out(cx: ActivityContext, undo: Undo<String, ()>) -> Result<(), Failure> {
    note(&cx, format!("{} checks out", undo.input));
    Ok(())
}

/// A step that has to be undone when the run does not end well.
#[workflow]
async fn stay(cx: WorkflowContext, guest: String) -> Result<(), Failure> {
    cx.saga().run(check_in, &guest).await?;
    cx.signal::<()>("leave").recv().await
}

/// How a start was answered.
fn answer<T>(started: Result<T, Error>) -> String {
    match started {
        Ok(_) => "a run".to_owned(),
        Err(error) => error.code().to_string(),
    }
}

/// A start is counted once by its workflow id, and answered the same under its request id.
async fn request_ids(amends: &Amends) -> Told {
    let start = async |request: &str| {
        amends
            .workflow(shop)
            .id("s1")
            .request_id(request)
            .start(&"corner".to_owned())
            .await
    };
    let first = start("r1").await?;
    let again = start("r1").await?;
    let other = answer(start("r2").await);
    first.signal("close", &true).await?;
    Ok(vec![format!(
        "the same request: the same run ({}); another one: {other}",
        first.run_id() == again.run_id()
    )])
}

/// What becomes of a start whose workflow id has been used.
async fn reuse(amends: &Amends) -> Told {
    use IdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    let start = async |policy| {
        amends
            .workflow(shop)
            .id("s2")
            .id_reuse_policy(policy)
            .start(&String::new())
            .await
    };
    let mut told = Vec::new();
    for goes_well in [false, true] {
        let run = start(AllowDuplicate).await?;
        run.signal("close", &goes_well).await?;
        let ended = run.outcome().await?.status();
        let rejected = answer(start(RejectDuplicate).await);
        let failed_only = start(AllowDuplicateFailedOnly).await;
        if let Ok(run) = &failed_only {
            run.terminate("only to show").await?;
            run.outcome().await?;
        }
        let failed_only = answer(failed_only);
        told.push(format!(
            "after a {ended} run RejectDuplicate: {rejected}, AllowDuplicateFailedOnly: {failed_only}"
        ));
    }
    Ok(told)
}

/// What becomes of a start whose workflow id has an open run.
async fn conflict(amends: &Amends) -> Told {
    use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
    let start = async |policy| {
        amends
            .workflow(shop)
            .id("s3")
            .id_conflict_policy(policy)
            .start(&String::new())
            .await
    };
    let first = start(Fail).await?;
    let refused = answer(start(Fail).await);
    let same = start(UseExisting).await?.run_id() == first.run_id();
    start(TerminateExisting).await?;
    let gone = first.outcome().await?.status();
    Ok(vec![format!(
        "Fail: {refused}, UseExisting: the open run ({same}), TerminateExisting: the open run is {gone}"
    )])
}

/// The time of a whole chain of tries is up.
async fn execution_timeout(amends: &Amends, clock: &VirtualClock) -> Told {
    let starter = amends.workflow(shop).id("s4").retry_policy(RetryPolicy::default());
    let run = starter.execution_timeout(SECOND * 10).start(&String::new()).await?;
    run.signal("close", &false).await?;
    let first = run.run_outcome().await?.status();
    // The second try begins after a second, and waits to be told, too.
    clock.pass(SECOND).await;
    clock.pass(SECOND * 9).await;
    Ok(vec![format!(
        "the first run {first}, the chain {}",
        run.outcome().await?.status()
    )])
}

/// A run whose time is up undoes what it did.
async fn run_timeout(amends: &Amends, clock: &VirtualClock, notes: &Notes) -> Told {
    let run = amends
        .workflow(stay)
        .id("stay-1")
        .run_timeout(DAY)
        .start(&"Ada".to_owned())
        .await?;
    notes.until(1).await;
    clock.pass(DAY).await;
    let status = run.outcome().await?.status();
    Ok(vec![format!("after a day {status}: {}", notes.all().join(", "))])
}

/// A failed run is tried again; the result is that of the last try.
async fn tries(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends
        .workflow(third_time)
        .id("t")
        .retry_policy(RetryPolicy::default())
        .start(&())
        .await?;
    clock.pass(SECOND).await;
    clock.pass(SECOND * 2).await;
    Ok(vec![format!("it came through at try {}", run.result().await?)])
}

/// What the code says of the run that it continues as holds instead of what was said of the one before.
async fn continued(amends: &Amends) -> Told {
    let starter = amends.workflow(relay).id("relay").memo("stage", "start")?;
    let stages = ["swim".to_owned(), "ride".to_owned(), "run".to_owned()];
    let run = starter.start(&stages.to_vec()).await?;
    let notes = run.result().await?;
    let seen = amends.client().describe("relay").await?;
    let stage = seen.memo.get("stage").map(|stage| stage.to_json::<String>());
    Ok(vec![format!(
        "{notes} note in the last run's memo: {}",
        stage.transpose()?.unwrap_or_default()
    )])
}

/// A run that is there, and begins later.
async fn later(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends.workflow(report).id("later").start_delay(HOUR).start(&()).await?;
    let waits = run.describe().await?.begins_at;
    clock.pass(HOUR).await;
    let result = run.result().await?;
    Ok(vec![format!(
        "it begins at {}: {result}",
        waits.map(|at| at.to_string()).unwrap_or_default()
    )])
}

/// A run that repeats itself, until somebody ends the chain.
async fn cron(amends: &Amends, clock: &VirtualClock) -> Told {
    let run = amends
        .workflow(report)
        .id("cron")
        .cron_schedule("0 */6 * * *")
        .start(&())
        .await?;
    let completed = async || {
        let count = amends
            .client()
            .count("WorkflowId = 'cron' AND ExecutionStatus = 'Completed'")
            .await;
        count.map_or(0, |count| count.runs)
    };
    // It is one o'clock: the hour passed above.
    let mut wait = clock_to_six(amends, "cron").await?;
    for times in 1..=3 {
        clock.pass(wait).await;
        until(async || completed().await == times).await;
        wait = HOUR * 6;
    }
    run.cancel("enough").await?;
    let ended = match run.result().await {
        Err(ResultError::Canceled(_)) => "canceled",
        _ => "not canceled",
    };
    Ok(vec![format!(
        "{} runs, and the one that waited was {ended}",
        completed().await
    )])
}

/// How long a run waits for its beginning.
async fn clock_to_six(amends: &Amends, id: &str) -> Result<std::time::Duration, Box<dyn std::error::Error>> {
    let seen = amends.client().describe(id).await?;
    Ok(seen.begins_at.map_or(HOUR, |at| at.since(seen.started_at)))
}

/// Cancelling asks the run to end, and it undoes what it did; terminating does not ask.
async fn cancel_and_terminate(amends: &Amends, notes: &Notes) -> Told {
    let mut told = Vec::new();
    for (guest, terminate) in [("Bob", false), ("Cleo", true)] {
        let before = notes.all().len();
        let run = amends.workflow(stay).id(guest).start(&guest.to_owned()).await?;
        notes.until(before + 1).await;
        super::until_run(amends, guest, |seen| seen.pending.is_empty()).await;
        match terminate {
            true => run.terminate("the house is full").await?,
            false => run.cancel("the house is full").await?,
        }
        let status = run.outcome().await?.status();
        told.push(format!("{status}: {}", notes.all().split_off(before).join(", ")));
    }
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let (clock, notes) = (VirtualClock::new(), Notes::default());
    let builder = on(&clock).state(notes.clone()).activity(check_in).activity(check_out);
    let builder = builder
        .workflow(shop)
        .workflow(third_time)
        .workflow(report)
        .workflow(relay)
        .workflow(stay);
    let amends = builder.start().await?;
    let mut told = request_ids(&amends).await?;
    told.extend(reuse(&amends).await?);
    told.extend(conflict(&amends).await?);
    told.extend(execution_timeout(&amends, &clock).await?);
    told.extend(run_timeout(&amends, &clock, &notes).await?);
    told.extend(tries(&amends, &clock).await?);
    told.extend(continued(&amends).await?);
    told.extend(later(&amends, &clock).await?);
    told.extend(cron(&amends, &clock).await?);
    told.extend(cancel_and_terminate(&amends, &notes).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
