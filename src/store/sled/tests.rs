//! What only a store with a disk can be asked: reopening, locking, unusable directories and damage.

mod archive;
mod begun;
mod crash_points;
mod cuts;
mod damage;
mod pages;
mod passive;
mod races;
mod size;

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::model::RunStatus;
use crate::store::{Error, TurnRecord};
use crate::testing::store_conformance::{self, Open, run_id, turn};

/// What is lost in a power cut does not matter here, and syncing costs most of the time.
pub(super) fn options() -> SledOptions {
    SledOptions {
        durability: Durability::ProcessSafe,
        ..SledOptions::default()
    }
}

/// Segments that are soon full.
pub(super) fn sizes() -> Sizes {
    Sizes {
        segment_bytes: 128 * 1024,
        first_bytes: 64 * 1024,
        ..Sizes::default()
    }
}

pub(super) fn try_open(directory: &Path) -> Result<SledStore, Error> {
    open::open(directory, &options(), sizes())
}

pub(super) fn open(directory: &Path) -> SledStore {
    try_open(directory).unwrap()
}

/// Brings into the database what may go there.
pub(super) fn archive(store: &SledStore) {
    store.shared.gather_idle();
    while store.shared.archive().round(&store.shared).unwrap() > 0 {}
}

/// What a kill at this moment would leave.
pub(super) fn copy(from: &Path, to: &Path) {
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

/// The segments of the log, oldest first.
pub(super) fn segments(directory: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(directory.join("log")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    segments.retain(|path| path.extension().unwrap() == "log");
    segments.sort();
    segments
}

pub(super) fn commit(store: &SledStore, turns: Vec<TurnRecord>) {
    let epoch = store.shared.live().epoch;
    let definitions = Vec::new();
    store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
}

/// Three runs: one that ended and was written out, one that ended just now, one that is open.
fn small_store(directory: &Path) {
    let store = open(directory);
    store.claim().unwrap();
    commit(
        &store,
        vec![
            turn(1, 1, 900, RunStatus::Running),
            turn(2, 1, 6_000, RunStatus::Running),
        ],
    );
    commit(&store, vec![turn(1, 2, 900, RunStatus::Completed)]);
    commit(
        &store,
        vec![
            turn(2, 2, 20_000, RunStatus::Running),
            turn(3, 1, 10, RunStatus::Running),
        ],
    );
    commit(&store, vec![turn(3, 2, 5_000, RunStatus::Failed)]);
}

fn raw(directory: &Path) -> ::sled::Db {
    loop {
        // A database that was just dropped keeps its file for a moment.
        if let Ok(db) = ::sled::Config::new().path(directory).flush_every_ms(None).open() {
            return db;
        }
        std::thread::yield_now();
    }
}

fn error_of(directory: &Path) -> Error {
    match try_open(directory) {
        Ok(_) => panic!("the store opens"),
        Err(error) => error,
    }
}

#[test]
fn the_sled_store_conforms() {
    let mut directory = tempfile::tempdir().unwrap();
    store_conformance::check(&mut |which| {
        if which == Open::Fresh {
            directory = tempfile::tempdir().unwrap();
        }
        Box::new(open(directory.path()))
    });
}

#[test]
fn a_second_opener_is_told_so_and_the_next_one_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    assert!(matches!(error_of(directory.path()), Error::InUse { .. }));
    drop(first);
    drop(open(directory.path()));
}

#[test]
fn directories_that_cannot_be_used_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"not a directory").unwrap();
    let error = error_of(&file);
    assert!(
        matches!(&error, Error::Unusable { reason, .. } if reason.contains("file")),
        "{error}"
    );
    assert!(matches!(error_of(&file.join("below")), Error::Unusable { .. }));
    let occupied = directory.path().join("occupied");
    fs::create_dir_all(occupied.join("db")).unwrap();
    assert!(matches!(error_of(&occupied), Error::Unusable { .. }));
}

#[cfg(unix)]
#[test]
fn the_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new/data");
    drop(open(&data));
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_snapshot_that_was_never_finished_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    small_store(directory.path());
    fs::write(directory.path().join("snap.FFFFFFFFFFFFFFF0.generating"), b"half").unwrap();
    let store = open(directory.path());
    assert_eq!(store.history(run_id(2)).unwrap().unwrap().len(), 2);
}

