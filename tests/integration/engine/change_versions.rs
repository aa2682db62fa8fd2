//! Runs are found by the changes of their code that they have met: live, by the next engine, after a reset, and not the run
//! that follows. Must not live here: what fits in the list (`machine/changes_met`), what code is told (`replay`).

use std::time::Duration;

use amends::engine::{Offline, ScheduleAction};
use amends::model::{CHANGE_VERSION, Reset, ResetPoint, SearchAttributes};
use amends::schedule::{Schedule, ScheduleSpec};
use amends::{Amends, DEFAULT_VERSION, Failure, RunStatus, WorkflowDefinition};
use serde_json::{Value, json};

use super::children::{child, step, with_steps};
use crate::support::{Home, Recorder, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Meets two changes at once, and a third one after a signal; then another run follows, which meets none.
fn order() -> WorkflowDefinition {
    workflow("order", |cx, input| async move {
        cx.upsert_search_attributes([("Stage", "new")])?;
        if input == json!("nothing") {
            cx.signal::<Value>("go").recv().await?;
            return Ok(input);
        }
        assert!(cx.patched("fraud-check") && cx.version("shipping", DEFAULT_VERSION, 2) == 2);
        cx.signal::<Value>("go").recv().await?;
        cx.deprecate_patch("free-gift");
        cx.signal::<Value>("go").recv().await?;
        assert_eq!(cx.search_attributes().len(), 1, "the code does not see the list");
        cx.continue_as_new_by_name("order", &"nothing").await
    })
}

async fn found(amends: &Amends, query: &str) -> Vec<String> {
    let heads = amends.client().list(query).await.unwrap();
    assert_eq!(amends.client().count(query).await.unwrap().runs, heads.len() as u64);
    let mut ids: Vec<String> = heads.iter().map(|head| head.workflow_id.to_string()).collect();
    ids.sort();
    ids
}

async fn engine(home: &Home) -> Amends {
    home.builder().workflow_definition(order()).start().await.unwrap()
}

async fn start(amends: &Amends, id: &str, input: &str) {
    let starter = amends.workflow_by_name("order").id(id);
    starter.start(&json!(input)).await.unwrap();
}

const CHECKED: &str = "TemporalChangeVersion = 'fraud-check' AND CloseTime IS NULL";

async fn expect_early(amends: &Amends) {
    assert_eq!(found(amends, CHECKED).await, ["a", "b"]);
    assert_eq!(found(amends, "TemporalChangeVersion = 'shipping-2'").await, ["a", "b"]);
    assert_eq!(
        found(amends, "TemporalChangeVersion STARTS_WITH 'ship'").await,
        ["a", "b"]
    );
    assert!(found(amends, "TemporalChangeVersion = 'shipping'").await.is_empty());
    assert!(found(amends, "TemporalChangeVersion = 'free-gift'").await.is_empty());
    assert_eq!(found(amends, "TemporalChangeVersion IS NULL").await, ["old"]);
}

#[test]
fn runs_are_found_by_the_changes_that_they_have_met() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home).await;
            assert!(
                found(&amends, CHECKED).await.is_empty(),
                "the name is known when no run has it"
            );
            for (id, input) in [("a", "new"), ("b", "new"), ("old", "nothing")] {
                start(&amends, id, input).await;
            }
            for id in ["a", "b", "old"] {
                let seen = async || amends.client().describe(id).await.unwrap();
                while seen().await.search_attributes.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            expect_early(&amends).await;
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
        run(async {
            let amends = engine(&home).await;
            expect_early(&amends).await;
            amends.client().signal("a", "go", &1).await.unwrap();
            while found(&amends, "TemporalChangeVersion = 'free-gift'").await != ["a"] {
                tokio::task::yield_now().await;
            }
            let seen = amends.client().describe("a").await.unwrap();
            let all = ["fraud-check", "shipping-2", "free-gift"];
            let expected: SearchAttributes = [
                ("Stage".to_owned(), "new".into()),
                (CHANGE_VERSION.to_owned(), all.into()),
            ]
            .into();
            assert_eq!(seen.search_attributes, expected);
            amends.client().signal("a", "go", &2).await.unwrap();
            while found(&amends, CHECKED).await != ["b"] {
                tokio::task::yield_now().await;
            }
            let gift = "TemporalChangeVersion = 'free-gift'";
            assert_eq!(
                found(&amends, gift).await,
                ["a"],
                "the run that has ended is still found"
            );
            let follows = amends.client().describe("a").await.unwrap();
            assert_eq!(follows.status, RunStatus::Running);
            assert_eq!(follows.search_attributes.keys().collect::<Vec<_>>(), ["Stage"]);
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_that_was_reset_has_the_changes_up_to_there() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home).await;
            start(&amends, "a", "new").await;
            amends.client().signal("a", "go", &1).await.unwrap();
            while found(&amends, "TemporalChangeVersion = 'free-gift'").await != ["a"] {
                tokio::task::yield_now().await;
            }
            amends.shutdown(SECOND).await;
        });
        let offline = match &home {
            Home::Memory(memory) => Offline::over(memory.clone()),
            Home::Sled(directory) => Offline::open(directory.path()).unwrap(),
        };
        let reset = Reset {
            reapply: amends::model::Reapply::None,
            ..Reset::to(ResetPoint::LastTurn, "ada", "once more")
        };
        offline.reset("a", &reset).unwrap();
        drop(offline);
        run(async {
            let without = home
                .builder()
                .workflow_definition(workflow("other", |_, input| async move { Ok(input) }));
            let amends = without.start().await.unwrap();
            until_status(&amends, "a", RunStatus::Parked).await;
            assert_eq!(found(&amends, CHECKED).await, ["a"], "without being run");
            let gift = "TemporalChangeVersion = 'free-gift' AND CloseTime IS NULL";
            assert!(found(&amends, gift).await.is_empty(), "not met again yet");
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn nobody_gives_a_run_the_list_but_amends() {
    let followed = workflow("followed", |cx, input| async move {
        let next = cx.continue_as_new_by_name::<Value>("order", &input);
        let refused = next.search_attribute(CHANGE_VERSION, ["mine"]).await.unwrap_err();
        Ok(json!(refused.message))
    });
    run(async {
        let builder = Home::memory().builder();
        let amends = builder
            .workflow_definition(order())
            .workflow_definition(followed)
            .start();
        let amends = amends.await.unwrap();
        let start = amends.workflow_by_name("order");
        let refused = start.search_attribute(CHANGE_VERSION, ["fraud-check"]).err().unwrap();
        assert_eq!(refused.code().to_string(), "E0018");
        assert!(refused.to_string().ends_with("give yours another name"), "{refused}");
        let action = ScheduleAction::by_name("order", "o", json!("new"));
        let action = action.search_attribute(CHANGE_VERSION, json!(["fraud-check"]));
        let schedule = Schedule::new(ScheduleSpec::new().cron("0 9 * * *").unwrap());
        let refused = amends.schedules().create("s", action, schedule).await.unwrap_err();
        assert!(refused.to_string().contains("is amends' own"), "{refused}");
        let run = amends.workflow_by_name("followed").start(&json!(0)).await.unwrap();
        let told = run.result().await.unwrap();
        assert!(told.as_str().unwrap().contains("is amends' own"), "{told}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn what_undoes_a_child_has_not_met_its_changes() {
    let parcel = workflow("parcel", |cx, _| async move {
        cx.upsert_search_attributes([("Stage", "packed")])?;
        assert!(cx.patched("fraud-check"));
        step(&cx, "pack").await
    });
    let shipment = workflow("shipment", |cx, _| async move {
        child(&cx, "parcel", json!(0)).await?;
        Err(Failure::non_retryable("Broken", "as told"))
    });
    run(async {
        let builder = with_steps(Home::memory().builder(), &Recorder::new());
        let amends = builder
            .workflow_definition(parcel)
            .workflow_definition(shipment)
            .start();
        let amends = amends.await.unwrap();
        let run = amends
            .workflow_by_name("shipment")
            .id("s")
            .start(&json!(0))
            .await
            .unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Amended);
        let both = ["s/child", "s/child/undo"];
        assert_eq!(found(&amends, "Stage = 'packed'").await, both);
        assert_eq!(
            found(&amends, "TemporalChangeVersion = 'fraud-check'").await,
            ["s/child"],
            "none of its code is run to undo it"
        );
        amends.shutdown(SECOND).await;
    });
}
