//! Registered things as values: an activity or a workflow under its name, with what is known about it. Must not live
//! here: the set of them (`registry`).

use std::fmt;
use std::sync::Arc;

use std::time::Duration;

use crate::model::{
    ActivityOptions, ActivityType, CompensationInput, CompensationSpec, Escalation, InFlight, OnAmbiguous, SagaOptions,
    StuckNotice, TaskQueue, WorkflowType,
};

use super::function::{ActivityFunction, WorkflowFunction};
use super::metadata;
use super::{Activity, FunctionNameError, RegistryError, Workflow};

/// An activity under its name, with the options that hold when a call sets none.
#[derive(Clone)]
pub struct ActivityDefinition {
    activity_type: ActivityType,
    activity: Arc<dyn Activity>,
    options: ActivityOptions,
    as_step: StepDefinition,
    isolated: bool,
}

/// How an activity is run as a step of a saga when the call says nothing else.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct StepDefinition {
    pub(super) compensation: Option<CompensationDefinition>,
    pub(super) on_ambiguous: OnAmbiguous,
    pub(super) in_flight: InFlight,
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
            as_step: metadata::as_step::<F>()?,
            isolated: metadata::is_isolated::<F>(),
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
            as_step: StepDefinition::default(),
            isolated: false,
        })
    }

    /// The same with these options.
    #[must_use]
    pub fn with_options(mut self, options: ActivityOptions) -> Self {
        self.options = options;
        self
    }

    /// The same, isolated: its attempts are made in worker processes, which the program has to make possible with
    /// `WorkerProcess` (for functions with `#[activity(isolated)]`, with `worker_process`).
    #[must_use]
    pub fn isolated(mut self) -> Self {
        self.isolated = true;
        self
    }

    /// Whether its attempts are made in worker processes.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Puts what makes its attempts elsewhere in the place of its code.
    #[cfg(all(unix, feature = "runtime"))]
    pub(super) fn make_elsewhere(&mut self, activity: Arc<dyn Activity>) {
        self.activity = activity;
    }

    /// The same with this compensation.
    #[must_use]
    pub fn with_compensation(mut self, compensation: CompensationDefinition) -> Self {
        self.as_step.compensation = Some(compensation);
        self
    }

    /// The same with this activity to find out whether it had its effect, when it ended without an answer.
    #[must_use]
    pub fn with_verification(mut self, verification: VerificationDefinition) -> Self {
        self.as_step.on_ambiguous = verification.into_policy();
        self
    }

    /// The same with what is to be done when it ended without an answer.
    #[must_use]
    pub fn with_on_ambiguous(mut self, policy: OnAmbiguous) -> Self {
        self.as_step.on_ambiguous = policy;
        self
    }

    /// The same with what happens to a running attempt when the saga turns back.
    #[must_use]
    pub fn with_in_flight(mut self, policy: InFlight) -> Self {
        self.as_step.in_flight = policy;
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
        self.as_step.compensation.as_ref()
    }

    /// What is done when it ended without an answer.
    #[must_use]
    pub fn on_ambiguous(&self) -> &OnAmbiguous {
        &self.as_step.on_ambiguous
    }

    /// What happens to a running attempt when the saga turns back.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.as_step.in_flight
    }
}

impl fmt::Debug for ActivityDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityDefinition")
            .field("activity_type", &self.activity_type)
            .field("execution", &self.activity.execution())
            .field("options", &self.options)
            .field("as_step", &self.as_step)
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

/// The activity that finds out whether another one had its effect, and how it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct VerificationDefinition {
    /// Which activity. It is given the step's [`Undo`](crate::Undo) and returns a [`Verdict`](crate::Verdict).
    pub activity_type: ActivityType,
    /// Its timeouts and retry policy. When it fails for good, a person is asked.
    pub options: ActivityOptions,
}

impl VerificationDefinition {
    /// A function as a verification: [`ActivityOptions::for_compensation`], changed by what its own `#[activity]` attribute
    /// sets.
    ///
    /// # Errors
    /// When the function has no name.
    pub fn of<M, F: ActivityFunction<M>>(function: F) -> Result<Self, FunctionNameError> {
        let CompensationDefinition { activity_type, options } = CompensationDefinition::of(function)?;
        Ok(Self { activity_type, options })
    }

    /// The activity of this name as a verification, with [`ActivityOptions::for_compensation`].
    #[must_use]
    pub fn by_name(activity_type: ActivityType) -> Self {
        let options = ActivityOptions::for_compensation();
        Self { activity_type, options }
    }

