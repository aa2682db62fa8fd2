//! Sagas from code: what steps carry, what a cancellation does, and what the machine does without the code.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, select};

use crate::model::{
    ActivityOptions, ActivityRole, ActivityScheduled, Command, Event, EventAttributes, EventId, Failure, RetryPolicy,
    SagaStuck, SagaUnwindStarted, StepKind, StuckReason, UnwindCause, WorkflowTask,
};
use crate::replay::CodeDecider;
use crate::sdk::WorkflowContext;

use super::mini_machine::{Mini, told};
use super::{double, half, replays, undo_double};

async fn saga(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    let second = saga.run(double, &first).start_to_close(Duration::from_secs(3)).await?;
    saga.pivot(half, &second).step("decide").await?;
    saga.retriable(half, &second).retry(RetryPolicy::never()).await
}

#[test]
fn steps_carry_their_kind_name_compensation_and_options() {
    fn schedule(commands: Vec<Command>) -> crate::model::ScheduleActivity {
        match commands.into_iter().next() {
            Some(Command::ScheduleActivity(schedule)) => *schedule,
            other => unreachable!("{other:?}"),
        }
    }
    let mut mini = Mini::started(saga, &1);
    let first = schedule(mini.decide()).step.unwrap();
    assert_eq!(
        (first.name.as_str(), first.kind, first.after),
        ("double", StepKind::Compensatable, None)
    );
    let compensation = first.compensation.unwrap();
    assert_eq!(compensation.activity_type.as_str(), "undo_double");
    assert_eq!(compensation.options, ActivityOptions::for_compensation());
    let second = schedule(mini.complete("double", 2));
    assert_eq!(second.options.start_to_close(), Duration::from_secs(3));
    assert_eq!(second.step.unwrap().name.as_str(), "double#2");
    let pivot = schedule(mini.complete("double", 4)).step.unwrap();
    assert_eq!((pivot.name.as_str(), pivot.kind), ("decide", StepKind::Pivot));
    mini.crash();
    let retriable = schedule(mini.complete("half", 2));
    assert_eq!(retriable.step.unwrap().kind, StepKind::Retriable);
    assert_eq!(retriable.options.retry.maximum_attempts, 0, "whatever the call said");
    assert_eq!(told(&mini.complete("half", 1)), ["complete 1"]);
    replays(&mini, saga).unwrap();
}

#[test]
fn a_cancellation_ends_what_is_outstanding_and_all_that_is_tried_later() {
    async fn stubborn(cx: WorkflowContext) -> Result<(), Failure> {
        let outcome = join(cx.activity(double, &1), cx.sleep(Duration::from_secs(9))).await;
        assert!(outcome.0.unwrap_err().is_canceled() && outcome.1.unwrap_err().is_canceled());
        assert!(cx.is_cancel_requested());
        cx.canceled().await;
        assert!(cx.signal::<()>("s").recv().await.unwrap_err().is_canceled());
        cx.activity(half, &1).await.map(|_| ())
    }
    for crash in [false, true] {
        let mut mini = Mini::start(stubborn, &());
        mini.cancel();
        if crash {
            mini.crash();
        }
        let commands = told(&mini.decide());
        assert_eq!(
            commands,
            ["cancel 1", "cancel timer 1", "canceled the workflow was asked to end"]
        );
        replays(&mini, stubborn).unwrap();
    }
}

#[test]
fn waiting_for_a_cancellation_is_woken_by_it() {
    async fn patient(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.canceled().await;
        Ok(3)
    }
    let mut mini = Mini::start(patient, &());
    mini.cancel();
    assert_eq!(told(&mini.decide()), ["complete 3"], "code may end well all the same");
}

#[test]
fn what_ended_together_with_a_cancellation_is_not_asked_to_stop() {
    async fn both(cx: WorkflowContext) -> Result<(), Failure> {
        assert_eq!(cx.activity(double, &1).await, Ok(2));
        cx.sleep(Duration::from_secs(1)).await
    }
    let mut mini = Mini::start(both, &());
    mini.cancel();
    mini.end("double", Ok(2));
    assert_eq!(told(&mini.decide()), ["canceled the workflow was asked to end"]);
}

#[test]
fn past_the_pivot_no_cancellation_reaches_the_code() {
    for cancel_first in [true, false] {
        let mut mini = Mini::start(saga, &1);
        mini.complete("double", 2);
        mini.complete("double", 4);
        if cancel_first {
            mini.cancel();
        }
        mini.end("half", Ok(2));
        if !cancel_first {
            mini.cancel();
        }
        assert_eq!(told(&mini.decide()), ["step half as 4"]);
        mini.cancel();
        assert!(mini.decide().is_empty());
        mini.crash();
        assert_eq!(told(&mini.complete("half", 1)), ["complete 1"]);
    }
}

