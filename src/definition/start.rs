//! What a definition asks for before a run's first step: an input that fits its schema, search attributes, locks. Must not
//! live here: starting anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::model::{
    LockName, Payload, RunId, SagaOptions, SearchAttributeValue, SearchAttributes, StartRun, WorkflowId,
};

use super::evaluate::kind_of;
use super::expression::{EvaluateError, Fault, Scope, Template, TextTemplate};
use super::saga::SagaDefinition;
use super::schema::InputError;

/// The compiled part of a definition that is asked at the start of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Start {
    pub(super) search_attributes: BTreeMap<String, Template>,
    pub(super) locks: Vec<TextTemplate>,
    pub(super) lock_timeout: Option<Duration>,
    pub(super) lock_no_wait: bool,
}

/// Why a run cannot be started with a definition.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StartError {
    /// The input does not fit the definition's schema.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The input does not fit the mapping of the search attributes.
    #[error(transparent)]
    SearchAttributes(#[from] EvaluateError),
}

impl SagaDefinition {
    /// Makes this the start of a run that follows this definition. What the start says itself (a time limit, options,
    /// search attributes) counts more than what the definition says.
    ///
    /// # Errors
    /// When the input does not fit.
    pub fn begin(&self, start: &mut StartRun) -> Result<(), StartError> {
        self.check_input(&start.input)?;
        let mut search_attributes = self.search_attributes(&start.input)?;
        search_attributes.append(&mut start.search_attributes);
        start.search_attributes = search_attributes;
        start.workflow_type = self.name().clone();
        start.definition = Some(self.digest());
        start.run_timeout = start.run_timeout.or(self.run_timeout());
        if start.saga.is_none() && *self.saga_options() != SagaOptions::default() {
            start.saga = Some(Box::new(self.saga_options().clone()));
        }
        Ok(())
    }

    /// What a run with this input is to be found by. An attribute that is null is left out.
    ///
    /// # Errors
    /// When the input does not fit a mapping, or an attribute is an object or a list of anything but texts.
    pub fn search_attributes(&self, input: &Payload) -> Result<SearchAttributes, EvaluateError> {
        let scope = OnlyInput {
            input,
            nobody: WorkflowId::from_trusted(""),
        };
        let mut environment = self.environment(&scope, None);
        let mut attributes = SearchAttributes::new();
        for (name, template) in &self.0.start.search_attributes {
            let typed = template.evaluate(&mut environment).and_then(|value| match value {
                Value::Null => Ok(None),
                value => match SearchAttributeValue::from_json(&value) {
                    Some(typed) => Ok(Some(typed)),
                    None => Err(Fault::result(format!(
                        "`{name}` is {}; a search attribute is a text, a number, true or false, or a list of texts",
                        kind_of(&value)
                    ))),
                },
            });
            let typed = typed.map_err(|fault| fault.of(None, "search_attributes"))?;
            attributes.extend(typed.map(|typed| (name.clone(), typed)));
        }
        Ok(attributes)
    }

    /// The locks that a run holds from before its first step until it ends, in the order in which it asks for them: the
    /// same for all runs, so that no two wait for each other.
    ///
    /// # Errors
    /// When the run's data does not fit a mapping.
    pub fn locks(&self, scope: &dyn Scope) -> Result<BTreeSet<LockName>, EvaluateError> {
        let mut environment = self.environment(scope, None);
        let locks = self.0.start.locks.iter().map(|template| {
            let name = template.evaluate(&mut environment, |_, text| text.to_owned())?;
            LockName::new(&name).map_err(|error| Fault::result(error.to_string()))
        });
        let locks: Result<BTreeSet<LockName>, Fault> = locks.collect();
        locks.map_err(|fault| fault.of(None, "locks"))
    }

    /// How long a run waits for each of its locks; `None`: for as long as it takes.
    #[must_use]
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.0.start.lock_timeout
    }

    /// Whether a run waits for its locks at all.
    #[must_use]
    pub fn lock_wait(&self) -> bool {
        !self.0.start.lock_no_wait
    }
}

/// What is known before a run exists.
struct OnlyInput<'a> {
    input: &'a Payload,
    nobody: WorkflowId,
}

impl Scope for OnlyInput<'_> {
    fn workflow_id(&self) -> &WorkflowId {
        &self.nobody
    }

    fn run_id(&self) -> RunId {
        RunId::NIL
    }

    fn input(&self) -> &Payload {
        self.input
    }

    fn step_input(&self, _: usize) -> Option<Payload> {
        None
    }

    fn step_output(&self, _: usize) -> Option<Payload> {
        None
    }
}
