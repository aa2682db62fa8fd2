//! Scopes that are cancelled in the turn in which something begins in them, or before: nobody is asked for what is not wanted
//! any more, and whoever waits hears of it.

use futures_util::future::{Either, join, join5};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::super::double;
use super::super::world::{World, number};
use super::{SECOND, always, count};
use crate::model::{Failure, Outcome};
use crate::sdk::{CancellationType, WorkflowContext};

#[test]
fn what_began_in_this_very_turn_is_not_even_asked_for() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let (scope, saga) = (cx.scope(), cx.saga());
        let waited_for = cx
            .activity(double, &n)
            .cancellation(CancellationType::WaitCancellationCompleted);
        let all = join5(
            waited_for,
            cx.sleep(SECOND),
            cx.local_activity(double, &n),
            cx.child_by_name::<u32, u32>("c").run(&n),
            saga.lock("till"),
        );
        let canceled = async { scope.cancel() };
        let ((a, b, c, d, e), ()) = join(scope.run(all), canceled).await;
        let ended = [a.err(), b.err(), c.err(), d.err(), e.err()];
        assert!(
            ended.iter().flatten().filter(|failure| failure.is_canceled()).count() == 5,
            "{ended:?}"
        );
        // Neither id nor lock is used up.
        saga.lock("till").await?;
        let late = scope.run(cx.sleep(SECOND)).await;
        assert!(late.unwrap_err().is_canceled());
        cx.activity(double, &n).await
    }
    let (kinds, outcome) = always(|crashing| World::new(code, crashing).begun());
    assert_eq!(number(&outcome), Ok(10), "{kinds:?}");
    assert_eq!(count(&kinds, "ActivityTaskScheduled"), 1);
    assert_eq!(count(&kinds, "SagaLockRequested"), 1);
    for kind in [
        "TimerStarted",
        "StartChildWorkflowExecutionInitiated",
        "LocalActivityEnded",
    ] {
        assert_eq!(count(&kinds, kind), 0, "{kinds:?}");
    }
}

/// It was asked to stop and is waited for; then its wait is dropped, too.
#[test]
fn what_is_cancelled_and_then_dropped_is_asked_to_stop_once() {
    async fn code<const RUN: bool>(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let waited_for = cx
            .activity(double, &n)
            .cancellation(CancellationType::WaitCancellationCompleted);
        let patience = cx.shield(async {
            cx.sleep(SECOND).await?;
            if !RUN {
                scope.cancel();
            }
            cx.sleep(SECOND).await
        });
        let first = cx.race(scope.run(waited_for), patience).await;
        assert!(matches!(first, Either::Right(Ok(()))));
        cx.shield(cx.sleep(SECOND * 10)).await?;
        Ok(7)
    }
    let passing = |mut world: World, cancel: bool| {
        if cancel {
            world.cancel();
        }
        for _ in 0..3 {
            assert!(world.pass_time());
        }
        world
    };
    let (kinds, outcome) = always(|crashing| passing(World::new(code::<false>, crashing).begun(), false));
    assert_eq!(number(&outcome), Ok(7), "{kinds:?}");
    assert_eq!(count(&kinds, "ActivityTaskCancelRequested"), 1, "{kinds:?}");
    let (kinds, outcome) = always(|crashing| passing(World::new(code::<true>, crashing).begun(), true));
    assert_eq!(number(&outcome), Ok(7), "{kinds:?}");
    assert_eq!(count(&kinds, "ActivityTaskCancelRequested"), 1, "{kinds:?}");
}

/// One scope for each of many, woken in the order of the history.
#[test]
fn the_losers_of_a_race_are_cancelled_one_by_one() {
    async fn code(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let scopes: Vec<_> = (0..5).map(|_| cx.scope()).collect();
        let mut running: FuturesUnordered<_> = (0..5_u32)
            .zip(&scopes)
            .map(|(number, scope)| {
                let sleeping = scope.run(cx.sleep(SECOND * (10 - number)));
                async move { (number, sleeping.await.is_ok()) }
            })
            .collect();
        let winner = running.next().await;
        assert_eq!(winner, Some((4, true)));
        scopes.iter().for_each(crate::sdk::CancellationScope::cancel);
        let mut order = Vec::new();
        while let Some((number, slept)) = running.next().await {
            assert!(!slept);
            order.push(number);
        }
        Ok(order.iter().fold(0, |sum, number| sum * 10 + number))
    }
    let (kinds, outcome) = always(|crashing| World::new(code, crashing).begun());
    assert!(matches!(outcome, Outcome::Completed(_)), "{kinds:?}");
    assert_eq!(number(&outcome), Ok(123));
    assert_eq!(count(&kinds, "TimerCanceled"), 4);
}
