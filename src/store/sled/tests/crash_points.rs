//! A kill, or a power cut, between any two steps of a scripted life: what was acknowledged is there afterwards. Must not
//! live here: damage to what a disk has kept (that is `damage`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;

/// Copies for each kind of step; more of the same kind show nothing new.
const COPIES_MAX: usize = 14;

const TURN_BYTES: usize = 900;

/// What was acknowledged: how many turns of each run; deleted runs have none.
type Acknowledged = BTreeMap<u64, u64>;

/// What a crash has left, and what must be in it.
struct Left {
    step: &'static str,
    directory: PathBuf,
    acknowledged: Acknowledged,
}

/// Watches a store, and takes copies.
struct Watch {
    directory: PathBuf,
    copies: PathBuf,
    acknowledged: Acknowledged,
    /// The database's files as they were when they were synced last.
    synced: Option<PathBuf>,
    taken: BTreeMap<&'static str, usize>,
    left: Vec<Left>,
}

impl Watch {
    fn step(&mut self, step: &'static str) {
        let taken = self.taken.entry(step).or_default();
        *taken += 1;
        let number = *taken;
        if step == "database synced" || step == "format synced" {
            let synced = self.copies.join(format!("synced at {step} {number}"));
            copy(&self.directory, &synced);
            fs::remove_dir_all(synced.join("log")).unwrap();
            self.synced = Some(synced);
        }
        // The first ones, and then fewer and fewer.
        if number > COPIES_MAX && !number.is_power_of_two() {
            return;
        }
        let killed = self.copies.join(format!("{step} {number}"));
        copy(&self.directory, &killed);
        if let Some(synced) = &self.synced {
            let cut = self.copies.join(format!("{step} {number}, cut"));
            copy(synced, &cut);
            copy(&self.directory.join("log"), &cut.join("log"));
            self.leave(step, cut);
        }
        self.leave(step, killed);
    }

    fn leave(&mut self, step: &'static str, directory: PathBuf) {
        self.left.push(Left {
            step,
            directory,
            acknowledged: self.acknowledged.clone(),
        });
    }
}

/// A store without the thread of its own, so that the steps come in the same order every time, and its watch.
fn watched(directory: &Path, copies: &Path) -> (SledStore, Arc<Mutex<Watch>>) {
    let watch = Arc::new(Mutex::new(Watch {
        directory: directory.to_owned(),
        copies: copies.to_owned(),
        acknowledged: Acknowledged::new(),
        synced: None,
        taken: BTreeMap::new(),
        left: Vec::new(),
    }));
    let probed = Arc::clone(&watch);
    let sizes = Sizes {
        probe: Some(Arc::new(move |step| probed.lock().unwrap().step(step))),
        ..small_sizes()
    };
    let mut store = open::open(directory, &options(), sizes).unwrap();
    store.shared.bell.stop();
    store.archive.take().unwrap().join().unwrap();
    (store, watch)
}

fn small_sizes() -> Sizes {
    Sizes {
        segment_bytes: 16 * 1024,
        first_bytes: 8 * 1024,
        segments_max: usize::MAX,
        ..Sizes::default()
    }
}

fn live(store: &SledStore, watch: &Mutex<Watch>) {
    let epoch = store.claim().unwrap();
    let acknowledge = |run, turns| watch.lock().unwrap().acknowledged.insert(run, turns);
    for number in 1..=70 {
        let status = if number % 9 == 0 {
            RunStatus::Running
        } else {
            RunStatus::Completed
        };
        for (seq, status) in [(1, RunStatus::Running), (2, status)] {
            let definitions = vec![(
                DefinitionDigest([u8::try_from(number / 20).unwrap(); 32]),
                Bytes::from_static(b"saga"),
            )];
            let turns = vec![turn(number, seq, TURN_BYTES, status)];
            store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
            acknowledge(number, seq);
        }
        match number % 10 {
            3 => archive(store),
            5 => store.passivate(run_id(number - 5)),
            7 => {
                let wanted = log::lock(&store.shared.files).wanted();
                if let Some(wanted) = wanted {
                    let made = wanted.make().unwrap();
                    log::lock(&store.shared.files).add_spare(made);
                }
            }
            8 if number > 10 && (number - 10) % 9 > 0 => {
                // Hidden at once; whether it is on disk is not asked until it is acknowledged.
                watch.lock().unwrap().acknowledged.remove(&(number - 10));
                store.delete(epoch, &[run_id(number - 10)]).unwrap();
                acknowledge(number - 10, 0);
            }
            _ => {}
        }
    }
}

