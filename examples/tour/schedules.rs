//! Schedules: what starts runs again and again, day after day of a virtual clock that begins on the first of January 2026.

use amends::engine::{ScheduleAction, ScheduleDescription};
use amends::model::Timestamp;
use amends::schedule::{Calendar, OverlapPolicy, Schedule, ScheduleSpec};
use amends::store::MemoryStore;
use amends::testing::VirtualClock;
use amends::{Amends, Failure, WorkflowContext, workflow};

use super::{DAY, HOUR, SECOND, Told, look, on, until_run};

/// Is done at once.
#[workflow]
async fn report(_cx: WorkflowContext, about: String) -> Result<String, Failure> {
    Ok(format!("a report about {about}"))
}

/// Takes until it is told to end.
#[workflow]
async fn settlement(cx: WorkflowContext) -> Result<(), Failure> {
    cx.signal::<()>("end").recv().await
}

async fn engine(memory: &MemoryStore, clock: &VirtualClock) -> Result<Amends, amends::Error> {
    let memory = memory.clone();
    let builder = on(clock).store(move || Ok(Box::new(memory.clone())));
    builder.workflow(report).workflow(settlement).start().await
}

/// Looks until the schedule stands as asked for, while a little time goes by.
async fn until(
    amends: &Amends,
    clock: &VirtualClock,
    id: &str,
    wanted: impl Fn(&ScheduleDescription) -> bool,
) -> Result<ScheduleDescription, amends::Error> {
    look(async || match amends.schedules().describe(id).await {
        Ok(seen) if !wanted(&seen) => {
            clock.advance(SECOND / 1_000);
            None
        }
        seen => Some(seen),
    })
    .await
}

/// So many runs were started, and none is under way.
fn done(runs: u64) -> impl Fn(&ScheduleDescription) -> bool {
    move |seen| seen.state.counts().0 == runs && seen.state.running().is_none() && seen.state.waiting() == 0
}

fn hourly(overlap: OverlapPolicy) -> Schedule {
    Schedule {
        overlap,
        ..Schedule::new(ScheduleSpec::new().every(HOUR))
    }
}

/// Hours and minutes of a time.
fn clock_time(time: &str) -> &str {
    time.get(11..16).unwrap_or(time)
}

/// Times of calendars, in a time zone, without some of them: the working days of a week but one.
async fn calendars(amends: &Amends, clock: &VirtualClock) -> Told {
    let spec = ScheduleSpec::new().calendar(Calendar::new().hours(9).days_of_week(1..=5));
    // Not on Epiphany.
    let spec = spec
        .exclude(Calendar::new().hours(9).days_of_month(6).months(1))
        .time_zone("Europe/Berlin");
    let action = ScheduleAction::of(&report, "daily", &"sales".to_owned())?;
    amends.schedules().create("daily", action, Schedule::new(spec)).await?;
    for (day, runs) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4)] {
        clock.advance(DAY);
        until(amends, clock, "daily", done(runs))
            .await
            .map_err(|error| format!("day {day}: {error}"))?;
    }
    let seen = amends.schedules().describe("daily").await?;
    let mut told: Vec<String> = seen.recent().map(|run| run.workflow_id.clone()).collect();
    told.extend(seen.upcoming().next().map(|next| format!("next at {next}")));
    amends.schedules().delete("daily").await?;
    Ok(told)
}

/// Cron expressions: of days of the month *and* of the week both must fit in a schedule, either in a start's `cron_schedule`.
fn cron_days() -> Told {
    let expression = "0 9 13 * FRI";
    let spec = ScheduleSpec::new().cron(expression)?;
    let begun = Timestamp::from_micros(1_767_225_600_000_000);
    let both = Schedule::new(spec);
    let state = amends::schedule::ScheduleState::new("s", both, begun)?;
    let either = amends::machine::CronSchedule::parse(expression)?;
    let told =
        |what: &str, next: Option<Timestamp>| format!("{what}: {}", next.map(|at| at.to_string()).unwrap_or_default());
    Ok(vec![
        told("Friday the 13th", state.upcoming(begun, 1).pop()),
        told("a Friday, or a 13th", either.next(begun, begun)),
    ])
}

