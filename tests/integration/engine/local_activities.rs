//! Local activities on a real engine: what they leave in the history, where they are tried again, when they wait, and when they
//! give up.

use std::sync::Arc;
use std::time::Duration;

use amends::model::{FailureKind, TimeoutKind};
use amends::testing::VirtualClock;
use amends::{ActivityContext, ActivityLimits, Amends, Breaker, Failure, ResultError, RetryPolicy, WorkflowContext};
use serde_json::json;

use crate::support::{Home, Recorder, run};

const SECOND: Duration = Duration::from_secs(1);

async fn lookup(cx: ActivityContext, tries: u32) -> Result<u32, Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note(cx.info().idempotency_key.clone());
    match cx.info().attempt {
        attempt if attempt < tries => Err(Failure::new("Busy", "")),
        attempt => Ok(attempt),
    }
}

async fn hang(cx: ActivityContext) -> Result<u32, Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note("hangs");
    match recorder.count("hangs") {
        1 => std::future::pending().await,
        _ => Ok(7),
    }
}

async fn looks(cx: WorkflowContext, tries: u32) -> Result<(u32, u32), Failure> {
    let first = cx.local_activity(lookup, &tries).await?;
    Ok((first, cx.local_activity(lookup, &1).await?))
}

#[test]
fn tries_are_made_in_place_and_only_the_end_is_recorded() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let amends = builder.activity(lookup).workflow(looks).start().await.unwrap();
        let run = amends.workflow(looks).id("w").start(&3).await.unwrap();
        clock.pass(SECOND).await;
        clock.pass(SECOND * 2).await;
        assert_eq!(run.result().await.unwrap(), (3, 1));
        let history = amends.client().history("w").await.unwrap();
        let kinds: Vec<&str> = history.iter().map(|event| event.attributes.kind()).collect();
        assert_eq!(
            kinds,
            [
                "WorkflowExecutionStarted",
                "WorkflowTaskCompleted",
                "LocalActivityEnded",
                "WorkflowTaskCompleted",
                "LocalActivityEnded",
                "WorkflowTaskCompleted",
                "WorkflowExecutionCompleted"
            ]
        );
        let mut keys = recorder.all();
        keys.dedup();
        assert_eq!(keys.len(), 2, "one key for all tries: {keys:?}");
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn one_that_takes_too_long_fails_within_its_bound() {
    async fn patient(cx: WorkflowContext) -> Result<u32, Failure> {
        // Nobody may wait longer than a minute, whatever is asked for.
        let call = cx.local_activity(hang, &()).start_to_close(SECOND * 3_600);
        call.schedule_to_close(SECOND * 3_600)
            .retry(RetryPolicy::default())
            .await
    }
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let amends = builder.activity(hang).workflow(patient).start().await.unwrap();
        let run = amends.workflow(patient).start(&()).await.unwrap();
        recorder.until("hangs", 1).await;
        clock.pass(SECOND * 60).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => assert_eq!(failure.root().message, "schedule-to-close timeout"),
            other => panic!("{other:?}"),
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn the_next_engine_runs_again_what_had_not_ended() {
    async fn waits(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.local_activity(hang, &()).await
    }
    run(async {
        for home in Home::each() {
            let recorder = Recorder::new();
            let builder = home.builder().state(recorder.clone()).activity(hang).workflow(waits);
            let amends = builder.start().await.unwrap();
            drop(amends.workflow(waits).id("w").start(&()).await.unwrap());
            recorder.until("hangs", 1).await;
            amends.shutdown(Duration::ZERO).await;
            let builder = home.builder().state(recorder.clone()).activity(hang).workflow(waits);
            let amends = builder.start().await.unwrap();
            let run = amends.find("w").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!(7));
            assert_eq!(recorder.len(), 2);
            amends.shutdown(Duration::ZERO).await;
        }
    });
}

/// Has no answer the first time, and is asked with a recorder.
async fn recovers(cx: ActivityContext) -> Result<u32, Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note("asked");
    match recorder.len() {
        1 => Err(Failure::new("Down", "")),
        _ => Ok(cx.info().attempt),
    }
}

