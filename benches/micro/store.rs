//! How long commits take, of one turn and of many: latency in a store that is new, with the archive at work behind them, as
//! it is. On sled without waiting for the disk, whose speed would be all that is measured. Must not live here: the disk, and
//! the rate that can be kept up (`amends bench`).
//!
//! Each sample has a store of its own, which ends before its log is full: commits that wait until the archive has made
//! room would be no measure of commits. Nothing is freed while the time runs.

#![expect(
    clippy::disallowed_methods,
    reason = "the time of some commits is measured, and that of making them is not"
)]

use std::time::{Duration, Instant};

use amends::Durability;
use amends::store::sled::{SledOptions, SledStore};
use amends::store::{CommitBatch, Epoch, MemoryStore, Store, TurnRecord};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

use super::run::{Run, stored_definition};

/// Turns of one commit with so many sagas in flight.
const TURNS: [u64; 2] = [1, 512];

/// Few enough sagas in a sample for every store to be nearly as new: 20 samples a second.
const MEASUREMENT: Duration = Duration::from_secs(1);
const SAMPLES: usize = 20;

pub(crate) fn commit(criterion: &mut Criterion) {
    of_stores(criterion, "memory", |measure| measure(&MemoryStore::new()));
    of_stores(criterion, "sled", |measure| {
        let directory = tempfile::tempdir().expect("there is a disk");
        let options = SledOptions {
            durability: Durability::ProcessSafe,
            ..SledOptions::default()
        };
        measure(&SledStore::open(directory.path(), options).expect("the directory is new"))
    });
}

/// Does something with a store that is new.
type WithStore = fn(&dyn Fn(&dyn Store) -> Duration) -> Duration;

/// Sagas begin, go on and end: four commits for each batch of them.
fn of_stores(criterion: &mut Criterion, name: &str, with_store: WithStore) {
    let mut group = criterion.benchmark_group(format!("commit/{name}"));
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(MEASUREMENT / 2).measurement_time(MEASUREMENT);
    for turns in TURNS {
        group.throughput(Throughput::Elements(turns * 4));
        group.bench_function(BenchmarkId::new("four turns of sagas", turns), |bencher| {
            bencher.iter_custom(|times| with_store(&|store| commit_sagas(store, times, turns)));
        });
    }
    group.finish();
}

/// The time of the commits alone.
fn commit_sagas(store: &dyn Store, times: u64, sagas: u64) -> Duration {
    let epoch = store.claim().expect("nobody else has it");
    let definitions = CommitBatch {
        definitions: vec![stored_definition()],
        ..CommitBatch::default()
    };
    store.commit(epoch, &definitions).expect("it is the first");
    let time = |time| {
        let batches = batches(time * sagas..(time + 1) * sagas);
        let begun = Instant::now();
        commit_all(store, epoch, &batches);
        begun.elapsed()
    };
    (0..times).map(time).sum()
}

/// The four commits in which these sagas begin, go on and end.
fn batches(sagas: std::ops::Range<u64>) -> Vec<CommitBatch> {
    let mut batches = vec![CommitBatch::default(); 4];
    for number in sagas {
        let records: Vec<TurnRecord> = Run::of_definition(number).go_on(3).records();
        for (batch, record) in batches.iter_mut().zip(records) {
            batch.turns.push(record);
        }
    }
    batches
}

fn commit_all(store: &dyn Store, epoch: Epoch, batches: &[CommitBatch]) {
    for batch in batches {
        store.commit(epoch, batch).expect("turns follow each other");
    }
}
