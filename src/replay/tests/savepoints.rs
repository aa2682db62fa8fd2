//! Savepoints, the order of steps, and locks: what the code may ask for, what it is told, and that all of it replays.

use std::time::Duration;

use futures_util::future::{Either, join, join3, poll_immediate, select};

use crate::model::{Choice, EventAttributes, Failure, RetryPolicy, Undo};
use crate::sdk::{ActivityContext, WorkflowContext};

use super::mini_machine::{Mini, told};
use super::world::{World, number};
use super::{double, half, replays, undo_double};

async fn undo_half(_cx: ActivityContext, _undo: Undo<u32, u32>) -> Result<(), Failure> {
    Ok(())
}

/// A step that is kept, and up to three tries of two steps each, of which nothing is left when the second fails.
async fn tries(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let kept = saga.run(double, &n).compensate(undo_double).step("kept").await?;
    for number in 1..=3 {
        let savepoint = saga.savepoint();
        let reserved = saga.run(double, &number).compensate(undo_double).await?;
        match saga.run(half, &reserved).compensate(undo_half).await {
            Ok(halved) => {
                saga.pivot(half, &kept).step("pivot").await?;
                return Ok(halved + number);
            }
            Err(_) => saga.roll_back_to(&savepoint).await?,
        }
    }
    Err(Failure::new("NobodySells", ""))
}

#[test]
fn a_saga_goes_on_from_its_savepoint() {
    for crashing in [false, true] {
        let world = World::new(tries, crashing).breaks("half").breaks("half").begun();
        let (outcome, ran) = world.finish();
        assert_eq!(number(&outcome), Ok(13), "{ran:?}");
        let ran: Vec<&str> = ran.iter().filter_map(|line| line.split(' ').next()).collect();
        let one = ["double", "half", "undo_half", "undo_double"];
        let expected: Vec<&str> = [&["double"][..], &one, &one, &["double", "half", "half"]].concat();
        assert_eq!(ran, expected);
    }
}

#[test]
fn what_was_undone_already_is_not_undone_again() {
    for crashing in [false, true] {
        let world = World::new(tries, crashing)
            .breaks("half")
            .breaks("half")
            .breaks("half")
            .begun();
        let (outcome, ran) = world.finish();
        assert_eq!(number(&outcome), Err("amended NobodySells".to_owned()));
        let undone = |name: &str| ran.iter().filter(|line| line.split(' ').next() == Some(name)).count();
        assert_eq!((undone("undo_half"), undone("undo_double")), (3, 4), "{ran:?}");
    }
}

#[test]
fn names_are_not_given_again_and_the_history_says_what_is_kept() {
    let mut mini = Mini::started(tries, &1);
    assert_eq!(told(&mini.decide()), ["step kept as 1"]);
    assert_eq!(told(&mini.complete("1", 2)), ["step double as 2"]);
    assert_eq!(told(&mini.complete("2", 2)), ["step half as 3"]);
    mini.end("3", Err::<(), _>(Failure::new("No", "")));
    assert_eq!(told(&mini.decide()), ["roll back to 1"]);
    mini.crash();
    let started = mini.history.last().unwrap().id;
    mini.push(EventAttributes::SagaRollbackCompleted { started });
    assert_eq!(told(&mini.decide()), ["step double#2 as 4"]);
    replays(&mini, tries).unwrap();
}

#[test]
fn a_rollback_that_needs_a_person_goes_on_when_one_has_decided() {
    for crashing in [false, true] {
        let world = World::new(tries, crashing).breaks("half").breaks("undo_half");
        let (outcome, _) = world.decides(Some("half"), Choice::Retry).begun().finish();
        assert_eq!(number(&outcome), Ok(12));
    }
}

