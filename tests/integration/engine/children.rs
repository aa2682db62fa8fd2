//! Sagas as steps of sagas: run, undone as a unit, cancelled, found again. Must not live here: definition files.

use std::sync::Arc;
use std::time::Duration;

use amends::model::{Outcome, StepKind};
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Amends, AmendsBuilder, Failure, ResultError, RunStatus, WorkflowContext, WorkflowDefinition};
use serde_json::{Value, json};

use crate::support::{Gate, Home, Recorder, activity, run, saga, until_status, until_status_as_time_passes, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// A step that `undo` undoes.
pub(super) async fn step(cx: &WorkflowContext, name: &str) -> Result<Value, Failure> {
    step_of(cx, StepKind::Compensatable, name).await
}

async fn step_of(cx: &WorkflowContext, kind: StepKind, name: &str) -> Result<Value, Failure> {
    let step = cx.saga().step_by_name::<_, Value>(kind, "do", &json!(name));
    step.step(name).compensate_by_name("undo").await
}

/// A saga as a step.
pub(super) async fn child(cx: &WorkflowContext, workflow: &str, input: Value) -> Result<Value, Failure> {
    let input = json!({"workflow": workflow, "input": input});
    let step = cx
        .saga()
        .step_by_name::<_, Value>(StepKind::Compensatable, "amends.saga", &input);
    step.step("child").compensate_by_name("amends.saga.undo").await
}

fn fails(input: &Value) -> Result<Value, Failure> {
    match input.as_str() {
        Some("fails") => Err(Failure::non_retryable("Broken", "as told")),
        _ => Ok(json!(format!("result of {input}"))),
    }
}

/// `first`, a child of the kind that the input says, `last`; then it waits, or fails, if it is told to.
fn parent() -> WorkflowDefinition {
    workflow("parent", |cx, input| async move {
        step(&cx, "first").await?;
        let kind = input["child"].as_str().unwrap_or("child").to_owned();
        let result = child(&cx, &kind, input["input"].clone()).await?;
        step(&cx, "last").await?;
        if input["holds"] == json!(true) {
            cx.signal::<Value>("go").recv().await?;
        }
        fails(&input["then"])?;
        Ok(result)
    })
}

/// Two steps, between which it waits for a signal if it is told to.
pub(super) fn simple_child() -> WorkflowDefinition {
    workflow("child", |cx, input| async move {
        step(&cx, "c1").await?;
        if input == json!("waits") {
            cx.signal::<Value>("go").recv().await?;
        }
        step(&cx, "c2").await?;
        fails(&input)
    })
}

/// A saga with a go/no-go step that can be undone, and one after it that need not be.
fn pivoting_child() -> WorkflowDefinition {
    workflow("pivoting", |cx, input| async move {
        step(&cx, "c1").await?;
        step_of(&cx, StepKind::Pivot, "c2").await?;
        let receipt = cx
            .saga()
            .step_by_name::<_, Value>(StepKind::Retriable, "do", &json!("c3"));
        receipt.await?;
        Ok(input)
    })
}

fn nesting_child() -> WorkflowDefinition {
    workflow("nesting", |cx, input| async move {
        step(&cx, "n1").await?;
        child(&cx, "child", input.clone()).await?;
        step(&cx, "n2").await?;
        Ok(input)
    })
}

/// What steps do, and how they are undone, noted.
pub(super) fn with_steps(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let (done, undone) = (recorder.clone(), recorder.clone());
    builder
        .activity_definition(activity("do", move |_, input| {
            done.note(format!("do {}", input.as_str().unwrap_or("?")));
            async move { Ok(input) }
        }))
        .activity_definition(activity("undo", move |_, undo| {
            undone.note(format!("undo {}", undo["input"].as_str().unwrap_or("?")));
            async { Ok(Value::Null) }
        }))
}

pub(super) fn with_all(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    with_steps(builder, recorder)
        .workflow_definition(parent())
        .workflow_definition(simple_child())
        .workflow_definition(pivoting_child())
        .workflow_definition(nesting_child())
}

async fn status(amends: &Amends, id: &str) -> Option<RunStatus> {
    let described = amends.client().describe(id).await;
    described.ok().map(|description| description.status)
}

pub(super) async fn start(amends: &Amends, input: Value) -> amends::RunHandle<Value> {
    amends.workflow_by_name("parent").id("p").start(&input).await.unwrap()
}

#[test]
fn a_child_is_a_step_whose_output_is_its_result() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let result = start(&amends, json!({"input": 7})).await.result().await.unwrap();
        assert_eq!(result, json!("result of 7"));
        assert_eq!(recorder.all(), ["do first", "do c1", "do c2", "do last"]);
        assert_eq!(status(&amends, "p/child").await, Some(RunStatus::Completed));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_completed_child_is_undone_as_a_unit_before_what_came_before_it() {
    for (kind, forward, back) in [
        ("child", ["c1", "c2"].as_slice(), ["c2", "c1"].as_slice()),
        ("pivoting", &["c1", "c2", "c3"], &["c2", "c1"]),
        ("nesting", &["n1", "c1", "c2", "n2"], &["n2", "c2", "c1", "n1"]),
    ] {
        for home in Home::each() {
            run(async {
                let recorder = Recorder::new();
                let amends = with_all(home.builder(), &recorder).start().await.unwrap();
                let parent = start(&amends, json!({"child": kind, "input": 1, "then": "fails"})).await;
                assert!(
                    matches!(parent.result().await, Err(ResultError::Amended(failure)) if failure.is_type("Broken"))
                );
                let done = [&["first"], forward, &["last"]].concat();
                let undone = [&["last"], back, &["first"]].concat();
                let done = done.iter().map(|step| format!("do {step}"));
                let expected: Vec<String> = done.chain(undone.iter().map(|step| format!("undo {step}"))).collect();
                assert_eq!(recorder.all(), expected);
                assert_eq!(status(&amends, "p/child").await, Some(RunStatus::Completed));
                assert_eq!(status(&amends, "p/child/undo").await, Some(RunStatus::Amended));
                amends.shutdown(SECOND).await;
            });
            home.assert_sound();
        }
    }
}

const PARENT: &str = r#"
name = "parent_file"
[[step]]
name = "first"
activity = "do"
input = "first"
compensation = { activity = "undo" }
[[step]]
name = "child"
saga = { name = "child_file" }
[[step]]
name = "last"
activity = "refuse"
compensation = "none"
"#;

const CHILD: &str = r#"
name = "child_file"
[defaults]
start_to_close = "30s"
[[step]]
name = "c1"
activity = "do"
input = "c1"
compensation = { activity = "undo" }
[[step]]
name = "c2"
activity = "do"
input = "c2"
compensation = { activity = "undo" }
"#;

#[test]
fn files_have_children_like_code() {
    run(async {
        let (home, recorder) = (Home::sled(), Recorder::new());
        let mut builder = with_all(home.builder(), &recorder).activity_definition(activity("refuse", |_, _| async {
            Err(Failure::not_applied("Refused", "no"))
        }));
        for text in [PARENT, CHILD] {
            builder = builder.saga(saga(text));
        }
        let amends = builder.start().await.unwrap();
        let parent = amends
            .workflow_by_name("parent_file")
            .id("p")
            .start(&json!(1))
            .await
            .unwrap();
        assert!(matches!(parent.result().await, Err(ResultError::Amended(failure)) if failure.is_type("Refused")));
        assert_eq!(
            recorder.all(),
            ["do first", "do c1", "do c2", "undo c2", "undo c1", "undo first"]
        );
        assert_eq!(status(&amends, "p/child/undo").await, Some(RunStatus::Amended));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_child_that_failed_has_undone_itself() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let parent = start(&amends, json!({"input": "fails"})).await;
        let outcome = parent.outcome().await.unwrap();
        assert!(
            matches!(&outcome, Outcome::Amended(failure) if failure.is_type("ChildAmended") && failure.is_type("Broken")),
            "{outcome:?}"
        );
        assert_eq!(
            recorder.all(),
            ["do first", "do c1", "do c2", "undo c2", "undo c1", "undo first"]
        );
        assert_eq!(status(&amends, "p/child").await, Some(RunStatus::Amended));
        assert_eq!(status(&amends, "p/child/undo").await, None);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_cancelled_parent_cancels_its_child_and_waits_for_it() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let parent = start(&amends, json!({"input": "waits"})).await;
        recorder.until("do c1", 1).await;
        parent.cancel("changed my mind").await.unwrap();
        assert!(matches!(parent.result().await, Err(ResultError::Amended(failure)) if failure.is_canceled()));
        assert_eq!(recorder.all(), ["do first", "do c1", "undo c1", "undo first"]);
        assert_eq!(status(&amends, "p/child").await, Some(RunStatus::Amended));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn what_a_terminated_child_has_left_is_undone() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let parent = start(&amends, json!({"input": "waits"})).await;
        recorder.until("do c1", 1).await;
        while amends.client().terminate("p/child", "by hand").await.is_err() {
            tokio::task::yield_now().await;
        }
        let failed = parent.result().await;
        assert!(
            matches!(&failed, Err(ResultError::Amended(failure)) if failure.is_type("ChildTerminated")),
            "{failed:?}"
        );
        assert_eq!(recorder.all(), ["do first", "do c1", "undo c1", "undo first"]);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn somebody_else_s_run_is_neither_taken_nor_undone() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let other = amends
            .workflow_by_name("child")
            .id("p/child")
            .start(&json!("waits"))
            .await
            .unwrap();
        recorder.until("do c1", 1).await;
        let outcome = start(&amends, json!({"input": 1})).await.outcome().await.unwrap();
        assert!(
            matches!(&outcome, Outcome::Amended(failure) if failure.is_type("ChildNotStarted")),
            "{outcome:?}"
        );
        other.signal("go", &json!(1)).await.unwrap();
        other.result().await.unwrap();
        assert_eq!(recorder.count("undo c1"), 0);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_stopped_engine_does_not_wait_for_children_and_the_next_one_goes_on_with_them() {
    let (home, recorder) = (Home::sled(), Recorder::new());
    run(async {
        let clock = VirtualClock::new();
        let builder = with_all(home.builder(), &recorder).clock(Arc::new(clock));
        let amends = builder.start().await.unwrap();
        start(&amends, json!({"input": "waits", "then": "fails"})).await;
        recorder.until("do c1", 1).await;
        // The clock stands still: if anything of this were waited for, it would be for ever.
        amends.shutdown(SECOND * 60).await;
    });
    run(async {
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let parent = amends.find("p").await.unwrap();
        let step = &amends.client().describe("p").await.unwrap().steps[1];
        assert_eq!(step.attempts, 1, "it was held, not lost");
        amends.client().signal("p/child", "go", &json!(1)).await.unwrap();
        assert!(matches!(parent.result().await, Err(ResultError::Amended(_))));
        assert_eq!(
            recorder.all(),
            [
                "do first",
                "do c1",
                "do c2",
                "do last",
                "undo last",
                "undo c2",
                "undo c1",
                "undo first"
            ]
        );
        amends.shutdown(SECOND).await;
    });
    home.assert_sound();
}

/// Everybody's memory is lost at each commit in turn: the attempts that waited for a child are lost, too, and the next ones
/// find the same child, and the same run that undoes it.
#[test]
fn a_parent_that_lost_its_memory_finds_its_child_again() {
    for nth in 1..40 {
        run(async {
            let (home, faults, recorder) = (Home::memory(), StoreFaults::new(), Recorder::new());
            let clock = VirtualClock::new();
            let builder = with_all(home.faulty_builder(&faults), &recorder).clock(Arc::new(clock.clone()));
            let amends = builder.start().await.unwrap();
            let fault = match nth % 2 {
                0 => CommitFault::Lost,
                _ => CommitFault::Kept,
            };
            faults.fail_commit(nth, fault);
            let parent = loop {
                let starter = amends.workflow_by_name("parent").id("p").request_id("once");
                match starter.start(&json!({"input": 1, "then": "fails"})).await {
                    Ok(parent) => break parent,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            until_status_as_time_passes(&amends, &clock, "p", RunStatus::Amended).await;
            drop(parent);
            let mut notes = recorder.all();
            let undone: Vec<String> = {
                notes.retain(|note| note.starts_with("undo"));
                notes.dedup();
                notes
            };
            assert_eq!(
                undone,
                ["undo last", "undo c2", "undo c1", "undo first"],
                "commit {nth}"
            );
            assert_eq!(status(&amends, "p/child").await, Some(RunStatus::Completed));
            amends.shutdown(SECOND).await;
        });
    }
}

#[test]
fn a_deployment_without_the_child_s_workflow_does_not_turn_the_parent_back() {
    run(async {
        let (home, gate) = (Home::memory(), Gate::shut());
        gate.open();
        let amends = home
            .builder()
            .workflow_definition(workflow("parent", |cx, _| async move {
                child(&cx, "forgotten", json!(1)).await
            }))
            .start()
            .await
            .unwrap();
        let parent = start(&amends, json!(0)).await;
        loop {
            let pending = amends.client().describe("p").await.unwrap().pending;
            if let Some(failure) = pending.first().and_then(|activity| activity.last_failure.clone()) {
                assert!(
                    failure.is_type("UnknownWorkflow") && failure.is_not_applied(),
                    "{failure}"
                );
                break;
            }
            tokio::task::yield_now().await;
        }
        parent.terminate("seen enough").await.unwrap();
        until_status(&amends, "p", RunStatus::Terminated).await;
        amends.shutdown(SECOND).await;
    });
}
