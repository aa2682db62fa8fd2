//! Room at the end of the database's file, and commits that are a single write: whatever the moment of a kill, nothing
//! is lost.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::super::room::{SEGMENT_BYTES, trim};
use super::*;

/// What a kill at this moment would leave.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn file_bytes(directory: &Path) -> u64 {
    fs::metadata(directory.join("db")).unwrap().len()
}

#[test]
fn room_is_made_ahead_and_a_kill_at_any_moment_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path(), SledOptions::default()).unwrap();
    store.claim().unwrap();
    let mut commits = 0;
    // Small commits, as long as it takes until the other thread has made room; then some more.
    let mut more = 40;
    while more > 0 {
        commits += 1;
        let (run, seq) = (commits / 2, 1 + commits % 2);
        let status = if seq == 2 {
            RunStatus::Completed
        } else {
            RunStatus::Running
        };
        if commits > 1 {
            commit(&store, vec![turn(run, seq, 1_500, status)]);
        }
        more -= i32::from(file_bytes(directory.path()) > 4 * 1024 * 1024);
        if commits % 25 == 0 {
            let copied = copies.path().join(commits.to_string());
            copy(directory.path(), &copied);
            let opened = open(&copied);
            assert_eq!(opened.verify(&mut |_| {}).unwrap().problems, Vec::new());
            for run in 1..=commits / 2 {
                let turns = opened.history(run_id(run)).unwrap().unwrap().len() as u64;
                assert_eq!(
                    turns,
                    if run * 2 < commits { 2 } else { 1 },
                    "run {run} after {commits}"
                );
            }
            drop(opened);
            fs::remove_dir_all(&copied).unwrap();
        }
    }
    drop(store);
    let before = file_bytes(directory.path());
    let store = open(directory.path());
    assert!(file_bytes(directory.path()) < before, "the room is taken away again");
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    commit(&store, vec![turn(900_000, 1, 10, RunStatus::Running)]);
}

#[test]
fn zeros_at_the_end_are_nothing_to_sled_either() {
    let directory = tempfile::tempdir().unwrap();
    small_store(directory.path());
    let path = directory.path().join("db");
    let keys = || {
        raw(directory.path())
            .iter()
            .keys()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    let before = keys();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&vec![0; 3_000_000]).unwrap();
    assert_eq!(keys(), before);
    file.write_all(&vec![0; 3_000_000]).unwrap();
    let store = open(directory.path());
    assert_eq!(store.history(run_id(2)).unwrap().unwrap().len(), 2);
}

#[test]
fn only_whole_segments_of_zeros_are_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    trim(&path).unwrap();
    assert!(!path.exists(), "a new store has no file yet");
    let segment = usize::try_from(SEGMENT_BYTES).unwrap();
    for (data, zeros, left) in [
        (0, 0, 0),
        (1, 0, 1),
        (1, 5 * segment, segment),
        (segment, 3 * segment + 9, segment),
        (segment + 7, 100, segment + 107),
        (0, 2 * segment, 0),
    ] {
        let mut bytes = vec![7; data];
        bytes.resize(data + zeros, 0);
        fs::write(&path, &bytes).unwrap();
        trim(&path).unwrap();
        assert!(fs::read(&path).unwrap() == bytes[..left], "{data} and {zeros}");
    }
}

#[test]
fn commits_of_one_value_leave_the_rest_of_the_work_to_later_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    let queued = |store: &SledStore| store.writer().unwrap().queue.len();
    let mut most = 0;
    for run in 1..=200 {
        commit(&store, vec![turn(run, 1, 100, RunStatus::Completed)]);
        most = most.max(queued(&store));
    }
    assert!((2..=40).contains(&most), "{most}");
    // Read back whether they are still in memory or not.
    for run in 1..=200 {
        assert_eq!(store.history(run_id(run)).unwrap().unwrap().len(), 1);
    }
    commit(&store, Vec::new());
    assert_eq!(queued(&store), 0);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
    drop(store);
    let store = open(directory.path());
    assert_eq!(
        store
            .list(&ListQuery {
                limit: 500,
                ..ListQuery::default()
            })
            .unwrap()
            .len(),
        200
    );
}
