//! What a run can be found by, and its memo: set at the start, changed by the code, never more than a run may have.

use super::scenario::*;
use crate::model::*;

fn upsert<const N: usize>(changes: [(&str, Option<SearchAttributeValue>); N]) -> Do {
    let changes = changes.map(|(name, value)| (name.to_owned(), value));
    Do(Command::UpsertSearchAttributes(changes.into()))
}

fn memo<const N: usize>(changes: [(&str, Option<&str>); N]) -> Do {
    let changes = changes.map(|(name, value)| {
        let value = value.map(|value| Payload::json(value).unwrap());
        (name.to_owned(), value)
    });
    Do(Command::ModifyProperties(changes.into()))
}

fn start() -> StartRun {
    StartRun {
        search_attributes: [
            ("customer".to_owned(), "ada".into()),
            ("stage".to_owned(), "new".into()),
        ]
        .into(),
        memo: [("title".to_owned(), Payload::json("Order 1").unwrap())].into(),
        ..start_run()
    }
}

#[test]
fn changes_are_events_and_what_they_come_to_is_the_runs() {
    let mut run = Scenario::start_as(start(), [timer("t", 5)]);
    assert_eq!(run.state.search_attributes().len(), 2);
    let changes = [
        ("stage", Some("paid".into())),
        ("items", Some(3.into())),
        ("customer", None),
    ];
    let answer = [upsert(changes), memo([("title", None), ("note", Some("fragile"))])];
    run.at(1).signal("paid", "", answer);
    let turn = run.journal.last().unwrap();
    let kinds: Vec<&str> = turn.events.iter().map(|event| event.attributes.kind()).collect();
    assert_eq!(
        kinds,
        [
            "WorkflowExecutionSignaled",
            "WorkflowTaskCompleted",
            "UpsertWorkflowSearchAttributes",
            "WorkflowPropertiesModified"
        ]
    );
    let expected: SearchAttributes = [("items".to_owned(), 3.into()), ("stage".to_owned(), "paid".into())].into();
    assert_eq!(*run.state.search_attributes(), expected);
    let expected: Memo = [("note".to_owned(), Payload::json("fragile").unwrap())].into();
    assert_eq!(*run.state.memo(), expected);
    run.check_fold();
}

#[test]
fn more_than_a_run_may_have_fails_the_task_and_changes_nothing() {
    let long = |bytes: usize| Some(SearchAttributeValue::from("x".repeat(bytes)));
    let half = limits::SEARCH_ATTRIBUTES_BYTES_MAX / 2;
    for (answer, expected) in [
        (
            vec![upsert([("a", long(half))]), upsert([("b", long(half))])],
            "bytes all together",
        ),
        (vec![upsert([("WorkflowId", long(1))])], "every run has"),
        (vec![upsert([("nan", Some(f64::NAN.into()))])], "finite"),
        (
            vec![memo([("m", Some(&"x".repeat(limits::MEMO_BYTES_MAX)))])],
            "the memo of a run",
        ),
    ] {
        let mut run = Scenario::start_as(start(), [timer("t", 5)]);
        run.at(1).signal("go", "", answer);
        let Some(ParkReason::BadCommand { message }) = &run.last.task_failure else {
            panic!("{expected}: {:?}", run.last.task_failure);
        };
        assert!(message.contains(expected), "{message}");
        assert_eq!(run.state.search_attributes().len(), 2);
        assert_eq!(run.state.memo().len(), 1);
    }
}
