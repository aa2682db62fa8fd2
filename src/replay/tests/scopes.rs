//! Scopes: what a cancellation reaches, and what it does not, live and after crashes. Must not live here: what each kind of
//! call does when it is reached (`cancellation`, `children`).

mod deadlines;
mod same_turn;
mod shields;

use std::time::Duration;

use futures_util::future::{join, join3};

use super::double;
use super::world::{World, number};
use crate::model::{ChildEnd, Event, EventAttributes, Failure, Input, Outcome, RunId, WorkflowId};
use crate::sdk::WorkflowContext;

const SECOND: Duration = Duration::from_secs(1);

fn live(mut world: World) -> World {
    while world.state.outcome().is_none() {
        match answer(&world) {
            Some(input) => world.take(input),
            None => world.step(),
        }
    }
    world
}

/// Children begin, and end when they are asked to.
fn answer(world: &World) -> Option<Input> {
    if let Some((initiated, _)) = world.state.externals().next() {
        let outcome = Ok(());
        return Some(Input::ExternalEnded { initiated, outcome });
    }
    let told = |child: &WorkflowId| {
        let is_told = |event: &Event| match &event.attributes {
            EventAttributes::RequestCancelExternalWorkflowExecutionInitiated(cancel) => cancel.workflow_id == *child,
            _ => false,
        };
        world.history().iter().any(is_told)
    };
    world
        .state
        .children()
        .find_map(|(initiated, child)| match child.started {
            None => {
                let outcome = Ok(RunId::from_bytes([u8::try_from(initiated.0).unwrap(); 16]));
                Some(Input::ChildStarted { initiated, outcome })
            }
            Some(_) if told(&child.start.workflow_id) => {
                let end = ChildEnd::Canceled(Failure::canceled("as asked"));
                Some(Input::ChildEnded { initiated, end })
            }
            Some(_) => None,
        })
}

/// What happens and how it ends: the same with a crash after any turn, after every turn, and replayed at every turn.
fn always(begin: impl Fn(bool) -> World) -> (Vec<&'static str>, Outcome) {
    let undisturbed = live(begin(false));
    let (history, turns) = (undisturbed.history(), undisturbed.turns());
    for turn in 1..turns {
        let mut world = begin(false);
        world.crashes_after = vec![turn];
        assert_eq!(live(world).history(), history, "dying after turn {turn}");
    }
    assert_eq!(live(begin(true)).history(), history, "dying after every turn");
    let checked = live(begin(false).checking_every_turn());
    assert_eq!(checked.history(), history, "replayed at every turn");
    let kinds = history.iter().map(|event| event.attributes.kind()).collect();
    (kinds, undisturbed.finish().0)
}

fn count(kinds: &[&str], kind: &str) -> usize {
    kinds.iter().filter(|found| **found == kind).count()
}

#[test]
fn a_scope_s_cancellation_reaches_all_that_is_in_it_and_nothing_else() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let (outer, other) = (cx.scope(), cx.scope());
        let within = async {
            let inner = cx.scope();
            let deep = inner.run(cx.sleep(SECOND * 100));
            let child = cx.child_by_name::<u32, u32>("c").run(&n);
            let signal = cx.signal::<u32>("n");
            let condition = cx.wait_condition(|| false);
            let (deep, child, signal, condition) =
                futures_util::future::join4(deep, child, signal.recv(), condition).await;
            assert!(inner.is_canceled());
            let later = cx.activity(double, &n).await;
            let all = [deep.err(), child.err(), signal.err(), condition.err(), later.err()];
            all.iter().flatten().filter(|failure| failure.is_canceled()).count()
        };
        let stop = async {
            cx.sleep(SECOND).await?;
            outer.cancel();
            outer.cancel();
            Ok::<(), Failure>(())
        };
        let (canceled, kept, stopped) = join3(outer.run(within), other.run(cx.sleep(SECOND * 3)), stop).await;
        stopped?;
        kept?;
        assert!(!other.is_canceled() && !cx.is_cancel_requested());
        Ok(u32::try_from(canceled).unwrap() + cx.activity(double, &n).await?)
    }
    let (kinds, outcome) = always(|crashing| World::new(code, crashing).begun());
    assert_eq!(number(&outcome), Ok(5 + 10), "{kinds:?}");
    assert_eq!(count(&kinds, "TimerCanceled"), 1);
    assert_eq!(count(&kinds, "RequestCancelExternalWorkflowExecutionInitiated"), 1);
    assert_eq!(count(&kinds, "ChildWorkflowExecutionCanceled"), 1);
}

#[test]
fn the_run_s_cancellation_reaches_every_scope_but_shielded_ones() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let working = scope.run(cx.scope().run(cx.sleep(SECOND * 100)));
        let guarded = cx.shield(async {
            cx.sleep(SECOND * 2).await?;
            // Also what begins after the cancellation, and in a scope within.
            cx.scope().run(cx.activity(double, &n)).await
        });
        let (worked, guarded) = join(working, guarded).await;
        assert!(worked.unwrap_err().is_canceled() && cx.is_cancel_requested());
        let guarded = guarded?;
        assert_eq!(guarded, 10);
        assert!(cx.activity(double, &n).await.unwrap_err().is_canceled());
        // A shield can be cancelled by itself.
        let shielded = cx.shielded_scope();
        shielded.cancel();
        assert!(shielded.run(cx.sleep(SECOND)).await.unwrap_err().is_canceled());
        cx.shield(cx.activity(double, &guarded)).await?;
        Err(Failure::canceled("cleaned up"))
    }
    let (kinds, outcome) = always(|crashing| {
        let mut world = World::new(code, crashing).begun();
        world.cancel();
        world
    });
    assert!(
        matches!(outcome, Outcome::Canceled(failure) if failure.message == "cleaned up"),
        "{kinds:?}"
    );
    assert_eq!(count(&kinds, "ActivityTaskCompleted"), 2);
}

#[test]
fn what_a_scope_has_asked_to_stop_is_not_asked_again_when_the_run_is_cancelled() {
    async fn code(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let scope = cx.scope();
        let stubborn = cx
            .activity(double, &n)
            .cancellation(crate::sdk::CancellationType::WaitCancellationCompleted);
        let stop = async {
            let slept = cx.sleep(Duration::ZERO).await;
            scope.cancel();
            slept
        };
        let (stubborn, stopped) = join(scope.run(stubborn), stop).await;
        stopped?;
        // It came to its end all the same.
        let value = stubborn?;
        cx.sleep(SECOND).await?;
        Ok(value)
    }
    for crashing in [false, true] {
        let mut world = World::new(code, crashing).begun();
        assert!(world.pass_time());
        world.cancel();
        let world = live(world);
        let asked = |event: &&crate::model::Event| event.attributes.kind() == "ActivityTaskCancelRequested";
        assert_eq!(world.history().iter().filter(asked).count(), 1);
        assert!(matches!(world.finish().0, Outcome::Canceled(_)));
    }
}
