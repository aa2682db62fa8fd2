//! Local activities: nothing of them is in the history before their end, and the code is compared with that.

use std::time::Duration;

use futures_util::future::{Either, join, select};

use super::mini_machine::{Mini, told};
use super::world::World;
use super::{double, half, replays};
use crate::machine::Decider as _;
use crate::model::{
    ActivityType, EventAttributes, Failure, LocalActivityEnded, Outcome, ParkReason, Payload, PendingChange, Timestamp,
};
use crate::sdk::WorkflowContext;

fn ended(seq: u32, name: &str, outcome: Result<u32, Failure>) -> EventAttributes {
    EventAttributes::LocalActivityEnded(Box::new(LocalActivityEnded {
        seq,
        activity_type: ActivityType::from_trusted(name),
        outcome: outcome.map(|number| Payload::json(&number).unwrap()),
    }))
}

async fn both(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let (a, b) = join(cx.local_activity(double, &n), cx.local_activity(half, &n)).await;
    cx.activity(double, &(a? + b?)).await
}

#[test]
fn they_are_asked_for_by_number_and_heard_when_they_have_ended() {
    for crash in [false, true] {
        let mut mini = Mini::started(both, &8);
        assert_eq!(
            told(&mini.decide()),
            ["run double locally as 1", "run half locally as 2"]
        );
        if crash {
            mini.crash();
        }
        let given = mini.decider.local_activities();
        let given: Vec<u32> = given.iter().map(|local| local.input.to().unwrap()).collect();
        assert_eq!(
            given,
            [8, 8],
            "what they are given comes from the code, also after a crash"
        );
        mini.push(ended(2, "half", Ok(4)));
        assert!(mini.decide().is_empty());
        if crash {
            mini.crash();
        }
        assert_eq!(mini.decider.local_activities().len(), 1);
        mini.push(ended(1, "double", Ok(16)));
        assert_eq!(told(&mini.decide()), ["run double as 1"]);
        assert!(mini.decider.local_activities().is_empty());
        assert_eq!(told(&mini.complete("double", 40)), ["complete 40"]);
        replays(&mini, both).unwrap();
    }
}

#[test]
fn code_that_does_not_ask_for_one_that_has_ended_is_parked() {
    async fn swapped(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.local_activity(half, &n).await
    }
    async fn without(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(1)).await.map(|()| n)
    }
    let mut mini = Mini::start(both, &8);
    mini.push(ended(1, "double", Ok(16)));
    mini.decide();
    for refused in [replays(&mini, swapped), replays(&mini, without)] {
        let Err(ParkReason::Nondeterminism { at, expected, recorded }) = &refused else {
            unreachable!("{refused:?}")
        };
        let told = format!("{at}: {expected} <> {recorded}");
        assert!(
            told.contains("<> LocalActivityEnded double (number 1)") || told.contains("StartTimer"),
            "{told}"
        );
    }
}

#[test]
fn one_that_is_not_wanted_any_more_is_forgotten() {
    async fn hurried(cx: WorkflowContext, n: u32) -> Result<bool, Failure> {
        let lost = match select(cx.local_activity(double, &n), cx.sleep(Duration::from_secs(1))).await {
            Either::Left(_) => false,
            Either::Right(_) => true,
        };
        cx.sleep(Duration::from_secs(60)).await?;
        Ok(lost)
    }
    for crashing in [false, true] {
        let mut world = World::new(hurried, crashing).begun();
        let late = world.state.local_activities().next().unwrap();
        world.pass_time();
        assert_eq!(world.state.local_activities().count(), 0);
        assert!(!world.state.wants_attempt(late));
        world.pass_time();
        let (outcome, ran) = world.finish();
        assert_eq!(outcome, Outcome::Completed(Payload::json(&true).unwrap()));
        assert!(ran.is_empty());

        let mut canceled = World::new(both, crashing).begun();
        canceled.cancel();
        assert!(matches!(canceled.finish().0, Outcome::Canceled(_)));
    }
}

/// The engine may die anywhere: the journal says that something was going on, and the history comes out the same.
#[test]
fn a_crash_at_every_turn_gives_the_same_history() {
    let histories = [false, true].map(|crashing| {
        let mut world = World::new(both, crashing)
            .ends("half", [Err(Failure::new("Busy", ""))])
            .begun();
        assert_eq!(
            world.state.wake_after_restart(Timestamp::EPOCH),
            Some(Timestamp::EPOCH),
            "to be run again"
        );
        let begun = |change: &PendingChange| matches!(change, PendingChange::LocalBegun { .. });
        assert_eq!(world.changes().iter().filter(|change| begun(change)).count(), 2);
        while world.state.outcome().is_none() {
            world.step();
        }
        let history = world.history();
        assert!(matches!(world.finish().0, Outcome::Failed(failure) if failure.is_type("Busy")));
        history
    });
    assert_eq!(histories[0], histories[1]);
}
