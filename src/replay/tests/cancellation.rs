//! What becomes of activities that the code does not want any more, live and after a crash at every turn boundary.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::double;
use super::world::World;
use crate::model::{
    AttemptReport, EventAttributes, Failure, Input, Outcome, Payload, Reported, ReportedAttempt, Timestamp,
};
use crate::sdk::{CancellationType, WorkflowContext};

async fn waiting(cx: WorkflowContext) -> Result<u32, Failure> {
    let call = cx.activity(double, &1);
    call.cancellation(CancellationType::WaitCancellationCompleted).await
}

async fn trying(cx: WorkflowContext) -> Result<u32, Failure> {
    cx.activity(double, &1).await
}

async fn abandoning(cx: WorkflowContext) -> Result<u32, Failure> {
    cx.activity(double, &1).cancellation(CancellationType::Abandon).await
}

/// As `double`, but its attribute says what its calls do.
#[cfg(feature = "macros")]
mod by_attribute {
    use crate::model::Failure;
    use crate::sdk::{ActivityContext, WorkflowContext, activity};

    #[activity(name = "double", cancellation = "wait_cancellation_completed")]
    async fn patient(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
        Ok(n * 2)
    }

    #[activity(name = "double", cancellation = "abandon")]
    async fn left_alone(_cx: ActivityContext, n: u32) -> Result<u32, Failure> {
        Ok(n * 2)
    }

    pub(super) async fn waiting(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.activity(patient, &1).await
    }

    pub(super) async fn abandoning(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.activity(left_alone, &1).await
    }

    pub(super) async fn overruled(cx: WorkflowContext) -> Result<u32, Failure> {
        let call = cx.activity(patient, &1);
        call.cancellation(crate::sdk::CancellationType::TryCancel).await
    }
}

#[test]
#[cfg(feature = "macros")]
fn an_attribute_says_what_calls_do_and_a_call_counts_more() {
    for crashing in [false, true] {
        let mut waited = World::new(by_attribute::waiting, crashing).begun();
        waited.cancel();
        assert!(waited.state.outcome().is_none(), "it waits");
        let (outcome, _) = waited.finish();
        assert_eq!(outcome, Outcome::Completed(Payload::json(&10).unwrap()));

        let mut abandoned = World::new(by_attribute::abandoning, crashing).begun();
        abandoned.cancel();
        assert_eq!(kinds(&abandoned), ["ActivityTaskScheduled"], "it is left alone");
        assert!(matches!(abandoned.finish().0, Outcome::Canceled(_)));

        let mut tried = World::new(by_attribute::overruled, crashing).begun();
        tried.cancel();
        assert_eq!(kinds(&tried), ["ActivityTaskScheduled", "ActivityTaskCancelRequested"]);
        assert!(matches!(tried.finish().0, Outcome::Canceled(_)));
    }
}

fn kinds(world: &World) -> Vec<&'static str> {
    let kinds = world.history().into_iter().map(|event| event.attributes.kind());
    kinds.filter(|kind| kind.starts_with("Activity")).collect()
}

#[test]
fn one_that_is_waited_for_is_heard_out() {
    for crashing in [false, true] {
        let stopped = World::new(waiting, crashing).ends("double", [Err(Failure::canceled("as asked"))]);
        let mut stopped = stopped.begun();
        stopped.cancel();
        assert!(stopped.state.outcome().is_none(), "it waits");
        stopped.step();
        assert_eq!(
            kinds(&stopped),
            [
                "ActivityTaskScheduled",
                "ActivityTaskCancelRequested",
                "ActivityTaskStarted",
                "ActivityTaskCanceled"
            ]
        );
        let (outcome, _) = stopped.finish();
        assert!(
            matches!(&outcome, Outcome::Canceled(failure) if failure.is_canceled()),
            "{outcome:?}"
        );

        let mut came_through = World::new(waiting, crashing).begun();
        came_through.cancel();
        let (outcome, _) = came_through.finish();
        assert_eq!(
            outcome,
            Outcome::Completed(Payload::json(&10).unwrap()),
            "its result came all the same"
        );
    }
}

/// What it says when it stops: how far it had come.
async fn asking_how_far(cx: WorkflowContext) -> Result<Option<u32>, Failure> {
    let call = cx.activity(double, &1);
    let stopped = call.cancellation(CancellationType::WaitCancellationCompleted).await;
    let failure = stopped.err().unwrap_or_else(|| Failure::new("NotStopped", ""));
    Ok(failure.canceled_details().and_then(|details| details.to().ok()))
}

