//! What users implement and call from inside their code: activities, workflows, their contexts, and the registry that
//! holds them. Must not live here: running any of it (that is `runtime`), replaying it (that is `replay`), I/O, clocks,
//! randomness. Imports `model` only.

mod activity;
#[cfg(all(test, feature = "macros"))]
mod attribute_tests;
#[cfg(feature = "macros")]
mod attributes;
mod cancel;
mod codec;
mod context;
mod definition;
mod determinism;
mod function;
mod metadata;
mod names;
mod registry;
mod shared_state;
mod workflow;

pub use activity::{Activity, Execution};
#[cfg(feature = "macros")]
pub use attributes::{activity, workflow};
pub use cancel::{CancelFlag, Canceled};
pub use codec::{CodecContext, CodecError, PayloadCodec};
pub use context::{ActivityContext, ActivityContextBuilder, ActivityInfo, HeartbeatSink, idempotency_key};
pub use definition::{ActivityDefinition, CompensationDefinition, VerificationDefinition, WorkflowDefinition};
pub use function::{ActivityFunction, WorkflowFunction};
pub use names::FunctionNameError;
pub use registry::{Registry, RegistryError};
pub use shared_state::SharedState;
pub use workflow::{
    ActivityCall, CancellationScope, CancellationType, ChildCall, ChildCancellationType, ChildHandle, ChildResult,
    ChildRun, ChildStart, ChildWorkflow, ContinueAsNewCall, ExternalCall, ExternalWorkflow, HandlerUnfinishedPolicy,
    LocalActivityCall, LockCall, RegisteredHandler, RollBack, RunCanceled, Saga, Savepoint, ScopeCanceled, Scoped,
    SignalReceive, SignalReceiver, Sleep, StepCall, UpdateInfo, WaitCondition, Workflow, WorkflowContext, WorkflowInfo,
    WorkflowState,
};

#[cfg(all(unix, feature = "runtime"))]
pub(crate) use metadata::isolated_activities;
pub(crate) use workflow::{Core, HistoryInfo, Refusal, UpdateHandler};

#[cfg(feature = "macros")]
#[doc(hidden)]
pub use metadata::{
    ActivityMetadata, WorkflowMetadata, activity_function_id, compensation_of, verification_of, workflow_function_id,
};
