//! What all workloads' sagas have in common: their name, their input, and activities that do nothing. Must not live here:
//! the sagas themselves.

use serde::{Deserialize, Serialize};

use crate::ActivityContext;
use crate::SagaDefinition;
use crate::engine::{AmendsBuilder, Error};
use crate::model::{Failure, Undo};

/// The workflow's name in all workloads and both forms.
pub(super) const BENCH_SAGA: &str = "bench_saga";

/// A saga's input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) steps: u32,
    pub(super) rollback: bool,
}

pub(super) async fn bench_step(_: ActivityContext, order: Order) -> Result<u64, Failure> {
    Ok(order.number)
}

pub(super) async fn bench_refusal(_: ActivityContext, order: Order) -> Result<u64, Failure> {
    Err(Failure::not_applied(
        "Refused",
        format!("order {} is refused", order.number),
    ))
}

pub(super) async fn bench_undo(_: ActivityContext, _: Undo<Order, u64>) -> Result<(), Failure> {
    Ok(())
}

/// Reads a saga as its file has it: what is measured then is what people run.
pub(super) fn saga(text: &str) -> Result<SagaDefinition, Error> {
    // Without values for a `[config]` table, and without a look at the activities there are.
    let parsed = SagaDefinition::parse("bench.toml", text, &Default::default());
    parsed
        .map(|(saga, _)| saga)
        .map_err(|error| Error::Definition(vec![error]))
}

/// Registers the activities that do nothing.
pub(super) fn register_activities(engine: AmendsBuilder) -> AmendsBuilder {
    engine.activity(bench_step).activity(bench_refusal).activity(bench_undo)
}
