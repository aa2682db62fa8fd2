//! Outputs that may not be there when they are read. Must not live here: those of the step being undone (`mapping` warns of
//! them), and of steps that are not sure to have ended (those are refused).

use super::super::canonical::Saga;
use super::super::expression::{Expression, Reference};
use super::super::locations::Problems;
use super::super::saga::{SagaDefinition, Step, Wait};

type Visit<'a> = &'a mut dyn FnMut(&Expression, bool);

/// The output of a step that was left out is null.
pub(super) fn check(saga: &Saga, compiled: &SagaDefinition, problems: &mut Problems) {
    let conditional: Vec<usize> = (0..saga.steps.len())
        .filter(|step| saga.steps.get(*step).is_some_and(|step| step.when.is_some()))
        .collect();
    for (index, step) in compiled.steps().iter().enumerate() {
        let condition = |step: usize| saga.steps.get(step).and_then(|step| step.when.as_ref());
        // A step under the same condition is there exactly when the other one is.
        let perhaps = conditional
            .iter()
            .copied()
            .filter(|other| condition(*other) != condition(index));
        let perhaps: Vec<usize> = perhaps.collect();
        let mut said = None;
        each_expression(step, &mut |expression, embedded| {
            said = said.take().or_else(|| trusting(expression, embedded, &perhaps, saga));
        });
        warn(said, &format!("step[{index}]"), problems);
    }
    if let Some(output) = &compiled.0.output {
        let mut said = None;
        output.each_expression(&mut |expression, embedded| {
            said = said
                .take()
                .or_else(|| trusting(expression, embedded, &conditional, saga));
        });
        warn(said, "output", problems);
    }
}

fn warn(said: Option<(String, String)>, place: &str, problems: &mut Problems) {
    if let Some((source, step)) = said {
        problems
            .warning(
                place,
                format!("`{source}` fails when step `{step}` was left out: then its output is null"),
            )
            .hint("ask first: `steps.x.output == null ? .. : ..`");
    }
}

/// The expression and the name of the step whose output it takes for granted.
fn trusting(expression: &Expression, embedded: bool, perhaps: &[usize], saga: &Saga) -> Option<(String, String)> {
    let step = perhaps
        .iter()
        .find(|step| expression.trusts(Reference::output_of(**step), embedded))?;
    Some((
        expression.source().trim().to_owned(),
        saga.steps.get(*step)?.name.clone(),
    ))
}

fn each_expression(step: &Step, visit: Visit<'_>) {
    let mappings = [
        Some(&step.input),
        step.compensation.as_ref(),
        step.verification.as_ref(),
    ];
    mappings
        .into_iter()
        .flatten()
        .for_each(|mapping| mapping.each_expression(visit));
    step.when.iter().for_each(|when| when.each_expression(visit));
    step.foreach
        .iter()
        .for_each(|foreach| foreach.items.each_expression(visit));
    if let Some(
        Wait::Signal {
            default: Some(template),
            ..
        }
        | Wait::Until(template),
    ) = &step.wait
    {
        template.each_expression(visit);
    }
}
