//! What a definition must not say although it could be executed. Lives here: the order of step kinds, compensations,
//! registered activities. Must not live here: what is needed to execute a definition at all (that is `compile`).
//!
//! These rules are asked when a file is loaded or a definition built, never when a journaled definition is read back:
//! a later version may refuse more without stranding the runs it has.

use std::collections::BTreeSet;

use crate::model::StepKind;

use super::authored::{Compensation, Saga};
use super::canonical::{self, Action, OnAmbiguous, Step};
use super::child::{SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};
use super::exec::EXEC_ACTIVITY;
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
        if let Some(OnAmbiguous::Verify(verify)) = &step.on_ambiguous {
            let place = format!("{place}.on_ambiguous.verify");
            check_activity(&verify.action, &place, known_activities, problems);
        }
        let unsaid = authored.steps.get(index).map(|step| &step.compensation) == Some(&Compensation::Unsaid);
        check_compensation(step, unsaid, &place, problems);
    }
    if let Some(escalate) = &saga.stuck.escalate {
        check_activity(&escalate.action, "stuck.escalate", known_activities, problems);
    }
    check_versioned_name(saga, problems);
    check_instance_names(&saga.steps, problems);
    check_derived_names(&saga.steps, problems);
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
    let instead = match name.as_str() {
        HTTP_ACTIVITY => Some("http = { url = \"http://..\" }"),
        EXEC_ACTIVITY => Some("exec = { command = [\"..\"] }"),
        SAGA_ACTIVITY => Some("saga = { name = \"..\" }"),
        // What undoes a child saga when its step does not say otherwise.
        SAGA_UNDO_ACTIVITY => return,
        _ => None,
    };
    if let Some(instead) = instead {
        problems
            .error(&place, format!("`{name}` is not a registered activity"))
            .hint(format!("write {instead} instead of `activity`"));
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
        (StepKind::Compensatable, None) if unsaid && !waits(step) => {
            problems
                .warning(place, format!("step `{}` has no compensation", step.name))
                .hint("add [step.compensation], or compensation = \"none\" if there is nothing to undo");
        }
        _ => {}
    }
}

/// `name@version` must say which part is which.
fn check_versioned_name(saga: &canonical::Saga, problems: &mut Problems) {
    if saga.name.contains('@') {
        problems
            .error("name", "`@` cannot be a part of a saga's name")
            .hint("it stands between the name and the version: write version = \"..\" for itself");
    }
    match &saga.version {
        Some(version) if version.is_empty() => {
            problems.error("version", "must not be empty");
        }
        Some(version) if version.contains(|letter: char| letter == '@' || letter.is_control()) => {
            problems.error("version", "a version has no `@` and no control characters");
        }
        _ => {}
    }
}

/// Compensations and verifications are named after their steps, and what is named alike has one idempotency key.
fn check_derived_names(steps: &[Step], problems: &mut Problems) {
    for (index, step) in steps.iter().enumerate() {
        if step.name.ends_with("/undo") || step.name.contains("/verify") {
            problems
                .error(
                    &format!("step[{index}].name"),
                    "a name that ends in `/undo`, or has `/verify` in it, is taken",
                )
                .hint("a step's compensation is called `<step>/undo`, its verification `<step>/verify`");
        }
    }
}

/// The steps that a `foreach` makes are named after it.
fn check_instance_names(steps: &[Step], problems: &mut Problems) {
    for (index, step) in steps.iter().enumerate() {
        let Some((name, rest)) = step.name.rsplit_once('[') else {
            continue;
        };
        let is_instance = rest
            .strip_suffix(']')
            .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        let taken = |other: &&Step| other.foreach.is_some() && other.name == name;
        if is_instance && steps.iter().any(|other| taken(&other)) {
            let message = format!(
                "step name `{}` is that of an element of `foreach` step `{name}`",
                step.name
            );
            problems.error(&format!("step[{index}].name"), message);
        }
    }
}

/// Nothing is done by a step that waits, so that it may stand on either side of a pivot.
fn waits(step: &Step) -> bool {
    matches!(step.work.action, Action::Signal(_) | Action::Timer(_))
}

fn check_kinds(steps: &[Step], graph: &Graph, problems: &mut Problems) {
    let pivots: Vec<(usize, &Step)> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.kind == StepKind::Pivot)
        .collect();
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| !waits(step)) {
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
                    problems.error(&place, message).hint(format!(
                        "then it could not be undone any more; add \"{name}\" to the pivot's `after`"
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
                if step.when.is_some() {
                    problems
                        .warning(&format!("{place}.when"), format!("pivot `{name}` may be left out"))
                        .hint("then the saga may turn back, but what comes after it is never undone; give those steps the `when`");
                }
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
