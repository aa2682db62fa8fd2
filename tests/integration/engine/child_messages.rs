//! What is said to, and heard of, a child that has ended while its parent was not there, when another run has its id by then, or it
//! cannot be read, or is gone. Must not live here: messages to runs that are nobody's children (`messages`), or whose sender has
//! ended (`left_messages`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Amends, AmendsBuilder, Failure, IdReusePolicy, RunStatus, WorkflowContext, WorkflowDefinition};
use serde_json::{Value, json};

use super::child_begun_once::{World, until_commits};
use super::child_workflows::{double, kinds, until, until_event};
use super::retention_children::take_newest;
use super::unreadable::Lock;
use crate::support::{Home, run, until_status, workflow};

/// Goes on as a new run, which ends when it hears something.
async fn hops(cx: WorkflowContext, landed: bool) -> Result<u32, Failure> {
    match landed {
        true => cx.signal::<()>("go").recv().await.map(|()| 2),
        false => cx.continue_as_new(hops, &true).await,
    }
}

/// A parent that says something to its child, which has ended before anybody knows what became of that.
struct Said {
    parent: fn() -> WorkflowDefinition,
    input: Value,
    /// So many runs the child has had when that is said.
    runs: usize,
    /// What becomes of the commit with which the child hears it.
    fault: CommitFault,
}

impl Said {
    fn engine(&self, world: &World, faults: &StoreFaults, clock: &VirtualClock) -> AmendsBuilder {
        let builder = world.engine(faults, clock).workflow(hops);
        builder.workflow_definition((self.parent)())
    }

    /// When this returns, somebody else's run has the child's id, and the parent goes on.
    async fn to_a_child_that_has_ended(&self, world: &World) -> Amends {
        let (clock, faults) = (VirtualClock::new(), StoreFaults::new());
        let amends = self.engine(world, &faults, &clock).start().await.unwrap();
        let starter = amends.workflow_by_name("parent").id("p");
        starter.start(&self.input).await.unwrap();
        // Nothing of all this is to be the commit that fails.
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        until(|| async { world.runs("c").len() == self.runs }).await;
        until_event(&amends, "c", "WorkflowTaskCompleted").await;
        // The parent says it, durably.
        let commits = faults.commits();
        faults.fail_commit(2, self.fault);
        amends.client().signal("p", "go", &()).await.unwrap();
        until_commits(&faults, commits + 2).await;
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(false, Ordering::SeqCst);
        let amends = self.engine(world, &StoreFaults::new(), &clock).start().await.unwrap();
        if self.fault == CommitFault::Lost {
            amends.client().signal("c", "go", &()).await.unwrap();
        }
        until_status(&amends, "c", RunStatus::Completed).await;
        let other = amends.workflow(double).id("c");
        let other = other.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        other.start(&3).await.unwrap();
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(true, Ordering::SeqCst);
        self.engine(world, &StoreFaults::new(), &clock).start().await.unwrap()
    }
}

/// Says something to its child, and tells whether that was not there any more.
async fn says(cx: &WorkflowContext, child: &amends::ChildHandle<u32>, cancels: bool) -> Result<bool, Failure> {
    cx.signal::<()>("go").recv().await?;
    let said = match cancels {
        true => child.cancel("enough").await,
        false => child.signal("go", &()).await,
    };
    Ok(said.is_err_and(|refused| refused.is_type("ExternalWorkflowNotFound")))
}

#[test]
fn what_is_said_to_a_child_that_has_ended_reaches_no_other_run_of_its_id() {
    let parent = || {
        workflow("parent", |cx, cancels| async move {
            let child = cx.child(double).id("c").start(&1).await?;
            let is_refused = says(&cx, &child, cancels == json!(true)).await?;
            Ok(json!([is_refused, child.result().await?]))
        })
    };
    for cancels in [false, true] {
        run(async {
            let world = World::new();
            let said = Said {
                parent,
                input: json!(cancels),
                runs: 1,
                fault: CommitFault::Lost,
            };
            let amends = said.to_a_child_that_has_ended(&world).await;
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
        let world = World::new();
        let said = Said {
            parent,
            input: json!(0),
            runs: 2,
            fault: CommitFault::Kept,
        };
        let amends = said.to_a_child_that_has_ended(&world).await;
        let parent = amends.find("p").await.unwrap();
        assert_eq!(parent.result().await.unwrap(), json!(2));
        amends.shutdown(Duration::ZERO).await;
        world.assert_sound();
    });
}

#[test]
fn a_child_that_has_ended_is_known_to_have_though_its_data_cannot_be_decoded() {
    let parent = || {
        workflow("parent", |cx, cancels| async move {
            let child = cx.child(double).id("c").start(&2).await?;
            let doubled = child.result().await?;
            Ok(json!([says(&cx, &child, cancels == json!(true)).await?, doubled]))
        })
    };
    for cancels in [false, true] {
        run(async {
            let (home, lock) = (Home::memory(), Lock::of("c"));
            let open = async || {
                let builder = home.builder().codec(lock.clone()).workflow(double);
                builder.workflow_definition(parent()).start().await.unwrap()
            };
            let amends = open().await;
            let starter = amends.workflow_by_name("parent").id("p");
            starter.start(&json!(cancels)).await.unwrap();
            until_event(&amends, "p", "ChildWorkflowExecutionCompleted").await;
            amends.shutdown(Duration::ZERO).await;

            lock.decodes.store(false, Ordering::SeqCst);
            let amends = open().await;
            amends.client().signal("p", "go", &()).await.unwrap();
            let parent = amends.find("p").await.unwrap();
            assert_eq!(parent.result().await.unwrap(), json!([true, 4]));
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

/// What is left of its chain leads to the run that is gone, and nowhere else.
#[test]
fn nobody_waits_for_a_child_whose_last_run_is_gone() {
    let parent = || {
        workflow("parent", |cx, _| async move {
            let child = cx.child(hops).id("c").start(&false).await?;
            Ok(json!(child.result().await.unwrap_err().to_string()))
        })
    };
    run(async {
        let (world, clock) = (World::new(), VirtualClock::new());
        let engine = async || {
            let builder = world.engine(&StoreFaults::new(), &clock).workflow(hops);
            builder.workflow_definition(parent()).start().await.unwrap()
        };
        let amends = engine().await;
        let starter = amends.workflow_by_name("parent").id("p");
        starter.start(&json!(null)).await.unwrap();
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        until(|| async { world.runs("c").len() == 2 }).await;
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(false, Ordering::SeqCst);
        let amends = engine().await;
        amends.client().signal("c", "go", &()).await.unwrap();
        until_status(&amends, "c", RunStatus::Completed).await;
        amends.shutdown(Duration::ZERO).await;
        take_newest(&world.memory, "c");
        assert_eq!(world.runs("c").len(), 1, "it has continued");

        world.lock.decodes.store(true, Ordering::SeqCst);
        let amends = engine().await;
        let told = amends.find("p").await.unwrap().result().await.unwrap().to_string();
        assert!(told.contains("nobody knows what became of the child"), "{told}");
        amends.shutdown(Duration::ZERO).await;
    });
}
