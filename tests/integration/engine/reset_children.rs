//! Resets of runs that have something under way, children above all, or are children: what goes on, what begins again, and
//! what retention leaves. Must not live here: resets as such (`reset`), and what is copied (the machine's own tests).

use std::sync::Arc;
use std::time::Duration;

use amends::model::{Reset, ResetPoint};
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, AmendsBuilder, Failure, Namespace, RunStatus, WorkflowContext, WorkflowDefinition,
};
use serde_json::{Value, json};

use super::child_workflows::until_event;
use super::children::{child, step, with_steps};
use super::retention::look;
use crate::support::{Home, Recorder, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn to(point: ResetPoint) -> Reset {
    Reset::to(point, "ada", "the bug is mended")
}

fn shipping() -> WorkflowDefinition {
    workflow("shipping", |cx, _| async move { step(&cx, "ship").await })
}

/// Has something shipped, waits for a word, and ends as that says.
fn order() -> WorkflowDefinition {
    workflow("order", |cx, _| async move {
        child(&cx, "shipping", Value::Null).await?;
        match cx.signal::<Value>("word").recv().await? {
            Value::Null => Ok(Value::Null),
            word => Err(Failure::non_retryable("Told", word.to_string())),
        }
    })
}

/// An order is a step of it.
fn project() -> WorkflowDefinition {
    workflow("project", |cx, _| async move {
        child(&cx, "order", Value::Null).await?;
        cx.signal::<Value>("word").recv().await?;
        Err(Failure::non_retryable("Told", "so"))
    })
}

fn with_all(builder: AmendsBuilder, seen: &Recorder) -> AmendsBuilder {
    with_steps(builder, seen)
        .workflow_definition(shipping())
        .workflow_definition(order())
        .workflow_definition(project())
}

async fn start(amends: &Amends, workflow: &str, id: &str) -> amends::RunHandle<Value> {
    amends
        .workflow_by_name(workflow)
        .id(id)
        .start(&json!(null))
        .await
        .unwrap()
}

#[test]
fn a_child_that_a_reset_run_has_copied_is_undone_with_it_however_long_ago_it_ended() {
    for home in Home::each() {
        run(async {
            let (seen, clock) = (Recorder::new(), VirtualClock::new());
            let builder = home.builder().clock(Arc::new(clock.clone())).retention(DAY);
            let amends = with_all(builder, &seen).start().await.unwrap();
            let order = start(&amends, "order", "o").await;
            until_event(&amends, "o", "ActivityTaskCompleted").await;
            let made = order.reset(&to(ResetPoint::LastTurn)).await.unwrap();
            // Its base goes, the child does not.
            clock.advance(DAY * 30);
            for _ in 0..2 {
                look(&clock).await;
            }
            let client = amends.client();
            assert!(client.describe_run(order.run_id()).await.is_err());
            assert_eq!(client.describe("o/child").await.unwrap().status, RunStatus::Completed);
            made.signal("word", &"enough").await.unwrap();
            assert_eq!(made.outcome().await.unwrap().status(), RunStatus::Amended);
            assert_eq!(seen.all(), ["do ship", "undo ship"]);
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_child_that_was_itself_reset_is_undone_as_a_whole() {
    run(async {
        let (home, seen) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &seen).start().await.unwrap();
        let project = start(&amends, "project", "p").await;
        until_status(&amends, "p/child/child", RunStatus::Completed).await;
        until_event(&amends, "p/child", "ActivityTaskCompleted").await;
        let client = amends.client();
        client.reset("p/child", &to(ResetPoint::LastTurn)).await.unwrap();
        client.signal("p/child", "word", &Value::Null).await.unwrap();
        until_event(&amends, "p", "ActivityTaskCompleted").await;
        project.signal("word", &1).await.unwrap();
        assert_eq!(project.outcome().await.unwrap().status(), RunStatus::Amended);
        assert_eq!(seen.all(), ["do ship", "undo ship"]);
        // What its parent has undone cannot go on.
        let refused = client.reset("p/child", &to(ResetPoint::LastTurn)).await.unwrap_err();
        assert!(refused.to_string().contains("its parent turned back"), "{refused}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_child_is_begun_again_under_the_id_that_an_undone_one_had() {
    run(async {
        let (home, seen) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &seen).start().await.unwrap();
        let order = start(&amends, "order", "o").await;
        order.signal("word", &"no").await.unwrap();
        assert_eq!(order.outcome().await.unwrap().status(), RunStatus::Amended);
        let wanted = Reset {
            reapply: amends::model::Reapply::None,
            ..to(ResetPoint::FirstTurn)
        };
        let second = order.reset(&wanted).await.unwrap();
        until_event(&amends, "o", "ActivityTaskCompleted").await;
        second.signal("word", &"no, again").await.unwrap();
        assert_eq!(second.outcome().await.unwrap().status(), RunStatus::Amended);
        assert_eq!(seen.all(), ["do ship", "undo ship", "do ship", "undo ship"]);
        amends.shutdown(SECOND).await;
    });
}

/// Has a guest of its own name, and says what that has said.
fn house() -> WorkflowDefinition {
    workflow("house", |cx, _| async move {
        let guest = cx.child_by_name::<Value, Value>("guest").id("guest");
        let said: Value = guest.run(&json!(null)).await?;
        cx.signal::<Value>("word").recv().await?;
        Ok(said)
    })
}

#[test]
fn a_child_workflow_that_has_ended_since_is_begun_again_under_its_own_id() {
    run(async {
        let home = Home::memory();
        let guest = workflow("guest", |cx, _| async move { cx.signal::<Value>("word").recv().await });
        let builder = home.builder().workflow_definition(guest).workflow_definition(house());
        let amends = builder.start().await.unwrap();
        let house = start(&amends, "house", "h").await;
        until_event(&amends, "h", "ChildWorkflowExecutionStarted").await;
        let client = amends.client();
        client.signal("guest", "word", &"first").await.unwrap();
        until_event(&amends, "h", "ChildWorkflowExecutionCompleted").await;
        let first = client.describe("guest").await.unwrap().run_id;
        let made = house.reset(&to(ResetPoint::FirstTurn)).await.unwrap();
        while client.describe("guest").await.unwrap().run_id == first {
            tokio::task::yield_now().await;
        }
        client.signal("guest", "word", &"second").await.unwrap();
        made.signal("word", &1).await.unwrap();
        assert_eq!(made.result().await.unwrap(), json!("second"));
        amends.shutdown(SECOND).await;
    });
}

/// Goes on as a new run, or waits for a word and pays, or fails, as that says.
fn tour() -> WorkflowDefinition {
    workflow("tour", |cx, round| async move {
        if round == json!(0) {
            return cx.continue_as_new_by_name("tour", &1).await;
        }
        match cx.signal::<Value>("word").recv().await? {
            Value::Null => step(&cx, "pay").await,
            word => Err(Failure::non_retryable("Told", word.to_string())),
        }
    })
}

#[test]
fn what_was_done_by_a_run_that_has_gone_on_with_the_work_is_not_done_again() {
    run(async {
        let (home, seen) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &seen)
            .workflow_definition(tour())
            .start()
            .await
            .unwrap();
        let client = amends.client();
        let without = Reset {
            reapply: amends::model::Reapply::None,
            ..to(ResetPoint::FirstTurn)
        };
        let refused = async |base| {
            let refused = client.reset_run(base, &without).await.unwrap_err().to_string();
            assert!(
                refused.contains("pay of run") && refused.contains("done again"),
                "{refused}"
            );
        };
        // It continued as that one.
        let begin = async |id: &str, round: u32| {
            amends
                .workflow_by_name("tour")
                .id(id)
                .start(&json!(round))
                .await
                .unwrap()
        };
        let first = begin("continued", 0).await;
        first.signal("word", &Value::Null).await.unwrap();
        first.outcome().await.unwrap();
        refused(first.run_id()).await;
        // It was reset before, and that one has paid.
        let first = begin("reset", 1).await;
        first.signal("word", &"no").await.unwrap();
        assert_eq!(first.outcome().await.unwrap().status(), RunStatus::Failed);
        let second = first.reset(&without).await.unwrap();
        second.signal("word", &Value::Null).await.unwrap();
        second.outcome().await.unwrap();
        refused(first.run_id()).await;
        assert_eq!(seen.all(), ["do pay", "do pay"]);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_run_that_has_to_tell_its_children_of_its_end_is_reset_when_an_engine_has_told_them() {
    let home = Home::memory();
    let engine = || {
        let guest = workflow("guest", |cx, _| async move { cx.signal::<Value>("word").recv().await });
        home.builder().workflow_definition(guest).workflow_definition(house())
    };
    run(async {
        let amends = engine().start().await.unwrap();
        start(&amends, "house", "h").await;
        until_event(&amends, "h", "ChildWorkflowExecutionStarted").await;
        amends.shutdown(SECOND).await;
    });
    let Home::Memory(memory) = &home else {
        unreachable!("made as one");
    };
    let offline = amends::engine::Offline::over(memory.clone());
    offline.terminate("h", "enough").unwrap();
    let refused = offline.reset("h", &to(ResetPoint::FirstTurn)).unwrap_err().to_string();
    assert!(refused.contains("start one for a moment"), "{refused}");
    drop(offline);
    run(async {
        let amends = engine().start().await.unwrap();
        let client = amends.client();
        client.reset("h", &to(ResetPoint::FirstTurn)).await.unwrap();
        until_event(&amends, "h", "ChildWorkflowExecutionStarted").await;
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_run_that_is_made_of_one_that_has_ended_counts_as_open() {
    run(async {
        let home = Home::memory();
        let told = workflow("told", |cx, _| async move { cx.signal::<Value>("word").recv().await });
        let two = Namespace::new("payments").max_open_runs(2);
        let builder = home.builder().workflow_definition(told).namespace(two);
        let amends = builder.start().await.unwrap();
        let payments = amends.in_namespace("payments").unwrap();
        start(&payments, "told", "open").await;
        let ended = start(&payments, "told", "ended").await;
        ended.signal("word", &1).await.unwrap();
        ended.result().await.unwrap();
        let without = Reset {
            reapply: amends::model::Reapply::None,
            ..to(ResetPoint::FirstTurn)
        };
        let made = ended.reset(&without).await.unwrap();
        until_status(&payments, "ended", RunStatus::Running).await;
        let third = || payments.workflow_by_name("told").id("third");
        let refused = third().start(&json!(null)).await;
        assert!(
            matches!(refused, Err(amends::Error::TooManyOpenRuns { .. })),
            "{refused:?}"
        );
        made.signal("word", &2).await.unwrap();
        made.result().await.unwrap();
        // The place is free a moment after the end is to be seen.
        while third().start(&json!(null)).await.is_err() {
            tokio::task::yield_now().await;
        }
        amends.shutdown(SECOND).await;
    });
}

/// What came to the runs that one has continued as may be more than one run can begin with.
#[test]
fn a_run_that_is_open_goes_on_when_what_would_follow_it_is_too_large() {
    run(async {
        let home = Home::memory();
        let gathering = workflow("gathering", |cx, round| async move {
            while cx.signal::<Value>("word").recv().await? != json!("next") {}
            cx.continue_as_new_by_name("gathering", &round).await
        });
        let amends = home.builder().workflow_definition(gathering).start().await.unwrap();
        let first = start(&amends, "gathering", "g").await;
        let large = "x".repeat(amends::model::limits::PAYLOAD_BYTES_MAX - 1_000);
        let enough = amends::model::limits::HISTORY_BYTES_MAX as usize / large.len() / 2 + 1;
        let client = amends.client();
        for _ in 0..2 {
            for _ in 0..enough {
                client.signal("g", "word", &large).await.unwrap();
            }
            client.signal("g", "word", &"next").await.unwrap();
        }
        let open = first.newest_run_id().await.unwrap();
        let refused = client.reset_run(first.run_id(), &to(ResetPoint::FirstTurn)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("more than the limit"), "{refused}");
        // What it had to do about that is done when it takes the second one.
        for _ in 0..2 {
            client.signal("g", "word", &"there").await.unwrap();
        }
        let still = client.describe("g").await.unwrap();
        assert_eq!((still.run_id, still.status), (open, RunStatus::Running));
        amends.shutdown(SECOND).await;
    });
}

async fn asked(cx: ActivityContext) -> Result<u32, Failure> {
    let seen = cx.state::<Recorder>().expect("the engine was given it");
    seen.note(cx.info().idempotency_key.clone());
    match seen.len() {
        1 => std::future::pending().await,
        _ => Ok(7),
    }
}

/// Has something looked up while it waits for a word.
async fn inquiry(cx: WorkflowContext) -> Result<u32, Failure> {
    let word = async {
        cx.signal::<Value>("word").recv().await?;
        cx.signal::<Value>("word").recv().await
    };
    let (found, word) = futures_util::future::join(cx.local_activity(asked, &()), word).await;
    word?;
    // The next one is this run's own.
    Ok(found? + cx.local_activity(asked, &()).await?)
}

#[test]
fn a_local_activity_that_was_under_way_keeps_its_idempotency_key() {
    run(async {
        let (home, seen) = (Home::memory(), Recorder::new());
        let builder = home.builder().state(seen.clone()).activity(asked).workflow(inquiry);
        let amends = builder.start().await.unwrap();
        let first = amends.workflow(inquiry).id("i").start(&()).await.unwrap();
        seen.until_len(1).await;
        first.signal("word", &1).await.unwrap();
        let made = first.reset(&to(ResetPoint::Turn(2))).await.unwrap();
        made.signal("word", &2).await.unwrap();
        assert_eq!(made.result().await.unwrap(), 14);
        let keys = seen.all();
        assert_eq!(keys[0], keys[1], "it is the same call");
        assert!(
            keys[1].starts_with(&first.run_id().to_string()) && keys[2].starts_with(&made.run_id().to_string()),
            "{keys:?}"
        );
        amends.shutdown(SECOND).await;
    });
}
