//! JSON Schema; this is its only door. Must not live here: when an input is checked.
//!
//! Patterns are matched by an engine whose time is linear in the text, and nothing is fetched: a schema must not be able to
//! hold up or to open up whoever starts runs.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::definition::locations::Problems;
use crate::model::Payload;

use super::InputError;

/// Problems of one input that are told.
const PROBLEMS_MAX: usize = 20;

/// Bytes of one problem: it may quote the input.
const PROBLEM_BYTES_MAX: usize = 300;

/// A schema, compiled when it is asked for: a run that goes on does not need it.
#[derive(Debug)]
pub(in crate::definition) struct InputSchema {
    schema: Value,
    validator: OnceLock<Result<Validator, String>>,
}

impl InputSchema {
    pub(in crate::definition) fn new(schema: Value) -> Self {
        Self {
            schema,
            validator: OnceLock::new(),
        }
    }

    pub(super) fn schema(&self) -> &Value {
        &self.schema
    }

    pub(super) fn check(&self, input: &Payload) -> Result<(), InputError> {
        let value: Value = input.to().map_err(|error| InputError::one(error.to_string()))?;
        let validator = self
            .validator
            .get_or_init(|| validator(&self.schema).map_err(|error| error.to_string()));
        let validator = validator.as_ref().map_err(|error| InputError::one(error.clone()))?;
        let problems = validator.iter_errors(&value).take(PROBLEMS_MAX).map(|error| {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { "/" } else { at.as_str() };
            shortened(format!("{at}: {error}"))
        });
        let problems: Vec<String> = problems.collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(InputError { problems }),
        }
    }
}

/// Reports everything that is wrong with a schema, where it is wrong.
pub(in crate::definition) fn check_schema(schema: &Value, problems: &mut Problems) {
    let errors = problems.errors();
    if let Ok(meta) = jsonschema::meta::validator_for(schema) {
        for error in meta.iter_errors(schema).take(PROBLEMS_MAX) {
            report(&error, problems);
        }
    }
    // What is right by itself may still refer to what is not there, or have a pattern that is none.
    if problems.errors() == errors
        && let Err(error) = validator(schema)
    {
        report(&error, problems);
    }
}

fn report(error: &jsonschema::ValidationError<'_>, problems: &mut Problems) {
    let place = error.instance_path().to_string().replace('/', ".");
    let text = error.to_string();
    // How the crate could be made to fetch it is nothing to an author.
    let text = text.split(" and retrieving it failed").next().unwrap_or_default();
    let message = shortened(format!("not a JSON Schema: {text}"));
    let problem = problems.error(&format!("input_schema{place}"), message);
    if matches!(error.kind(), jsonschema::error::ValidationErrorKind::Referencing(_)) {
        problem.hint("what a schema refers to has to be in it, under `$defs`");
    }
}

fn validator(schema: &Value) -> Result<Validator, jsonschema::ValidationError<'static>> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
}

fn shortened(mut text: String) -> String {
    if text.len() > PROBLEM_BYTES_MAX {
        let mut end = PROBLEM_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("..");
    }
    text
}
