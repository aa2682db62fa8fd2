//! What is said to a child that has ended before it hears that, when another run has its id by then. Must not live here: messages to
//! runs that are nobody's children (`messages`), or whose sender has ended (`left_messages`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Failure, IdReusePolicy, RunStatus, WorkflowContext, WorkflowDefinition};
use serde_json::json;

use super::child_begun_once::{World, until_commits};
use super::child_workflows::{double, kinds, until, until_event};
use crate::support::{run, until_status, workflow};

/// Has a child, says something to it when it is told to, and tells why that failed.
fn parent() -> WorkflowDefinition {
    workflow("parent", |cx, cancels| async move {
        let child = cx.child(double).id("c").start(&1).await?;
        cx.signal::<()>("go").recv().await?;
        let said = match cancels == json!(true) {
            true => child.cancel("enough").await,
            false => child.signal("go", &()).await,
        };
        let refused = said.unwrap_err();
        Ok(json!([
            refused.is_type("ExternalWorkflowNotFound"),
            child.result().await?
        ]))
    })
}

#[test]
fn what_is_said_to_a_child_that_has_ended_reaches_no_other_run_of_its_id() {
    for cancels in [false, true] {
        run(async {
            let (world, clock) = (World::new(), VirtualClock::new());
            let engine = |faults: &StoreFaults| world.engine(faults, &clock).workflow_definition(parent());
            let faults = StoreFaults::new();
            let amends = engine(&faults).start().await.unwrap();
            let starter = amends.workflow_by_name("parent").id("p");
            starter.start(&json!(cancels)).await.unwrap();
            until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
            // The parent says it, durably, and nobody hears it.
            let commits = faults.commits();
            faults.fail_commit(2, CommitFault::Lost);
            amends.client().signal("p", "go", &()).await.unwrap();
            until_commits(&faults, commits + 2).await;
            amends.shutdown(Duration::ZERO).await;

            world.lock.decodes.store(false, Ordering::SeqCst);
            let amends = engine(&StoreFaults::new()).start().await.unwrap();
            let client = amends.client();
            client.signal("c", "go", &()).await.unwrap();
            until_status(&amends, "c", RunStatus::Completed).await;
            let other = amends.workflow(double).id("c");
            let other = other.id_reuse_policy(IdReusePolicy::AllowDuplicate);
            other.start(&3).await.unwrap();
            amends.shutdown(Duration::ZERO).await;

            world.lock.decodes.store(true, Ordering::SeqCst);
            let amends = engine(&StoreFaults::new()).start().await.unwrap();
            let parent = amends.find("p").await.unwrap();
            assert_eq!(parent.result().await.unwrap(), json!([true, 2]));
            let heard = kinds(&amends, "c").await;
            assert_eq!(heard, ["WorkflowExecutionStarted", "WorkflowTaskCompleted"]);
            until_status(&amends, "c", RunStatus::Running).await;
            amends.shutdown(Duration::ZERO).await;
            world.assert_sound();
        });
    }
}

/// Goes on as a new run, which ends when it hears something.
async fn hops(cx: WorkflowContext, landed: bool) -> Result<u32, Failure> {
    match landed {
        true => cx.signal::<()>("go").recv().await.map(|()| 2),
        false => cx.continue_as_new(hops, &true).await,
    }
}

#[test]
fn what_a_later_run_of_a_child_has_heard_was_said_although_another_run_has_its_id_by_then() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let child = cx.child(hops).id("c").start(&false).await?;
            cx.signal::<()>("go").recv().await?;
            child.signal("go", &()).await?;
            Ok(json!(child.result().await?))
        })
    };
    run(async {
        let (world, clock) = (World::new(), VirtualClock::new());
        let engine = |faults: &StoreFaults| {
            let builder = world.engine(faults, &clock).workflow(hops);
            builder.workflow_definition(parent())
        };
        let faults = StoreFaults::new();
        let amends = engine(&faults).start().await.unwrap();
        amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(0))
            .await
            .unwrap();
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        until(|| async { world.runs("c").len() == 2 }).await;
        // Its second run's first turn is not to be the commit that fails.
        until_event(&amends, "c", "WorkflowTaskCompleted").await;
        // The child hears it, durably, and the parent does not hear that it did.
        let commits = faults.commits();
        faults.fail_commit(2, CommitFault::Kept);
        amends.client().signal("p", "go", &()).await.unwrap();
        until_commits(&faults, commits + 2).await;
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(false, Ordering::SeqCst);
        let amends = engine(&StoreFaults::new()).start().await.unwrap();
        until_status(&amends, "c", RunStatus::Completed).await;
        let other = amends.workflow(double).id("c");
        let other = other.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        other.start(&3).await.unwrap();
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(true, Ordering::SeqCst);
        let amends = engine(&StoreFaults::new()).start().await.unwrap();
        let parent = amends.find("p").await.unwrap();
        assert_eq!(parent.result().await.unwrap(), json!(2));
        amends.shutdown(Duration::ZERO).await;
        world.assert_sound();
    });
}
