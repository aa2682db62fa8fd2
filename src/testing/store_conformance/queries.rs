//! Runs found by what they have. Must not live here: the language (`visibility`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::*;
use crate::model::{SearchAttributeType, SearchAttributeTypes, SearchAttributeValue};
use crate::store::FoundBy;
use crate::visibility::{Known, Query};

const RUNS: u64 = 60;

const DAY: &str = "2026-01-31T00:00:00Z";

/// Every third run has no attributes; the others are told apart by them.
fn found_by(number: u64) -> Option<Arc<FoundBy>> {
    if number.is_multiple_of(3) {
        return None;
    }
    let customer = format!("customer-{}", number % 7);
    // Registered as a time when half of the runs were there.
    let day = match number.is_multiple_of(2) {
        true => SearchAttributeValue::Datetime(Timestamp::from_micros(1_769_817_600_000_000)),
        false => SearchAttributeValue::Keyword(DAY.to_owned()),
    };
    let attributes: [(&str, SearchAttributeValue); 6] = [
        ("Day", day),
        ("Customer", customer.into()),
        ("Amount", (number as f64 / 2.0).into()),
        ("Number", SearchAttributeValue::Int(i64::try_from(number).unwrap_or(0))),
        (
            "Tags",
            SearchAttributeValue::KeywordList(vec!["all".to_owned(), format!("t{}", number % 2)]),
        ),
        ("Note", SearchAttributeValue::Text(format!("number {number}"))),
    ];
    Some(Arc::new(FoundBy {
        parent: None,
        search_attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
    }))
}

fn make(number: u64) -> TurnRecord {
    let status = if number.is_multiple_of(2) {
        RunStatus::Completed
    } else {
        RunStatus::Running
    };
    TurnRecord {
        found_by: found_by(number),
        ..turn(number, 1, 60, status)
    }
}

fn filter(store: &dyn Store, text: &str) -> ListQuery {
    let mut types = SearchAttributeTypes::default();
    types.register("Day", SearchAttributeType::Datetime).expect("a name");
    let known = Known {
        types,
        others: store.search_attribute_names().expect("readable"),
    };
    let query = Query::parse(text, &known).unwrap_or_else(|error| panic!("{text}: {error}"));
    ListQuery {
        filter: Some(query.filter),
        limit: 4,
        ..ListQuery::default()
    }
}

/// The numbers of the runs that a query lists, page by page, which are also those that it visits.
fn listed(store: &dyn Store, text: &str) -> Vec<u64> {
    let number = |head: &RunHead| {
        head.workflow_id
            .as_str()
            .trim_start_matches("order-")
            .parse::<u64>()
            .unwrap_or(0)
    };
    let mut query = filter(store, text);
    let mut visited = BTreeSet::new();
    let visit = store.visit(&query, &mut |head| {
        assert!(visited.insert(head.run_id), "{text}: one run was visited twice");
        ControlFlow::Continue(())
    });
    visit.expect("readable");
    let mut seen = Vec::new();
    loop {
        let page = store.list(&query).expect("readable");
        let Some(last) = page.last() else { break };
        query.before = Some(last.run_id);
        let older = visited.range(..last.run_id).count();
        let mut visits = 0;
        let visit = store.visit(&query, &mut |_| {
            visits += 1;
            ControlFlow::Continue(())
        });
        visit.expect("readable");
        assert_eq!(visits, older, "{text}: visits of runs before one");
        assert!(page.iter().all(|head| visited.contains(&head.run_id)), "{text}");
        seen.extend(page.iter().map(number));
    }
    assert_eq!(seen.len(), visited.len(), "{text}");
    seen
}

fn expect(store: &dyn Store, text: &str, wanted: impl Fn(u64) -> bool) {
    let expected: Vec<u64> = (1..=RUNS).rev().filter(|number| wanted(*number)).collect();
    assert_eq!(listed(store, text), expected, "{text}");
}