    pub(super) fn into_policy(self) -> OnAmbiguous {
        OnAmbiguous::Verify(Box::new(CompensationSpec {
            activity_type: self.activity_type,
            input: CompensationInput::Undo,
            options: self.options,
        }))
    }
}

/// A workflow under its name.
#[derive(Clone)]
pub struct WorkflowDefinition {
    workflow_type: WorkflowType,
    workflow: Arc<dyn Workflow>,
    saga: Option<SagaOptions>,
    task_queue: Option<TaskQueue>,
    version: Option<String>,
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
            saga: metadata::saga_options::<F>(),
            task_queue: metadata::task_queue::<F>(),
            version: metadata::version::<F>(),
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
            saga: None,
            task_queue: None,
            version: None,
        })
    }

    /// The same as this version of its workflow type: beside others, of which new runs take the newest, and each run keeps its
    /// own.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The same with this task queue for runs whose start names none.
    ///
    /// # Errors
    /// [`RegistryError::Id`] when the name cannot be one.
    pub fn with_task_queue(mut self, task_queue: impl AsRef<str>) -> Result<Self, RegistryError> {
        self.task_queue = Some(TaskQueue::new(task_queue)?);
        Ok(self)
    }

    /// The same with these options for its saga. They are journaled with the start of each run, so that a change concerns
    /// later runs only.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::model::{AutomaticDecision, ChoiceKind, SagaOptions};
    /// use amends::{Failure, WorkflowContext, WorkflowDefinition};
    ///
    /// async fn place_order(cx: WorkflowContext, order: u32) -> Result<u32, Failure> { Ok(order) }
    ///
    /// let definition = WorkflowDefinition::of(place_order)?.with_saga_options(SagaOptions {
    ///     unwind_timeout: Some(Duration::from_secs(600)),
    ///     // Nobody has decided for a day: try again.
    ///     automatic: Some(AutomaticDecision { after: Duration::from_secs(86_400), choice: ChoiceKind::Retry }),
    ///     ..SagaOptions::default()
    /// });
    /// assert!(definition.saga_options().is_some());
    /// # Ok::<(), amends::RegistryError>(())
    /// ```
    #[must_use]
    pub fn with_saga_options(mut self, options: SagaOptions) -> Self {
        self.saga = Some(options);
        self
    }

    /// The same with an activity that is told when one of its sagas has been stuck for this long, for example to raise an
    /// alert.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::model::StuckNotice;
    /// use amends::{ActivityContext, Failure, WorkflowContext, WorkflowDefinition};
    ///
    /// async fn place_order(cx: WorkflowContext, order: u32) -> Result<u32, Failure> { Ok(order) }
    /// async fn alert(_cx: ActivityContext, notice: StuckNotice) -> Result<(), Failure> {
    ///     let _page = format!("{} needs a person: {}", notice.workflow_id, notice.reason);
    ///     Ok(())
    /// }
    ///
    /// WorkflowDefinition::of(place_order)?.with_escalation(Duration::from_secs(300), alert)?;
    /// # Ok::<(), amends::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegistryError::Name`] when the function has no name.
    pub fn with_escalation<M, F>(mut self, after: Duration, tell: F) -> Result<Self, RegistryError>
    where
        F: ActivityFunction<M, Input = StuckNotice>,
    {
        drop(tell);
        self.saga.get_or_insert_default().escalation = Some(Escalation {
            after,
            activity_type: metadata::activity_type::<F>()?,
            options: metadata::configured::<F>(ActivityOptions::for_compensation()),
        });
        Ok(self)
    }

    /// Its name.
    #[must_use]
    pub fn workflow_type(&self) -> &WorkflowType {
        &self.workflow_type
    }

    /// Which version of its workflow type it is, if it says so.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The task queue of runs whose start names none. `None`: the default one.
    #[must_use]
    pub fn task_queue(&self) -> Option<&TaskQueue> {
        self.task_queue.as_ref()
    }

    /// How its sagas are undone, and what happens when one needs a person. `None`: as by default.
    #[must_use]
    pub fn saga_options(&self) -> Option<&SagaOptions> {
        self.saga.as_ref()
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
        f.debug_struct("WorkflowDefinition")
            .field("workflow_type", &self.workflow_type)
            .field("version", &self.version)
            .field("saga", &self.saga)
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}
