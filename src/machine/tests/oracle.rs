//! What must hold for every history, whatever happened, told from the events alone. Must not live here: anything that
//! asks the machine.

use std::collections::{BTreeMap, BTreeSet};

use super::text::history_text;
use crate::model::*;

/// An activity as its events tell it.
#[derive(Debug)]
struct Told<'a> {
    scheduled: &'a ActivityScheduled,
    id: EventId,
    ended: Option<EventId>,
    completed: bool,
}

/// One history, and what its events tell.
pub(super) struct Oracle<'a> {
    turns: &'a [Turn],
    activities: BTreeMap<EventId, Told<'a>>,
    turned_back: Option<EventId>,
    rolled_back: Vec<EventId>,
    /// Why each step (`None`: the saga) got stuck the last time.
    stuck: BTreeMap<Option<EventId>, StuckReason>,
    /// Steps that a person decided to leave as they are, or undid by hand.
    left: BTreeSet<EventId>,
    /// A person decided how the saga as a whole ends.
    overruled: bool,
    close: Option<&'a EventAttributes>,
    requests: BTreeSet<&'a RequestId>,
}

impl<'a> Oracle<'a> {
    /// Reads a history; ids must be dense, each activity must end once, and nothing may follow the end.
    pub(super) fn read(turns: &'a [Turn]) -> Self {
        let mut oracle = Oracle {
            turns,
            activities: BTreeMap::new(),
            turned_back: None,
            rolled_back: Vec::new(),
            stuck: BTreeMap::new(),
            left: BTreeSet::new(),
            overruled: false,
            close: None,
            requests: BTreeSet::new(),
        };
        let mut next = 1;
        let mut time = Timestamp::EPOCH;
        for (at, turn) in turns.iter().enumerate() {
            assert_eq!(turn.seq, at as u64 + 1, "turns are dense");
            assert!(turn.time >= time, "time goes forward");
            time = turn.time;
            for event in &turn.events {
                assert!(oracle.close.is_none(), "nothing follows the end");
                assert_eq!((event.id.0, event.time), (next, turn.time), "events are dense");
                next += event.attributes.ids();
                oracle.event(event);
            }
        }
        oracle
    }

    fn event(&mut self, event: &'a Event) {
        use EventAttributes as E;
        if event.attributes.closes() {
            self.close = Some(&event.attributes);
        }
        match &event.attributes {
            E::ActivityTaskScheduled(scheduled) => {
                assert!(
                    self.turned_back.is_none() || !scheduled.is_of_the_code(),
                    "nothing goes forward in a saga that goes back"
                );
                let told = Told {
                    scheduled,
                    id: event.id,
                    ended: None,
                    completed: false,
                };
                self.activities.insert(event.id, told);
            }
            E::WorkflowExecutionSignaled(signal) => {
                let is_new = signal.request_id.as_ref().is_none_or(|id| self.requests.insert(id));
                assert!(is_new, "a request is taken once");
            }
            E::ActivityTaskCompleted { scheduled, .. } => self.ended(*scheduled, event.id, true),
            E::ActivityTaskFailed { scheduled, .. }
            | E::ActivityTaskTimedOut { scheduled, .. }
            | E::ActivityTaskCanceled { scheduled, .. } => self.ended(*scheduled, event.id, false),
            E::SagaUnwindStarted(_) => {
                assert!(self.turned_back.is_none(), "a saga turns back once");
                self.turned_back = Some(event.id);
            }
            E::SagaRollbackStarted { .. } => self.rolled_back.push(event.id),
            E::SagaStuck(stuck) => {
                self.stuck.insert(stuck.step, stuck.reason);
            }
            E::SagaDecided(decided) => self.decided(decided),
            _ => {}
        }
    }

    fn decided(&mut self, decided: &SagaDecided) {
        let reason = self
            .stuck
            .remove(&decided.step)
            .expect("a decision is about what is stuck");
        let about_undoing = matches!(
            reason,
            StuckReason::CompensationFailed | StuckReason::CompensationInput | StuckReason::UnwindTimeout
        );
        match (decided.step, &decided.choice) {
            (None, _) => self.overruled = true,
            (Some(step), Choice::Skip | Choice::MarkDone { .. }) if about_undoing => {
                self.left.insert(step);
            }
            _ => {}
        }
    }

    fn ended(&mut self, scheduled: EventId, by: EventId, completed: bool) {
        let told = self.activities.get_mut(&scheduled).expect("what ends was scheduled");
        assert_eq!(told.ended, None, "an activity's end is recorded once");
        (told.ended, told.completed) = (Some(by), completed);
    }

    fn steps(&self) -> impl Iterator<Item = (&Told<'a>, &'a StepSpec)> {
        let steps = self.activities.values();
        steps.filter_map(|told| told.scheduled.step().map(|spec| (told, spec)))
    }

