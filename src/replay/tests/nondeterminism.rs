//! The table of differences: the code that wrote the history, the code that is there now, and what is told about it.

use std::time::Duration;

use crate::model::{Failure, ParkReason};
use crate::sdk::{WorkflowContext, WorkflowFunction};

use super::mini_machine::Mini;
use super::{double, half, replays};

/// What the reader is told when `new` code meets the history of a run of `old` code.
fn told_about<A, B>(
    old: impl WorkflowFunction<A>,
    drive: fn(&mut Mini),
    new: impl WorkflowFunction<B>,
) -> (u64, String) {
    let mut mini = Mini::start(old, &1);
    drive(&mut mini);
    match replays(&mini, new) {
        Err(ParkReason::Nondeterminism { at, expected, recorded }) => (at, format!("{expected} <> {recorded}")),
        other => unreachable!("{other:?}"),
    }
}

fn stay(_mini: &mut Mini) {}

fn double_it(mini: &mut Mini) {
    mini.complete("double", 2);
}

fn double_twice(mini: &mut Mini) {
    mini.complete("double", 2);
    mini.complete("half", 1);
}

// The code that wrote the histories.
async fn original(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let doubled = cx.activity(double, &n).await?;
    cx.activity(half, &doubled).await
}

#[test]
fn another_activity() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let doubled = cx.activity(double, &n).await?;
        cx.activity(double, &doubled).await
    }
    let expected = "ScheduleActivityTask double (id 2) <> ActivityTaskScheduled half (id 2)";
    assert_eq!(told_about(original, double_it, new), (11, expected.to_owned()));
}

#[test]
fn another_id() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.activity(double, &n).id("mine").await
    }
    let expected = "ScheduleActivityTask double (id mine) <> ActivityTaskScheduled double (id 1)";
    assert_eq!(told_about(original, stay, new), (5, expected.to_owned()));
}

#[test]
fn a_step_instead_of_an_activity() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.saga().pivot(double, &n).await
    }
    let expected = "ScheduleActivityTask double (id 1, pivot double) <> ActivityTaskScheduled double (id 1)";
    assert_eq!(told_about(original, stay, new), (5, expected.to_owned()));
}

#[test]
fn a_timer_before_it() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(1)).await?;
        original(cx, n).await
    }
    let expected = "StartTimer (id 1) <> ActivityTaskScheduled double (id 1)";
    assert_eq!(told_about(original, stay, new), (5, expected.to_owned()));
}

#[test]
fn one_more_in_parallel() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let both = futures_util::future::join(cx.activity(double, &n), cx.activity(half, &n)).await;
        both.0
    }
    let expected = "ScheduleActivityTask half (id 2) <> nothing more";
    assert_eq!(told_about(original, stay, new), (6, expected.to_owned()));
    let later = "ScheduleActivityTask half (id 2) <> nothing more (next is ActivityTaskStarted)";
    assert_eq!(told_about(original, double_it, new), (6, later.to_owned()));
}

#[test]
fn one_less_in_parallel() {
    async fn old(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        futures_util::future::join(cx.activity(double, &n), cx.activity(half, &n))
            .await
            .0
    }
    let expected = "nothing more <> ActivityTaskScheduled half (id 2)";
    assert_eq!(told_about(old, stay, original), (6, expected.to_owned()));
}

#[test]
fn ending_earlier() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.activity(double, &n).await
    }
    let expected = "CompleteWorkflowExecution <> ActivityTaskScheduled half (id 2)";
    assert_eq!(told_about(original, double_it, new), (11, expected.to_owned()));
    async fn patient(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        cx.signal("go").recv().await
    }
    async fn impatient(_cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        Ok(n)
    }
    fn signal(mini: &mut Mini) {
        mini.signal("go", 1);
    }
    let expected = "CompleteWorkflowExecution <> nothing more (next is WorkflowExecutionSignaled go)";
    assert_eq!(told_about(patient, signal, impatient), (5, expected.to_owned()));
}

#[test]
fn going_on_where_it_ended() {
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let halved = original(cx.clone(), n).await?;
        cx.activity(double, &halved).await
    }
    let expected = "ScheduleActivityTask double (id 3) <> WorkflowExecutionCompleted";
    assert_eq!(told_about(original, double_twice, new), (17, expected.to_owned()));
}

#[test]
fn failing_where_it_went_on_and_the_other_way_round() {
    async fn failing(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.activity(double, &n).await?;
        Err(Failure::new("No", "changed my mind"))
    }
    let expected = "FailWorkflowExecution (No: changed my mind) <> ActivityTaskScheduled half (id 2)";
    assert_eq!(told_about(original, double_it, failing), (11, expected.to_owned()));
    let expected = "ScheduleActivityTask half (id 2) <> SagaUnwindStarted (failed: No: changed my mind)";
    assert_eq!(told_about(failing, double_it, original), (11, expected.to_owned()));
}

#[test]
fn not_stopping_what_was_stopped() {
    use futures_util::future::{Either, select};
    async fn old(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        match select(cx.activity(double, &n), cx.sleep(Duration::from_secs(1))).await {
            Either::Left((doubled, timer)) => {
                drop(timer);
                cx.activity(half, &doubled?).await
            }
            Either::Right(_) => Ok(0),
        }
    }
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let timer = cx.sleep(Duration::from_secs(1));
        match select(cx.activity(double, &n), timer).await {
            Either::Left((doubled, _timer)) => cx.activity(half, &doubled?).await,
            Either::Right(_) => Ok(0),
        }
    }
    let expected = "ScheduleActivityTask half (id 2) <> TimerCanceled (id 1)";
    assert_eq!(told_about(old, double_it, new), (12, expected.to_owned()));
    let expected = "CancelTimer (id 1) <> ActivityTaskScheduled half (id 2)";
    assert_eq!(told_about(new, double_it, old), (12, expected.to_owned()));
}

#[test]
fn another_marker() {
    async fn old(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        cx.record_marker("old", &())?;
        cx.signal("go").recv().await
    }
    async fn new(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        cx.record_marker("new", &())?;
        cx.signal("go").recv().await
    }
    assert_eq!(
        told_about(old, stay, new),
        (5, "RecordMarker new <> MarkerRecorded old".to_owned())
    );
}

#[test]
fn a_live_turn_notices_too() {
    let mut mini = Mini::start(original, &1);
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.activity(half, &n).await
    }
    mini.workflow = new.into_workflow();
    mini.crash();
    mini.end("double", Ok(2));
    let Err(reason) = mini.try_decide() else {
        unreachable!("it must not go on")
    };
    let text = "nondeterminism at event 5: the code now asks for ScheduleActivityTask half (id 1), but the history has \
                ActivityTaskScheduled double (id 1)";
    assert_eq!(reason.to_string(), text);
}

#[test]
fn inputs_options_and_durations_may_change() {
    async fn old(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(1)).await?;
        cx.activity(double, &n).await
    }
    async fn new(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(2)).await?;
        cx.activity(double, &(n + 1))
            .start_to_close(Duration::from_secs(9))
            .await
    }
    let mut mini = Mini::start(old, &1);
    mini.fire();
    mini.decide();
    replays(&mini, new).unwrap();
}

#[test]
fn a_run_of_an_unknown_type_is_named() {
    let mini = Mini::start(original, &1);
    let unknown = crate::replay::replay_history(&crate::sdk::Registry::new(), &mini.history);
    assert_eq!(
        unknown,
        Err(ParkReason::UnknownWorkflow {
            workflow_type: "w".to_owned()
        })
    );
}
