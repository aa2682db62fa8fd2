//! The store's contract as a test suite: every store passes it, and whoever writes one runs it. Lives here: what can be
//! seen through the `Store` trait. Must not live here: any store's own format, crashes or damaged disks.
//!
//! ```
//! # use amends::{store::{MemoryStore, Store}, testing::store_conformance::{self, Open}};
//! let mut shared = MemoryStore::new();
//! store_conformance::check(&mut |open| {
//!     if open == Open::Fresh {
//!         shared = MemoryStore::new();
//!     }
//!     Box::new(shared.clone())
//! });
//! ```

use std::time::Duration;

use bytes::Bytes;

use crate::model::{DefinitionDigest, RunId, RunStatus, Timestamp, WorkflowId, WorkflowType};
use crate::store::{CommitBatch, Epoch, Error, ListQuery, NewRun, RunHead, Store, StoredTurn, TurnRecord};

/// Which store the suite asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A new, empty one.
    Fresh,
    /// The one that was handed out last, opened again. It has been dropped before.
    Again,
}

/// Hands out stores to the suite.
pub type OpenStore<'a> = &'a mut dyn FnMut(Open) -> Box<dyn Store>;

/// Runs the whole suite.
///
/// # Panics
/// When the store breaks the contract; the message says how.
pub fn check(open: OpenStore<'_>) {
    an_empty_store_has_nothing(open);
    histories_come_back_as_committed(open);
    large_turns_come_back_as_committed(open);
    refused_batches_change_nothing(open);
    the_newest_run_of_an_id_is_found(open);
    open_runs_and_wakes_survive(open);
    pages_are_newest_first_and_complete(open);
    definitions_are_kept_once(open);
    passivated_runs_go_on(open);
    deleted_runs_are_gone(open);
    earlier_owners_are_fenced(open);
    many_commits_survive_reopening(open);
}

/// The run number `number` of the suite; later numbers are newer.
#[must_use]
pub fn run_id(number: u64) -> RunId {
    RunId::from_parts(1_700_000_000_000 + number, &[0x5a; 10])
}

/// Turn `seq` of run `number`, with a content of `bytes` bytes that no other turn has; turn 1 opens the run.
#[must_use]
pub fn turn(number: u64, seq: u64, bytes: usize, status: RunStatus) -> TurnRecord {
    let opens = (seq == 1).then(|| NewRun {
        workflow_id: WorkflowId::from_trusted(format!("order-{number}")),
        workflow_type: WorkflowType::from_trusted("place_order"),
    });
    TurnRecord {
        run_id: run_id(number),
        seq,
        time: Timestamp::from_micros(i64::try_from(number * 1_000 + seq).unwrap_or(0)),
        bytes: content(number, seq, bytes),
        status,
        next_event: seq * 3,
        wake: None,
        opens,
    }
}

fn content(number: u64, seq: u64, bytes: usize) -> Bytes {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seq;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes().first().copied().unwrap_or(0)
    };
    std::iter::repeat_with(next).take(bytes).collect::<Vec<u8>>().into()
}

fn commit(store: &dyn Store, epoch: Epoch, turns: Vec<TurnRecord>) {
    let batch = CommitBatch {
        turns,
        definitions: Vec::new(),
    };
    store.commit(epoch, &batch).expect("the batch is valid");
}

fn refuse(store: &dyn Store, epoch: Epoch, turns: Vec<TurnRecord>, why: &str) {
    let definitions = vec![(DefinitionDigest([1; 32]), Bytes::from_static(b"must not be stored"))];
    let result = store.commit(epoch, &CommitBatch { turns, definitions });
    assert!(matches!(result, Err(Error::Refused(_))), "{why}: {result:?}");
}

fn expect_history(store: &dyn Store, number: u64, sizes: &[usize]) {
    let history = store.history(run_id(number)).expect("readable");
    let expected: Vec<StoredTurn> = (1..)
        .zip(sizes)
        .map(|(seq, bytes)| StoredTurn {
            seq,
            bytes: content(number, seq, *bytes),
        })
        .collect();
    // Not `assert_eq`: megabytes of bytes make no useful message.
    let turns = history.as_ref().map(Vec::len);
    assert!(
        history == Some(expected),
        "history of run {number} differs ({turns:?} turns)"
    );
}

fn expect_sound(store: &dyn Store) {
    let report = store.verify(&mut |_| {}).expect("can be checked");
    assert_eq!(report.problems, Vec::new());
}

fn head(store: &dyn Store, number: u64) -> RunHead {
    let head = store.head(run_id(number)).expect("readable");
    head.expect("the run was committed")
}

fn an_empty_store_has_nothing(open: OpenStore<'_>) {
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

fn histories_come_back_as_committed(open: OpenStore<'_>) {
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

fn large_turns_come_back_as_committed(open: OpenStore<'_>) {
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

fn refused_batches_change_nothing(open: OpenStore<'_>) {
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

fn the_newest_run_of_an_id_is_found(open: OpenStore<'_>) {
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

fn open_runs_and_wakes_survive(open: OpenStore<'_>) {
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

fn pages_are_newest_first_and_complete(open: OpenStore<'_>) {
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

fn definitions_are_kept_once(open: OpenStore<'_>) {
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

fn passivated_runs_go_on(open: OpenStore<'_>) {
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

fn deleted_runs_are_gone(open: OpenStore<'_>) {
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

fn earlier_owners_are_fenced(open: OpenStore<'_>) {
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

fn many_commits_survive_reopening(open: OpenStore<'_>) {
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
    assert!(store.stats().commit_time < Duration::from_secs(3_600));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn the_memory_store_conforms() {
        let mut shared = MemoryStore::new();
        check(&mut |open| {
            if open == Open::Fresh {
                shared = MemoryStore::new();
            }
            Box::new(shared.clone())
        });
    }
}
