//! Child workflows from code on a whole engine: results, failures, ids, memory, the next engine. Must not live here: parents
//! that end first (`child_workflows_end`), sagas as steps (`children`), stores that fail (`children_survive`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::ResultError;
use amends::testing::VirtualClock;
use amends::{Amends, Failure, RunStatus, WorkflowContext, workflow as flow};
use serde_json::{Value, json};

use crate::support::{Home, run, saga, until_status, workflow};

/// Doubles; waits for `go` first when the number is odd, and fails for 13.
#[flow]
pub(super) async fn double(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    if n == 13 {
        return Err(Failure::non_retryable("Unlucky", "13").with_details(amends::Payload::json(&n)?));
    }
    if n % 2 == 1 {
        cx.signal::<()>("go").recv().await?;
    }
    Ok(n * 2)
}

/// Doubles with children, one for each number, all at once.
#[flow]
async fn double_all(cx: WorkflowContext, numbers: Vec<u32>) -> Result<Vec<u32>, Failure> {
    cx.try_map_concurrent(&numbers, 8, |n| cx.child(double).run(n)).await
}

pub(super) async fn kinds(amends: &Amends, id: &str) -> Vec<&'static str> {
    let history = amends.client().history(id).await.unwrap();
    history.iter().map(|event| event.attributes.kind()).collect()
}

pub(super) async fn until_event(amends: &Amends, id: &str, kind: &str) {
    until(|| async { kinds(amends, id).await.contains(&kind) }).await;
}

pub(super) async fn started(builder: amends::AmendsBuilder) -> Amends {
    builder.workflow(double).workflow(double_all).start().await.unwrap()
}

pub(super) fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

