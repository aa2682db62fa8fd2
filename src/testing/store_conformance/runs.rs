//! Runs as a whole: looking them up, listing, deleting, owning. Must not live here: what their turns contain.

use super::*;

pub(super) fn an_empty_store_has_nothing(open: OpenStore<'_>) {
    for which in [Open::Fresh, Open::Again] {
        let store = open(which);
        let id = WorkflowId::from_trusted("order-1");
        assert_eq!(store.history(run_id(1)).expect("readable"), None);
        assert_eq!(store.head(run_id(1)).expect("readable"), None);
        assert_eq!(store.find(&id).expect("readable"), None);
        assert_eq!(store.wakes(None, usize::MAX).expect("readable"), Vec::new());
        assert_eq!(store.list(&ListQuery::default()).expect("readable"), Vec::new());
        assert_eq!(store.definition(DefinitionDigest([1; 32])).expect("readable"), None);
        expect_sound(&*store);
    }
}

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

pub(super) fn the_runs_of_an_id_come_in_pages_newest_first(open: OpenStore<'_>) {
    const RUNS: u64 = 60;
    let named = |number: u64| {
        let mut first = turn(number, 1, 20, RunStatus::Completed);
        if let Some(new) = &mut first.opens {
            // Every third run has the name; two others begin with it.
            let name = match number % 3 {
                0 => "a",
                1 => "a\0",
                _ => "ab",
            };
            new.workflow_id = WorkflowId::from_trusted(name);
        }
        first
    };
    let check = |store: &dyn Store, expected: &[u64]| {
        let id = WorkflowId::from_trusted("a");
        let page = |before: Option<u64>, limit| {
            let heads = store.runs_of(&id, before.map(run_id), limit).expect("readable");
            assert!(heads.iter().all(|head| head.workflow_id == id && head.turns == 1));
            heads.into_iter().map(|head| head.run_id).collect::<Vec<_>>()
        };
        let all: Vec<RunId> = expected.iter().copied().map(run_id).collect();
        assert_eq!(page(None, usize::MAX), all);
        assert_eq!(page(None, 7), all.iter().copied().take(7).collect::<Vec<_>>());
        assert_eq!(page(Some(31), 3), [30, 27, 24].map(run_id));
        assert_eq!(page(Some(30), 3), [27, 24, 21].map(run_id), "older than that one");
        assert_eq!(page(Some(3), 9), [run_id(0)]);
        assert_eq!(page(Some(0), 9), []);
        assert_eq!(page(None, 0), []);
        let nobody = store.runs_of(&WorkflowId::from_trusted("b"), None, 9);
        assert_eq!(nobody.expect("readable"), []);
    };
    let mut expected: Vec<u64> = (0..RUNS).rev().filter(|number| number % 3 == 0).collect();
    let mut store = open(Open::Fresh);
    // Some were there before the store was opened again, whatever has become of them; an old one comes last.
    for numbers in [1..RUNS / 2, RUNS / 2..RUNS, 0..1] {
        let epoch = store.claim().expect("claimed");
        for number in numbers {
            commit(&*store, epoch, vec![named(number)]);
        }
        drop(store);
        store = open(Open::Again);
    }
    check(&*store, &expected);
    let epoch = store.claim().expect("claimed");
    store.delete(epoch, &[run_id(57), run_id(12)]).expect("deleted");
    expected.retain(|number| ![57, 12].contains(number));
    check(&*store, &expected);
    drop(store);
    check(&*open(Open::Again), &expected);
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
        let open_runs = open_runs(store);
        let found: Vec<_> = open_runs
            .iter()
            .map(|head| (head.run_id, head.status, head.wake))
            .collect();
        let expected = [(1, S::Running, Some(due)), (2, S::Stuck, None), (4, S::Parked, None)];
        assert_eq!(
            found,
            expected.map(|(number, status, wake)| (run_id(number), status, wake))
        );
        let wake = RunWake {
            run_id: run_id(1),
            workflow_id: WorkflowId::from_trusted("order-1"),
            at: due,
        };
        assert_eq!(store.wakes(None, 10).expect("readable"), [wake]);
        assert_eq!(store.wakes(Some(run_id(1)), 10).expect("readable"), []);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    commit(&*store, epoch, vec![turn(1, 2, 30, S::Running)]);
    assert_eq!(head(&*store, 1).wake, None, "a wake-up holds until the next turn");
    assert_eq!(store.wakes(None, 10).expect("readable"), []);
}

