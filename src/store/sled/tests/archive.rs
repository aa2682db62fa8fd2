//! The way from the log into the database: what goes, when the log is dropped, and what readers see meanwhile. Must not
//! live here: crashes on the way (that is `crash_points`).

use super::*;

#[test]
fn the_log_is_dropped_behind_and_open_runs_leave_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    // One run that stays open, then many large ones that come and go: more than the log may hold.
    commit(&store, vec![turn(1, 1, 100, RunStatus::Running)]);
    for number in 11..=50 {
        commit(&store, vec![turn(number, 1, 50_000, RunStatus::Completed)]);
    }
    archive(&store);
    assert!(
        segments(directory.path()).len() <= 4,
        "{:?}",
        segments(directory.path())
    );
    assert!(
        !store.shared.live().runs.contains_key(&run_id(1)),
        "the open run made way"
    );
    let log_bytes = log::lock(&store.shared.files).bytes();
    assert!(log_bytes < 1024 * 1024, "{log_bytes}");
    assert!(store.stats().bytes_on_disk > log_bytes);
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.head(run_id(1)).unwrap().unwrap().status, RunStatus::Running);
    assert_eq!(store.list(&ListQuery::default()).unwrap().len(), 41);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    commit(&store, vec![turn(1, 2, 100, RunStatus::Completed)]);
    assert_eq!(store.history(run_id(1)).unwrap().unwrap().len(), 2);
}

#[test]
fn runs_are_served_the_same_before_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    let mut runs: Vec<u64> = (0..400).map(|number| (number * 7) % 400).collect();
    // Some come late, between those that are there already.
    runs.rotate_left(130);
    for (at, number) in runs.iter().enumerate() {
        let bytes = 20 + usize::try_from(number % 13).unwrap() * 500;
        commit(&store, vec![turn(*number, 1, bytes, RunStatus::Completed)]);
        if at % 70 == 0 {
            archive(&store);
        }
    }
    archive(&store);
    assert!(store.shared.live().runs.is_empty());
    let check = |store: &SledStore| {
        let query = ListQuery {
            limit: 1_000,
            ..ListQuery::default()
        };
        let listed: Vec<RunId> = store.list(&query).unwrap().iter().map(|head| head.run_id).collect();
        assert!(listed == (0..400).rev().map(run_id).collect::<Vec<_>>());
        for number in 0..400 {
            let history = store.history(run_id(number)).unwrap().unwrap();
            let bytes = 20 + usize::try_from(number % 13).unwrap() * 500;
            assert!(history[0].bytes == turn(number, 1, bytes, RunStatus::Completed).bytes);
            let id = WorkflowId::from_trusted(format!("order-{number}"));
            assert_eq!(store.find(&id).unwrap().unwrap().run_id, run_id(number));
            let before = ListQuery {
                before: Some(run_id(number)),
                limit: 1,
                ..ListQuery::default()
            };
            let next = store.list(&before).unwrap().first().map(|head| head.run_id);
            assert_eq!(next, number.checked_sub(1).map(run_id));
        }
        assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    };
    check(&store);
    drop(store);
    check(&open(directory.path()));
}

#[test]
fn deleted_runs_are_gone_at_once_and_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    let same = |number, seq, status| {
        let mut turn = turn(number, seq, 6_000, status);
        if let Some(new) = &mut turn.opens {
            new.workflow_id = WorkflowId::from_trusted("same");
        }
        turn
    };
    let id = WorkflowId::from_trusted("same");
    let newest = |store: &SledStore| store.find(&id).unwrap().map(|head| head.run_id);
    for number in 1..=4 {
        commit(&store, vec![same(number, 1, RunStatus::Completed)]);
    }
    // Holds the log, so that it tells of the deletions again.
    commit(&store, vec![turn(9, 1, 10, RunStatus::Running)]);
    archive(&store);
    store.delete(epoch, &[run_id(4), run_id(2), run_id(4)]).unwrap();
    for again in 0..3 {
        assert_eq!(newest(&store), Some(run_id(3)), "{again}");
        assert_eq!(store.history(run_id(4)).unwrap(), None);
        assert_eq!(store.head(run_id(2)).unwrap(), None);
        assert_eq!(store.list(&ListQuery::default()).unwrap().len(), 3);
        assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
        archive(&store);
    }
    drop(store);
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    assert_eq!(newest(&store), Some(run_id(3)));
    store.delete(epoch, &[run_id(3), run_id(9)]).unwrap();
    assert_eq!(newest(&store), Some(run_id(1)));
    archive(&store);
    assert_eq!(store.list(&ListQuery::default()).unwrap().len(), 2, "an open run stays");
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    // An id may come again, while the old one is still there.
    store.delete(epoch, &[run_id(1)]).unwrap();
    commit(&store, vec![same(1, 1, RunStatus::Running)]);
    assert_eq!(newest(&store), Some(run_id(1)));
    commit(&store, vec![same(1, 2, RunStatus::Completed)]);
    archive(&store);
    assert_eq!(store.history(run_id(1)).unwrap().unwrap().len(), 2);
    store.delete(epoch, &[run_id(1)]).unwrap();
    archive(&store);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    let left = store.shared.disk.scan(keys::HISTORY).count();
    assert_eq!(left, 0, "chunks of deleted runs are removed");
}

