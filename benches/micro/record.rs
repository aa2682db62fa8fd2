//! The wire form of a turn. Must not live here: where records are kept.

use std::hint::black_box;

use amends::store::record::{decode_turn, encode_turn};
use criterion::{Criterion, Throughput};

use super::run::Run;

pub(crate) fn encode_and_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let journal = Run::of_definition(1).go_on(3).journal;
    for (name, turn) in ["start", "step 1", "step 2", "end"].iter().zip(&journal) {
        let bytes = encode_turn(turn).expect("it is small");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| encode_turn(black_box(turn)));
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| decode_turn(black_box(&bytes)));
        });
    }
    group.finish();
}
