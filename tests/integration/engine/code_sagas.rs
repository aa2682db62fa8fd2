//! Sagas in code on a whole engine: verified and asked steps, savepoints, and people who are told. Must not live here:
//! every combination of what can go wrong (`scenarios`, and the replay tests).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::Decision;
use amends::model::StuckNotice;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, AmendsBuilder, Failure, ResultError, RetryPolicy, RunStatus, Undo, Verdict,
    WorkflowContext, WorkflowDefinition, activity, workflow,
};

use crate::support::{Gate, Home, Recorder, run, until_status};

const SECOND: Duration = Duration::from_secs(1);

/// What the activities share with their test.
#[derive(Clone)]
struct Shared {
    recorder: Recorder,
    /// Holds `release` up.
    gate: Gate,
}

impl Shared {
    fn new() -> Self {
        let gate = Gate::shut();
        gate.open();
        Self {
            recorder: Recorder::new(),
            gate,
        }
    }
}

fn note(cx: &ActivityContext, what: impl Into<String>) {
    if let Some(shared) = cx.state::<Shared>() {
        shared.recorder.note(what);
    }
}

#[activity(compensate = release)]
async fn reserve(cx: ActivityContext, supplier: String) -> Result<u32, Failure> {
    note(&cx, format!("reserve {supplier}"));
    Ok(u32::try_from(supplier.len()).unwrap_or(0))
}

