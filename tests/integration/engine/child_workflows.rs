//! Child workflows from code on a whole engine: results, failures, ids, policies, cancellation. Must not live here: sagas as
//! steps (`children`), stores that fail (`children_survive`).

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use amends::engine::ResultError;
use amends::testing::VirtualClock;
use amends::{
    Amends, CancellationType, ChildCancellationType, Failure, ParentClosePolicy, RunStatus, WorkflowContext,
    workflow as flow,
};
use serde_json::{Value, json};

use crate::support::{Gate, Home, activity, run, saga, until_status, workflow};

/// Doubles; waits for `go` first when the number is odd, and fails for 13.
#[flow]
async fn double(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
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

async fn kinds(amends: &Amends, id: &str) -> Vec<&'static str> {
    let history = amends.client().history(id).await.unwrap();
    history.iter().map(|event| event.attributes.kind()).collect()
}

async fn until_event(amends: &Amends, id: &str, kind: &str) {
    until(|| async { kinds(amends, id).await.contains(&kind) }).await;
}

async fn started(builder: amends::AmendsBuilder) -> Amends {
    builder.workflow(double).workflow(double_all).start().await.unwrap()
}

fn number(value: &Value) -> u32 {
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
timer = "1ms"
compensation = "none"
[output]
name = "${{ input.name }}"
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

/// A parent that starts a child with the policy and ends at once, or is ended when it has started it.
fn leaving(policy: ParentClosePolicy) -> amends::WorkflowDefinition {
    workflow("leaving", move |cx, stay| async move {
        let child = cx
            .child(double)
            .id("child")
            .parent_close_policy(policy)
            .start(&1)
            .await?;
        if stay.as_bool() == Some(true) {
            cx.signal::<()>("never").recv().await?;
        }
        Ok(json!(child.workflow_id().as_str()))
    })
}

#[test]
fn a_parent_s_end_terminates_cancels_or_leaves_its_children() {
    for (policy, expected) in [
        (ParentClosePolicy::Terminate, RunStatus::Terminated),
        (ParentClosePolicy::RequestCancel, RunStatus::Canceled),
        (ParentClosePolicy::Abandon, RunStatus::Running),
    ] {
        for stay in [false, true] {
            for home in Home::each() {
                run(async {
                    let amends = started(home.builder().workflow_definition(leaving(policy))).await;
                    let parent = amends
                        .workflow_by_name("leaving")
                        .id("p")
                        .start(&json!(stay))
                        .await
                        .unwrap();
                    if stay {
                        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
                        parent.terminate("enough").await.unwrap();
                    }
                    parent.outcome().await.unwrap();
                    let child = amends.find("child").await.unwrap();
                    if expected != RunStatus::Running {
                        child.outcome().await.unwrap();
                    }
                    assert_eq!(child.describe().await.unwrap().status, expected, "{policy:?} {stay}");
                    amends.shutdown(Duration::ZERO).await;
                });
                home.assert_sound();
            }
        }
    }
}

async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_child_that_was_not_seen_to_begin_is_never_started_or_outlives_its_parent_by_its_policy() {
    let hasty = workflow("hasty", |cx, policy| async move {
        let policy = match policy.as_str() {
            Some("abandon") => ParentClosePolicy::Abandon,
            _ => ParentClosePolicy::Terminate,
        };
        let mut child = Box::pin(cx.child(double).id("child").parent_close_policy(policy).start(&1));
        std::future::poll_fn(|cx| Poll::Ready(child.as_mut().poll(cx).is_ready())).await;
        // Dropped, it would not even be asked for.
        std::mem::forget(child);
        Ok(json!(null))
    });
    run(async {
        let home = Home::memory();
        let amends = started(home.builder().workflow_definition(hasty)).await;
        for (policy, is_there) in [("terminate", false), ("abandon", true)] {
            let parent = amends
                .workflow_by_name("hasty")
                .id(policy)
                .start(&json!(policy))
                .await
                .unwrap();
            parent.result().await.unwrap();
            let asked_for = kinds(&amends, policy)
                .await
                .contains(&"StartChildWorkflowExecutionInitiated");
            assert!(asked_for && amends.client().describe(policy).await.unwrap().children.is_empty());
            assert_eq!(amends.find("child").await.is_ok(), is_there, "{policy}");
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Does not end before its activity has, whatever it is asked to.
fn stubborn() -> amends::WorkflowDefinition {
    workflow("stubborn", |cx, _| async move {
        let hold = cx.activity_by_name::<Value>("hold", &json!(null));
        let held = hold.cancellation(CancellationType::WaitCancellationCompleted).await?;
        match cx.is_cancel_requested() {
            true => Err(Failure::canceled("late")),
            false => Ok(held),
        }
    })
}

#[test]
fn cancelling_a_parent_does_to_its_child_what_the_cancellation_type_says() {
    use ChildCancellationType as T;
    let parent = || {
        workflow("parent", |cx, which| async move {
            let types = [
                T::TryCancel,
                T::WaitCancellationCompleted,
                T::WaitCancellationRequested,
                T::Abandon,
            ];
            let cancellation = types[number(&which) as usize];
            let child = cx.child_by_name("stubborn").id("child").cancellation(cancellation);
            child
                .parent_close_policy(ParentClosePolicy::Abandon)
                .run(&json!(null))
                .await
        })
    };
    run(async {
        for which in 0..4 {
            let (home, gate) = (Home::memory(), Gate::shut());
            let held = gate.clone();
            let hold = activity("hold", move |_, _| {
                let held = held.clone();
                async move {
                    held.passed().await;
                    Ok(json!(null))
                }
            });
            let builder = home
                .builder()
                .workflow_definition(parent())
                .workflow_definition(stubborn());
            let amends = started(builder.activity_definition(hold)).await;
            let run = amends
                .workflow_by_name("parent")
                .id("p")
                .start(&json!(which))
                .await
                .unwrap();
            until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
            run.cancel("enough").await.unwrap();
            if which == 1 {
                until_event(&amends, "p", "ExternalWorkflowExecutionCancelRequested").await;
                gate.open();
            }
            assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Canceled, "{which}");
            gate.open();
            let history = kinds(&amends, "p").await;
            let asked = history.contains(&"RequestCancelExternalWorkflowExecutionInitiated");
            let heard = history.contains(&"ExternalWorkflowExecutionCancelRequested");
            let ended = history.contains(&"ChildWorkflowExecutionCanceled");
            let expected = [
                (true, false, false),
                (true, true, true),
                (true, true, false),
                (false, false, false),
            ];
            assert_eq!((asked, heard, ended), expected[which], "{history:?}");
            let child = amends.find("child").await.unwrap();
            let expected = if which == 3 {
                RunStatus::Completed
            } else {
                RunStatus::Canceled
            };
            assert_eq!(child.outcome().await.unwrap().status(), expected, "{which}");
            amends.shutdown(Duration::ZERO).await;
        }
    });
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