#[test]
fn compensations_and_unwinding_do_not_concern_the_code() {
    let mut mini = Mini::start(saga, &1);
    mini.complete("double", 2);
    mini.end("double", Err::<(), _>(Failure::new("Lost", "")));
    assert_eq!(told(&mini.decide()), ["fail activity double failed: Lost: "]);
    assert!(mini.history.iter().any(|event| matches!(&event.attributes,
        EventAttributes::SagaUnwindStarted(unwind) if matches!(unwind.cause, UnwindCause::Failed(_)))));
    let Some(EventAttributes::ActivityTaskScheduled(forward)) = mini.history.get(2).map(|event| &event.attributes)
    else {
        unreachable!("the first step")
    };
    let undo = ActivityScheduled {
        role: ActivityRole::Compensation(EventId(5)),
        ..(**forward).clone()
    };
    mini.push(EventAttributes::ActivityTaskScheduled(Arc::new(undo)));
    mini.end("double", Ok(()));
    assert!(mini.decide().is_empty());
    replays(&mini, saga).unwrap();
}

fn stuck(step: Option<EventId>, reason: StuckReason, failure: Failure) -> EventAttributes {
    EventAttributes::SagaStuck(Box::new(SagaStuck { step, reason, failure }))
}

#[test]
fn the_machine_has_the_last_word_on_how_a_run_ends() {
    async fn hasty(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let raced = select(cx.saga().run(double, &n), std::future::ready(())).await;
        drop(raced);
        Ok(n)
    }
    async fn failing(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.activity(double, &n).await?;
        Err(Failure::new("No", ""))
    }
    let failed = |type_name: &str| EventAttributes::WorkflowExecutionFailed {
        failure: Failure::new(type_name, ""),
        amended: true,
    };
    let unwinds = |cause| EventAttributes::SagaUnwindStarted(Box::new(SagaUnwindStarted { cause }));
    // The verdict in the place of the event that the last command would have had, and whether it is accepted.
    let cases = [
        (failed("StepInFlight"), true, true),
        (
            unwinds(UnwindCause::Failed(Failure::new("StepInFlight", ""))),
            true,
            true,
        ),
        (failed("HistoryTooLong"), true, true),
        (
            stuck(None, StuckReason::FailedAfterPivot, Failure::new("HistoryTooLong", "")),
            true,
            true,
        ),
        (
            stuck(None, StuckReason::FailedAfterPivot, Failure::new("No", "")),
            false,
            true,
        ),
        (
            stuck(None, StuckReason::RetriableFailed, Failure::new("No", "")),
            false,
            false,
        ),
        (failed("Other"), false, true),
    ];
    for (verdict, fits_completing, fits_failing) in cases {
        let mut completed = Mini::start(hasty, &1);
        completed.history.pop();
        completed.push(verdict.clone());
        assert_eq!(replays(&completed, hasty).is_ok(), fits_completing, "{verdict:?}");
        let mut failed = Mini::start(failing, &1);
        failed.complete("double", 2);
        failed.history.pop();
        failed.push(verdict.clone());
        assert_eq!(replays(&failed, failing).is_ok(), fits_failing, "{verdict:?}");
    }
    let mut timed_out = Mini::start(failing, &1);
    timed_out.push(unwinds(UnwindCause::TimedOut));
    assert!(timed_out.decide().is_empty());
    replays(&timed_out, failing).unwrap();
}

#[test]
fn a_stuck_step_leaves_the_code_waiting() {
    let mut mini = Mini::start(saga, &1);
    mini.push(stuck(
        Some(EventId(5)),
        StuckReason::RetriableFailed,
        Failure::new("Down", ""),
    ));
    assert!(mini.decide().is_empty());
    mini.crash();
    assert_eq!(told(&mini.complete("double", 2)), ["step double#2 as 2"]);
    replays(&mini, saga).unwrap();
}

#[test]
fn every_prefix_of_a_history_replays_and_goes_on_the_same() {
    let mut mini = Mini::start(saga, &1);
    for (activity, value) in [("double", 2), ("double", 4), ("half", 2), ("half", 1)] {
        mini.complete(activity, value);
    }
    let tasks: Vec<usize> = (0..mini.history.len())
        .filter(|at| is_task(&mini.history[*at]))
        .collect();
    for end in tasks {
        let mut decider = CodeDecider::replay(mini.workflow.clone(), &mini.history[..end]).unwrap();
        let from = mini.history[..end].iter().rposition(is_task).map_or(0, |at| at + 1);
        let task = crate::machine::Task {
            events: &mini.history[from..end],
            updates: &[],
            now: mini.history[end].time,
            run: &crate::machine::RunState::default(),
            task: &WorkflowTask::default(),
        };
        let commands = crate::machine::Decider::decide(&mut decider, &task).unwrap();
        assert_eq!(commands.len(), 1, "after {end} events: {commands:?}");
    }
}

fn is_task(event: &Event) -> bool {
    matches!(event.attributes, EventAttributes::WorkflowTask(_))
}
