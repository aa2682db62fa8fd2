//! Checks on turns: what is committed comes back, what is refused changes nothing. Must not live here: finding runs.

use super::*;

pub(super) fn an_empty_store_has_nothing(open: OpenStore<'_>) {
    for which in [Open::Fresh, Open::Again] {
        let store = open(which);
        let id = WorkflowId::from_trusted("order-1");
        assert_eq!(store.history(run_id(1)).expect("readable"), None);
        assert_eq!(store.head(run_id(1)).expect("readable"), None);
        assert_eq!(store.find(&id).expect("readable"), None);
        assert_eq!(store.open_runs().expect("readable"), Vec::new());
        assert_eq!(store.list(&ListQuery::default()).expect("readable"), Vec::new());
        assert_eq!(store.definition(DefinitionDigest([1; 32])).expect("readable"), None);
        expect_sound(&*store);
    }
}

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