fn check(left: &Left) {
    let what = left.directory.display();
    let store = match open::open(&left.directory, &options(), small_sizes()) {
        Ok(store) => store,
        Err(error) => panic!("{what}: {error}"),
    };
    for round in 0..2 {
        let problems = store.verify(&mut |_| {}).unwrap().problems;
        assert!(problems.is_empty(), "{what}: {problems:?}");
        for (number, turns) in &left.acknowledged {
            let history = store.history(run_id(*number)).unwrap().unwrap_or_default();
            let found = u64::try_from(history.len()).unwrap();
            // One more may have become durable without being acknowledged.
            let in_time = found == *turns || (*turns == 1 && found == 2);
            assert!(in_time, "{what}: run {number} has {found} of {turns} turns");
            for stored in &history {
                let expected = turn(*number, stored.seq, TURN_BYTES, RunStatus::Running);
                assert!(
                    stored.bytes == expected.bytes,
                    "{what}: turn {} of run {number}",
                    stored.seq
                );
            }
            let id = WorkflowId::from_trusted(format!("order-{number}"));
            let run = store.find(&id).unwrap().map(|head| head.run_id);
            assert_eq!(run, (*turns > 0).then(|| run_id(*number)), "{what}, round {round}");
        }
        // It goes on.
        archive(&store);
        let epoch = store.claim().unwrap();
        let turns = vec![turn(1_000 + round, 1, TURN_BYTES, RunStatus::Completed)];
        let definitions = Vec::new();
        store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
    }
}

#[test]
fn a_crash_between_any_two_steps_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let (store, watch) = watched(directory.path(), copies.path());
    live(&store, &watch);
    drop(store);
    let watch = watch.lock().unwrap();
    for step in [
        "log made",
        "format written",
        "format synced",
        "spare chosen",
        "segment renamed",
        "segment named for good",
        "block written",
        "round built",
        "round applied",
        "database synced",
        "segment dropped",
    ] {
        assert!(watch.taken.contains_key(step), "no crash {step}");
    }
    for left in &watch.left {
        assert!(!left.step.is_empty());
        check(left);
    }
}

/// The last block of a copy, as a write that was not finished leaves it.
#[test]
fn a_block_that_was_being_written_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let (store, watch) = watched(directory.path(), copies.path());
    live(&store, &watch);
    drop(store);
    let mut cut = 0;
    for left in &watch.lock().unwrap().left {
        if left.step != "block written" {
            continue;
        }
        let segment = segments(&left.directory).pop().unwrap();
        let mut bytes = fs::read(&segment).unwrap();
        let blocks = (512..bytes.len()).step_by(512);
        let Some(last) = blocks.rev().find(|at| bytes[*at..].starts_with(b"\xA3\xE6bl")) else {
            continue;
        };
        if bytes.len() < last + 1_024 {
            continue;
        }
        // Its second sector did not come to the disk; a block of an earlier life may be behind it.
        let stale = fs::metadata(&segment).unwrap().len() == 16 * 1024 && last + 2_048 < bytes.len();
        bytes[last + 512..last + 1_024].fill(if stale { 0x55 } else { 0 });
        fs::write(&segment, bytes).unwrap();
        match open::open(&left.directory, &options(), small_sizes()) {
            Ok(store) => {
                drop(store);
                check(left);
                cut += 1;
            }
            // The last block found was an earlier one, of which the witness or a later block tells.
            Err(Error::Corrupt { .. }) => {}
            Err(error) => panic!("{}: {error}", left.directory.display()),
        }
    }
    assert!(cut > 5, "{cut}");
}

#[test]
fn a_segment_whose_dropping_was_lost_is_ignored_and_one_that_is_missing_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let old = copies.path().join("old");
    let (store, watch) = watched(directory.path(), &copies.path().join("steps"));
    store.claim().unwrap();
    copy(directory.path(), &old);
    live(&store, &watch);
    archive(&store);
    drop(store);
    let first = segments(&old).remove(0);
    let back = directory.path().join("log").join(first.file_name().unwrap());
    assert!(!back.exists(), "it was dropped");
    fs::copy(&first, &back).unwrap();
    let reopened = |directory: &Path| open::open(directory, &options(), small_sizes());
    drop(reopened(directory.path()).unwrap());

    let needed = segments(directory.path());
    let aside = copies.path().join("aside");
    for path in needed.iter().rev().take(1) {
        fs::rename(path, &aside).unwrap();
        let error = reopened(directory.path()).map(drop).unwrap_err();
        assert!(error.to_string().contains("log"), "{error}");
        fs::rename(&aside, path).unwrap();
    }
    // One of another store.
    let other = copies.path().join("other");
    drop(reopened(&other).unwrap());
    let last = needed.last().unwrap();
    fs::copy(last, &aside).unwrap();
    fs::copy(&segments(&other)[0], last).unwrap();
    let error = reopened(directory.path()).map(drop).unwrap_err();
    assert!(error.to_string().contains("belongs to another store"), "{error}");
    fs::copy(&aside, last).unwrap();
    drop(reopened(directory.path()).unwrap());
    // And a database that has lost everything.
    fs::remove_file(directory.path().join("db")).unwrap();
    assert!(matches!(
        reopened(directory.path()),
        Err(Error::Corrupt { .. } | Error::Unusable { .. })
    ));
}
