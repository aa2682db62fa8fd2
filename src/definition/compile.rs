//! From the canonical form to something that can be executed. Lives here: exactly what execution needs: ids, the graph
//! and compiled mappings. Must not live here: rules that a later version may tighten (those are `rules`).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::model::{
    ActivityOptions, ActivityType, CompensationInput, CompensationSpec, InFlight, OnAmbiguous, StepName, StepSpec,
    WorkflowType,
};

use super::canonical::{self, Action, digest};
use super::expression::{Names, Template};
use super::graph::Graph;
use super::http::HTTP_ACTIVITY;
use super::locations::Problems;
use super::mapping::Mapping;
use super::saga::{Inner, SagaDefinition, Step};

/// Compiles a definition. When problems were reported, the result has stand-ins and must not be used.
pub(super) fn compile(
    saga: canonical::Saga,
    canonical: Bytes,
    graph: &Graph,
    problems: &mut Problems,
) -> SagaDefinition {
    let name = checked(WorkflowType::new(&saga.name), &saga.name, "name", problems);
    let steps: Vec<Step> = (0..saga.steps.len())
        .filter_map(|index| step(index, &saga, graph, problems))
        .collect();
    let names = Names {
        steps: &graph.names,
        completed: None,
        this_step: None,
        in_compensation: false,
        config: &saga.config,
    };
    let output = saga.output.as_ref();
    let output = output.map(|output| Template::compile(output, "output", &names, problems));
    SagaDefinition(Arc::new(Inner {
        name: name.unwrap_or_else(|| WorkflowType::from_trusted("")),
        version: saga.version,
        description: saga.description,
        run_timeout: saga.run_timeout_us.map(Duration::from_micros),
        config: saga.config,
        step_names: steps.iter().map(|step| step.spec.name.clone()).collect(),
        steps,
        output,
        digest: digest(&canonical),
        canonical,
    }))
}

fn step(index: usize, saga: &canonical::Saga, graph: &Graph, problems: &mut Problems) -> Option<Step> {
    let step = saga.steps.get(index)?;
    let none = BTreeSet::new();
    let forward = Names {
        steps: &graph.names,
        completed: Some(graph.ancestors.get(index).unwrap_or(&none)),
        this_step: Some(index),
        in_compensation: false,
        config: &saga.config,
    };
    let backward = Names {
        in_compensation: true,
        ..forward
    };
    let place = format!("step[{index}]");
    let name = checked(
        StepName::new(&step.name),
        &step.name,
        &format!("{place}.name"),
        problems,
    );
    let dependencies = graph.dependencies.get(index).cloned().unwrap_or_default();
    let dependents = graph.dependencies.iter().enumerate();
    let dependents = dependents.filter(|(_, dependencies)| dependencies.contains(&index));
    let compensation = step.compensation.as_ref().map(|work| {
        let place = format!("{place}.compensation");
        (
            work,
            activity_type(&work.action, &place, problems),
            Mapping::compile(work, &place, &backward, problems),
        )
    });
    Some(Step {
        spec: StepSpec {
            name: name.unwrap_or_else(|| StepName::from_trusted("")),
            kind: step.kind,
            after: Some(
                dependencies
                    .iter()
                    .filter_map(|index| step_name(*index, saga))
                    .collect(),
            ),
            compensation: compensation
                .as_ref()
                .map(|(work, activity_type, mapping)| CompensationSpec {
                    activity_type: activity_type.clone(),
                    input: match mapping {
                        Mapping::Default => CompensationInput::Undo,
                        Mapping::Template(_) | Mapping::Http(_) => CompensationInput::Mapped,
                    },
                    options: ActivityOptions::from(&work.options),
                }),
            on_ambiguous: OnAmbiguous::default(),
            in_flight: InFlight::default(),
        },
        activity_type: activity_type(&step.work.action, &place, problems),
        options: ActivityOptions::from(&step.work.options),
        dependents: dependents.map(|(dependent, _)| dependent).collect(),
        dependencies,
        input: Mapping::compile(&step.work, &place, &forward, problems),
        compensation: compensation.map(|(_, _, mapping)| mapping),
    })
}

fn step_name(index: usize, saga: &canonical::Saga) -> Option<StepName> {
    Some(StepName::from_trusted(saga.steps.get(index)?.name.as_str()))
}

fn activity_type(action: &Action, place: &str, problems: &mut Problems) -> ActivityType {
    let checked = match action {
        Action::Http(_) => None,
        Action::Activity(name) => checked(ActivityType::new(name), name, &format!("{place}.activity"), problems),
    };
    checked.unwrap_or_else(|| ActivityType::from_trusted(HTTP_ACTIVITY))
}

/// The id, or a report. An empty text was reported before, unless it comes from a broken canonical form.
fn checked<T, E: Display>(id: Result<T, E>, text: &str, place: &str, problems: &mut Problems) -> Option<T> {
    match id {
        Ok(id) => Some(id),
        Err(error) => {
            if !text.is_empty() || !problems.has_errors() {
                problems.error(place, error.to_string());
            }
            None
        }
    }
}
