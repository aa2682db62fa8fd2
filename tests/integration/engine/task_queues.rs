//! Task queues: workers of one engine, what waits for a worker, and that it goes on when there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use amends::engine::{RunDescription, SignalOptions};
use amends::model::{HoldReason, TimeoutKind};
use amends::testing::VirtualClock;
use amends::{
    ActivityDefinition, Amends, AmendsBuilder, Error, ResultError, RunStatus, TaskQueueOptions, UpdateOptions,
};
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Home, Recorder, activity, run, saga, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn noted(name: &'static str, recorder: &Recorder) -> ActivityDefinition {
    let recorder = recorder.clone();
    activity(name, move |_, input| {
        recorder.note(name);
        async move { Ok(input) }
    })
}

/// A workflow with one activity on the queue `gpu`, and one on its own.
fn rendering(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    builder
        .activity_definition(noted("render", recorder))
        .activity_definition(noted("mail", recorder))
        .workflow_definition(workflow("film", |cx, input| async move {
            let rendered: Value = cx.activity_by_name("render", &input).task_queue("gpu").await?;
            cx.activity_by_name("mail", &rendered).await
        }))
}

#[test]
fn an_activity_waits_for_a_worker_of_its_queue_and_goes_on_with_an_engine_that_has_one() {
    run(async {
        for home in Home::each() {
            let recorder = Recorder::new();
            let start = |builder: AmendsBuilder| rendering(builder, &recorder).start();
            let mut turns = Vec::new();
            for _ in 0..3 {
                let amends = start(home.builder()).await.unwrap();
                if turns.is_empty() {
                    amends.workflow_by_name("film").id("f").start(&json!(7)).await.unwrap();
                }
                let seen = until_pending(&amends, "f", |pending| pending.held.is_some()).await;
                assert_eq!(seen.pending[0].held, Some(HoldReason::NoWorker));
                assert_eq!(seen.pending[0].task_queue.as_str(), "gpu");
                assert_eq!((seen.task_queue.as_str(), seen.waits_for_worker), ("default", false));
                turns.push(seen.last_turn_at);
                amends.shutdown(Duration::ZERO).await;
            }
            assert!(
                turns.iter().all(|turn| *turn == turns[0]),
                "it is left as it is: {turns:?}"
            );
            assert_eq!(recorder.len(), 0);

            let amends = start(home.builder().task_queue("gpu", TaskQueueOptions::new()))
                .await
                .unwrap();
            let run = amends.find("f").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!(7));
            assert_eq!(recorder.all(), ["render", "mail"]);
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}

#[test]
fn what_waits_for_a_worker_still_has_to_start_in_time() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .activity_definition(noted("render", &recorder))
            .workflow_definition(workflow("film", |cx, input| async move {
                let call = cx.activity_by_name::<Value>("render", &input).task_queue("gpu");
                call.schedule_to_start(SECOND * 10).await
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("film").id("f").start(&json!(0)).await.unwrap();
        until_pending(&amends, "f", |pending| pending.held.is_some()).await;
        clock.pass(SECOND * 10).await;
        let Err(ResultError::Failed(failure)) = run.result().await else {
            panic!("nobody did it");
        };
        let kinds: Vec<_> = failure.chain().filter_map(|failure| failure.timeout_kind()).collect();
        assert_eq!(kinds, [TimeoutKind::ScheduleToStart]);
        assert_eq!(recorder.len(), 0);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_run_whose_queue_nobody_serves_is_open_and_untouched() {
    run(async {
        for home in Home::each() {
            let asked = Arc::new(AtomicUsize::new(0));
            let with_code = |builder: AmendsBuilder| {
                let asked = asked.clone();
                builder.workflow_definition(workflow("sum", move |cx, _| {
                    asked.fetch_add(1, Ordering::SeqCst);
                    async move {
                        cx.on_query("asked", |(): ()| 1)?;
                        let signals = cx.signal::<u64>("add");
                        Ok(json!(signals.recv().await? + signals.recv().await?))
                    }
                }))
            };
            let amends = with_code(home.builder()).start().await.unwrap();
            let start = amends.workflow_by_name("sum").id("s").task_queue("bulk");
            let run = start.start(&json!(0)).await.unwrap();
            run.signal("add", &1).await.unwrap();
            let seen = until_status(&amends, "s", RunStatus::Running).await;
            assert_eq!((seen.task_queue.as_str(), seen.waits_for_worker), ("bulk", true));
            let query = run.query::<_, Value>("asked", &()).await;
            assert!(query.unwrap_err().to_string().contains("task queue \"bulk\""));
            let update = run.update::<_, Value>("change", &()).await.unwrap_err();
            assert!(update.to_string().contains("task queue \"bulk\""), "{update}");
            amends.shutdown(Duration::ZERO).await;

            // An engine that does not even know the code leaves it as it is: it does not count as code that was forgotten.
            let amends = home.builder().start().await.unwrap();
            let run = amends.find("s").await.unwrap();
            run.signal("add", &2).await.unwrap();
            let seen = amends.client().describe("s").await.unwrap();
            assert_eq!((seen.status, seen.waits_for_worker), (RunStatus::Running, true));
            assert_eq!(seen.events, 3, "the start and two signals");
            amends.shutdown(Duration::ZERO).await;
            assert_eq!(asked.load(Ordering::SeqCst), 0);

            let serving = home.builder().without_default_task_queue();
            let amends = with_code(serving.task_queue("bulk", TaskQueueOptions::new()))
                .start()
                .await
                .unwrap();
            let run = amends.find("s").await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!(3));
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}

#[test]
fn a_run_without_a_worker_can_end_all_the_same() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let builder = home.builder().clock(Arc::new(clock.clone()));
        let amends = builder
            .workflow_definition(workflow("w", |_, input| async move { Ok(input) }))
            .start()
            .await
            .unwrap();
        let start = |id: &str| amends.workflow_by_name("w").id(id).task_queue("bulk");
        let limited = start("limited")
            .run_timeout(SECOND * 60)
            .start(&json!(0))
            .await
            .unwrap();
        let ended = start("ended").start(&json!(0)).await.unwrap();
        ended.terminate("not needed").await.unwrap();
        assert_eq!(ended.outcome().await.unwrap().status(), RunStatus::Terminated);
        clock.pass(SECOND * 60).await;
        assert!(limited.outcome().await.unwrap().status().is_closed());
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn an_update_does_not_start_a_run_that_nobody_could_ask() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .workflow_definition(workflow("w", |_, input| async move { Ok(input) }))
            .start()
            .await
            .unwrap();
        let start = amends.workflow_by_name("w").id("w").task_queue("bulk");
        let refused = start
            .update_with_start::<_, Value>("change", &json!(1), &json!(0), UpdateOptions::default())
            .await;
        assert!(refused.unwrap_err().to_string().contains("task queue \"bulk\""));
        assert!(matches!(amends.client().describe("w").await, Err(Error::NotFound(_))));
        // A signal needs nobody to decide about it.
        let start = amends.workflow_by_name("w").id("w").task_queue("bulk");
        start
            .signal_with_start("go", &json!(1), &json!(0), SignalOptions::default())
            .await
            .unwrap();
        assert_eq!(amends.client().describe("w").await.unwrap().events, 2);
        amends.shutdown(SECOND).await;
    });
}

/// A saga by a file whose steps name queues.
const ORDER: &str = r#"
    name = "order"
    task_queue = "orders"
    [[step]]
    name = "reserve"
    activity = "reserve"
    task_queue = "warehouse"
    compensation = { activity = "release", task_queue = "warehouse" }
    [[step]]
    name = "pay"
    activity = "pay"
    compensation = "none"
    retry = { maximum_attempts = 1 }
"#;

#[test]
fn a_saga_goes_back_on_the_queues_that_its_file_names() {
    run(async {
        for home in Home::each() {
            let recorder = Recorder::new();
            let start = |queues: &[&str]| {
                let mut builder = home.builder().saga(saga(ORDER));
                for name in ["reserve", "release"] {
                    builder = builder.activity_definition(noted(name, &recorder));
                }
                let pay = activity("pay", |_, _| async {
                    Err(amends::Failure::non_retryable("Declined", ""))
                });
                builder = builder.activity_definition(pay).without_default_task_queue();
                for queue in queues {
                    builder = builder.task_queue(queue, TaskQueueOptions::new());
                }
                builder.start()
            };
            let held = async |amends: &Amends, step: &str| -> RunDescription {
                until_pending(amends, "o", |pending| {
                    let named = pending.step.as_ref().is_some_and(|name| name.as_str() == step);
                    named && pending.held == Some(HoldReason::NoWorker)
                })
                .await
            };
            // Those who can decide cannot reserve; those who can reserve cannot decide; only together they come to an end.
            let amends = start(&["orders"]).await.unwrap();
            amends
                .workflow_by_name("order")
                .id("o")
                .start(&json!({}))
                .await
                .unwrap();
            held(&amends, "reserve").await;
            amends.shutdown(Duration::ZERO).await;
            let amends = start(&["warehouse"]).await.unwrap();
            recorder.until("reserve", 1).await;
            while !amends.client().describe("o").await.unwrap().waits_for_worker {
                tokio::task::yield_now().await;
            }
            amends.shutdown(Duration::ZERO).await;
            let amends = start(&["orders"]).await.unwrap();
            let seen = held(&amends, "reserve").await;
            assert_eq!(seen.status, RunStatus::Unwinding);
            amends.shutdown(Duration::ZERO).await;
            // The way back is the machine's: the worker of the queue that undoes is enough for it.
            let amends = start(&["warehouse"]).await.unwrap();
            until_status(&amends, "o", RunStatus::Amended).await;
            assert_eq!(recorder.all(), ["reserve", "release"]);
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}

#[test]
fn a_child_is_on_the_queue_of_its_parent_unless_somebody_names_another() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .task_queue("orders", TaskQueueOptions::new())
            .every_task_queue()
            .workflow_definition(workflow("child", |_, input| async move { Ok(input) }))
            .workflow_definition(
                workflow("named", |_, input| async move { Ok(input) })
                    .with_task_queue("own")
                    .unwrap(),
            )
            .saga(saga(
                r#"
                name = "parent"
                task_queue = "orders"
                [[step]]
                name = "plain"
                saga = { name = "child" }
                [[step]]
                name = "names"
                saga = { name = "child" }
                task_queue = "gpu"
                [[step]]
                name = "of-code"
                saga = { name = "named" }
                "#,
            ))
            .start()
            .await
            .unwrap();
        let run = amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(1))
            .await
            .unwrap();
        run.result().await.unwrap();
        for (child, queue) in [("p/plain", "orders"), ("p/names", "gpu"), ("p/of-code", "own")] {
            let seen = amends.client().describe(child).await.unwrap();
            assert_eq!(seen.task_queue.as_str(), queue, "{child}");
        }
        amends.shutdown(SECOND).await;
    });
}
