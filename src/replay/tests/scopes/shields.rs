//! What no cancellation reaches, and for how long.

use super::super::double;
use super::super::world::{World, number};
use super::{SECOND, always, answer, count};
use crate::model::{Failure, Outcome};
use crate::sdk::{ChildCancellationType, WorkflowContext};

#[test]
fn what_began_in_a_scope_belongs_to_it_when_nobody_holds_the_scope_any_more() {
    async fn code(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let outer = cx.scope();
        let inner = outer.run(async { cx.scope() }).await;
        let unheld = outer.clone();
        drop(outer);
        // The scope of the inner one is only held by it.
        let waiting = async {
            let slept = inner.run(cx.sleep(SECOND * 100)).await;
            (slept, inner.is_canceled())
        };
        let stop = async {
            let slept = cx.sleep(SECOND).await;
            unheld.cancel();
            drop(unheld);
            slept
        };
        let ((slept, canceled), stopped) = futures_util::future::join(waiting, stop).await;
        stopped?;
        assert!(canceled && slept.unwrap_err().is_canceled());
        Ok(7)
    }
    let (_, outcome) = always(|crashing| World::new(code, crashing).begun());
    assert_eq!(number(&outcome), Ok(7));
}

/// The child began in the shield. Its parent is cancelled while somebody outside of the shield waits for it.
#[test]
fn a_child_that_began_in_a_shield_is_not_asked_to_end() {
    async fn code<const SHIELDED: bool>(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let child = cx.child_by_name::<u32, u32>("c").id("child");
        let child = child.cancellation(ChildCancellationType::TryCancel);
        let child = match SHIELDED {
            true => cx.shield(child.start(&n)).await?,
            false => child.start(&n).await?,
        };
        cx.canceled().await;
        let own = cx.activity(double, &n).await;
        assert!(own.unwrap_err().is_canceled());
        cx.race(child.result(), cx.shield(cx.sleep(SECOND))).await;
        Err(Failure::canceled("ended"))
    }
    let canceled = |mut world: World| {
        let started = answer(&world).unwrap();
        world.take(started);
        world.cancel();
        world
    };
    let asked = "RequestCancelExternalWorkflowExecutionInitiated";
    let (kinds, outcome) = always(|crashing| canceled(World::new(code::<true>, crashing).begun()));
    assert!(matches!(outcome, Outcome::Canceled(_)), "{outcome:?}");
    assert_eq!(count(&kinds, asked), 0, "{kinds:?}");
    assert_eq!(
        count(&kinds, "TimerFired"),
        1,
        "the child's end was waited for: {kinds:?}"
    );
    let (kinds, _) = always(|crashing| canceled(World::new(code::<false>, crashing).begun()));
    assert_eq!(count(&kinds, asked), 1, "{kinds:?}");
    assert_eq!(count(&kinds, "TimerFired"), 0, "{kinds:?}");
}

/// A workflow that cleans up in whatever state a cancellation finds it, wherever that is.
#[test]
fn a_clean_up_is_done_whenever_the_cancellation_comes() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let worked = async {
            let first = cx.activity(double, &n).await?;
            cx.sleep(SECOND).await?;
            let second = cx.child_by_name::<u32, u32>("c").run(&first).await?;
            Ok(first + second)
        };
        let worked = worked.await;
        let cleaned = cx.shield(async {
            cx.sleep(SECOND).await?;
            cx.timeout(SECOND * 5, cx.activity(super::super::half, &n)).await
        });
        assert!(cleaned.await?.is_some());
        worked
    }
    // After each of its turns; the child begins and then lasts.
    for turns in 0..4 {
        let (kinds, outcome) = always(|crashing| {
            let mut world = World::new(code, crashing).begun();
            for _ in 0..turns {
                match answer(&world) {
                    Some(input) => world.take(input),
                    None => world.step(),
                }
            }
            world.cancel();
            world
        });
        assert!(matches!(outcome, Outcome::Canceled(_)), "after {turns}: {outcome:?}");
        let half = kinds.iter().rev().take(5);
        assert!(
            half.clone().any(|kind| *kind == "ActivityTaskCompleted"),
            "after {turns}: {kinds:?}"
        );
    }
}

/// The wish is not lost on the way, nor is the child that was asked to end.
#[test]
fn a_cancelled_run_that_continues_in_a_shield_is_followed_by_a_cancelled_one() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        if n > 1 {
            return cx.sleep(SECOND * 100).await.map(|()| 0);
        }
        let _child = cx.child_by_name::<u32, u32>("c").id("child").start(&n).await?;
        cx.canceled().await;
        let outside = cx.continue_as_new_by_name::<u32>("w", &(n + 1)).await;
        assert!(outside.unwrap_err().is_canceled());
        cx.shield(cx.continue_as_new_by_name("w", &(n + 1))).await
    }
    for crashing in [false, true] {
        let mut world = World::new(code, crashing).begun();
        let started = answer(&world).unwrap();
        world.take(started);
        world.cancel();
        assert!(matches!(world.state.outcome(), Some(Outcome::ContinuedAsNew { .. })));
        world.follow();
        let left = world.state.orphans().map(|child| child.start.workflow_id.to_string());
        assert_eq!(left.collect::<Vec<_>>(), ["child"]);
        assert!(matches!(world.finish().0, Outcome::Canceled(_)));
    }
}
