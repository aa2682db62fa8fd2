//! What comes out is what went in: histories, refusals, definitions. Must not live here: looking runs up.

use super::*;

pub(super) fn histories_come_back_as_committed(open: OpenStore<'_>) {
    use RunStatus as S;
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    commit(
        &*store,
        epoch,
        vec![turn(1, 1, 1, S::Running), turn(2, 1, 500, S::Running)],
    );
    commit(&*store, epoch, vec![turn(2, 2, 0, S::Unwinding)]);
    let whole_run = vec![
        turn(3, 1, 10, S::Running),
        turn(3, 2, 20, S::Running),
        turn(3, 3, 30, S::Completed),
    ];
    commit(&*store, epoch, whole_run);
    commit(
        &*store,
        epoch,
        vec![turn(2, 3, 4_096, S::Amended), turn(4, 1, 77, S::TimedOut)],
    );
    let check = |store: &dyn Store| {
        expect_history(store, 1, &[1]);
        expect_history(store, 2, &[500, 0, 4_096]);
        expect_history(store, 3, &[10, 20, 30]);
        expect_history(store, 4, &[77]);
        let two = head(store, 2);
        assert_eq!((two.turns, two.next_event, two.history_bytes), (3, 9, 4_596));
        assert_eq!(
            (two.status, two.started_at),
            (S::Amended, Timestamp::from_micros(2_001))
        );
        assert_eq!(two.closed_at, Some(Timestamp::from_micros(2_003)));
        assert_eq!(head(store, 1).closed_at, None);
        expect_sound(store);
    };
    check(&*store);
    commit(&*store, epoch, vec![turn(5, 1, 1, S::Running)]);
    check(&*store);
    drop(store);
    check(&*open(Open::Again));
}

pub(super) fn large_turns_come_back_as_committed(open: OpenStore<'_>) {
    const TWO_MIB: usize = 2 * 1024 * 1024;
    let sizes = [4_095, 4_096, 4_097, TWO_MIB, 1];
    let mut store = open(Open::Fresh);
    for (seq, bytes) in (1..).zip(sizes) {
        let status = if seq == 5 {
            RunStatus::Completed
        } else {
            RunStatus::Running
        };
        let epoch = store.claim().expect("claimed");
        commit(
            &*store,
            epoch,
            vec![turn(1, seq, bytes, status), turn(seq + 1, 1, 8, status)],
        );
        let stored: Vec<usize> = sizes.iter().copied().take(usize::try_from(seq).unwrap_or(0)).collect();
        expect_history(&*store, 1, &stored);
        drop(store);
        store = open(Open::Again);
        expect_history(&*store, 1, &stored);
    }
    expect_sound(&*store);
}

pub(super) fn refused_batches_change_nothing(open: OpenStore<'_>) {
    use RunStatus as S;
    let store = open(Open::Fresh);
    let epoch = store.claim().expect("claimed");
    commit(
        &*store,
        epoch,
        vec![turn(1, 1, 9, S::Running), turn(2, 1, 9, S::Completed)],
    );
    let good = turn(7, 1, 9, S::Running);
    let no_opening = TurnRecord {
        opens: None,
        ..turn(3, 1, 9, S::Running)
    };
    let second_opening = TurnRecord {
        opens: turn(1, 1, 1, S::Running).opens,
        ..turn(1, 2, 9, S::Running)
    };
    let cases = [
        ("a repeated turn", turn(1, 1, 9, S::Running)),
        ("a gap", turn(1, 3, 9, S::Running)),
        ("a turn after the end", turn(2, 2, 9, S::Running)),
        ("a run that begins in the middle", turn(3, 2, 9, S::Running)),
        ("a run without a beginning", no_opening),
        ("a run that begins twice", second_opening),
    ];
    for (why, bad) in cases {
        refuse(&*store, epoch, vec![good.clone(), bad], why);
    }
    let twice = vec![turn(1, 2, 9, S::Running), turn(1, 2, 9, S::Running)];
    refuse(&*store, epoch, twice, "a turn twice in one batch");
    let after_end = vec![turn(1, 2, 9, S::Failed), turn(1, 3, 9, S::Running)];
    refuse(&*store, epoch, after_end, "a turn after the end in one batch");
    let check = |store: &dyn Store| {
        assert_eq!(
            store.head(run_id(7)).expect("readable"),
            None,
            "a refused batch is refused as a whole"
        );
        assert_eq!(store.definition(DefinitionDigest([1; 32])).expect("readable"), None);
        expect_history(store, 1, &[9]);
        expect_sound(store);
    };
    check(&*store);
    drop(store);
    let store = open(Open::Again);
    check(&*store);
    let epoch = store.claim().expect("claimed");
    refuse(
        &*store,
        epoch,
        vec![turn(2, 2, 9, S::Running)],
        "a turn after the end, after reopening",
    );
    commit(&*store, epoch, vec![turn(1, 2, 9, S::Running)]);
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
        assert_eq!(open_runs(&*store).len(), 1);
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
    assert_eq!(open_runs(&*store).len(), 6);
    let report = store.verify(&mut |_| {}).expect("can be checked");
    let turns: usize = sizes.iter().map(Vec::len).sum();
    assert_eq!((report.runs, report.turns), (RUNS, u64::try_from(turns).unwrap_or(0)));
    assert_eq!(report.problems, Vec::new());
}
