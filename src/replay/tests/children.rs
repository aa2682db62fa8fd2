//! Child workflows from code: what is asked for and heard, the same after a crash between any two turns. Must not live here:
//! real children (`tests/integration`).

use std::time::Duration;

use futures_util::future::{Either, join};

use super::double;
use super::world::{World, number};
use crate::model::{
    ChildEnd, ChildEvent, EventAttributes, EventId, ExternalMessage, Failure, IdReusePolicy, Input, Outcome, Payload,
    RetryPolicy, RunId, SearchAttributeType, StartChild, TaskQueue, WorkflowId, WorkflowType,
};
use crate::sdk::{ChildCancellationType, WorkflowContext};

const SECOND: Duration = Duration::from_secs(1);

/// Children that end, that are refused, that are not wanted any more before or after they began, or not even asked for.
async fn parent(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let child = |id: &str| cx.child_by_name::<u32, u32>("c").id(id);
    let numbered = cx.child_by_name::<u32, u32>("c").run(&n);
    let handled = async {
        let handle = child("b").start(&n).await?;
        handle.signal("hurry", &true).await?;
        let first = handle.result().await?;
        Ok::<u32, Failure>(first + handle.result().await?)
    };
    let (a, b) = join(numbered, handled).await;
    let refused = child("taken").run(&n).await.unwrap_err();
    let broken = child("broken").run(&n).await.unwrap_err();
    let known = u32::from(refused.is_type("WorkflowAlreadyExists")) + u32::from(broken.is_type("Broken"));
    // It began, and is asked to end.
    let slow = child("slow").run(&n);
    assert!(matches!(cx.race(slow, cx.sleep(SECOND)).await, Either::Right(_)));
    // It had not begun: it is asked to end when it has.
    let late = child("late").cancellation(ChildCancellationType::TryCancel).start(&n);
    assert!(matches!(cx.race(late, cx.sleep(SECOND)).await, Either::Right(_)));
    // It is not even asked for.
    let unwanted = child("unwanted").start(&n);
    assert!(matches!(
        cx.race(unwanted, std::future::ready(())).await,
        Either::Right(())
    ));
    cx.sleep(SECOND * 60).await?;
    Ok(a? + b? + known * 1000 + cx.activity(double, &n).await?)
}

/// What the engine and the children do, by the parent's state alone.
fn answer(world: &World) -> Option<Input> {
    let waits = |id: &str| id == "late" && world.state.timers().any(|(id, _)| id.as_str() == "2");
    let unstarted = |(_, child): &(EventId, &crate::machine::PendingChild)| {
        child.started.is_none() && !waits(child.start.workflow_id.as_str())
    };
    if let Some((initiated, child)) = world.state.children().find(unstarted) {
        let outcome = match child.start.workflow_id.as_str() {
            "taken" => Err(Failure::non_retryable("WorkflowAlreadyExists", "")),
            _ => Ok(RunId::from_bytes([u8::try_from(initiated.0).unwrap(); 16])),
        };
        return Some(Input::ChildStarted { initiated, outcome });
    }
    if let Some((initiated, message)) = world.state.externals().next() {
        assert!(matches!(
            message,
            ExternalMessage::Signal(_) | ExternalMessage::Cancel(_)
        ));
        let outcome = Ok(());
        return Some(Input::ExternalEnded { initiated, outcome });
    }
    let asked: Vec<WorkflowId> = world.history().iter().filter_map(asked_to_end).collect();
    world.state.children().find_map(|(initiated, child)| {
        child.started?;
        let end = match child.start.workflow_id.as_str() {
            _ if asked.contains(&child.start.workflow_id) => ChildEnd::Canceled(Failure::canceled("as asked")),
            "slow" | "late" => return None,
            "broken" => ChildEnd::Failed(Failure::new("Broken", "")),
            _ => ChildEnd::Completed(Payload::json(&5).unwrap()),
        };
        Some(Input::ChildEnded { initiated, end })
    })
}

fn asked_to_end(event: &crate::model::Event) -> Option<WorkflowId> {
    match &event.attributes {
        EventAttributes::RequestCancelExternalWorkflowExecutionInitiated(cancel) => Some(cancel.workflow_id.clone()),
        _ => None,
    }
}

fn lived(mut world: World) -> World {
    while world.state.outcome().is_none() {
        match answer(&world) {
            Some(input) => world.take(input),
            None => world.step(),
        }
    }
    world
}

#[test]
fn a_crash_between_any_two_turns_changes_nothing_for_children() {
    let undisturbed = lived(World::new(parent, false).begun());
    let (history, turns) = (undisturbed.history(), undisturbed.turns());
    let count = |kind: &str| history.iter().filter(|event| event.attributes.kind() == kind).count();
    assert_eq!(count("StartChildWorkflowExecutionInitiated"), 6, "{history:#?}");
    assert_eq!(count("StartChildWorkflowExecutionFailed"), 1);
    assert_eq!(count("ChildWorkflowExecutionCompleted"), 2);
    assert_eq!(count("ChildWorkflowExecutionFailed"), 1);
    assert_eq!(count("ChildWorkflowExecutionCanceled"), 2);
    assert_eq!(count("RequestCancelExternalWorkflowExecutionInitiated"), 2);
    let (outcome, _) = undisturbed.finish();
    assert_eq!(number(&outcome), Ok(5 + 10 + 2000 + 10));
    for turn in 1..=turns {
        let mut world = World::new(parent, false);
        world.crashes_after = vec![turn, turn + 2];
        assert_eq!(lived(world.begun()).history(), history, "dying after turn {turn}");
    }
    assert_eq!(
        lived(World::new(parent, true).begun()).history(),
        history,
        "dying after every turn"
    );
    let checked = World::new(parent, false).begun().checking_every_turn();
    assert_eq!(lived(checked).history(), history, "replayed at every turn");
}

