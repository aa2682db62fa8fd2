//! From the canonical form to something that can be executed. Lives here: exactly what execution needs: ids, the graph
//! and compiled mappings. Must not live here: rules that a later version may tighten (those are `rules`).

mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::model::{
    ActivityOptions, ActivityType, AutomaticDecision, ChoiceKind, Escalation, SagaOptions, StepName, TaskQueue,
    WorkflowType,
};

use super::canonical::{self, Action, digest};
use super::child::SAGA_ACTIVITY;
use super::exec::EXEC_ACTIVITY;
use super::expression::{Extras, Names, Template, TextTemplate};
use super::graph::Graph;
use super::http::HTTP_ACTIVITY;
use super::locations::Problems;
use super::mapping::Mapping;
use super::saga::{Inner, SagaDefinition, Step};
use super::schema::InputSchema;
use super::start::Start;

/// Compiles a definition. When problems were reported, the result has stand-ins and must not be used.
pub(super) fn compile(
    saga: canonical::Saga,
    canonical: Bytes,
    graph: &Graph,
    problems: &mut Problems,
) -> SagaDefinition {
    let name = checked(WorkflowType::new(&saga.name), &saga.name, "name", problems);
    let steps: Vec<Step> = (0..saga.steps.len())
        .filter_map(|index| step::step(index, &saga, graph, problems))
        .collect();
    let names = Names {
        steps: &graph.names,
        completed: None,
        this_step: None,
        extras: Extras::default(),
        config: &saga.config,
        secrets: &saga.secrets,
    };
    let output = saga.output.as_ref();
    let output = output.map(|output| Template::compile(output, "output", &names, problems));
    let start = start(&saga, &names, problems);
    let (options, escalation) = options(&saga, &names, problems);
    SagaDefinition(Arc::new(Inner {
        name: name.unwrap_or_else(|| WorkflowType::from_trusted("")),
        version: saga.version,
        description: saga.description,
        task_queue: saga.task_queue.map(TaskQueue::from_trusted),
        run_timeout: saga.run_timeout_us.map(Duration::from_micros),
        config: saga.config,
        step_indices: steps
            .iter()
            .enumerate()
            .map(|(index, step)| (step.spec.name.clone(), index))
            .collect(),
        step_names: steps.iter().map(|step| step.spec.name.clone()).collect(),
        steps,
        output,
        start,
        options,
        escalation,
        input_schema: saga.input_schema.map(InputSchema::new),
        secrets: saga.secrets,
        activity_limits: BTreeMap::new(),
        digest: digest(&canonical),
        canonical,
    }))
}

fn start(saga: &canonical::Saga, names: &Names<'_>, problems: &mut Problems) -> Start {
    let before_the_run = Names {
        extras: Extras {
            only_input: true,
            ..names.extras
        },
        ..*names
    };
    // A run asks for its locks before its first step.
    let none = BTreeSet::new();
    let before_the_steps = Names {
        completed: Some(&none),
        ..*names
    };
    let locks = saga.locks.iter().enumerate();
    Start {
        search_attributes: saga
            .search_attributes
            .iter()
            .map(|(name, value)| {
                let place = format!("search_attributes.{name}");
                (
                    name.clone(),
                    Template::compile(value, &place, &before_the_run, problems),
                )
            })
            .collect(),
        locks: locks
            .map(|(index, lock)| TextTemplate::compile(lock, &format!("locks[{index}]"), &before_the_steps, problems))
            .collect(),
        lock_timeout: saga.lock_timeout_us.map(Duration::from_micros),
        lock_no_wait: saga.lock_no_wait,
    }
}

fn options(saga: &canonical::Saga, names: &Names<'_>, problems: &mut Problems) -> (SagaOptions, Option<Mapping>) {
    // Whatever is stuck, and when: no step is sure to have completed.
    let none = BTreeSet::new();
    let names = Names {
        completed: Some(&none),
        extras: Extras {
            notice: true,
            ..names.extras
        },
        ..*names
    };
    const PLACE: &str = "stuck.escalate";
    let stuck = &saga.stuck;
    let escalate = stuck.escalate.as_ref();
    let mapping = escalate.map(|work| Mapping::compile(work, PLACE, &names, problems));
    let options = SagaOptions {
        unwind_timeout: saga.unwind_timeout_us.map(Duration::from_micros),
        unwind_parallel: saga.unwind_parallel,
        escalation: escalate.and_then(|work| {
            Some(Escalation {
                after: Duration::from_micros(stuck.escalate_after_us),
                activity_type: activity_type(&work.action, PLACE, problems)?,
                options: activity_options(work),
            })
        }),
        automatic: stuck.decide.as_deref().and_then(ChoiceKind::from_word).map(|choice| {
            let after = Duration::from_micros(stuck.decide_after_us);
            AutomaticDecision { after, choice }
        }),
    };
    (options, mapping)
}

fn activity_options(work: &canonical::Work) -> ActivityOptions {
    work.options.as_ref().map(ActivityOptions::from).unwrap_or_default()
}

fn step_name(index: usize, saga: &canonical::Saga) -> Option<StepName> {
    Some(StepName::from_trusted(saga.steps.get(index)?.name.as_str()))
}

/// The activity that does it; `None`: it waits.
fn activity_type(action: &Action, place: &str, problems: &mut Problems) -> Option<ActivityType> {
    let built_in = match action {
        Action::Http(_) => HTTP_ACTIVITY,
        Action::Exec(_) => EXEC_ACTIVITY,
        Action::Saga(_) => SAGA_ACTIVITY,
        Action::Signal(_) | Action::Timer(_) => return None,
        Action::Activity(name) => {
            let checked = checked(ActivityType::new(name), name, &format!("{place}.activity"), problems);
            return Some(checked.unwrap_or_else(|| ActivityType::from_trusted("")));
        }
    };
    Some(ActivityType::from_trusted(built_in))
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