pub(super) fn wakes_come_in_pages(open: OpenStore<'_>) {
    const RUNS: u64 = 200;
    let at = |number: u64, seq: u64| Timestamp::from_micros(i64::try_from(number * 10 + seq).unwrap_or(0));
    let mut expected = std::collections::BTreeMap::new();
    let mut store = open(Open::Fresh);
    for seq in 1..=4 {
        let epoch = store.claim().expect("claimed");
        for number in 0..RUNS {
            // Every third run only waits, or ends at last; the others are to be woken, each time at another time.
            let waits = number % 3 == seq % 3;
            let wake = (!waits).then(|| at(number, seq));
            let status = match waits && seq == 4 {
                true => RunStatus::Completed,
                false => RunStatus::Running,
            };
            let turn = TurnRecord {
                wake,
                ..turn(number, seq, 30, status)
            };
            commit(&*store, epoch, vec![turn]);
            match wake {
                Some(at) => expected.insert(run_id(number), at),
                None => expected.remove(&run_id(number)),
            };
            if number % 4 != seq % 4 {
                store.passivate(run_id(number));
            }
        }
        for limit in [1, 7, 1_000] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.wakes(after, limit).expect("readable");
                assert!(page.len() <= limit, "more than asked for");
                let Some(last) = page.last() else { break };
                after = Some(last.run_id);
                found.extend(page.iter().map(|wake| (wake.run_id, wake.at)));
            }
            assert!(
                found == expected.clone().into_iter().collect::<Vec<_>>(),
                "after {seq} turns, {limit} at a time"
            );
        }
        if seq % 2 == 0 {
            drop(store);
            store = open(Open::Again);
        }
    }
    expect_sound(&*store);
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

