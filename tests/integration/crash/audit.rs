//! What must hold when everything has ended, whatever was killed when. Must not live here: making it happen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amends::machine::RunState;
use amends::model::{EventAttributes, Outcome, RunStatus, Turn};
use amends::store::record::decode_turn;
use amends::store::{ListQuery, RunHead, Store};

use super::child::{STEPS, is_code, signals_of};
use super::ledger::{Entry, Ledger, UNDO};
use super::process::Observed;
use crate::support::open_sled;

/// Compares what was acknowledged, what is stored, and what the participants know.
pub(super) fn audit(data: &Path, observed: &Observed, ledger: &Ledger) {
    let store = open_sled(data).unwrap();
    let report = store.verify(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let all = ListQuery {
        limit: usize::MAX,
        ..ListQuery::default()
    };
    let runs = store.list(&all).unwrap();
    assert_eq!(store.wakes(None, usize::MAX).unwrap(), []);
    assert!(runs.iter().all(|run| run.status.is_closed()));
    let effects = by_workflow(ledger.entries());
    let mut found = BTreeSet::new();
    for head in &runs {
        let number = head.workflow_id.as_str().trim_start_matches('s').parse().unwrap();
        assert!(found.insert(number), "two runs of {}", head.workflow_id);
        let turns = history(&*store, head);
        let none = Effects::new();
        let effects = effects.get(head.workflow_id.as_str()).unwrap_or(&none);
        audit_run(number, head, &turns, effects, observed);
    }
    assert!(
        found.is_superset(&observed.started),
        "lost: {:?}",
        observed.started.difference(&found)
    );
    for workflow in effects.keys() {
        let number: u64 = workflow.trim_start_matches('s').parse().unwrap();
        assert!(found.contains(&number), "{workflow} had effects, but was never stored");
    }
}

/// Steps and compensations of one run, each with its key and what the participants know of it.
type Effects = BTreeMap<(String, bool), (String, Entry)>;

fn by_workflow(entries: BTreeMap<String, Entry>) -> BTreeMap<String, Effects> {
    let mut effects: BTreeMap<String, Effects> = BTreeMap::new();
    for (key, entry) in entries {
        let of_run = effects.entry(entry.workflow.clone()).or_default();
        let step = (entry.step.clone(), key.ends_with(UNDO));
        let before = of_run.insert(step, (key.clone(), entry));
        assert!(before.is_none(), "two keys for one intent: {before:?} and {key}");
    }
    effects
}

/// The run's turns; they must be dense and fold to what its head says.
fn history(store: &dyn Store, head: &RunHead) -> Vec<Turn> {
    let stored = store.history(head.run_id).unwrap().unwrap();
    let turns: Vec<Turn> = stored.iter().map(|turn| decode_turn(&turn.bytes).unwrap()).collect();
    assert!(
        turns.iter().zip(1..).all(|(turn, seq)| turn.seq == seq),
        "gaps in {}",
        head.workflow_id
    );
    let mut next = 1;
    for event in turns.iter().flat_map(|turn| &turn.events) {
        assert_eq!(event.id.0, next, "gaps in {}", head.workflow_id);
        next += event.attributes.ids();
    }
    assert_eq!(
        (turns.len() as u64, next),
        (head.turns, head.next_event),
        "{}",
        head.workflow_id
    );
    turns
}

fn audit_run(number: u64, head: &RunHead, turns: &[Turn], effects: &Effects, observed: &Observed) {
    let id = &head.workflow_id;
    let state = RunState::fold(turns).unwrap();
    assert_eq!(state.status(), head.status, "{id}");
    if let Some(said) = observed.ended.get(&number) {
        assert_eq!(head.status.as_str(), said, "{id}: its client was told something else");
    }
    let events = turns
        .iter()
        .flat_map(|turn| &turn.events)
        .map(|event| &event.attributes);
    let (mut scheduled, mut signals) = (BTreeSet::new(), Vec::new());
    for event in events {
        match event {
            EventAttributes::ActivityTaskScheduled(activity) => {
                let key = amends::sdk::idempotency_key(head.run_id, &activity.activity_id);
                assert!(scheduled.insert(key), "{id}: an activity id was used twice");
            }
            EventAttributes::WorkflowExecutionSignaled(signal) => signals.push(signal.input.to::<u64>().unwrap()),
            _ => {}
        }
    }
    for (key, entry) in effects.values() {
        assert!(
            scheduled.contains(key),
            "{id}: {entry:?} was asked for before it was durable"
        );
    }
    for (_, signal) in observed.signaled.iter().filter(|(saga, _)| *saga == number) {
        let times = signals.iter().filter(|seen| *seen == signal).count();
        assert_eq!(times, 1, "{id}: the acknowledged signal {signal}");
    }
    if is_code(number)
        && let Some(Outcome::Completed(result)) = state.outcome()
    {
        let expected: Vec<u64> = (0..signals_of(number)).collect();
        assert_eq!(
            result.to::<Vec<u64>>().unwrap(),
            expected,
            "{id}: the signals that its code saw"
        );
    }
    assert!(
        !observed.cancelled.contains(&number) || head.status == RunStatus::Amended,
        "{id}: cancelled, yet {}",
        head.status
    );
    audit_effects(head, effects);
}

/// All or amends.
fn audit_effects(head: &RunHead, effects: &Effects) {
    let id = &head.workflow_id;
    let place = |step: &str, undo: bool| {
        effects
            .get(&(step.to_owned(), undo))
            .and_then(|(_, entry)| entry.effect)
    };
    for (step, after) in STEPS {
        match head.status {
            RunStatus::Completed => {
                assert!(place(step, false).is_some(), "{id}: completed without {step}");
                assert!(place(step, true).is_none(), "{id}: completed, with {step} undone");
            }
            RunStatus::Amended => {
                let half_done = place(step, false).is_some() && place(step, true).is_none();
                assert!(!half_done, "{id}: {step} was not undone");
                for earlier in after {
                    let (one, other) = (place(step, true), place(earlier, true));
                    let in_order = one.is_none() || other.is_none() || one < other;
                    assert!(in_order, "{id}: {earlier} was undone before {step}");
                }
            }
            other => panic!("{id} is {other}"),
        }
    }
}
