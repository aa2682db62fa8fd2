//! Namespaces: whatever happens in one happens in no other, in memory and on a real store. Must not live here: retention of one
//! namespace (`runtime::retention`), the command line.

use std::sync::Arc;
use std::time::Duration;

use amends::engine::ScheduleAction;
use amends::schedule::{Schedule, ScheduleSpec};
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, AmendsBuilder, Error, Failure, Namespace, RunStatus, TaskQueueOptions, WorkflowContext,
    workflow,
};

use super::retention::look;
use crate::support::{Home, run, until_status};

const DAY: Duration = Duration::from_secs(86_400);

/// Ends when it is told to, with what it began with.
#[workflow]
async fn told(cx: WorkflowContext, what: String) -> Result<String, Failure> {
    cx.signal::<bool>("end").recv().await?;
    Ok(what)
}

/// Starts a child, tells a neighbour of the same id in whichever namespace it lives to end, and says where it is.
#[workflow]
async fn caller(cx: WorkflowContext, what: String) -> Result<String, Failure> {
    let child = cx.child(told).id("child").start(&what).await?;
    cx.external("child").signal("end", &true).await?;
    cx.external("neighbour").signal("end", &true).await?;
    let result = child.result().await?;
    Ok(format!("{result} in {}", cx.info().workflow_id.namespace()))
}

/// Waits for a child.
#[workflow]
async fn parent(cx: WorkflowContext, what: String) -> Result<String, Failure> {
    cx.child(told).id("child").run(&what).await
}

/// Goes on as new runs.
#[workflow]
async fn rounds(cx: WorkflowContext, left: u32) -> Result<String, Failure> {
    match left {
        0 => Ok(cx.info().workflow_id.namespace().to_owned()),
        left => cx.continue_as_new(rounds, &(left - 1)).await,
    }
}

async fn where_am_i(cx: ActivityContext, _: ()) -> Result<String, Failure> {
    Ok(cx.info().workflow_id.namespace().to_owned())
}

/// One that works on its own queue.
#[workflow(task_queue = "work")]
async fn worker(cx: WorkflowContext) -> Result<String, Failure> {
    cx.activity(where_am_i, &()).await
}

/// Takes a lock, and holds it until it is told to end.
#[workflow]
async fn holder(cx: WorkflowContext, what: String) -> Result<String, Failure> {
    let saga = cx.saga();
    saga.lock("order-1").await?;
    cx.signal::<bool>("end").recv().await?;
    Ok(what)
}

fn described(home: &Home) -> AmendsBuilder {
    let builder = home.builder().activity(where_am_i);
    builder
        .workflow(told)
        .workflow(parent)
        .workflow(caller)
        .workflow(rounds)
        .workflow(worker)
        .workflow(holder)
}

async fn engine(home: &Home) -> (Amends, Amends) {
    let builder = described(home).namespace(Namespace::new("payments"));
    let amends = builder.start().await.unwrap();
    let payments = amends.in_namespace("payments").unwrap();
    (amends, payments)
}

