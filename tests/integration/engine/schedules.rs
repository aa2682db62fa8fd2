//! Schedules on a real engine and virtual time: a month of one, what overlaps, outages, and what people ask for. Must not live here:
//! the times themselves and the policies by themselves (`schedule`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{ScheduleAction, ScheduleDescription};
use amends::schedule::{OverlapPolicy, Schedule, ScheduleSpec};
use amends::testing::VirtualClock;
use amends::{Amends, Error, Failure, RunStatus};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, run, workflow};

const HOUR: Duration = Duration::from_secs(3_600);

/// Runs that note their id; they end at once, wait for a signal, or fail, as their input says.
async fn start(home: &Home, clock: &VirtualClock, recorder: &Recorder) -> Amends {
    let noted = recorder.clone();
    let builder = home.builder().clock(Arc::new(clock.clone()));
    let builder = builder.workflow_definition(workflow("report", move |cx, how| {
        let noted = noted.clone();
        async move {
            noted.note(cx.workflow_id().to_string());
            match how.as_str() {
                Some("waits") => cx.signal::<Value>("end").recv().await,
                Some("fails") => Err(Failure::non_retryable("Broken", "as told")),
                _ => Ok(Value::Null),
            }
        }
    }));
    builder.start().await.unwrap()
}

fn hourly() -> Schedule {
    Schedule::new(ScheduleSpec::new().every(HOUR))
}

fn action(how: &str) -> ScheduleAction {
    ScheduleAction::by_name("report", "r", json!(how))
}

async fn until(amends: &Amends, wanted: impl Fn(&ScheduleDescription) -> bool) -> ScheduleDescription {
    loop {
        let described = amends.schedules().describe("s").await.unwrap();
        if wanted(&described) {
            return described;
        }
        tokio::task::yield_now().await;
    }
}

fn started(wanted: u64) -> impl Fn(&ScheduleDescription) -> bool {
    move |described| described.state.counts().0 == wanted && described.state.running().is_none()
}

#[test]
fn a_month_of_a_schedule_starts_each_run_once_and_survives_the_engine() {
    run(async {
        let (home, clock, recorder) = (Home::sled(), VirtualClock::new(), Recorder::new());
        let mut amends = start(&home, &clock, &recorder).await;
        let spec = ScheduleSpec::new()
            .cron("0 9 * * MON-FRI")
            .unwrap()
            .time_zone("Europe/Berlin");
        amends
            .schedules()
            .create("s", action(""), Schedule::new(spec))
            .await
            .unwrap();
        for day in 1..=31_u64 {
            clock.advance(HOUR * 24);
            let work_days = (1..=day).filter(|day| !matches!((day + 3) % 7, 6 | 0)).count() as u64;
            until(&amends, started(work_days)).await;
            if day % 10 == 0 {
                amends.shutdown(Duration::from_secs(5)).await;
                amends = start(&home, &clock, &recorder).await;
            }
        }
        let all = recorder.all();
        assert_eq!(all.len(), 22, "{all:?}");
        assert_eq!(
            (&*all[0], &*all[21]),
            ("r-2026-01-01T08:00:00Z", "r-2026-01-30T08:00:00Z")
        );
        amends.shutdown(Duration::from_secs(5)).await;
        home.assert_sound();
    });
}