#[test]
fn a_parent_gathers_the_results_of_its_children() {
    for home in Home::each() {
        run(async {
            let amends = started(home.builder()).await;
            let numbers: Vec<u32> = (1..=20).map(|n| n * 2).collect();
            let parent = amends.workflow(double_all).id("all").start(&numbers).await.unwrap();
            let doubled: Vec<u32> = numbers.iter().map(|n| n * 2).collect();
            assert_eq!(parent.result().await.unwrap(), doubled);
            let history = kinds(&amends, "all").await;
            for kind in [
                "StartChildWorkflowExecutionInitiated",
                "ChildWorkflowExecutionStarted",
                "ChildWorkflowExecutionCompleted",
            ] {
                assert_eq!(history.iter().filter(|found| **found == kind).count(), 20, "{kind}");
            }
            let child = format!("{}/7", parent.run_id());
            let child = amends.client().describe(&child).await.unwrap();
            let of = child.parent.unwrap();
            assert_eq!((of.workflow_id.as_str(), of.run_id), ("all", parent.run_id()));
            assert!(of.initiated.is_some());
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

/// Counts down, in a run of its own each time.
#[flow]
async fn count_down(cx: WorkflowContext, (left, so_far): (u32, u32)) -> Result<u32, Failure> {
    match left {
        0 => Ok(so_far),
        _ => cx.continue_as_new(count_down, &(left - 1, so_far + 1)).await,
    }
}

#[test]
fn the_end_of_a_child_is_the_end_of_its_chain() {
    let parent = workflow("parent", |cx, _| async move {
        let counted = cx.child(count_down).id("child").run(&(3, 0)).await?;
        Ok(json!(counted))
    });
    run(async {
        let home = Home::memory();
        let builder = home.builder().workflow(count_down).workflow_definition(parent);
        let amends = started(builder).await;
        let parent = amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(null))
            .await
            .unwrap();
        assert_eq!(parent.result().await.unwrap(), json!(3));
        let history = kinds(&amends, "p").await;
        let of_children = history.iter().filter(|kind| kind.starts_with("ChildWorkflow"));
        assert_eq!(of_children.count(), 2, "one beginning, one end: {history:?}");
        assert_eq!(
            amends.client().describe("child").await.unwrap().parent.unwrap().run_id,
            parent.run_id()
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_child_s_failure_reaches_its_parent_with_its_type_and_cause() {
    run(async {
        let home = Home::memory();
        let amends = started(home.builder()).await;
        let parent = amends.workflow(double_all).id("p").start(&vec![2, 13]).await.unwrap();
        let Err(ResultError::Failed(failure)) = parent.result().await else {
            panic!("it must fail");
        };
        let child = failure.child_workflow().unwrap();
        assert_eq!(child.workflow_type.as_str(), "double");
        assert_eq!(child.workflow_id.as_str(), format!("{}/2", parent.run_id()));
        let described = amends.client().describe(child.workflow_id.as_str()).await.unwrap();
        assert_eq!(child.run_id, Some(described.run_id));
        assert!(failure.is_type("Unlucky"));
        let amends::model::FailureKind::Application(cause) = &failure.root().kind else {
            panic!("{failure:?}");
        };
        assert_eq!(cause.details.as_ref().unwrap().to::<u32>().unwrap(), 13);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn an_id_that_another_run_has_is_a_failure_of_the_start() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let taken = cx.child(double).id("taken").start(&2).await.unwrap_err();
            assert_eq!(taken.child_workflow().unwrap().run_id, None);
            let twice = cx.child(double).id("twice").start(&1).await?;
            let again = cx.child(double).id("twice").run(&2).await.unwrap_err();
            twice.signal("go", &()).await?;
            let result = twice.result().await?;
            assert_eq!(twice.result().await?, result, "may be asked again");
            Ok(json!([
                taken.is_type("WorkflowAlreadyExists"),
                again.is_type("WorkflowAlreadyExists"),
                result
            ]))
        })
    };
    run(async {
        let home = Home::memory();
        let amends = started(home.builder().workflow_definition(parent())).await;
        let taken = amends.workflow(double).id("taken").start(&1).await.unwrap();
        let parent = amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(null))
            .await
            .unwrap();
        assert_eq!(parent.result().await.unwrap(), json!([true, true, 2]));
        let history = kinds(&amends, "p").await;
        assert!(history.contains(&"StartChildWorkflowExecutionFailed"), "{history:?}");
        assert_eq!(
            taken.describe().await.unwrap().status,
            RunStatus::Running,
            "it is not the parent's"
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_definition_may_be_a_child_and_refuses_an_input_that_it_does_not_take() {
    let greet = saga(
        r#"
name = "greet"
[input_schema]
type = "object"
required = ["name"]
[[step]]
name = "wait"
timer = { after = "1ms" }
[output]
name = "${ input.name }"
"#,
    );
    let parent = workflow("parent", |cx, _| async move {
        let greeted: Value = cx.child_by_name("greet").run(&json!({"name": "Ada"})).await?;
        let refused = cx.child_by_name::<_, Value>("greet").run(&json!(3)).await.unwrap_err();
        Ok(json!([greeted, refused.is_type("InvalidInput"), refused.to_string()]))
    });
    run(async {
        let home = Home::memory();
        let amends = started(home.builder().saga(greet).workflow_definition(parent)).await;
        let parent = amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(null))
            .await
            .unwrap();
        let result = parent.result().await.unwrap();
        assert_eq!(
            (&result[0], &result[1]),
            (&json!({"name": "Ada"}), &json!(true)),
            "{result}"
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

pub(super) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_parent_leaves_memory_while_its_children_go_on_and_is_woken_by_their_end() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let builder = home
                .builder()
                .clock(Arc::new(clock.clone()))
                .passivate_after(Duration::from_secs(1));
            let amends = started(builder).await;
            let parent = amends.workflow(double_all).id("p").start(&vec![1, 3]).await.unwrap();
            until(|| async {
                let kinds = kinds(&amends, "p").await;
                kinds
                    .iter()
                    .filter(|kind| **kind == "ChildWorkflowExecutionStarted")
                    .count()
                    == 2
            })
            .await;
            // Two sweeps: nobody has spoken to anybody in between.
            for _ in 0..40 {
                clock.advance(Duration::from_millis(250));
                tokio::task::yield_now().await;
            }
            let described = parent.describe().await.unwrap();
            assert_eq!(described.children.len(), 2);
            for child in described.children {
                amends
                    .client()
                    .signal(child.workflow_id.as_str(), "go", &())
                    .await
                    .unwrap();
            }
            assert_eq!(parent.result().await.unwrap(), [2, 6]);
            assert!(parent.describe().await.unwrap().children.is_empty());
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn the_next_engine_goes_on_with_children_that_were_begun_and_with_those_that_ended_meanwhile() {
    for home in Home::each() {
        run(async {
            let amends = started(home.builder()).await;
            let parent = amends.workflow(double_all).id("p").start(&vec![1, 3]).await.unwrap();
            until(|| async {
                parent
                    .describe()
                    .await
                    .unwrap()
                    .children
                    .iter()
                    .all(|child| child.run_id.is_some())
            })
            .await;
            amends.shutdown(Duration::ZERO).await;

            let amends = started(home.builder()).await;
            let parent = amends.find("p").await.unwrap();
            for child in parent.describe().await.unwrap().children {
                amends
                    .client()
                    .signal(child.workflow_id.as_str(), "go", &())
                    .await
                    .unwrap();
            }
            assert_eq!(parent.outcome().await.unwrap().status(), RunStatus::Completed);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_child_whose_workflow_this_engine_does_not_have_parks_its_parent_until_one_has_it() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let doubled = cx.child(double).run(&4).await?;
            Ok(json!(doubled))
        })
    };
    run(async {
        let home = Home::memory();
        let amends = home.builder().workflow_definition(parent()).start().await.unwrap();
        amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(null))
            .await
            .unwrap();
        until_status(&amends, "p", RunStatus::Parked).await;
        let parked = amends.client().describe("p").await.unwrap();
        assert_eq!(
            parked.parked.unwrap().to_string(),
            "no workflow of type \"double\" is registered"
        );
        amends.shutdown(Duration::ZERO).await;

        let amends = started(home.builder().workflow_definition(parent())).await;
        let parent = amends.find("p").await.unwrap();
        assert_eq!(parent.outcome().await.unwrap().status(), RunStatus::Completed);
        amends.shutdown(Duration::ZERO).await;
    });
}