async fn ids(amends: &Amends, query: &str) -> Vec<String> {
    let page = amends.client().list(query).await.unwrap();
    let mut ids: Vec<String> = page.iter().map(|head| head.workflow_id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn the_same_id_in_two_namespaces_is_two_workflows_also_after_a_restart() {
    for home in Home::each() {
        run(async {
            let (amends, payments) = engine(&home).await;
            let mut runs = Vec::new();
            for (engine, what) in [(&amends, "plain"), (&payments, "paid")] {
                let starter = engine.workflow(told).id("order-1").request_id("same");
                let started = starter.start(&what.to_owned()).await.unwrap();
                assert_eq!(started.workflow_id().namespace(), engine.namespace().as_str());
                runs.push(started.run_id());
                let again = engine.workflow(told).id("order-1").start(&String::new()).await;
                assert!(matches!(again, Err(Error::AlreadyStarted { run_id, .. }) if run_id == runs[runs.len() - 1]));
            }
            payments
                .workflow(told)
                .id("order-2")
                .start(&String::new())
                .await
                .unwrap();
            amends.shutdown(Duration::ZERO).await;

            let (amends, payments) = engine(&home).await;
            assert_eq!(ids(&amends, "").await, ["order-1"]);
            assert_eq!(ids(&payments, "").await, ["order-1", "order-2"]);
            assert_eq!(ids(&payments, "WorkflowId = 'order-1'").await, ["order-1"]);
            assert_eq!(ids(&amends, "WorkflowId IN ('order-1', 'order-2')").await, ["order-1"]);
            assert_eq!(
                payments
                    .client()
                    .count("ExecutionStatus = 'Running'")
                    .await
                    .unwrap()
                    .runs,
                2
            );
            // A run of another namespace is not found, by its run id neither.
            assert!(matches!(
                amends.find("order-2").await.map(drop),
                Err(Error::NotFound(_))
            ));
            assert!(matches!(
                amends.find_run(runs[1]).await.map(drop),
                Err(Error::RunNotFound(_))
            ));
            assert!(matches!(
                payments.client().describe_run(runs[0]).await,
                Err(Error::RunNotFound(_))
            ));
            // What is said to one is not heard by the other.
            payments.client().signal("order-1", "end", &true).await.unwrap();
            let paid = payments.find("order-1").await.unwrap();
            assert_eq!(paid.result().await.unwrap(), "paid");
            assert_eq!(
                amends.client().describe("order-1").await.unwrap().status,
                RunStatus::Running
            );
            amends.find("order-1").await.unwrap().terminate("enough").await.unwrap();
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn what_a_run_starts_and_speaks_to_is_of_its_namespace() {
    run(async {
        let (amends, payments) = engine(&Home::memory()).await;
        for (engine, where_to) in [(&payments, "payments"), (&amends, "default")] {
            let neighbour = engine
                .workflow(told)
                .id("neighbour")
                .start(&String::new())
                .await
                .unwrap();
            let called = engine
                .workflow(caller)
                .id("caller")
                .start(&"child".to_owned())
                .await
                .unwrap();
            assert_eq!(called.result().await.unwrap(), format!("child in {where_to}"));
            assert_eq!(neighbour.result().await.unwrap(), "");
            let parents = ids(engine, "ParentWorkflowId = 'caller'").await;
            assert_eq!(parents, ["child"]);
            let chain = engine.workflow(rounds).id("rounds").start(&2).await.unwrap();
            assert_eq!(chain.result().await.unwrap(), where_to);
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_schedule_starts_its_runs_in_its_namespace() {
    run(async {
        let (amends, payments) = engine(&Home::memory()).await;
        let spec = ScheduleSpec::new().cron("0 9 * * *").unwrap();
        let action = ScheduleAction::of(&rounds, "tick", &0).unwrap();
        payments
            .schedules()
            .create("daily", action, Schedule::new(spec))
            .await
            .unwrap();
        payments.schedules().trigger("daily", None).await.unwrap();
        let started = loop {
            let page = payments.client().list("WorkflowType = 'rounds'").await.unwrap();
            match page.first() {
                Some(run) => break run.workflow_id.clone(),
                None => tokio::task::yield_now().await,
            }
        };
        let started = payments.find(started.as_str()).await.unwrap();
        assert_eq!(started.result().await.unwrap(), "payments");
        assert_eq!(payments.schedules().list().await.unwrap(), ["daily"]);
        assert_eq!(amends.schedules().list().await.unwrap(), [""; 0]);
        assert!(matches!(
            amends.schedules().describe("daily").await,
            Err(Error::NotFound(_))
        ));
        assert_eq!(amends.client().count("").await.unwrap().runs, 0);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_lock_is_another_one_in_each_namespace() {
    run(async {
        let (amends, payments) = engine(&Home::memory()).await;
        let hold = async |engine: &Amends, id: &str| {
            engine.workflow(holder).id(id).start(&String::new()).await.unwrap();
            while engine
                .client()
                .lock_line("order-1")
                .unwrap()
                .iter()
                .all(|place| place.workflow_id.as_str() != id)
            {
                tokio::task::yield_now().await;
            }
        };
        hold(&amends, "first").await;
        hold(&amends, "second").await;
        hold(&payments, "elsewhere").await;
        assert_eq!(amends.client().lock_line("order-1").unwrap().len(), 2);
        assert_eq!(payments.client().lock_line("order-1").unwrap().len(), 1);
        // The one that holds it in its namespace does not wait for those of the other.
        let elsewhere = payments.find("elsewhere").await.unwrap();
        elsewhere.signal("end", &true).await.unwrap();
        elsewhere.result().await.unwrap();
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_task_queue_is_another_one_in_each_namespace() {
    run(async {
        let home = Home::memory();
        let payments = || Namespace::new("payments");
        let work = TaskQueueOptions::new().max_concurrent_activities(3);
        let builder = described(&home).task_queue("work", TaskQueueOptions::new());
        let amends = builder.namespace(payments()).start().await.unwrap();
        assert_eq!(
            amends
                .workflow(worker)
                .id("w")
                .start(&())
                .await
                .unwrap()
                .result()
                .await
                .unwrap(),
            "default"
        );
        let waiting = amends.in_namespace("payments").unwrap();
        waiting.workflow(worker).id("w").start(&()).await.unwrap();
        let names = |amends: &Amends| {
            let queues = amends.client().task_queues().into_iter();
            queues.map(|queue| queue.task_queue.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            (names(&amends), names(&waiting)),
            (
                vec!["default".to_owned(), "work".to_owned()],
                vec!["default".to_owned()]
            )
        );
        while !waiting.client().describe("w").await.unwrap().waits_for_worker {
            tokio::task::yield_now().await;
        }
        amends.shutdown(Duration::ZERO).await;

        let amends = described(&home)
            .namespace(payments().task_queue("work", work))
            .start()
            .await
            .unwrap();
        let served = amends.in_namespace("payments").unwrap();
        assert_eq!(served.find("w").await.unwrap().result().await.unwrap(), "payments");
        assert_eq!(names(&served), ["default", "work"]);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_full_namespace_refuses_starts_and_no_other_does() {
    for home in Home::each() {
        run(async {
            let full = || Namespace::new("payments").max_open_runs(2);
            let amends = described(&home).namespace(full()).start().await.unwrap();
            let payments = amends.in_namespace("payments").unwrap();
            let start = async |engine: &Amends, id: &str| engine.workflow(told).id(id).start(&String::new()).await;
            let first = start(&payments, "a").await.unwrap();
            start(&payments, "b").await.unwrap();
            let refused = start(&payments, "c").await.unwrap_err();
            assert!(matches!(&refused, Error::TooManyOpenRuns { namespace, most: 2 } if namespace == "payments"));
            // One that is there already is no new one, and other namespaces have room.
            assert!(matches!(start(&payments, "b").await, Err(Error::AlreadyStarted { .. })));
            for id in ["a", "b", "c"] {
                start(&amends, id).await.unwrap();
            }
            first.signal("end", &true).await.unwrap();
            until_status(&payments, "a", RunStatus::Completed).await;
            let third = loop {
                // The place is free a moment after the end is to be seen.
                match start(&payments, "c").await {
                    Ok(run) => break run,
                    Err(error) => assert!(matches!(error, Error::TooManyOpenRuns { .. }), "{error}"),
                }
            };
            amends.shutdown(Duration::ZERO).await;

            // Counted anew from the store; children are counted, and not refused.
            let amends = described(&home).namespace(full()).start().await.unwrap();
            let payments = amends.in_namespace("payments").unwrap();
            assert!(matches!(
                start(&payments, "d").await,
                Err(Error::TooManyOpenRuns { .. })
            ));
            payments
                .client()
                .signal(third.workflow_id().as_str(), "end", &true)
                .await
                .unwrap();
            until_status(&payments, "c", RunStatus::Completed).await;
            let above = loop {
                match payments.workflow(parent).id("parent").start(&"kept".to_owned()).await {
                    Ok(run) => break run,
                    Err(error) => assert!(matches!(error, Error::TooManyOpenRuns { .. }), "{error}"),
                }
            };
            until_status(&payments, "child", RunStatus::Running).await;
            assert!(matches!(
                start(&payments, "d").await,
                Err(Error::TooManyOpenRuns { .. })
            ));
            payments.client().signal("child", "end", &true).await.unwrap();
            assert_eq!(above.result().await.unwrap(), "kept");
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn each_namespace_keeps_what_ended_as_long_as_it_says() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let builder = described(&home).clock(Arc::new(clock.clone())).retention(DAY * 3);
            let builder = builder
                .namespace(Namespace::new("short").retention(DAY))
                .namespace(Namespace::new("ever"));
            let amends = builder.start().await.unwrap();
            let of = |name: &str| amends.in_namespace(name).unwrap();
            for name in ["default", "short", "ever"] {
                let started = of(name).workflow(told).id("a").start(&String::new()).await.unwrap();
                started.signal("end", &true).await.unwrap();
                until_status(&of(name), "a", RunStatus::Completed).await;
            }
            let mut left = Vec::new();
            for _ in 0..3 {
                clock.advance(DAY);
                look(&clock).await;
                let mut there = Vec::new();
                for name in ["default", "short", "ever"] {
                    there.push(ids(&of(name), "").await.len());
                }
                left.push(there);
            }
            assert_eq!(left, [[1, 0, 1], [1, 0, 1], [0, 0, 1]]);
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

#[test]
fn an_unknown_namespace_is_refused_and_its_runs_wait_for_an_engine_that_has_it() {
    run(async {
        let home = Home::memory();
        let (amends, payments) = engine(&home).await;
        let unknown = amends.in_namespace("mail").map(drop).unwrap_err();
        let says = "no namespace \"mail\" is known to this engine (known: default, payments); start it with \
                    `AmendsBuilder::namespace`";
        assert_eq!(unknown.to_string(), says);
        assert!(matches!(amends.in_namespace("a\nb").map(drop), Err(Error::Id(_))));
        assert_eq!(
            payments.in_namespace("default").unwrap().namespace(),
            amends.namespace()
        );
        let left = payments
            .workflow(told)
            .id("left")
            .start(&"left".to_owned())
            .await
            .unwrap();
        left.signal("end", &true).await.unwrap();
        left.result().await.unwrap();
        payments
            .workflow(told)
            .id("open")
            .start(&"open".to_owned())
            .await
            .unwrap();
        amends.shutdown(Duration::ZERO).await;

        // An engine without it leaves its runs alone.
        let other = described(&home).start().await.unwrap();
        assert_eq!(ids(&other, "").await, [""; 0]);
        other.shutdown(Duration::ZERO).await;
        let (amends, payments) = engine(&home).await;
        payments.client().signal("open", "end", &true).await.unwrap();
        assert_eq!(payments.find("open").await.unwrap().result().await.unwrap(), "open");
        amends.shutdown(Duration::ZERO).await;
    });
}
