//! A child whose beginning its parent has not heard of, while others have its id and the clock is set back: it is begun once. Must
//! not live here: the same while any commit fails (`children_survive`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use amends::engine::Offline;
use amends::model::{Timestamp, WorkflowId};
use amends::store::{Error, MemoryStore, RunHead, Store};
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{
    Amends, AmendsBuilder, Failure, IdReusePolicy, ParentClosePolicy, RunStatus, WorkflowContext, WorkflowDefinition,
    workflow as flow,
};
use serde_json::json;

use super::child_workflows::{double, until};
use super::unreadable::Lock;
use crate::support::{run, until_status, workflow};

const HOUR: Duration = Duration::from_secs(3_600);

/// Has a child when it is told to.
fn parent() -> WorkflowDefinition {
    workflow("parent", |cx, _| async move {
        cx.signal::<()>("go").recv().await?;
        Ok(json!(cx.child(double).id("c").run(&4).await?))
    })
}

/// One store through the lives of several engines, each of which dies with the first commit that fails.
pub(super) struct World {
    pub(super) memory: MemoryStore,
    /// An engine that cannot read the run with the id `p` leaves it alone.
    pub(super) lock: Lock,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            memory: MemoryStore::new(),
            lock: Lock::of("p"),
        }
    }

    pub(super) fn engine(&self, faults: &StoreFaults, clock: &VirtualClock) -> AmendsBuilder {
        let (memory, faults, was_opened) = (self.memory.clone(), faults.clone(), AtomicBool::new(false));
        let open = move || match was_opened.swap(true, Ordering::SeqCst) {
            false => faults.wrap(Box::new(memory.clone())),
            true => Err(Error::Io("this engine does not come back".to_owned())),
        };
        let builder = Amends::builder().shards(2).store(open).codec(self.lock.clone());
        builder.clock(Arc::new(clock.clone())).workflow(double)
    }

    /// The runs with this id, newest first.
    pub(super) fn runs(&self, id: &str) -> Vec<RunHead> {
        let id = WorkflowId::new(id).unwrap();
        self.memory.runs_of(&id, None, usize::MAX).unwrap()
    }

    #[track_caller]
    pub(super) fn assert_sound(&self) {
        let report = Offline::over(self.memory.clone()).verify(&mut |_| {}).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

/// Waits until so many commits were tried.
pub(super) async fn until_commits(faults: &StoreFaults, commits: u64) {
    while faults.commits() < commits {
        tokio::task::yield_now().await;
    }
}

/// Somebody else's run with the child's id.
async fn begun_by_another(amends: &Amends) {
    let other = amends
        .workflow(double)
        .id("c")
        .id_reuse_policy(IdReusePolicy::AllowDuplicate);
    assert_eq!(other.start(&2).await.unwrap().result().await.unwrap(), 4);
}

/// Whether another run has had the id before, and whether the clock is set back after the child was asked for.
async fn a_beginning_that_nobody_hears_of(was_used: bool, is_set_back: bool) {
    let world = World::new();
    let runs = || world.runs("c");
    let engine = |faults: &StoreFaults, clock: &VirtualClock| world.engine(faults, clock).workflow_definition(parent());
    let noon = Timestamp::from_micros(1_767_225_600_000_000);
    let (faults, mut clock) = (StoreFaults::new(), VirtualClock::starting_at(noon.after(HOUR)));
    let amends = engine(&faults, &clock).start().await.unwrap();
    if was_used {
        begun_by_another(&amends).await;
    }
    let before = runs().len();
    amends
        .workflow_by_name("parent")
        .id("p")
        .start(&json!(0))
        .await
        .unwrap();
    // The first commit asks for the child, the second one begins it.
    let (commits, fault) = match is_set_back {
        true => (faults.commits(), CommitFault::Lost),
        false => (faults.commits(), CommitFault::Kept),
    };
    faults.fail_commit(2, fault);
    amends.client().signal("p", "go", &()).await.unwrap();
    until_commits(&faults, commits + 2).await;
    amends.shutdown(Duration::ZERO).await;

    if is_set_back {
        assert_eq!(runs().len(), before);
        let faults = StoreFaults::new();
        faults.fail_commit(1, CommitFault::Kept);
        clock = VirtualClock::starting_at(noon);
        let amends = engine(&faults, &clock).start().await.unwrap();
        while runs().len() == before {
            tokio::task::yield_now().await;
        }
        amends.shutdown(Duration::ZERO).await;
    }
    assert_eq!(runs().len(), before + 1, "it has begun");

    world.lock.decodes.store(false, Ordering::SeqCst);
    let amends = engine(&StoreFaults::new(), &clock).start().await.unwrap();
    until_status(&amends, "c", RunStatus::Completed).await;
    begun_by_another(&amends).await;
    amends.shutdown(Duration::ZERO).await;

    world.lock.decodes.store(true, Ordering::SeqCst);
    let amends = engine(&StoreFaults::new(), &clock).start().await.unwrap();
    let parent = amends.find("p").await.unwrap();
    assert_eq!(parent.result().await.unwrap(), json!(8));
    amends.shutdown(Duration::ZERO).await;
    let of_parent = runs().into_iter().filter(|head| head.found_by.is_some());
    assert_eq!(of_parent.count(), 1, "begun once");
    assert_eq!(runs().len(), before + 2);
    world.assert_sound();
}

#[test]
fn a_child_is_begun_once_though_its_parent_has_not_heard_of_it_and_another_run_has_its_id() {
    for was_used in [false, true] {
        run(a_beginning_that_nobody_hears_of(was_used, false));
    }
}

#[test]
fn a_child_is_begun_once_though_the_clock_is_set_back_between_the_tries() {
    for was_used in [false, true] {
        run(a_beginning_that_nobody_hears_of(was_used, true));
    }
}

/// Asks for a child that is to outlive it, and continues as new before it has heard of it.
#[flow]
async fn parting(cx: WorkflowContext, has_parted: bool) -> Result<(), Failure> {
    let told = cx.signal::<()>("go");
    told.recv().await?;
    if has_parted {
        return Ok(());
    }
    let child = cx.child(double).id("c").parent_close_policy(ParentClosePolicy::Abandon);
    let mut child = Box::pin(child.start(&4));
    std::future::poll_fn(|cx| Poll::Ready(child.as_mut().poll(cx).is_ready())).await;
    // Dropped, it would not even be asked for.
    std::mem::forget(child);
    cx.continue_as_new(parting, &true).await
}

#[test]
fn a_child_that_outlives_its_parent_is_begun_once_though_retention_looks_before_its_parent_s_chain_does() {
    run(async {
        let (world, long_ago) = (
            World::new(),
            VirtualClock::starting_at(Timestamp::from_micros(1_000_000_000_000_000)),
        );
        let engine = |faults: &StoreFaults| world.engine(faults, &long_ago).workflow(parting);
        let faults = StoreFaults::new();
        let amends = engine(&faults).start().await.unwrap();
        amends.workflow(parting).id("p").start(&false).await.unwrap();
        let (mut faults, mut amends, mut commits) = (faults.clone(), amends, faults.commits() + 2);
        faults.fail_commit(2, CommitFault::Kept);
        amends.client().signal("p", "go", &()).await.unwrap();
        // Each engine dies as soon as it has done something, until the child has begun: nobody hears of that.
        for life in 0.. {
            until_commits(&faults, commits).await;
            amends.shutdown(Duration::ZERO).await;
            if !world.runs("c").is_empty() {
                break;
            }
            assert!(life < 10, "the child does not begin");
            (faults, commits) = (StoreFaults::new(), 1);
            faults.fail_commit(1, CommitFault::Kept);
            amends = engine(&faults).start().await.unwrap();
        }
        let begun = world.runs("c");
        assert_eq!((begun.len(), world.runs("p").len()), (1, 2));

        let prune = || {
            let offline = Offline::over(world.memory.clone());
            offline.prune(HOUR, &mut |_| {}).unwrap()
        };
        prune();
        assert_eq!(world.runs("p").len(), 1, "who asked for it is gone");
        let amends = engine(&StoreFaults::new()).start().await.unwrap();
        amends.client().signal("p", "go", &()).await.unwrap();
        until(|| async { world.runs("p").iter().all(|head| head.status.is_closed()) }).await;
        amends.shutdown(Duration::ZERO).await;
        let runs: Vec<_> = world.runs("c").iter().map(|head| head.run_id).collect();
        assert_eq!(runs, [begun[0].run_id]);
        world.assert_sound();
        prune();
        assert_eq!(world.runs("c"), [], "nobody needs it any more");
    });
}
