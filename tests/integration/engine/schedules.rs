//! Schedules on a real engine and virtual time: a month of one, what overlaps, outages, and what people ask for. Must not live here:
//! the times themselves and the policies by themselves (`schedule`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{ListQuery, ScheduleAction, ScheduleDescription};
use amends::schedule::{OverlapPolicy, Schedule, ScheduleSpec};
use amends::testing::VirtualClock;
use amends::{Amends, Error, Failure, RunStatus, Timestamp, UpdateError};
use serde_json::{Value, json};

use crate::support::{Home, run, workflow};

mod backlog;
mod stuck;

const HOUR: Duration = Duration::from_secs(3_600);
const GRACE: Duration = Duration::from_secs(5);

/// 2026-01-01T00:00:00Z, when the virtual clock begins.
const BEGINNING: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Runs end at once, wait for a signal, or fail, as their input says.
async fn start(home: &Home, clock: &VirtualClock) -> Amends {
    let builder = home.builder().clock(Arc::new(clock.clone()));
    let builder = builder.workflow_definition(workflow("report", |cx, how| async move {
        match how.as_str() {
            Some("waits") => cx.signal::<Value>("end").recv().await,
            Some("fails") => Err(Failure::non_retryable("Broken", "as told")),
            _ => Ok(Value::Null),
        }
    }));
    builder.start().await.unwrap()
}

fn hourly(overlap: OverlapPolicy) -> Schedule {
    Schedule {
        overlap,
        ..Schedule::new(ScheduleSpec::new().every(HOUR))
    }
}

fn action(workflow_id: &str, how: &str) -> ScheduleAction {
    ScheduleAction::by_name("report", workflow_id, json!(how))
}

/// Lets a little time pass: an attempt that the clock's leap has overtaken is made again after its backoff.
async fn tick(clock: &VirtualClock) {
    clock.advance(Duration::from_millis(1));
    tokio::task::yield_now().await;
}

/// Looks again and again until the schedule stands as asked for.
async fn until(
    amends: &Amends,
    clock: &VirtualClock,
    id: &str,
    wanted: impl Fn(&ScheduleDescription) -> bool,
) -> ScheduleDescription {
    loop {
        let described = amends.schedules().describe(id).await.unwrap();
        if wanted(&described) {
            return described;
        }
        tick(clock).await;
    }
}

/// So many were started, and the last one that others would wait for has ended.
fn done(wanted: u64) -> impl Fn(&ScheduleDescription) -> bool {
    move |described| {
        let state = &described.state;
        state.counts().0 == wanted && state.running().is_none() && state.waiting() == 0
    }
}

/// The runs whose ids begin so, without that beginning, and how they stand.
async fn runs(amends: &Amends, prefix: &str) -> Vec<(String, RunStatus)> {
    let query = ListQuery {
        limit: 10_000,
        ..ListQuery::default()
    };
    let heads = amends.client().list(&query).await.unwrap();
    let own = heads.iter().filter_map(|head| {
        let id = head.workflow_id.as_str().strip_prefix(prefix)?;
        Some((id.to_owned(), head.status))
    });
    let mut own: Vec<_> = own.collect();
    own.sort();
    own
}

/// Sends a run that waits its signal until it has ended.
async fn finish(amends: &Amends, clock: &VirtualClock, workflow_id: &str) {
    loop {
        let _ = amends.client().signal(workflow_id, "end", &Value::Null).await;
        if let Ok(described) = amends.client().describe(workflow_id).await
            && described.status.is_closed()
        {
            return;
        }
        tick(clock).await;
    }
}

