//! Micro-benchmarks of what every turn goes through: `cargo bench --bench micro`. Lives here: which groups
//! there are. Must not live here: throughput of a whole engine (`amends bench`).

mod activation;
mod record;
mod replay;
mod run;
mod store;
mod turn;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    micro,
    turn::decide_and_apply,
    record::encode_and_decode,
    store::commit,
    replay::histories,
    activation::of_a_passivated_run
);
criterion_main!(micro);
