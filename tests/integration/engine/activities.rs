//! How activities are executed: where, how many at once, with what identity, and what stops them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use amends::config::EngineConfig;
use amends::model::limits::BLOCKING_ATTEMPTS_DEFAULT;
use amends::model::{Event, EventAttributes};
use amends::testing::VirtualClock;
use amends::{ActivityContext, CancellationType, Failure, ResultError, RetryPolicy};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Home, Recorder, activity, blocking_activity, run, saga, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Blocks threads until it is opened, and knows how many it blocks.
#[derive(Default)]
struct Barrier {
    open: Mutex<bool>,
    opened: Condvar,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Barrier {
    fn pass(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

#[test]
fn blocking_activities_leave_the_engine_running() {
    run(async {
        let home = Home::memory();
        let barrier = Arc::new(Barrier::default());
        let blocked = barrier.clone();
        let builder = home
            .builder()
            .shards(1)
            .activity_definition(blocking_activity("block", move |cx, input| {
                blocked.pass();
                assert_eq!(cx.info().attempt, 1);
                Ok(input)
            }));
        let amends = builder
            .activity_definition(activity("quick", |_, input| async move { Ok(input) }))
            .workflow_definition(workflow("call", |cx, name| async move {
                cx.activity_by_name::<Value>(name.as_str().unwrap_or(""), &json!(1))
                    .await
            }))
            .start()
            .await
            .unwrap();
        let mut blocking = Vec::new();
        for _ in 0..8 {
            blocking.push(amends.workflow_by_name("call").start(&json!("block")).await.unwrap());
        }
        let quick = amends.workflow_by_name("call").start(&json!("quick")).await.unwrap();
        assert_eq!(quick.result().await.unwrap(), json!(1));
        barrier.open();
        for run in blocking {
            assert_eq!(run.result().await.unwrap(), json!(1));
        }
        amends.shutdown(SECOND).await;
    });
}

/// A blocking attempt that timed out still has its thread: the pool's bound counts it until it really ends.
#[test]
fn timed_out_blocking_attempts_still_count_and_others_wait_for_a_place() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let barrier = Arc::new(Barrier::default());
        let (blocked, noted) = (barrier.clone(), recorder.clone());
        let builder = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(SECOND * 3_600);
        let amends = builder
            .activity_definition(blocking_activity("block", move |_, input| {
                noted.note("began");
                blocked.pass();
                Ok(input)
            }))
            .workflow_definition(workflow("many", |cx, number| async move {
                let calls = (0..number.as_u64().unwrap_or(0)).map(|_| {
                    let call = cx.activity_by_name::<Value>("block", &()).retry(RetryPolicy::never());
                    call.start_to_close(SECOND * 10).schedule_to_start(SECOND * 20)
                });
                let ended = join_all(calls).await;
                Ok(ended
                    .into_iter()
                    .map(|end| end.map_or_else(|failure| failure.root().message.clone(), |_| "ok".to_owned()))
                    .collect())
            }))
            .start()
            .await
            .unwrap();
        let filling = amends
            .workflow_by_name("many")
            .start(&json!(BLOCKING_ATTEMPTS_DEFAULT))
            .await
            .unwrap();
        recorder.until("began", BLOCKING_ATTEMPTS_DEFAULT).await;
        let waiting = amends.workflow_by_name("many").start(&json!(2)).await.unwrap();
        clock.until_asleep(SECOND * 20).await;
        clock.pass(SECOND * 10).await;
        let timed_out = vec!["start-to-close timeout"; BLOCKING_ATTEMPTS_DEFAULT];
        assert_eq!(filling.result().await.unwrap(), json!(timed_out));
        // Nobody listens to the sixty-four any more, but there is no place yet.
        clock.pass(SECOND * 10).await;
        assert_eq!(
            waiting.result().await.unwrap(),
            json!(vec!["schedule-to-start timeout"; 2])
        );
        barrier.open();
        let after = amends.workflow_by_name("many").start(&json!(2)).await.unwrap();
        assert_eq!(after.result().await.unwrap(), json!(["ok", "ok"]));
        assert_eq!(barrier.most.load(Ordering::SeqCst), BLOCKING_ATTEMPTS_DEFAULT);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn so_many_blocking_attempts_run_at_once_as_the_engine_is_told() {
    run(async {
        let home = Home::memory();
        let builder = || home.builder();
        let file = EngineConfig::parse("amends.toml", "max_blocking_activities = 2").unwrap();
        for builder in [
            builder().max_blocking_activities(2),
            builder().config(file),
            // They are among all that run at once.
            builder().max_blocking_activities(8).max_concurrent_activities(2),
        ] {
            let (clock, barrier) = (VirtualClock::new(), Arc::new(Barrier::default()));
            let blocked = barrier.clone();
            let amends = builder
                .clock(Arc::new(clock.clone()))
                .activity_definition(blocking_activity("block", move |_, input| {
                    blocked.pass();
                    Ok(input)
                }))
                .workflow_definition(workflow("three", |cx, _| async move {
                    let calls = (0..3).map(|_| {
                        let call = cx.activity_by_name::<Value>("block", &());
                        call.schedule_to_start(SECOND * 20)
                    });
                    Ok(json!(join_all(calls).await.into_iter().filter(Result::is_ok).count()))
                }))
                .start()
                .await
                .unwrap();
            let three = amends.workflow_by_name("three").start(&json!(0)).await.unwrap();
            // One of them waits for a place, and the others block.
            clock.until_asleep(SECOND * 20).await;
            while barrier.inside.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            barrier.open();
            assert_eq!(three.result().await.unwrap(), json!(3));
            assert_eq!(barrier.most.load(Ordering::SeqCst), 2);
            amends.shutdown(SECOND).await;
        }
    });
}

#[test]
fn an_activity_that_nobody_registered_fails_by_name() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .workflow_definition(workflow("w", |cx, _| async move {
                // Tried again like any other failure: the next deployment may have it.
                let call = cx.activity_by_name::<Value>("nobody", &());
                call.retry(RetryPolicy::never()).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        match run.result().await {
            Err(ResultError::Failed(failure)) => {
                assert!(
                    failure.is_type("UnknownActivity") && failure.to_string().contains("nobody"),
                    "{failure}"
                );
            }
            other => panic!("{other:?}"),
        }
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn all_attempts_of_an_activity_have_one_idempotency_key() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let noted = recorder.clone();
        let retry = RetryPolicy {
            initial_interval: Duration::ZERO,
            ..RetryPolicy::default()
        };
        let amends = home
            .builder()
            .activity_definition(activity("try", move |cx, _| {
                let info = cx.info();
                noted.note(info.idempotency_key.clone());
                let attempt = info.attempt;
                async move {
                    match attempt {
                        1..=4 => Err(Failure::new("Busy", "")),
                        _ => Ok(json!(attempt)),
                    }
                }
            }))
            .workflow_definition(workflow("w", move |cx, _| {
                let retry = retry.clone();
                async move {
                    let (a, b) = (
                        cx.activity_by_name::<Value>("try", &()),
                        cx.activity_by_name::<Value>("try", &()),
                    );
                    Ok(json!([a.retry(retry.clone()).await?, b.retry(retry).await?]))
                }
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!([5, 5]));
        let mut keys = recorder.all();
        assert_eq!(keys.len(), 10);
        keys.dedup();
        assert_eq!(keys.len(), 2, "{keys:?}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_cancelled_run_tells_its_running_attempt_to_stop() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let noted = recorder.clone();
        let amends = home
            .builder()
            .activity_definition(activity("work", move |cx, _| {
                let noted = noted.clone();
                async move {
                    noted.note("began");
                    cx.canceled().await;
                    noted.note("stopped");
                    Err(Failure::canceled("stopped as asked"))
                }
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                cx.saga()
                    .step_by_name::<_, Value>(amends::model::StepKind::Compensatable, "work", &())
                    .await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        recorder.until("began", 1).await;
        run.cancel("enough").await.unwrap();
        assert!(matches!(run.result().await, Err(ResultError::Amended(failure)) if failure.is_canceled()));
        assert_eq!(recorder.all(), ["began", "stopped"]);
        amends.shutdown(SECOND).await;
    });
}

#[amends::activity(schedule_to_close = "10m", retry(max_attempts = 5))]
async fn linger(cx: ActivityContext) -> Result<Value, Failure> {
    cx.state::<Recorder>().expect("the engine was given it").note("linger");
    std::future::pending().await
}

/// Whoever says only how long all attempts may take wants the first one to have that time, too.
#[test]
fn one_attempt_may_take_all_the_time_there_is_when_only_that_is_said() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let hang = activity("hang", move |_, _| {
            noted.note("hang");
            std::future::pending()
        });
        let file = "name = \"file\"\n[[step]]\nname = \"hang\"\nactivity = \"hang\"\ncompensation = \"none\"\n\
                    schedule_to_close = \"10m\"\nretry = { maximum_attempts = 5 }\n";
        let builder = home.builder().clock(Arc::new(clock.clone())).state(recorder.clone());
        let amends = builder
            .activity(linger)
            .activity_definition(hang)
            .workflow_definition(workflow(
                "attribute",
                |cx, _| async move { cx.activity(linger, &()).await },
            ))
            .workflow_definition(workflow("call", |cx, _| async move {
                let call = cx.activity_by_name::<Value>("hang", &());
                call.schedule_to_close(SECOND * 600).await
            }))
            .saga(saga(file))
            .start()
            .await
            .unwrap();
        let mut runs = Vec::new();
        for way in ["attribute", "call", "file"] {
            runs.push(amends.workflow_by_name(way).id(way).start(&json!({})).await.unwrap());
        }
        recorder.until_len(3).await;
        let ends = tokio::spawn(join_all(runs.into_iter().map(|run| async move { run.result().await })));
        while !ends.is_finished() {
            clock.advance(SECOND * 20);
            tokio::task::yield_now().await;
        }
        for end in ends.await.unwrap() {
            assert!(end.unwrap_err().to_string().contains("timeout"));
        }
        assert_eq!(recorder.len(), 3, "{:?}", recorder.all());
        amends.shutdown(Duration::ZERO).await;
    });
}

/// An hour has passed while the conversion waits for its second attempt: it has stopped.
#[test]
fn a_deadline_that_comes_between_two_attempts_is_a_cancellation() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let convert = activity("convert", |_, _| async {
            Err(Failure::new("Busy", "").retry_after(SECOND * 7_200))
        });
        let builder = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .activity_definition(convert);
        let within_an_hour = workflow("within an hour", |cx, _| async move {
            let scope = cx.scope();
            let converting = cx.activity_by_name::<Value>("convert", &());
            let converting = converting.cancellation(CancellationType::WaitCancellationCompleted);
            match scope.run_for(SECOND * 3_600, converting).await {
                Err(failure) if failure.is_canceled() && !cx.is_cancel_requested() => Ok(json!("stopped")),
                converted => converted,
            }
        });
        let amends = builder.workflow_definition(within_an_hour).start().await.unwrap();
        let run = amends
            .workflow_by_name("within an hour")
            .id("w")
            .start(&json!(0))
            .await
            .unwrap();
        clock.until_asleep(SECOND * 3_600).await;
        until_pending(&amends, "w", |pending| pending.attempt == 2).await;
        clock.advance(SECOND * 3_600);
        assert_eq!(run.result().await.unwrap(), json!("stopped"));
        let history = amends.client().history("w").await.unwrap();
        let told = |event: &Event| match &event.attributes {
            EventAttributes::ActivityTaskStarted { last_failure, .. } => last_failure.clone(),
            _ => None,
        };
        assert!(
            history
                .iter()
                .find_map(told)
                .is_some_and(|failure| failure.is_type("Busy"))
        );
        amends.shutdown(SECOND).await;
    });
}
