//! A checked definition. Lives here: what the machine asks of a definition while a run goes on. Must not live here:
//! checks (a `SagaDefinition` that exists is right) and the state of any run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::model::{
    ActivityOptions, ActivityType, DefinitionDigest, Failure, Payload, StepName, StepSpec, WorkflowType,
};

use super::expression::{Environment, EvaluateError, EvaluateErrorKind, Fault, Scope, Template, UndoScope};
use super::mapping::Mapping;

/// A saga as a definition: checked, immutable, cheap to clone. Made by [`parse`](Self::parse) from a file's text, by a
/// [builder](Self::builder), or from the [canonical form](Self::from_canonical_json) that a run was started with.
#[derive(Clone)]
pub struct SagaDefinition(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: WorkflowType,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) run_timeout: Option<Duration>,
    pub(super) config: BTreeMap<String, Value>,
    pub(super) steps: Vec<Step>,
    pub(super) step_names: Vec<StepName>,
    pub(super) output: Option<Template>,
    pub(super) canonical: Bytes,
    pub(super) digest: DefinitionDigest,
}

/// One step of a definition.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) spec: StepSpec,
    pub(super) activity_type: ActivityType,
    pub(super) options: ActivityOptions,
    pub(super) dependencies: Vec<usize>,
    pub(super) dependents: Vec<usize>,
    pub(super) input: Mapping,
    pub(super) compensation: Option<Mapping>,
}

impl Step {
    /// Its name, kind, dependencies and compensation, as they are journaled with its scheduling.
    #[must_use]
    pub fn spec(&self) -> &StepSpec {
        &self.spec
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StepName {
        &self.spec.name
    }

    /// The activity that does it; [`HTTP_ACTIVITY`](super::HTTP_ACTIVITY) for an `http` step.
    #[must_use]
    pub fn activity_type(&self) -> &ActivityType {
        &self.activity_type
    }

    /// Its timeouts and retry policy, defaults applied.
    #[must_use]
    pub fn options(&self) -> &ActivityOptions {
        &self.options
    }

    /// The indices of the steps that must have completed before it starts. None of them twice, none missing.
    #[must_use]
    pub fn dependencies(&self) -> &[usize] {
        &self.dependencies
    }

    /// The indices of the steps that have it among their [dependencies](Self::dependencies), in file order.
    #[must_use]
    pub fn dependents(&self) -> &[usize] {
        &self.dependents
    }
}

impl SagaDefinition {
    /// The workflow type.
    #[must_use]
    pub fn name(&self) -> &WorkflowType {
        &self.0.name
    }

    /// The author's version, which means nothing to amends.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The author's description.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// How long a run may take when its start does not say so. `None`: no limit.
    #[must_use]
    pub fn run_timeout(&self) -> Option<Duration> {
        self.0.run_timeout
    }

    /// The config with overrides applied.
    #[must_use]
    pub fn config(&self) -> &BTreeMap<String, Value> {
        &self.0.config
    }

    /// The steps in file order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// The index of the step with this name.
    #[must_use]
    pub fn step_index(&self, name: &str) -> Option<usize> {
        self.0.step_names.iter().position(|step| step.as_str() == name)
    }

    /// What names this definition for ever: the SHA-256 of its canonical form.
    #[must_use]
    pub fn digest(&self) -> DefinitionDigest {
        self.0.digest
    }

    /// The journaled form: JSON with every default and config value resolved.
    #[must_use]
    pub fn canonical_json(&self) -> &Bytes {
        &self.0.canonical
    }

    /// The input of the step with this index. A step without a mapping gets the saga's input as it is, undecoded.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step.
    pub fn step_input(&self, step: usize, scope: &dyn Scope) -> Result<Payload, EvaluateError> {
        let (step, mapping) = self.mapping(step, "input", |step| Some(&step.input))?;
        let mut environment = self.environment(scope, None);
        match mapping {
            Mapping::Default => Ok(scope.input().clone()),
            Mapping::Template(template) => template.payload(&mut environment),
            Mapping::Http(http) => http.payload(&mut environment),
        }
        .map_err(|fault| fault.of(Some(step.name()), "input"))
    }

