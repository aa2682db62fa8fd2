//! amends: an embeddable, actor-based saga coordinator and durable-execution engine.

pub mod machine;
pub mod model;
pub mod replay;
pub mod sdk;
#[cfg(feature = "server")]
pub mod server;
pub mod store;

// What a user needs, without having to know the rooms.
pub use model::{ActivityOptions, Failure, Payload, RetryPolicy, Timestamp, Undo};
pub use sdk::{
    Activity, ActivityContext, ActivityDefinition, CancelFlag, CompensationDefinition, Execution, Registry,
    RegistryError, Saga, SharedState, Workflow, WorkflowContext, WorkflowDefinition,
};
#[cfg(feature = "macros")]
pub use sdk::{activity, workflow};

/// What the attributes' expansions refer to. Not a part of the public API.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use std::time::Duration;

    pub use inventory;

    pub use crate::model::ActivityOptions;
    pub use crate::sdk::{
        ActivityMetadata, WorkflowMetadata, activity_function_id, compensation_of, workflow_function_id,
    };
}

// The attributes' expansions say `::amends`, also in this crate's own tests.
#[cfg(all(test, feature = "macros"))]
extern crate self as amends;
