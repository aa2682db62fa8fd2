//! Timers, timeouts, retries and passivation, on a clock that only moves when it is told to.

use std::sync::Arc;
use std::time::Duration;

use amends::testing::VirtualClock;
use amends::{AmendsBuilder, Failure, ResultError, RetryPolicy, RunStatus};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn on(clock: &VirtualClock, home: &Home) -> AmendsBuilder {
    home.builder()
        .clock(Arc::new(clock.clone()))
        .passivate_after(HOUR * 24 * 365)
}

#[test]
fn timers_fire_when_due_also_several_at_the_same_instant() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let builder = on(&clock, &home).workflow_definition(workflow("naps", |cx, _| async move {
                let begun = cx.now();
                let mut naps = Vec::new();
                // A timer that is due at the very instant at which the one before it fired is a timer like any other.
                for seconds in [3_600_u64, 0, 0, 7, 0] {
                    cx.sleep(Duration::from_secs(seconds)).await?;
                    naps.push(cx.now().since(begun).as_secs());
                }
                Ok(Value::from(naps))
            }));
            let amends = builder.start().await.unwrap();
            let run = amends.workflow_by_name("naps").start(&json!(0)).await.unwrap();
            clock.pass(HOUR).await;
            clock.pass(SECOND * 7).await;
            assert_eq!(run.result().await.unwrap(), json!([3_600, 3_600, 3_600, 3_607, 3_607]));
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

/// Whether it comes due while there is no engine, or after another one has begun.
#[test]
fn a_timer_outlives_its_engine_and_fires_in_time() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let engine = || {
                let naps = workflow("naps", |cx, minutes| async move {
                    let begun = cx.now();
                    cx.sleep(Duration::from_secs(minutes.as_u64().unwrap_or(0) * 60))
                        .await?;
                    Ok(json!(cx.now().since(begun).as_secs() / 60))
                });
                on(&clock, &home).workflow_definition(naps).start()
            };
            let amends = engine().await.unwrap();
            for (id, minutes) in [("short", 20), ("long", 60)] {
                let naps = amends.workflow_by_name("naps").id(id);
                naps.start(&json!(minutes)).await.unwrap();
                clock.until_asleep(SECOND * 60 * minutes).await;
            }
            amends.shutdown(Duration::ZERO).await;
            clock.advance(HOUR / 2);
            let amends = engine().await.unwrap();
            let short = amends.find("short").await.unwrap().result().await.unwrap();
            assert_eq!(short, json!(30), "as soon as there was somebody");
            clock.pass(HOUR / 2).await;
            let long = amends.find("long").await.unwrap().result().await.unwrap();
            assert_eq!(long, json!(60), "not begun anew");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_timeout_ends_a_run_undoing_its_steps() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let noting = move |cx: amends::ActivityContext, _: Value| {
            noted.note(cx.info().activity_type.to_string());
            async { Ok(Value::Null) }
        };
        let builder = on(&clock, &home)
            .activity_definition(activity("lock", noting.clone()))
            .activity_definition(activity("unlock", noting))
            .workflow_definition(workflow("forever", |cx, stepwise| async move {
                if stepwise == json!(true) {
                    let saga = cx.saga();
                    let step = saga.step_by_name::<_, Value>(amends::model::StepKind::Compensatable, "lock", &());
                    step.compensate_by_name("unlock").await?;
                }
                cx.signal::<()>("never").recv().await?;
                Ok(Value::Null)
            }));
        let amends = builder.start().await.unwrap();
        let start = |id: &str| amends.workflow_by_name("forever").id(id).run_timeout(SECOND * 90);
        let plain = start("plain").start(&json!(false)).await.unwrap();
        let saga = start("saga").start(&json!(true)).await.unwrap();
        recorder.until("lock", 1).await;
        clock.pass(SECOND * 90).await;
        assert!(matches!(plain.result().await, Err(ResultError::TimedOut)));
        assert!(matches!(saga.result().await, Err(ResultError::Amended(_))));
        assert_eq!(recorder.all(), ["lock", "unlock"]);
        amends.shutdown(Duration::ZERO).await;
    });
}

/// An activity that hangs until its third attempt, and one that beats a few times and then hangs.
fn hanging(builder: AmendsBuilder, recorder: &Recorder, heartbeats: bool) -> AmendsBuilder {
    let recorder = recorder.clone();
    builder.activity_definition(activity("hang", move |cx, _| {
        let recorder = recorder.clone();
        async move {
            recorder.note(format!(
                "attempt {} {}",
                cx.info().attempt,
                cx.info().idempotency_key.len()
            ));
            if heartbeats {
                cx.heartbeat(&"alive")?;
            }
            match cx.info().attempt {
                3 => Ok(json!("done")),
                _ => std::future::pending().await,
            }
        }
    }))
}

