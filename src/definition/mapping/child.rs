//! Child sagas with expressions in their input. Must not live here: starting one.

use crate::model::{Payload, StepName, WorkflowId};

use super::super::canonical;
use super::super::child::ChildSaga;
use super::super::expression::{Environment, Expression, Fault, Names, Template, TextTemplate};
use super::super::locations::Problems;

/// A child saga with expressions in its input.
#[derive(Clone, Debug)]
pub(in crate::definition) struct ChildMapping {
    workflow: String,
    id: Option<TextTemplate>,
    input: Template,
}

impl ChildMapping {
    pub(super) fn compile(child: &canonical::Child, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        let id = child.id.as_ref();
        Self {
            workflow: child.name.clone(),
            id: id.map(|id| TextTemplate::compile(id, &format!("{place}.id"), names, problems)),
            input: Template::compile(&child.input, &format!("{place}.input"), names, problems),
        }
    }

    pub(super) fn workflow(&self) -> &str {
        &self.workflow
    }

    pub(super) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        self.id.iter().for_each(|id| id.each_expression(visit));
        self.input.each_expression(visit);
    }

    /// The child's id is always said, so that its undoing finds it whatever became of the step.
    pub(super) fn payload(&self, step: &StepName, environment: &mut Environment<'_>) -> Result<Payload, Fault> {
        let id = match &self.id {
            Some(id) => id.evaluate(environment, |_, text| text.to_owned())?,
            None => environment.child_id(step),
        };
        let id = WorkflowId::new(&id).map_err(|error| Fault::result(format!("`saga.id`: {error}")))?;
        let child = ChildSaga {
            workflow: self.workflow.clone(),
            id: Some(id.to_string()),
            input: self.input.evaluate(environment)?,
        };
        Ok(Payload::json(&child)?)
    }
}
