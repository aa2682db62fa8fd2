//! What a saga leaves behind at its participants is all or nothing. Lives here: the reading of a ledger. Must not live here:
//! how the ledger came about.

use std::collections::{BTreeMap, BTreeSet};

use amends::{RunStatus, SagaDefinition};

use super::world::{Does, Operation};

/// The operation of each step of a definition, in its order; `None` for a step without an effect at a participant.
pub(crate) type Effects = [Option<&'static str>];

/// Checks the ledger of a run that has ended. Every effect is part of a completed saga, or was undone exactly once, after
/// everything that was built on it.
#[track_caller]
pub(crate) fn audit(
    about: &str,
    ledger: &[String],
    status: RunStatus,
    saga: &SagaDefinition,
    effects: &Effects,
    operations: &[Operation],
) {
    let mut problems = Vec::new();
    let mut applied: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut undone: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (at, line) in ledger.iter().enumerate() {
        let (what, rest) = line.split_once(' ').unwrap();
        let (name, subject) = rest.split_once(' ').unwrap();
        let undoes = operations.iter().find_map(|operation| match operation.does {
            Does::Undo(forward) if operation.name == name => Some(forward),
            _ => None,
        });
        let twice = match (what, undoes) {
            ("applied", _) => applied.insert((name, subject), at).is_some(),
            ("undone", Some(forward)) => undone.insert((forward, subject), at).is_some(),
            _ => false,
        };
        if twice {
            problems.push(format!("{line}: twice"));
        }
    }
    let kept: BTreeSet<_> = applied.keys().filter(|effect| !undone.contains_key(*effect)).collect();
    match status {
        RunStatus::Completed if !undone.is_empty() => problems.push("something was undone".to_owned()),
        RunStatus::Amended => {
            let can_be_undone = |name: &str| {
                operations
                    .iter()
                    .any(|operation| matches!(operation.does, Does::Undo(undone) if undone == name))
            };
            problems.extend(
                kept.iter()
                    .filter(|(name, _)| can_be_undone(name))
                    .map(|kept| format!("{kept:?} was kept")),
            );
        }
        _ => {}
    }
    for (earlier, earlier_at) in &undone {
        for (later, later_at) in &undone {
            if is_before(earlier.0, later.0, saga, effects) && earlier_at < later_at {
                problems.push(format!("{earlier:?} was undone before {later:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "{about}: {status}\n{problems:#?}\n{ledger:#?}");
}

/// Whether the step with the first effect has to have completed before the one with the second is begun.
fn is_before(first: &str, second: &str, saga: &SagaDefinition, effects: &Effects) -> bool {
    let step = |name: &str| effects.iter().position(|effect| *effect == Some(name));
    let (Some(first), Some(second)) = (step(first), step(second)) else {
        return false;
    };
    let mut open = vec![second];
    while let Some(step) = open.pop() {
        let before = saga.steps()[step].dependencies();
        if before.contains(&first) {
            return true;
        }
        open.extend(before);
    }
    false
}
