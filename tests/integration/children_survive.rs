//! Child workflows while each commit in turn fails: whatever was lost, and whatever was kept without anybody's knowing, no
//! child is started twice and the histories are those of a family in peace. Must not live here: deaths of the process
//! (`crash`), what children are for (`engine`).

use amends::{Amends, AmendsBuilder, Error, Failure, ParentClosePolicy, RunStatus, WorkflowContext, workflow as flow};

use crate::support::whichever_commit_fails;

/// Adds a child's result to what it was given, one generation deeper each time.
#[flow]
async fn generation(cx: WorkflowContext, depth: u32) -> Result<u32, Failure> {
    match depth {
        0 => Ok(1),
        _ => {
            let younger = cx.child(generation).id(format!("depth-{}", depth - 1));
            Ok(1 + younger.run(&(depth - 1)).await?)
        }
    }
}

/// Waits for ever.
#[flow]
async fn idle(cx: WorkflowContext) -> Result<(), Failure> {
    cx.signal::<()>("never").recv().await
}

/// Has a child that ends, one that fails, one that it ends itself, and three that it leaves behind.
#[flow]
async fn family(cx: WorkflowContext) -> Result<u32, Failure> {
    let sum = cx.child(generation).id("depth-2").run(&2).await?;
    let failed = cx
        .child_by_name::<_, u32>("generation")
        .id("odd")
        .run(&"not a number")
        .await;
    assert!(failed.is_err());
    let stopped = cx.child(idle).id("stopped").start(&()).await?;
    stopped.cancel("enough").await?;
    assert!(stopped.result().await.unwrap_err().is_canceled());
    for (id, policy) in [
        ("ended", ParentClosePolicy::Terminate),
        ("asked", ParentClosePolicy::RequestCancel),
        ("left", ParentClosePolicy::Abandon),
    ] {
        cx.child(idle).id(id).parent_close_policy(policy).start(&()).await?;
    }
    Ok(sum)
}

const RUNS: [&str; 9] = [
    "family", "depth-2", "depth-1", "depth-0", "odd", "stopped", "ended", "asked", "left",
];

/// The kinds of all events of all runs. What a cancellation and its effect tell their sender may come in either order.
async fn lived(amends: &Amends) -> Vec<(&'static str, Vec<&'static str>)> {
    loop {
        match amends.workflow(family).id("family").request_id("f").start(&()).await {
            Ok(parent) => match parent.outcome().await {
                Ok(outcome) => break assert_eq!(outcome.status(), RunStatus::Completed),
                Err(Error::Interrupted | Error::Store(_)) => {}
                Err(other) => panic!("{other}"),
            },
            Err(Error::Interrupted | Error::Store(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
    let client = amends.client();
    let mut kinds = Vec::new();
    for id in RUNS {
        let history = loop {
            match client.history(id).await {
                Ok(history) if id == "left" || history.last().is_some_and(|last| last.attributes.closes()) => {
                    break history;
                }
                Ok(_) | Err(Error::Interrupted | Error::Store(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{id}: {other}"),
            }
        };
        let mut of_run: Vec<_> = history.iter().map(|event| event.attributes.kind()).collect();
        of_run.sort_unstable();
        of_run.retain(|kind| *kind != "WorkflowTaskCompleted");
        kinds.push((id, of_run));
    }
    kinds
}

#[test]
fn whichever_commit_fails_the_histories_are_the_same() {
    let registered = |builder: AmendsBuilder| {
        let builder = builder.workflow(generation).workflow(idle);
        builder.workflow(family)
    };
    whichever_commit_fails(20..=60, registered, lived);
}
