//! Checks on what happens to a store over time: passivation, deletion, other owners, reopening. Must not live here: single
//! commits.

use super::*;

pub(super) fn passivated_runs_go_on(open: OpenStore<'_>) {
    let mut store = open(Open::Fresh);
    let mut sizes = Vec::new();
    for seq in 1..=6 {
        let epoch = store.claim().expect("claimed");
        commit(&*store, epoch, vec![turn(1, seq, 3_000, RunStatus::Running)]);
        sizes.push(3_000);
        store.passivate(run_id(1));
        store.passivate(run_id(99));
        commit(&*store, epoch, vec![turn(1 + seq, 1, 10, RunStatus::Completed)]);
        expect_history(&*store, 1, &sizes);
        assert_eq!(head(&*store, 1).turns, seq);
        assert_eq!(store.open_runs().expect("readable").len(), 1);
        if seq.is_multiple_of(2) {
            drop(store);
            store = open(Open::Again);
            expect_history(&*store, 1, &sizes);
        }
    }
    let epoch = store.claim().expect("claimed");
    commit(&*store, epoch, vec![turn(1, 7, 10, RunStatus::Amended)]);
    commit(&*store, epoch, vec![turn(8, 1, 10, RunStatus::Running)]);
    sizes.push(10);
    expect_history(&*store, 1, &sizes);
    expect_sound(&*store);
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

pub(super) fn many_commits_survive_reopening(open: OpenStore<'_>) {
    const RUNS: u64 = 60;
    let mut store = open(Open::Fresh);
    let mut sizes: Vec<Vec<usize>> = vec![Vec::new(); usize::try_from(RUNS).unwrap_or(0)];
    // In each round every run gets a turn, unless it has ended: run n ends after 1 + n % 7 turns; every tenth never.
    for round in 1..=9 {
        let epoch = store.claim().expect("claimed");
        let mut turns = Vec::new();
        for (number, sizes) in (0..RUNS).zip(&mut sizes) {
            let (last, forever) = (1 + number % 7, number.is_multiple_of(10));
            if round > last && !forever {
                continue;
            }
            let status = if round == last && !forever {
                RunStatus::Completed
            } else {
                RunStatus::Running
            };
            let bytes = usize::try_from(number * 37 + round * 11).unwrap_or(0);
            turns.push(turn(number, round, bytes, status));
            sizes.push(bytes);
        }
        let rest = turns.split_off(turns.len() / 2);
        commit(&*store, epoch, turns);
        commit(&*store, epoch, rest);
        if round % 3 == 0 {
            drop(store);
            store = open(Open::Again);
        }
        for (number, sizes) in (0..RUNS).zip(&sizes) {
            expect_history(&*store, number, sizes);
        }
    }
    assert_eq!(store.open_runs().expect("readable").len(), 6);
    let report = store.verify(&mut |_| {}).expect("can be checked");
    let turns: usize = sizes.iter().map(Vec::len).sum();
    assert_eq!((report.runs, report.turns), (RUNS, u64::try_from(turns).unwrap_or(0)));
    assert_eq!(report.problems, Vec::new());
}
