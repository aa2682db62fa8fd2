//! Activities that somebody else completes: by token and by id, across engines, in time and too late.

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{HeartbeatAnswer, Offline, OfflineActivity};
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, CancellationType, Error, Failure, ResultError, RetryPolicy};
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Gate, Home, Recorder, activity, blocking_activity, run, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// An activity that notes its token and leaves its completion to others.
fn asking(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let recorder = recorder.clone();
    builder
        .activity_definition(activity("ask", move |cx, _| {
            recorder.note(cx.task_token().to_string());
            async move { Err(cx.complete_later()) }
        }))
        .workflow_definition(workflow("w", |cx, _| async move {
            let retry = RetryPolicy {
                initial_interval: Duration::ZERO,
                maximum_attempts: 2,
                ..RetryPolicy::default()
            };
            let call = cx.activity_by_name::<Value>("ask", &()).id("the-question").retry(retry);
            let call = call.start_to_close(SECOND * 3_600);
            call.cancellation(CancellationType::WaitCancellationCompleted).await
        }))
}

async fn asked(amends: &Amends) -> amends::RunHandle<Value> {
    let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
    until_pending(amends, "w", |pending| pending.handed_over).await;
    run
}

fn is_no_such_attempt(answer: &Result<(), Error>) -> bool {
    matches!(answer, Err(error @ Error::NoSuchAttempt(_)) if error.code().0 == 31)
}

#[test]
fn a_token_completes_its_attempt_after_the_engine_has_died() {
    run(async {
        for home in Home::each() {
            let recorder = Recorder::new();
            let amends = asking(home.builder(), &recorder).start().await.unwrap();
            drop(asked(&amends).await);
            amends.shutdown(Duration::ZERO).await;
            let amends = asking(home.builder(), &recorder).start().await.unwrap();
            let description = amends.client().describe("w").await.unwrap();
            assert!(description.pending.first().unwrap().handed_over);
            let token = recorder.all().pop().unwrap();
            amends.client().complete_activity(&token, &"yes").await.unwrap();
            let run = amends.find("w").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!("yes"));
            assert_eq!(recorder.len(), 1, "it was asked once");
            let again = amends.client().complete_activity(&token, &"no").await;
            assert!(is_no_such_attempt(&again), "{again:?}");
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}

#[test]
fn while_no_engine_runs_an_answer_is_left_in_the_journal() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let Home::Memory(memory) = &home else {
            unreachable!("it is in memory");
        };
        let amends = asking(home.builder(), &recorder).start().await.unwrap();
        drop(asked(&amends).await);
        amends.shutdown(Duration::ZERO).await;
        let offline = Offline::over(memory.clone());
        let question = OfflineActivity::by_id("w", "the-question").unwrap();
        offline.complete_activity(&question, &"yes").unwrap();
        let by_token = OfflineActivity::by_token(&recorder.all()[0]).unwrap();
        let again = offline.fail_activity(&by_token, Failure::new("No", "")).map(|_| ());
        assert!(is_no_such_attempt(&again), "{again:?}");
        drop(offline);
        let amends = asking(home.builder(), &recorder).start().await.unwrap();
        let run = amends.find("w").await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!("yes"));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn an_id_names_the_current_attempt_and_a_failure_is_retried() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = asking(home.builder(), &recorder).start().await.unwrap();
        let run = asked(&amends).await;
        let client = amends.client();
        let question = client.activity_by_id("w", "the-question").unwrap();
        question.fail(Failure::new("Unclear", "ask again")).await.unwrap();
        recorder.until_len(2).await;
        until_pending(&amends, "w", |pending| pending.handed_over && pending.attempt == 2).await;
        let tokens = recorder.all();
        let old = client.complete_activity(&tokens[0], &"yes").await;
        assert!(is_no_such_attempt(&old), "{old:?}");
        let nobody = client.activity_by_id("w", "another").unwrap().complete(&"yes").await;
        assert!(is_no_such_attempt(&nobody), "{nobody:?}");
        client
            .fail_activity(&tokens[1], Failure::new("Unclear", "still"))
            .await
            .unwrap();
        match run.result().await {
            Err(ResultError::Failed(failure)) => assert!(failure.is_type("Unclear"), "{failure}"),
            other => panic!("{other:?}"),
        }
        let mistyped = client.complete_activity(&tokens[1][..20], &"yes").await;
        assert!(matches!(&mistyped, Err(error) if error.code().0 == 30), "{mistyped:?}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_heartbeat_from_outside_hears_of_the_cancellation() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = asking(home.builder(), &recorder).start().await.unwrap();
        let run = asked(&amends).await;
        let client = amends.client();
        let token = recorder.all().pop().unwrap();
        let answer = client.heartbeat_activity(&token, &"on her desk").await.unwrap();
        assert_eq!(answer, HeartbeatAnswer::GoOn);
        until_pending(&amends, "w", |pending| pending.heartbeat.is_some()).await;
        run.cancel("never mind").await.unwrap();
        until_pending(&amends, "w", |pending| pending.cancel_requested).await;
        let answer = client.heartbeat_activity(&token, &"on her desk").await.unwrap();
        assert_eq!(answer, HeartbeatAnswer::Stop);
        client.activity_by_token(&token).unwrap().cancel().await.unwrap();
        assert!(matches!(run.result().await, Err(ResultError::Canceled(_))));
        amends.shutdown(SECOND).await;
    });
}

