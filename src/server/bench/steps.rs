//! Workloads `steps` and `rollback`: sagas of some steps, one after the other, in both forms. Must not live here: running
//! them.

use crate::SagaDefinition;
use crate::WorkflowContext;
use crate::engine::{Amends, AmendsBuilder, Error};
use crate::model::Failure;

use super::BenchError;
use super::args::{Form, Settings};
use super::engine_load::{Case, check, start_run};
use super::order::{BENCH_SAGA, Order, bench_refusal, bench_step, bench_undo, register_activities, saga};

/// An order out of the order that the saga got.
const MAPPED: &str =
    "input = { number = \"${ input.number }\", steps = \"${ input.steps }\", rollback = \"${ input.rollback }\" }\n";

/// So many steps; with `rollback` the last one is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) steps: u32,
    pub(super) rollback: bool,
}

impl Steps {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            steps: settings.steps,
            rollback: settings.rollback(),
        }
    }

    /// The first step's input is mapped, as most people's is; the others get what the saga got.
    fn definition(self) -> Result<SagaDefinition, Error> {
        let mut text = format!("name = \"{BENCH_SAGA}\"\n");
        for step in 1..=self.steps {
            let refused = self.rollback && step == self.steps;
            let activity = if refused { "bench_refusal" } else { "bench_step" };
            text.push_str(&format!(
                "[[step]]\nname = \"step-{step}\"\nactivity = \"{activity}\"\ncompensation = {{ activity = \"bench_undo\" }}\n"
            ));
            if step == 1 {
                text.push_str(MAPPED);
            }
        }
        saga(&text)
    }
}

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

impl Case for Steps {
    fn register(&self, engine: AmendsBuilder, form: Form) -> Result<AmendsBuilder, Error> {
        let engine = register_activities(engine);
        Ok(match form {
            Form::Definition => engine.saga(self.definition()?),
            Form::Code => engine.workflow(bench_saga),
        })
    }

    async fn once(&self, engine: &Amends, id: &str, number: u64) -> Result<(), BenchError> {
        let order = Order {
            number,
            steps: self.steps,
            rollback: self.rollback,
        };
        let run = start_run(engine, id, &order).await?;
        check(id, &run.outcome().await?, self.rollback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_the_one_of_a_file() {
        let rollback = Steps {
            steps: 3,
            rollback: true,
        };
        let saga = rollback.definition().unwrap();
        let text = String::from_utf8(saga.canonical_json().to_vec()).unwrap();
        for part in ["input.number", "bench_refusal", "bench_undo", "step-3"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
