//! Power cuts that keep some of what sled wrote since the last sync, and not the rest: its file was not lengthened yet, or
//! only some blocks came to the disk. Must not live here: what a kill leaves (that is `crash_points`).

use std::sync::{Arc, Mutex};

use super::*;

const ROUNDS: u64 = 14;

/// Runs in a round: enough for sled to fill two or three segments of its file in each.
const RUNS: u64 = 160;

const BLOCK_BYTES: usize = 4_096;

/// A life of many rounds, each read by somebody, and a power cut after each: `cut` says what it leaves of the database's file as it was when it was
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
        let query = ListQuery {
            limit: usize::MAX,
            ..ListQuery::default()
        };
        // Before that is synced: nobody asks when it is.
        for head in store.list(&query).unwrap() {
            store.find(&head.workflow_id).unwrap().unwrap();
        }
        store.shared.disk.db.flush().unwrap();
        let synced = synced.lock().unwrap();
        let mut now = fs::read(&database).unwrap();
        // sled cuts free segments off the end of its file on a thread of its own, at any time. That comes to the disk behind
        // all that was written before, so a shorter file beside blocks that are lost is no power cut: as long as any may
        // be, the file ends as it did.
        now.extend_from_slice(synced.get(now.len()..).unwrap_or_default());
        let left = cut(&synced, &now, round);
        drop(synced);
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        fs::write(copied.path().join("db"), left).unwrap();
        let opened = try_open(copied.path()).unwrap_or_else(|error| panic!("after round {round}: {error}"));
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

#[test]
fn whoever_reads_makes_the_database_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open::open(directory.path(), &options(), Sizes::default()).unwrap();
    store.shared.bell.stop();
    store.archive.take().unwrap().join().unwrap();
    let epoch = store.claim().unwrap();
    let written = || store.shared.disk.db.flush().unwrap();
    for round in 0..12_u64 {
        let numbers = (round * RUNS..(round + 1) * RUNS).map(|number| number * 7_919 % 100_000);
        // Some with history chunks of their own.
        let bytes = |number: u64| if number.is_multiple_of(5) { 9_000 } else { 300 };
        let turns = numbers.map(|number| turn(number, 1, bytes(number), RunStatus::Completed));
        commit(&store, turns.collect());
        if round % 3 == 2 {
            // So that nodes are joined, too.
            let heads = store
                .list(&ListQuery {
                    limit: usize::MAX,
                    ..ListQuery::default()
                })
                .unwrap();
            let gone: Vec<RunId> = heads.iter().skip(40).take(250).map(|head| head.run_id).collect();
            store.delete(epoch, &gone).unwrap();
        }
        archive(&store);
        written();
        assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
        for number in (0..100_000).step_by(97) {
            store.history(run_id(number)).unwrap();
            store
                .find(&WorkflowId::from_trusted(format!("order-{number}")))
                .unwrap();
        }
        assert_eq!(written(), 0, "round {round}");
    }
}
