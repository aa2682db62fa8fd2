//! `amends history` in the form of other tools. Must not live here: every kind of event in that form (the library's own tests).

use super::{Cli, Participants, SHOP};

#[test]
fn a_history_is_written_for_temporals_tools_and_shown_again() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "sku": "lamp", "card": "declined-4242"}"#;
    cli.run(&["run", "shop.toml", "--id", "o", "--input", order]).exits(1);
    let shown = cli.run(&["history", "o"]).exits(0);
    let written = cli.run(&["history", "o", "--output", "temporal-json"]).exits(0);

    let json: serde_json::Value = serde_json::from_str(&written.out).unwrap();
    let events = json["events"].as_array().unwrap();
    let kinds = |kind: &str| events.iter().filter(|event| event["eventType"] == kind).count();
    assert_eq!(
        kinds("EVENT_TYPE_WORKFLOW_TASK_COMPLETED"),
        kinds("EVENT_TYPE_WORKFLOW_TASK_SCHEDULED")
    );
    assert!(
        kinds("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED") >= 3,
        "reserve, charge, and the release"
    );
    assert_eq!(kinds("EVENT_TYPE_WORKFLOW_EXECUTION_FAILED"), 1);

    cli.write("o.json", &written.out);
    let again = cli.run(&["history", "--file", "o.json"]).exits(0);
    assert_eq!(again.out, shown.out);
}

#[test]
fn a_file_that_is_no_history_is_a_mistake_with_its_place() {
    let cli = Cli::new();
    cli.write(
        "a.json",
        r#"{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_NEXUS_OPERATION_SCHEDULED"}]}"#,
    );
    cli.run(&["history", "--file", "a.json"])
        .exits(2)
        .says("a.json: event 1: NEXUS_OPERATION_SCHEDULED is nothing that a run of amends can have");
    cli.run(&["history", "--file", "b.json"]).exits(2).says("b.json: ");
    cli.run(&["history"]).exits(2).says("<ID>");
}
