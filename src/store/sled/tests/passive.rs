//! Open runs that leave memory: what is kept of them where, that they come back with their next turn, and what may happen
//! between two steps of either. Must not live here: crashes (that is `crash_points`).

use super::races::{archive_all, commit_to, hooked};
use super::*;

/// Passivates a run, and has that done.
fn passivate(store: &SledStore, number: u64) {
    store.passivate(run_id(number));
    archive(store);
}

fn sizes_of(store: &SledStore, number: u64) -> Vec<usize> {
    let history = store.history(run_id(number)).unwrap().unwrap();
    history.iter().map(|turn| turn.bytes.len()).collect()
}

fn is_in_memory(shared: &Shared, number: u64) -> bool {
    shared.live().runs.contains_key(&run_id(number))
}

fn chunks_of(store: &SledStore, number: u64) -> u32 {
    store.shared.disk.head(run_id(number)).unwrap().unwrap().chunks
}

fn marks(store: &SledStore) -> usize {
    let mut marks = 0;
    let counted = store.shared.disk.each_entry(keys::OPEN, |_, _| {
        marks += 1;
        Ok(())
    });
    counted.unwrap();
    marks
}

#[test]
fn passivated_runs_leave_memory_and_come_back_with_their_next_turn() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.claim().unwrap();
    let numbers = 0..300;
    let mut sizes = Vec::new();
    for seq in 1..=4 {
        let turns = numbers.clone().map(|number| turn(number, seq, 250, RunStatus::Running));
        commit(&store, turns.collect());
        sizes.push(250);
        numbers.clone().for_each(|number| store.passivate(run_id(number)));
        archive(&store);
        assert!(store.shared.live().runs.is_empty(), "after turn {seq}");
        // Small ones are whole behind their heads.
        assert_eq!(chunks_of(&store, 7) > 0, seq == 4, "after turn {seq}");
        if seq % 2 == 0 {
            drop(store);
            store = open(directory.path());
            assert!(store.shared.live().runs.is_empty(), "opened after turn {seq}");
        }
        for number in numbers.clone() {
            assert_eq!(sizes_of(&store, number), sizes);
            let id = WorkflowId::from_trusted(format!("order-{number}"));
            assert_eq!(store.find(&id).unwrap().unwrap().turns, seq);
        }
        assert_eq!(marks(&store), 300);
        assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    }
    let last = numbers.clone().map(|number| turn(number, 5, 200, RunStatus::Completed));
    commit(&store, last.collect());
    archive(&store);
    assert_eq!(marks(&store), 0);
    assert!(store.shared.live().runs.is_empty());
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    drop(store);
    assert_eq!(sizes_of(&open(directory.path()), 7).len(), 5);
}

#[test]
fn an_open_run_in_the_database_only_is_not_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 100, RunStatus::Running)]);
    passivate(&store, 1);
    store.delete(epoch, &[run_id(1)]).unwrap();
    assert_eq!(sizes_of(&store, 1), [100]);
    commit(&store, vec![turn(1, 2, 100, RunStatus::Failed)]);
    archive(&store);
    store.delete(epoch, &[run_id(1)]).unwrap();
    archive(&store);
    assert_eq!(store.head(run_id(1)).unwrap(), None);
    assert_eq!(marks(&store), 0);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}

#[test]
fn a_run_does_not_leave_while_a_commit_relies_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(directory.path(), &sizes(), "block written", |shared| {
        archive_all(shared);
        assert!(is_in_memory(shared, 1), "the commit has seen it there");
    });
    store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 100, RunStatus::Running)]);
    store.passivate(run_id(1));
    hook.arm();
    commit(&store, vec![turn(1, 2, 100, RunStatus::Running)]);
    assert_eq!(store.head(run_id(1)).unwrap().unwrap().turns, 2);
    assert_eq!(sizes_of(&store, 1), [100, 100]);
    // The next commit finds it gone, or not.
    passivate(&store, 1);
    assert!(!is_in_memory(&store.shared, 1));
    commit(
        &store,
        vec![turn(1, 3, 100, RunStatus::Running), turn(1, 4, 100, RunStatus::Running)],
    );
    assert!(is_in_memory(&store.shared, 1));
    assert_eq!(sizes_of(&store, 1), [100; 4]);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}

#[test]
fn a_commit_that_nothing_follows_lets_them_go_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(directory.path(), &sizes(), "block written", archive_all);
    store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 100, RunStatus::Running)]);
    store.passivate(run_id(1));
    hook.arm();
    commit(&store, vec![turn(2, 1, 100, RunStatus::Running)]);
    assert!(!is_in_memory(&store.shared, 1));
    assert_eq!(sizes_of(&store, 1), [100]);
}

/// A reader has looked up where the turns are; then the run goes on, and all of it is written anew, elsewhere.
#[test]
fn a_history_is_read_whole_while_it_is_written_anew() {
    for (later, moves) in [(100, false), (3_000, true)] {
        let directory = tempfile::tempdir().unwrap();
        let (store, hook) = hooked(directory.path(), &sizes(), "history looked up", move |shared| {
            commit_to(shared, vec![turn(1, 2, later, RunStatus::Running)]);
            shared.live_mut().queue_idle(run_id(1));
            archive_all(shared);
        });
        store.claim().unwrap();
        commit(&store, vec![turn(1, 1, 100, RunStatus::Running)]);
        passivate(&store, 1);
        hook.arm();
        assert_eq!(sizes_of(&store, 1), [100], "as it was when it was looked up");
        assert_eq!(chunks_of(&store, 1) > 0, moves);
        assert_eq!(sizes_of(&store, 1), [100, later]);
    }
}

#[test]
fn however_many_are_passivated_at_once_none_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = hooked(directory.path(), &Sizes::default(), "", |_| {});
    store.claim().unwrap();
    let runs = u64::try_from(IDLE_MAX).unwrap() + 300;
    let all: Vec<u64> = (0..runs).collect();
    for some in all.chunks(1_000) {
        let turns = some.iter().map(|number| turn(*number, 1, 30, RunStatus::Running));
        commit(&store, turns.collect());
    }
    all.iter().for_each(|number| store.passivate(run_id(*number)));
    archive(&store);
    let live = store.shared.live();
    assert!(live.runs.is_empty(), "{} are still there", live.runs.len());
    assert!(live.runs.capacity() < all.len(), "the table has not become smaller");
}