/// What is due while the run before it is still under way.
async fn overlap(amends: &Amends, clock: &VirtualClock) -> Told {
    use OverlapPolicy::{AllowAll, BufferAll, BufferOne, CancelOther, Skip, TerminateOther};
    let mut told = Vec::new();
    for (policy, started, waiting) in [
        (Skip, 1, 0),
        (BufferOne, 1, 1),
        (BufferAll, 1, 2),
        (CancelOther, 3, 0),
        (TerminateOther, 3, 0),
        (AllowAll, 3, 0),
    ] {
        let id = format!("{policy:?}");
        let action = ScheduleAction::of(&settlement, id.clone(), &())?;
        amends.schedules().create(&id, action, hourly(policy)).await?;
        for hour in 1..=3_usize {
            clock.advance(HOUR);
            until(amends, clock, &id, |seen| {
                seen.state.counts().0 == u64::try_from(hour).unwrap_or(0).min(started)
                    && seen.state.waiting() == waiting.min(hour - 1)
            })
            .await?;
        }
        told.push(format!("{id}: three times were due, {started} began, {waiting} wait"));
        amends.schedules().delete(&id).await?;
    }
    Ok(told)
}

/// An outage of half a day: what is not too old is caught up with when an engine is there again.
async fn catch_up() -> Told {
    let (memory, clock) = (MemoryStore::new(), VirtualClock::new());
    let amends = engine(&memory, &clock).await?;
    let schedule = Schedule {
        catchup_window: HOUR * 3,
        ..hourly(OverlapPolicy::BufferAll)
    };
    let action = ScheduleAction::of(&report, "r", &"the night".to_owned())?;
    amends.schedules().create("hourly", action, schedule).await?;
    amends.shutdown(SECOND).await;
    clock.advance(HOUR * 12 + HOUR / 2);
    let amends = engine(&memory, &clock).await?;
    let seen = until(&amends, &clock, "hourly", done(3)).await?;
    let runs: Vec<&str> = seen.recent().map(|run| clock_time(&run.workflow_id[2..])).collect();
    let told = vec![format!(
        "caught up with {}; {} times were missed",
        runs.join(", "),
        seen.state.counts().2
    )];
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// What people do: pause, have a run now, have those of the past.
async fn by_hand(amends: &Amends, clock: &VirtualClock) -> Told {
    let schedules = amends.schedules();
    let action = ScheduleAction::of(&report, "r", &"holidays".to_owned())?;
    schedules
        .create("by hand", action, hourly(OverlapPolicy::BufferAll))
        .await?;
    schedules.pause("by hand", "holidays").await?;
    clock.advance(HOUR * 5);
    schedules.trigger("by hand", None).await?;
    until(amends, clock, "by hand", done(1)).await?;
    let begun = amends.client().describe("amends.schedule:by hand").await?.started_at;
    let full_hour = Timestamp::from_micros(begun.as_micros() / 3_600_000_000 * 3_600_000_000);
    let (first, last) = (full_hour.after(HOUR), full_hour.after(HOUR * 3));
    schedules.backfill("by hand", first, last, None).await?;
    let seen = until(amends, clock, "by hand", done(4)).await?;
    let told = vec![format!(
        "paused ({}) for five hours; {} runs: one by hand, three filled up",
        seen.state.schedule().note,
        seen.state.counts().0
    )];
    schedules.delete("by hand").await?;
    Ok(told)
}

/// What the runs of a schedule are started with.
async fn actions(amends: &Amends, clock: &VirtualClock) -> Told {
    let action = ScheduleAction::of(&report, "a", &"stock".to_owned())?;
    let action = action
        .run_timeout(HOUR)
        .memo("owner", "ada")
        .search_attribute("Team", "stock");
    amends
        .schedules()
        .create("with options", action, hourly(OverlapPolicy::Skip))
        .await?;
    amends.schedules().trigger("with options", None).await?;
    until(amends, clock, "with options", done(1)).await?;
    let found = amends.client().list("Team = 'stock'").await?;
    let run = found.first().ok_or("it was not found")?;
    let seen = until_run(amends, run.workflow_id.as_str(), |seen| seen.status.is_closed()).await;
    let owner: Option<String> = seen.memo.get("owner").map(|owner| owner.to()).transpose()?;
    let result: serde_json::Value = amends.find(run.workflow_id.as_str()).await?.result().await?;
    Ok(vec![format!(
        "found by its team: {result}, of {}",
        owner.unwrap_or_default()
    )])
}

pub(crate) async fn visit() -> Told {
    let (memory, clock) = (MemoryStore::new(), VirtualClock::new());
    let amends = engine(&memory, &clock).await?;
    let mut told = calendars(&amends, &clock).await?;
    told.extend(cron_days()?);
    told.extend(overlap(&amends, &clock).await?);
    told.extend(by_hand(&amends, &clock).await?);
    told.extend(actions(&amends, &clock).await?);
    amends.shutdown(SECOND).await;
    told.extend(catch_up().await?);
    Ok(told)
}
