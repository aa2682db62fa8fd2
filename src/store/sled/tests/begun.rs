//! Power cuts while pages are begun, and between that and what is written into them. Must not live here: cuts of other kinds
//! (that is `cuts`).

use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::*;

const ROUNDS: u64 = 6;

/// Runs in a round: in order, so that there are new pages in each.
const RUNS: u64 = 160;

const BLOCK_BYTES: usize = 4_096;

/// What a power cut leaves of the file as it was when it was synced last, and as it is now.
type Cut = fn(&[u8], &[u8]) -> Vec<u8>;

const CUTS: [Cut; 4] = [
    |synced, _| synced.to_vec(),
    |_, now| now.to_vec(),
    |synced, now| now.get(..synced.len()).unwrap_or(now).to_vec(),
    |synced, now| {
        let mut left = now.to_vec();
        let both = left.chunks_mut(BLOCK_BYTES).zip(synced.chunks(BLOCK_BYTES));
        for (left, synced) in both.skip(1).step_by(2) {
            if left.len() == synced.len() {
                left.copy_from_slice(synced);
            }
        }
        left
    },
];

/// Takes what each of the cuts leaves at each of the steps.
#[derive(Default)]
struct Watch {
    synced: Vec<u8>,
    left: Vec<(String, tempfile::TempDir)>,
}

impl Watch {
    fn step(&mut self, shared: &Shared, step: &'static str) {
        let database = shared.disk.directory.join("db");
        if step == "pages begun" || step == "round applied" {
            shared.disk.db.flush().unwrap();
            let now = fs::read(&database).unwrap();
            for (at, cut) in (0..).zip(CUTS) {
                let copied = tempfile::tempdir().unwrap();
                copy(&shared.disk.directory, copied.path());
                fs::write(copied.path().join("db"), cut(&self.synced, &now)).unwrap();
                self.left.push((format!("{step}, cut {at}"), copied));
            }
        }
        if step == "database synced" {
            self.synced = fs::read(&database).unwrap();
        }
    }
}

/// A store without a thread of its own, and its watch.
fn watched(directory: &Path) -> (SledStore, Arc<Mutex<Watch>>) {
    let (watch, shared) = (
        Arc::new(Mutex::new(Watch::default())),
        Arc::new(OnceLock::<Weak<Shared>>::new()),
    );
    let (watching, of) = (Arc::clone(&watch), Arc::clone(&shared));
    let probe = move |step: &'static str| {
        if let Some(shared) = of.get().and_then(Weak::upgrade) {
            watching.lock().unwrap().step(&shared, step);
        }
    };
    let sizes = Sizes {
        segments_max: usize::MAX,
        probe: Some(Arc::new(probe)),
        ..Sizes::default()
    };
    let mut store = open::open(directory, &options(), sizes).unwrap();
    store.shared.bell.stop();
    store.archive.take().unwrap().join().unwrap();
    shared.set(Arc::downgrade(&store.shared)).unwrap();
    (store, watch)
}

#[test]
fn a_power_cut_between_beginning_pages_and_filling_them_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, watch) = watched(directory.path());
    store.claim().unwrap();
    let mut begun = 0;
    for round in 0..ROUNDS {
        let numbers = round * RUNS..(round + 1) * RUNS;
        let turns = numbers.map(|number| turn(number, 1, 700, RunStatus::Completed));
        commit(&store, turns.collect());
        archive(&store);
        let all_left = std::mem::take(&mut watch.lock().unwrap().left);
        for (what, left) in all_left {
            begun += usize::from(what.starts_with("pages begun"));
            let opened = try_open(left.path()).unwrap_or_else(|error| panic!("{what}, round {round}: {error}"));
            let query = ListQuery {
                limit: usize::MAX,
                ..ListQuery::default()
            };
            let listed = u64::try_from(opened.list(&query).unwrap().len()).unwrap();
            assert_eq!(listed, (round + 1) * RUNS, "{what}, round {round}");
            assert_eq!(
                opened.verify(&mut |_| {}).unwrap().problems,
                Vec::new(),
                "{what}, round {round}"
            );
            // It goes on, and fills them.
            commit(&opened, vec![turn(10_000, 1, 700, RunStatus::Completed)]);
            archive(&opened);
            assert_eq!(
                opened.verify(&mut |_| {}).unwrap().problems,
                Vec::new(),
                "{what}, round {round}"
            );
        }
    }
    assert!(begun >= 20, "{begun}");
}
