//! What a run gets from its definition or its workflow when its start does not say so. Must not live here: starting it.

use std::collections::BTreeMap;

use crate::definition::{EvaluateError, SagaDefinition};
use crate::model::{Payload, SagaOptions, WorkflowType};
use crate::sdk::Registry;

/// How its saga is undone, and what happens when a person is needed; `None`: as by default.
pub(crate) fn saga_options(
    saga: Option<&SagaDefinition>,
    workflow_type: &WorkflowType,
    registry: &Registry,
) -> Option<SagaOptions> {
    let options = match saga {
        Some(saga) => saga.saga_options(),
        None => registry.workflow(workflow_type.as_str())?.saga_options()?,
    };
    (*options != SagaOptions::default()).then(|| options.clone())
}

/// What it can be found by.
pub(crate) fn search_attributes(
    saga: Option<&SagaDefinition>,
    input: &Payload,
) -> Result<BTreeMap<String, Payload>, EvaluateError> {
    match saga {
        Some(saga) => saga.search_attributes(input),
        None => Ok(BTreeMap::new()),
    }
}
