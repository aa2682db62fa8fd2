//! What an engine limits: how many attempts of a type at once, how fast, and breakers that park attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use amends::config::EngineConfig;
use amends::engine::HeartbeatAnswer;
use amends::model::HoldReason;
use amends::testing::{StoreFaults, VirtualClock};
use amends::{ActivityLimits, Amends, AmendsBuilder, Breaker, Failure, RetryPolicy};
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Gate, Home, Recorder, activity, run, workflow};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_type_has_so_many_attempts_at_once() {
    run(async {
        let home = Home::memory();
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let highest = most.clone();
        // Two at once is not left to chance.
        let pair = Arc::new(tokio::sync::Barrier::new(2));
        let amends = home
            .builder()
            .activity_limits("work", ActivityLimits::new().max_concurrent(2))
            .activity_definition(activity("work", move |_, input| {
                let (inside, most, pair) = (inside.clone(), highest.clone(), pair.clone());
                async move {
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    pair.wait().await;
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok(input)
                }
            }))
            .workflow_definition(workflow("many", |cx, _| async move {
                let calls = cx.map_concurrent(0..30, 30, |n| cx.activity_by_name::<Value>("work", &json!(n)));
                Ok(json!(calls.await.into_iter().filter(Result::is_ok).count()))
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("many").start(&json!(0)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!(30));
        assert_eq!(most.load(Ordering::SeqCst), 2);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_rate_is_kept_on_the_engine_s_clock() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .activity_limits("mail", ActivityLimits::new().rate(2, SECOND * 20))
            .activity_definition(activity("mail", move |_, input| {
                noted.note("sent");
                async move { Ok(input) }
            }))
            .workflow_definition(workflow("many", |cx, _| async move {
                let calls = cx.map_concurrent(0..4, 4, |n| {
                    let call = cx.activity_by_name::<Value>("mail", &json!(n));
                    call.start_to_close(SECOND * 7)
                });
                Ok(json!(calls.await.into_iter().filter(Result::is_ok).count()))
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("many").start(&json!(0)).await.unwrap();
        recorder.until_len(2).await;
        clock.pass(SECOND * 10).await;
        recorder.until_len(3).await;
        clock.pass(SECOND * 10).await;
        assert_eq!(
            run.result().await.unwrap(),
            json!(4),
            "waiting is no part of an attempt's time"
        );
        amends.shutdown(SECOND).await;
    });
}

/// A participant that is down until it is told otherwise, behind a breaker that opens after three failures.
/// A definition with two steps at once, and what its file says about them.
fn limited(directory: &std::path::Path, name: &str, most: u32) -> std::path::PathBuf {
    let step =
        |name: &str| format!("[[step]]\nname = \"{name}\"\nactivity = \"work\"\nafter = []\ncompensation = \"none\"\n");
    let limits = format!(
        "[activity_limits.work]\nmax_concurrent = {most}\n[activity_limits.exec]\nrate = {{ attempts = 5, per = \"1s\" }}\n"
    );
    let program =
        "[[step]]\nname = \"c\"\nexec = { command = [\"true\"], output = \"text\" }\ncompensation = \"none\"\n";
    let text = format!("name = \"{name}\"\n{limits}{}{}{program}", step("a"), step("b"));
    let file = directory.join(format!("{name}.toml"));
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn limits_of_definition_files_and_the_configuration_are_the_engine_s() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (limited(directory.path(), "one", 1), limited(directory.path(), "two", 2));
        for (config, expected) in [("", 1), ("[activities.work]\nmax_concurrent = 2\n", 2)] {
            let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let highest = most.clone();
            let together = Arc::new(tokio::sync::Barrier::new(expected));
            let amends = Home::memory()
                .builder()
                .config(EngineConfig::parse("amends.toml", config).unwrap())
                .activity_definition(activity("work", move |_, input| {
                    let (inside, most, together) = (inside.clone(), highest.clone(), together.clone());
                    async move {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        together.wait().await;
                        for _ in 0..100 {
                            tokio::task::yield_now().await;
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        Ok(input)
                    }
                }))
                .sagas(&one)
                .start()
                .await
                .unwrap();
            let limited: Vec<String> = amends
                .client()
                .activity_types()
                .into_iter()
                .map(|of| of.activity_type)
                .collect();
            assert_eq!(limited, ["amends.exec", "work"]);
            let run = amends.workflow_by_name("one").start(&json!(0)).await.unwrap();
            run.result().await.unwrap();
            assert_eq!(most.load(Ordering::SeqCst), expected);
            amends.shutdown(SECOND).await;
        }

        let both = |config: &str| {
            let builder = Home::memory().builder().sagas(&one).sagas(&two);
            let builder = builder.activity_definition(activity("work", |_, input| async { Ok(input) }));
            builder
                .config(EngineConfig::parse("amends.toml", config).unwrap())
                .start()
        };
        let refused = both("").await.err().unwrap().to_string();
        assert!(
            refused.contains("has other limits for the activity `work`"),
            "{refused}"
        );
        let amends = both("[activities.work]\nmax_concurrent = 3\n").await.unwrap();
        amends.shutdown(SECOND).await;
    });
}

fn charging(builder: AmendsBuilder, up: &Arc<AtomicBool>, recorder: &Recorder) -> AmendsBuilder {
    let (up, recorder) = (up.clone(), recorder.clone());
    builder
        .activity_limits(
            "charge",
            ActivityLimits::new().breaker(Breaker::after(3).open_for(SECOND * 30)),
        )
        .activity_definition(activity("charge", move |cx, _| {
            recorder.note("asked");
            let answer = match up.load(Ordering::SeqCst) {
                true => Ok(json!(cx.info().attempt)),
                false => Err(Failure::new("Down", "")),
            };
            async move { answer }
        }))
        .workflow_definition(workflow("w", |cx, _| async move {
            let retry = RetryPolicy {
                backoff_coefficient: 1.0,
                maximum_attempts: 2,
                ..RetryPolicy::default()
            };
            cx.activity_by_name::<Value>("charge", &()).retry(retry).await
        }))
}

/// Three runs whose attempts fail, and a fourth whose attempt is never made: all of them are parked in the end.
async fn parked(amends: &Amends, clock: &VirtualClock, recorder: &Recorder) -> Vec<amends::RunHandle<Value>> {
    let mut runs = Vec::new();
    for name in ["w1", "w2", "w3", "w4"] {
        runs.push(amends.workflow_by_name("w").id(name).start(&json!(0)).await.unwrap());
        if name == "w4" {
            continue;
        }
        recorder.until("asked", runs.len()).await;
        until_pending(amends, name, |pending| pending.attempt == 2).await;
    }
    until_pending(amends, "w4", |pending| pending.held == Some(HoldReason::Breaker)).await;
    clock.pass(SECOND).await;
    for name in ["w1", "w2", "w3"] {
        until_pending(amends, name, |pending| pending.held == Some(HoldReason::Breaker)).await;
    }
    runs
}

#[test]
fn a_breaker_parks_attempts_until_a_probe_is_answered() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let up = Arc::new(AtomicBool::new(false));
        let builder = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(SECOND * 3_600);
        let amends = charging(builder, &up, &recorder).start().await.unwrap();
        let runs = parked(&amends, &clock, &recorder).await;
        while amends.client().activity_types()[0].parked < 4 {
            tokio::task::yield_now().await;
        }
        let status = amends.client().activity_types().remove(0);
        assert_eq!(status.activity_type, "charge");
        assert!(status.open_until.is_some());
        assert_eq!(recorder.len(), 3, "nobody is asked meanwhile");
        up.store(true, Ordering::SeqCst);
        clock.pass(SECOND * 29).await;
        let mut attempts = Vec::new();
        for run in runs {
            attempts.push(run.result().await.unwrap());
        }
        assert_eq!(
            attempts,
            [2, 2, 2, 1].map(|attempt| json!(attempt)),
            "no attempt was used up by waiting"
        );
        assert_eq!(recorder.len(), 7);
        let status = amends.client().activity_types().remove(0);
        assert_eq!((status.open_until, status.parked), (None, 0));
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Also of runs that have left memory since.
#[test]
fn what_has_ended_while_it_was_parked_delays_no_probe() {
    run(async {
        for passivate_after in [SECOND * 3_600, Duration::ZERO] {
            let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
            let up = Arc::new(AtomicBool::new(false));
            let builder = home.builder().clock(Arc::new(clock.clone()));
            let builder = charging(builder.passivate_after(passivate_after), &up, &recorder);
            let amends = builder.start().await.unwrap();
            let mut runs = parked(&amends, &clock, &recorder).await;
            let until_parked = async |wanted: usize| {
                while amends.client().activity_types()[0].parked != wanted {
                    tokio::task::yield_now().await;
                }
            };
            until_parked(4).await;
            let last = runs.pop().unwrap();
            for run in runs {
                run.terminate("not needed").await.unwrap();
            }
            until_parked(1).await;
            up.store(true, Ordering::SeqCst);
            clock.pass(SECOND * 29).await;
            assert_eq!(last.result().await.unwrap(), json!(1));
            amends.shutdown(Duration::ZERO).await;
        }
    });
}

#[test]
fn what_is_parked_is_not_lost_with_its_engine() {
    run(async {
        for home in Home::each() {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let up = Arc::new(AtomicBool::new(false));
            let start = || charging(home.builder().clock(Arc::new(clock.clone())), &up, &recorder).start();
            let amends = start().await.unwrap();
            drop(parked(&amends, &clock, &recorder).await);
            amends.shutdown(Duration::ZERO).await;
            up.store(true, Ordering::SeqCst);
            let amends = start().await.unwrap();
            for (name, attempt) in [("w1", 2), ("w2", 2), ("w3", 2), ("w4", 1)] {
                let run = amends.find(name).await.unwrap();
                assert_eq!(run.result().await.unwrap(), json!(attempt), "{name}");
            }
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        }
    });
}

#[test]
fn no_attempt_is_made_that_the_journal_says_is_parked() {
    run(async {
        let (home, clock, recorder, faults) =
            (Home::memory(), VirtualClock::new(), Recorder::new(), StoreFaults::new());
        let (noted, down, up) = (recorder.clone(), Gate::shut(), Gate::shut());
        let (fails, answers) = (down.clone(), up.clone());
        let limits = ActivityLimits::new().max_concurrent(1);
        let amends = home
            .faulty_builder(&faults)
            .clock(Arc::new(clock.clone()))
            .activity_limits("charge", limits.breaker(Breaker::after(1).open_for(SECOND * 30)))
            .activity_definition(activity("charge", move |cx, input: Value| {
                noted.note(cx.info().activity_id.as_str());
                let (fails, answers) = (fails.clone(), answers.clone());
                async move {
                    if input == json!("down") {
                        fails.passed().await;
                        return Err(Failure::new("Down", ""));
                    }
                    answers.passed().await;
                    Ok(input)
                }
            }))
            .workflow_definition(workflow("one", |cx, _| async move {
                let once = RetryPolicy {
                    maximum_attempts: 1,
                    ..RetryPolicy::default()
                };
                cx.activity_by_name::<Value>("charge", "down").retry(once).await
            }))
            .workflow_definition(workflow("two", |cx, _| async move {
                let calls = cx.map_concurrent(0..2, 2, |n| cx.activity_by_name::<Value>("charge", &json!(n)));
                Ok(json!(calls.await.into_iter().filter(Result::is_ok).count()))
            }))
            .start()
            .await
            .unwrap();
        let _opens = amends.workflow_by_name("one").start(&json!(0)).await.unwrap();
        recorder.until_len(1).await;
        let two = amends.workflow_by_name("two").id("two").start(&json!(0)).await.unwrap();
        // Both attempts are kept back, and no turn that says so becomes durable before the breaker's time is over.
        faults.hold();
        down.open();
        while amends.client().activity_types()[0].open_until.is_none() {
            tokio::task::yield_now().await;
        }
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        clock.advance(SECOND * 30);
        faults.release();
        recorder.until_len(2).await;
        let probe = recorder.all().remove(1);
        let alive = amends.client().activity_by_id("two", &probe).unwrap();
        assert_eq!(alive.heartbeat(&1).await.unwrap(), HeartbeatAnswer::GoOn, "{probe}");
        up.open();
        assert_eq!(two.result().await.unwrap(), json!(2));
        assert_eq!(recorder.len(), 3);
        amends.shutdown(Duration::ZERO).await;
    });
}
