//! Child workflows while each commit in turn fails: whatever was lost, and whatever was kept without anybody's knowing, no
//! child is started twice and the histories are those of a family in peace. Must not live here: deaths of the process
//! (`crash`), what children are for (`engine`).

use std::time::Duration;

use amends::store::ListQuery;
use amends::{
    Amends, AmendsBuilder, Error, Failure, ParentClosePolicy, RetryPolicy, RunStatus, WorkflowContext, workflow as flow,
};

use crate::support::{insist, third, whichever_commit_fails};

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

const MOMENT: Duration = Duration::from_millis(1);

/// Has a child that is tried again, one that is given up, and the same one three times.
#[flow]
async fn patient(cx: WorkflowContext) -> Result<u32, Failure> {
    let retried = |id: &str, maximum_attempts| {
        cx.child(third).id(id).retry_policy(RetryPolicy {
            initial_interval: MOMENT,
            maximum_attempts,
            ..RetryPolicy::default()
        })
    };
    let mut sum = retried("tried", 3).run(&()).await?;
    assert!(retried("given-up", 2).run(&()).await.unwrap_err().is_type("NotYet"));
    for _ in 0..3 {
        sum += cx.child(generation).id("again").run(&0).await?;
    }
    Ok(sum)
}

/// How all runs with this id stand, oldest first.
async fn runs_of(amends: &Amends, id: &str) -> Vec<(amends::model::RunId, RunStatus)> {
    let everything = ListQuery::default();
    let client = amends.client();
    let heads = insist(|| client.list(&everything)).await;
    let of_id = heads.iter().rev().filter(|head| head.workflow_id.as_str() == id);
    of_id.map(|head| (head.run_id, head.status)).collect()
}

#[test]
fn whichever_commit_fails_a_child_is_tried_as_often_and_begun_as_often() {
    let registered = |builder: AmendsBuilder| {
        let builder = builder.workflow(generation).workflow(third);
        builder.workflow(patient)
    };
    let peace = whichever_commit_fails(12..=60, registered, async |amends: &Amends| {
        let parent = insist(|| amends.workflow(patient).id("p").request_id("p").start(&())).await;
        let outcome = insist(|| parent.outcome()).await;
        let client = amends.client();
        let history = insist(|| client.history("p")).await;
        let mut kinds: Vec<_> = history.iter().map(|event| event.attributes.kind()).collect();
        kinds.retain(|kind| *kind != "WorkflowTaskCompleted");
        let mut runs = Vec::new();
        for id in ["tried", "given-up", "again"] {
            let statuses = runs_of(amends, id).await.into_iter().map(|(_, status)| status);
            runs.push(statuses.collect::<Vec<_>>());
        }
        (outcome, kinds, runs)
    });
    let (outcome, _, runs) = peace;
    assert_eq!(outcome.status(), RunStatus::Completed);
    use RunStatus as S;
    let (tried, given_up) = (vec![S::Failed, S::Failed, S::Completed], vec![S::Failed, S::Failed]);
    assert_eq!(runs, [tried, given_up, vec![S::Completed; 3]]);
}

/// Begins the child that its neighbour begins, too, whenever that one is not there.
#[flow]
async fn neighbour(cx: WorkflowContext, times: u32) -> Result<u32, Failure> {
    let mut sum = 0;
    while sum < times {
        match cx.child(generation).id("shared").run(&0).await {
            Ok(one) => sum += one,
            Err(refused) if refused.is_type("WorkflowAlreadyExists") => cx.sleep(MOMENT).await?,
            Err(other) => return Err(other),
        }
    }
    Ok(sum)
}

#[test]
fn whichever_commit_fails_no_child_is_begun_twice_though_others_have_its_id_by_then() {
    let registered = |builder: AmendsBuilder| builder.workflow(generation).workflow(neighbour);
    let peace = whichever_commit_fails(10..=60, registered, async |amends: &Amends| {
        let mut begun = Vec::new();
        for id in ["left", "right"] {
            let start = || amends.workflow(neighbour).id(id).request_id(id).start(&4);
            begun.push(insist(start).await);
        }
        let mut of_each = Vec::new();
        for parent in begun {
            assert_eq!(insist(|| parent.outcome()).await.status(), RunStatus::Completed);
            of_each.push((parent.run_id(), 0));
        }
        let client = amends.client();
        for (run_id, status) in runs_of(amends, "shared").await {
            assert_eq!(status, RunStatus::Completed);
            let described = insist(|| client.describe_run(run_id)).await;
            let parent = described.parent.unwrap().run_id;
            let of_parent = of_each.iter_mut().find(|(run_id, _)| *run_id == parent);
            of_parent.unwrap().1 += 1;
        }
        of_each.into_iter().map(|(_, runs)| runs).collect::<Vec<u32>>()
    });
    assert_eq!(peace, [4, 4]);
}