/// The attempt has no task that could watch the time, and its run is not in memory: time is up all the same.
#[test]
fn an_answer_that_does_not_come_is_a_timeout() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let builder = home.builder().clock(Arc::new(clock.clone())).passivate_after(SECOND);
        let amends = builder
            .activity_definition(blocking_activity("ask", move |cx, _| {
                noted.note(cx.task_token().to_string());
                Err(cx.complete_later())
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let call = cx.activity_by_name::<Value>("ask", &()).start_to_close(SECOND * 3_600);
                call.retry(RetryPolicy::never()).await
            }))
            .start()
            .await
            .unwrap();
        let run = asked(&amends).await;
        // The run leaves memory within a few sweeps; the hour is still kept.
        for _ in 0..5 {
            clock.pass(SECOND).await;
        }
        clock.pass(SECOND * 3_595).await;
        match run.result().await {
            Err(ResultError::Failed(failure)) => assert_eq!(failure.root().message, "start-to-close timeout"),
            other => panic!("{other:?}"),
        }
        let token = recorder.all().pop().unwrap();
        let late = amends.client().complete_activity(&token, &"yes").await;
        assert!(is_no_such_attempt(&late), "{late:?}");
        amends.shutdown(Duration::ZERO).await;
    });
}

/// The activity has given its token away, and waits for the answer itself.
#[test]
fn an_attempt_is_not_silent_while_others_say_that_it_is_alive() {
    run(async {
        let (home, clock, recorder, gate) = (Home::memory(), VirtualClock::new(), Recorder::new(), Gate::shut());
        let (noted, answered) = (recorder.clone(), gate.clone());
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .activity_definition(activity("ask", move |cx, _| {
                noted.note(cx.task_token().to_string());
                let answered = answered.clone();
                async move {
                    answered.passed().await;
                    Ok(json!(cx.info().attempt))
                }
            }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let retry = RetryPolicy {
                    initial_interval: Duration::ZERO,
                    ..RetryPolicy::default()
                };
                let call = cx.activity_by_name::<Value>("ask", &()).id("the-question").retry(retry);
                call.heartbeat(SECOND * 10).start_to_close(SECOND * 3_600).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        recorder.until_len(1).await;
        let token = recorder.all().remove(0);
        let client = amends.client();
        let by_id = client.activity_by_id("w", "the-question").unwrap();
        for _ in 0..6 {
            clock.advance(SECOND * 4);
            let alive = client.heartbeat_activity(&token, &"page 1").await.unwrap();
            assert_eq!(alive, HeartbeatAnswer::GoOn);
            clock.advance(SECOND * 4);
            assert_eq!(by_id.heartbeat(&"page 2").await.unwrap(), HeartbeatAnswer::GoOn);
        }
        // Silence is still told.
        clock.advance(SECOND * 10);
        recorder.until_len(2).await;
        gate.open();
        assert_eq!(run.result().await.unwrap(), json!(2));
        amends.shutdown(SECOND).await;
    });
}
