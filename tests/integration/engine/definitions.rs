//! Sagas from files, run by registered Rust activities. Must not live here: the format (the definition room's tests), the
//! comparison with code (`equivalence`).

use std::fs;
use std::time::Duration;

use amends::{AmendsBuilder, Error, Failure, ResultError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Gate, Home, Recorder, activity, run};

const SECOND: Duration = Duration::from_secs(1);

const TRIP: &str = r#"
name = "trip"
[config]
agency = "sun"
[[step]]
name = "flight"
activity = "book"
after = []
input = { what = "flight to ${ input.to }" }
compensation = { activity = "cancel", input = { what = "${ undo.input.what }" } }
[[step]]
name = "hotel"
activity = "book"
after = []
input = { what = "hotel in ${ input.to }" }
compensation = { activity = "cancel", input = { what = "${ undo.input.what }" } }
[[step]]
name = "pay"
activity = "pay"
after = ["flight", "hotel"]
kind = "pivot"
input = { booked = "${ [steps.flight.output, steps.hotel.output] }", agency = "${ config.agency }" }
[output]
paid = "${ steps.pay.output }"
"#;

fn travelling(builder: AmendsBuilder, recorder: &Recorder, gate: &Gate) -> AmendsBuilder {
    let noting = |name: &'static str, gate: Option<&Gate>| {
        let (recorder, gate) = (recorder.clone(), gate.cloned());
        activity(name, move |_, input| {
            recorder.note(format!("{name} {}", input["what"].as_str().unwrap_or_default()));
            let gate = gate.clone();
            async move {
                if let Some(gate) = gate {
                    gate.passed().await;
                }
                Ok(input["what"].clone())
            }
        })
    };
    let noted = recorder.clone();
    builder
        .activity_definition(noting("book", Some(gate)))
        .activity_definition(noting("cancel", None))
        .activity_definition(activity("pay", move |_, input| {
            noted.note(format!("pay {input}"));
            async move {
                match input["agency"] == json!("rain") {
                    true => Err(Failure::not_applied("CardDeclined", "no money")),
                    false => Ok(input["agency"].clone()),
                }
            }
        }))
}

fn write(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("trip.toml"), text).unwrap();
    directory
}