#[test]
fn what_a_stopped_activity_says_reaches_the_history_and_the_code() {
    for crashing in [false, true] {
        let at_page_seven = Failure::canceled("as asked").with_details(Payload::json(&7).unwrap());
        let mut stopped = World::new(asking_how_far, crashing)
            .ends("double", [Err(at_page_seven)])
            .begun();
        stopped.cancel();
        stopped.step();
        let said = stopped.history().into_iter().find_map(|event| match event.attributes {
            EventAttributes::ActivityTaskCanceled { details, .. } => details,
            _ => None,
        });
        assert_eq!(said, Some(Payload::json(&7).unwrap()));
        assert_eq!(stopped.finish().0, Outcome::Completed(Payload::json(&Some(7)).unwrap()));
    }
}

#[test]
fn others_are_not() {
    for crashing in [false, true] {
        let mut tried = World::new(trying, crashing).begun();
        tried.cancel();
        assert_eq!(kinds(&tried), ["ActivityTaskScheduled", "ActivityTaskCancelRequested"]);
        assert!(matches!(tried.finish().0, Outcome::Canceled(_)));

        let mut abandoned = World::new(abandoning, crashing).begun();
        abandoned.cancel();
        assert_eq!(kinds(&abandoned), ["ActivityTaskScheduled"], "it is left alone");
        assert!(matches!(abandoned.finish().0, Outcome::Canceled(_)));
    }
}

#[test]
fn a_call_that_is_dropped_stops_its_activity_unless_it_is_abandoned() {
    async fn hurried(cx: WorkflowContext, cancellation: CancellationType) -> Result<bool, Failure> {
        let call = cx.activity(double, &1).cancellation(cancellation);
        let lost = match select(call, cx.sleep(Duration::from_secs(1))).await {
            Either::Left(_) => false,
            Either::Right(_) => true,
        };
        cx.sleep(Duration::from_secs(60)).await?;
        Ok(lost)
    }
    async fn tries(cx: WorkflowContext) -> Result<bool, Failure> {
        hurried(cx, CancellationType::TryCancel).await
    }
    async fn abandons(cx: WorkflowContext) -> Result<bool, Failure> {
        hurried(cx, CancellationType::Abandon).await
    }
    for crashing in [false, true] {
        for (mut world, expected) in [
            (World::new(tries, crashing).begun(), 1),
            (World::new(abandons, crashing).begun(), 0),
        ] {
            world.pass_time();
            let asked = |world: &World| {
                let history = world.history();
                let asks = |attributes: &EventAttributes| {
                    matches!(attributes, EventAttributes::ActivityTaskCancelRequested { .. })
                };
                history.iter().filter(|event| asks(&event.attributes)).count()
            };
            assert_eq!(asked(&world), expected);
            let (outcome, _) = world.finish();
            assert_eq!(outcome, Outcome::Completed(Payload::json(&true).unwrap()));
        }
    }
}

/// The whole life of an attempt that somebody else completes, as cancelled, with a crash between any two turns or none.
#[test]
fn heartbeats_and_handing_over_survive_a_crash_at_every_turn() {
    let lives = [false, true].map(|crashing| {
        let mut world = World::new(waiting, crashing).begun();
        let token = world.due()[0];
        let report = |what| {
            let of = ReportedAttempt::Token(token);
            Input::Report(Box::new(AttemptReport { of, what }))
        };
        let beat = |number: u32| report(Reported::Heartbeat(Payload::json(&number).unwrap()));
        let started = Timestamp::from_micros(1_000_000);
        world.take(beat(1));
        world.take(Input::HandedOver { token, started });
        assert!(world.due().is_empty(), "nobody is to make it again");
        world.take(beat(2));
        world.cancel();
        world.take(beat(3));
        let pending: Vec<_> = world.state.activities().cloned().collect();
        assert!(pending[0].cancel_requested && pending[0].is_handed_over());
        assert_eq!(pending[0].heartbeat, Some(Payload::json(&3).unwrap()));
        world.take(report(Reported::Failed(Failure::canceled("stopped as asked"))));
        let history = world.history();
        (pending, history, world.finish().0)
    });
    assert!(matches!(lives[0].2, Outcome::Canceled(_)));
    assert_eq!(lives[0], lives[1]);
}