#[test]
fn definitions_go_with_their_turns() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    let digest = DefinitionDigest([7; 32]);
    let saga = Bytes::from(vec![9; 10_000]);
    let batch = CommitBatch {
        turns: vec![turn(1, 1, 10, RunStatus::Running)],
        definitions: vec![(digest, saga.clone())],
    };
    store.commit(epoch, &batch).unwrap();
    assert_eq!(store.definition(digest).unwrap().as_ref(), Some(&saga));
    // A kill now: it is in the log only, or in both.
    let copied = tempfile::tempdir().unwrap();
    copy(directory.path(), copied.path());
    for directory in [directory.path(), copied.path()] {
        if directory == copied.path() {
            archive(&store);
            assert_eq!(store.definition(digest).unwrap().as_ref(), Some(&saga));
            let again = open(directory);
            assert_eq!(again.definition(digest).unwrap().as_ref(), Some(&saga));
            archive(&again);
            assert_eq!(again.verify(&mut |_| {}).unwrap().problems, Vec::new());
        }
    }
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}

#[test]
fn turns_that_come_while_a_run_is_on_its_way_stay_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    for seq in 1..=200 {
        let status = if seq == 200 {
            RunStatus::Completed
        } else {
            RunStatus::Running
        };
        // Larger than what stays in memory, so that the archive is at it all the time.
        commit(&store, vec![turn(1, seq, 9_000, status)]);
        assert_eq!(u64::try_from(store.history(run_id(1)).unwrap().unwrap().len()), Ok(seq));
    }
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.history(run_id(1)).unwrap().unwrap().len(), 200);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}

#[test]
fn a_failing_archive_stops_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 100, RunStatus::Completed)]);
    archive(&store);
    let pages: Vec<_> = store.shared.disk.scan(keys::HEAD).map(Result::unwrap).collect();
    store.shared.disk.db.insert(&pages[0].0, b"damaged").unwrap();
    commit(&store, vec![turn(2, 1, 100, RunStatus::Completed)]);
    // The archive wants to add to the page; commits go on until it has found out.
    let mut number = 3;
    let error = loop {
        let batch = CommitBatch {
            turns: vec![turn(number, 1, 10, RunStatus::Running)],
            definitions: Vec::new(),
        };
        match store.commit(epoch, &batch) {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    assert!(matches!(error, Error::Poisoned(_)), "{error}");
}

#[test]
fn commits_wait_for_the_archive_when_the_log_is_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = Sizes {
        segment_bytes: 32 * 1024,
        first_bytes: 32 * 1024,
        segments_target: 2,
        segments_max: 3,
        ..Sizes::default()
    };
    let store = open::open(directory.path(), &options(), sizes).unwrap();
    store.claim().unwrap();
    for number in 1..=300 {
        // Open, and small: nothing but the log's length brings them into the database.
        commit(&store, vec![turn(number, 1, 3_000, RunStatus::Running)]);
        let segments = log::lock(&store.shared.files).segments().len();
        assert!(segments <= 4, "{segments} after {number}");
    }
    let all = ListQuery {
        limit: usize::MAX,
        ..ListQuery::default()
    };
    assert_eq!(store.list(&all).unwrap().len(), 300);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}
