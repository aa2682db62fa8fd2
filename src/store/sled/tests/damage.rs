//! Trials with damaged files, the database's and the log's: whatever happens to it, the store says so or serves what was committed. Must
//! not live here: damage to single values (that is `tests`).

use std::fs;
use std::path::Path;

use super::*;
use crate::model::RunStatus;
use crate::testing::store_conformance::{run_id, turn};

const RUNS: u64 = 120;

/// Enough for several of sled's segments, with runs that ended, runs that are open, and a log.
fn build(directory: &Path) {
    let store = open(directory);
    store.claim().unwrap();
    for number in 0..RUNS {
        let status = if number % 3 == 0 {
            RunStatus::Running
        } else {
            RunStatus::Completed
        };
        let bytes = 3_000 + usize::try_from(number).unwrap() * 50;
        commit(&store, vec![turn(number, 1, bytes, RunStatus::Running)]);
        commit(&store, vec![turn(number, 2, bytes, status)]);
    }
}

/// What came of it: `Err` when the store told, `Ok` when all was served; anything else fails the test.
fn outcome(directory: &Path, what: &str) -> Result<(), Error> {
    let store = try_open(directory)?;
    let report = store.verify(&mut |_| {})?;
    let told = |error: Error| {
        assert!(
            !report.problems.is_empty(),
            "{what}: verify saw nothing, but reading says {error}"
        );
        error
    };
    for number in 0..RUNS {
        let run = run_id(number);
        let bytes = 3_000 + usize::try_from(number).unwrap() * 50;
        let history = store.history(run).map_err(told)?;
        let served: Option<Vec<_>> = history.map(|turns| turns.into_iter().map(|turn| turn.bytes).collect());
        let expected = [1, 2].map(|seq| turn(number, seq, bytes, RunStatus::Running).bytes);
        assert!(
            served.as_deref() == Some(&expected[..]),
            "{what}: run {number} is served short or wrong"
        );
        let id = WorkflowId::from_trusted(format!("order-{number}"));
        let found = store.find(&id).map_err(told)?;
        assert_eq!(
            found.map(|head| head.run_id),
            Some(run),
            "{what}: run {number} is not found"
        );
    }
    match report.problems.first() {
        Some(problem) => Err(Error::Corrupt {
            run: problem.run,
            what: problem.what.clone(),
        }),
        None => Ok(()),
    }
}

/// A generator of our own, so that every trial is the same every time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// One trial for each seed on the file with this prefix; says how many of them the store noticed.
fn trials(prefix: &str, seeds: std::ops::Range<u64>, damage: impl Fn(&mut Vec<u8>, u64)) -> usize {
    // With and without one of sled's snapshots, which it writes when it opens and then relies on.
    let originals = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for original in &originals {
        build(original.path());
    }
    drop(open(originals[1].path()));
    let mut noticed = 0;
    for seed in seeds {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        next(&mut state);
        let directory = tempfile::tempdir().unwrap();
        let snapshot = seed % 2 == 1 || prefix == "snap.";
        copy(originals[usize::from(snapshot)].path(), directory.path());
        let files = match prefix {
            "log" => segments(directory.path()),
            _ => {
                let files = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap());
                let named = files.filter(|file| file.file_name().to_string_lossy().starts_with(prefix));
                named.map(|file| file.path()).collect()
            }
        };
        let file = &files[place(&[0; 64], seed) % files.len()];
        let mut bytes = fs::read(file).unwrap();
        damage(&mut bytes, next(&mut state));
        fs::write(file, bytes).unwrap();
        match outcome(directory.path(), &format!("seed {seed}")) {
            Ok(()) => {}
            // Damaged settings of sled's read as settings that do not fit.
            Err(Error::Corrupt { .. } | Error::Unusable { .. }) => noticed += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    noticed
}

fn flip(bytes: &mut [u8], random: u64) {
    let at = place(bytes, random >> 3);
    bytes[at] ^= 1 << (random % 8);
}

fn place(bytes: &[u8], random: u64) -> usize {
    usize::try_from(random).unwrap() % bytes.len()
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let noticed = trials("db", 0..24, |bytes, random| flip(bytes, random));
    assert!(noticed > 0, "no trial hit anything");
}

#[test]
fn a_zeroed_block_is_noticed_or_harmless() {
    let noticed = trials("db", 100..116, |bytes, random| {
        let start = place(bytes, random) / 4_096 * 4_096;
        let end = bytes.len().min(start + 4_096);
        bytes[start..end].fill(0);
    });
    assert!(noticed > 0, "no trial hit anything");
}

#[test]
fn a_cut_file_is_noticed_or_harmless() {
    let noticed = trials("db", 200..216, |bytes, random| {
        let end = place(bytes, random);
        bytes.truncate(end);
    });
    assert!(noticed > 0, "no trial hit anything");
}

#[test]
fn a_zeroed_tail_is_noticed_or_harmless() {
    let noticed = trials("db", 300..312, |bytes, random| {
        let start = bytes.len() - 1 - place(bytes, random) / 8;
        bytes[start..].fill(0);
    });
    assert!(noticed > 0, "no trial hit anything");
}

#[test]
fn damage_to_the_log_is_noticed_or_harmless() {
    assert!(trials("log", 700..740, |bytes, random| flip(bytes, random)) > 0);
    let cut = |bytes: &mut Vec<u8>, random| bytes.truncate(place(bytes, random));
    assert!(trials("log", 800..820, cut) > 0);
    let zero = |bytes: &mut Vec<u8>, random| {
        let start = place(bytes, random) / 512 * 512;
        let end = bytes.len().min(start + 512);
        bytes[start..end].fill(0);
    };
    assert!(trials("log", 900..920, zero) > 0);
}

#[test]
fn damage_to_the_files_beside_it_is_noticed_or_harmless() {
    assert!(trials("conf", 400..406, |bytes, random| flip(bytes, random)) > 0);
    assert!(trials("snap.", 500..508, |bytes, random| flip(bytes, random)) > 0);
    let harmless = trials("amends.mark", 600..606, |bytes, random| flip(bytes, random));
    assert_eq!(harmless, 0, "the witness alone proves nothing");
}
