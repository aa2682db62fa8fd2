//! What the machine asks a definition while a run goes on: inputs, conditions, lists, waits and the result. Must not live
//! here: the expression language, or when anything is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::model::{Failure, Payload, SignalName, StepName, StuckNotice, Timestamp};

use super::expression::{Environment, EvaluateError, EvaluateErrorKind, Fault, Known, Scope, UndoScope};
use super::mapping::Mapping;
use super::saga::{SagaDefinition, Step, Wait};
use super::time::moment;

/// What a step waits for, evaluated for a run.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitFor {
    /// The signal; `None`: only for the time.
    pub signal: Option<SignalName>,
    /// How long from now; `None`: for as long as it takes.
    pub timeout: Option<Duration>,
    /// The step's output when no signal comes in time. `None`: it fails then.
    pub default: Option<Payload>,
}

impl SagaDefinition {
    /// The input of the step with this index. A step without a mapping gets the saga's input as it is, undecoded.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step.
    pub fn step_input(&self, step: usize, scope: &dyn Scope) -> Result<Payload, EvaluateError> {
        let (step, mapping) = self.mapping(step, "input", |step| Some(&step.input))?;
        let name = instance_name(step.name(), scope.item().map(|item| item.index));
        let made = mapping.payload(Some(&name), &mut self.environment(scope, None));
        made.unwrap_or_else(|| Ok(scope.input().clone()))
            .map_err(|fault| fault.of(Some(&name), "input"))
    }

    /// The input of the compensation of the step with this index. A compensation without a mapping gets its step's
    /// [`Undo`](crate::model::Undo) as JSON.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step or compensation.
    pub fn compensation_input(&self, step: usize, undo: &UndoScope<'_>) -> Result<Payload, EvaluateError> {
        let (step, mapping) = self.mapping(step, "compensation", |step| step.compensation.as_ref())?;
        self.undo_input(step, mapping, undo, "compensation")
    }

    /// The input of the verification of the step with this index, which has ended without an answer. A verification
    /// without a mapping gets its step's [`Undo`](crate::model::Undo) as JSON.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step or verification.
    pub fn verification_input(&self, step: usize, undo: &UndoScope<'_>) -> Result<Payload, EvaluateError> {
        let (step, mapping) = self.mapping(step, "on_ambiguous", |step| step.verification.as_ref())?;
        self.undo_input(step, mapping, undo, "on_ambiguous")
    }

    fn undo_input(
        &self,
        step: &Step,
        mapping: &Mapping,
        undo: &UndoScope<'_>,
        field: &'static str,
    ) -> Result<Payload, EvaluateError> {
        let made = mapping.payload(Some(step.name()), &mut self.environment(undo.scope, Some(undo)));
        made.unwrap_or_else(|| undo_payload(undo))
            .map_err(|fault| fault.of(Some(step.name()), field))
    }

    /// The input of the activity that tells somebody that a run is stuck. Without a mapping it is the notice.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping.
    pub fn escalation_input(&self, notice: &StuckNotice, scope: &dyn Scope) -> Result<Payload, EvaluateError> {
        let as_json = serde_json::to_value(notice).map_err(|error| Fault::result(error.to_string()));
        let made = as_json.and_then(|value| {
            let mut environment = self.environment(scope, None).with_notice(&value);
            let mapped = self.0.escalation.as_ref();
            let mapped = mapped.and_then(|mapping| mapping.payload(None, &mut environment));
            mapped.unwrap_or_else(|| Ok(Payload::json(notice)?))
        });
        made.map_err(|fault| fault.of(None, "stuck.escalate"))
    }

    /// Whether the step with this index is to be done at all: what its `when` says, or true.
    ///
    /// # Errors
    /// When the run's data does not fit the condition, or there is no such step.
    pub fn is_wanted(&self, step: usize, scope: &dyn Scope) -> Result<bool, EvaluateError> {
        let step = self.step(step, "when")?;
        let Some(when) = &step.when else { return Ok(true) };
        let wanted = when
            .evaluate(&mut self.environment(scope, None))
            .and_then(|value| match value {
                Value::Bool(wanted) => Ok(wanted),
                other => Err(Fault::result(format!(
                    "the result is {}, not true or false",
                    kind_of(&other)
                ))),
            });
        wanted.map_err(|fault| fault.of(Some(step.name()), "when"))
    }

