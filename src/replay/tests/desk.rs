//! What the machine does by itself about a step without an answer, or one that is stuck, does not confuse the code: it is
//! told how its step ended, and nothing else.

use std::time::Duration;

use futures_util::future::join;

use crate::model::{
    ActivityOptions, ActivityType, AutomaticDecision, Choice, ChoiceKind, Escalation, Failure, Outcome, Payload,
    RetryPolicy, SagaOptions, Undo, Verdict,
};
use crate::sdk::{ActivityContext, WorkflowContext};

use super::world::{World, number};
use super::{double, half, undo_double};

async fn find(_cx: ActivityContext, _of: Undo<u32, u32>) -> Result<Verdict<u32>, Failure> {
    Ok(Verdict::not_applied())
}

async fn undo_half(_cx: ActivityContext, _undo: Undo<u32, u32>) -> Result<(), Failure> {
    Ok(())
}

/// Two steps, the second of which may end without an answer and is then verified.
async fn verifying(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    let second = saga
        .run(half, &first)
        .retry(RetryPolicy::never())
        .compensate(undo_half)
        .verify(find);
    let seen = second.await?;
    cx.sleep(Duration::from_secs(1)).await?;
    Ok(seen)
}

async fn asking(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    let second = saga
        .run(half, &first)
        .retry(RetryPolicy::never())
        .compensate(undo_half)
        .on_ambiguous_ask();
    // Something else goes on while a person thinks.
    let (second, slept) = join(second, cx.sleep(Duration::from_secs(5))).await;
    slept?;
    second
}

fn json(value: impl serde::Serialize) -> Payload {
    Payload::json(&value).unwrap()
}

/// How the run ends, and which activities ran, with and without crashes.
fn told(world: impl Fn(bool) -> World) -> (Result<u32, String>, Vec<String>) {
    let [calm, crashing] = [false, true].map(|crashing| world(crashing).finish());
    assert_eq!(calm, crashing, "a crash changes nothing");
    let ran = calm
        .1
        .iter()
        .filter_map(|line| line.split(' ').next().map(str::to_owned));
    (number(&calm.0), ran.collect())
}

#[test]
fn a_verification_answers_in_the_steps_stead() {
    let verdict = |verdict: Verdict<u32>| {
        told(|crashing| {
            World::new(verifying, crashing)
                .loses("half")
                .ends("find", [Ok(json(&verdict))])
                .begun()
        })
    };
    let (applied, ran) = verdict(Verdict::applied(7));
    assert_eq!((applied, ran.len()), (Ok(7), 3), "{ran:?}");
    let (not_applied, ran) = verdict(Verdict::not_applied());
    assert!(
        not_applied.clone().unwrap_err().starts_with("amended"),
        "{not_applied:?}"
    );
    assert_eq!(ran, ["double", "half", "find", "undo_double"]);
}

#[test]
fn a_verification_that_fails_leads_to_a_person() {
    let (result, ran) = told(|crashing| {
        let world = World::new(verifying, crashing).loses("half").breaks("find");
        world
            .decides(Some("half"), Choice::MarkDone { output: json(3) })
            .begun()
    });
    assert_eq!(
        (result, ran),
        (Ok(3), ["double", "half", "find"].map(str::to_owned).to_vec())
    );
}

#[test]
fn a_verified_step_that_a_person_has_tried_again_may_be_verified_again() {
    let (result, ran) = told(|crashing| {
        let world = World::new(verifying, crashing)
            .loses("half")
            .breaks("find")
            .loses("half");
        let world = world.ends("find", [Ok(json(Verdict::applied(4)))]);
        world.decides(None, Choice::Retry).begun()
    });
    assert_eq!(result, Ok(4));
    assert_eq!(ran, ["double", "half", "find", "half", "find"]);
}

