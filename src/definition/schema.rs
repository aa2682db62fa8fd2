//! The schema of a saga's input. Lives here: what a definition does with one. Must not live here: JSON Schema itself
//! (`checker`, or `unchecked` in a program without the feature `schema`), or when an input is checked.

#[cfg(feature = "schema")]
mod checker;
#[cfg(not(feature = "schema"))]
#[path = "schema/unchecked.rs"]
mod checker;

use std::fmt;

use serde_json::Value;

use crate::model::Payload;

use super::saga::SagaDefinition;

pub(super) use checker::{InputSchema, check_schema};

/// An input does not fit its saga's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// What is wrong, where: `/lines/0/sku: "sku" is a required property`.
    pub problems: Vec<String>,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the input does not fit the saga's schema: {}",
            self.problems.join("; ")
        )
    }
}

impl std::error::Error for InputError {}

impl InputError {
    fn one(problem: String) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl SagaDefinition {
    /// Checks an input before a run is started with it. A program without the feature `schema` takes no input for a
    /// definition that has a schema.
    ///
    /// # Errors
    /// Everything about it that does not fit the definition's `input_schema`.
    pub fn check_input(&self, input: &Payload) -> Result<(), InputError> {
        match &self.0.input_schema {
            Some(schema) => schema.check(input),
            None => Ok(()),
        }
    }

    /// The JSON Schema that an input has to fit.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Value> {
        self.0.input_schema.as_ref().map(InputSchema::schema)
    }
}
