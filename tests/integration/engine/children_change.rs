//! Child sagas while the world around them changes: a newer definition, a person's decision. Must not live here: how a child
//! runs and is undone (`children`).

use std::time::Duration;

use amends::{Failure, ResultError, RunStatus};
use serde_json::json;

use super::children::{start, with_all};
use crate::support::{Home, Recorder, activity, run, saga, until_status};

const SECOND: Duration = Duration::from_secs(1);

const WAITING: &str = r#"
name = "waiting"
[[step]]
name = "c1"
activity = "do"
input = "c1"
compensation = { activity = "undo" }
[[step]]
name = "go"
signal = { name = "go" }
"#;

#[test]
fn a_child_that_exists_is_waited_for_whatever_a_newer_definition_thinks_of_its_start() {
    let (home, recorder) = (Home::sled(), Recorder::new());
    run(async {
        let builder = with_all(home.builder(), &recorder).saga(saga(WAITING));
        let amends = builder.start().await.unwrap();
        start(&amends, json!({"child": "waiting", "input": "a text", "then": "fails"})).await;
        recorder.until("do c1", 1).await;
        amends.shutdown(SECOND * 60).await;
    });
    run(async {
        let stricter = format!("{}[input_schema]\ntype = \"integer\"\n", WAITING);
        let builder = with_all(home.builder(), &recorder).saga(saga(&stricter));
        let amends = builder.start().await.unwrap();
        let parent = amends.find("p").await.unwrap();
        amends.client().signal("p/child", "go", &json!(1)).await.unwrap();
        assert!(matches!(parent.result().await, Err(ResultError::Amended(failure)) if failure.is_type("Broken")));
        let expected = ["do first", "do c1", "do last", "undo last", "undo c1", "undo first"];
        assert_eq!(recorder.all(), expected);
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_child_that_a_person_leaves_half_done_needs_a_person_in_its_parent_too() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let refusing = activity("refuse", |_, _| async { Err(Failure::not_applied("Refused", "no")) });
        let stubborn = activity("stay", |_, _| async { Err(Failure::non_retryable("Stays", "no")) });
        let text = r#"
name = "waiting"
[[step]]
name = "c1"
activity = "do"
input = "c1"
compensation = { activity = "stay" }
[[step]]
name = "c2"
activity = "refuse"
compensation = "none"
"#;
        let builder = with_all(home.builder(), &recorder)
            .activity_definition(refusing)
            .activity_definition(stubborn)
            .saga(saga(text));
        let amends = builder.start().await.unwrap();
        start(&amends, json!({"child": "waiting", "input": 1})).await;
        until_status(&amends, "p/child", RunStatus::Stuck).await;
        let leave = amends::Decision::skip().by("ada").because("it may stay");
        amends.client().decide("p/child", leave).await.unwrap();
        let seen = until_status(&amends, "p", RunStatus::Stuck).await;
        assert_eq!(seen.stuck.len(), 1);
        assert_eq!(seen.stuck[0].step.as_ref().map(|step| step.as_str()), Some("child"));
        amends.shutdown(SECOND).await;
    });
}