    /// The list that the step with this index works on; `None`: it has none.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step.
    pub fn items(&self, step: usize, scope: &dyn Scope) -> Result<Option<Vec<Value>>, EvaluateError> {
        let step = self.step(step, "foreach.items")?;
        let Some(foreach) = &step.foreach else { return Ok(None) };
        let items = foreach
            .items
            .evaluate(&mut self.environment(scope, None))
            .and_then(|value| match value {
                Value::Array(items) => Ok(items),
                other => Err(Fault::result(format!("the result is {}, not a list", kind_of(&other)))),
            });
        items
            .map(Some)
            .map_err(|fault| fault.of(Some(step.name()), "foreach.items"))
    }

    /// What the step with this index waits for; `None`: it does not wait.
    ///
    /// # Errors
    /// When the run's data does not fit the mapping, or there is no such step.
    pub fn wait(&self, step: usize, now: Timestamp, scope: &dyn Scope) -> Result<Option<WaitFor>, EvaluateError> {
        let step = self.step(step, "wait")?;
        let mut environment = self.environment(scope, None);
        let only_time = |timeout: Duration| WaitFor {
            signal: None,
            timeout: Some(timeout),
            default: None,
        };
        let of_step = |fault: Fault, field| fault.of(Some(step.name()), field);
        let wait = match &step.wait {
            None => return Ok(None),
            Some(Wait::After(after)) => only_time(*after),
            Some(Wait::Until(until)) => {
                let moment = until
                    .evaluate(&mut environment)
                    .and_then(|value| moment(&value).map_err(Fault::result));
                only_time(moment.map_err(|fault| of_step(fault, "timer.until"))?.since(now))
            }
            Some(Wait::Signal { name, timeout, default }) => {
                let default = default.as_ref().map(|default| default.payload(&mut environment));
                WaitFor {
                    signal: Some(name.clone()),
                    timeout: *timeout,
                    default: default.transpose().map_err(|fault| of_step(fault, "signal.default"))?,
                }
            }
        };
        Ok(Some(wait))
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

    fn step(&self, step: usize, field: &'static str) -> Result<&Step, EvaluateError> {
        let found = self.0.steps.get(step);
        found.ok_or_else(|| Fault::from(EvaluateErrorKind::NoSuchStep).of(None, field))
    }

    fn mapping<'a>(
        &'a self,
        step: usize,
        field: &'static str,
        of: impl Fn(&'a Step) -> Option<&'a Mapping>,
    ) -> Result<(&'a Step, &'a Mapping), EvaluateError> {
        let step = self.step(step, field)?;
        let found = of(step).map(|mapping| (step, mapping));
        found.ok_or_else(|| Fault::from(EvaluateErrorKind::NoSuchStep).of(Some(step.name()), field))
    }

    pub(super) fn environment<'a>(&'a self, scope: &'a dyn Scope, undo: Option<&'a UndoScope<'a>>) -> Environment<'a> {
        let names = Known {
            config: &self.0.config,
            step_names: &self.0.step_names,
            secrets: &self.0.secrets,
        };
        Environment::new(scope, undo, names)
    }

    fn default_output(&self, scope: &dyn Scope) -> Result<Payload, Fault> {
        let mut outputs: BTreeMap<&str, Payload> = BTreeMap::new();
        for (index, name) in self.0.step_names.iter().enumerate() {
            let missing = || EvaluateErrorKind::NoValue(format!("steps.{name}.output"));
            outputs.insert(name.as_str(), scope.step_output(index).ok_or_else(missing)?);
        }
        let entries: Vec<(&str, &[u8])> = outputs
            .iter()
            .map(|(name, output)| (*name, json_or_null(output)))
            .collect();
        json_object(&entries)
    }
}

/// The name of the step that works on one element of a list; of the step itself without one.
#[must_use]
pub fn instance_name(step: &StepName, index: Option<usize>) -> StepName {
    match index {
        Some(index) => StepName::from_trusted(format!("{step}[{index}]")),
        None => step.clone(),
    }
}

/// The outputs of a list's elements as one list.
///
/// # Errors
/// When it is larger than a payload may be.
pub fn list_of<'a>(outputs: impl IntoIterator<Item = &'a Payload>) -> Result<Payload, crate::model::PayloadError> {
    let mut json = vec![b'['];
    for (index, output) in outputs.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(json_or_null(output));
    }
    json.push(b']');
    Payload::json_bytes(json)
}

fn undo_payload(undo: &UndoScope<'_>) -> Result<Payload, Fault> {
    let failure = undo.failure.map(Failure::to_string);
    let failure = Payload::json(&failure)?;
    json_object(&[
        ("failure", json_or_null(&failure)),
        ("input", json_or_null(undo.input)),
        ("output", undo.output.map_or(NULL, json_or_null)),
    ])
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
fn json_object(entries: &[(&str, &[u8])]) -> Result<Payload, Fault> {
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

/// What a value is, in an author's words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