    /// The input of the compensation of the step with this index. A compensation without a mapping gets its step's
    /// [`Undo`](crate::model::Undo) as JSON.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step or compensation.
    pub fn compensation_input(&self, step: usize, undo: &UndoScope<'_>) -> Result<Payload, EvaluateError> {
        let (step, mapping) = self.mapping(step, "compensation", |step| step.compensation.as_ref())?;
        let mut environment = self.environment(undo.scope, Some(undo));
        match mapping {
            Mapping::Default => undo_payload(undo),
            Mapping::Template(template) => template.payload(&mut environment),
            Mapping::Http(http) => http.payload(&mut environment),
        }
        .map_err(|fault| fault.of(Some(step.name()), "compensation"))
    }

    /// The result of a run whose steps have all completed. Without an `output` mapping it is an object with every step's
    /// output by the step's name.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping.
    pub fn output(&self, scope: &dyn Scope) -> Result<Payload, EvaluateError> {
        match &self.0.output {
            Some(template) => template.payload(&mut self.environment(scope, None)),
            None => self.default_output(scope),
        }
        .map_err(|fault| fault.of(None, "output"))
    }

    fn mapping<'a>(
        &'a self,
        step: usize,
        field: &'static str,
        of: impl Fn(&'a Step) -> Option<&'a Mapping>,
    ) -> Result<(&'a Step, &'a Mapping), EvaluateError> {
        let step = self.0.steps.get(step);
        let found = step.and_then(|step| Some((step, of(step)?)));
        found.ok_or_else(|| Fault::from(EvaluateErrorKind::NoSuchStep).of(step.map(Step::name), field))
    }

    fn environment<'a>(&'a self, scope: &'a dyn Scope, undo: Option<&'a UndoScope<'a>>) -> Environment<'a> {
        Environment::new(scope, undo, &self.0.config, &self.0.step_names)
    }

    fn default_output(&self, scope: &dyn Scope) -> Result<Payload, Fault> {
        let mut entries: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for (index, name) in self.0.step_names.iter().enumerate() {
            let missing = || EvaluateErrorKind::NoValue(format!("steps.{name}.output"));
            let output = scope.step_output(index).ok_or_else(missing)?;
            entries.insert(name.as_str(), json_or_null(output));
        }
        json_object(&entries)
    }
}

impl fmt::Debug for SagaDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SagaDefinition({} {})", self.0.name, self.0.digest)
    }
}

impl PartialEq for SagaDefinition {
    /// Two definitions are equal when their canonical forms are.
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for SagaDefinition {}

fn undo_payload(undo: &UndoScope<'_>) -> Result<Payload, Fault> {
    let failure = undo.failure.map(Failure::to_string);
    let failure = Payload::json(&failure)?;
    let entries = BTreeMap::from([
        ("input", json_or_null(undo.input)),
        ("output", undo.output.map_or(NULL, json_or_null)),
        ("failure", json_or_null(&failure)),
    ]);
    json_object(&entries)
}

const NULL: &[u8] = b"null";

/// A payload's JSON as it is; `null` for what has no JSON form. Never an error: the run that these bytes are for has
/// done its work, and a foreign encoding is no reason to fail it.
fn json_or_null(payload: &Payload) -> &[u8] {
    match payload.to::<IgnoredAny>() {
        Ok(_) if !payload.is_null() => payload.data(),
        _ => NULL,
    }
}

/// An object from values that are JSON already.
fn json_object(entries: &BTreeMap<&str, &[u8]>) -> Result<Payload, Fault> {
    let mut json = vec![b'{'];
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(Value::from(*key).to_string().as_bytes());
        json.push(b':');
        json.extend_from_slice(value);
    }
    json.push(b'}');
    Ok(Payload::json_bytes(json)?)
}
