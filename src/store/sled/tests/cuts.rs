//! Power cuts that keep some of what sled wrote since the last sync, and not the rest: its file was not lengthened yet, or
//! only some blocks came to the disk. Must not live here: what a kill leaves (that is `crash_points`).

use std::sync::{Arc, Mutex};

use super::*;

const ROUNDS: u64 = 14;

/// Runs in a round: enough for sled to come to the next segment of its file every few rounds.
const RUNS: u64 = 160;

const BLOCK_BYTES: usize = 4_096;

/// A life of many rounds, a power cut after each: `cut` says what it leaves of the database's file as it was when it was
/// synced last and as it is now.
fn live(cut: impl Fn(&[u8], &[u8], u64) -> Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("db");
    let synced = Arc::new(Mutex::new(Vec::new()));
    let (probed, file) = (Arc::clone(&synced), database.clone());
    let probe = move |step: &'static str| {
        if step == "database synced" || step == "format synced" {
            *probed.lock().unwrap() = fs::read(&file).unwrap();
        }
    };
    let sizes = Sizes {
        segments_max: usize::MAX,
        probe: Some(Arc::new(probe)),
        ..Sizes::default()
    };
    let mut store = open::open(directory.path(), &options(), sizes).unwrap();
    store.shared.bell.stop();
    store.archive.take().unwrap().join().unwrap();
    store.claim().unwrap();
    for round in 0..ROUNDS {
        // Between those that are there already, so that pages of all ages are written anew.
        let numbers = (round * RUNS..(round + 1) * RUNS).map(|number| number * 7_919 % 100_000);
        commit(
            &store,
            numbers
                .map(|number| turn(number, 1, 700, RunStatus::Completed))
                .collect(),
        );
        archive(&store);
        store.shared.disk.db.flush().unwrap();
        let left = cut(&synced.lock().unwrap(), &fs::read(&database).unwrap(), round);
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        fs::write(copied.path().join("db"), left).unwrap();
        let opened = try_open(copied.path()).unwrap_or_else(|error| panic!("after round {round}: {error}"));
        let query = ListQuery {
            limit: usize::MAX,
            ..ListQuery::default()
        };
        let listed = u64::try_from(opened.list(&query).unwrap().len()).unwrap();
        assert_eq!(listed, (round + 1) * RUNS, "after round {round}");
        assert_eq!(opened.verify(&mut |_| {}).unwrap().problems, Vec::new());
    }
}

#[test]
fn a_power_cut_that_takes_the_end_of_the_file_loses_nothing() {
    live(|synced, now, _| now.get(..synced.len()).unwrap_or(now).to_vec());
}

#[test]
fn a_power_cut_that_keeps_every_other_block_loses_nothing() {
    live(|synced, now, round| {
        let mut left = now.to_vec();
        let both = left.chunks_mut(BLOCK_BYTES).zip(synced.chunks(BLOCK_BYTES));
        for (at, (left, synced)) in (0..).zip(both) {
            let odd = (((at * 0x9E37_79B9_u64) ^ (round * 0x85EB_CA6B)) >> 7) & 1;
            if odd == 1 && left.len() == synced.len() {
                left.copy_from_slice(synced);
            }
        }
        left
    });
}
