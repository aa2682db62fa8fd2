//! Code that continues as a new run: from its function, from a handler, with what it has not received. Must not live here:
//! what the machine makes of it (`machine`).

use crate::machine::Reply;
use crate::model::{Failure, Initiator, Outcome};
use crate::sdk::WorkflowContext;

use super::messages::{answer, ask, plays, signal, update};
use super::world::World;
use super::{double, undo_double};

/// Adds up two numbers in each run.
async fn adder(cx: WorkflowContext, mut sum: u32) -> Result<u32, Failure> {
    let shown = cx.state(sum);
    shown.on_query("sum", |sum, ()| *sum)?;
    let info = cx.info();
    shown.on_query("attempt", move |_, ()| info.attempt)?;
    let numbers = cx.signal::<u32>("n");
    for _ in 0..2 {
        match numbers.recv().await? {
            0 => return Ok(sum),
            n => sum += n,
        }
        shown.change(|shown| *shown = sum);
    }
    cx.continue_as_new_by_name(cx.workflow_type().as_str(), &sum).await
}

#[test]
fn a_run_continues_with_what_it_was_given_and_what_it_has_not_received() {
    let kinds = plays(adder, |world| {
        world.take(signal("n", 2));
        // Four at once: this run receives one of them, the next one two, and the one after that the last.
        world.turn((3..=5).chain([0]).map(|n| signal("n", n)).collect());
        let first = world.state.run_id().unwrap();
        assert!(matches!(world.state.outcome(), Some(Outcome::ContinuedAsNew { .. })));
        world.follow();
        assert_eq!(ask(world, "sum").unwrap(), 15);
        let second = world.state.run_id().unwrap();
        let chain = world.state.started().unwrap().chain.clone().unwrap();
        assert_eq!(
            (chain.first, chain.follows),
            (Some(first), Some((first, Initiator::Workflow)))
        );
        world.follow();
        let chain = world.state.started().unwrap().chain.clone().unwrap();
        assert_eq!(
            (chain.first, chain.follows),
            (Some(first), Some((second, Initiator::Workflow)))
        );
        let ended = world.state.outcome().map(super::world::number);
        assert_eq!(ended, Some(Ok(15)));
    });
    let expected = ["Started", "Signaled", "Task", "Completed"];
    assert_eq!(kinds.len(), expected.len());
}

/// A handler that ends its run before its first await; its function never looks.
async fn by_handler(cx: WorkflowContext, generation: u32) -> Result<u32, Failure> {
    let own = cx.clone();
    cx.on_update("next", async move |(): ()| {
        own.continue_as_new_by_name::<u32>("w", &(generation + 1)).await
    })?;
    cx.on_query("generation", move |(): ()| generation)?;
    cx.canceled().await;
    Ok(generation)
}

#[test]
fn a_handler_may_end_its_run_and_its_update_is_abandoned() {
    plays(by_handler, |world| {
        assert_eq!(world.turn(vec![update("u", "next", ())]), [Reply::Accepted]);
        let failure = answer(world, "u").unwrap_err();
        assert!(failure.is_type("UpdateAbandoned"), "{failure}");
        world.follow();
        assert_eq!(ask(world, "generation").unwrap(), 2);
    });
}

#[test]
fn a_cancelled_run_does_not_continue() {
    async fn stubborn(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.canceled().await;
        cx.continue_as_new_by_name("w", &n).await
    }
    for crashing in [false, true] {
        let mut world = World::start(stubborn, crashing, &[]);
        world.cancel();
        let (outcome, _) = world.finish();
        assert!(
            matches!(&outcome, Outcome::Canceled(failure) if failure.is_canceled()),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_saga_that_owes_something_is_undone_instead_unless_it_is_said_to_be_done() {
    async fn forgetful(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.saga().run(double, &n).compensate(undo_double).await?;
        cx.continue_as_new_by_name("w", &n).await
    }
    async fn careful(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.saga().run(double, &n).compensate(undo_double).await?;
        cx.continue_as_new_by_name("w", &n).saga_done().await
    }
    for crashing in [false, true] {
        let (outcome, ran) = World::start(forgetful, crashing, &[]).finish();
        assert!(
            matches!(&outcome, Outcome::Amended(failure) if failure.is_type("SagaNotDone")),
            "{outcome:?}"
        );
        assert!(ran.iter().any(|line| line.starts_with("undo_double")), "{ran:?}");
        let (outcome, ran) = World::start(careful, crashing, &[]).finish();
        assert!(matches!(&outcome, Outcome::ContinuedAsNew { .. }), "{outcome:?}");
        assert_eq!(ran, ["double 1"]);
    }
}

#[test]
fn what_the_code_is_told_of_its_history_is_the_same_on_replay() {
    async fn counting(cx: WorkflowContext, _: u32) -> Result<u32, Failure> {
        let numbers = cx.signal::<u32>("n");
        let mut lengths = Vec::new();
        while lengths.len() < 3 {
            numbers.recv().await?;
            let info = cx.info();
            lengths.push(info.history_length);
            assert!(!info.continue_as_new_suggested);
        }
        cx.record_marker("lengths", &lengths)?;
        Ok(lengths.iter().sum::<u64>() as u32)
    }
    plays(counting, |world| {
        (1..=3).for_each(|n| world.take(signal("n", n)));
        // Started 1, a task at 2 to 4, then three times a signal and a task, of which the first two ids count.
        let ended = world.state.outcome().map(super::world::number);
        assert_eq!(ended, Some(Ok(7 + 11 + 15)));
    });
}
