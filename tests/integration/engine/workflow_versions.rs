//! Versions of a workflow's code side by side: which one a run has, for how long, and what happens when it is not there. Must not
//! live here: changes within one function (`isolation/versions`).

use std::time::Duration;

use amends::definition::{SagaDefinition, Step};
use amends::model::{IdReusePolicy, ParkReason, Reset, ResetPoint};
use amends::testing::Replayer;
use amends::{Amends, Failure, RunStatus, WorkflowContext, WorkflowDefinition, workflow};
use serde_json::{Value, json};

use crate::support::{Home, activity, run, until_status, workflow as by_name};

const SECOND: Duration = Duration::from_secs(1);

/// Waits for a signal, and says which version it is. Each version waits in its own way, so that none can go on with another's run.
fn order(version: Option<&'static str>) -> WorkflowDefinition {
    let body = by_name("order", move |cx, _| async move {
        for _ in 0..version.map_or(0, str::len) {
            cx.sleep(Duration::from_millis(1)).await?;
        }
        cx.upsert_search_attributes([("At", "its signal")])?;
        let next: Value = cx.signal("go").recv().await?;
        match next == json!("again") {
            true => cx.continue_as_new_by_name("order", &()).await,
            false => Ok(json!(version)),
        }
    });
    match version {
        Some(version) => body.with_version(version),
        None => body,
    }
}

