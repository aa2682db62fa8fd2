//! One turn: deciding what an activity's end means, and folding the turn into a state. Must not live here: runs.

use amends::machine::{RunState, decide};
use criterion::{BatchSize, Criterion};

use super::run::Run;

/// Makes a run in the middle of its life.
type Begin = fn() -> Run;

pub(crate) fn decide_and_apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    let forms: [(&str, Begin); 2] = [
        ("definition", || Run::of_definition(1).go_on(1)),
        ("code", || Run::of_code(1, 3).go_on(1)),
    ];
    for (form, run) in forms {
        // A run in code has a future of its own, which cannot be cloned: each time another run.
        group.bench_function(format!("decide/{form}"), |bencher| {
            bencher.iter_batched(
                || {
                    let run = run();
                    let input = run.next_input().expect("it has a step to go");
                    (run, input)
                },
                |(mut run, input)| {
                    let now = run.now();
                    let decided = decide(&mut run.state, vec![input], now, &mut *run.decider);
                    (run, decided)
                },
                BatchSize::SmallInput,
            );
        });
        let journal = run().go_on(1).journal;
        let (last, before) = journal.split_last().expect("it has turns");
        group.bench_function(format!("apply/{form}"), |bencher| {
            bencher.iter_batched(
                || RunState::fold(before).expect("it was decided"),
                |mut state| {
                    state.apply(last).expect("it was decided");
                    state
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}
