//! What the attributes say about a function, found again by the function item's type. Lives here: the records that
//! `#[activity]` and `#[workflow]` submit, and looking them up. Must not live here: reading attributes (`macros`).

use crate::model::{ActivityOptions, ActivityType, SagaOptions, TaskQueue, WorkflowType};

use super::CancellationType;
use super::definition::StepDefinition;
use super::names::{FunctionNameError, function_name};

#[cfg(feature = "macros")]
pub use collected::{
    ActivityMetadata, WorkflowMetadata, activity_function_id, compensation_of, verification_of, workflow_function_id,
};

/// The activity type of a function: its attribute's name, or its own.
pub(super) fn activity_type<F: 'static>() -> Result<ActivityType, FunctionNameError> {
    let (name, path) = (attribute_name::<F>(Attribute::Activity), std::any::type_name::<F>());
    let name = name.map_or_else(function_name::<F>, Ok)?;
    ActivityType::new(name).map_err(|source| FunctionNameError::Invalid {
        path: path.to_owned(),
        source,
    })
}

/// The workflow type of a function: its attribute's name, or its own.
pub(super) fn workflow_type<F: 'static>() -> Result<WorkflowType, FunctionNameError> {
    let (name, path) = (attribute_name::<F>(Attribute::Workflow), std::any::type_name::<F>());
    let name = name.map_or_else(function_name::<F>, Ok)?;
    WorkflowType::new(name).map_err(|source| FunctionNameError::Invalid {
        path: path.to_owned(),
        source,
    })
}

#[derive(Clone, Copy)]
enum Attribute {
    Activity,
    Workflow,
}

#[cfg(not(feature = "macros"))]
#[allow(
    clippy::extra_unused_type_parameters,
    reason = "only attributes tell functions apart"
)]
fn attribute_name<F: 'static>(attribute: Attribute) -> Option<&'static str> {
    match attribute {
        Attribute::Activity | Attribute::Workflow => None,
    }
}

#[cfg(feature = "macros")]
fn attribute_name<F: 'static>(attribute: Attribute) -> Option<&'static str> {
    match attribute {
        Attribute::Activity => collected::of_activity::<F>()?.name,
        Attribute::Workflow => collected::of_workflow::<F>()?.name,
    }
}

/// These options, changed by what the function's attribute sets.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn configured<F: 'static>(base: ActivityOptions) -> ActivityOptions {
    #[cfg(feature = "macros")]
    if let Some(metadata) = collected::of_activity::<F>() {
        let mut options = base;
        (metadata.configure)(&mut options);
        return options;
    }
    base
}

/// What the function's attribute says that a call does when its run is cancelled.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn cancellation<F: 'static>() -> CancellationType {
    #[cfg(feature = "macros")]
    if let Some(cancellation) = collected::of_activity::<F>().and_then(|metadata| metadata.cancellation) {
        return cancellation;
    }
    CancellationType::default()
}

/// How the function's attribute wants it to be run as a step of a saga.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn as_step<F: 'static>() -> Result<StepDefinition, FunctionNameError> {
    #[cfg(feature = "macros")]
    if let Some(metadata) = collected::of_activity::<F>() {
        return metadata.as_step();
    }
    Ok(StepDefinition::default())
}

/// Whether the function's attribute wants its attempts made in worker processes.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn is_isolated<F: 'static>() -> bool {
    #[cfg(feature = "macros")]
    if let Some(metadata) = collected::of_activity::<F>() {
        return metadata.isolated.is_some();
    }
    false
}

/// Every activity function whose attribute wants its attempts made in worker processes.
#[cfg(all(unix, feature = "runtime"))]
pub(crate) fn isolated_activities() -> Vec<Result<crate::sdk::ActivityDefinition, crate::sdk::RegistryError>> {
    #[cfg(feature = "macros")]
    let all = inventory::iter::<ActivityMetadata>.into_iter();
    #[cfg(feature = "macros")]
    let isolated = all.filter_map(|metadata| Some((metadata.isolated?)())).collect();
    #[cfg(not(feature = "macros"))]
    let isolated = Vec::new();
    isolated
}

/// The task queue that the function's attribute gives its runs.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn task_queue<F: 'static>() -> Option<TaskQueue> {
    #[cfg(feature = "macros")]
    if let Some(metadata) = collected::of_workflow::<F>() {
        return metadata.task_queue.map(TaskQueue::from_trusted);
    }
    None
}

/// The version that the function's attribute gives to it.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn version<F: 'static>() -> Option<String> {
    #[cfg(feature = "macros")]
    if let Some(metadata) = collected::of_workflow::<F>() {
        return metadata.version.map(str::to_owned);
    }
    None
}

/// What the function's attribute says about its sagas.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn saga_options<F: 'static>() -> Option<SagaOptions> {
    #[cfg(feature = "macros")]
    if let Some(configure) = collected::of_workflow::<F>().and_then(|metadata| metadata.saga) {
        let mut options = SagaOptions::default();
        configure(&mut options);
        return Some(options);
    }
    None
}

