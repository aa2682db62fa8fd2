//! What a child's start may say, on a whole engine: ids that are used again, time limits, retries, schedules, queues, and what it
//! is found by. Must not live here: children without options (`child_workflows`), stores that fail (`children_survive`).

use std::sync::Arc;
use std::time::Duration;

use amends::store::ListQuery;
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Failure, IdReusePolicy, Payload, RetryPolicy, RunStatus, SearchAttributeType,
    TaskQueueOptions, WorkflowContext, WorkflowDefinition, workflow as flow,
};
use serde_json::{Value, json};

use super::child_workflows::{double, kinds, until, until_event};
use crate::support::{Home, run, saga, third, workflow};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Goes on for ever, seventy seconds in each run.
#[flow]
async fn forever(cx: WorkflowContext) -> Result<(), Failure> {
    cx.sleep(SECOND * 70).await?;
    cx.continue_as_new(forever, &()).await
}

/// Counts its runs.
#[flow]
pub(super) async fn tick(cx: WorkflowContext) -> Result<u32, Failure> {
    Ok(cx.last_result::<u32>()?.unwrap_or(0) + 1)
}

async fn engine(builder: AmendsBuilder, parent: WorkflowDefinition) -> (Amends, VirtualClock) {
    let clock = VirtualClock::new();
    let builder = builder.clock(Arc::new(clock.clone())).workflow_definition(parent);
    let builder = builder
        .workflow(double)
        .workflow(third)
        .workflow(forever)
        .workflow(tick);
    (builder.start().await.unwrap(), clock)
}

async fn begun(amends: &Amends) -> amends::RunHandle<Value> {
    let parent = amends.workflow_by_name("parent").id("p");
    parent.start(&json!(null)).await.unwrap()
}

/// How the runs with this id stand, oldest first.
async fn statuses(amends: &Amends, id: &str) -> Vec<RunStatus> {
    let heads = amends.client().list(&ListQuery::default()).await.unwrap();
    let of_id = heads.iter().rev().filter(|head| head.workflow_id.as_str() == id);
    of_id.map(|head| head.status).collect()
}

