//! Bringing a passivated run back to memory: its history out of the store, decoded, folded, and its code replayed. Must not
//! live here: actors.

use std::sync::Arc;

use amends::Durability;
use amends::machine::{DefinitionDecider, RunState};
use amends::model::{RunId, Turn};
use amends::replay::CodeDecider;
use amends::store::record::decode_turn;
use amends::store::sled::{SledOptions, SledStore};
use amends::store::{CommitBatch, MemoryStore, Store};
use criterion::Criterion;

use super::run::{Run, definition, run_id, stored_definition, workflow};

/// Makes the run with this number.
type Begin = fn(u64) -> Run;

/// Runs in the store.
const RUNS: u64 = 2_000;

pub(crate) fn of_a_passivated_run(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is a disk");
    let options = SledOptions {
        durability: Durability::ProcessSafe,
        ..SledOptions::default()
    };
    let sled = SledStore::open(directory.path(), options).expect("the directory is new");
    of_store(criterion, "memory", &MemoryStore::new());
    of_store(criterion, "sled", &sled);
}

fn of_store(criterion: &mut Criterion, name: &str, store: &dyn Store) {
    let forms: [(&str, Begin); 2] = [
        ("definition", |number| Run::of_definition(number).go_on(1)),
        ("code", |number| Run::of_code(RUNS + number, 3).go_on(1)),
    ];
    let epoch = store.claim().expect("nobody else has it");
    let mut group = criterion.benchmark_group(format!("activation/{name}"));
    for (form, run) in forms {
        let mut batch = CommitBatch {
            definitions: vec![stored_definition()],
            ..CommitBatch::default()
        };
        let mut runs = Vec::new();
        for number in 0..RUNS {
            let run = run(number);
            batch.turns.extend(run.records());
            runs.push(run.state.started().expect("it has begun").run_id);
        }
        store.commit(epoch, &batch).expect("turns follow each other");
        runs.iter().for_each(|run| store.passivate(*run));
        // They leave the log with commits that come later.
        for number in 0..64 {
            let turns = Run::of_definition(4 * RUNS + u64::from(form == "code") * 64 + number).records();
            let batch = CommitBatch {
                turns,
                ..CommitBatch::default()
            };
            store.commit(epoch, &batch).expect("turns follow each other");
        }
        let definition = definition();
        let workflow = workflow();
        let mut each = runs.iter().cycle();
        group.bench_function(form, |bencher| {
            bencher.iter(|| {
                let run = each.next().copied().unwrap_or(run_id(0));
                let turns = history(store, run);
                let state = RunState::fold(&turns).expect("it was decided");
                match form {
                    "definition" => drop(DefinitionDecider::new(definition.clone())),
                    _ => {
                        let events: Vec<_> = turns.into_iter().flat_map(|turn| turn.events).collect();
                        let decider = CodeDecider::replay(Arc::clone(workflow.workflow()), &events);
                        drop(decider.expect("the code is the same"));
                    }
                }
                state
            });
        });
    }
    group.finish();
}

fn history(store: &dyn Store, run: RunId) -> Vec<Turn> {
    let stored = store.history(run).expect("it can be read").expect("it is there");
    let decoded = stored
        .iter()
        .map(|turn| decode_turn(&turn.bytes).expect("it was encoded"));
    decoded.collect()
}
