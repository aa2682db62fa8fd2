//! Checks on finding runs: by id, open ones, pages, definitions. Must not live here: the turns themselves.

use super::*;

pub(super) fn the_newest_run_of_an_id_is_found(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let named = |number: u64, name: &str, status| {
        let mut first = turn(number, 1, 20, status);
        if let Some(new) = &mut first.opens {
            new.workflow_id = WorkflowId::from_trusted(name);
        }
        first
    };
    let newest = |store: &dyn Store, name: &str| {
        let found = store.find(&WorkflowId::from_trusted(name)).expect("readable");
        found.map(|head| head.run_id)
    };
    commit(&*store, epoch, vec![named(1, "a", RunStatus::Completed)]);
    assert_eq!(newest(&*store, "a"), Some(run_id(1)));
    commit(
        &*store,
        epoch,
        vec![named(2, "a", RunStatus::Failed), named(3, "a\0", RunStatus::Failed)],
    );
    assert_eq!(newest(&*store, "a"), Some(run_id(2)));
    // Ids that contain one another, and the longest one.
    let long = "x".repeat(255);
    commit(
        &*store,
        epoch,
        vec![named(4, "ab", RunStatus::Failed), named(5, &long, RunStatus::Running)],
    );
    commit(&*store, epoch, vec![named(6, "a", RunStatus::Running)]);
    let check = |store: &dyn Store| {
        assert_eq!(newest(store, "a"), Some(run_id(6)));
        assert_eq!(newest(store, "a\0"), Some(run_id(3)));
        assert_eq!(newest(store, "ab"), Some(run_id(4)));
        assert_eq!(newest(store, &long), Some(run_id(5)));
        assert_eq!(newest(store, "b"), None);
        assert_eq!(newest(store, ""), None);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    commit(
        &*store,
        epoch,
        vec![TurnRecord {
            opens: None,
            ..turn(6, 2, 5, RunStatus::Completed)
        }],
    );
    commit(&*store, epoch, vec![named(8, "b", RunStatus::Running)]);
    store.delete(epoch, &[run_id(6)]).expect("deleted");
    assert_eq!(
        newest(&*store, "a"),
        Some(run_id(2)),
        "the newest of those that are left"
    );
}

pub(super) fn open_runs_and_wakes_survive(open: OpenStore<'_>) {
    use RunStatus as S;
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let due = Timestamp::from_micros(5_000_000);
    let sleeping = TurnRecord {
        wake: Some(due),
        ..turn(1, 1, 30, S::Running)
    };
    commit(
        &*store,
        epoch,
        vec![sleeping, turn(2, 1, 30, S::Stuck), turn(3, 1, 30, S::Running)],
    );
    commit(
        &*store,
        epoch,
        vec![turn(3, 2, 30, S::Canceled), turn(4, 1, 30, S::Parked)],
    );
    let check = |store: &dyn Store| {
        let mut open_runs = store.open_runs().expect("readable");
        open_runs.sort_by_key(|head| head.run_id);
        let found: Vec<_> = open_runs
            .iter()
            .map(|head| (head.run_id, head.status, head.wake))
            .collect();
        let expected = [(1, S::Running, Some(due)), (2, S::Stuck, None), (4, S::Parked, None)];
        assert_eq!(
            found,
            expected.map(|(number, status, wake)| (run_id(number), status, wake))
        );
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    commit(&*store, epoch, vec![turn(1, 2, 30, S::Running)]);
    assert_eq!(head(&*store, 1).wake, None, "a wake-up holds until the next turn");
}

pub(super) fn pages_are_newest_first_and_complete(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    // Even runs end; every third one has another type.
    let make = |number: u64| {
        let status = if number.is_multiple_of(2) {
            RunStatus::Completed
        } else {
            RunStatus::Running
        };
        let mut first = turn(number, 1, 10, status);
        if let Some(new) = first.opens.as_mut().filter(|_| number.is_multiple_of(3)) {
            new.workflow_type = WorkflowType::from_trusted("refund");
        }
        first
    };
    for start in (0..30).step_by(10) {
        commit(&*store, epoch, (start..start + 10).map(make).collect());
    }
    let pages = |store: &dyn Store, query: &ListQuery| {
        let mut query = query.clone();
        let mut seen = Vec::new();
        loop {
            let page = store.list(&query).expect("readable");
            assert!(page.len() <= query.limit, "more than asked for");
            let Some(last) = page.last() else { return seen };
            query.before = Some(last.run_id);
            seen.extend(page.iter().map(|head| head.run_id));
        }
    };
    let expected = |wanted: &dyn Fn(u64) -> bool| -> Vec<RunId> {
        (0..30).rev().filter(|number| wanted(*number)).map(run_id).collect()
    };
    let check = |store: &dyn Store| {
        let all = ListQuery {
            limit: 7,
            ..ListQuery::default()
        };
        assert_eq!(pages(store, &all), expected(&|_| true));
        let closed = ListQuery {
            statuses: vec![RunStatus::Completed],
            ..all.clone()
        };
        assert_eq!(pages(store, &closed), expected(&|number| number % 2 == 0));
        let refund = Some(WorkflowType::from_trusted("refund"));
        let both = ListQuery {
            workflow_type: refund,
            ..closed
        };
        assert_eq!(pages(store, &both), expected(&|number| number % 6 == 0));
        assert_eq!(
            store.list(&ListQuery { limit: 0, ..all }).expect("readable"),
            Vec::new()
        );
    };
    check(&*store);
    drop(store);
    check(&*open(Open::Again));
}

pub(super) fn definitions_are_kept_once(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let small = (DefinitionDigest([1; 32]), content(1, 1, 10));
    let large = (DefinitionDigest([2; 32]), content(2, 2, 20_000));
    let batch = CommitBatch {
        turns: vec![turn(1, 1, 5, RunStatus::Running)],
        definitions: vec![small, large],
    };
    store.commit(epoch, &batch).expect("committed");
    let again = CommitBatch {
        turns: Vec::new(),
        ..batch.clone()
    };
    store
        .commit(epoch, &again)
        .expect("storing a definition again changes nothing");
    let check = |store: &dyn Store| {
        for (digest, bytes) in &batch.definitions {
            assert!(
                store.definition(*digest).expect("readable").as_ref() == Some(bytes),
                "{digest}"
            );
        }
        assert_eq!(store.definition(DefinitionDigest([3; 32])).expect("readable"), None);
        expect_sound(store);
    };
    check(&*store);
    drop(store);
    check(&*open(Open::Again));
}