#[test]
fn calls_in_flight_end_when_they_are_rolled_back() {
    async fn impatient(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        saga.run(double, &n).compensate(undo_double).await?;
        let savepoint = saga.savepoint();
        let slow = saga.run(half, &n).compensate(undo_half).step("slow");
        let plain = cx.activity(half, &100);
        let hurried = async {
            cx.sleep(Duration::from_secs(1)).await?;
            // In one turn: the rollback, one more step, and another one that is begun behind the savepoint and left.
            let mut left = saga.run(half, &n).step("left");
            let _ = poll_immediate(&mut left).await;
            let (rolled_back, more, under_way) = join3(
                saga.roll_back_to(&savepoint),
                saga.run(double, &55).step("more"),
                saga.roll_back_to(&savepoint),
            )
            .await;
            assert!(under_way.unwrap_err().is_type("RollbackUnderWay"));
            assert!(left.await.unwrap_err().is_canceled());
            rolled_back?;
            more
        };
        let (slow, plain, hurried) = join3(slow, plain, hurried).await;
        assert!(slow.unwrap_err().is_canceled());
        Ok(plain? + hurried?)
    }
    for crashing in [false, true] {
        for slow_ends in [false, true] {
            let mut world = World::new(impatient, crashing).begun();
            world.step();
            // The attempts of the slow step and of the plain activity are out when the second is over.
            assert!(world.pass_time());
            let slow = world.state.step("slow").unwrap().scheduled;
            let token = world.due().into_iter().find(|token| token.scheduled == slow).unwrap();
            match slow_ends {
                true => world.end_attempt(token),
                false => world.take(crate::model::Input::AttemptEnded {
                    token,
                    outcome: Err(Failure::canceled("as asked")),
                }),
            }
            let (outcome, ran) = world.finish();
            assert_eq!(number(&outcome), Ok(20), "{ran:?}");
            let undone = ran.iter().filter(|line| line.starts_with("undo_half")).count();
            assert_eq!(undone, 1, "an attempt that ran may have had its effect: {ran:?}");
            assert!(!ran.iter().any(|line| line.starts_with("undo_double")), "{ran:?}");
        }
    }
}

#[test]
fn a_rollback_fences_what_is_to_be_fenced_and_needs_no_retriable_step() {
    async fn fencing(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let savepoint = saga.savepoint();
        let fenced = saga.run(double, &n).compensate(undo_double).fence_in_flight();
        let retriable = saga.retriable(half, &n).compensate(undo_half);
        let (fenced, retriable, rolled_back) = join3(fenced, retriable, async {
            cx.sleep(Duration::from_secs(1)).await?;
            saga.roll_back_to(&savepoint).await
        })
        .await;
        assert!(fenced.unwrap_err().is_canceled() && retriable.unwrap_err().is_canceled());
        rolled_back.map(|()| n)
    }
    for crashing in [false, true] {
        let mut world = World::new(fencing, crashing).begun();
        let double = world.state.step("double").unwrap().scheduled;
        assert!(world.pass_time());
        let due = world.due();
        assert!(
            due.iter().all(|token| token.scheduled != double),
            "its attempt is not waited for"
        );
        let half = world.state.step("half").unwrap().scheduled;
        let token = due.into_iter().find(|token| token.scheduled == half).unwrap();
        let outcome = Err(Failure::canceled("as asked"));
        world.take(crate::model::Input::AttemptEnded { token, outcome });
        let (outcome, ran) = world.finish();
        assert_eq!(number(&outcome), Ok(1), "{ran:?}");
        assert_eq!(
            ran.iter().filter(|line| line.starts_with("undo_")).count(),
            2,
            "{ran:?}"
        );
    }
}

#[test]
fn a_rollback_cannot_go_behind_a_pivot() {
    async fn hopeful(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let before = saga.savepoint();
        let declined = saga.pivot(half, &n).step("first card").await.unwrap_err();
        saga.roll_back_to(&before).await?;
        let mut pivot = saga.pivot(double, &n).step("second card");
        let _ = poll_immediate(&mut pivot).await;
        let refused = saga.roll_back_to(&before).await.unwrap_err();
        assert!(
            refused.is_type("BehindPivot") && refused.message.contains("second card"),
            "{refused} {declined}"
        );
        pivot.await?;
        assert!(saga.roll_back_to(&before).await.unwrap_err().is_type("BehindPivot"));
        // Behind the pivot there may be something to roll back, too.
        let after = saga.savepoint();
        saga.retriable(double, &n).compensate(undo_double).await?;
        saga.roll_back_to(&after).await?;
        Ok(4)
    }
    for crashing in [false, true] {
        let (outcome, ran) = World::start(hopeful, crashing, &["half"]).finish();
        assert_eq!(number(&outcome), Ok(4), "{ran:?}");
    }
}

#[test]
fn to_return_during_a_rollback_is_not_to_complete() {
    async fn hasty(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let savepoint = saga.savepoint();
        saga.run(double, &n).compensate(undo_double).await?;
        let _ = poll_immediate(saga.roll_back_to(&savepoint)).await;
        Ok(n)
    }
    for crashing in [false, true] {
        let (outcome, ran) = World::start(hasty, crashing, &[]).finish();
        assert_eq!(number(&outcome), Err("amended StepInFlight".to_owned()));
        assert_eq!(ran.len(), 2, "{ran:?}");
    }
}

