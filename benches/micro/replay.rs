//! Replaying histories of workflows in code, up to the largest that there may be. Must not live here: reading them.

use amends::Registry;
use amends::replay::replay_history;
use criterion::{BenchmarkId, Criterion, Throughput};

use super::run::{Run, workflow};

/// Event ids that one activity takes: scheduled, started and completed, and three of the turn.
const EVENTS_PER_ACTIVITY: u64 = 6;

pub(crate) fn histories(criterion: &mut Criterion) {
    let mut registry = Registry::new();
    registry.add_workflow(workflow()).expect("it is the only one");
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(20);
    for events in [60, 6_000, 50_000] {
        let activities = events / EVENTS_PER_ACTIVITY;
        let turns = usize::try_from(activities).expect("a small number");
        let run = Run::of_code(1, activities).go_on(turns);
        assert!(run.state.is_closed(), "{activities} activities and no end");
        let history = run.history();
        group.throughput(Throughput::Elements(run.state.next_event().0 - 1));
        group.bench_function(BenchmarkId::new("events", events), |bencher| {
            bencher.iter(|| replay_history(&registry, &history).expect("the code is the same"));
        });
    }
    group.finish();
}
