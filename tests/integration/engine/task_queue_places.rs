//! What a worker for a task queue does at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use amends::config::EngineConfig;
use amends::testing::VirtualClock;
use amends::{Error, ResultError, RunStatus, TaskQueueOptions};
use futures_util::future::join;
use serde_json::{Value, json};

use super::task_queues::noted;
use crate::support::{Gate, Home, Recorder, activity, run, saga, workflow};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_full_queue_holds_up_neither_the_others_nor_its_own_compensations() {
    run(async {
        let (home, recorder, gate) = (Home::memory(), Recorder::new(), Gate::shut());
        let (opened, order) = (gate.clone(), recorder.clone());
        let amends = home
            .builder()
            .task_queue("gpu", TaskQueueOptions::new().max_concurrent_activities(2))
            .activity_definition(activity("render", move |_, input| {
                let (gate, order) = (opened.clone(), order.clone());
                async move {
                    order.note("render");
                    gate.passed().await;
                    Ok(input)
                }
            }))
            .activity_definition(noted("reserve", &recorder))
            .activity_definition(noted("release", &recorder))
            .workflow_definition(workflow("film", |cx, input| async move {
                cx.activity_by_name("render", &input).task_queue("gpu").await
            }))
            .saga(saga(
                r#"
                name = "order"
                [[step]]
                name = "reserve"
                activity = "reserve"
                compensation = { activity = "release", task_queue = "gpu" }
                [[step]]
                name = "never"
                activity = "reserve"
                input = "${ steps.reserve.output.nothing }"
                compensation = "none"
                "#,
            ))
            .start()
            .await
            .unwrap();
        let mut films = Vec::new();
        for number in 0..6 {
            films.push(amends.workflow_by_name("film").start(&json!(number)).await.unwrap());
        }
        recorder.until("render", 2).await;
        let status = amends.client().task_queues();
        let gpu = status
            .iter()
            .find(|status| status.task_queue.as_str() == "gpu")
            .unwrap();
        assert_eq!(gpu.activities, Some(2));
        let run = amends
            .workflow_by_name("order")
            .id("o")
            .start(&json!({}))
            .await
            .unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Amended);
        assert_eq!(recorder.all(), ["render", "render", "reserve", "release"]);
        gate.open();
        for film in films {
            film.result().await.unwrap();
        }
        amends.shutdown(SECOND).await;
    });
}

/// Runs whose code notes how many of them are at it at once.
async fn most_at_once(options: TaskQueueOptions) -> usize {
    let home = Home::memory();
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    let amends = home
        .builder()
        .shards(4)
        .task_queue("bulk", options)
        .workflow_definition(workflow("busy", move |cx, input| {
            let (inside, most) = (inside.clone(), highest.clone());
            async move {
                for _ in 0..3 {
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..200 {
                        std::thread::yield_now();
                    }
                    inside.fetch_sub(1, Ordering::SeqCst);
                    cx.sleep(Duration::from_millis(1)).await?;
                }
                Ok(input)
            }
        }))
        .start()
        .await
        .unwrap();
    let mut runs = Vec::new();
    for number in 0..40 {
        let start = amends.workflow_by_name("busy").task_queue("bulk");
        runs.push(start.start(&json!(number)).await.unwrap());
    }
    for run in runs {
        run.result().await.unwrap();
    }
    amends.shutdown(SECOND).await;
    most.load(Ordering::SeqCst)
}

#[test]
fn so_many_runs_of_a_queue_decide_at_once() {
    run(async {
        assert_eq!(
            most_at_once(TaskQueueOptions::new().max_concurrent_workflow_tasks(1)).await,
            1
        );
        // Without the limit two can be at it together: each waits for the other.
        let home = Home::memory();
        let pair = Arc::new(Barrier::new(2));
        let amends = home
            .builder()
            .shards(2)
            .workflow_definition(workflow("pair", move |_, input| {
                let pair = pair.clone();
                async move {
                    pair.wait();
                    Ok(input)
                }
            }))
            .start()
            .await
            .unwrap();
        let mut both = Vec::new();
        // On different threads: 242 and 203 are their logical shards.
        for id in ["order-1", "order-2"] {
            let (amends, id) = (amends.clone(), id.to_owned());
            both.push(tokio::spawn(async move {
                let run = amends.workflow_by_name("pair").id(id).start(&json!(0)).await.unwrap();
                run.result().await.unwrap();
            }));
        }
        for one in both {
            one.await.unwrap();
        }
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_name_that_cannot_be_one_is_refused_where_it_is_given() {
    run(async {
        let error = Home::memory()
            .builder()
            .task_queue("", TaskQueueOptions::new())
            .start()
            .await;
        assert!(
            error
                .err()
                .unwrap()
                .to_string()
                .contains("task queue must not be empty")
        );
        let amends = Home::memory()
            .builder()
            .workflow_definition(workflow("w", |cx, input| async move {
                cx.activity_by_name("a", &input).task_queue("").await
            }))
            .start()
            .await
            .unwrap();
        let start = amends.workflow_by_name("w").task_queue("x\ny");
        assert!(matches!(start.start(&json!(0)).await, Err(Error::Id(_))));
        let run = amends.workflow_by_name("w").start(&json!(0)).await.unwrap();
        let Err(ResultError::Failed(failure)) = run.result().await else {
            panic!("the call cannot be made");
        };
        assert!(failure.to_string().contains("task queue"), "{failure}");
        amends.shutdown(SECOND).await;
    });
}

/// Of whatever type, and of no other queue; compensations have a rate of their own.
#[test]
fn a_queue_s_rate_paces_its_attempts_on_the_engine_s_clock() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let config = "[task_queues.mail]\nactivity_rate = { attempts = 1, per = \"10s\" }\n";
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .config(EngineConfig::parse("amends.toml", config).unwrap())
            .activity_definition(noted("welcome", &recorder))
            .activity_definition(noted("remind", &recorder))
            .activity_definition(noted("ship", &recorder))
            .activity_definition(noted("call back", &recorder))
            .workflow_definition(workflow("both", |cx, _| async move {
                let call = |name: &str| cx.activity_by_name::<Value>(name, &()).start_to_close(SECOND * 5);
                let (welcomed, shipped) = join(call("welcome").task_queue("mail"), call("ship")).await;
                welcomed.and(shipped)?;
                call("remind").task_queue("mail").await
            }))
            .saga(saga(
                r#"
                name = "recall"
                [[step]]
                name = "ship"
                activity = "ship"
                compensation = { activity = "call back", task_queue = "mail" }
                [[step]]
                name = "never"
                activity = "ship"
                input = "${ steps.ship.output.nothing }"
                compensation = "none"
                "#,
            ))
            .start()
            .await
            .unwrap();
        let both = amends.workflow_by_name("both").start(&json!(0)).await.unwrap();
        recorder.until_len(2).await;
        clock.until_asleep(SECOND * 10).await;
        assert_eq!(recorder.count("remind"), 0);
        let recalled = amends.workflow_by_name("recall").start(&json!(0)).await.unwrap();
        assert!(matches!(recalled.result().await, Err(ResultError::Amended(_))));
        assert_eq!(recorder.count("call back"), 1, "a way back does not wait for mails");
        clock.pass(SECOND * 10).await;
        // Waiting was no part of its time.
        both.result().await.unwrap();
        let status = amends.client().task_queues();
        let mail = status.iter().find(|queue| queue.task_queue.as_str() == "mail").unwrap();
        assert_eq!(mail.options, TaskQueueOptions::new().activity_rate(1, SECOND * 10));
        amends.shutdown(SECOND).await;
    });
}
