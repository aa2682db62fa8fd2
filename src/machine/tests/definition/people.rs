//! What a definition says for when it is not known what happened, or when a person is needed; and child sagas.

use serde_json::json;

use super::Story;
use crate::definition::{ChildSaga, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};
use crate::machine::Decider;
use crate::machine::tests::scenario::{broken, busy, declined};
use crate::model::{Event, EventAttributes, RunId, RunStatus, SagaAdopted, StuckNotice, Turn};

const CHARGE: &str = r#"
[[step]]
name = "charge"
foreach = { items = "${ input.cards }" }
activity = "charge"
input = { card = "${ item }" }
retry = { maximum_attempts = 1 }
compensation = { activity = "refund", input = { card = "${ item }" } }
on_ambiguous = { verify = { activity = "look_up", input = { card = "${ item }", sent = "${ undo.input }", why = "${ undo.failure }" } } }
"#;

#[test]
fn a_verification_is_asked_with_what_its_mapping_says() {
    let mut story = Story::start(CHARGE, &json!({"cards": ["visa"]}));
    story.fails("charge[0]", busy()).expect_running("charge[0]/verify#1");
    assert_eq!(
        story.input_of("charge[0]/verify"),
        json!({"card": "visa", "sent": {"card": "visa"}, "why": "Busy: "})
    );
    story.completes("charge[0]/verify", &json!({"applied": true, "output": "c-1"}));
    story.expect_result(&json!({"charge": ["c-1"]}));
}

#[test]
fn a_verification_that_finds_nothing_leaves_nothing_to_undo() {
    let mut story = Story::start(CHARGE, &json!({"cards": ["visa"]}));
    story.fails("charge[0]", busy()).crash().at(2);
    story
        .completes("charge[0]/verify", &json!({"applied": false}))
        .expect_amended("Busy");
}

const TOLD: &str = r#"
unwind_timeout = "1h"
unwind_parallel = 2
[stuck]
escalate_after = "10m"
escalate = { http = { url = "http://chat/${ notice.workflow_id }", body = { text = "${ notice.step } needs a person", can = "${ notice.choices }" } } }
decide_after = "1d"
decide = "skip"
[defaults.compensation]
retry = { maximum_attempts = 1 }
[[step]]
name = "charge"
activity = "charge"
compensation = { activity = "refund" }
[[step]]
name = "ship"
activity = "ship"
compensation = "none"
"#;

#[test]
fn somebody_is_told_by_the_definitions_own_words_and_the_saga_decides_for_itself_in_the_end() {
    let mut story = Story::start(TOLD, &json!({}));
    story
        .completes("charge", &json!(1))
        .fails("ship", declined())
        .fails("charge/undo", broken());
    story.run.expect_status(RunStatus::Stuck);
    story.expect_wake("600s").at(600).crash().wake();
    let told = story
        .run
        .state
        .activities()
        .find(|activity| activity.attributes.activity_id.as_str().starts_with("escalation"));
    let told: serde_json::Value = told.unwrap().attributes.input.to().unwrap();
    assert_eq!(told["url"], json!("http://chat/order-42"));
    assert_eq!(told["body"]["text"], json!("charge needs a person"));
    assert_eq!(told["body"]["can"][0], json!("retry"));
    story.at(86_400).wake();
    assert!(story.run.state.is_closed());
}

#[test]
fn an_escalation_without_a_mapping_gets_the_notice_as_it_is() {
    let notice = StuckNotice {
        workflow_id: "w".to_owned(),
        run_id: "r".to_owned(),
        namespace: "default".to_owned(),
        workflow_type: "order".to_owned(),
        step: None,
        reason: "because".to_owned(),
        failure: "Broken".to_owned(),
        choices: vec!["abandon".to_owned()],
    };
    let input = |escalate: &str| {
        let text = TOLD.replace("url = \"http://chat/${ notice.workflow_id }\", body = { text = \"${ notice.step } needs a person\", can = \"${ notice.choices }\" }", "url = \"http://chat\"");
        let story = Story::start(&text.replace("http = { url = \"http://chat\" }", escalate), &json!({}));
        let input = story.decider().escalation_input(&story.run.state, &notice).unwrap();
        input.to::<serde_json::Value>().unwrap()
    };
    let as_json = serde_json::to_value(&notice).unwrap();
    assert_eq!(input("activity = \"page\""), as_json);
    assert_eq!(input("http = { url = \"http://chat\" }")["body"], as_json);
    assert_eq!(input("exec = { command = [\"page\"] }")["stdin"], as_json);
}

#[test]
fn a_child_saga_is_a_step_that_is_undone_as_a_unit() {
    let text = r#"
        [[step]]
        name = "trip"
        saga = { name = "book-trip@2", input = { to = "${ input.to }" } }
        [[step]]
        name = "mail"
        activity = "mail"
        compensation = "none"
    "#;
    let mut story = Story::start(text, &json!({"to": "Porto"}));
    let scheduled = &story.run.pending("trip").unwrap().attributes;
    assert_eq!(scheduled.activity_type.as_str(), SAGA_ACTIVITY);
    let child: ChildSaga = scheduled.input.to().unwrap();
    assert_eq!(
        child,
        ChildSaga {
            workflow: "book-trip@2".to_owned(),
            id: Some("order-42/trip".to_owned()),
            input: json!({"to": "Porto"}),
        }
    );
    // Days may pass.
    story
        .at(2_000_000)
        .expect_running("trip#1")
        .completes("trip", &json!("t-1"))
        .fails("mail", declined());
    assert_eq!(
        story
            .run
            .pending("trip/undo")
            .unwrap()
            .attributes
            .activity_type
            .as_str(),
        SAGA_UNDO_ACTIVITY
    );
    assert_eq!(story.input_of("trip/undo")["input"]["id"], json!("order-42/trip"));
    story.completes("trip/undo", &json!(null)).expect_amended("Declined");
}

#[test]
fn what_undoes_another_run_means_that_one_by_run() {
    let text = r#"
        [[step]]
        name = "charge"
        activity = "charge"
        compensation = { activity = "refund", input = { key = "${ run.workflow_id }", run = "${ run.run_id }", of = "${ run.namespace }" } }
    "#;
    let mut story = Story::start_as("shop\u{1f}order-42/trip/undo", text, &json!({}));
    let undone = RunId::from_bytes([9; 16]);
    let adopted = Event {
        id: story.run.state.next_event(),
        time: story.run.now,
        attributes: EventAttributes::SagaAdopted(Box::new(SagaAdopted {
            run_id: undone,
            steps: Vec::new(),
        })),
    };
    let turn = Turn {
        seq: story.run.state.turns() + 1,
        time: story.run.now,
        events: vec![adopted],
        pending: Vec::new(),
    };
    story.run.state.apply(&turn).unwrap();
    let step = story.run.state.step("charge").unwrap();
    let input = story.decider().compensation_input(&story.run.state, step).unwrap();
    assert_eq!(
        input.to::<serde_json::Value>().unwrap(),
        json!({"key": "order-42/trip", "run": undone.to_string(), "of": "shop"})
    );
}