#[activity(retry(non_retryable("Broken")))]
async fn release(cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> {
    note(&cx, format!("release {}", undo.input));
    if let Some(shared) = cx.state::<Shared>() {
        shared.gate.passed().await;
    }
    match undo.input.as_str() {
        "unreleasable" => Err(Failure::new("Broken", "it does not let go")),
        _ => Ok(()),
    }
}

#[activity]
async fn book_truck(cx: ActivityContext, supplier: String) -> Result<(), Failure> {
    note(&cx, format!("truck {supplier}"));
    match supplier.as_str() {
        "far" | "unreleasable" => Err(Failure::not_applied("NoTruck", "too far")),
        _ => Ok(()),
    }
}

/// Loses every answer: once it has had its effect, except for nothing.
#[activity(retry(max_attempts = 1), compensate = refund, verify = find_charge)]
async fn charge(cx: ActivityContext, cents: u64) -> Result<String, Failure> {
    note(&cx, "charge");
    Err(Failure::new("ConnectionLost", format!("while charging {cents}")))
}

#[activity]
async fn refund(cx: ActivityContext, _undo: Undo<u64, String>) -> Result<(), Failure> {
    note(&cx, "refund");
    Ok(())
}

#[activity]
async fn find_charge(cx: ActivityContext, of: Undo<u64, String>) -> Result<Verdict<String>, Failure> {
    note(&cx, "find");
    assert!(of.output.is_none() && of.failure.is_some_and(|failure| failure.contains("ConnectionLost")));
    match of.input {
        0 => Ok(Verdict::not_applied()),
        cents => Ok(Verdict::applied(format!("charge of {cents}"))),
    }
}

#[activity]
async fn alert(cx: ActivityContext, notice: StuckNotice) -> Result<(), Failure> {
    note(
        &cx,
        format!("alert: {} of {}", notice.step.unwrap_or_default(), notice.workflow_id),
    );
    Ok(())
}

#[workflow]
async fn pay(cx: WorkflowContext, cents: u64) -> Result<String, Failure> {
    let saga = cx.saga();
    saga.run(reserve, &"near".to_owned()).await?;
    saga.run(charge, &cents).await
}

#[workflow]
async fn pay_asking(cx: WorkflowContext, cents: u64) -> Result<String, Failure> {
    cx.saga()
        .run(charge, &cents)
        .on_ambiguous_ask()
        .retry(RetryPolicy::never())
        .await
}

/// Buys from the first supplier that has a truck.
#[workflow]
async fn buy(cx: WorkflowContext, suppliers: Vec<String>) -> Result<String, Failure> {
    let saga = cx.saga();
    for supplier in suppliers {
        let savepoint = saga.savepoint();
        saga.run(reserve, &supplier).await?;
        match saga.run(book_truck, &supplier).await {
            Ok(()) => return Ok(supplier),
            Err(_) => saga.roll_back_to(&savepoint).await?,
        }
    }
    Err(Failure::non_retryable("NobodyDelivers", "no supplier has a truck"))
}

/// Buys in a saga of its own, and pays.
#[workflow]
async fn buy_and_pay(cx: WorkflowContext, cents: u64) -> Result<String, Failure> {
    let saga = cx.saga();
    let bought = saga
        .child_workflow(buy, &vec!["near".to_owned()])
        .id("purchase")
        .await?;
    saga.run(charge, &cents).await?;
    Ok(bought)
}

/// Does nothing but hold what its input names, until it is told to go.
#[workflow]
async fn hold(cx: WorkflowContext, lock: String) -> Result<(), Failure> {
    cx.saga().lock(&lock).timeout(SECOND * 60).await?;
    cx.saga().run(reserve, &lock).await?;
    cx.signal::<()>("go").recv().await
}

#[workflow]
async fn disordered(cx: WorkflowContext) -> Result<String, Failure> {
    let saga = cx.saga();
    saga.pivot(book_truck, &"near".to_owned()).await?;
    let refused = saga.run(reserve, &"late".to_owned()).await.unwrap_err();
    Ok(refused.type_name().unwrap_or_default().to_owned())
}

fn builder(home: &Home, shared: &Shared) -> AmendsBuilder {
    let buying = WorkflowDefinition::of(buy)
        .unwrap()
        .with_escalation(SECOND * 300, alert);
    home.builder()
        .state(shared.clone())
        .activity(reserve)
        .activity(release)
        .activity(book_truck)
        .activity(charge)
        .activity(refund)
        .activity(find_charge)
        .activity(alert)
        .workflow(pay)
        .workflow(pay_asking)
        .workflow(disordered)
        .workflow(buy_and_pay)
        .workflow(hold)
        .workflow_definition(buying.unwrap())
}

async fn start(home: &Home, shared: &Shared) -> Amends {
    builder(home, shared).start().await.unwrap()
}

#[test]
fn a_step_whose_answer_was_lost_is_verified() {
    for home in Home::each() {
        run(async {
            let shared = Shared::new();
            let amends = start(&home, &shared).await;
            let applied = amends.workflow(pay).start(&100).await.unwrap();
            assert_eq!(applied.result().await.unwrap(), "charge of 100");
            assert_eq!(shared.recorder.all(), ["reserve near", "charge", "find"]);
            let not_applied = amends.workflow(pay).start(&0).await.unwrap();
            assert!(matches!(not_applied.result().await, Err(ResultError::Amended(_))));
            assert_eq!(shared.recorder.count("refund"), 0, "there was nothing to give back");
            assert_eq!(shared.recorder.count("release near"), 1);
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_person_says_what_became_of_a_step() {
    run(async {
        let (home, shared) = (Home::sled(), Shared::new());
        let amends = start(&home, &shared).await;
        let run = amends.workflow(pay_asking).id("asked").start(&5).await.unwrap();
        until_status(&amends, "asked", RunStatus::Stuck).await;
        amends.shutdown(SECOND).await;
        // It is still asked after a restart.
        let amends = start(&home, &shared).await;
        let done = Decision::mark_done("by bank transfer").unwrap().step("charge");
        let done = done.by("ada").because("seen on the statement");
        amends.client().decide("asked", done).await.unwrap();
        let run_again = amends.find("asked").await.unwrap();
        assert_eq!(run_again.run_id(), run.run_id());
        assert_eq!(run_again.result().await.unwrap(), "by bank transfer");
        assert_eq!(shared.recorder.all(), ["charge"]);
        amends.shutdown(SECOND).await;
    });
}

fn suppliers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_saga_goes_on_from_its_savepoint_also_after_a_restart() {
    for home in Home::each() {
        let shared = Shared {
            gate: Gate::shut(),
            ..Shared::new()
        };
        run(async {
            let amends = start(&home, &shared).await;
            let wanted = suppliers(&["far", "near"]);
            amends.workflow(buy).id("bought").start(&wanted).await.unwrap();
            shared.recorder.until("release far", 1).await;
            amends.shutdown(Duration::ZERO).await;
        });
        shared.gate.open();
        run(async {
            let amends = start(&home, &shared).await;
            assert_eq!(amends.find("bought").await.unwrap().result().await.unwrap(), "near");
            amends.shutdown(SECOND).await;
        });
        // The second time the release is an attempt of its own: the first one's end was never seen.
        let expected = [
            "reserve far",
            "truck far",
            "release far",
            "release far",
            "reserve near",
            "truck near",
        ];
        assert_eq!(shared.recorder.all(), expected);
        home.assert_sound();
    }
}

#[test]
fn somebody_is_told_of_a_rollback_that_is_stuck_and_it_goes_on_by_decision() {
    run(async {
        let (home, clock, shared) = (Home::memory(), VirtualClock::new(), Shared::new());
        let builder = builder(&home, &shared).clock(Arc::new(clock.clone()));
        let amends = builder.passivate_after(SECOND * 86_400).start().await.unwrap();
        let wanted = suppliers(&["unreleasable", "near"]);
        let run = amends.workflow(buy).id("bought").start(&wanted).await.unwrap();
        until_status(&amends, "bought", RunStatus::Stuck).await;
        clock.pass(SECOND * 300).await;
        shared.recorder.until("alert: reserve of bought", 1).await;
        let skip = Decision::skip().by("ada").because("released by telephone");
        run.decide(skip).await.unwrap();
        assert_eq!(run.result().await.unwrap(), "near");
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_child_is_undone_as_a_whole() {
    for home in Home::each() {
        run(async {
            let shared = Shared::new();
            let amends = start(&home, &shared).await;
            let paid = amends.workflow(buy_and_pay).start(&0).await.unwrap();
            assert!(matches!(paid.result().await, Err(ResultError::Amended(_))));
            let expected = ["reserve near", "truck near", "charge", "find", "release near"];
            assert_eq!(shared.recorder.all(), expected);
            until_status(&amends, "purchase/undo", RunStatus::Amended).await;
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_lock_is_held_until_the_run_ends_also_over_a_restart() {
    run(async {
        let (home, shared) = (Home::sled(), Shared::new());
        let amends = start(&home, &shared).await;
        let locked = "order:1".to_owned();
        amends.workflow(hold).id("first").start(&locked).await.unwrap();
        shared.recorder.until("reserve order:1", 1).await;
        amends.workflow(hold).id("second").start(&locked).await.unwrap();
        amends.shutdown(SECOND).await;
        let amends = start(&home, &shared).await;
        // Whoever asks for something else is not held up; when it has its lock, the second could have had its own.
        amends
            .workflow(hold)
            .id("other")
            .start(&"order:2".to_owned())
            .await
            .unwrap();
        shared.recorder.until("reserve order:2", 1).await;
        assert_eq!(shared.recorder.count("reserve order:1"), 1);
        amends.client().signal("first", "go", &()).await.unwrap();
        shared.recorder.until("reserve order:1", 2).await;
        for (id, cancel) in [("second", true), ("other", false)] {
            let run = amends.find(id).await.unwrap();
            match cancel {
                true => run.cancel("enough").await.unwrap(),
                false => run.signal("go", &()).await.unwrap(),
            }
            let ended = run.result().await;
            assert_eq!(ended.is_err(), cancel, "{id}: {ended:?}");
        }
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_step_in_a_wrong_order_is_a_failure_of_its_call() {
    run(async {
        let (home, shared) = (Home::memory(), Shared::new());
        let amends = start(&home, &shared).await;
        let run = amends.workflow(disordered).start(&()).await.unwrap();
        assert_eq!(run.result().await.unwrap(), "StepOrder");
        assert_eq!(shared.recorder.all(), ["truck near"]);
        amends.shutdown(SECOND).await;
    });
}