pub(super) fn pages_are_oldest_first_and_complete(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    // Committed out of their order; two thirds have ended, some of them with a history of their own, and two are deleted.
    for number in (1..=60).rev() {
        let (status, bytes) = match number % 3 {
            0 => (RunStatus::Running, 30),
            1 => (RunStatus::Completed, 30),
            _ => (RunStatus::Failed, 5_000),
        };
        commit(&*store, epoch, vec![turn(number, 1, bytes, status)]);
    }
    store.delete(epoch, &[run_id(4), run_id(41)]).expect("deleted");
    let there: Vec<RunId> = (1..=60)
        .filter(|number| ![4, 41].contains(number))
        .map(run_id)
        .collect();
    let check = |store: &dyn Store| {
        let walk = |below: RunId, limit: usize| {
            let mut met: Vec<RunId> = Vec::new();
            loop {
                let page = store.oldest(met.last().copied(), below, limit).expect("readable");
                assert!(page.len() <= limit);
                for head in &page {
                    assert_eq!(store.head(head.run_id).expect("readable").as_ref(), Some(head));
                }
                if page.is_empty() {
                    return met;
                }
                met.extend(page.iter().map(|head| head.run_id));
            }
        };
        for limit in [1, 7, 1_000] {
            assert_eq!(walk(run_id(1_000), limit), there);
            let older: Vec<RunId> = there.iter().copied().filter(|run| *run < run_id(31)).collect();
            assert_eq!(walk(run_id(31), limit), older, "the bound itself is left out");
        }
        let page = |after, below| {
            store
                .oldest(Some(run_id(after)), run_id(below), 10)
                .expect("readable")
                .len()
        };
        assert_eq!((page(60, 100), page(20, 10), page(3, 5)), (0, 0, 0));
        assert_eq!(store.oldest(None, run_id(1_000), 0).expect("readable"), Vec::new());
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    let end = TurnRecord {
        opens: None,
        ..turn(3, 2, 30, RunStatus::Completed)
    };
    commit(&*store, epoch, vec![end]);
    check(&*store);
}

pub(super) fn deleted_runs_are_gone(open: OpenStore<'_>) {
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    let closed = (1..=4)
        .map(|number| turn(number, 1, 5_000, RunStatus::Completed))
        .collect();
    commit(&*store, epoch, closed);
    commit(
        &*store,
        epoch,
        vec![turn(5, 1, 10, RunStatus::Running), turn(6, 1, 10, RunStatus::Failed)],
    );
    // One that was closed long ago, one just now, an open one, an unknown one, one twice.
    let doomed = [run_id(2), run_id(6), run_id(5), run_id(77), run_id(2)];
    store.delete(epoch, &doomed).expect("deleted");
    let check = |store: &dyn Store| {
        for number in [2, 6] {
            assert_eq!(store.history(run_id(number)).expect("readable"), None);
            assert_eq!(store.head(run_id(number)).expect("readable"), None);
            let id = WorkflowId::from_trusted(format!("order-{number}"));
            assert_eq!(store.find(&id).expect("readable"), None);
        }
        expect_history(store, 1, &[5_000]);
        expect_history(store, 5, &[10]);
        let listed = store.list(&ListQuery::default()).expect("readable");
        let listed: Vec<_> = listed.iter().map(|head| head.run_id).collect();
        assert_eq!(listed, [5, 4, 3, 1].map(run_id));
        expect_sound(store);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    commit(
        &*store,
        epoch,
        vec![turn(5, 2, 10, RunStatus::Completed), turn(2, 1, 10, RunStatus::Running)],
    );
    expect_history(&*store, 2, &[10]);
    expect_sound(&*store);
}

pub(super) fn earlier_owners_are_fenced(open: OpenStore<'_>) {
    let fenced = |result: Result<(), Error>| matches!(result, Err(Error::Fenced { .. }));
    let store = open(Open::Fresh);
    let first = store.claim().expect("claimed");
    commit(&*store, first, vec![turn(1, 1, 10, RunStatus::Completed)]);
    let second = store.claim().expect("claimed");
    assert!(second > first, "epochs grow");
    let batch = CommitBatch {
        turns: vec![turn(2, 1, 10, RunStatus::Running)],
        definitions: Vec::new(),
    };
    assert!(fenced(store.commit(first, &batch)), "an earlier owner commits");
    assert!(fenced(store.delete(first, &[run_id(1)])), "an earlier owner deletes");
    assert_eq!(store.head(run_id(2)).expect("readable"), None);
    commit(&*store, second, vec![turn(3, 1, 10, RunStatus::Running)]);
    drop(store);
    let store = open(Open::Again);
    let third = store.claim().expect("claimed");
    assert!(third > second, "epochs grow over reopening");
    assert!(
        fenced(store.commit(second, &batch)),
        "an owner from before reopening commits"
    );
    expect_history(&*store, 1, &[10]);
}

pub(super) fn an_owner_that_goes_is_remembered_until_another_one_comes(open: OpenStore<'_>) {
    let at = Timestamp::from_micros(7_000_000);
    let store = open(Open::Fresh);
    let first = store.claim().expect("claimed");
    commit(&*store, first, vec![turn(1, 1, 10, RunStatus::Completed)]);
    assert_eq!(store.left_at(), None);
    store.leave(first, at).expect("the owner goes");
    drop(store);
    for _ in 0..2 {
        let store = open(Open::Again);
        expect_history(&*store, 1, &[10]);
        assert_eq!(store.left_at(), Some(at), "whoever only reads changes nothing");
    }
    let store = open(Open::Again);
    let second = store.claim().expect("claimed");
    assert_eq!(store.left_at(), None, "it has another owner");
    let late = store.leave(first, at);
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    store.leave(second, at).expect("the owner goes");
    commit(&*store, second, vec![turn(2, 1, 10, RunStatus::Running)]);
    assert_eq!(store.left_at(), None, "it was not gone");
    store.leave(second, at).expect("the owner goes");
    store.delete(second, &[run_id(1)]).expect("deleted");
    drop(store);
    assert_eq!(open(Open::Again).left_at(), None, "it was not gone");
}