#[test]
fn the_id_of_a_child_that_has_ended_may_be_used_again_as_its_start_says() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            use IdReusePolicy as P;
            let child = |policy| cx.child(double).id("c").id_reuse_policy(policy);
            let mut told = vec![cx.child(double).id("c").run(&2).await?];
            // By default it may.
            told.push(cx.child(double).id("c").run(&4).await?);
            for policy in [P::RejectDuplicate, P::AllowDuplicateFailedOnly] {
                let refused = child(policy).run(&6).await.unwrap_err();
                assert!(refused.is_type("WorkflowAlreadyExists"), "{refused}");
                assert_eq!(refused.child_workflow().unwrap().run_id, None);
            }
            assert!(child(P::AllowDuplicate).run(&13).await.unwrap_err().is_type("Unlucky"));
            told.push(child(P::AllowDuplicateFailedOnly).run(&8).await?);
            let ended = cx.child(double).id("c").start(&10).await?;
            told.push(ended.result().await?);
            // As long as one is open it may not, whatever is said.
            let open = child(P::AllowDuplicate).start(&1).await?;
            // Nor is it the one that has ended.
            let late = ended.signal("go", &()).await.unwrap_err();
            assert!(late.is_type("ExternalWorkflowNotFound"), "{late}");
            let refused = child(P::AllowDuplicate).run(&2).await.unwrap_err();
            assert!(refused.is_type("WorkflowAlreadyExists"), "{refused}");
            open.signal("go", &()).await?;
            told.push(open.result().await?);
            Ok(json!(told))
        })
    };
    for home in Home::each() {
        run(async {
            let (amends, _) = engine(home.builder().replay_every_turn(), parent()).await;
            assert_eq!(begun(&amends).await.result().await.unwrap(), json!([4, 8, 16, 20, 2]));
            use RunStatus as S;
            let all = [
                S::Completed,
                S::Completed,
                S::Failed,
                S::Completed,
                S::Completed,
                S::Completed,
            ];
            assert_eq!(statuses(&amends, "c").await, all);
            // What is started from outside is the first of its id, or says so.
            let refused = amends.workflow(double).id("c").start(&2).await.unwrap_err();
            assert!(
                refused.to_string().contains("workflow c has already been started"),
                "{refused}"
            );
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_execution_timeout_ends_the_whole_chain_of_a_child() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let child = cx.child(forever).id("c").execution_timeout(SECOND * 175);
            let ended = child.run(&()).await.unwrap_err();
            assert!(ended.child_workflow().is_some());
            Ok(json!(ended.root().timeout_kind().is_some()))
        })
    };
    for home in Home::each() {
        run(async {
            let (amends, clock) = engine(home.builder(), parent()).await;
            let parent = begun(&amends).await;
            until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
            for seconds in [70, 70, 35] {
                clock.pass(SECOND * seconds).await;
            }
            assert_eq!(parent.result().await.unwrap(), json!(true));
            use RunStatus as S;
            let chain = [S::ContinuedAsNew, S::ContinuedAsNew, S::TimedOut];
            assert_eq!(statuses(&amends, "c").await, chain);
            let of_child = kinds(&amends, "p").await;
            assert!(of_child.contains(&"ChildWorkflowExecutionTimedOut"), "{of_child:?}");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_child_is_tried_again_and_its_parent_hears_of_the_last_try_only() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let few = |maximum_attempts| RetryPolicy {
                maximum_attempts,
                ..RetryPolicy::default()
            };
            let third = |id: &str, attempts| cx.child(third).id(id).retry_policy(few(attempts));
            let told = third("c", 3).run(&()).await?;
            let failed = third("few", 2).run(&()).await.unwrap_err();
            Ok(json!([told, failed.root().message]))
        })
    };
    for home in Home::each() {
        run(async {
            let (amends, clock) = engine(home.builder(), parent()).await;
            let parent = begun(&amends).await;
            // Between two tries the parent waits for the same child.
            until(|| async { statuses(&amends, "c").await.len() == 2 }).await;
            assert_eq!(parent.describe().await.unwrap().children.len(), 1);
            for seconds in [1, 2, 1] {
                clock.pass(SECOND * seconds).await;
            }
            assert_eq!(parent.result().await.unwrap(), json!([3, "try 2"]));
            use RunStatus as S;
            assert_eq!(statuses(&amends, "c").await, [S::Failed, S::Failed, S::Completed]);
            assert_eq!(statuses(&amends, "few").await, [S::Failed, S::Failed]);
            let of_children = kinds(&amends, "p").await;
            let of_children: Vec<_> = of_children
                .iter()
                .filter(|kind| kind.starts_with("ChildWorkflow"))
                .collect();
            let expected = ["Started", "Completed", "Started", "Failed"];
            let expected = expected.map(|kind| format!("ChildWorkflowExecution{kind}"));
            assert_eq!(of_children, expected.iter().collect::<Vec<_>>());
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_child_on_a_schedule_runs_until_its_parent_cancels_it_or_ends() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let ticking = cx.child(tick).id("c").cron_schedule("0 * * * *").start(&()).await?;
            cx.child(tick).id("left").cron_schedule("30 * * * *").start(&()).await?;
            cx.signal::<()>("enough").recv().await?;
            ticking.cancel("enough").await?;
            Ok(json!(ticking.result().await.unwrap_err().is_canceled()))
        })
    };
    for home in Home::each() {
        run(async {
            let (amends, clock) = engine(home.builder(), parent()).await;
            let parent = begun(&amends).await;
            until(|| async { statuses(&amends, "left").await.len() == 1 }).await;
            for runs in [1, 2, 3] {
                clock.pass(HOUR / 2).await;
                until(|| async { statuses(&amends, "left").await.len() == runs + 1 }).await;
                clock.pass(HOUR / 2).await;
                until(|| async { statuses(&amends, "c").await.len() == runs + 1 }).await;
            }
            let newest = amends.client().describe("c").await.unwrap();
            assert_eq!(newest.parent.unwrap().run_id, parent.run_id());
            assert_eq!(parent.describe().await.unwrap().children.len(), 2);
            parent.signal("enough", &()).await.unwrap();
            assert_eq!(parent.result().await.unwrap(), json!(true));
            use RunStatus as S;
            let ended = |last| [S::Completed, S::Completed, S::Completed, last];
            assert_eq!(statuses(&amends, "c").await, ended(S::Canceled));
            assert_eq!(statuses(&amends, "left").await, ended(S::Terminated));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_schedule_that_is_none_is_a_failure_of_the_start() {
    let parent = workflow("parent", |cx, _| async move {
        let refused = cx.child(tick).cron_schedule("at dawn").run(&()).await.unwrap_err();
        assert!(refused.child_workflow().is_some() && refused.is_type("InvalidInput"));
        Ok(json!(refused.root().message))
    });
    run(async {
        let home = Home::memory();
        let (amends, _) = engine(home.builder(), parent).await;
        let told = begun(&amends).await.result().await.unwrap();
        assert!(
            told.as_str().unwrap().contains("\"at dawn\" is no cron schedule"),
            "{told}"
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

/// A saga as a file, found by something of its own.
const SHIP: &str = r#"
name = "ship"
[search_attributes]
Amount = "${ input.amount }"
Stage = "new"
[[step]]
name = "go"
signal = { name = "go" }
"#;

#[test]
fn a_child_is_found_by_its_attributes_and_shown_with_its_memo() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let child = cx.child(double).id("c").memo("note", "fragile");
            let child = child.search_attribute("Amount", 7).search_attribute("City", "Rome");
            let child = child.start(&1).await?;
            let ship = cx
                .child_by_name::<_, Value>("ship")
                .id("s")
                .memo("note", &json!({"parcels": 2}));
            let ship = ship
                .search_attribute("Stage", "urgent")
                .start(&json!({"amount": 3}))
                .await?;
            // What cannot be is told at once, and asked of nobody.
            let wrong = cx.child(double).search_attribute("Amount", "seven").run(&2);
            assert!(wrong.await.unwrap_err().is_type("InvalidSearchAttribute"));
            let nameless = cx.child(double).memo("", &1).run(&2);
            assert!(nameless.await.unwrap_err().is_type("InvalidSearchAttribute"));
            let nowhere = cx.child(double).task_queue("").run(&2);
            assert!(nowhere.await.unwrap_err().is_type("InvalidId"));
            ship.result().await?;
            Ok(json!(child.result().await?))
        })
    };
    for home in Home::each() {
        run(async {
            let builder = home.builder().saga(saga(SHIP)).replay_every_turn();
            let builder = builder.search_attribute("Amount", SearchAttributeType::Double);
            let (amends, _) = engine(builder, parent()).await;
            let starter = amends.workflow_by_name("parent").id("p");
            let starter = starter.search_attribute("Customer", "ada").unwrap();
            let parent = starter.memo("title", "all").unwrap().start(&json!(null)).await.unwrap();
            until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
            let client = amends.client();
            until(|| async { client.describe("s").await.is_ok() }).await;
            for (query, found) in [
                ("Amount = 7.0 AND City = 'Rome'", "c"),
                ("Stage = 'urgent' AND Amount = 3.0", "s"),
                ("Customer = 'ada'", "p"),
            ] {
                let heads = client.list(query).await.unwrap();
                let ids: Vec<_> = heads.iter().map(|head| head.workflow_id.as_str()).collect();
                assert_eq!(ids, [found], "{query}");
            }
            let (child, ship) = (client.describe("c").await.unwrap(), client.describe("s").await.unwrap());
            let fragile = Payload::json("fragile").unwrap();
            assert_eq!(
                child.memo,
                [("note".to_owned(), fragile)].into(),
                "nothing of its parent's"
            );
            assert_eq!(ship.memo["note"].to::<Value>().unwrap(), json!({"parcels": 2}));
            client.signal("s", "go", &()).await.unwrap();
            client.signal("c", "go", &()).await.unwrap();
            assert_eq!(parent.result().await.unwrap(), json!(2));
            let asked = kinds(&amends, "p").await;
            let asked = asked
                .iter()
                .filter(|kind| **kind == "StartChildWorkflowExecutionInitiated");
            assert_eq!(asked.count(), 2);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_child_waits_for_the_workers_of_the_queue_that_its_start_names() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let near = cx.child(double).id("near").run(&2).await?;
            let far = cx.child(double).id("far").task_queue("far").run(&4).await?;
            Ok(json!([near, far]))
        })
    };
    run(async {
        for home in Home::each() {
            let (amends, _) = engine(home.builder(), parent()).await;
            begun(&amends).await;
            let client = amends.client();
            until(|| async { client.describe("far").await.is_ok_and(|far| far.waits_for_worker) }).await;
            assert_eq!(client.describe("far").await.unwrap().task_queue.as_str(), "far");
            assert_eq!(client.describe("near").await.unwrap().task_queue.as_str(), "default");
            amends.shutdown(Duration::ZERO).await;

            let builder = home.builder().task_queue("far", TaskQueueOptions::new());
            let (amends, _) = engine(builder, parent()).await;
            let parent = amends.find("p").await.unwrap();
            assert_eq!(parent.result().await.unwrap(), json!([4, 8]));
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        }
    });
}

#[test]
fn a_run_timeout_is_that_of_each_run_of_a_child() {
    let parent = workflow("parent", |cx, _| async move {
        let twice = RetryPolicy {
            maximum_attempts: 2,
            ..RetryPolicy::default()
        };
        // Odd, so that it waits for somebody who never comes.
        let waits = cx.child(double).id("c").run_timeout(SECOND * 70).retry_policy(twice);
        let ended = waits.run(&1).await.unwrap_err();
        Ok(json!(ended.root().timeout_kind().is_some()))
    });
    run(async {
        let home = Home::memory();
        let (amends, clock) = engine(home.builder(), parent).await;
        let parent = begun(&amends).await;
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        for seconds in [70, 1, 70] {
            clock.pass(SECOND * seconds).await;
        }
        assert_eq!(parent.result().await.unwrap(), json!(true));
        assert_eq!(statuses(&amends, "c").await, [RunStatus::TimedOut, RunStatus::TimedOut]);
        amends.shutdown(Duration::ZERO).await;
    });
}