#[test]
fn an_attempt_that_takes_too_long_is_retried_by_the_policy() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = hanging(on(&clock, &home), &recorder, false);
        let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
            cx.activity_by_name::<Value>("hang", &())
                .start_to_close(SECOND * 10)
                .await
        }));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        for retry in [1, 2] {
            clock.pass(SECOND * 10).await;
            // Until it is due again, the attempt shows with its last failure.
            clock.until_asleep(SECOND * retry).await;
            let description = amends.client().describe("w").await.unwrap();
            let pending = description.pending.first().unwrap();
            assert_eq!(pending.attempt, retry + 1);
            assert_eq!(
                pending.last_failure.as_ref().unwrap().to_string(),
                "start-to-close timeout"
            );
            clock.advance(SECOND * retry);
        }
        assert_eq!(run.result().await.unwrap(), json!("done"));
        assert_eq!(recorder.len(), 3);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn an_attempt_without_heartbeats_is_given_up() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = hanging(on(&clock, &home), &recorder, true);
        let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
            let call = cx
                .activity_by_name::<Value>("hang", &())
                .start_to_close(HOUR)
                .heartbeat(SECOND * 5);
            call.retry(RetryPolicy::never()).await
        }));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        clock.pass(SECOND * 5).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => assert_eq!(failure.root().message, "heartbeat timeout"),
            other => panic!("{other:?}"),
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn schedule_to_close_caps_all_attempts() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let builder = hanging(on(&clock, &home), &recorder, false);
        let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
            let call = cx.activity_by_name::<Value>("hang", &()).start_to_close(SECOND * 10);
            call.schedule_to_close(SECOND * 15).await
        }));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        clock.pass(SECOND * 10).await;
        clock.pass(SECOND).await;
        // The second attempt runs, and would have until 21 s; the activity has until 15 s.
        recorder.until_len(2).await;
        clock.pass(SECOND * 4).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => {
                assert!(failure.to_string().contains("schedule-to-close timeout"), "{failure}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(recorder.len(), 2);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn retries_wait_as_the_policy_and_the_failure_say() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let builder = on(&clock, &home).activity_definition(activity("flaky", move |cx, _| {
            noted.note(format!("attempt {}", cx.info().attempt));
            async move {
                match cx.info().attempt {
                    1 => Err(Failure::new("Busy", "")),
                    2 => Err(Failure::new("Busy", "").retry_after(SECOND * 30)),
                    3 => Err(Failure::new("Busy", "")),
                    _ => Ok(json!("done")),
                }
            }
        }));
        let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
            cx.activity_by_name::<Value>("flaky", &()).await
        }));
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        for (number, seconds) in [(1, 1), (2, 30), (3, 4)] {
            recorder.until_len(number).await;
            clock.pass(SECOND * seconds).await;
        }
        assert_eq!(run.result().await.unwrap(), json!("done"));
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Notes when the code of a run is dropped: its memory has been returned.
struct InMemory(Recorder);

impl Drop for InMemory {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

fn passivating(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let recorder = recorder.clone();
    builder.workflow_definition(workflow("sleeper", move |cx, _| {
        recorder.note("brought to memory");
        let memory = InMemory(recorder.clone());
        async move {
            let _memory = memory;
            let first = cx.signal::<Value>("wake").recv().await?;
            cx.sleep(HOUR).await?;
            let second = cx.signal::<Value>("wake").recv().await?;
            Ok(json!([first, second]))
        }
    }))
}

#[test]
fn idle_runs_leave_memory_and_come_back_for_signals_timers_and_shutdown() {
    for home in Home::each() {
        run(async {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let builder = home.builder().clock(Arc::new(clock.clone())).passivate_after(SECOND);
            let amends = passivating(builder, &recorder).start().await.unwrap();
            let run = amends
                .workflow_by_name("sleeper")
                .id("s")
                .start(&json!(0))
                .await
                .unwrap();
            let idle = async |times: usize| {
                while recorder.count("dropped") < times {
                    clock.pass(SECOND).await;
                    tokio::task::yield_now().await;
                }
            };
            idle(1).await;
            run.signal("wake", &1).await.unwrap();
            recorder.until("brought to memory", 2).await;
            idle(2).await;
            clock.advance(HOUR);
            recorder.until("brought to memory", 3).await;
            idle(3).await;
            run.signal("wake", &2).await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!([1, 2]));
            assert_eq!(recorder.count("brought to memory"), 4);
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

/// Runs are passivated all the time while signals arrive: none is lost, none is doubled.
#[test]
fn no_signal_is_lost_between_memory_and_journal() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let builder = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(Duration::from_micros(1));
        let amends = builder
            .workflow_definition(crate::support::counting_workflow("count"))
            .start()
            .await
            .unwrap();
        let senders: Vec<_> = (0..20)
            .map(|number| {
                let amends = amends.clone();
                tokio::spawn(async move {
                    let id = format!("c{number}");
                    let run = amends
                        .workflow_by_name("count")
                        .id(&id)
                        .start(&json!(30))
                        .await
                        .unwrap();
                    for value in 0..30 {
                        run.signal("go", &value).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    let seen = run.result().await.unwrap();
                    assert_eq!(seen, Value::from((0..30).collect::<Vec<_>>()));
                })
            })
            .collect();
        while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
            clock.advance(Duration::from_micros(1));
            tokio::task::yield_now().await;
        }
        for sender in senders {
            sender.await.unwrap();
        }
        let description = until_status(&amends, "c7", RunStatus::Completed).await;
        assert_eq!(description.pending.len(), 0);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn time_passes_to_a_timer_behind_one_that_nobody_needs_any_more() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let nap = workflow("nap", |cx, seconds| async move {
            cx.sleep(Duration::from_secs(seconds.as_u64().unwrap_or(0))).await?;
            Ok(seconds)
        });
        let amends = on(&clock, &home)
            .shards(1)
            .workflow_definition(nap)
            .start()
            .await
            .unwrap();
        let short = amends
            .workflow_by_name("nap")
            .id("short")
            .start(&json!(10))
            .await
            .unwrap();
        clock.until_asleep(SECOND * 10).await;
        let long = amends
            .workflow_by_name("nap")
            .id("long")
            .start(&json!(20))
            .await
            .unwrap();
        short.terminate("it is not needed").await.unwrap();
        clock.pass(SECOND * 20).await;
        assert_eq!(long.result().await.unwrap(), json!(20));
        amends.shutdown(Duration::ZERO).await;
    });
}
