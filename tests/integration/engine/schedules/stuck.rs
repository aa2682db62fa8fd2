//! Schedules whose starts do not get on: the namespace is full, and they are tried again and again. Must not live here: other backlogs
//! (`backlog`).

use amends::WorkflowDefinition;

use super::*;

fn every_minute() -> Schedule {
    Schedule {
        overlap: OverlapPolicy::AllowAll,
        ..Schedule::new(ScheduleSpec::new().every(HOUR / 60))
    }
}

fn report() -> WorkflowDefinition {
    workflow("report", |_, _| async { Ok(Value::Null) })
}

/// An engine on which nothing else can be open but the run that keeps a schedule.
async fn start_full(home: &Home, clock: &VirtualClock) -> Amends {
    let builder = home.builder().clock(Arc::new(clock.clone()));
    let builder = builder.workflow_definition(report()).max_open_runs(1);
    builder.start().await.unwrap()
}

/// Ten runs are to be started, and not even the first one can be.
async fn get_stuck(amends: &Amends, clock: &VirtualClock) {
    amends
        .schedules()
        .create("s", action("r", ""), every_minute())
        .await
        .unwrap();
    clock.advance(HOUR / 6);
    until(amends, clock, "s", |described| described.state.counts().0 == 10).await;
    loop {
        let keeper = amends.client().describe("amends.schedule:s").await.unwrap();
        if keeper.pending.iter().any(|start| start.last_failure.is_some()) {
            return;
        }
        tick(clock).await;
    }
}

/// What another engine, which has room, has started when it has started a run that a person asks for: that is behind all others.
async fn started_in_the_end(home: &Home, clock: &VirtualClock) -> Vec<String> {
    let amends = start(home, clock).await;
    clock.advance(HOUR);
    amends.schedules().trigger("s", None).await.unwrap();
    loop {
        let started: Vec<String> = runs(&amends, "r-").await.into_iter().map(|(id, _)| id).collect();
        // Only the ids of these have something behind the time.
        if started.iter().any(|id| !id.ends_with('Z')) {
            amends.shutdown(GRACE).await;
            return started;
        }
        tick(clock).await;
    }
}

#[test]
fn a_schedule_whose_start_is_tried_again_ends_when_it_is_deleted_and_starts_it_no_more() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start_full(&home, &clock).await;
        let schedules = amends.schedules();
        get_stuck(&amends, &clock).await;
        schedules.delete("s").await.unwrap();
        assert_eq!(schedules.list().await.unwrap(), [""; 0]);

        let paused = Schedule {
            paused: true,
            ..every_minute()
        };
        // Its place is free a moment later.
        for _ in 0..10_000 {
            match schedules.create("s", action("r", ""), paused.clone()).await {
                Err(Error::TooManyOpenRuns { .. }) => tick(&clock).await,
                created => {
                    created.unwrap();
                    break;
                }
            }
        }
        amends.shutdown(GRACE).await;
        let started = started_in_the_end(&home, &clock).await;
        assert_eq!(started.len(), 1, "{started:?}");
    });
}

#[test]
fn a_pause_holds_for_what_the_times_have_asked_for_already() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start_full(&home, &clock).await;
        get_stuck(&amends, &clock).await;
        amends.schedules().pause("s", "too much").await.unwrap();
        let described = amends.schedules().describe("s").await.unwrap();
        assert_eq!(described.state.counts(), (1, 9, 0), "one is being started");
        assert_eq!(described.recent().count(), 1);
        amends.shutdown(GRACE).await;
        let started = started_in_the_end(&home, &clock).await;
        assert_eq!(started.len(), 2, "that one, and what a person asked for: {started:?}");
        assert_eq!(started[0], "2026-01-01T00:01:00Z");
    });
}

#[test]
fn an_update_that_pauses_leaves_its_own_limit_alone() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let amends = start_full(&home, &clock).await;
        get_stuck(&amends, &clock).await;
        let limited = Schedule {
            paused: true,
            remaining: Some(3),
            ..every_minute()
        };
        amends.schedules().update("s", None, limited).await.unwrap();
        let described = amends.schedules().describe("s").await.unwrap();
        assert_eq!(described.state.counts(), (1, 9, 0));
        assert_eq!(described.state.schedule().remaining, Some(3));
        amends.shutdown(GRACE).await;
    });
}
