//! Workflow code against the mini machine: what it asks for, live, and again after a crash in any place.

mod mini_machine;
mod nondeterminism;
mod parking;

use std::time::Duration;

use futures_util::future::{Either, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::model::{ActivityOptions, Command, Event, Failure, FailureKind, ParkReason, StepKind, Undo, limits};
use crate::replay::replay_history;
use crate::sdk::{ActivityContext, WorkflowContext, WorkflowFunction};

use mini_machine::{Mini, registry_with, told};

async fn double(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
    Ok(n * 2)
}

async fn half(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
    Ok(n / 2)
}

async fn undo_double(_cx: ActivityContext, _undo: Undo<u32, u32>) -> Result<(), Failure> {
    Ok(())
}

/// Whatever was decided must be decided again, from any prefix that a crash could have left.
fn replays<M>(mini: &Mini, function: impl WorkflowFunction<M>) -> Result<(), ParkReason> {
    replay_history(&registry_with(function), &mini.history)
}

#[test]
fn one_after_the_other_with_crashes_between() {
    async fn linear(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let doubled = cx.activity(double, &n).await?;
        cx.sleep(Duration::from_secs(5)).await?;
        cx.record_marker("halfway", &doubled)?;
        cx.activity(half, &doubled).await
    }
    for crash in [false, true] {
        let mut mini = Mini::started(linear, &21);
        let crash_maybe = |mini: &mut Mini| {
            if crash {
                mini.crash()
            }
        };
        assert_eq!(told(&mini.decide()), ["run double as 1"]);
        crash_maybe(&mut mini);
        assert_eq!(told(&mini.complete("double", 42)), ["start timer 1"]);
        crash_maybe(&mut mini);
        mini.fire();
        crash_maybe(&mut mini);
        assert_eq!(told(&mini.decide()), ["note halfway", "run half as 2"]);
        crash_maybe(&mut mini);
        assert_eq!(told(&mini.complete("half", 21)), ["complete 21"]);
        replays(&mini, linear).unwrap();
        assert!(told(&mini.decide()).is_empty(), "nothing is decided after the end");
    }
}

#[test]
fn parallel_calls_are_scheduled_in_poll_order_and_joined() {
    async fn parallel(cx: WorkflowContext, n: u32) -> Result<(u32, u32), Failure> {
        let (a, b) = (cx.activity(double, &n), cx.activity(half, &n).id("the-half"));
        let (b, a) = join(b, a).await;
        Ok((a?, b?))
    }
    let mut mini = Mini::started(parallel, &8);
    assert_eq!(told(&mini.decide()), ["run half as the-half", "run double as 1"]);
    assert!(mini.complete("double", 16).is_empty());
    mini.crash();
    assert_eq!(told(&mini.complete("half", 4)), ["complete [16,4]"]);
    replays(&mini, parallel).unwrap();
}

#[test]
fn the_loser_of_a_select_is_asked_to_stop() {
    async fn hurried(cx: WorkflowContext, n: u32) -> Result<String, Failure> {
        match select(cx.activity(double, &n), cx.sleep(Duration::from_secs(1))).await {
            Either::Left((doubled, _)) => Ok(format!("{}", doubled?)),
            Either::Right((slept, _)) => slept.map(|()| "too late".to_owned()),
        }
    }
    let mut won = Mini::start(hurried, &1);
    assert_eq!(told(&won.complete("double", 2)), ["cancel timer 1", "complete \"2\""]);
    replays(&won, hurried).unwrap();
    let mut lost = Mini::start(hurried, &1);
    lost.fire();
    lost.crash();
    assert_eq!(told(&lost.decide()), ["cancel 1", "complete \"too late\""]);
    replays(&lost, hurried).unwrap();
}

#[test]
fn what_is_dropped_in_the_turn_of_its_start_is_never_asked_for() {
    async fn fickle(cx: WorkflowContext) -> Result<(), Failure> {
        let raced = select(cx.sleep(Duration::from_secs(1)), std::future::ready(())).await;
        drop(raced);
        cx.activity(double, &1).await.map(|_| ())
    }
    let mut mini = Mini::started(fickle, &());
    assert_eq!(told(&mini.decide()), ["run double as 1"]);
    mini.complete("double", 2);
    replays(&mini, fickle).unwrap();
}

#[test]
fn signals_wait_in_order_and_receivers_share_them() {
    async fn listener(cx: WorkflowContext) -> Result<Vec<u32>, Failure> {
        let (numbers, same) = (cx.signal::<u32>("number"), cx.signal::<u32>("number"));
        let mut all = vec![cx.activity(double, &1).await?];
        all.extend(numbers.try_recv()?);
        let (a, b) = join(same.recv(), numbers.recv()).await;
        all.extend([a?, b?]);
        Ok(all)
    }
    let mut mini = Mini::start(listener, &());
    for n in [10, 11] {
        mini.signal("number", n);
        assert!(mini.decide().is_empty());
    }
    mini.signal("other", "ignored");
    assert!(mini.complete("double", 2).is_empty());
    mini.crash();
    mini.signal("number", 12);
    assert_eq!(told(&mini.decide()), ["complete [2,10,11,12]"]);
    replays(&mini, listener).unwrap();
}

#[test]
fn a_signal_that_does_not_fit_fails_its_reception_only() {
    async fn listener(cx: WorkflowContext) -> Result<u32, Failure> {
        let numbers = cx.signal::<u32>("number");
        let refused = numbers.recv().await.unwrap_err();
        assert!(
            refused.is_type("InvalidInput") && refused.message.contains("u32"),
            "{refused}"
        );
        numbers.recv().await
    }
    let mut mini = Mini::start(listener, &());
    mini.signal("number", "seven");
    mini.signal("number", 7);
    assert_eq!(told(&mini.decide()), ["complete 7"]);
}

#[test]
fn unordered_futures_see_signals_and_results_as_they_come() {
    async fn gather(cx: WorkflowContext) -> Result<Vec<u32>, Failure> {
        let mut calls: FuturesUnordered<_> = (1..=3).map(|n| cx.activity(double, &n)).collect();
        let more = cx.signal::<u32>("more");
        let mut all = Vec::new();
        loop {
            match select(calls.next(), Box::pin(more.recv())).await {
                Either::Left((Some(done), _)) => all.push(done?),
                Either::Left((None, _)) => return Ok(all),
                Either::Right((extra, _)) => calls.push(cx.activity(double, &extra?)),
            }
        }
    }
    for crash in [false, true] {
        let mut mini = Mini::started(gather, &());
        assert_eq!(
            told(&mini.decide()),
            ["run double as 1", "run double as 2", "run double as 3"]
        );
        mini.end("2", Ok(20));
        mini.signal("more", 4);
        mini.end("1", Ok(10));
        assert_eq!(
            told(&mini.decide()),
            ["run double as 4"],
            "a portion of several events is one turn"
        );
        if crash {
            mini.crash();
        }
        assert!(mini.complete("4", 40).is_empty());
        assert_eq!(told(&mini.complete("3", 30)), ["complete [20,10,40,30]"]);
        replays(&mini, gather).unwrap();
    }
}

#[test]
fn time_and_randomness_are_the_same_on_replay() {
    async fn dice(cx: WorkflowContext) -> Result<(u64, u64, String, i64, i64), Failure> {
        let began = cx.now();
        let (number, uuid) = (cx.random(), cx.uuid());
        cx.sleep(Duration::from_secs(60)).await?;
        Ok((
            number,
            cx.random_below(6),
            uuid,
            began.as_micros(),
            cx.now().as_micros(),
        ))
    }
    let results: Vec<Vec<String>> = [false, true]
        .into_iter()
        .map(|crash| {
            let mut mini = Mini::start(dice, &());
            mini.fire();
            if crash {
                mini.crash();
            }
            told(&mini.decide())
        })
        .collect();
    assert_eq!(results[0], results[1]);
    assert!(results[0][0].ends_with(",1000000,61000000]"), "{:?}", results[0]);
}

#[test]
fn failures_of_activities_say_which_and_why() {
    async fn careful(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let failure = cx.activity(double, &n).await.unwrap_err();
        assert!(
            matches!(&failure.kind, FailureKind::Activity { activity_type, .. } if activity_type.as_str() == "double")
        );
        Err(failure)
    }
    let mut mini = Mini::start(careful, &1);
    mini.end("double", Err::<(), _>(Failure::new("Overflow", "too big")));
    assert_eq!(told(&mini.decide()), ["fail activity double failed: Overflow: too big"]);
    replays(&mini, careful).unwrap();
}

async fn saga(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    let second = saga.run(double, &first).start_to_close(Duration::from_secs(3)).await?;
    saga.pivot(half, &second).step("decide").await?;
    saga.retriable(half, &second)
        .retry(crate::model::RetryPolicy::never())
        .await
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
    assert_eq!(second.options.start_to_close, Duration::from_secs(3));
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
fn calls_that_cannot_be_made_fail_where_they_are_made() {
    async fn wrong(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
        let closure = |_cx: ActivityContext, n: u32| async move { Ok::<_, Failure>(n) };
        let first = cx.activity(double, &1).id("same");
        let (first, second) = join(first, cx.activity(double, &1).id("same")).await;
        first?;
        let failures = [
            second.unwrap_err(),
            cx.activity(closure, &1).await.unwrap_err(),
            cx.activity_by_name::<()>("x", &vec![0; limits::PAYLOAD_BYTES_MAX])
                .await
                .unwrap_err(),
            cx.activity_by_name::<()>("", &()).await.unwrap_err(),
            cx.saga().run(double, &1).step("a\nb").await.unwrap_err(),
            cx.signal::<()>("").recv().await.unwrap_err(),
        ];
        Ok(failures
            .iter()
            .filter_map(|failure| failure.type_name().map(str::to_owned))
            .collect())
    }
    let mut mini = Mini::started(wrong, &());
    assert_eq!(told(&mini.decide()), ["run double as same"]);
    let types = r#"["DuplicateActivityId","UnnamedFunction","InvalidInput","InvalidId","InvalidId","InvalidId"]"#;
    assert_eq!(told(&mini.complete("double", 2)), [format!("complete {types}")]);
}

#[test]
fn compensations_and_unwinding_do_not_concern_the_code() {
    use crate::model::{ActivityScheduled, EventAttributes, UnwindCause};
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
        undoes: Some(crate::model::EventId(5)),
        ..(**forward).clone()
    };
    mini.push(EventAttributes::ActivityTaskScheduled(Box::new(undo)));
    mini.end("double", Ok(()));
    assert!(mini.decide().is_empty());
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
        let mut decider = super::CodeDecider::replay(mini.workflow.clone(), &mini.history[..end]).unwrap();
        let from = mini.history[..end].iter().rposition(is_task).map_or(0, |at| at + 1);
        let task = crate::machine::Task {
            events: &mini.history[from..end],
            now: mini.history[end].time,
            run: &crate::machine::RunState::default(),
        };
        let commands = crate::machine::Decider::decide(&mut decider, &task).unwrap();
        assert_eq!(commands.len(), 1, "after {end} events: {commands:?}");
    }
}

fn is_task(event: &Event) -> bool {
    matches!(event.attributes, crate::model::EventAttributes::WorkflowTask(_))
}
