//! Every turn replayed at once: code that is not the same on replay is found in the turn in which it is not.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Failure, ParkReason};
use crate::sdk::WorkflowContext;

use super::mini_machine::{Mini, told};
use super::{double, half, replays};

thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });

/// What a counter outside of the workflow is: different each time.
fn next_call() -> u32 {
    CALLS.set(CALLS.get() + 1);
    CALLS.get()
}

fn difference(mini: &mut Mini) -> (u64, String) {
    match mini.try_decide() {
        Err(ParkReason::Nondeterminism { at, expected, recorded }) => (at, format!("{expected} <> {recorded}")),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn another_command_is_found_before_it_is_recorded() {
    async fn fickle(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let n = cx.activity(double, &n).await?;
        match next_call() % 2 {
            0 => cx.activity(half, &n).await,
            _ => cx.sleep(Duration::from_secs(1)).await.map(|()| n),
        }
    }
    let mut unchecked = Mini::start(fickle, &1);
    unchecked.complete("double", 2);
    assert!(replays(&unchecked, fickle).is_err(), "else only a crash shows it");
    CALLS.set(0);
    let mut mini = Mini::started(fickle, &1).checking_every_turn();
    mini.decide();
    mini.end("double", Ok(2));
    let expected = "ScheduleActivityTask half (id 2) (when replayed at once) <> StartTimer (id 1) (from the live code)";
    assert_eq!(difference(&mut mini), (11, expected.to_owned()));
    assert_eq!(
        difference(&mut mini),
        (11, expected.to_owned()),
        "it stays broken until rebuilt"
    );
}

#[test]
fn more_and_fewer_commands_are_found() {
    async fn eager(cx: WorkflowContext) -> Result<(), Failure> {
        for _ in 0..next_call() {
            cx.record_marker("note", &())?;
        }
        cx.sleep(Duration::from_secs(1)).await
    }
    let mut mini = Mini::started(eager, &()).checking_every_turn();
    let expected = "RecordMarker note (when replayed at once) <> StartTimer (id 1) (from the live code)";
    assert_eq!(difference(&mut mini), (6, expected.to_owned()));
}

#[test]
fn inputs_and_durations_are_compared_too() {
    async fn random_input(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.activity(double, &next_call()).await
    }
    async fn random_time(cx: WorkflowContext) -> Result<(), Failure> {
        cx.sleep(Duration::from_secs(next_call().into())).await
    }
    async fn random_result(_cx: WorkflowContext) -> Result<u32, Failure> {
        Ok(next_call())
    }
    async fn random_local_input(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.local_activity(double, &next_call()).await
    }
    let (_, told) = difference(&mut Mini::started(random_local_input, &()).checking_every_turn());
    assert!(
        told.starts_with("RunLocalActivity double with input 2 and") && told.contains("double with input 1 and"),
        "{told}"
    );
    CALLS.set(0);
    let (_, told) = difference(&mut Mini::started(random_input, &()).checking_every_turn());
    assert!(
        told.contains("(id 1) with input 2 and") && told.contains("(id 1) with input 1 and"),
        "{told}"
    );
    CALLS.set(0);
    let (_, told) = difference(&mut Mini::started(random_time, &()).checking_every_turn());
    assert_eq!(
        told,
        "StartTimer (id 1) after 2s (when replayed at once) <> StartTimer (id 1) after 1s (from the live code)"
    );
    CALLS.set(0);
    let (_, told) = difference(&mut Mini::started(random_result, &()).checking_every_turn());
    assert!(told.starts_with("CompleteWorkflowExecution with 2 ("), "{told}");
}

/// The fields of a JSON object have no order: a hash table as input is the same input.
#[test]
fn the_order_of_fields_is_no_difference() {
    async fn tabled(cx: WorkflowContext) -> Result<HashMap<u32, u32>, Failure> {
        let table: HashMap<u32, u32> = (0..20).map(|n| (n, n)).collect();
        cx.record_marker("table", &table)?;
        cx.activity_by_name::<()>("keep", &table).await?;
        Ok(table)
    }
    let mut mini = Mini::started(tabled, &()).checking_every_turn();
    assert_eq!(told(&mini.decide()), ["note table", "run keep as 1"]);
    assert_eq!(mini.complete("keep", ()).len(), 1);
}

#[test]
fn good_code_does_not_notice() {
    async fn good(cx: WorkflowContext, n: u32) -> Result<u64, Failure> {
        let (number, patched) = (cx.random_below(6), cx.patched("a"));
        cx.sleep(Duration::from_secs(u64::from(n))).await?;
        let signal: u64 = cx.signal("go").recv().await?;
        assert!(patched && cx.patched("b"));
        cx.activity(double, &n).await?;
        Ok(number + signal)
    }
    for crash in [false, true] {
        let crashed = |mini: Mini| if crash { mini.checking_every_turn() } else { mini };
        let mut mini = Mini::started(good, &1).checking_every_turn();
        assert_eq!(told(&mini.decide()), ["mark core_patch \"a\"", "start timer 1"]);
        mini = crashed(mini);
        mini.fire();
        mini.signal("go", 7);
        mini = crashed(mini);
        assert_eq!(told(&mini.decide()), ["mark core_patch \"b\"", "run double as 1"]);
        mini = crashed(mini);
        mini.complete("double", 2);
        replays(&mini, good).unwrap();
    }
}

#[test]
fn code_that_only_fails_on_replay_is_found() {
    async fn nervous(cx: WorkflowContext) -> Result<(), Failure> {
        assert_eq!(next_call(), 1, "run twice");
        cx.sleep(Duration::from_secs(1)).await
    }
    let mut mini = Mini::started(nervous, &()).checking_every_turn();
    let parked = mini.try_decide();
    assert!(matches!(parked, Err(ParkReason::Panicked { .. })), "{parked:?}");
}