fn check_all(store: &dyn Store) {
    let has = |number: u64| !number.is_multiple_of(3);
    let even = |number: u64| number.is_multiple_of(2);
    expect(store, "", |_| true);
    expect(store, "Customer = 'customer-5'", |number| {
        has(number) && number % 7 == 5
    });
    expect(store, "Customer STARTS_WITH 'customer-'", has);
    expect(store, "Customer IN ('customer-1', 'customer-2', 'x')", |number| {
        has(number) && [1, 2].contains(&(number % 7))
    });
    expect(
        store,
        "Customer = 'customer-5' AND ExecutionStatus = 'Completed'",
        |number| has(number) && number % 7 == 5 && even(number),
    );
    expect(store, "Amount > 20.4 AND Amount <= 25", |number| {
        has(number) && (41..=50).contains(&number)
    });
    expect(store, "Number BETWEEN 10 AND 12.5", |number| {
        has(number) && (10..=12).contains(&number)
    });
    expect(store, "Tags = 't1'", |number| has(number) && !even(number));
    expect(store, "Tags = 'all'", has);
    expect(store, "Note = 'NUMBER'", has);
    expect(store, &format!("Day = '{DAY}'"), |number| has(number) && even(number));
    expect(store, "Day > '2026-01-01T00:00:00Z'", |number| {
        has(number) && even(number)
    });
    expect(store, "Customer IS NULL", |number| !has(number));
    expect(store, "Customer != 'customer-5'", |number| {
        has(number) && number % 7 != 5
    });
    expect(store, "WorkflowId IN ('order-3', 'order-4')", |number| {
        number == 3 || number == 4
    });
    expect(store, "ExecutionStatus = 'Running'", |number| !even(number));
    expect(store, "CloseTime IS NOT NULL AND Number > 55", |number| {
        has(number) && even(number) && number > 55
    });
    let run = run_id(8);
    expect(store, &format!("RunId = '{run}'"), |number| number == 8);
    expect(store, "Customer = 'nobody'", |_| false);
}

pub(super) fn runs_are_found_by_what_they_have(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    for start in (1..=RUNS).step_by(20) {
        commit(&*store, epoch, (start..start + 20).map(make).collect());
    }
    check_all(&*store);
    drop(store);
    let store = open(Open::Again);
    check_all(&*store);
    expect_sound(&*store);
    drop(store);
    let store = open(Open::Again);
    check_all(&*store);
}

pub(super) fn an_attribute_that_changes_is_found_by_its_new_value_only(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let stage = |stage: Option<&str>| {
        let attributes = stage.map(|stage| ("Stage".to_owned(), stage.into()));
        Some(Arc::new(FoundBy {
            parent: None,
            search_attributes: attributes.into_iter().collect(),
        }))
    };
    let with = |number: u64, seq: u64, status: RunStatus, found_by| TurnRecord {
        found_by,
        // Large enough to be brought to the disk while the run is open.
        ..turn(number, seq, 20_000, status)
    };
    let first = (1..=3)
        .map(|number| with(number, 1, RunStatus::Running, stage(Some("new"))))
        .collect();
    commit(&*store, epoch, first);
    drop(store);
    let store = open(Open::Again);
    assert_eq!(listed(&*store, "Stage = 'new'"), [3, 2, 1]);
    let epoch = store.claim().expect("claimed");
    let second = vec![
        with(1, 2, RunStatus::Completed, stage(Some("sent"))),
        with(2, 2, RunStatus::Running, stage(None)),
        with(3, 2, RunStatus::Running, None),
    ];
    commit(&*store, epoch, second);
    let check = |store: &dyn Store| {
        assert_eq!(listed(store, "Stage = 'new'"), [3]);
        assert_eq!(listed(store, "Stage IN ('sent', 'new')"), [3, 1]);
        assert_eq!(listed(store, "Stage IS NULL"), [2]);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    expect_sound(&*store);
    let epoch = store.claim().expect("claimed");
    store.delete(epoch, &[run_id(1)]).expect("deleted");
    assert_eq!(listed(&*store, "Stage IN ('sent', 'new')"), [3]);
    drop(store);
    let store = open(Open::Again);
    assert_eq!(listed(&*store, "Stage IN ('sent', 'new')"), [3]);
    expect_sound(&*store);
}
