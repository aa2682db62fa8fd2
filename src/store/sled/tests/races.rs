//! What happens between two steps of a commit, of the archive or of a reader, and what an opening owes to those before
//! it. Must not live here: crashes (that is `crash_points`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::*;

/// What is to be done at one step, once for each time that it is armed.
#[derive(Clone, Default)]
pub(super) struct Hook {
    armed: Arc<AtomicBool>,
    shared: Arc<OnceLock<Weak<Shared>>>,
}

impl Hook {
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

/// A store without the thread of its own, and with something that happens at one of its steps.
pub(super) fn hooked(
    directory: &Path,
    sizes: &Sizes,
    at: &'static str,
    act: impl Fn(&Shared) + Send + Sync + 'static,
) -> (SledStore, Hook) {
    let hook = Hook::default();
    let probed = hook.clone();
    let probe = move |step: &'static str| {
        if step == at
            && probed.armed.swap(false, Ordering::SeqCst)
            && let Some(shared) = probed.shared.get().and_then(Weak::upgrade)
        {
            act(&shared);
        }
    };
    let sizes = Sizes {
        probe: Some(Arc::new(probe)),
        ..sizes.clone()
    };
    let mut store = open::open(directory, &options(), sizes).unwrap();
    store.shared.bell.stop();
    store.archive.take().unwrap().join().unwrap();
    hook.shared.set(Arc::downgrade(&store.shared)).unwrap();
    (store, hook)
}

pub(super) fn archive_all(shared: &Shared) {
    shared.gather_idle();
    while shared.archive().round(shared).unwrap() > 0 {}
}

pub(super) fn commit_to(shared: &Shared, turns: Vec<TurnRecord>) {
    let epoch = shared.live().epoch;
    let definitions = Vec::new();
    shared.commit_batch(epoch, &CommitBatch { turns, definitions }).unwrap();
}

#[test]
fn a_segment_dropped_during_a_commit_leaves_room() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = Sizes {
        segment_bytes: 32 * 1024,
        first_bytes: 32 * 1024,
        segments_target: 2,
        segments_max: usize::MAX,
        ..Sizes::default()
    };
    let (store, hook) = hooked(directory.path(), &sizes, "block written", archive_all);
    store.claim().unwrap();
    for number in 1..=80 {
        hook.arm();
        commit(&store, vec![turn(number, 1, 3_000, RunStatus::Running)]);
        let segments = log::lock(&store.shared.files).segments().len();
        assert!(
            store.shared.bell.wait_for_room(segments),
            "commits wait for room although there are only {segments} segments, after {number}"
        );
    }
}

#[test]
fn a_list_does_not_bring_back_what_moves_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (store, hook) = hooked(directory.path(), &sizes(), "page read", |shared| {
        if shared.live().runs.contains_key(&run_id(2)) {
            commit_to(shared, vec![turn(2, 3, 100, RunStatus::Completed)]);
        }
        archive_all(shared);
    });
    let epoch = store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 100, RunStatus::Completed)]);
    commit(&store, vec![turn(2, 1, 100, RunStatus::Running)]);
    store.passivate(run_id(2));
    archive(&store);
    store.delete(epoch, &[run_id(1)]).unwrap();
    commit(&store, vec![turn(2, 2, 100, RunStatus::Stuck)]);
    hook.arm();
    let query = ListQuery {
        statuses: vec![RunStatus::Running, RunStatus::Completed],
        ..ListQuery::default()
    };
    let listed = store.list(&query).unwrap();
    assert!(!hook.armed.load(Ordering::SeqCst), "nothing moved");
    let of = |number| listed.iter().find(|head| head.run_id == run_id(number));
    assert_eq!(of(1), None, "it was deleted before");
    assert!(
        of(2).is_none_or(|head| head.status != RunStatus::Running),
        "it was stuck, then completed, but not running any more"
    );
}

#[test]
fn what_was_read_once_is_missed_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 10, RunStatus::Running)]);
    drop(store);
    // The witness is not synced: a power cut may take it.
    fs::remove_file(directory.path().join("amends.mark")).unwrap();
    let store = open(directory.path());
    assert_eq!(store.history(run_id(1)).unwrap().unwrap().len(), 1);
    drop(store);
    let segment = segments(directory.path()).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[2 * 512 + 30] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = error_of(directory.path());
    assert!(error.to_string().contains("commit 2 was acknowledged"), "{error}");
}

#[test]
fn opening_makes_the_log_durable_even_if_nothing_of_it_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.claim().unwrap();
    commit(&store, vec![turn(1, 1, 10, RunStatus::Completed)]);
    drop(store);
    // A kill right after the next segment was named: nobody has synced the directory, and nothing is in the segment.
    let log = directory.path().join("log");
    let made = fs::read(&segments(directory.path())[0]).unwrap();
    fs::write(log.join(format!("{:020}.log", 3)), &made[..8 * 512]).unwrap();
    let synced = Arc::new(AtomicBool::new(false));
    let probed = Arc::clone(&synced);
    let probe = move |step: &'static str| {
        if step == "log made durable" {
            probed.store(true, Ordering::SeqCst);
        }
    };
    let sizes = Sizes {
        probe: Some(Arc::new(probe)),
        ..sizes()
    };
    let store = open::open(directory.path(), &options(), sizes).unwrap();
    assert!(synced.load(Ordering::SeqCst), "the segment's name may be lost");
    commit(&store, vec![turn(2, 1, 10, RunStatus::Completed)]);
    drop(store);
    assert_eq!(open(directory.path()).list(&ListQuery::default()).unwrap().len(), 2);
}

#[test]
fn a_log_that_began_long_ago_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let first = segments(directory.path()).remove(0);
    fs::rename(&first, first.with_file_name(format!("{:020}.log", 7))).unwrap();
    for file in ["db", "conf", "amends.mark"] {
        fs::remove_file(directory.path().join(file)).unwrap();
    }
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    let error = error_of(directory.path());
    assert!(error.to_string().contains("there is a log"), "{error}");
}

#[test]
fn a_spare_segment_that_cannot_be_made_takes_no_space() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let log = directory.path().join("log");
    let wanted = log::lock(&store.shared.files).wanted().unwrap();
    for number in 0..10 {
        fs::create_dir_all(log.join(format!("spare.{number}/in the way"))).unwrap();
    }
    wanted.make().unwrap_err();
    let left = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with("unfinished"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
