//! The values that mappings read. Lives here: how a run gives them, lazily, and how they are decoded at most once per
//! evaluation. Must not live here: expressions.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::value::Val;
use serde_json::Value;

use crate::model::{Failure, Payload, RunId, StepName, WorkflowId};

use super::super::secret::{placeholder, without_secrets};
use super::error::{EvaluateErrorKind, Fault};
use super::names::{Reference, StepSide, UndoPart};
use super::value::{object_to_cel, to_cel};

/// What a run knows. Nothing is asked for, copied or decoded unless a mapping refers to it.
pub trait Scope {
    /// The run's workflow id.
    fn workflow_id(&self) -> &WorkflowId;
    /// The run's id.
    fn run_id(&self) -> RunId;
    /// The saga's input.
    fn input(&self) -> &Payload;
    /// What the step with this index was given; `None` while it is not scheduled.
    fn step_input(&self, step: usize) -> Option<Payload>;
    /// What the step with this index returned; `None` while it has not completed.
    fn step_output(&self, step: usize) -> Option<Payload>;
    /// The element that a `foreach` step works on.
    fn item(&self) -> Option<Item<'_>> {
        None
    }
}

/// One element of the list of a `foreach` step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item<'a> {
    /// The element.
    pub value: &'a Value,
    /// Its place in the list, 0 for the first.
    pub index: usize,
}

/// What a run knows about a step that it undoes.
#[derive(Clone, Copy)]
pub struct UndoScope<'a> {
    /// What the run knows.
    pub scope: &'a dyn Scope,
    /// What the step was given.
    pub input: &'a Payload,
    /// What the step returned; `None` when it never answered.
    pub output: Option<&'a Payload>,
    /// How the step failed; `None` when it succeeded.
    pub failure: Option<&'a Failure>,
}

/// A variable of CEL, or a field of one.
type Variable = (&'static str, Box<dyn Val>);

/// The values of one evaluation.
pub(in crate::definition) struct Environment<'a> {
    scope: &'a dyn Scope,
    undo: Option<&'a UndoScope<'a>>,
    notice: Option<&'a Value>,
    names: Known<'a>,
    decoded: BTreeMap<Reference, Value>,
}

/// What a definition knows beforehand.
#[derive(Clone, Copy)]
pub(in crate::definition) struct Known<'a> {
    pub(in crate::definition) config: &'a BTreeMap<String, Value>,
    pub(in crate::definition) step_names: &'a [StepName],
    pub(in crate::definition) secrets: &'a [String],
}

impl<'a> Environment<'a> {
    /// The values for one mapping.
    pub(in crate::definition) fn new(scope: &'a dyn Scope, undo: Option<&'a UndoScope<'a>>, names: Known<'a>) -> Self {
        Self {
            scope,
            undo,
            notice: None,
            names,
            decoded: BTreeMap::new(),
        }
    }

    /// The same for an escalation.
    pub(in crate::definition) fn with_notice(mut self, notice: &'a Value) -> Self {
        self.notice = Some(notice);
        self
    }

    /// How a value is called in expressions.
    pub(super) fn name(&self, reference: Reference) -> String {
        match reference {
            Reference::Input => "input".to_owned(),
            Reference::Config => "config".to_owned(),
            Reference::WorkflowId => "run.workflow_id".to_owned(),
            Reference::RunId => "run.run_id".to_owned(),
            Reference::Namespace => "run.namespace".to_owned(),
            Reference::Undo(part) => format!("undo.{}", undo_key(part)),
            Reference::Step(step, side) => {
                let name = self.names.step_names.get(step).map_or("", StepName::as_str);
                format!("steps.{name}.{}", side_key(side))
            }
            Reference::Item => "item".to_owned(),
            Reference::Index => "index".to_owned(),
            Reference::Notice => "notice".to_owned(),
            Reference::Secret(secret) => {
                format!("secret.{}", self.names.secrets.get(secret).map_or("", String::as_str))
            }
        }
    }

    /// The payload that a value is, when it is one.
    pub(in crate::definition) fn payload(&self, reference: Reference) -> Result<Option<Payload>, Fault> {
        let missing = || EvaluateErrorKind::NoValue(self.name(reference));
        let payload = match reference {
            Reference::Input => self.scope.input().clone(),
            Reference::Step(step, StepSide::Input) => self.scope.step_input(step).ok_or_else(missing)?,
            Reference::Step(step, StepSide::Output) => self.scope.step_output(step).ok_or_else(missing)?,
            Reference::Undo(UndoPart::Input) => self.undo.ok_or_else(missing)?.input.clone(),
            Reference::Undo(UndoPart::Output) => return Ok(self.undo.ok_or_else(missing)?.output.cloned()),
            _ => return Ok(None),
        };
        Ok(Some(payload))
    }

