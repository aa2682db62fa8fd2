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
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

use super::run::{Run, definition, stored_definition, workflow};

/// Makes the run with this number.
type Begin = fn(u64) -> Run;

/// Runs in the store, each of which is activated once in a while: more than the caches of a core hold.
const RUNS: u64 = 2_000;

/// Runs of one commit.
const BATCH: usize = 500;

pub(crate) fn of_a_passivated_run(criterion: &mut Criterion) {
    let forms: [(&str, Begin); 2] = [
        ("definition", |number| Run::of_definition(number).go_on(1)),
        ("code", |number| Run::of_code(number, 3).go_on(1)),
    ];
    let mut group = criterion.benchmark_group("activation/memory");
    for (form, run) in forms {
        let store = MemoryStore::new();
        let runs = fill(&store, run);
        activate(&mut group, form, &store, &runs);
    }
    group.finish();
    let options = SledOptions {
        durability: Durability::ProcessSafe,
        ..SledOptions::default()
    };
    let mut group = criterion.benchmark_group("activation/sled");
    for (form, run) in forms {
        let directory = tempfile::tempdir().expect("there is a disk");
        let open = || SledStore::open(directory.path(), options).expect("it is a store, or nothing");
        // A store that is closed brings its idle runs from the log to the database; one that is opened does not have them in
        // memory then.
        let store = open();
        let runs = fill(&store, run);
        drop(store);
        activate(&mut group, form, &open(), &runs);
    }
    group.finish();
}

/// Runs that have begun, and wait.
fn fill(store: &dyn Store, run: Begin) -> Vec<RunId> {
    let epoch = store.claim().expect("nobody else has it");
    let mut batch = CommitBatch {
        definitions: vec![stored_definition()],
        ..CommitBatch::default()
    };
    store.commit(epoch, &batch).expect("it is the first");
    let made: Vec<Run> = (0..RUNS).map(run).collect();
    for some in made.chunks(BATCH) {
        batch = CommitBatch {
            turns: some.iter().flat_map(Run::records).collect(),
            ..CommitBatch::default()
        };
        store.commit(epoch, &batch).expect("turns follow each other");
    }
    let id = |run: &Run| run.state.started().expect("it has begun").run_id;
    let runs: Vec<RunId> = made.iter().map(id).collect();
    runs.iter().for_each(|run| store.passivate(*run));
    runs
}

fn activate(group: &mut BenchmarkGroup<'_, WallTime>, form: &str, store: &dyn Store, runs: &[RunId]) {
    let definition = definition();
    let workflow = workflow();
    // Not in the order in which they lie.
    let mut each = (0..).map(|at: usize| at * 769 % runs.len());
    group.bench_function(form, |bencher| {
        // Freeing the run is not part of it.
        bencher.iter_with_large_drop(|| {
            let run = each.next().and_then(|at| runs.get(at)).expect("it is one of them");
            let turns = history(store, *run);
            let state = RunState::fold(&turns).expect("it was decided");
            let decider: Box<dyn std::any::Any> = match form {
                "definition" => Box::new(DefinitionDecider::new(definition.clone())),
                _ => {
                    let events: Vec<_> = turns.into_iter().flat_map(|turn| turn.events).collect();
                    let decider = CodeDecider::replay(Arc::clone(workflow.workflow()), &events);
                    Box::new(decider.expect("the code is the same"))
                }
            };
            (state, decider)
        });
    });
}

fn history(store: &dyn Store, run: RunId) -> Vec<Turn> {
    let stored = store.history(run).expect("it can be read").expect("it is there");
    let decoded = stored
        .iter()
        .map(|turn| decode_turn(&turn.bytes).expect("it was encoded"));
    decoded.collect()
}
