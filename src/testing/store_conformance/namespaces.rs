//! Runs of several namespaces in one store. Must not live here: which namespaces there are, that a store does not know.

use super::{Open, OpenStore, commit, expect_sound, run_id, turn};
use crate::model::{NamespaceName, RunId, RunStatus, SearchAttributeTypes, Timestamp, WorkflowId};
use crate::store::{ListQuery, RunWake, Store, TurnRecord};
use crate::visibility::{Known, Query};

fn name(name: &str) -> NamespaceName {
    NamespaceName::new(name).expect("a name")
}

pub(super) fn ids_of_two_namespaces_are_two_ids(open: OpenStore<'_>) {
    let order = WorkflowId::from_trusted("order-1");
    let of = |namespace: &str| order.in_namespace(&name(namespace));
    let named = |number, namespace: &str, status| {
        let mut record = turn(number, 1, 20, status);
        if let Some(new) = &mut record.opens {
            new.workflow_id = of(namespace);
        }
        record
    };
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let sleeping = TurnRecord {
        wake: Some(Timestamp::from_micros(1)),
        ..named(3, "payments", RunStatus::Running)
    };
    let turns = vec![
        named(1, "default", RunStatus::Completed),
        named(2, "payments", RunStatus::Failed),
        sleeping,
        named(4, "mail", RunStatus::Completed),
        named(5, "mail", RunStatus::Completed),
    ];
    commit(&*store, epoch, turns);
    store.delete(epoch, &[run_id(5)]).expect("deleted");
    let check = |store: &dyn Store| {
        let newest = |namespace: &str| store.find(&of(namespace)).expect("readable").map(|head| head.run_id);
        let found = ["default", "payments", "mail", "none"].map(newest);
        assert_eq!(found, [Some(run_id(1)), Some(run_id(3)), Some(run_id(4)), None]);
        let runs = store.runs_of(&of("payments"), None, 10).expect("readable");
        let runs: Vec<RunId> = runs.iter().map(|head| head.run_id).collect();
        assert_eq!(runs, [run_id(3), run_id(2)]);
        let head = store.head(run_id(3)).expect("readable").expect("there");
        assert_eq!(
            (head.workflow_id.as_str(), head.workflow_id.namespace()),
            ("order-1", "payments")
        );
        let wake = RunWake {
            run_id: run_id(3),
            workflow_id: of("payments"),
            at: Timestamp::from_micros(1),
        };
        assert_eq!(store.wakes(None, 10).expect("readable"), [wake]);
        let known = Known {
            types: SearchAttributeTypes::default(),
            ..Known::default()
        };
        let listed = |namespace: Option<&str>, query: &str| -> Vec<RunId> {
            let parsed = Query::parse(query, &known).expect("a query");
            let query = ListQuery {
                namespace: namespace.map(name),
                filter: Some(parsed.filter),
                ..ListQuery::default()
            };
            let page = store.list(&query).expect("readable");
            page.iter().map(|head| head.run_id).collect()
        };
        for query in ["", "WorkflowId = 'order-1'", "WorkflowId IN ('order-1', 'order-2')"] {
            assert_eq!(listed(None, query), [4, 3, 2, 1].map(run_id), "of all: {query}");
            assert_eq!(listed(Some("default"), query), [run_id(1)], "{query}");
            assert_eq!(listed(Some("payments"), query), [3, 2].map(run_id), "{query}");
            assert_eq!(listed(Some("none"), query), [], "{query}");
        }
        assert_eq!(listed(Some("payments"), "CloseTime IS NULL"), [run_id(3)]);
        assert_eq!(listed(Some("default"), "CloseTime IS NULL"), []);
        expect_sound(store);
    };
    check(&*store);
    store.passivate(run_id(3));
    drop(store);
    check(&*open(Open::Again));
}
