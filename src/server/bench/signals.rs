//! Workload `signals`: runs that receive many signals, each sent when the one before it is durable. Must not live here:
//! running them.

use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error};
use crate::model::Failure;

use super::BenchError;
use super::args::Form;
use super::engine_load::{Case, check, start_run};
use super::order::{BENCH_SAGA, Order, saga};

/// Signals of one run.
pub(super) const SIGNALS: u32 = 100;

/// What the signals are called, here and where runs are parked.
pub(super) const GO: &str = "go";

#[derive(Clone, Copy, Debug)]
pub(super) struct Signals;

fn definition() -> Result<SagaDefinition, Error> {
    let signals =
        (1..=SIGNALS).map(|signal| format!("[[step]]\nname = \"signal-{signal}\"\nsignal = {{ name = \"{GO}\" }}\n"));
    saga(&format!("name = \"{BENCH_SAGA}\"\n{}", signals.collect::<String>()))
}

async fn bench_saga(cx: WorkflowContext, _: Order) -> Result<u64, Failure> {
    let signals = cx.signal::<u64>(GO);
    let mut sum = 0;
    for _ in 0..SIGNALS {
        sum += signals.recv().await?;
    }
    Ok(sum)
}

impl Case for Signals {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
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
        for signal in 1..=SIGNALS {
            run.signal(GO, &signal).await?;
        }
        check(id, &run.outcome().await?, false)
    }
}
