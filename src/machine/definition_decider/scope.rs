//! What mappings may read of a run. Lives here: from a definition's steps to the run's records and back. Must not live
//! here: deciding anything.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::definition::{Item, SagaDefinition, Scope, Step, instance_name, list_of};
use crate::model::{Payload, RunId, RunStarted, StepName, WorkflowId};

use super::super::{RunState, StepRecord, StepState};

/// A run as its definition sees it.
pub(super) struct RunScope<'a> {
    pub(super) run: &'a RunState,
    pub(super) definition: &'a SagaDefinition,
    started: &'a RunStarted,
    /// The run whose steps these are: another one, when this run was started to undo that.
    workflow_id: WorkflowId,
    run_id: RunId,
    item: Option<Item<'a>>,
    /// Steps that this very task leaves out.
    left_out: BTreeSet<usize>,
}

/// The step that a record belongs to, and which element of its list it works on.
pub(super) fn locate(definition: &SagaDefinition, name: &str) -> Option<(usize, Option<usize>)> {
    if let Some(index) = definition.step_index(name) {
        return Some((index, None));
    }
    let (name, element) = name.strip_suffix(']')?.rsplit_once('[')?;
    let index = definition.step_index(name)?;
    definition.steps().get(index)?.foreach_concurrency()?;
    Some((index, Some(element.parse().ok()?)))
}

impl<'a> RunScope<'a> {
    /// `None`: the run has not begun.
    pub(super) fn new(run: &'a RunState, definition: &'a SagaDefinition) -> Option<Self> {
        let started = run.started()?;
        let (workflow_id, run_id) = run
            .undone_run()
            .unwrap_or((started.workflow_id.clone(), started.run_id));
        Some(Self {
            run,
            definition,
            started,
            workflow_id,
            run_id,
            item: None,
            left_out: BTreeSet::new(),
        })
    }

    /// The same for one element of a list.
    pub(super) fn with_item<'b>(&self, items: Option<&'b [Value]>, element: Option<usize>) -> RunScope<'b>
    where
        'a: 'b,
    {
        let item = element.and_then(|index| {
            let value = items?.get(index)?;
            Some(Item { value, index })
        });
        RunScope {
            run: self.run,
            definition: self.definition,
            started: self.started,
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id,
            item,
            left_out: self.left_out.clone(),
        }
    }

    /// From here on the step counts as left out.
    pub(super) fn leave_out(&mut self, step: usize) {
        self.left_out.insert(step);
    }

    pub(super) fn step(&self, step: usize) -> Option<&'a Step> {
        self.definition.steps().get(step)
    }

    /// The step's own record; one with a list has none, unless it is left out.
    pub(super) fn record(&self, step: usize) -> Option<&'a StepRecord> {
        self.run.step(self.step(step)?.name().as_str())
    }

    /// The records of the elements of the step's list, as far as they have begun.
    pub(super) fn elements(&self, step: usize) -> impl Iterator<Item = &'a StepRecord> + '_ {
        let listed = self.step(step).filter(|step| step.foreach_concurrency().is_some());
        let name = listed.map(Step::name);
        (0..).map_while(move |index| self.run.step(instance_name(name?, Some(index)).as_str()))
    }

    /// Whether the step will not be done.
    pub(super) fn is_left_out(&self, step: usize) -> bool {
        // A list has a record of its own only when it was left out; its elements have theirs.
        let is_list = self.step(step).is_some_and(|step| step.foreach_concurrency().is_some());
        let recorded = self
            .record(step)
            .is_some_and(|record| is_list || record.state == StepState::Skipped);
        recorded || self.left_out.contains(&step)
    }

    /// What the run calls the steps that this one waits for: what undoing has to respect.
    pub(super) fn after(&self, step: usize) -> Vec<StepName> {
        let dependencies = self.step(step).map_or(&[][..], Step::dependencies);
        let mut after = Vec::with_capacity(dependencies.len());
        for dependency in dependencies.iter().copied() {
            let before = after.len();
            after.extend(self.elements(dependency).map(|record| record.name.clone()));
            if after.len() == before {
                after.extend(self.step(dependency).map(|step| step.name().clone()));
            }
        }
        after
    }

    /// One payload of a step, or the list of its elements' payloads.
    fn payload(&self, step: usize, of: impl Fn(&'a StepRecord) -> Option<&'a Payload>) -> Option<Payload> {
        if self.is_left_out(step) {
            // An empty list is left out, too: it was wanted, and its list of outputs is as empty.
            let empty =
                self.step(step)?.foreach_concurrency().is_some() && self.definition.is_wanted(step, self).ok()?;
            return match empty {
                true => list_of([]).ok(),
                false => Some(Payload::null()),
            };
        }
        if self.step(step)?.foreach_concurrency().is_none() {
            return of(self.record(step)?).cloned();
        }
        let payloads: Option<Vec<&Payload>> = self.elements(step).map(of).collect();
        list_of(payloads?).ok()
    }
}

/// What a step returned, if it has.
pub(super) fn output(record: &StepRecord) -> Option<&Payload> {
    match &record.state {
        StepState::Completed { output } => Some(output),
        _ => None,
    }
}

impl Scope for RunScope<'_> {
    fn workflow_id(&self) -> &WorkflowId {
        &self.workflow_id
    }

    fn run_id(&self) -> RunId {
        self.run_id
    }

    fn input(&self) -> &Payload {
        &self.started.input
    }

    fn step_input(&self, step: usize) -> Option<Payload> {
        self.payload(step, |record| Some(&record.input))
    }

    fn step_output(&self, step: usize) -> Option<Payload> {
        self.payload(step, output)
    }

    fn item(&self) -> Option<Item<'_>> {
        self.item
    }
}