#[test]
fn a_month_of_a_schedule_starts_each_run_once_and_survives_the_engine() {
    run(async {
        let (home, clock) = (Home::sled(), VirtualClock::new());
        let mut amends = start(&home, &clock).await;
        let spec = ScheduleSpec::new().cron("0 9 * * MON-FRI").unwrap();
        let schedule = Schedule::new(spec.time_zone("Europe/Berlin"));
        amends.schedules().create("s", action("r", ""), schedule).await.unwrap();
        for day in 1..=31_u64 {
            clock.advance(HOUR * 24);
            // The first of January 2026 is a Thursday.
            let work_days = (1..=day).filter(|day| !matches!((day + 3) % 7, 6 | 0)).count() as u64;
            until(&amends, &clock, "s", done(work_days)).await;
            if day % 10 == 0 {
                amends.shutdown(GRACE).await;
                amends = start(&home, &clock).await;
            }
        }
        let started = runs(&amends, "r-").await;
        assert_eq!(started.len(), 22, "{started:?}");
        assert_eq!(
            (&*started[0].0, &*started[21].0),
            ("2026-01-01T08:00:00Z", "2026-01-30T08:00:00Z")
        );
        assert!(started.iter().all(|(_, status)| *status == RunStatus::Completed));
        amends.shutdown(GRACE).await;
        home.assert_sound();
    });
}

/// Every day those of a whole day are due at once, one after the other: the history becomes long while some wait.
#[test]
fn a_schedule_continues_as_a_new_run_and_loses_nothing_of_what_runs_and_waits() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedule = hourly(OverlapPolicy::BufferAll);
        amends.schedules().create("s", action("r", ""), schedule).await.unwrap();
        for day in 1..=31 {
            clock.advance(HOUR * 24);
            until(&amends, &clock, "s", done(day * 24)).await;
        }
        let wanted = (1..=31 * 24).map(|hour| {
            let nominal = BEGINNING.after(HOUR * hour).to_string().replace(".000000Z", "Z");
            (nominal, RunStatus::Completed)
        });
        assert_eq!(runs(&amends, "r-").await, wanted.collect::<Vec<_>>());
        let keepers = runs(&amends, "amends.schedule:s").await;
        let continued = keepers
            .iter()
            .filter(|(_, status)| *status == RunStatus::ContinuedAsNew);
        assert!(continued.count() >= 2, "{keepers:?}");
        assert_eq!(amends.schedules().list().await.unwrap(), ["s"]);
        amends.shutdown(GRACE).await;
    });
}

/// A policy; how many were started, wait, and were missed after the third time; and how the runs end.
type Row = (OverlapPolicy, (u64, usize, u64), &'static [RunStatus]);

/// Three times pass while the first run still waits; then all that are there are told to end, and those that come then.
#[test]
fn what_is_due_while_another_one_runs_goes_by_the_overlap_policy() {
    use OverlapPolicy as P;
    use RunStatus::{Canceled, Completed, Terminated};
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let table: [Row; 6] = [
            (P::Skip, (1, 0, 0), &[Completed]),
            (P::BufferOne, (1, 1, 0), &[Completed; 2]),
            (P::BufferAll, (1, 2, 0), &[Completed; 3]),
            (P::CancelOther, (3, 0, 0), &[Canceled, Canceled, Completed]),
            (P::TerminateOther, (3, 0, 0), &[Terminated, Terminated, Completed]),
            (P::AllowAll, (3, 0, 0), &[Completed; 3]),
        ];
        let id = |policy: P| format!("{policy:?}");
        for (policy, ..) in table {
            let (id, schedule) = (id(policy), hourly(policy));
            amends
                .schedules()
                .create(&id, action(&id, "waits"), schedule)
                .await
                .unwrap();
        }
        for hour in 1..=3_u64 {
            clock.advance(HOUR);
            for (policy, (started, waiting, _), _) in table {
                let (started, waiting) = (started.min(hour), waiting.min(hour as usize - 1));
                until(&amends, &clock, &id(policy), |described| {
                    described.state.counts().0 == started && described.state.waiting() == waiting
                })
                .await;
            }
        }
        for (policy, counts, ends) in table {
            let id = id(policy);
            let described = amends.schedules().describe(&id).await.unwrap();
            let (started, left_out, missed) = described.state.counts();
            // Nobody looks at the times while a run goes on that all of them are left out for.
            assert_eq!((started, described.state.waiting(), missed), counts, "{id}");
            assert_eq!(left_out, 0, "{id}");
            for (place, end) in ends.iter().enumerate() {
                let run = format!("{id}-2026-01-01T{:02}:00:00Z", place + 1);
                if *end == Completed {
                    finish(&amends, &clock, &run).await;
                }
            }
            let described = until(&amends, &clock, &id, done(ends.len() as u64)).await;
            assert_eq!(described.problem, None, "{id}");
            let left_out = if matches!(policy, P::Skip | P::BufferOne) {
                3 - ends.len()
            } else {
                0
            };
            assert_eq!(described.state.counts().1, left_out as u64, "{id}");
            let runs = runs(&amends, &format!("{id}-")).await;
            let wanted = ends.iter().enumerate();
            let wanted = wanted.map(|(place, end)| (format!("2026-01-01T{:02}:00:00Z", place + 1), *end));
            assert_eq!(runs, wanted.collect::<Vec<_>>(), "{id}");
        }
        amends.shutdown(GRACE).await;
    });
}

