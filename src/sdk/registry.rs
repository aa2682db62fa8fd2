//! The set of registered activities and workflows. Lives here: adding, checking, looking up. Must not live here: what
//! one of them is (`definition`), which version of a workflow a run has (`versions`), saga definition files (`definition`
//! room).

mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::model::{
    ActivityType, ChangeId, Failure, IdError, OnAmbiguous, Payload, SearchAttributeError, SearchAttributeType,
    SearchAttributeTypes, WorkflowType,
};

use self::versions::Versions;
use super::{ActivityDefinition, FunctionNameError, Workflow, WorkflowContext, WorkflowDefinition};

/// Why something cannot be registered, or a registry cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two activities have one name.
    #[error("two activities are registered as {0:?}: give one of them another name (`#[activity(name = \"...\")]`)")]
    DuplicateActivity(ActivityType),
    /// Two workflows have one name and one version.
    #[error(
        "two workflows are registered as {workflow:?} {}: give one of them another name (`#[workflow(name = \"...\")]`), or \
         another version (`#[workflow(version = \"...\")]`)",
        versions::told(version.as_deref())
    )]
    DuplicateWorkflow {
        /// The name.
        workflow: WorkflowType,
        /// The version; `None`: both are without one.
        version: Option<String>,
    },
    /// Two saga definitions have one name and one version.
    #[error(
        "two saga definitions are loaded as {saga:?} {}: give one of them another `name`, or another `version`",
        versions::told(version.as_deref())
    )]
    DuplicateSaga {
        /// The name.
        saga: WorkflowType,
        /// The version; `None`: both are without one.
        version: Option<String>,
    },
    /// A saga definition has the name of a workflow.
    #[error("a saga definition and a workflow in code are both {0:?}: give one of them another name")]
    SagaAndWorkflow(WorkflowType),
    /// A version is named as the current one but not registered.
    #[error(
        "workflow {workflow:?} {} is to be the current one, and is not registered: register it too",
        versions::told(version.as_deref())
    )]
    MissingVersion {
        /// The workflow.
        workflow: WorkflowType,
        /// The version that is missing; `None`: the one without a version.
        version: Option<String>,
    },
    /// A compensation is named but not registered.
    #[error("activity {activity:?} is undone by {compensation:?}, which is not registered: register it too")]
    MissingCompensation {
        /// The activity to be undone.
        activity: ActivityType,
        /// The one that is missing.
        compensation: ActivityType,
    },
    /// A verification is named but not registered.
    #[error("activity {activity:?} is verified by {verification:?}, which is not registered: register it too")]
    MissingVerification {
        /// The activity to be verified.
        activity: ActivityType,
        /// The one that is missing.
        verification: ActivityType,
    },
    /// An escalation is named but not registered.
    #[error(
        "stuck sagas of workflow {workflow:?} are told to {escalation:?}, which is not registered: register it too"
    )]
    MissingEscalation {
        /// The workflow whose sagas may be stuck.
        workflow: WorkflowType,
        /// The activity that is missing.
        escalation: ActivityType,
    },
    /// A search attribute cannot be registered like this.
    #[error(transparent)]
    SearchAttribute(#[from] SearchAttributeError),
    /// A function has no name of its own.
    #[error(transparent)]
    Name(#[from] FunctionNameError),
    /// A name cannot be used.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// The activities and workflows that an engine can run.
///
/// ```
/// use amends::{ActivityContext, ActivityDefinition, Failure, Registry, WorkflowContext, WorkflowDefinition};
///
/// async fn greet(_cx: ActivityContext, name: String) -> Result<String, Failure> {
///     Ok(format!("Hello, {name}"))
/// }
/// async fn welcome(cx: WorkflowContext, name: String) -> Result<String, Failure> {
///     cx.activity(greet, &name).await
/// }
///
/// let mut registry = Registry::new();
/// registry.add_activity(ActivityDefinition::of(greet)?)?;
/// registry.add_workflow(WorkflowDefinition::of(welcome)?)?;
/// assert!(registry.activity("greet").is_some() && registry.check().is_ok());
/// # Ok::<(), amends::RegistryError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    activities: BTreeMap<ActivityType, ActivityDefinition>,
    workflows: BTreeMap<WorkflowType, Versions>,
    /// The versions that are current although they need not be the newest.
    current: BTreeMap<WorkflowType, Option<String>>,
    search_attributes: SearchAttributeTypes,
}

impl Registry {
    /// Nothing registered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an activity.
    ///
    /// # Errors
    /// [`RegistryError::DuplicateActivity`]; the earlier one stays.
    pub fn add_activity(&mut self, definition: ActivityDefinition) -> Result<(), RegistryError> {
        let name = definition.activity_type().clone();
        if self.activities.contains_key(&name) {
            return Err(RegistryError::DuplicateActivity(name));
        }
        self.activities.insert(name, definition);
        Ok(())
    }

    /// Registers a workflow, or one more version of it.
    ///
    /// # Errors
    /// [`RegistryError::DuplicateWorkflow`] when there is one of its name and version; the earlier one stays.
    /// [`RegistryError::Id`] for a version that cannot be one.
    pub fn add_workflow(&mut self, definition: WorkflowDefinition) -> Result<(), RegistryError> {
        let name = definition.workflow_type().clone();
        self.workflows.entry(name).or_default().add(definition)
    }

    /// Has new runs take this version of a workflow, instead of the newest. `None` is the one without a version.
    ///
    /// # Errors
    /// [`RegistryError::Id`] when the name cannot be one. Whether there is such a version, [`check`](Self::check) tells.
    pub fn set_current_version<'v>(
        &mut self,
        workflow_type: &str,
        version: impl Into<Option<&'v str>>,
    ) -> Result<(), RegistryError> {
        let version = version.into().map(str::to_owned);
        self.current.insert(WorkflowType::new(workflow_type)?, version);
        Ok(())
    }

    /// Registers the type of a search attribute, for runs that are started here and for upserts of the registered workflows.
    ///
    /// # Errors
    /// [`RegistryError::SearchAttribute`] when the name cannot be one, or has another type already.
    pub fn add_search_attribute(&mut self, name: &str, kind: SearchAttributeType) -> Result<(), RegistryError> {
        Ok(self.search_attributes.register(name, kind)?)
    }

    /// The types of search attributes that were registered.
    #[must_use]
    pub fn search_attribute_types(&self) -> &SearchAttributeTypes {
        &self.search_attributes
    }

    /// The activity of this name.
    #[must_use]
    pub fn activity(&self, activity_type: &str) -> Option<&ActivityDefinition> {
        self.activities.get(activity_type)
    }

    /// The workflow of this name: the version that new runs take.
    #[must_use]
    pub fn workflow(&self, workflow_type: &str) -> Option<&WorkflowDefinition> {
        let versions = self.workflows.get(workflow_type)?;
        let current = self.current.get(workflow_type);
        current.map_or_else(|| versions.newest(), |version| versions.get(version.as_deref()))
    }

    /// The code of the workflow of this name for new runs, which knows the types of search attributes.
    #[must_use]
    pub fn code(&self, workflow_type: &str) -> Option<Arc<dyn Workflow>> {
        Some(self.prepared(self.workflow(workflow_type)?))
    }

    /// The code as runs get it.
    fn prepared(&self, definition: &WorkflowDefinition) -> Arc<dyn Workflow> {
        let code = definition.workflow().clone();
        match self.search_attributes.is_empty() && definition.version().is_none() {
            true => code,
            false => Arc::new(Prepared {
                code,
                types: self.search_attributes.clone(),
                version: versions::marker(definition).ok().flatten(),
            }),
        }
    }

    /// Every activity, by name.
    pub fn activities(&self) -> impl Iterator<Item = &ActivityDefinition> {
        self.activities.values()
    }

    /// Every workflow, by name, older versions first.
    pub fn workflows(&self) -> impl Iterator<Item = &WorkflowDefinition> {
        self.workflows.values().flat_map(Versions::iter)
    }

    /// Puts what makes attempts elsewhere in the place of the code of isolated activities.
    #[cfg(all(unix, feature = "runtime"))]
    pub(crate) fn make_isolated_elsewhere(&mut self, activity: impl Fn() -> std::sync::Arc<dyn crate::sdk::Activity>) {
        let isolated = self
            .activities
            .values_mut()
            .filter(|definition| definition.is_isolated());
        isolated.for_each(|definition| definition.make_elsewhere(activity()));
    }

    /// Checks that the registered things fit together, once all of them are there.
    ///
    /// # Errors
    /// Everything that is wrong: each compensation, verification, escalation and current version that is not registered.
    pub fn check(&self) -> Result<(), Vec<RegistryError>> {
        let activities = self.activities().flat_map(|definition| {
            let of_activity = [
                self.missing_compensation(definition),
                self.missing_verification(definition),
            ];
            of_activity.into_iter().flatten()
        });
        let workflows = self
            .workflows()
            .filter_map(|definition| self.missing_escalation(definition));
        let missing: Vec<_> = activities.chain(workflows).chain(self.missing_versions()).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    fn missing_compensation(&self, definition: &ActivityDefinition) -> Option<RegistryError> {
        let compensation = self.missing(&definition.compensation()?.activity_type)?;
        let activity = definition.activity_type().clone();
        Some(RegistryError::MissingCompensation { activity, compensation })
    }

    fn missing_verification(&self, definition: &ActivityDefinition) -> Option<RegistryError> {
        let OnAmbiguous::Verify(probe) = definition.on_ambiguous() else {
            return None;
        };
        let verification = self.missing(&probe.activity_type)?;
        let activity = definition.activity_type().clone();
        Some(RegistryError::MissingVerification { activity, verification })
    }

    fn missing_escalation(&self, definition: &WorkflowDefinition) -> Option<RegistryError> {
        let escalation = self.missing(&definition.saga_options()?.escalation.as_ref()?.activity_type)?;
        let workflow = definition.workflow_type().clone();
        Some(RegistryError::MissingEscalation { workflow, escalation })
    }

    fn missing_versions(&self) -> impl Iterator<Item = RegistryError> {
        let missing = self
            .current
            .iter()
            .filter(|(name, _)| self.workflow(name.as_str()).is_none());
        missing.map(|(name, version)| RegistryError::MissingVersion {
            workflow: name.clone(),
            version: version.clone(),
        })
    }

    fn missing(&self, activity_type: &ActivityType) -> Option<ActivityType> {
        (!self.activities.contains_key(activity_type)).then(|| activity_type.clone())
    }
}

/// Workflow code that knows the types of search attributes, and says which version it is.
struct Prepared {
    code: Arc<dyn Workflow>,
    types: SearchAttributeTypes,
    version: Option<ChangeId>,
}

impl Workflow for Prepared {
    fn start(&self, cx: WorkflowContext, input: Payload) -> LocalBoxFuture<'static, Result<Payload, Failure>> {
        cx.know_search_attribute_types(self.types.clone());
        if let Some(version) = &self.version {
            cx.say_workflow_version(version.clone());
        }
        self.code.start(cx, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::{ActivityContext, CompensationDefinition};

    async fn reserve(_cx: ActivityContext, order: u32) -> Result<u32, Failure> {
        Ok(order)
    }

    fn release(_cx: ActivityContext) -> Result<(), Failure> {
        Ok(())
    }

    async fn order(_cx: WorkflowContext) -> Result<(), Failure> {
        Ok(())
    }

    #[test]
    fn duplicates_are_refused_and_missing_compensations_are_listed() {
        let mut registry = Registry::new();
        let undone_by_release = ActivityDefinition::of(reserve)
            .unwrap()
            .with_compensation(CompensationDefinition::of(release).unwrap());
        registry.add_activity(undone_by_release.clone()).unwrap();
        assert!(matches!(
            registry.add_activity(undone_by_release),
            Err(RegistryError::DuplicateActivity(name)) if name.as_str() == "reserve"
        ));
        let problems = registry.check().unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains("\"release\""), "{}", problems[0]);
        registry.add_activity(ActivityDefinition::of(release).unwrap()).unwrap();
        registry.check().unwrap();
        registry.add_workflow(WorkflowDefinition::of(order).unwrap()).unwrap();
        assert!(registry.add_workflow(WorkflowDefinition::of(order).unwrap()).is_err());
        assert_eq!((registry.activities().count(), registry.workflows().count()), (2, 1));
    }

    #[test]
    fn closures_are_refused_by_name() {
        let refused = ActivityDefinition::of(|_cx: ActivityContext, n: u32| async move { Ok::<_, Failure>(n) });
        assert!(matches!(
            refused,
            Err(RegistryError::Name(FunctionNameError::Closure { .. }))
        ));
    }
}
