//! What a definition must not say although it could be executed. Lives here: the order of step kinds, compensations,
//! registered activities. Must not live here: what is needed to execute a definition at all (that is `compile`).
//!
//! These rules are asked when a file is loaded or a definition built, never when a journaled definition is read back:
//! a later version may refuse more without stranding the runs it has.

use std::collections::BTreeSet;

use crate::model::StepKind;

use super::authored::{Compensation, Saga};
use super::canonical::{self, Action, Step};
use super::graph::Graph;
use super::http::HTTP_ACTIVITY;
use super::locations::Problems;
use super::problem::did_you_mean;

/// Checks everything that needs more than one value.
pub(super) fn check(
    authored: &Saga,
    saga: &canonical::Saga,
    graph: &Graph,
    known_activities: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) {
    if saga.steps.is_empty() && !problems.was_written("step") && !problems.was_written("steps") {
        problems.error("", "the saga has no steps").hint("add a [[step]]");
    }
    for (index, step) in saga.steps.iter().enumerate() {
        let place = format!("step[{index}]");
        check_activity(&step.work.action, &place, known_activities, problems);
        if let Some(compensation) = &step.compensation {
            let place = format!("{place}.compensation");
            check_activity(&compensation.action, &place, known_activities, problems);
        }
        let unsaid = authored.steps.get(index).map(|step| &step.compensation) == Some(&Compensation::Unsaid);
        check_compensation(step, unsaid, &place, problems);
    }
    // In a cycle every step comes after every other one: the order of kinds would only be noise.
    if !graph.cyclic {
        check_kinds(&saga.steps, graph, problems);
    }
}

fn check_activity(action: &Action, place: &str, known: Option<&BTreeSet<String>>, problems: &mut Problems) {
    let Action::Activity(name) = action else {
        return;
    };
    let place = format!("{place}.activity");
    if name == HTTP_ACTIVITY {
        problems
            .error(&place, "`http` is not a registered activity")
            .hint("write http = { url = \"http://..\" } instead of `activity`");
    } else if let Some(known) = known.filter(|known| !name.is_empty() && !known.contains(name)) {
        let hint = did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
            let all: Vec<&str> = known.iter().map(String::as_str).collect();
            match all.is_empty() {
                true => "no activities are registered".to_owned(),
                false => format!("registered: {}", all.join(", ")),
            }
        });
        problems
            .error(&place, format!("no activity `{name}` is registered"))
            .hint(hint);
    }
}

fn check_compensation(step: &Step, unsaid: bool, place: &str, problems: &mut Problems) {
    match (step.kind, &step.compensation) {
        (StepKind::Retriable, Some(_)) => {
            problems
                .error(&format!("{place}.compensation"), "a retriable step is never undone")
                .hint("remove its compensation: after the pivot the saga only goes forward");
        }
        (StepKind::Compensatable, None) if unsaid => {
            problems
                .warning(place, format!("step `{}` has no compensation", step.name))
                .hint("add [step.compensation], or compensation = \"none\" if there is nothing to undo");
        }
        _ => {}
    }
}

fn check_kinds(steps: &[Step], graph: &Graph, problems: &mut Problems) {
    let pivots: Vec<(usize, &Step)> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.kind == StepKind::Pivot)
        .collect();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("step[{index}]");
        let kind_place = format!("{place}.kind");
        let name = &step.name;
        let before = pivots.iter().find(|(pivot, _)| graph.waits_for(index, *pivot));
        match (step.kind, before) {
            (StepKind::Compensatable, Some((_, pivot))) => {
                problems
                    .error(&kind_place, format!("compensatable step `{name}` comes after pivot `{}`", pivot.name))
                    .hint("after the pivot there is no way back: make it kind = \"retriable\", or put it before the pivot");
            }
            (StepKind::Compensatable, None) => {
                let beside = pivots.iter().find(|(pivot, _)| !graph.waits_for(*pivot, index));
                if let Some((_, pivot)) = beside {
                    let message = format!(
                        "step `{name}` may still be running when pivot `{}` succeeds",
                        pivot.name
                    );
                    problems.warning(&place, message).hint(format!(
                        "then it cannot be undone any more; add \"{name}\" to the pivot's `after`"
                    ));
                }
            }
            (StepKind::Retriable, None) => {
                problems
                    .error(
                        &kind_place,
                        format!("retriable step `{name}` does not come after a pivot"),
                    )
                    .hint("before the pivot a step is compensatable; add the pivot to its `after`");
            }
            (StepKind::Retriable, Some(_)) => {}
            (StepKind::Pivot, Some((_, pivot))) => {
                problems
                    .error(
                        &kind_place,
                        format!("pivot `{name}` comes after pivot `{}`", pivot.name),
                    )
                    .hint("a saga has one go/no-go step: make the later one kind = \"retriable\"");
            }
            (StepKind::Pivot, None) => {
                let beside = pivots
                    .iter()
                    .find(|(pivot, _)| *pivot < index && !graph.waits_for(*pivot, index));
                if let Some((_, pivot)) = beside {
                    problems
                        .error(
                            &kind_place,
                            format!("pivots `{}` and `{name}` do not wait for each other", pivot.name),
                        )
                        .hint("a saga has one go/no-go step");
                }
            }
        }
    }
}
