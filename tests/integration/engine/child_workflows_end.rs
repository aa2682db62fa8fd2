//! Parents that end, or are cancelled, before their children. Must not live here: what children are for (`child_workflows`).

use std::task::Poll;
use std::time::Duration;

use amends::{CancellationType, ChildCancellationType, Failure, ParentClosePolicy, RunStatus};
use serde_json::{Value, json};

use super::child_workflows::{double, kinds, number, started, until_event};
use crate::support::{Gate, Home, activity, run, workflow};

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
