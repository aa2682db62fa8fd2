//! Workflow code against the mini machine: what it asks for, live, and again after a crash in any place.

mod attributes;
mod cancellation;
mod chain;
mod chaos;
mod children;
mod concurrent;
mod crashes;
mod desk;
mod every_turn;
mod handlers;
mod local;
mod messages;
mod mini_machine;
mod nondeterminism;
mod parking;
mod queries;
mod reset;
mod saga;
mod savepoints;
mod scopes;
mod together;
mod versions;
mod with_machine;
mod world;

use std::time::Duration;

use futures_util::future::{Either, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::history::{from_temporal_json, to_temporal_json};
use crate::model::{Failure, FailureKind, ParkReason, Undo, limits};
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

/// Whatever was decided must be decided again, from any prefix that a crash could have left; also when the history has been
/// written to a file in between.
fn replays<M>(mini: &Mini, function: impl WorkflowFunction<M>) -> Result<(), ParkReason> {
    let text = to_temporal_json(&mini.history).to_string();
    let read = from_temporal_json(&text).expect("what was written is a history");
    assert_eq!(read, mini.history);
    replay_history(&registry_with(function), &read)
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