#[test]
fn a_person_answers_in_the_steps_stead() {
    let decided = |choice: &Choice| {
        told(|crashing| {
            World::new(asking, crashing)
                .loses("half")
                .decides(None, choice.clone())
                .begun()
        })
    };
    let (result, ran) = decided(&Choice::MarkDone { output: json(5) });
    assert_eq!((result, ran.len()), (Ok(5), 2));
    let (result, ran) = decided(&Choice::Retry);
    assert_eq!(
        (result, ran),
        (Ok(10), ["double", "half", "half"].map(str::to_owned).to_vec())
    );
    let (result, ran) = decided(&Choice::Skip);
    assert!(result.unwrap_err().starts_with("amended"));
    assert_eq!(
        ran,
        ["double", "half", "undo_double"],
        "it counts as not having happened"
    );
    let (result, ran) = decided(&Choice::GoBack);
    assert!(result.unwrap_err().starts_with("amended"));
    assert_eq!(ran, ["double", "half", "undo_half", "undo_double"]);
    let (result, _) = decided(&Choice::GoForward);
    assert_eq!(
        result,
        Err("failed InvalidOutput".replace("failed", "amended")),
        "there is no number to go on with"
    );
    let (result, ran) = decided(&Choice::Abandon);
    assert_eq!((result, ran.len()), (Err("terminated".to_owned()), 2));
}

#[test]
fn a_step_goes_on_with_another_input() {
    for crashing in [false, true] {
        let world = World::new(asking, crashing).loses("half");
        let (outcome, ran) = world
            .decides(None, Choice::RetryWith { input: json(8) })
            .begun()
            .finish();
        assert_eq!(number(&outcome), Ok(10));
        assert_eq!(ran, ["double 1", "half 10", "half 8"]);
    }
}

#[test]
fn a_retriable_step_that_failed_for_good_goes_on_by_decision() {
    async fn order(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let saga = cx.saga();
        let first = saga.pivot(double, &n).await?;
        let last = saga.retriable(half, &first).await?;
        saga.retriable(double, &last).await
    }
    for (choice, result) in [
        (Choice::Retry, 10),
        (Choice::RetryWith { input: json(6) }, 10),
        (Choice::MarkDone { output: json(2) }, 10),
    ] {
        let world = |crashing| {
            World::new(order, crashing)
                .breaks("half")
                .decides(Some("half"), choice.clone())
                .begun()
        };
        assert_eq!(told(world).0, Ok(result), "{choice:?}");
    }
}

async fn fails_after_its_pivot(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    saga.run(double, &n).compensate(undo_double).await?;
    saga.pivot(half, &n).compensate(undo_half).await?;
    Err(Failure::new("TooLate", ""))
}

#[test]
fn after_a_failure_behind_the_pivot_a_person_has_the_word() {
    let decided = |choice: &Choice| {
        told(|crashing| {
            World::new(fails_after_its_pivot, crashing)
                .decides(None, choice.clone())
                .begun()
        })
    };
    assert_eq!(decided(&Choice::MarkDone { output: json(6) }).0, Ok(6));
    let (result, ran) = decided(&Choice::GoBack);
    assert_eq!(result, Err("amended TooLate".to_owned()));
    assert_eq!(ran, ["double", "half", "undo_half", "undo_double"]);
    assert_eq!(decided(&Choice::Abandon).0, Err("terminated".to_owned()));
}

#[test]
fn escalations_and_automatic_decisions_are_not_the_codes() {
    let options = SagaOptions {
        escalation: Some(Escalation {
            after: Duration::from_secs(60),
            activity_type: ActivityType::from_trusted("alert"),
            options: ActivityOptions::default(),
        }),
        automatic: Some(AutomaticDecision {
            after: Duration::from_secs(3_600),
            choice: ChoiceKind::Retry,
        }),
        ..SagaOptions::default()
    };
    for crashing in [false, true] {
        let mut world = World::new(asking, crashing).loses("half");
        world.begin(Some(options.clone()));
        let (outcome, ran) = world.finish();
        assert!(matches!(outcome, Outcome::Completed(_)), "{outcome:?}");
        let ran: Vec<&str> = ran.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(ran, ["double", "half", "alert", "half"]);
    }
}
