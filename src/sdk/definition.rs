//! Registered things as values: an activity or a workflow under its name, with what is known about it. Must not live
//! here: the set of them (`registry`).

use std::fmt;
use std::sync::Arc;

use crate::model::{ActivityOptions, ActivityType, CompensationInput, CompensationSpec, WorkflowType};

use super::function::{ActivityFunction, WorkflowFunction};
use super::metadata;
use super::{Activity, FunctionNameError, RegistryError, Workflow};

/// An activity under its name, with the options that hold when a call sets none.
#[derive(Clone)]
pub struct ActivityDefinition {
    activity_type: ActivityType,
    activity: Arc<dyn Activity>,
    options: ActivityOptions,
    compensation: Option<CompensationDefinition>,
}

impl ActivityDefinition {
    /// A function as an activity, with what its `#[activity]` attribute says; without the attribute, under its own name
    /// and with default options.
    ///
    /// ```
    /// use amends::{ActivityContext, ActivityDefinition, Failure};
    ///
    /// async fn charge_card(_cx: ActivityContext, cents: u64) -> Result<u64, Failure> { Ok(cents) }
    ///
    /// let definition = ActivityDefinition::of(charge_card)?;
    /// assert_eq!(definition.activity_type().as_str(), "charge_card");
    /// # Ok::<(), amends::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegistryError::Name`] for a closure, a function pointer or a generic function: they have no name.
    pub fn of<M, F: ActivityFunction<M>>(function: F) -> Result<Self, RegistryError> {
        Ok(Self {
            activity_type: metadata::activity_type::<F>()?,
            activity: function.into_activity(),
            options: metadata::configured::<F>(ActivityOptions::default()),
            compensation: metadata::compensation::<F>()?,
        })
    }

    /// An activity under a name, with default options and no compensation.
    ///
    /// # Errors
    /// [`RegistryError::Id`] when the name cannot be one.
    pub fn new(activity_type: impl AsRef<str>, activity: impl Activity) -> Result<Self, RegistryError> {
        Ok(Self {
            activity_type: ActivityType::new(activity_type)?,
            activity: Arc::new(activity),
            options: ActivityOptions::default(),
            compensation: None,
        })
    }

    /// The same with these options.
    #[must_use]
    pub fn with_options(mut self, options: ActivityOptions) -> Self {
        self.options = options;
        self
    }

    /// The same with this compensation.
    #[must_use]
    pub fn with_compensation(mut self, compensation: CompensationDefinition) -> Self {
        self.compensation = Some(compensation);
        self
    }

    /// Its name.
    #[must_use]
    pub fn activity_type(&self) -> &ActivityType {
        &self.activity_type
    }

    /// The code.
    #[must_use]
    pub fn activity(&self) -> &Arc<dyn Activity> {
        &self.activity
    }

    /// Timeouts and retry policy when a call sets none.
    #[must_use]
    pub fn options(&self) -> &ActivityOptions {
        &self.options
    }

    /// The activity that undoes it, if there is one.
    #[must_use]
    pub fn compensation(&self) -> Option<&CompensationDefinition> {
        self.compensation.as_ref()
    }
}

impl fmt::Debug for ActivityDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityDefinition")
            .field("activity_type", &self.activity_type)
            .field("execution", &self.activity.execution())
            .field("options", &self.options)
            .field("compensation", &self.compensation)
            .finish()
    }
}

/// The activity that undoes another one, and how it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct CompensationDefinition {
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its timeouts and retry policy.
    pub options: ActivityOptions,
}

impl CompensationDefinition {
    /// A function as a compensation: [`ActivityOptions::for_compensation`], changed by what its own `#[activity]`
    /// attribute sets.
    ///
    /// # Errors
    /// When the function has no name.
    pub fn of<M, F: ActivityFunction<M>>(function: F) -> Result<Self, FunctionNameError> {
        drop(function);
        Ok(Self {
            activity_type: metadata::activity_type::<F>()?,
            options: metadata::configured::<F>(ActivityOptions::for_compensation()),
        })
    }

    /// The activity of this name as a compensation, with [`ActivityOptions::for_compensation`].
    #[must_use]
    pub fn by_name(activity_type: ActivityType) -> Self {
        Self {
            activity_type,
            options: ActivityOptions::for_compensation(),
        }
    }

    pub(super) fn into_spec(self) -> CompensationSpec {
        CompensationSpec {
            activity_type: self.activity_type,
            input: CompensationInput::Undo,
            options: self.options,
        }
    }
}

/// A workflow under its name.
#[derive(Clone)]
pub struct WorkflowDefinition {
    workflow_type: WorkflowType,
    workflow: Arc<dyn Workflow>,
}

impl WorkflowDefinition {
    /// A function as a workflow, under its `#[workflow]` attribute's name or its own.
    ///
    /// # Errors
    /// [`RegistryError::Name`] for a closure, a function pointer or a generic function: they have no name.
    pub fn of<M, F: WorkflowFunction<M>>(function: F) -> Result<Self, RegistryError> {
        Ok(Self {
            workflow_type: metadata::workflow_type::<F>()?,
            workflow: function.into_workflow(),
        })
    }

    /// A workflow under a name.
    ///
    /// # Errors
    /// [`RegistryError::Id`] when the name cannot be one.
    pub fn new(workflow_type: impl AsRef<str>, workflow: impl Workflow) -> Result<Self, RegistryError> {
        Ok(Self {
            workflow_type: WorkflowType::new(workflow_type)?,
            workflow: Arc::new(workflow),
        })
    }

    /// Its name.
    #[must_use]
    pub fn workflow_type(&self) -> &WorkflowType {
        &self.workflow_type
    }

    /// The code.
    #[must_use]
    pub fn workflow(&self) -> &Arc<dyn Workflow> {
        &self.workflow
    }

    /// The workflow type of a function, for starting it by its function.
    ///
    /// # Errors
    /// [`RegistryError::Name`] for a function without a name.
    pub fn type_of<M, F: WorkflowFunction<M>>(function: &F) -> Result<WorkflowType, RegistryError> {
        let _ = function;
        Ok(metadata::workflow_type::<F>()?)
    }
}

impl fmt::Debug for WorkflowDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowDefinition").field(&self.workflow_type).finish()
    }
}