async fn twice_at_most(cx: WorkflowContext) -> Result<u32, Failure> {
    let call = cx.local_activity(recovers, &()).schedule_to_close(SECOND * 20);
    call.retry(RetryPolicy {
        maximum_attempts: 2,
        ..RetryPolicy::default()
    })
    .await
}

/// An engine with a run whose first try has failed, so that the breaker is open, and whose second one is kept back.
async fn kept_back(home: &Home, clock: &VirtualClock, recorder: &Recorder, open_for: Duration) -> Amends {
    let limits = ActivityLimits::new().breaker(Breaker::after(1).open_for(open_for));
    let amends = home
        .builder()
        .clock(Arc::new(clock.clone()))
        .state(recorder.clone())
        .activity_limits("recovers", limits)
        .activity(recovers)
        .workflow(twice_at_most)
        .start()
        .await
        .unwrap();
    drop(amends.workflow(twice_at_most).id("w1").start(&()).await.unwrap());
    recorder.until("asked", 1).await;
    clock.pass(SECOND).await;
    until_parked(&amends, 1).await;
    amends
}

async fn until_parked(amends: &Amends, attempts: usize) {
    while amends.client().activity_types()[0].parked != attempts {
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_open_breaker_keeps_tries_back_until_one_is_answered_and_uses_up_none() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let amends = kept_back(&home, &clock, &recorder, SECOND * 10).await;
        let second = amends.workflow(twice_at_most).id("w2").start(&()).await.unwrap();
        until_parked(&amends, 2).await;
        clock.advance(SECOND * 8);
        assert_eq!(recorder.len(), 1, "nobody is asked meanwhile");
        clock.pass(SECOND).await;
        let first = amends.find("w1").await.unwrap();
        assert_eq!(first.result().await.unwrap(), json!(2));
        assert_eq!(second.result().await.unwrap(), 1, "its try was not used up by waiting");
        let status = amends.client().activity_types().remove(0);
        assert_eq!((status.open_until, status.parked), (None, 0));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn one_that_waits_for_a_breaker_fails_when_its_time_is_up_or_ends_with_its_run() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let amends = kept_back(&home, &clock, &recorder, SECOND * 3_600).await;
        let canceled = amends.workflow(twice_at_most).id("w2").start(&()).await.unwrap();
        until_parked(&amends, 2).await;
        canceled.cancel("not needed").await.unwrap();
        assert!(matches!(canceled.result().await, Err(ResultError::Canceled(_))));
        until_parked(&amends, 1).await;
        clock.pass(SECOND * 19).await;
        match amends.find("w1").await.unwrap().result().await {
            Err(ResultError::Failed(failure)) => {
                let kinds: Vec<_> = failure.chain().filter_map(Failure::timeout_kind).collect();
                assert_eq!(kinds, [TimeoutKind::ScheduleToClose], "{failure}");
                assert!(
                    failure.root().is_type("Down"),
                    "it says how the last try failed: {failure}"
                );
            }
            other => panic!("{other:?}"),
        }
        until_parked(&amends, 0).await;
        assert_eq!(recorder.len(), 1);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn an_engine_that_stops_leaves_what_waits_for_a_breaker_to_the_next_one() {
    run(async {
        for home in Home::each() {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let amends = kept_back(&home, &clock, &recorder, SECOND * 3_600).await;
            // Nobody moves the clock: it would wait for ever.
            amends.shutdown(SECOND).await;
            let builder = home.builder().state(recorder.clone()).clock(Arc::new(clock.clone()));
            let amends = builder
                .activity(recovers)
                .workflow(twice_at_most)
                .start()
                .await
                .unwrap();
            let run = amends.find("w1").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!(1), "its tries begin anew");
            amends.shutdown(Duration::ZERO).await;
        }
    });
}

#[test]
fn an_engine_that_stops_leaves_what_is_to_be_tried_again_to_the_next_one() {
    run(async {
        for home in Home::each() {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let builder = || {
                let builder = home.builder().state(recorder.clone()).clock(Arc::new(clock.clone()));
                builder.activity(recovers).workflow(twice_at_most)
            };
            let amends = builder().start().await.unwrap();
            drop(amends.workflow(twice_at_most).id("w1").start(&()).await.unwrap());
            recorder.until("asked", 1).await;
            // Nobody moves the clock: it would wait for ever.
            amends.shutdown(SECOND).await;
            assert_eq!(recorder.len(), 1, "nothing is begun any more");
            let amends = builder().start().await.unwrap();
            let run = amends.find("w1").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!(1), "its tries begin anew");
            amends.shutdown(Duration::ZERO).await;
        }
    });
}

