//! Workload `fan-out`: sagas whose steps all run at once. Must not live here: running them.

use futures_util::future::try_join_all;

use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error};
use crate::model::Failure;

use super::BenchError;
use super::args::Form;
use super::engine_load::{Case, check, start_run};
use super::order::{BENCH_SAGA, Order, bench_step, bench_undo, register_activities, saga};

/// Steps at once.
pub(super) const BRANCHES: u32 = 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct FanOut;

fn definition() -> Result<SagaDefinition, Error> {
    let branches = (1..=BRANCHES).map(|branch| {
        format!(
            "[[step]]\nname = \"branch-{branch}\"\nafter = []\nactivity = \"bench_step\"\n\
             compensation = {{ activity = \"bench_undo\" }}\n"
        )
    });
    saga(&format!("name = \"{BENCH_SAGA}\"\n{}", branches.collect::<String>()))
}

async fn bench_saga(cx: WorkflowContext, order: Order) -> Result<u64, Failure> {
    let saga = cx.saga();
    let branches = (0..BRANCHES).map(|_| saga.run(bench_step, &order).compensate(bench_undo));
    let numbers = try_join_all(branches).await?;
    Ok(numbers.iter().sum())
}

impl Case for FanOut {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
        let engine = register_activities(engine);
        Ok(match form {
            Form::Definition => engine.saga(definition()?),
            Form::Code => engine.workflow(bench_saga),
        })
    }

    async fn once(&self, engine: &Amends, id: &str, number: u64) -> Result<(), BenchError> {
        let order = Order {
            number,
            ..Order::default()
        };
        let run = start_run(engine, id, &order).await?;
        check(id, &run.outcome().await?, false)
    }
}
