//! Versions of a workflow side by side, and which of them a run has: the one that decided its first turn, which its history
//! says by a marker. Must not live here: patches within one function (`workflow/core/versions`).
//!
//! ```text
//! 1 WorkflowExecutionStarted | 2-4 turn | 5 MarkerRecorded core_patch "order@2" (deprecated) ..
//! ```
//!
//! A run without such a marker is one of the code that is registered without a version. A run that has not been decided yet has
//! no version: it takes the one that is current.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::model::{
    ChangeId, Event, EventAttributes, IdError, ParkReason, VersionMarker, WorkflowType, compare_versions,
};
use crate::sdk::{Workflow, WorkflowDefinition};

use super::{Registry, RegistryError};

/// The versions of one workflow, oldest first. The one without a version is older than any.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions(Vec<WorkflowDefinition>);

impl Versions {
    pub(super) fn add(&mut self, definition: WorkflowDefinition) -> Result<(), RegistryError> {
        marker(&definition)?;
        if self.get(definition.version()).is_some() {
            return Err(RegistryError::DuplicateWorkflow {
                workflow: definition.workflow_type().clone(),
                version: definition.version().map(str::to_owned),
            });
        }
        let is_older = |other: &WorkflowDefinition| match (other.version(), definition.version()) {
            (Some(other), Some(new)) => compare_versions(other, new) == Ordering::Less,
            (other, _) => other.is_none(),
        };
        let at = self.0.partition_point(is_older);
        self.0.insert(at, definition);
        Ok(())
    }

    pub(super) fn get(&self, version: Option<&str>) -> Option<&WorkflowDefinition> {
        self.0.iter().find(|definition| definition.version() == version)
    }

    pub(super) fn newest(&self) -> Option<&WorkflowDefinition> {
        self.0.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &WorkflowDefinition> {
        self.0.iter()
    }
}

/// As people are told which version it is.
pub(super) fn told(version: Option<&str>) -> String {
    match version {
        Some(version) => format!("(version {version})"),
        None => "(without a version)".to_owned(),
    }
}

/// The change that the history of a run of this version says to have met.
pub(super) fn marker(definition: &WorkflowDefinition) -> Result<Option<ChangeId>, IdError> {
    let Some(version) = definition.version() else {
        return Ok(None);
    };
    ChangeId::of_version(definition.workflow_type(), version).map(Some)
}

impl Registry {
    /// The code that a run goes on with: of the version that its history says, or, when nothing of it was decided yet, the
    /// current one.
    ///
    /// # Errors
    /// Why the run is to be parked: that code is not registered.
    pub fn code_of_run(
        &self,
        workflow_type: &WorkflowType,
        history: &[Event],
    ) -> Result<Arc<dyn Workflow>, ParkReason> {
        let unknown = |name: String| ParkReason::UnknownWorkflow { workflow_type: name };
        let Some(versions) = self.workflows.get(workflow_type) else {
            return Err(unknown(workflow_type.to_string()));
        };
        let mut turns = history.split(|event| matches!(event.attributes, EventAttributes::WorkflowTask(_)));
        let Some(first_turn) = turns.nth(1) else {
            return self
                .code(workflow_type.as_str())
                .ok_or_else(|| unknown(workflow_type.to_string()));
        };
        let version = first_turn.iter().find_map(|event| version_in(workflow_type, event));
        let found = versions.get(version).map(|definition| self.prepared(definition));
        found.ok_or_else(|| unknown(format!("{workflow_type} {}", told(version))))
    }
}

fn version_in<'a>(workflow_type: &WorkflowType, event: &'a Event) -> Option<&'a str> {
    match &event.attributes {
        EventAttributes::VersionMarkerRecorded(VersionMarker::Patch { id, deprecated: true }) => {
            id.version_of(workflow_type)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Failure;
    use crate::sdk::WorkflowContext;

    async fn order(_cx: WorkflowContext) -> Result<(), Failure> {
        Ok(())
    }

    fn registry(versions: &[Option<&str>]) -> Registry {
        let mut registry = Registry::new();
        for version in versions {
            let definition = WorkflowDefinition::of(order).unwrap();
            let definition = match version {
                Some(version) => definition.with_version(*version),
                None => definition,
            };
            registry.add_workflow(definition).unwrap();
        }
        registry
    }

    fn current(registry: &Registry) -> Option<&str> {
        registry.workflow("order").unwrap().version()
    }

    #[test]
    fn new_runs_take_the_newest_or_what_is_said_to_be_current() {
        let mut registry = registry(&[Some("9"), None, Some("10"), Some("2")]);
        assert_eq!(current(&registry), Some("10"));
        let all: Vec<_> = registry.workflows().map(WorkflowDefinition::version).collect();
        assert_eq!(all, [None, Some("2"), Some("9"), Some("10")]);
        registry.set_current_version("order", "2").unwrap();
        assert_eq!(current(&registry), Some("2"));
        assert!(registry.check().is_ok());
        registry.set_current_version("order", None).unwrap();
        assert_eq!(current(&registry), None);
        assert!(registry.check().is_ok());
    }

    #[test]
    fn a_current_version_that_is_not_registered_is_told() {
        for (versions, missing, told) in [
            (&[Some("2"), None], Some("3"), "workflow \"order\" (version 3) is to be"),
            (
                &[Some("1"), Some("2")],
                None,
                "workflow \"order\" (without a version) is to be",
            ),
        ] {
            let mut registry = registry(versions);
            registry.set_current_version("order", missing).unwrap();
            let problems = registry.check().unwrap_err();
            assert_eq!(problems.len(), 1);
            assert!(problems[0].to_string().starts_with(told), "{}", problems[0]);
        }
    }

    #[test]
    fn what_cannot_be_a_version_is_refused() {
        let mut registry = registry(&[Some("1")]);
        for (version, told) in [
            ("1", "registered as \"order\" (version 1): give one of them"),
            ("", "must not be empty"),
            (&*"1".repeat(250), "at most 255"),
        ] {
            let refused = registry.add_workflow(WorkflowDefinition::of(order).unwrap().with_version(version));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
        registry.add_workflow(WorkflowDefinition::of(order).unwrap()).unwrap();
        let twice = registry.add_workflow(WorkflowDefinition::of(order).unwrap());
        let twice = twice.unwrap_err().to_string();
        assert!(twice.contains("\"order\" (without a version)"), "{twice}");
    }
}