#[test]
fn the_time_of_all_tries_goes_on_while_one_waits_for_a_place() {
    async fn within(cx: WorkflowContext, seconds: u64) -> Result<u32, Failure> {
        let call = cx.local_activity(hang, &()).start_to_close(SECOND * 60);
        call.schedule_to_close(SECOND * u32::try_from(seconds).unwrap()).await
    }
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let builder = builder.activity_limits("hang", ActivityLimits::new().max_concurrent(1));
        let amends = builder.activity(hang).workflow(within).start().await.unwrap();
        drop(amends.workflow(within).start(&60).await.unwrap());
        recorder.until("hangs", 1).await;
        let waits = amends.workflow(within).start(&20).await.unwrap();
        clock.pass(SECOND * 20).await;
        match waits.result().await {
            Err(ResultError::Failed(failure)) => {
                assert_eq!(
                    failure.root().timeout_kind(),
                    Some(TimeoutKind::ScheduleToClose),
                    "{failure}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(recorder.len(), 1, "it had no place");
        amends.shutdown(Duration::ZERO).await;
    });
}

/// As for an activity that is scheduled; and what is recorded says the same to the code that is replayed.
#[test]
fn a_failure_says_why_it_was_not_tried_again_also_after_a_restart() {
    async fn fails(_: ActivityContext, failure: String) -> Result<u32, Failure> {
        Err(match failure.as_str() {
            "final" => Failure::non_retryable("Broken", ""),
            "listed" => Failure::new("Listed", ""),
            "cancelled" => Failure::canceled("asked to stop"),
            _ => Failure::new("Busy", ""),
        })
    }
    async fn states(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
        let mut states = Vec::new();
        for (failure, maximum_attempts) in [("busy", 1), ("busy", 0), ("final", 3), ("listed", 3), ("cancelled", 3)] {
            let retry = RetryPolicy {
                maximum_attempts,
                initial_interval: SECOND * 30,
                non_retryable_types: vec!["Listed".to_owned()],
                ..RetryPolicy::default()
            };
            // Of those that may be tried for ever, the next try would be too late.
            let call = cx.local_activity(fails, &failure.to_owned()).retry(retry);
            let failed = call.schedule_to_close(SECOND * 30).await.unwrap_err();
            let FailureKind::Activity {
                activity_id,
                retry_state,
                ..
            } = &failed.kind
            else {
                return Err(failed);
            };
            states.push(format!("{activity_id} {retry_state:?}"));
        }
        cx.signal::<()>("end").recv().await?;
        Ok(states)
    }
    run(async {
        for home in Home::each() {
            let start = || home.builder().activity(fails).workflow(states).start();
            let amends = start().await.unwrap();
            drop(amends.workflow(states).id("w").start(&()).await.unwrap());
            until_ended(&amends, 5).await;
            amends.shutdown(SECOND).await;
            let amends = start().await.unwrap();
            amends.client().signal("w", "end", &()).await.unwrap();
            let expected = json!([
                "local-1 MaximumAttemptsReached",
                "local-2 Timeout",
                "local-3 NonRetryable",
                "local-4 NonRetryable",
                "local-5 CancelRequested"
            ]);
            assert_eq!(amends.find("w").await.unwrap().result().await.unwrap(), expected);
            amends.shutdown(Duration::ZERO).await;
        }
    });
}

async fn until_ended(amends: &Amends, locals: usize) {
    loop {
        let history = amends.client().history("w").await.unwrap();
        let ended = history
            .iter()
            .filter(|event| event.attributes.kind() == "LocalActivityEnded");
        if ended.count() == locals {
            return;
        }
        tokio::task::yield_now().await;
    }
}