#[test]
fn after_an_outage_what_is_not_too_old_is_caught_up_with_and_what_was_running_is_still_waited_for() {
    run(async {
        let (home, clock) = (Home::sled(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let all = Schedule {
            catchup_window: HOUR * 3,
            ..hourly(OverlapPolicy::AllowAll)
        };
        amends.schedules().create("all", action("all", ""), all).await.unwrap();
        let one = hourly(OverlapPolicy::BufferOne);
        amends
            .schedules()
            .create("one", action("one", "waits"), one)
            .await
            .unwrap();
        clock.advance(HOUR);
        until(&amends, &clock, "all", done(1)).await;
        until(&amends, &clock, "one", |described| described.state.running().is_some()).await;
        amends.shutdown(GRACE).await;

        clock.advance(HOUR * 8 + HOUR / 2);
        let amends = start(&home, &clock).await;
        let described = until(&amends, &clock, "all", done(4)).await;
        assert_eq!(described.state.counts(), (4, 0, 5));
        // Nobody waits for the ends of these.
        let caught_up = loop {
            let caught_up = runs(&amends, "all-").await;
            if caught_up.len() == 4 {
                break caught_up;
            }
            tick(&clock).await;
        };
        let caught_up: Vec<&str> = caught_up.iter().map(|(id, _)| &id[11..13]).collect();
        assert_eq!(caught_up, ["01", "07", "08", "09"]);

        until(&amends, &clock, "one", |described| described.state.waiting() == 1).await;
        finish(&amends, &clock, "one-2026-01-01T01:00:00Z").await;
        finish(&amends, &clock, "one-2026-01-01T02:00:00Z").await;
        let described = until(&amends, &clock, "one", done(2)).await;
        assert_eq!(described.state.counts(), (2, 7, 0));
        amends.shutdown(GRACE).await;
        home.assert_sound();
    });
}

#[test]
fn people_pause_trigger_fill_up_change_and_delete_schedules() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedules = amends.schedules();
        let schedule = hourly(OverlapPolicy::Skip);
        schedules.create("s", action("r", ""), schedule.clone()).await.unwrap();
        schedules.pause("s", "holidays").await.unwrap();
        clock.advance(HOUR * 5 + HOUR / 2);
        schedules.trigger("s", None).await.unwrap();
        until(&amends, &clock, "s", done(1)).await;
        let range = (BEGINNING.after(HOUR), BEGINNING.after(HOUR * 3));
        let all = Some(OverlapPolicy::BufferAll);
        schedules.backfill("s", range.0, range.1, all).await.unwrap();
        let described = until(&amends, &clock, "s", done(4)).await;
        assert!(described.state.schedule().paused && described.state.schedule().note == "holidays");
        let year = schedules
            .backfill("s", BEGINNING, BEGINNING.after(HOUR * 9_000), all)
            .await;
        assert!(
            matches!(&year, Err(UpdateError::Failed(failure)) if failure.is_type("TooManyTimes")),
            "{year:?}"
        );

        // What passed during the pause is not caught up with; what comes later is by the new times.
        schedules.unpause("s", "back").await.unwrap();
        let described = schedules.describe("s").await.unwrap();
        assert_eq!(described.upcoming().next(), Some(BEGINNING.after(HOUR * 6)));
        let daily = Schedule::new(ScheduleSpec::new().every(HOUR * 24));
        schedules
            .update("s", Some(action("d", "")), daily.clone())
            .await
            .unwrap();
        clock.advance(HOUR * 24);
        let described = until(&amends, &clock, "s", done(5)).await;
        assert_eq!(described.recent().count(), 5);
        // Between the time and the number is when the schedule began.
        let ids: Vec<String> = described
            .recent()
            .map(|recent| {
                recent
                    .workflow_id
                    .replace(&format!("-{:x}-", BEGINNING.as_micros()), "-")
            })
            .collect();
        assert_eq!(
            ids,
            [
                "r-2026-01-01T05:30:00Z-1",
                "r-2026-01-01T01:00:00Z-2",
                "r-2026-01-01T02:00:00Z-3",
                "r-2026-01-01T03:00:00Z-4",
                "d-2026-01-02T00:00:00Z"
            ]
        );
        assert_eq!(runs(&amends, "").await.len(), 6, "five, and the schedule");

        let twice = schedules.create("s", action("r", ""), schedule.clone()).await;
        assert!(matches!(twice, Err(Error::AlreadyStarted { .. })), "{twice:?}");
        let nowhere = Schedule::new(ScheduleSpec::new().every(HOUR).time_zone("Mars/Olympus"));
        let wrong = schedules.create("t", action("t", ""), nowhere.clone()).await;
        assert!(matches!(wrong, Err(Error::Schedule(_))), "{wrong:?}");
        let wrong = schedules.update("s", None, nowhere).await;
        assert!(
            matches!(wrong, Err(UpdateError::Engine(Error::Schedule(_)))),
            "{wrong:?}"
        );
        let long = schedules
            .create("t", action(&"x".repeat(250), ""), schedule.clone())
            .await;
        assert!(matches!(long, Err(Error::Id(_))), "{long:?}");
        assert_eq!(schedules.list().await.unwrap(), ["s"]);

        schedules.delete("s").await.unwrap();
        let gone = schedules.describe("s").await;
        assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
        let gone = schedules.pause("s", "").await;
        assert!(matches!(gone, Err(UpdateError::Engine(Error::NotFound(_)))), "{gone:?}");
        assert!(schedules.list().await.unwrap().is_empty());
        schedules.create("s", action("again", ""), schedule).await.unwrap();
        assert_eq!(schedules.list().await.unwrap(), ["s"]);
        amends.shutdown(GRACE).await;
    });
}

