//! Tests of whole definitions: files in, problems or payloads out.

mod bad_files;
mod canonical;
mod expressions;
mod file_schema;
mod good_files;
mod kinds;
mod warnings;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CheckReport, ParseOptions, SagaDefinition, Scope};
use crate::model::{Payload, RunId, WorkflowId};

/// A run's data.
struct Run {
    workflow_id: WorkflowId,
    input: Payload,
    inputs: BTreeMap<usize, Payload>,
    outputs: BTreeMap<usize, Payload>,
}

impl Run {
    fn new(input: &Value) -> Self {
        Self {
            workflow_id: WorkflowId::new("order-42").unwrap(),
            input: Payload::json(input).unwrap(),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    fn output(mut self, step: usize, output: &Value) -> Self {
        self.outputs.insert(step, Payload::json(output).unwrap());
        self
    }
}

impl Scope for Run {
    fn workflow_id(&self) -> &WorkflowId {
        &self.workflow_id
    }

    fn run_id(&self) -> RunId {
        RunId::from_bytes([7; 16])
    }

    fn input(&self) -> &Payload {
        &self.input
    }

    fn step_input(&self, step: usize) -> Option<Payload> {
        self.inputs.get(&step).cloned()
    }

    fn step_output(&self, step: usize) -> Option<Payload> {
        self.outputs.get(&step).cloned()
    }
}

/// The definition and its warnings; the problems are the panic's message.
fn parse(text: &str) -> (SagaDefinition, CheckReport) {
    match SagaDefinition::parse("x.toml", text, &ParseOptions::default()) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{error}"),
    }
}
