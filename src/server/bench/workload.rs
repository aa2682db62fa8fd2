//! The saga that is measured: some steps that do nothing, each with a compensation that does nothing, in both forms.
//! Must not live here: running it.

use serde::{Deserialize, Serialize};

use crate::ActivityContext;
use crate::SagaDefinition;
use crate::Step;
use crate::WorkflowContext;
use crate::engine::{AmendsBuilder, Error};
use crate::model::{Failure, Undo};

use super::{BenchArgs, Form};

/// A saga's input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) steps: u32,
    pub(super) rollback: bool,
}

/// The workflow's name in both forms.
pub(super) const BENCH_SAGA: &str = "bench_saga";

async fn bench_step(_: ActivityContext, order: Order) -> Result<u64, Failure> {
    Ok(order.number)
}

async fn bench_refusal(_: ActivityContext, order: Order) -> Result<u64, Failure> {
    Err(Failure::not_applied(
        "Refused",
        format!("order {} is refused", order.number),
    ))
}

async fn bench_undo(_: ActivityContext, _: Undo<Order, u64>) -> Result<(), Failure> {
    Ok(())
}

/// The form in code.
async fn bench_saga(cx: WorkflowContext, order: Order) -> Result<u64, Failure> {
    let saga = cx.saga();
    let accepted = order.steps - u32::from(order.rollback);
    for _ in 0..accepted {
        saga.run(bench_step, &order).compensate(bench_undo).await?;
    }
    if order.rollback {
        saga.run(bench_refusal, &order).compensate(bench_undo).await?;
    }
    Ok(order.number)
}

/// The form as a definition.
fn definition(steps: u32, rollback: bool) -> Result<SagaDefinition, Error> {
    let mut saga = SagaDefinition::builder(BENCH_SAGA);
    for step in 1..=steps {
        let refused = rollback && step == steps;
        let activity = if refused { "bench_refusal" } else { "bench_step" };
        saga = saga.step(Step::activity(format!("step-{step}"), activity).compensate("bench_undo"));
    }
    saga.build().map_err(|error| Error::Definition(vec![error]))
}

/// Registers what the saga needs.
pub(super) fn register(engine: AmendsBuilder, args: &BenchArgs) -> Result<AmendsBuilder, Error> {
    let engine = engine.activity(bench_step).activity(bench_refusal).activity(bench_undo);
    Ok(match args.form {
        Form::Definition => engine.saga(definition(args.steps, args.rollback)?),
        Form::Code => engine.workflow(bench_saga),
    })
}
