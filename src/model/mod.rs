//! The words of amends as data: ids, time, payloads, failures, retry policies, commands, inputs and events.
//! Must not live here: behaviour beyond a value's own arithmetic, I/O, clocks, serialisation formats.

mod chain;
mod child;
mod child_workflow;
mod command;
pub(crate) mod cron;
mod decision;
mod event;
mod failure;
mod ids;
mod input;
pub mod limits;
mod local;
mod message;
mod namespaced;
mod options;
mod payload;
mod payloads;
mod report;
mod reset;
mod retry;
mod run_limits;
mod saga;
mod saga_event;
mod search_attribute;
mod spelling;
mod status;
mod task_queue;
mod task_token;
mod throttle;
mod time;
mod turn;
mod undo;
mod version;
mod version_order;

pub use chain::{ContinueAsNew, ContinuedAsNew, IdConflictPolicy, IdPolicies, IdReusePolicy, Initiator, RunChain};
pub use child::{ChildSaga, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY, WATCH_ACTIVITY, WatchedRun};
pub use child_workflow::{
    ChildEnd, ChildEvent, ChildKey, ChildWorkflowFailure, LeftChild, ParentClosePolicy, ParentRun, StartChild,
};
pub use command::{Command, ScheduleActivity, WaitStep};
pub use decision::{Choice, ChoiceKind, Decide, SagaDecided};
pub use event::{ActivityRole, ActivityScheduled, RunStarted};
pub use event::{Event, EventAttributes, TURN_EVENT_IDS};
pub use failure::{Application, Failure, FailureKind, RetryState, TimeoutKind};
pub(crate) use ids::check as check_id;
pub use ids::{
    ActivityId, ActivityType, ChangeId, DefinitionDigest, EventId, IdError, QueryName, RequestId, RunId, SignalName,
    StepName, TaskQueue, TimerId, UpdateId, UpdateName, WorkflowType,
};
pub use input::{AttemptOutcome, AttemptToken, Input, StartRun};
pub use local::{LocalActivity, LocalActivityEnded};
pub use message::{
    ExternalCancel, ExternalMessage, ExternalSignal, LeftMessage, MessageKey, Query, UpdateCompleted, UpdateRequest,
    WorkflowSignaled,
};
pub use namespaced::{DEFAULT_NAMESPACE, LockName, NamespaceName, WorkflowId};
pub use options::ActivityOptions;
#[cfg(feature = "bincode")]
pub use payload::Bincode;
pub use payload::{FromPayload, Payload, PayloadError, Raw, ToPayload, WireError};
#[cfg(feature = "prost")]
pub use payload::{Proto, ProtoJson};
pub use payloads::Visit;
pub use report::{AttemptReport, Reported, ReportedAttempt};
pub use reset::{MadeAnew, Reapply, Reset, ResetAttempt, ResetPoint, RunReset};
pub use retry::{RetryDecision, RetryPolicy};
pub use run_limits::RunLimits;
pub use saga::{
    AutomaticDecision, CompensationInput, CompensationSpec, Escalation, InFlight, OnAmbiguous, SagaOptions, StepKind,
    StepSpec, StuckNotice, Verdict,
};
pub use saga_event::{
    AdoptedStep, SagaAdopted, SagaStepAmbiguous, SagaStepSkipped, SagaStuck, SagaUnwindStarted, SagaWaitStarted,
    StepVerdict, UNDO_SUFFIX, UnwindCause, WaitResult,
};
pub(crate) use search_attribute::merge as merge_changes;
pub use search_attribute::{
    BUILT_IN_ATTRIBUTES, Memo, MemoChanges, SearchAttributeChanges, SearchAttributeError, SearchAttributeType,
    SearchAttributeTypes, SearchAttributeValue, SearchAttributes, check_given_search_attribute, check_memo,
    check_search_attribute, check_search_attributes,
};
pub(crate) use spelling::nearest_name;
pub use status::{Outcome, ParkReason, RunStatus, StuckReason};
pub use task_queue::{DEFAULT_TASK_QUEUE, TaskQueueOptions};
pub use task_token::{TaskToken, TaskTokenError};
pub use throttle::{ActivityLimits, Breaker, Rate};
pub use time::Timestamp;
pub use turn::{HoldReason, PendingChange, TaskIdentity, Turn, WorkflowTask};
pub use undo::Undo;
pub use version::{CHANGE_VERSION, DEFAULT_VERSION, VersionMarker};
pub use version_order::compare_versions;
