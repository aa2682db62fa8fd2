//! How much of the disk is taken for what is stored. Must not live here: whether it is there.

use super::races::hooked;
use super::*;

/// Runs that are passivated at once, and how often.
const SWEEP: u64 = 1_000;
const SWEEPS: u64 = 12;

/// The first turn of a run as engines write them: the same for all, but for what makes it this one.
fn begun(number: u64) -> TurnRecord {
    let mut begun = turn(number, 1, 26, RunStatus::Running);
    let input = format!("{{\"number\":{number},\"items\":[\"tent\",\"stove\"],\"paid\":false}}");
    let common = [
        b"started by the shop, waits for its payment; ".repeat(2),
        input.into_bytes(),
    ]
    .concat();
    begun.bytes = [&common, &begun.bytes[..]].concat().into();
    // Run ids end with what nobody could foresee.
    begun.run_id = RunId::from_parts(1_700_000_000_000 + number, begun.bytes.last_chunk().unwrap());
    begun
}

#[test]
fn runs_that_wait_take_little_of_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = hooked(directory.path(), &Sizes::default(), "", |_| {});
    store.claim().unwrap();
    let (mut content, mut runs) = (0, Vec::new());
    for sweep in 0..SWEEPS {
        let numbers = sweep * SWEEP..(sweep + 1) * SWEEP;
        let turns: Vec<_> = numbers.map(begun).collect();
        content += turns.iter().map(|turn| turn.bytes.len()).sum::<usize>();
        let mut idle: Vec<RunId> = turns.iter().map(|turn| turn.run_id).collect();
        commit(&store, turns);
        // They come from several shards, which know no order.
        idle.sort_unstable_by_key(|run| run.as_bytes().last().copied());
        idle.iter().for_each(|run| store.passivate(*run));
        runs.extend(idle);
        archive(&store);
    }
    assert!(store.shared.live().runs.is_empty());
    let database = store.shared.disk.file.metadata().unwrap().len();
    let each = database / (SWEEPS * SWEEP);
    // A segment more or less of sled's file is 44 bytes for each of them.
    assert!(
        each < 400,
        "{each} bytes for each run, of which {content} in all are turns"
    );
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, Vec::new());
}
