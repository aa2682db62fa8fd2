//! amends: an embeddable, actor-based saga coordinator and durable-execution engine.
//!
//! A saga either *completes*, or *makes amends* for every step that may have taken effect; `kill -9` loses nothing. See
//! [`Amends`] for the shortest thing that works.

#[cfg(feature = "runtime")]
pub mod config;
pub mod definition;
#[cfg(feature = "runtime")]
pub mod engine;
pub mod history;
pub mod machine;
pub mod model;
pub mod replay;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "schedules")]
pub mod schedule;
pub mod sdk;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod visibility;

// What a user needs, without having to know the rooms.
pub use definition::{SagaDefinition, Step};
#[cfg(feature = "runtime")]
pub use engine::{
    Amends, AmendsBuilder, Client, Decision, Error, Namespace, ResultError, RunHandle, UpdateError, UpdateHandle,
    UpdateOptions,
};
#[cfg(feature = "bincode")]
pub use model::Bincode;
pub use model::{
    ActivityLimits, ActivityOptions, Breaker, DEFAULT_VERSION, Failure, IdConflictPolicy, IdReusePolicy, Outcome,
    ParentClosePolicy, Payload, Raw, RetryPolicy, RunStatus, SearchAttributeType, SearchAttributeValue, TaskQueue,
    TaskQueueOptions, TaskToken, TaskTokenError, Timestamp, Undo, Verdict,
};
#[cfg(feature = "prost")]
pub use model::{Proto, ProtoJson};
#[cfg(feature = "compression")]
pub use runtime::Compression;
#[cfg(feature = "encryption")]
pub use runtime::{Encryption, EncryptionKey, EncryptionKeyError};
#[cfg(all(unix, feature = "runtime"))]
pub use runtime::{WorkerProcess, worker_process};
pub use sdk::{
    Activity, ActivityContext, ActivityDefinition, CancelFlag, CancellationScope, CancellationType,
    ChildCancellationType, ChildHandle, ChildWorkflow, CodecContext, CodecError, CompensationDefinition, Execution,
    HandlerUnfinishedPolicy, PayloadCodec, Registry, RegistryError, Saga, Savepoint, SharedState, UpdateInfo,
    VerificationDefinition, Workflow, WorkflowContext, WorkflowDefinition, WorkflowState,
};
#[cfg(feature = "macros")]
pub use sdk::{activity, workflow};
pub use store::Durability;

/// What the attributes' expansions refer to. Not a part of the public API.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use std::time::Duration;

    pub use inventory;

    pub use crate::model::{ActivityOptions, SagaOptions, TaskQueue};
    pub use crate::sdk::{
        ActivityMetadata, WorkflowMetadata, activity_function_id, compensation_of, verification_of,
        workflow_function_id,
    };
}

// The attributes' expansions say `::amends`, also in this crate's own tests.
#[cfg(all(test, feature = "macros"))]
extern crate self as amends;

/// The code in the documentation must compile.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/sagas.md")]
struct DocumentedSagas;

/// The same for the page on determinism and versions.
#[cfg(all(doctest, feature = "macros", feature = "testing"))]
#[doc = include_str!("../docs/determinism.md")]
struct DocumentedDeterminism;

/// The same for the page on the life of a run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/life-of-a-run.md")]
struct DocumentedLifeOfARun;

/// The same for the page on data.
#[cfg(all(doctest, feature = "macros", feature = "encryption", feature = "compression"))]
#[doc = include_str!("../docs/data.md")]
struct DocumentedData;

/// The same for the page on schedules.
#[cfg(all(doctest, feature = "macros", feature = "schedules"))]
#[doc = include_str!("../docs/schedules.md")]
struct DocumentedSchedules;

/// The same for the page on configuration.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/configuration.md")]
struct DocumentedConfiguration;

/// The same for the page on messages.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/messages.md")]
struct DocumentedMessages;

/// The same for the page on child workflows.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/children.md")]
struct DocumentedChildren;

/// The same for the page on cancellation.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/cancellation.md")]
struct DocumentedCancellation;

/// The same for the page on namespaces.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../docs/namespaces.md")]
struct DocumentedNamespaces;

/// The same for the page on finding runs.
#[cfg(all(doctest, feature = "macros", feature = "sled"))]
#[doc = include_str!("../docs/visibility.md")]
struct DocumentedVisibility;

/// The same for the page on activities.
#[cfg(all(doctest, feature = "macros", feature = "runtime"))]
#[doc = include_str!("../docs/activities.md")]
struct DocumentedActivities;

/// The same for the page on operating.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../docs/operating.md")]
struct DocumentedOperating;
