//! One step, compiled: its spec, its condition, its list, its mappings. Must not live here: the order of steps.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::model::{CompensationInput, CompensationSpec, OnAmbiguous, SignalName, StepName, StepSpec, WorkflowType};

use super::super::canonical::{self, Action};
use super::super::expression::{Extras, Names, Template, TextTemplate};
use super::super::graph::Graph;
use super::super::locations::Problems;
use super::super::mapping::Mapping;
use super::super::saga::{Foreach, Step, StepAction, Wait};
use super::super::time::moment;
use super::super::version::split_version;
use super::{activity_options, activity_type, checked, step_name};

pub(super) fn step(index: usize, saga: &canonical::Saga, graph: &Graph, problems: &mut Problems) -> Option<Step> {
    let step = saga.steps.get(index)?;
    let none = BTreeSet::new();
    let once = Names {
        steps: &graph.names,
        completed: Some(graph.ancestors.get(index).unwrap_or(&none)),
        this_step: Some(index),
        extras: Extras::default(),
        config: &saga.config,
        secrets: &saga.secrets,
    };
    let extras = Extras {
        item: step.foreach.is_some(),
        ..Extras::default()
    };
    let forward = Names { extras, ..once };
    let backward = Names {
        extras: Extras { undo: true, ..extras },
        ..once
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
    let undo = step.compensation.as_ref().map(|work| {
        let place = format!("{place}.compensation");
        mapped(work, &place, &backward, problems)
    });
    let (compensation, undo) = undo.unzip();
    let (on_ambiguous, verification) = on_ambiguous(step, &place, &backward, problems);
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
            compensation: compensation.flatten(),
            on_ambiguous,
            in_flight: step.in_flight,
        },
        action: action(&step.work.action),
        activity_type: activity_type(&step.work.action, &place, problems),
        options: activity_options(&step.work),
        when: step.when.as_ref().map(|when| {
            one_expression(
                when,
                &format!("{place}.when"),
                "${ input.total > 100 }",
                &once,
                problems,
            )
        }),
        foreach: step.foreach.as_ref().map(|foreach| Foreach {
            items: one_expression(
                &foreach.items,
                &format!("{place}.foreach.items"),
                "${ input.lines }",
                &once,
                problems,
            ),
            concurrency: foreach.concurrency.max(1),
        }),
        wait: wait(&step.work.action, &place, &once, problems),
        dependents: dependents.map(|(dependent, _)| dependent).collect(),
        dependencies,
        input: Mapping::compile(&step.work, &place, &forward, problems),
        compensation: undo,
        verification,
    })
}

/// What is done for a step, as it is journaled with it, and how its input is made.
fn mapped(
    work: &canonical::Work,
    place: &str,
    names: &Names<'_>,
    problems: &mut Problems,
) -> (Option<CompensationSpec>, Mapping) {
    let activity_type = activity_type(&work.action, place, problems);
    let mapping = Mapping::compile(work, place, names, problems);
    let spec = activity_type.map(|activity_type| CompensationSpec {
        activity_type,
        input: match mapping {
            Mapping::Default => CompensationInput::Undo,
            _ => CompensationInput::Mapped,
        },
        options: activity_options(work),
    });
    (spec, mapping)
}

fn on_ambiguous(
    step: &canonical::Step,
    place: &str,
    names: &Names<'_>,
    problems: &mut Problems,
) -> (OnAmbiguous, Option<Mapping>) {
    match &step.on_ambiguous {
        None => (OnAmbiguous::Compensate, None),
        Some(canonical::OnAmbiguous::Ask) => (OnAmbiguous::Ask, None),
        Some(canonical::OnAmbiguous::Verify(work)) => {
            let place = format!("{place}.on_ambiguous.verify");
            let (spec, mapping) = mapped(work, &place, names, problems);
            let policy = spec.map_or(OnAmbiguous::Ask, |spec| OnAmbiguous::Verify(Box::new(spec)));
            (policy, Some(mapping))
        }
    }
}

/// A text that has to be an expression as a whole: its result is no text.
fn one_expression(text: &str, place: &str, example: &str, names: &Names<'_>, problems: &mut Problems) -> Template {
    let template = TextTemplate::compile(text, place, names, problems);
    if !text.is_empty() && template.is_more_or_less_than_one_expression() {
        problems
            .error(place, "must be one expression")
            .hint(format!("such as \"{example}\""));
    }
    template.into()
}

fn wait(action: &Action, place: &str, names: &Names<'_>, problems: &mut Problems) -> Option<Wait> {
    match action {
        Action::Signal(signal) => {
            let name = checked(
                SignalName::new(&signal.name),
                &signal.name,
                &format!("{place}.signal.name"),
                problems,
            );
            let default = signal.default.as_ref();
            Some(Wait::Signal {
                name: name.unwrap_or_else(|| SignalName::from_trusted("")),
                timeout: signal.timeout_us.map(Duration::from_micros),
                default: default
                    .map(|value| Template::compile(value, &format!("{place}.signal.default"), names, problems)),
            })
        }
        Action::Timer(canonical::Timer::AfterUs(micros)) => Some(Wait::After(Duration::from_micros(*micros))),
        Action::Timer(canonical::Timer::Until(until)) => {
            let place = format!("{place}.timer.until");
            Some(Wait::Until(self::until(until, &place, names, problems)))
        }
        Action::Saga(child) => {
            let (name, _) = split_version(&child.name);
            checked(WorkflowType::new(name), name, &format!("{place}.saga.name"), problems);
            None
        }
        Action::Activity(_) | Action::Http(_) | Action::Exec(_) => None,
    }
}

fn until(until: &Value, place: &str, names: &Names<'_>, problems: &mut Problems) -> Template {
    let template = Template::compile(until, place, names, problems);
    let known = match template.as_literal() {
        // What is broken was reported already, and a text with expressions in it may become a time.
        Some(literal) => Some(literal).filter(|_| *literal == *until),
        None => Some(until).filter(|until| !until.is_string()),
    };
    if let Some(Err(message)) = known.map(moment) {
        problems.error(place, message);
    }
    template
}

fn action(action: &Action) -> StepAction {
    match action {
        Action::Activity(_) => StepAction::Activity,
        Action::Http(_) => StepAction::Http,
        Action::Exec(_) => StepAction::Exec,
        Action::Saga(_) => StepAction::Saga,
        Action::Signal(_) => StepAction::Signal,
        Action::Timer(_) => StepAction::Timer,
    }
}