    /// Decodes a value, unless that was done before.
    pub(super) fn load(&mut self, reference: Reference) -> Result<(), Fault> {
        if self.decoded.contains_key(&reference) {
            return Ok(());
        }
        let value = match (self.payload(reference)?, reference) {
            (Some(payload), _) => payload.to::<Value>().map_err(|error| EvaluateErrorKind::Payload {
                what: self.name(reference),
                message: error.to_string(),
            })?,
            (None, Reference::Undo(UndoPart::Failure)) => {
                let failure = self.undo.and_then(|undo| undo.failure);
                failure.map_or(Value::Null, |failure| Value::from(failure.to_string()))
            }
            (None, Reference::Config) => self.names.config.clone().into_iter().collect(),
            (None, Reference::WorkflowId) => Value::from(self.scope.workflow_id().as_str()),
            (None, Reference::RunId) => Value::from(self.scope.run_id().to_string()),
            (None, Reference::Namespace) => Value::from(self.scope.workflow_id().namespace()),
            (None, Reference::Item) => self.item()?.value.clone(),
            (None, Reference::Index) => Value::from(self.item()?.index),
            (None, Reference::Notice) => self.notice.cloned().unwrap_or_default(),
            (None, Reference::Secret(secret)) => {
                let name = self.names.secrets.get(secret).map_or("", String::as_str);
                Value::from(placeholder(name))
            }
            (None, _) => Value::Null,
        };
        // Only the definition says where a secret goes: reading what another request was does not send it on.
        let value = match reference {
            Reference::Undo(UndoPart::Input) | Reference::Step(_, StepSide::Input) => without_secrets(value),
            _ => value,
        };
        self.decoded.insert(reference, value);
        Ok(())
    }

    /// The id of a child saga whose step does not say another.
    pub(in crate::definition) fn child_id(&self, step: &StepName) -> String {
        format!("{}/{step}", self.scope.workflow_id())
    }

    fn item(&self) -> Result<Item<'a>, Fault> {
        let missing = || EvaluateErrorKind::NoValue("item".to_owned());
        Ok(self.scope.item().ok_or_else(missing)?)
    }

    /// A value that was loaded.
    pub(super) fn loaded(&self, reference: Reference) -> Option<&Value> {
        self.decoded.get(&reference)
    }

    /// The variables that these references need, as CEL sees them.
    pub(super) fn bind(&mut self, references: &BTreeSet<Reference>) -> Result<Vec<Variable>, Fault> {
        let mut variables: Vec<Variable> = Vec::new();
        let mut steps: BTreeMap<usize, Vec<Variable>> = BTreeMap::new();
        let mut undo: Vec<Variable> = Vec::new();
        let mut run: Vec<Variable> = Vec::new();
        for reference in references.iter().copied() {
            self.load(reference)?;
            let value = self.loaded(reference).map_or_else(|| to_cel(&Value::Null), to_cel);
            match reference {
                Reference::Input => variables.push(("input", value)),
                Reference::Config => variables.push(("config", value)),
                Reference::Step(step, side) => steps.entry(step).or_default().push((side_key(side), value)),
                Reference::Undo(part) => undo.push((undo_key(part), value)),
                Reference::Item => variables.push(("item", value)),
                Reference::Index => variables.push(("index", value)),
                Reference::Notice => variables.push(("notice", value)),
                // Only ever a path, which CEL has no part in.
                Reference::Secret(_) => {}
                Reference::WorkflowId => run.push(("workflow_id", value)),
                Reference::RunId => run.push(("run_id", value)),
                Reference::Namespace => run.push(("namespace", value)),
            }
        }
        if !steps.is_empty() {
            let steps = steps.into_iter().map(|(step, sides)| {
                let name = self.names.step_names.get(step).map_or("", StepName::as_str);
                (name, object_to_cel(sides))
            });
            variables.push(("steps", object_to_cel(steps)));
        }
        for (name, entries) in [("undo", undo), ("run", run)] {
            if !entries.is_empty() {
                variables.push((name, object_to_cel(entries)));
            }
        }
        Ok(variables)
    }
}

fn side_key(side: StepSide) -> &'static str {
    match side {
        StepSide::Input => "input",
        StepSide::Output => "output",
    }
}

fn undo_key(part: UndoPart) -> &'static str {
    match part {
        UndoPart::Input => "input",
        UndoPart::Output => "output",
        UndoPart::Failure => "failure",
    }
}