#[test]
fn a_cancellation_ends_a_rollback_in_undoing_everything() {
    for crashing in [false, true] {
        let mut world = World::new(tries, crashing).breaks("half").begun();
        (0..3).for_each(|_| world.step());
        world.cancel();
        let (outcome, ran) = world.finish();
        assert!(number(&outcome).unwrap_err().contains("asked to end"), "{outcome:?}");
        assert_eq!(
            ran.iter().filter(|line| line.starts_with("undo_")).count(),
            3,
            "{ran:?}"
        );
    }
}

#[test]
fn steps_in_a_wrong_order_fail_where_they_are_called() {
    async fn disordered(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        saga.pivot(half, &n).step("no").await.unwrap_err();
        saga.run(double, &n).compensate(undo_double).await?; // a pivot that was declined decides nothing
        let (pivot, beside) = join(saga.pivot(double, &n).step("go"), saga.run(double, &n).step("beside")).await;
        let after = saga.run(double, &n).step("after").await.unwrap_err();
        assert!(
            after.message.contains("\"after\" comes after the pivot \"go\""),
            "{after}"
        );
        assert!(beside.unwrap_err().is_type("StepOrder") && after.is_type("StepOrder"));
        saga.retriable(double, &pivot?).await
    }
    for crashing in [false, true] {
        let (outcome, ran) = World::start(disordered, crashing, &["half"]).finish();
        assert_eq!((number(&outcome), ran.len()), (Ok(10), 4), "{ran:?}");
    }
}

async fn locking(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    // Asked for twice in one turn, and once more when it is held.
    let (first, second) = join(saga.lock("order:1"), saga.lock("order:1")).await;
    first?;
    second?;
    saga.lock("order:1").no_wait().await?;
    saga.run(double, &n).compensate(undo_double).await?;
    let refused = saga.lock("order:2").no_wait().await.unwrap_err();
    assert!(refused.is_type("LockHeld"), "{refused}");
    let late = saga.lock("order:2").timeout(Duration::from_secs(9)).await.unwrap_err();
    assert!(late.is_type("LockTimeout"), "{late}");
    assert!(saga.lock("").await.unwrap_err().is_type("InvalidId"));
    saga.lock("order:3").await?;
    saga.run(half, &n).await
}

#[test]
fn locks_are_had_refused_and_waited_for() {
    for crashing in [false, true] {
        let mut world = World::new(locking, crashing);
        world.taken = vec!["order:2"];
        let (outcome, ran) = world.begun().finish();
        assert_eq!((number(&outcome), ran.len()), (Ok(10), 2));
    }
}

#[test]
fn one_request_is_made_for_each_lock() {
    let mut mini = Mini::started(locking, &1);
    assert_eq!(told(&mini.decide()), ["lock order:1"]);
    mini.crash();
    let requested = mini.history.last().unwrap().id;
    mini.push(EventAttributes::SagaLockAcquired { requested });
    assert_eq!(
        told(&mini.decide()),
        ["step double as 1"],
        "what is held is not asked for again"
    );
    replays(&mini, locking).unwrap();
}

#[test]
fn a_cancellation_ends_the_waiting_for_a_lock() {
    for crashing in [false, true] {
        let mut world = World::new(locking, crashing);
        world.taken = vec!["order:3", "order:2"];
        let mut world = world.begun();
        while world.lock_answer().is_some() || !world.due().is_empty() {
            world.step();
        }
        world.pass_time();
        assert!(world.state.lock("order:3").is_some());
        world.cancel();
        let (outcome, _) = world.finish();
        assert!(number(&outcome).unwrap_err().contains("asked to end"), "{outcome:?}");
    }
}

#[test]
fn a_lock_that_nobody_waits_for_any_more_may_still_be_had() {
    async fn fickle(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let never = select(saga.lock("never"), std::future::ready(())).await;
        drop(never);
        let Either::Right(_) = select(saga.lock("late"), cx.sleep(Duration::from_secs(1))).await else {
            return Err(Failure::new("TooEarly", ""));
        };
        cx.activity(double, &n).retry(RetryPolicy::never()).await?;
        saga.lock("late").await?;
        Ok(n)
    }
    for crashing in [false, true] {
        let mut world = World::new(fickle, crashing);
        world.taken = vec!["late"];
        let mut world = world.begun();
        assert!(world.state.lock("never").is_none() && world.state.lock("late").is_some());
        assert!(world.pass_time());
        world.taken.clear();
        assert_eq!(number(&world.finish().0), Ok(1));
    }
}