#[test]
fn a_file_is_a_saga_of_registered_activities() {
    run(async {
        let (home, sagas, recorder, gate) = (Home::memory(), write(TRIP), Recorder::new(), Gate::shut());
        gate.open();
        let builder = travelling(home.builder().sagas(sagas.path()), &recorder, &gate);
        let amends = builder.start().await.unwrap();
        let run = amends
            .workflow_by_name("trip")
            .start(&json!({ "to": "Rome" }))
            .await
            .unwrap();
        assert_eq!(run.result().await.unwrap(), json!({ "paid": "sun" }));
        let paid = r#"pay {"agency":"sun","booked":["flight to Rome","hotel in Rome"]}"#;
        assert_eq!(recorder.count(paid), 1, "{:?}", recorder.all());
        assert_eq!(recorder.len(), 3);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_declined_payment_undoes_both_bookings() {
    run(async {
        let (home, sagas, recorder, gate) = (Home::sled(), write(TRIP), Recorder::new(), Gate::shut());
        gate.open();
        let builder = travelling(
            home.builder().sagas(sagas.path()).set("agency", "rain"),
            &recorder,
            &gate,
        );
        let amends = builder.start().await.unwrap();
        let run = amends
            .workflow_by_name("trip")
            .start(&json!({ "to": "Oslo" }))
            .await
            .unwrap();
        assert!(matches!(run.result().await, Err(ResultError::Amended(failure)) if failure.is_type("CardDeclined")));
        assert_eq!(
            (
                recorder.count("cancel flight to Oslo"),
                recorder.count("cancel hotel in Oslo")
            ),
            (1, 1)
        );
        amends.shutdown(SECOND).await;
    });
}

/// The run goes on by the definition that it was started with, after a restart too, when that is in no file any more.
#[test]
fn editing_a_file_never_changes_a_running_saga() {
    for home in Home::each() {
        let (sagas, recorder, gate) = (write(TRIP), Recorder::new(), Gate::shut());
        run(async {
            let amends = travelling(home.builder().sagas(sagas.path()), &recorder, &gate)
                .start()
                .await
                .unwrap();
            amends
                .workflow_by_name("trip")
                .id("old")
                .start(&json!({ "to": "Rome" }))
                .await
                .unwrap();
            recorder.until_len(2).await;
            amends.shutdown(Duration::ZERO).await;
        });
        gate.open();
        let edited = TRIP
            .replace("flight to", "night flight to")
            .replace("\"sun\"", "\"moon\"");
        fs::write(sagas.path().join("trip.toml"), edited).unwrap();
        run(async {
            let amends = travelling(home.builder().sagas(sagas.path()), &recorder, &gate)
                .start()
                .await
                .unwrap();
            let old = amends.find("old").await.unwrap();
            assert_eq!(old.result().await.unwrap(), json!({ "paid": "sun" }));
            let new = amends
                .workflow_by_name("trip")
                .id("new")
                .start(&json!({ "to": "Rome" }))
                .await
                .unwrap();
            assert_eq!(new.result().await.unwrap(), json!({ "paid": "moon" }));
            let (old, new) = (old.describe().await.unwrap(), new.describe().await.unwrap());
            assert!(old.definition.is_some() && old.definition != new.definition);
            amends.shutdown(SECOND).await;
        });
        assert_eq!(recorder.count("book night flight to Rome"), 1);
        home.assert_sound();
    }
}

#[test]
fn everything_wrong_with_files_and_registrations_is_said_at_once() {
    run(async {
        let sagas =
            write("name = \"a\"\n[[step]]\nname = \"x\"\nactivity = \"missing\"\ncompensation = \"none\"\nextra = 1\n");
        fs::write(sagas.path().join("other.toml"), "name = ").unwrap();
        match Home::memory().builder().sagas(sagas.path()).start().await {
            Err(Error::Definition(files)) => {
                assert_eq!(files.len(), 2);
                let text = Error::Definition(files).to_string();
                assert!(
                    text.contains("missing") && text.contains("extra") && text.contains("other.toml"),
                    "{text}"
                );
            }
            other => panic!("{:?}", other.map(drop)),
        }
        let unreadable = Home::memory().builder().sagas("no/such/directory").start().await;
        assert!(matches!(unreadable, Err(Error::File { .. })));
        let same = || activity("twice", |_, _| async { Ok(Value::Null) });
        let twice = Home::memory()
            .builder()
            .activity_definition(same())
            .activity_definition(same());
        assert!(matches!(twice.start().await, Err(Error::Registry(errors)) if errors.len() == 1));
    });
}

/// A saga whose output says which version of it ran.
fn versioned(version: &str) -> String {
    format!(
        r#"
name = "gift"
version = "{version}"
run_timeout = "1h"
search_attributes = {{ to = "${{ input.to }}" }}
[input_schema]
type = "object"
required = ["to"]
[[step]]
name = "wrap"
activity = "wrap"
compensation = "none"
[output]
version = "{version}"
"#
    )
}

#[test]
fn versions_of_a_saga_stand_side_by_side_and_a_name_means_the_newest() {
    run(async {
        let (home, files) = (Home::memory(), TempDir::new().unwrap());
        for version in ["1.9", "1.10"] {
            fs::write(files.path().join(format!("gift-{version}.toml")), versioned(version)).unwrap();
        }
        let wrap = activity("wrap", |_, input| async move { Ok(input) });
        let builder = home.builder().activity_definition(wrap).sagas(files.path());
        let amends = builder.start().await.unwrap();
        for (name, expected) in [("gift", "1.10"), ("gift@1.9", "1.9"), ("gift@1.10", "1.10")] {
            let run = amends
                .workflow_by_name(name)
                .start(&json!({"to": "Ada"}))
                .await
                .unwrap();
            assert_eq!(run.result().await.unwrap(), json!({"version": expected}), "{name}");
            let seen = run.describe().await.unwrap();
            assert_eq!(seen.workflow_type.as_str(), "gift");
            assert_eq!(seen.search_attributes["to"], "Ada".into());
        }
        let unknown = amends.workflow_by_name("gift@2").start(&json!({"to": "Ada"})).await;
        let error = unknown.unwrap_err();
        assert!(matches!(error, Error::UnknownWorkflow { .. }), "{error}");
        assert!(error.to_string().contains("gift@1.9"), "{error}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn an_input_that_does_not_fit_starts_nothing() {
    run(async {
        let (home, files) = (Home::memory(), TempDir::new().unwrap());
        fs::write(files.path().join("gift.toml"), versioned("1")).unwrap();
        let wrap = activity("wrap", |_, input| async move { Ok(input) });
        let builder = home.builder().activity_definition(wrap).sagas(files.path());
        let amends = builder.start().await.unwrap();
        let refused = amends
            .workflow_by_name("gift")
            .id("gift-1")
            .start(&json!({"for": "Ada"}))
            .await;
        let error = refused.unwrap_err();
        assert_eq!(error.code().to_string(), "E0019");
        assert!(error.to_string().contains("to"), "{error}");
        assert!(matches!(
            amends.client().describe("gift-1").await,
            Err(Error::NotFound(_))
        ));
        amends.shutdown(SECOND).await;
    });
}
