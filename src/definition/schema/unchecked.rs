//! Schemas in a program that cannot check them. Must not live here: anything that lets an input pass unchecked.

use serde_json::Value;

use crate::definition::locations::Problems;
use crate::model::Payload;

use super::InputError;

const MISSING_FEATURE: &str = "this program was built without the feature `schema` of amends";

/// A schema that nothing can be checked with.
#[derive(Debug)]
pub(in crate::definition) struct InputSchema(Value);

impl InputSchema {
    pub(in crate::definition) fn new(schema: Value) -> Self {
        Self(schema)
    }

    pub(super) fn schema(&self) -> &Value {
        &self.0
    }

    pub(super) fn check(&self, _: &Payload) -> Result<(), InputError> {
        Err(InputError::one(format!("it cannot be checked: {MISSING_FEATURE}")))
    }
}

/// Reports that schemas cannot be checked.
pub(in crate::definition) fn check_schema(_: &Value, problems: &mut Problems) {
    problems
        .error("input_schema", format!("inputs cannot be checked: {MISSING_FEATURE}"))
        .hint("build with the feature, or leave `input_schema` out");
}
