//! Scopes that are cancelled when their time is up, or by somebody outside.

use futures_util::future::join;

use super::super::double;
use super::super::world::{World, number};
use super::{SECOND, always, count};
use crate::model::{Failure, Input, Outcome, Payload, SignalName};
use crate::sdk::{CancellationType, WorkflowContext};

#[test]
fn a_scope_with_a_deadline_is_cancelled_by_it_and_gives_what_comes_of_that() {
    async fn code(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let slow = scope.run_for(SECOND, cx.sleep(SECOND * 100)).await.unwrap_err();
        assert!(
            scope.is_canceled() && slow.is_canceled() && slow.to_string().contains("time"),
            "{slow}"
        );
        // In time: its deadline is not waited for.
        let quick = cx.scope();
        quick.run_for(SECOND * 50, cx.sleep(SECOND)).await?;
        assert!(!quick.is_canceled());
        // One with a deadline within one that has less time left.
        let (outer, inner) = (cx.scope(), cx.shielded_scope());
        let nested = outer.run_for(SECOND, async {
            let own = cx.scope();
            let first = own.run_for(SECOND * 50, cx.sleep(SECOND * 100)).await;
            let shielded = inner.run_for(SECOND * 2, cx.sleep(SECOND * 100)).await;
            (first.unwrap_err(), shielded.unwrap_err())
        });
        let (first, shielded) = nested.await;
        assert!(first.is_canceled() && shielded.is_canceled());
        Ok(7)
    }
    let (kinds, outcome) = always(|crashing| World::new(code, crashing).begun());
    assert_eq!(number(&outcome), Ok(7), "{kinds:?}");
    assert_eq!(count(&kinds, "TimerFired"), 1 + 1 + 2, "deadlines, and the quick one");
    assert_eq!(count(&kinds, "TimerStarted"), 9);
    assert_eq!(count(&kinds, "TimerCanceled"), 5);
}

/// What ends in spite of being asked to stop keeps its result: the difference to dropping it.
#[test]
fn a_deadline_waits_for_what_wants_to_be_waited_for() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let stubborn = cx
            .activity(double, &n)
            .cancellation(CancellationType::WaitCancellationCompleted);
        let scope = cx.scope();
        let value = scope.run_for(SECOND, stubborn).await?;
        assert!(scope.is_canceled());
        Ok(value)
    }
    let (kinds, outcome) = always(|crashing| {
        let mut world = World::new(code, crashing).begun();
        assert!(world.pass_time());
        world
    });
    assert_eq!(number(&outcome), Ok(10), "{kinds:?}");
    assert_eq!(count(&kinds, "ActivityTaskCancelRequested"), 1);
    assert_eq!(count(&kinds, "ActivityTaskCompleted"), 1);
}

#[test]
fn a_handler_of_signals_may_cancel_a_scope_and_others_hear_of_it() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let stopping = scope.clone();
        cx.on_signal("n", async move |_: u32| stopping.cancel())?;
        // A handler that is replaced, and held the only other handle of a scope.
        let unused = cx.scope();
        cx.on_signal("m", async move |_: u32| unused.cancel())?;
        cx.on_signal("m", async |_: u32| ())?;
        let heard = async {
            scope.canceled().await;
            cx.activity(double, &n).await
        };
        let (stopped, heard) = join(scope.run(cx.sleep(SECOND * 100)), heard).await;
        assert!(stopped.unwrap_err().is_canceled());
        scope.canceled().await;
        heard
    }
    let (kinds, outcome) = always(|crashing| {
        let mut world = World::new(code, crashing).begun();
        for name in ["m", "n"] {
            world.take(Input::Signal {
                name: SignalName::from_trusted(name),
                input: Payload::json(&1).unwrap(),
                request_id: None,
                identity: String::new(),
            });
        }
        world
    });
    assert_eq!(number(&outcome), Ok(10), "{kinds:?}");
    assert_eq!(count(&kinds, "TimerCanceled"), 1);
}

#[test]
fn a_step_whose_scope_is_cancelled_is_undone_when_the_saga_turns_back() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let saga = cx.saga();
        let step = saga.run(super::super::double, &n).compensate(super::super::undo_double);
        let stop = async {
            cx.sleep(SECOND).await?;
            scope.cancel();
            Ok::<(), Failure>(())
        };
        let (stepped, stopped) = join(scope.run(step), stop).await;
        stopped?;
        assert!(stepped.unwrap_err().is_canceled());
        Err(Failure::non_retryable("Enough", ""))
    }
    let (_, outcome) = always(|crashing| {
        let mut world = World::new(code, crashing).begun();
        assert!(world.pass_time());
        world
    });
    assert!(matches!(outcome, Outcome::Amended(_)), "{outcome:?}");
    let mut world = World::new(code, false).begun();
    assert!(world.pass_time());
    let (_, ran) = world.finish();
    assert!(ran.iter().any(|ran| ran.starts_with("undo_double")), "{ran:?}");
}
