//! What works, but probably not as meant. Lives here: warnings that need the whole definition. Must not live here: what
//! is refused (that is `rules`), and warnings about a single mapping (`mapping`).
//!
//! Asked only of a definition without errors: what stands in for a broken value would be warned of too.

mod outputs;
mod time;
mod unused;

use crate::model::StepKind;

use super::authored;
use super::canonical::{OnAmbiguous, Saga, Step};
use super::graph::Graph;
use super::locations::Problems;
use super::saga::SagaDefinition;

/// Looks for everything that a careful reader would ask the author about.
pub(super) fn check(
    authored: &authored::Saga,
    saga: &Saga,
    graph: &Graph,
    compiled: &SagaDefinition,
    problems: &mut Problems,
) {
    check_pivots(&saga.steps, graph, problems);
    check_questions(saga, problems);
    time::check(saga, graph, problems);
    outputs::check(saga, compiled, problems);
    unused::check(authored, saga, problems);
}

fn check_pivots(steps: &[Step], graph: &Graph, problems: &mut Problems) {
    for (pivot, step) in steps.iter().enumerate() {
        let followed = (0..steps.len()).any(|other| graph.waits_for(other, pivot));
        if step.kind == StepKind::Pivot && !followed {
            let message = format!("nothing comes after pivot `{}`", step.name);
            problems.warning(&format!("step[{pivot}].kind"), message).hint(
                "a pivot divides steps that can be undone from steps that must succeed: add the retriable steps, or \
                 leave `kind` out",
            );
        }
    }
}

/// Persons who are asked, but never told.
fn check_questions(saga: &Saga, problems: &mut Problems) {
    if saga.stuck.escalate.is_some() || saga.stuck.decide.is_some() {
        return;
    }
    for (index, step) in saga.steps.iter().enumerate() {
        if step.on_ambiguous == Some(OnAmbiguous::Ask) {
            let message = format!("step `{}` asks a person, but nobody is told", step.name);
            problems
                .warning(&format!("step[{index}].on_ambiguous"), message)
                .hint("add escalate = { http = { url = \"http://..\" } } under [stuck]");
        }
    }
}
