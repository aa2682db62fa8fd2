//! Runs that are made anew from an earlier turn: mended code goes on where broken code went wrong. Must not live here: what is
//! copied and what is refused (the machine's own tests).

use std::time::Duration;

use amends::engine::Offline;
use amends::model::{Outcome, Reapply, Reset, ResetPoint};
use amends::{AmendsBuilder, Error, Failure, ResultError, RunStatus, WorkflowDefinition};
use serde_json::{Value, json};

use super::child_workflows::until_event;
use crate::support::{Home, Recorder, activity, run, saga, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// A workflow that charges, waits for a signal, and goes wrong unless it is mended.
fn order(mended: bool) -> WorkflowDefinition {
    workflow("order", move |cx, input| async move {
        let luck = cx.random_below(1_000_000);
        let paid: Value = cx.activity_by_name("charge", &input).await?;
        let address: Value = cx.signal("address").recv().await?;
        match mended {
            true => Ok(json!([paid, address, luck])),
            false => Err(Failure::non_retryable("Bug", format!("{luck}"))),
        }
    })
}

/// An engine for orders; the recorder notes the keys that they are charged under.
fn orders(home: &Home, recorder: &Recorder, mended: bool) -> AmendsBuilder {
    let recorder = recorder.clone();
    let charge = activity("charge", move |cx, _: Value| {
        recorder.note(cx.info().idempotency_key.clone());
        async move { Ok(json!("paid")) }
    });
    home.builder()
        .activity_definition(charge)
        .workflow_definition(order(mended))
}

fn wanted(point: ResetPoint) -> Reset {
    Reset::to(point, "ada", "the bug is mended")
}

pub(super) fn offline(home: &Home) -> Offline {
    match home {
        Home::Memory(memory) => Offline::over(memory.clone()),
        Home::Sled(directory) => Offline::open(directory.path()).unwrap(),
    }
}

#[test]
fn mended_code_goes_on_from_the_turn_that_went_wrong() {
    for home in Home::each() {
        let recorder = Recorder::new();
        let builder = |mended| orders(&home, &recorder, mended);
        let (first, luck) = run(async {
            let amends = builder(false).start().await.unwrap();
            let order = amends.workflow_by_name("order").id("o").start(&json!(7)).await.unwrap();
            order.signal("address", &"Porto").await.unwrap();
            let Err(ResultError::Failed(failure)) = order.result().await else {
                panic!("it is not mended yet");
            };
            amends.shutdown(SECOND).await;
            (order.run_id(), failure.message.parse::<u64>().unwrap())
        });
        let made = offline(&home);
        let second = made.reset("o", &wanted(ResetPoint::LastTurn)).unwrap();
        assert!(second > first, "the newest run of its id");
        assert_eq!(
            made.describe(&first.to_string()).unwrap().status,
            RunStatus::Failed,
            "what has ended stays so"
        );
        drop(made);
        run(async {
            let amends = builder(true).start().await.unwrap();
            let order = amends.find("o").await.unwrap();
            assert_eq!(order.run_id(), second);
            let result = order.result().await.unwrap();
            assert_eq!(
                result,
                json!(["paid", "Porto", luck]),
                "what looks random is what it was"
            );
            assert_eq!(recorder.len(), 1, "what was done is not done again");
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_open_run_ends_where_another_one_begins_and_signals_come_again() {
    let home = Home::memory();
    let recorder = Recorder::new();
    let builder = || orders(&home, &recorder, true);
    let first = run(async {
        let amends = builder().start().await.unwrap();
        let order = amends.workflow_by_name("order").id("o").start(&json!(7)).await.unwrap();
        order.signal("other", &1).await.unwrap();
        amends.shutdown(SECOND).await;
        order.run_id()
    });
    let made = offline(&home);
    let second = made.reset("o", &wanted(ResetPoint::FirstTurn)).unwrap();
    let ended = made.describe(&first.to_string()).unwrap();
    assert_eq!(ended.status, RunStatus::Terminated);
    let history = made.history("o").unwrap();
    let kinds: Vec<&str> = history.iter().map(|event| event.attributes.kind()).collect();
    assert_eq!(
        kinds,
        [
            "WorkflowExecutionStarted",
            "WorkflowExecutionReset",
            "WorkflowExecutionSignaled"
        ]
    );
    drop(made);
    run(async {
        let amends = builder().start().await.unwrap();
        let order = amends.find("o").await.unwrap();
        assert_eq!(order.run_id(), second);
        order.signal("address", &"Rome").await.unwrap();
        order.result().await.unwrap();
        let keys = recorder.all();
        assert_ne!(
            keys.first(),
            keys.last(),
            "another call: it is asked for by another run"
        );
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_live_run_ends_and_who_waits_for_it_hears_of_the_new_one() {
    for home in Home::each() {
        run(async {
            let recorder = Recorder::new();
            let amends = orders(&home, &recorder, true).start().await.unwrap();
            let order = amends.workflow_by_name("order").id("o").start(&json!(7)).await.unwrap();
            until_event(&amends, "o", "ActivityTaskCompleted").await;
            order.signal("other", &1).await.unwrap();
            let wanted = Reset {
                request_id: Some("reset-1".parse().unwrap()),
                ..wanted(ResetPoint::LastTurn)
            };
            let made = order.reset(&wanted).await.unwrap();
            assert!(made.run_id() > order.run_id());
            let again = amends.client().reset("o", &wanted).await.unwrap();
            assert_eq!(again, made.run_id(), "the same request makes no second run");
            assert_eq!(made.describe().await.unwrap().reset_from, Some(order.run_id()));
            let ended = amends.client().describe_run(order.run_id()).await.unwrap();
            assert_eq!(ended.status, RunStatus::Terminated);
            made.signal("address", &"Porto").await.unwrap();
            let (there, here) = (order.result().await.unwrap(), made.result().await.unwrap());
            assert_eq!(there, here);
            assert_eq!(here[1], "Porto");
            assert_eq!(recorder.len(), 1, "what was done before that turn is not done again");
            let history = amends.client().history("o").await.unwrap();
            let kinds: Vec<&str> = history.iter().map(|event| event.attributes.kind()).collect();
            let reset = kinds.iter().position(|kind| *kind == "WorkflowExecutionReset").unwrap();
            assert!(kinds[reset..].contains(&"WorkflowExecutionSignaled"));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_that_has_ended_is_made_anew_while_the_engine_runs_and_one_that_is_open_gives_way_to_an_older_one() {
    run(async {
        let home = Home::memory();
        let amends = orders(&home, &Recorder::new(), true).start().await.unwrap();
        let first = amends.workflow_by_name("order").id("o").start(&json!(7)).await.unwrap();
        first.signal("address", &"Porto").await.unwrap();
        let result = first.result().await.unwrap();
        let client = amends.client();
        // The signal comes again.
        let second = client.reset("o", &wanted(ResetPoint::FirstTurn)).await.unwrap();
        let found = amends.find("o").await.unwrap();
        assert_eq!(found.run_id(), second);
        let again = found.result().await.unwrap();
        assert_eq!((&again[0], &again[1]), (&result[0], &result[1]));
        assert_ne!(again[2], result[2], "it is a run of its own, and its luck is its own");
        // It does not.
        let without = Reset {
            reapply: Reapply::None,
            ..wanted(ResetPoint::FirstTurn)
        };
        let third = client.reset("o", &without).await.unwrap();
        assert_eq!(until_status(&amends, "o", RunStatus::Running).await.run_id, third);
        // The first one again, while the third one is open.
        let fourth = client
            .reset_run(first.run_id(), &wanted(ResetPoint::FirstTurn))
            .await
            .unwrap();
        let found = amends.find("o").await.unwrap();
        assert_eq!(found.run_id(), fourth);
        found.result().await.unwrap();
        let gave_way = client.describe_run(third).await.unwrap();
        assert_eq!(gave_way.status, RunStatus::Terminated);
        assert_eq!(
            client.describe_run(first.run_id()).await.unwrap().status,
            RunStatus::Completed
        );
        let listed = client.list("WorkflowId = 'o'").await.unwrap();
        assert_eq!(listed.runs.len(), 4);
        let unknown = client.reset("nobody", &wanted(ResetPoint::LastTurn)).await;
        assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
        let no_turn = client.reset("o", &wanted(ResetPoint::Turn(99))).await.unwrap_err();
        assert_eq!(no_turn.code().to_string(), "E0051");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_run_that_is_parked_for_its_code_goes_on_from_before_the_turn_that_does_not_fit() {
    let version = |asks: &'static str| {
        workflow("changing", move |cx, input| async move {
            let paid: Value = cx.activity_by_name("charge", &input).await?;
            let asked: Value = cx.activity_by_name(asks, &input).await?;
            cx.signal::<Value>("go").recv().await?;
            Ok(json!([paid, asked]))
        })
    };
    for home in Home::each() {
        let recorder = Recorder::new();
        let builder = |asks: &'static str| {
            let acts = ["charge", "inform", "tell"].map(|name| {
                let noted = recorder.clone();
                activity(name, move |_, _: Value| {
                    let noted = noted.clone();
                    async move {
                        noted.note(name.to_owned());
                        Ok(json!(name))
                    }
                })
            });
            let builder = home.builder().workflow_definition(version(asks));
            acts.into_iter()
                .fold(builder, |builder, act| builder.activity_definition(act))
        };
        run(async {
            let amends = builder("inform").start().await.unwrap();
            amends
                .workflow_by_name("changing")
                .id("p")
                .start(&json!(7))
                .await
                .unwrap();
            recorder.until_len(2).await;
            amends.shutdown(SECOND).await;
        });
        run(async {
            let amends = builder("tell").start().await.unwrap();
            let stuck = amends.find("p").await.unwrap();
            stuck.signal("go", &1).await.unwrap();
            let parked = until_status(&amends, "p", RunStatus::Parked).await;
            assert!(parked.parked.is_some());
            let made = stuck.reset(&wanted(ResetPoint::Turn(2))).await.unwrap();
            assert_eq!(made.result().await.unwrap(), json!(["charge", "tell"]));
            assert_eq!(recorder.all(), ["charge", "inform", "tell"]);
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

const TWO_STEPS: &str = r#"
    name = "two"
    version = "1"

    [[step]]
    name = "reserve"
    activity = "reserve"
    compensation = { activity = "release" }

    [[step]]
    name = "approval"
    signal = { name = "approve" }

    [[step]]
    name = "charge"
    activity = "charge"
    compensation = { activity = "refund" }
"#;

#[test]
fn a_saga_of_a_definition_is_reset_and_goes_back_over_what_it_has_copied() {
    run(async {
        let home = Home::memory();
        let recorder = Recorder::new();
        let acts = ["reserve", "release", "charge", "refund"].map(|name| {
            let noted = recorder.clone();
            activity(name, move |_, _: Value| {
                let noted = noted.clone();
                async move {
                    noted.note(name.to_owned());
                    match (name, noted.all().iter().filter(|done| *done == "charge").count()) {
                        ("charge", 2) => Err(Failure::not_applied("CardDeclined", "the second time it is declined")),
                        _ => Ok(json!(name)),
                    }
                }
            })
        });
        let builder = home.builder().saga(saga(TWO_STEPS));
        let builder = acts
            .into_iter()
            .fold(builder, |builder, act| builder.activity_definition(act));
        let amends = builder.start().await.unwrap();
        let two = amends.workflow_by_name("two").id("t").start(&json!({})).await.unwrap();
        until_event(&amends, "t", "SagaWaitStarted").await;
        two.signal("approve", &json!({})).await.unwrap();
        two.outcome().await.unwrap();
        let client = amends.client();
        let refused = client.reset("t", &wanted(ResetPoint::Turn(2))).await.unwrap_err();
        assert!(
            refused.to_string().contains("charge may have had an effect"),
            "{refused}"
        );
        let forced = Reset {
            force: true,
            ..wanted(ResetPoint::Turn(2))
        };
        let second = client.reset("t", &forced).await.unwrap();
        let outcome = amends.find("t").await.unwrap().outcome().await.unwrap();
        assert!(matches!(outcome, Outcome::Amended(_)), "{outcome:?}");
        assert_eq!(
            recorder.all(),
            ["reserve", "charge", "charge", "release"],
            "the step that was copied is undone"
        );
        assert_eq!(client.describe_run(second).await.unwrap().status, RunStatus::Amended);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn children_from_before_that_turn_stay_and_later_ones_make_way() {
    run(async {
        let home = Home::memory();
        let child = workflow("child", |cx, _| async move { cx.signal::<Value>("go").recv().await });
        let parent = workflow("parent", |cx, _| async move {
            let child = |id| cx.child_by_name::<Value, Value>("child").id(id).start(&json!(null));
            let early = child("early").await?;
            cx.signal::<Value>("go").recv().await?;
            let late = child("late").await?;
            let early: Value = early.result().await?;
            let late: Value = late.result().await?;
            Ok(json!([early, late]))
        });
        let amends = home
            .builder()
            .workflow_definition(child)
            .workflow_definition(parent)
            .start()
            .await
            .unwrap();
        let parent = amends
            .workflow_by_name("parent")
            .id("p")
            .start(&json!(null))
            .await
            .unwrap();
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        parent.signal("go", &1).await.unwrap();
        let first_late = until_status(&amends, "late", RunStatus::Running).await.run_id;
        let early = amends.find("early").await.unwrap();
        let late_begun = |event: &amends::model::Event| event.attributes.kind() == "WorkflowExecutionSignaled";
        let history = amends.client().history("p").await.unwrap();
        let signaled = history.iter().find(|event| late_begun(event)).unwrap().id;
        let made = parent
            .reset(&wanted(ResetPoint::Event(signaled.plus(1))))
            .await
            .unwrap();
        loop {
            let late = until_status(&amends, "late", RunStatus::Running).await;
            if late.run_id != first_late {
                break;
            }
            tokio::task::yield_now().await;
        }
        let client = amends.client();
        assert_eq!(
            client.describe_run(first_late).await.unwrap().status,
            RunStatus::Terminated
        );
        early.signal("go", &"early").await.unwrap();
        client.signal("late", "go", &"late").await.unwrap();
        assert_eq!(made.result().await.unwrap(), json!(["early", "late"]));
        assert_eq!(client.describe("early").await.unwrap().run_id, early.run_id());
        amends.shutdown(SECOND).await;
    });
}