/// What waits for children when its run is cancelled, as the child's cancellation type says.
#[test]
fn a_cancelled_parent_hears_what_its_child_s_cancellation_type_says() {
    async fn waits<const TYPE: usize>(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        use ChildCancellationType as T;
        let types = [
            T::TryCancel,
            T::WaitCancellationCompleted,
            T::WaitCancellationRequested,
            T::Abandon,
        ];
        let child = cx.child_by_name::<u32, u32>("c").id("slow");
        child.cancellation(types[TYPE]).run(&n).await
    }
    fn play(mut world: World) -> (Vec<&'static str>, bool) {
        world.take(answer(&world).unwrap());
        world.cancel();
        let world = lived(world);
        let kinds = world.history().iter().map(|event| event.attributes.kind()).collect();
        let (outcome, _) = world.finish();
        let Outcome::Canceled(failure) = outcome else {
            panic!("{outcome:?}");
        };
        (kinds, failure.child_workflow().is_some())
    }
    for crashing in [false, true] {
        let asked = "RequestCancelExternalWorkflowExecutionInitiated";
        let (told, ended) = (
            "ExternalWorkflowExecutionCancelRequested",
            "ChildWorkflowExecutionCanceled",
        );
        let plays = [
            (play(World::new(waits::<0>, crashing).begun()), [true, false, false]),
            (play(World::new(waits::<1>, crashing).begun()), [true, true, true]),
            (play(World::new(waits::<2>, crashing).begun()), [true, true, false]),
            (play(World::new(waits::<3>, crashing).begun()), [false, false, false]),
        ];
        for (which, ((kinds, of_child), expected)) in plays.into_iter().enumerate() {
            let found = [asked, told, ended].map(|kind| kinds.contains(&kind));
            assert_eq!(found, expected, "{which}: {kinds:?}");
            assert_eq!(of_child, which == 1, "{which}: whose end it is");
        }
    }
}

/// A child of which everything is said, and three that cannot be asked for.
async fn particular(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let child = || cx.child_by_name::<u32, u32>("c");
    let often = RetryPolicy {
        maximum_attempts: 3,
        ..RetryPolicy::default()
    };
    let told = child()
        .id("a")
        .execution_timeout(SECOND * 90)
        .run_timeout(SECOND * 30)
        .retry_policy(often);
    let told = told
        .cron_schedule("@hourly")
        .task_queue("parcels")
        .id_reuse_policy(IdReusePolicy::RejectDuplicate);
    let told = told
        .search_attribute("Weight", 7)
        .memo("note", "fragile")
        .memo("note", "handle with care");
    let sum = told.run(&n).await?;
    let mut refused = 0;
    for (child, type_name) in [
        (child().search_attribute("Weight", "heavy"), "InvalidSearchAttribute"),
        (child().search_attribute("RunId", 1), "InvalidSearchAttribute"),
        (
            child().search_attribute("TemporalChangeVersion", ["mine"]),
            "InvalidSearchAttribute",
        ),
        (child().task_queue(""), "InvalidId"),
    ] {
        refused += u32::from(child.run(&n).await.unwrap_err().is_type(type_name));
    }
    Ok(sum + refused * 100)
}

#[test]
fn what_the_code_says_of_a_child_is_in_the_event_that_asks_for_it() {
    let play = |crashing| {
        let world = World::new(particular, crashing).registering("Weight", SearchAttributeType::Double);
        let world = lived(world.begun().checking_every_turn());
        let history = world.history();
        let (outcome, _) = world.finish();
        assert_eq!(number(&outcome), Ok(405));
        history
    };
    let history = play(false);
    assert_eq!(play(true), history);
    let asked: Vec<&StartChild> = history.iter().filter_map(asked_for).collect();
    let [start] = asked[..] else {
        panic!("{asked:?}");
    };
    let expected = StartChild {
        id_reuse_policy: IdReusePolicy::RejectDuplicate,
        execution_timeout: Some(SECOND * 90),
        run_timeout: Some(SECOND * 30),
        retry: Some(RetryPolicy {
            maximum_attempts: 3,
            ..RetryPolicy::default()
        }),
        cron: Some("@hourly".to_owned()),
        task_queue: Some(TaskQueue::from_trusted("parcels")),
        // Of the type that was registered for it.
        search_attributes: [("Weight".to_owned(), 7.0.into())].into(),
        memo: [("note".to_owned(), Payload::json("handle with care").unwrap())].into(),
        ..StartChild::new(
            WorkflowId::from_trusted("a"),
            WorkflowType::from_trusted("c"),
            start.input.clone(),
        )
    };
    assert_eq!(*start, expected);
}

fn asked_for(event: &crate::model::Event) -> Option<&StartChild> {
    match &event.attributes {
        EventAttributes::Child(child) => match &**child {
            ChildEvent::Initiated(start) => Some(start),
            _ => None,
        },
        _ => None,
    }
}