#[test]
fn a_newer_format_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    small_store(directory.path());
    let db = raw(directory.path());
    let (key, value) = recover::format_record(7, [0; 16]);
    db.insert(key, value).unwrap();
    drop(db);
    let error = error_of(directory.path());
    assert!(
        matches!(
            error,
            Error::Format {
                found: 7,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_database_of_something_else_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    raw(directory.path()).insert(b"key", b"value").unwrap();
    assert!(matches!(error_of(directory.path()), Error::Corrupt { .. }));
    assert_eq!(raw(directory.path()).iter().count(), 1);
}

#[test]
fn every_single_lost_or_changed_value_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    small_store(directory.path());
    let keys: Vec<_> = raw(directory.path()).iter().keys().map(Result::unwrap).collect();
    let kinds: std::collections::BTreeSet<u8> = keys.iter().map(|key| key[0]).collect();
    assert!(kinds.is_superset(&b"FHORSW".iter().copied().collect()), "{kinds:?}");
    for (at, key) in keys.iter().enumerate() {
        let db = raw(directory.path());
        let good = db.get(key).unwrap().unwrap();
        let mut bad = good.to_vec();
        let middle = bad.len() / 2;
        bad[middle] ^= 4;
        if at % 2 == 0 {
            db.insert(key, bad).unwrap();
        } else {
            db.remove(key).unwrap();
        }
        drop(db);
        let noticed = match try_open(directory.path()) {
            Err(Error::Corrupt { .. }) => true,
            Err(other) => panic!("{other}"),
            Ok(store) => !store.verify(&mut |_| {}).unwrap().problems.is_empty(),
        };
        assert!(noticed, "key {at}: {key:?}");
        raw(directory.path()).insert(key, good).unwrap();
    }
    assert_eq!(open(directory.path()).verify(&mut |_| {}).unwrap().problems, Vec::new());
}

#[test]
fn a_lost_history_chunk_names_the_run_and_the_place() {
    let directory = tempfile::tempdir().unwrap();
    small_store(directory.path());
    raw(directory.path()).remove(keys::history(run_id(2), 3)).unwrap();
    let store = open(directory.path());
    let error = store.history(run_id(2)).unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { run: Some(run), .. } if *run == run_id(2)),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("history chunk 4 of 7, after turn 0, is missing"),
        "{error}"
    );
    assert_eq!(
        store.history(run_id(1)).unwrap().unwrap().len(),
        2,
        "other runs are served"
    );
}

#[test]
fn a_log_that_lost_its_tail_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 10, RunStatus::Running)]);
    commit(&store, vec![turn(1, 2, 10, RunStatus::Running)]);
    drop(store);
    let segment = segments(directory.path()).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // A header and three commits of a sector each.
    bytes[3 * 512..4 * 512].fill(0);
    fs::write(&segment, bytes).unwrap();
    let error = error_of(directory.path());
    assert!(
        error
            .to_string()
            .contains("ends with commit 2, but commit 3 was acknowledged"),
        "{error}"
    );
    // It is the witness that tells: without it, the commit never was.
    fs::remove_file(directory.path().join("amends.mark")).unwrap();
    assert_eq!(open(directory.path()).history(run_id(1)).unwrap().unwrap().len(), 1);
}

#[test]
fn readers_do_not_wait_for_a_commit_and_never_see_half_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path(), SledOptions::default()).unwrap();
    store.claim().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..60 {
                let whole = (1..=3).map(|seq| {
                    let status = if seq == 3 {
                        RunStatus::Completed
                    } else {
                        RunStatus::Running
                    };
                    turn(number, seq, 700, status)
                });
                commit(&store, whole.collect());
            }
        });
        let mut seen = 0;
        while seen < 60 {
            let page = store.list(&ListQuery::default()).unwrap();
            assert!(page.len() >= seen, "runs vanished");
            seen = page.len();
            for head in page {
                assert_eq!((head.turns, head.status), (3, RunStatus::Completed));
                assert_eq!(store.history(head.run_id).unwrap().unwrap().len(), 3);
                assert_eq!(store.find(&head.workflow_id).unwrap().unwrap().run_id, head.run_id);
            }
        }
    });
}

#[test]
fn a_failed_write_stops_everything_until_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 10, RunStatus::Running)]);
    store.shared.poison.set("no space left".to_owned()).unwrap();
    let batch = CommitBatch {
        turns: vec![turn(1, 2, 10, RunStatus::Running)],
        definitions: Vec::new(),
    };
    for result in [
        store.commit(epoch, &batch),
        store.delete(epoch, &[]),
        store.claim().map(drop),
    ] {
        assert!(
            matches!(&result, Err(Error::Poisoned(why)) if why.contains("no space left")),
            "{result:?}"
        );
    }
    assert_eq!(store.history(run_id(1)).unwrap().unwrap().len(), 1, "reading goes on");
    drop(store);
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    store.commit(epoch, &batch).unwrap();
}

#[test]
fn commits_that_are_too_large_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let epoch = store.claim().unwrap();
    let mut large = turn(1, 1, 0, RunStatus::Running);
    large.bytes = Bytes::from(vec![0; COMMIT_BYTES_MAX + 1]);
    let batch = CommitBatch {
        turns: vec![large],
        definitions: Vec::new(),
    };
    assert!(matches!(store.commit(epoch, &batch), Err(Error::Refused(_))));
    commit(&store, vec![turn(1, 1, 0, RunStatus::Running)]);
}
