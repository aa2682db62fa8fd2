//! What the attributes say about a function, found again by the function item's type. Lives here: the records that
//! `#[activity]` and `#[workflow]` submit, and looking them up. Must not live here: reading attributes (`macros`).

use crate::model::{ActivityOptions, ActivityType, WorkflowType};

use super::definition::CompensationDefinition;
use super::names::{FunctionNameError, function_name};

#[cfg(feature = "macros")]
pub use collected::{ActivityMetadata, WorkflowMetadata, activity_function_id, compensation_of, workflow_function_id};

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

/// The compensation that the function's attribute names.
#[cfg_attr(
    not(feature = "macros"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only attributes tell functions apart"
    )
)]
pub(super) fn compensation<F: 'static>() -> Result<Option<CompensationDefinition>, FunctionNameError> {
    #[cfg(feature = "macros")]
    if let Some(of) = collected::of_activity::<F>().and_then(|metadata| metadata.compensation) {
        return of().map(Some);
    }
    Ok(None)
}

#[cfg(feature = "macros")]
mod collected {
    use std::any::TypeId;
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use crate::model::{ActivityOptions, Undo};
    use crate::sdk::definition::CompensationDefinition;
    use crate::sdk::function::{ActivityFunction, WorkflowFunction};
    use crate::sdk::names::FunctionNameError;

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
    }

    /// What `#[workflow]` says about one function. Made by the attribute only.
    #[derive(Debug)]
    pub struct WorkflowMetadata {
        /// The function item's type.
        pub function: fn() -> TypeId,
        /// The workflow type, when it is not the function's name.
        pub name: Option<&'static str>,
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
