//! The saga's steps as the code has asked for them: their names, the order in which they may come, and what a rollback
//! concerns. Must not live here: what is owed for a step, or undoing it (`machine`).
//!
//! The machine checks the same rules again; here they are failures of the call that broke them, in the code that made it.

use std::collections::BTreeMap;

use crate::model::{ActivityId, Command, EventId, Failure, Payload, StepKind, StepName};

use super::{Core, Key, What};

/// Numbers the steps of a run in the order in which the code asked for them; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::sdk::workflow) struct StepSerial(u64);

/// The steps that were scheduled, or will be at the end of this turn, in that order.
#[derive(Debug, Default)]
pub(super) struct Steps {
    list: Vec<KnownStep>,
    last: StepSerial,
    /// With the highest number that was appended to each.
    names: BTreeMap<StepName, u64>,
    /// Pivots that have succeeded, or may be succeeding.
    pivots: usize,
    pivot_completed: bool,
}

#[derive(Debug)]
struct KnownStep {
    serial: StepSerial,
    name: StepName,
    kind: StepKind,
    activity_id: ActivityId,
    /// The scheduling event: known of all steps but those of the present turn, which are the last.
    scheduled: Option<EventId>,
    failed: bool,
}

impl KnownStep {
    fn is_reached_pivot(&self) -> bool {
        self.kind == StepKind::Pivot && !self.failed
    }
}

impl Steps {
    /// After a pivot that has succeeded, or may be succeeding, nothing that could be undone may follow.
    pub(super) fn check_order(&self, kind: StepKind, name: &str) -> Result<(), Failure> {
        if kind != StepKind::Compensatable || self.pivots == 0 {
            return Ok(());
        }
        let pivot = self.list.iter().find(|step| step.is_reached_pivot());
        let pivot = pivot.map_or("", |step| step.name.as_str());
        let message = format!(
            "the step {name:?} comes after the pivot {pivot:?}, from where the saga only goes forward: run it before the \
             pivot, or as a retriable step"
        );
        Err(Failure::non_retryable("StepOrder", message))
    }

    /// A step that is asked for; gets a name that no other step of the run has.
    pub(super) fn add(&mut self, wanted: &StepName, kind: StepKind, activity_id: ActivityId) -> (StepSerial, StepName) {
        let name = self.unused_name(wanted);
        self.last = StepSerial(self.last.0 + 1);
        self.pivots += usize::from(kind == StepKind::Pivot);
        self.list.push(KnownStep {
            serial: self.last,
            name: name.clone(),
            kind,
            activity_id,
            scheduled: None,
            failed: false,
        });
        (self.last, name)
    }

    /// A step of the present turn is not asked for after all.
    pub(super) fn take_back(&mut self, serial: StepSerial) {
        if let Ok(at) = self.list.binary_search_by_key(&serial, |step| step.serial) {
            let step = self.list.remove(at);
            self.pivots -= usize::from(step.is_reached_pivot());
        }
    }

    pub(super) fn confirm(&mut self, activity_id: &ActivityId, event: EventId) {
        let known = self.list.partition_point(|step| step.scheduled.is_some());
        let mut unknown = self.list.iter_mut().skip(known);
        if let Some(step) = unknown.find(|step| step.activity_id == *activity_id) {
            step.scheduled = Some(event);
        }
    }

    pub(super) fn complete(&mut self, scheduled: EventId) {
        let is_pivot = self.of_event(scheduled).is_some_and(|step| step.is_reached_pivot());
        self.pivot_completed |= is_pivot;
    }

    pub(super) fn fail(&mut self, scheduled: EventId) {
        let Some(step) = self.of_event(scheduled) else {
            return;
        };
        let was_reached = step.is_reached_pivot();
        step.failed = true;
        self.pivots -= usize::from(was_reached);
    }

    pub(super) fn is_past_pivot(&self) -> bool {
        self.pivot_completed
    }

    fn of_event(&mut self, scheduled: EventId) -> Option<&mut KnownStep> {
        let before = |step: &KnownStep| step.scheduled.is_some_and(|event| event < scheduled);
        let at = self.list.partition_point(before);
        let step = self.list.get_mut(at)?;
        (step.scheduled == Some(scheduled)).then_some(step)
    }

    /// How many steps a rollback to behind this one keeps.
    fn kept(&self, savepoint: StepSerial) -> Result<u64, Failure> {
        let kept = self.list.partition_point(|step| step.serial <= savepoint);
        let mut undone = self.list.iter().skip(kept);
        match undone.find(|step| step.is_reached_pivot()) {
            None => Ok(u64::try_from(kept).unwrap_or(u64::MAX)),
            Some(pivot) => {
                let message = format!(
                    "the saga cannot be rolled back behind its pivot {:?}, from where it only goes forward",
                    pivot.name
                );
                Err(Failure::non_retryable("BehindPivot", message))
            }
        }
    }

    fn unused_name(&mut self, wanted: &StepName) -> StepName {
        let mut name = wanted.clone();
        while self.names.contains_key(&name) {
            let number = self.names.entry(wanted.clone()).or_insert(1);
            *number += 1;
            name = StepName::from_trusted(format!("{wanted}#{number}"));
        }
        self.names.insert(name.clone(), 1);
        name
    }
}

impl Core {
    /// The step that was asked for last.
    pub(in crate::sdk::workflow) fn last_step(&self) -> StepSerial {
        self.steps.last
    }

    /// Asks for every step behind this one to be undone. Their calls end here: the machine stops what is in flight.
    pub(in crate::sdk::workflow) fn roll_back(&mut self, savepoint: StepSerial) -> Result<Key, Failure> {
        self.expect_writable("roll the saga back");
        self.expect_not_canceled()?;
        if self.rollback.is_some() {
            let message = "the saga is being rolled back already: await that rollback first";
            return Err(Failure::non_retryable("RollbackUnderWay", message));
        }
        let keep = self.steps.kept(savepoint)?;
        self.commands.push(Command::RollBack { keep });
        let concerned = |what: &What| matches!(what, What::Activity { step: Some(step), .. } if *step > savepoint);
        let in_flight: Vec<Key> = self
            .operations
            .iter()
            .filter(|(_, operation)| concerned(&operation.what) && !operation.abandoned)
            .map(|(key, _)| *key)
            .collect();
        for key in in_flight {
            self.resolve(key, Err(Failure::canceled("the saga is rolled back behind this step")));
        }
        let key = self.begin(What::RollBack);
        self.rollback = Some(key);
        Ok(key)
    }

    /// What the last rollback concerned is undone.
    pub(crate) fn complete_rollback(&mut self) {
        if let Some(key) = self.rollback.take() {
            self.resolve(key, Ok(Payload::null()));
        }
    }
}
