//! What runs can be found by, beside their heads. Must not live here: queries.

use std::sync::Arc;

use super::*;
use crate::model::{ParentRun, SearchAttributeValue};
use crate::store::FoundBy;

fn found_by<const N: usize>(attributes: [(&str, SearchAttributeValue); N]) -> Option<Arc<FoundBy>> {
    let parent = ParentRun {
        workflow_id: WorkflowId::from_trusted("parent"),
        run_id: run_id(0),
    };
    Some(Arc::new(FoundBy {
        parent: Some(parent),
        search_attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
    }))
}

fn with(number: u64, seq: u64, status: RunStatus, found_by: Option<Arc<FoundBy>>) -> TurnRecord {
    TurnRecord {
        found_by,
        ..turn(number, seq, 40, status)
    }
}

pub(super) fn what_runs_are_found_by_stays_with_them(open: OpenStore<'_>) {
    use RunStatus as S;
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let new = || found_by([("Stage", "new".into()), ("Amount", 99.5.into())]);
    let paid = || found_by([("Stage", "paid".into()), ("Tags", ["a", "b"].into())]);
    let first = (1..=4).map(|number| with(number, 1, S::Running, new())).collect();
    commit(&*store, epoch, first);
    commit(&*store, epoch, vec![turn(5, 1, 40, S::Running)]);
    // Passivated, changed, ended, and changed with its end.
    store.passivate(run_id(1));
    let second = vec![
        with(2, 2, S::Running, paid()),
        with(3, 2, S::Completed, None),
        with(4, 2, S::Failed, paid()),
        turn(5, 2, 40, S::Completed),
    ];
    commit(&*store, epoch, second);
    let check = |store: &dyn Store| {
        let found = (1..=5).map(|number| head(store, number).found_by);
        assert_eq!(found.collect::<Vec<_>>(), [new(), paid(), new(), paid(), None]);
        let listed = store.list(&ListQuery::default()).expect("readable");
        let listed: Vec<_> = listed.into_iter().rev().map(|head| head.found_by).collect();
        assert_eq!(listed, [new(), paid(), new(), paid(), None]);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    expect_sound(&*store);
    let epoch = store.claim().expect("claimed");
    commit(&*store, epoch, vec![with(1, 2, S::Completed, None)]);
    check(&*store);
    drop(store);
    check(&*open(Open::Again));
}