#[test]
fn a_schedule_pauses_on_a_failure_tells_what_it_cannot_start_and_leaves_its_runs_alone() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedules = amends.schedules();
        let careful = Schedule {
            pause_on_failure: true,
            ..hourly(OverlapPolicy::Skip)
        };
        schedules.create("f", action("f", "fails"), careful).await.unwrap();
        let unknown = ScheduleAction::by_name("no_such_workflow", "u", Value::Null);
        schedules
            .create("u", unknown, hourly(OverlapPolicy::BufferAll))
            .await
            .unwrap();
        schedules
            .create("w", action("w", "waits"), hourly(OverlapPolicy::Skip))
            .await
            .unwrap();
        clock.advance(HOUR * 2);
        let paused = until(&amends, &clock, "f", |described| described.state.schedule().paused).await;
        assert!(
            paused.state.schedule().note.contains("f-2026-01-01T01:00:00Z"),
            "{paused:?}"
        );
        assert_eq!(paused.state.counts().0, 1);
        let described = until(&amends, &clock, "u", done(2)).await;
        let problem = described.problem.unwrap();
        assert!(problem.contains("no_such_workflow"), "{problem}");

        until(&amends, &clock, "w", |described| described.state.running().is_some()).await;
        schedules.delete("w").await.unwrap();
        finish(&amends, &clock, "w-2026-01-01T01:00:00Z").await;
        assert_eq!(
            runs(&amends, "w-").await,
            [("2026-01-01T01:00:00Z".to_owned(), RunStatus::Completed)],
            "the end of a schedule is not the end of its runs"
        );
        amends.shutdown(GRACE).await;
    });
}
