//! Schedules that have much to do at once: what was due during a long outage, and what people ask for. Must not live here: the
//! rest of what schedules do (`schedules`).

use amends::model::limits;

use super::*;

fn every_minute() -> Schedule {
    Schedule {
        overlap: OverlapPolicy::AllowAll,
        ..Schedule::new(ScheduleSpec::new().every(HOUR / 60))
    }
}

/// The runs that keep the schedule: whether each is closed, and how long its history is.
async fn keepers(amends: &Amends, id: &str) -> Vec<(bool, u64)> {
    let query = ListQuery {
        limit: 10_000,
        ..ListQuery::default()
    };
    let heads = amends.client().list(&query).await.unwrap();
    let id = format!("amends.schedule:{id}");
    let mut keepers = Vec::new();
    for head in heads.iter().filter(|head| head.workflow_id.as_str() == id) {
        let history = amends.client().history_of(head.run_id).await.unwrap();
        keepers.push((head.status.is_closed(), history.last().map_or(0, |event| event.id.0)));
    }
    keepers
}

#[test]
fn catching_up_with_much_makes_no_history_too_long() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedules = amends.schedules();
        schedules.create("s", action("r", ""), every_minute()).await.unwrap();
        amends.shutdown(GRACE).await;
        let outage: u32 = 1_500;
        clock.advance(HOUR / 60 * outage);
        let amends = start(&home, &clock).await;
        until(&amends, &clock, "s", |described| {
            described.state.counts().0 >= outage.into()
        })
        .await;
        // What is counted is still to be started.
        loop {
            let started = runs(&amends, "r-").await.len();
            if started >= outage as usize {
                break;
            }
            tick(&clock).await;
        }
        let keepers = keepers(&amends, "s").await;
        let longest = keepers.iter().map(|(_, events)| *events).max().unwrap();
        assert!(longest < limits::HISTORY_EVENTS_SUGGEST + 100, "{keepers:?}");
        assert!(keepers.len() >= 3, "{keepers:?}");
        amends.shutdown(GRACE).await;
    });
}

#[test]
fn a_deleted_schedule_starts_nothing_more_of_what_was_still_to_be_started() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedules = amends.schedules();
        schedules.create("s", action("r", ""), every_minute()).await.unwrap();
        let backfill = || schedules.backfill("s", BEGINNING, BEGINNING.after(HOUR * 10), None);
        backfill().await.unwrap();
        let more = backfill().await;
        assert!(
            matches!(&more, Err(UpdateError::Failed(failure)) if failure.is_type("TooManyTimes")),
            "{more:?}"
        );
        schedules.delete("s").await.unwrap();
        while !keepers(&amends, "s").await.iter().all(|(is_closed, _)| *is_closed) {
            tick(&clock).await;
        }
        assert!(runs(&amends, "r-").await.len() < 600);

        // Another one with the same name: its runs are not taken for those of the first one.
        let before = runs(&amends, "r-").await.len();
        clock.advance(Duration::from_millis(1));
        schedules.create("s", action("r", ""), every_minute()).await.unwrap();
        let again = schedules.backfill("s", BEGINNING, BEGINNING.after(HOUR / 6), None);
        again.await.unwrap();
        until(&amends, &clock, "s", done(11)).await;
        while runs(&amends, "r-").await.len() < before + 11 {
            tick(&clock).await;
        }
        amends.shutdown(GRACE).await;
    });
}

#[test]
fn the_input_of_what_a_schedule_starts_leaves_room_for_the_schedule() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start(&home, &clock).await;
        let schedules = amends.schedules();
        let long = "x".repeat(limits::SCHEDULE_INPUT_BYTES_MAX);
        let created = schedules.create("s", action("r", &long), every_minute()).await;
        assert!(
            matches!(created, Err(Error::ScheduleInput { max, .. }) if max == limits::SCHEDULE_INPUT_BYTES_MAX),
            "{created:?}"
        );
        schedules.create("s", action("r", ""), every_minute()).await.unwrap();
        let updated = schedules.update("s", Some(action("r", &long)), every_minute()).await;
        assert!(
            matches!(updated, Err(UpdateError::Engine(Error::ScheduleInput { .. }))),
            "{updated:?}"
        );
        amends.shutdown(GRACE).await;
    });
}
