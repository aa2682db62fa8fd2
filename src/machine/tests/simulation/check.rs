//! What must hold when a simulated world has come to rest: what participants and clients saw, against what the history says.
//! Must not live here: making anything happen.

use super::participants::Effect;
use super::world::World;
use crate::history::{from_temporal_json, to_temporal_json};
use crate::machine::tests::oracle::Oracle;
use crate::machine::{Reply, RunState};
use crate::model::*;

impl World<'_> {
    /// What participants and clients saw, against what the history says.
    pub(super) fn check(&mut self) {
        let state = RunState::fold(&self.journal).expect("what is durable can be read");
        let oracle = Oracle::read(&self.journal);
        let history: Vec<Event> = self.journal.iter().flat_map(|turn| turn.events.clone()).collect();
        let written = to_temporal_json(&history).to_string();
        assert_eq!(
            from_temporal_json(&written).unwrap(),
            history,
            "written and read again\n{oracle}"
        );
        oracle.check_timers();
        // Who may be late is not asked: what left counts, whether or not it arrived.
        let has_left = |scheduled| {
            let from = AttemptToken { scheduled, attempt: 0 };
            self.left
                .range(from..)
                .next()
                .is_some_and(|token| token.scheduled == scheduled)
        };
        let applied = |scheduled: EventId| has_left(scheduled) && self.applied(scheduled);
        oracle.check_order(&applied);
        oracle.check_amends(&applied);
        self.check_effects(&oracle, &state);
        self.check_clients(&oracle, &state);
        assert!(
            state.is_closed() || oracle.says_stuck(),
            "neither ended nor stuck: {:?}\n{oracle}",
            state.status()
        );
        self.trace.push(state.status().to_string());
    }

    fn applied(&self, scheduled: EventId) -> bool {
        let events = self.journal.iter().flat_map(|turn| &turn.events);
        let mut scheduling = events.filter(|event| event.id == scheduled);
        scheduling.any(|event| match &event.attributes {
            EventAttributes::ActivityTaskScheduled(what) => self.participants.has_applied(what.activity_id.as_str()),
            _ => false,
        })
    }

    fn check_effects(&self, oracle: &Oracle<'_>, state: &RunState) {
        let effects = &self.participants.effects;
        for spec in oracle.step_specs() {
            let name = spec.name.as_str();
            let (applied, undone) = (self.participants.has_applied(name), self.participants.has_undone(name));
            match state.status() {
                RunStatus::Completed => assert!(applied && !undone, "completed without {name}\n{oracle}"),
                RunStatus::Amended if spec.compensation.is_some() => {
                    assert!(!applied || undone, "{name} is left behind\n{oracle}");
                }
                RunStatus::Amended => {
                    let left_behind = applied && spec.kind == StepKind::Pivot;
                    assert!(!left_behind, "the pivot {name} is left behind\n{oracle}");
                }
                _ => {}
            }
        }
        for (at, effect) in effects.iter().enumerate() {
            let Effect::Undone(name) = effect else {
                continue;
            };
            for dependent in oracle.dependents_of(name) {
                let other = dependent.name.to_string();
                let before = &effects[..at];
                let stands = before.contains(&Effect::Applied(other.clone()))
                    && !before.contains(&Effect::Undone(other.clone()))
                    && dependent.compensation.is_some()
                    && !oracle.is_left(&other);
                assert!(!stands, "{name} was undone before {other}\n{oracle}");
            }
        }
    }

    fn check_clients(&self, oracle: &Oracle<'_>, state: &RunState) {
        let events = || self.journal.iter().flat_map(|turn| &turn.events);
        for wish in &self.wishes {
            let reply = wish.acknowledged.as_ref().expect("a client that insists is answered");
            let taken = !matches!(reply, Reply::Rejected(_));
            let found = match &wish.input {
                Input::Signal { request_id, .. } => events()
                    .filter(|event| matches!(&event.attributes, EventAttributes::WorkflowExecutionSignaled(signal) if signal.request_id == *request_id))
                    .count(),
                Input::Terminate { .. } => usize::from(state.status() == RunStatus::Terminated),
                Input::Start(_) => usize::from(state.started().is_some()),
                _ => continue,
            };
            assert!(
                found <= 1 && (found == 1 || !taken),
                "{:?}: {reply:?}, found {found}\n{oracle}",
                wish.input
            );
        }
    }
}