#[cfg(feature = "macros")]
mod collected {
    use std::any::TypeId;
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use crate::model::{ActivityOptions, InFlight, OnAmbiguous, SagaOptions, Undo, Verdict};
    use crate::sdk::definition::{CompensationDefinition, StepDefinition, VerificationDefinition};
    use crate::sdk::function::{ActivityFunction, WorkflowFunction};
    use crate::sdk::names::FunctionNameError;
    use crate::sdk::{ActivityDefinition, CancellationType, RegistryError};

    /// What `#[activity]` says about one function. Made by the attribute only.
    #[derive(Debug)]
    pub struct ActivityMetadata {
        /// The function item's type.
        pub function: fn() -> TypeId,
        /// The activity type, when it is not the function's name.
        pub name: Option<&'static str>,
        /// Sets what the attribute sets.
        pub configure: fn(&mut ActivityOptions),
        /// The activity that undoes this one.
        pub compensation: Option<fn() -> Result<CompensationDefinition, FunctionNameError>>,
        /// The activity that finds out whether this one had its effect.
        pub verification: Option<fn() -> Result<VerificationDefinition, FunctionNameError>>,
        /// A person is asked whether it had its effect.
        pub asks: bool,
        /// Makes its definition, when its attempts are to be made in worker processes.
        pub isolated: Option<fn() -> Result<ActivityDefinition, RegistryError>>,
        /// A running attempt is not waited for when the saga turns back.
        pub fences: bool,
        /// What a call does when its run is cancelled, if the attribute says so.
        pub cancellation: Option<CancellationType>,
    }

    impl ActivityMetadata {
        pub(super) fn as_step(&self) -> Result<StepDefinition, FunctionNameError> {
            let compensation = self.compensation.map(|of| of()).transpose()?;
            let on_ambiguous = match self.verification {
                Some(of) => of()?.into_policy(),
                None if self.asks => OnAmbiguous::Ask,
                None => OnAmbiguous::Compensate,
            };
            let in_flight = if self.fences { InFlight::Fence } else { InFlight::Wait };
            Ok(StepDefinition {
                compensation,
                on_ambiguous,
                in_flight,
            })
        }
    }

    /// What `#[workflow]` says about one function. Made by the attribute only.
    #[derive(Debug)]
    pub struct WorkflowMetadata {
        /// The function item's type.
        pub function: fn() -> TypeId,
        /// The workflow type, when it is not the function's name.
        pub name: Option<&'static str>,
        /// Which version of its workflow type it is, if it says so.
        pub version: Option<&'static str>,
        /// The task queue of its runs, if it names one.
        pub task_queue: Option<&'static str>,
        /// Sets what the attribute says about sagas, if it does.
        pub saga: Option<fn(&mut SagaOptions)>,
    }

    inventory::collect!(ActivityMetadata);
    inventory::collect!(WorkflowMetadata);

    /// The function item's type, if it can be an activity.
    pub fn activity_function_id<M, F: ActivityFunction<M>>(_function: F) -> TypeId {
        TypeId::of::<F>()
    }

    /// The function item's type, if it can be a workflow.
    pub fn workflow_function_id<M, F: WorkflowFunction<M>>(_function: F) -> TypeId {
        TypeId::of::<F>()
    }

    /// How `undo` undoes `function`; compiles only if it takes [`Undo`] of that function's input and output.
    ///
    /// # Errors
    /// When `undo` has no name.
    pub fn compensation_of<M, F, N, C>(_function: F, undo: C) -> Result<CompensationDefinition, FunctionNameError>
    where
        F: ActivityFunction<M>,
        C: ActivityFunction<N, Input = Undo<F::Input, F::Output>>,
    {
        CompensationDefinition::of(undo)
    }

    /// How `probe` finds out whether `function` had its effect; compiles only if it takes [`Undo`] of that function's input
    /// and output, and returns a [`Verdict`] about its output.
    ///
    /// # Errors
    /// When `probe` has no name.
    pub fn verification_of<M, F, N, V>(_function: F, probe: V) -> Result<VerificationDefinition, FunctionNameError>
    where
        F: ActivityFunction<M>,
        V: ActivityFunction<N, Input = Undo<F::Input, F::Output>, Output = Verdict<F::Output>>,
    {
        VerificationDefinition::of(probe)
    }

    pub(super) fn of_activity<F: 'static>() -> Option<&'static ActivityMetadata> {
        static BY_FUNCTION: LazyLock<BTreeMap<TypeId, &'static ActivityMetadata>> = LazyLock::new(|| {
            let all = inventory::iter::<ActivityMetadata>.into_iter();
            all.map(|metadata| ((metadata.function)(), metadata)).collect()
        });
        BY_FUNCTION.get(&TypeId::of::<F>()).copied()
    }

    pub(super) fn of_workflow<F: 'static>() -> Option<&'static WorkflowMetadata> {
        static BY_FUNCTION: LazyLock<BTreeMap<TypeId, &'static WorkflowMetadata>> = LazyLock::new(|| {
            let all = inventory::iter::<WorkflowMetadata>.into_iter();
            all.map(|metadata| ((metadata.function)(), metadata)).collect()
        });
        BY_FUNCTION.get(&TypeId::of::<F>()).copied()
    }
}
