//! Commits of one turn and of many. On sled without waiting for the disk, whose speed would be all that is measured. Must
//! not live here: the disk (`amends bench`).

use amends::Durability;
use amends::store::sled::{SledOptions, SledStore};
use amends::store::{CommitBatch, Epoch, MemoryStore, Store, TurnRecord};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use super::run::{Run, stored_definition};

/// Turns of one commit with so many sagas in flight.
const TURNS: [u64; 2] = [1, 512];

pub(crate) fn commit(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is a disk");
    let options = SledOptions {
        durability: Durability::ProcessSafe,
        ..SledOptions::default()
    };
    let sled = SledStore::open(directory.path(), options).expect("the directory is new");
    of_store(criterion, "memory", &MemoryStore::new());
    of_store(criterion, "sled", &sled);
}

/// Sagas begin, go on and end: four commits for each batch of them.
fn of_store(criterion: &mut Criterion, name: &str, store: &dyn Store) {
    let epoch = store.claim().expect("nobody else has it");
    let definitions = CommitBatch {
        definitions: vec![stored_definition()],
        ..CommitBatch::default()
    };
    store.commit(epoch, &definitions).expect("it is the first");
    let mut group = criterion.benchmark_group(format!("commit/{name}"));
    let mut next = 0;
    for turns in TURNS {
        group.throughput(Throughput::Elements(turns * 4));
        group.bench_function(BenchmarkId::new("four turns of sagas", turns), |bencher| {
            bencher.iter_batched(
                || batches(&mut next, turns),
                |batches| commit_all(store, epoch, &batches),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The four commits in which so many sagas begin, go on and end.
fn batches(next: &mut u64, sagas: u64) -> Vec<CommitBatch> {
    let mut batches = vec![CommitBatch::default(); 4];
    for number in *next..*next + sagas {
        let records: Vec<TurnRecord> = Run::of_definition(number).go_on(3).records();
        for (batch, record) in batches.iter_mut().zip(records) {
            batch.turns.push(record);
        }
    }
    *next += sagas;
    batches
}

fn commit_all(store: &dyn Store, epoch: Epoch, batches: &[CommitBatch]) {
    for batch in batches {
        store.commit(epoch, batch).expect("turns follow each other");
    }
}