async fn engine(home: &Home, versions: &[Option<&'static str>], current: Option<&str>) -> Amends {
    let mut builder = home.builder();
    for version in versions {
        builder = builder.workflow_definition(order(*version));
    }
    if let Some(current) = current {
        builder = builder.current_version("order", current);
    }
    builder.start().await.unwrap()
}

/// Starts a run and lets it come to its signal.
async fn begin(amends: &Amends, id: &str) {
    amends.workflow_by_name("order").id(id).start(&json!(0)).await.unwrap();
    begun(amends, id).await;
}

async fn begun(amends: &Amends, id: &str) {
    let seen = async || amends.client().describe(id).await.unwrap();
    while !seen().await.search_attributes.contains_key("At") {
        tokio::task::yield_now().await;
    }
}

async fn end(amends: &Amends, id: &str) -> Value {
    let found = amends.find(id).await.unwrap();
    found.signal("go", &json!("end")).await.unwrap();
    found.result().await.unwrap()
}

#[test]
fn a_run_keeps_the_version_that_it_began_with_and_new_runs_take_the_newest() {
    for home in Home::each() {
        let life = |versions: &'static [Option<&'static str>]| engine(&home, versions, None);
        run(async {
            let amends = life(&[None]).await;
            begin(&amends, "none").await;
            amends.shutdown(SECOND).await;

            let amends = life(&[Some("9"), None]).await;
            begin(&amends, "nine").await;
            amends.shutdown(SECOND).await;

            let amends = life(&[Some("10"), None, Some("9")]).await;
            begin(&amends, "ten").await;
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
        run(async {
            let amends = life(&[Some("9"), Some("10"), None]).await;
            assert_eq!(end(&amends, "none").await, json!(null));
            assert_eq!(end(&amends, "nine").await, json!("9"));
            assert_eq!(end(&amends, "ten").await, json!("10"));
            let of_nine = amends.client().list("TemporalChangeVersion = 'order@9'").await.unwrap();
            assert_eq!(
                of_nine.iter().map(|run| run.workflow_id.as_str()).collect::<Vec<_>>(),
                ["nine"]
            );
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_whose_version_is_not_there_is_parked_until_it_is() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home, &[None, Some("1")], None).await;
            begin(&amends, "one").await;
            amends.shutdown(SECOND).await;
            let amends = engine(&home, &[None], None).await;
            begin(&amends, "none").await;
            amends.shutdown(SECOND).await;

            let amends = engine(&home, &[Some("2")], None).await;
            for (id, missing) in [("one", "order (version 1)"), ("none", "order (without a version)")] {
                amends.client().signal(id, "go", &json!("end")).await.unwrap();
                let parked = until_status(&amends, id, RunStatus::Parked).await;
                let workflow_type = missing.to_owned();
                assert_eq!(parked.parked, Some(ParkReason::UnknownWorkflow { workflow_type }));
            }
            amends.shutdown(SECOND).await;

            let amends = engine(&home, &[Some("1"), Some("2"), None], None).await;
            assert_eq!(amends.find("one").await.unwrap().result().await.unwrap(), json!("1"));
            assert_eq!(amends.find("none").await.unwrap().result().await.unwrap(), json!(null));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_that_follows_another_takes_the_version_that_is_current() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home, &[Some("1")], None).await;
            begin(&amends, "o").await;
            amends.shutdown(SECOND).await;
            let amends = engine(&home, &[Some("1"), Some("2"), Some("3")], Some("2")).await;
            let first = amends.find("o").await.unwrap();
            first.signal("go", &json!("again")).await.unwrap();
            assert_eq!(
                end(&amends, "o").await,
                json!("2"),
                "neither the first's nor the newest"
            );
            let again = amends
                .workflow_by_name("order")
                .id("o")
                .id_reuse_policy(IdReusePolicy::AllowDuplicate);
            again.start(&json!(0)).await.unwrap();
            begun(&amends, "o").await;
            assert_eq!(end(&amends, "o").await, json!("2"));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn the_code_without_a_version_can_be_gone_back_to() {
    for home in Home::each() {
        run(async {
            let amends = engine(&home, &[None, Some("2")], None).await;
            begin(&amends, "two").await;
            amends.shutdown(SECOND).await;

            let builder = home.builder().workflow_definition(order(None));
            let builder = builder.workflow_definition(order(Some("2")));
            let amends = builder.current_version("order", None).start().await.unwrap();
            begin(&amends, "none").await;
            assert_eq!(end(&amends, "none").await, json!(null));
            assert_eq!(end(&amends, "two").await, json!("2"));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_that_was_reset_keeps_its_version_unless_its_first_turn_is_decided_again() {
    for (point, expected) in [(ResetPoint::LastTurn, "1"), (ResetPoint::FirstTurn, "2")] {
        for home in Home::each() {
            run(async {
                let amends = engine(&home, &[Some("1")], None).await;
                begin(&amends, "o").await;
                let first = amends.find("o").await.unwrap();
                first.terminate("to be reset").await.unwrap();
                first.outcome().await.unwrap();
                amends.shutdown(SECOND).await;
                let amends = engine(&home, &[Some("1"), Some("2")], None).await;
                let reset = Reset::to(point, "ada", "once more");
                amends.client().reset("o", &reset).await.unwrap();
                begun(&amends, "o").await;
                assert_eq!(end(&amends, "o").await, json!(expected), "{point:?}");
                amends.shutdown(SECOND).await;
            });
            home.assert_sound();
        }
    }
}

/// Code without a version whose own change looks like one: it would have its run taken for one of that version.
#[test]
fn code_without_a_version_does_not_pass_for_one_that_has_one() {
    let pretending = by_name("order", |cx, _| async move {
        cx.deprecate_patch("order@9");
        cx.signal::<Value>("go").recv().await
    });
    for home in Home::each() {
        run(async {
            let builder = home.builder().workflow_definition(pretending.clone());
            let amends = builder
                .workflow_definition(order(Some("9")))
                .current_version("order", None);
            let amends = amends.start().await.unwrap();
            amends.workflow_by_name("order").id("o").start(&json!(0)).await.unwrap();
            let parked = until_status(&amends, "o", RunStatus::Parked).await;
            let told = parked.parked.unwrap().to_string();
            assert!(told.contains("would be taken for version \"9\""), "{told}");
            amends.shutdown(SECOND).await;
            // Nothing of it is recorded: code that is mended goes on with it.
            let amends = engine(&home, &[None, Some("9")], Some("9")).await;
            begun(&amends, "o").await;
            assert_eq!(end(&amends, "o").await, json!("9"));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

mod first {
    use super::*;

    #[workflow(name = "trip", version = "1")]
    pub(super) async fn trip(cx: WorkflowContext) -> Result<u32, Failure> {
        cx.sleep(Duration::from_millis(1)).await?;
        Ok(1)
    }
}

#[workflow(name = "trip", version = "2")]
async fn trip(cx: WorkflowContext) -> Result<u32, Failure> {
    let _ = cx.random();
    Ok(2)
}

#[test]
fn functions_say_their_version_and_saved_histories_are_replayed_by_it() {
    let home = Home::memory();
    let saved = run(async {
        let mut saved = Vec::new();
        for (id, current) in [("one", "1"), ("two", "2")] {
            let builder = home.builder().workflow(trip).workflow(first::trip);
            let amends = builder.current_version("trip", current).start().await.unwrap();
            amends
                .workflow(trip)
                .id(id)
                .start(&())
                .await
                .unwrap()
                .result()
                .await
                .unwrap();
            let history = amends.client().history(id).await.unwrap();
            saved.push(amends::history::to_temporal_json(&history).to_string());
            amends.shutdown(SECOND).await;
        }
        saved
    });
    let both = Replayer::new().workflow(first::trip).workflow(trip);
    let newest = Replayer::new().workflow(trip);
    assert!(saved.iter().all(|saved| both.json(saved).is_ok()));
    assert_eq!(
        newest.json(&saved[0]).unwrap_err().to_string(),
        "no workflow of type \"trip (version 1)\" is registered"
    );
    assert!(newest.json(&saved[1]).is_ok());
}

#[test]
fn what_is_registered_must_fit() {
    run(async {
        let refused = |definitions: [WorkflowDefinition; 2], current: Option<&'static str>| async move {
            let mut builder = Amends::builder().memory();
            for definition in definitions {
                builder = builder.workflow_definition(definition);
            }
            if let Some(current) = current {
                builder = builder.current_version("order", current);
            }
            builder.start().await.err().unwrap().to_string()
        };
        let twice = refused([order(Some("1")), order(Some("1"))], None).await;
        assert!(twice.contains("registered as \"order\" (version 1)"), "{twice}");
        let missing = refused([order(Some("1")), order(None)], Some("2")).await;
        assert!(missing.contains("\"order\" (version 2) is"), "{missing}");
        let nameless = refused([order(Some("")), order(None)], None).await;
        assert!(nameless.contains("workflow version"), "{nameless}");

        let saga = |version: &str| {
            let step = Step::activity("charge", "charge").nothing_to_compensate();
            SagaDefinition::builder("order")
                .version(version)
                .step(step)
                .build()
                .unwrap()
        };
        let charge = || activity("charge", |_, _| async { Ok(Value::Null) });
        let builder = || Amends::builder().memory().activity_definition(charge()).saga(saga("1"));
        for (refused, told) in [
            (
                builder().saga(saga("2")).saga(saga("1")),
                "two saga definitions are loaded as \"order\" (version 1)",
            ),
            (
                builder().workflow_definition(order(Some("2"))),
                "a saga definition and a workflow in code are both \"order\"",
            ),
        ] {
            let refused = refused.start().await.err().unwrap().to_string();
            assert!(refused.starts_with(told), "{refused}");
        }
    });
}