    fn compensations_of(&self, step: EventId) -> Vec<&Told<'a>> {
        let all = self.activities.values();
        all.filter(|told| told.scheduled.undoes() == Some(step)).collect()
    }

    /// Every step that builds on this one, directly or through others.
    fn dependents(&self, of: EventId) -> BTreeSet<EventId> {
        let mut found = BTreeSet::new();
        let mut open = vec![of];
        while let Some(id) = open.pop() {
            let base = &self.activities[&id];
            let name = &base.scheduled.step().expect("a step").name;
            for (told, spec) in self.steps() {
                let builds_on = match &spec.after {
                    Some(after) => after.contains(name) && told.id > id,
                    None => base.ended.is_some_and(|end| end < told.id),
                };
                if builds_on && found.insert(told.id) {
                    open.push(told.id);
                }
            }
        }
        found
    }

    /// The names of the steps that build on the one with this name.
    pub(super) fn dependents_of(&self, name: &str) -> Vec<&'a StepSpec> {
        let named = self.steps().find(|(_, spec)| spec.name.as_str() == name);
        let dependents = named.map(|(told, _)| self.dependents(told.id)).unwrap_or_default();
        let all = dependents.iter().filter_map(|id| self.activities[id].scheduled.step());
        all.collect()
    }

    /// Whether a person decided that the step with this name is not undone by its compensation.
    pub(super) fn is_left(&self, name: &str) -> bool {
        let mut named = self.steps().filter(|(_, spec)| spec.name.as_str() == name);
        named.any(|(told, _)| self.left.contains(&told.id))
    }

    /// The steps' own words.
    pub(super) fn step_specs(&self) -> impl Iterator<Item = &'a StepSpec> {
        self.steps().map(|(_, spec)| spec)
    }

    /// Compensations: at most one for each step, not before the step has ended, and not before everything that builds on
    /// it and may have happened is undone. `may_have_happened` knows what really went on.
    pub(super) fn check_order(&self, may_have_happened: &dyn Fn(EventId) -> bool) {
        for (step, _) in self.steps() {
            let compensations = self.compensations_of(step.id);
            let Some(undo) = compensations.first() else {
                continue;
            };
            assert_eq!(compensations.len(), 1, "one compensation\n{self}");
            let mut went_back = self.turned_back.iter().chain(&self.rolled_back);
            assert!(
                went_back.any(|turned| *turned < undo.id) && step.ended.is_some_and(|end| end < undo.id),
                "too early\n{self}"
            );
            for dependent in self.dependents(step.id) {
                let told = &self.activities[&dependent];
                assert!(
                    told.ended.is_some_and(|end| end < undo.id),
                    "{dependent} was running\n{self}"
                );
                if may_have_happened(dependent) && has_compensation(told) && !self.left.contains(&dependent) {
                    let undone = self.compensations_of(dependent);
                    let undone = undone.first().and_then(|undo| undo.ended);
                    assert!(undone.is_some_and(|end| end < undo.id), "{dependent} first\n{self}");
                }
            }
        }
    }

    /// A run that says it made amends did: every step that may have happened was undone, and each has ended.
    pub(super) fn check_amends(&self, may_have_happened: &dyn Fn(EventId) -> bool) {
        use EventAttributes as E;
        let amended = match self.close {
            Some(
                E::WorkflowExecutionFailed { amended, .. }
                | E::WorkflowExecutionCanceled { amended, .. }
                | E::WorkflowExecutionTimedOut { amended },
            ) => *amended,
            Some(E::WorkflowExecutionCompleted { .. }) => {
                assert!(
                    self.turned_back.is_none() || self.overruled,
                    "completed and turned back\n{self}"
                );
                return;
            }
            _ => return,
        };
        let leaves_something = !self.left.is_empty();
        assert!(
            amended || leaves_something || self.steps().next().is_none(),
            "a saga makes amends\n{self}"
        );
        for (step, spec) in self.steps() {
            assert!(step.ended.is_some(), "{} is still running\n{self}", spec.name);
            let undone = self
                .compensations_of(step.id)
                .first()
                .is_some_and(|undo| undo.completed);
            if may_have_happened(step.id) && spec.compensation.is_some() && !self.left.contains(&step.id) {
                assert!(undone, "{} is left behind\n{self}", spec.name);
            }
        }
    }

    /// Nothing is undone that certainly did not happen.
    pub(super) fn check_nothing_undone_in_vain(&self, may_have_happened: &dyn Fn(EventId) -> bool) {
        for (step, spec) in self.steps() {
            let undone = !self.compensations_of(step.id).is_empty();
            assert!(
                !undone || may_have_happened(step.id),
                "{} never happened\n{self}",
                spec.name
            );
        }
    }

    /// A timer fires once, and not before its time.
    pub(super) fn check_timers(&self) {
        let mut running: BTreeMap<&TimerId, Timestamp> = BTreeMap::new();
        for event in self.turns.iter().flat_map(|turn| &turn.events) {
            match &event.attributes {
                EventAttributes::TimerStarted { timer_id, fire_at } => {
                    running.insert(timer_id, *fire_at);
                }
                EventAttributes::TimerFired { timer_id, .. } => {
                    let fire_at = running.remove(timer_id).expect("a timer fires once");
                    assert!(event.time >= fire_at, "{timer_id} fired early\n{self}");
                }
                _ => {}
            }
        }
    }

    /// Whether the history says that the run waits for a person.
    pub(super) fn says_stuck(&self) -> bool {
        let mut events = self.turns.iter().flat_map(|turn| &turn.events);
        events.any(|event| matches!(event.attributes, EventAttributes::SagaStuck(_)))
    }
}

fn has_compensation(told: &Told<'_>) -> bool {
    let spec = told.scheduled.step();
    spec.is_some_and(|spec| spec.compensation.is_some())
}

impl std::fmt::Display for Oracle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&history_text(self.turns))
    }
}
