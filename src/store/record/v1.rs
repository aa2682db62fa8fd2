//! Version 1 of the turn record: frozen types, borrowed from the turn when writing and from the bytes when reading.
//! Must not live here: any change after a release (write a `v2`), or names of the model.
//!
//! Positions are the format: no field or variant may be added, removed or moved.

mod attribute;
mod chain;
mod child;
mod message;
mod pending;
mod saga;
mod version;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) use attribute::*;
pub(super) use chain::*;
pub(super) use child::*;
pub(super) use message::*;
pub(super) use pending::*;
pub(super) use saga::*;
pub(super) use version::VersionMarker;

#[derive(Serialize, Deserialize)]
pub(super) struct Turn<'a> {
    pub(super) seq: u64,
    pub(super) time: Micros,
    #[serde(borrow)]
    pub(super) events: Vec<Event<'a>>,
    #[serde(borrow)]
    pub(super) pending: Vec<Pending<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Event<'a> {
    pub(super) id: u64,
    pub(super) time: Micros,
    #[serde(borrow)]
    pub(super) attributes: Attributes<'a>,
}

/// Microseconds since 1970.
pub(super) type Micros = i64;

/// Seconds, and nanoseconds below a second: exact for every duration.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(super) struct Span {
    pub(super) seconds: u64,
    pub(super) nanos: u32,
}

/// Bytes as one block instead of one element after the other.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(deserializer).map(Raw)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) encoding: Encoding<'a>,
    #[serde(borrow)]
    pub(super) data: Raw<'a>,
}

/// The two common encodings cost four bytes each.
#[derive(Serialize, Deserialize)]
pub(super) enum Encoding<'a> {
    Json,
    Null,
    Other(&'a str),
    /// With metadata, or encoded by codecs.
    Full {
        encoding: &'a str,
        #[serde(borrow)]
        metadata: Vec<(&'a str, Raw<'a>)>,
        layers: u8,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) enum Attributes<'a> {
    WorkflowExecutionStarted(#[serde(borrow)] Box<RunStarted<'a>>),
    WorkflowExecutionCompleted {
        #[serde(borrow)]
        result: Payload<'a>,
    },
    WorkflowExecutionFailed {
        #[serde(borrow)]
        failure: Failure<'a>,
        amended: bool,
    },
    WorkflowExecutionTimedOut {
        amended: bool,
    },
    WorkflowExecutionCanceled {
        #[serde(borrow)]
        failure: Failure<'a>,
        amended: bool,
    },
    WorkflowExecutionTerminated {
        reason: &'a str,
        identity: &'a str,
    },
    WorkflowExecutionCancelRequested {
        reason: &'a str,
        identity: &'a str,
    },
    WorkflowExecutionSignaled {
        name: &'a str,
        #[serde(borrow)]
        input: Payload<'a>,
        #[serde(borrow)]
        request_id: Option<&'a str>,
        identity: &'a str,
    },
    WorkflowTask {
        identity: &'a str,
        history_bytes: u64,
        continue_as_new_suggested: bool,
    },
    ActivityTaskScheduled(#[serde(borrow)] Box<ActivityScheduled<'a>>),
    ActivityTaskStarted {
        scheduled: u64,
        attempt: u32,
        #[serde(borrow)]
        last_failure: Option<Failure<'a>>,
    },
    ActivityTaskCompleted {
        scheduled: u64,
        started: u64,
        #[serde(borrow)]
        result: Payload<'a>,
    },
    ActivityTaskFailed {
        scheduled: u64,
        started: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
        retry_state: RetryState,
    },
    ActivityTaskTimedOut {
        scheduled: u64,
        started: Option<u64>,
        #[serde(borrow)]
        failure: Failure<'a>,
        retry_state: RetryState,
    },
    ActivityTaskCancelRequested {
        scheduled: u64,
    },
    ActivityTaskCanceled {
        scheduled: u64,
        started: Option<u64>,
        #[serde(borrow)]
        details: Option<Payload<'a>>,
    },
    TimerStarted {
        timer_id: &'a str,
        fire_at: Micros,
    },
    TimerFired {
        timer_id: &'a str,
        started: u64,
    },
    TimerCanceled {
        timer_id: &'a str,
        started: u64,
    },
    MarkerRecorded {
        name: &'a str,
        #[serde(borrow)]
        details: Payload<'a>,
    },
    VersionMarkerRecorded(#[serde(borrow)] VersionMarker<'a>),
    SagaUnwindStarted {
        #[serde(borrow)]
        cause: UnwindCause<'a>,
    },
    SagaStuck {
        step: Option<u64>,
        reason: StuckReason,
        #[serde(borrow)]
        failure: Failure<'a>,
    },
    SagaDecided(#[serde(borrow)] Box<Decided<'a>>),
    SagaStepAmbiguous {
        scheduled: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
        retry_state: RetryState,
    },
    SagaStepResolved {
        scheduled: u64,
        verdict: Verdict,
    },
    SagaRollbackStarted {
        keep: u64,
    },
    SagaRollbackCompleted {
        started: u64,
    },
    SagaWaitStarted {
        name: &'a str,
        #[serde(borrow)]
        after: Vec<&'a str>,
        #[serde(borrow)]
        signal: Option<&'a str>,
        until: Option<Micros>,
        #[serde(borrow)]
        default: Option<Payload<'a>>,
    },
    SagaWaitEnded {
        started: u64,
        result: WaitResult,
    },
    SagaStepSkipped {
        name: &'a str,
        #[serde(borrow)]
        after: Vec<&'a str>,
    },
    SagaLockRequested {
        lock: &'a str,
        until: Option<Micros>,
        no_wait: bool,
    },
    SagaLockAcquired {
        requested: u64,
    },
    SagaLockRefused {
        requested: u64,
        #[serde(borrow)]
        failure: Failure<'a>,
    },
    SagaAdopted {
        run_id: [u8; 16],
        #[serde(borrow)]
        steps: Vec<AdoptedStep<'a>>,
    },
    LocalActivityEnded {
        seq: u32,
        activity_type: &'a str,
        #[serde(borrow)]
        outcome: Result<Payload<'a>, Failure<'a>>,
    },
    Message(#[serde(borrow)] Box<Message<'a>>),
    SearchAttributesUpserted(#[serde(borrow)] Vec<(&'a str, Option<SearchAttribute<'a>>)>),
    WorkflowPropertiesModified(#[serde(borrow)] Vec<(&'a str, Option<Payload<'a>>)>),
    WorkflowExecutionContinuedAsNew(#[serde(borrow)] Box<ContinuedAsNew<'a>>),
    Child(#[serde(borrow)] Box<Child<'a>>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunStarted<'a> {
    pub(super) workflow_id: &'a str,
    pub(super) run_id: [u8; 16],
    pub(super) workflow_type: &'a str,
    pub(super) definition: Option<[u8; 32]>,
    #[serde(borrow)]
    pub(super) input: Payload<'a>,
    #[serde(borrow)]
    pub(super) request_id: Option<&'a str>,
    pub(super) run_timeout: Option<Span>,
    pub(super) identity: &'a str,
    #[serde(borrow)]
    pub(super) saga: Option<Box<SagaOptions<'a>>>,
    #[serde(borrow)]
    pub(super) task_queue: Option<&'a str>,
    #[serde(borrow)]
    pub(super) parent: Option<ParentRun<'a>>,
    #[serde(borrow)]
    pub(super) search_attributes: Vec<(&'a str, SearchAttribute<'a>)>,
    #[serde(borrow)]
    pub(super) memo: Vec<(&'a str, Payload<'a>)>,
    #[serde(borrow)]
    pub(super) chain: Option<Box<RunChain<'a>>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ActivityScheduled<'a> {
    pub(super) activity_id: &'a str,
    pub(super) activity_type: &'a str,
    #[serde(borrow)]
    pub(super) input: Payload<'a>,
    #[serde(borrow)]
    pub(super) options: ActivityOptions<'a>,
    #[serde(borrow)]
    pub(super) role: ActivityRole<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ActivityRole<'a> {
    Plain,
    Step(#[serde(borrow)] Box<StepSpec<'a>>),
    Compensation(u64),
    Verification(u64),
    Escalation(Option<u64>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ActivityOptions<'a> {
    pub(super) schedule_to_close: Option<Span>,
    pub(super) schedule_to_start: Option<Span>,
    pub(super) start_to_close: Span,
    pub(super) heartbeat: Option<Span>,
    pub(super) initial_interval: Span,
    pub(super) backoff_coefficient: f64,
    pub(super) maximum_interval: Option<Span>,
    pub(super) maximum_attempts: u32,
    #[serde(borrow)]
    pub(super) non_retryable_types: Vec<&'a str>,
    #[serde(borrow)]
    pub(super) task_queue: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StepSpec<'a> {
    pub(super) name: &'a str,
    pub(super) kind: StepKind,
    #[serde(borrow)]
    pub(super) after: Option<Vec<&'a str>>,
    #[serde(borrow)]
    pub(super) compensation: Option<CompensationSpec<'a>>,
    #[serde(borrow)]
    pub(super) on_ambiguous: OnAmbiguous<'a>,
    pub(super) in_flight: InFlight,
}

#[derive(Serialize, Deserialize)]
pub(super) enum OnAmbiguous<'a> {
    Compensate,
    Verify(#[serde(borrow)] Box<CompensationSpec<'a>>),
    Ask,
}

#[derive(Serialize, Deserialize)]
pub(super) enum InFlight {
    Wait,
    Fence,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StepKind {
    Compensatable,
    Pivot,
    Retriable,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CompensationSpec<'a> {
    pub(super) activity_type: &'a str,
    pub(super) input: CompensationInput,
    #[serde(borrow)]
    pub(super) options: ActivityOptions<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum CompensationInput {
    Undo,
    Mapped,
}

/// A failure and its causes, outermost first: flat, so that no record can make the reader recurse.
#[derive(Serialize, Deserialize)]
pub(super) struct Failure<'a>(#[serde(borrow)] pub(super) Vec<OneFailure<'a>>);

#[derive(Serialize, Deserialize)]
pub(super) struct OneFailure<'a> {
    pub(super) message: &'a str,
    #[serde(borrow)]
    pub(super) kind: FailureKind<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum FailureKind<'a> {
    Application {
        type_name: &'a str,
        non_retryable: bool,
        not_applied: bool,
        next_retry_delay: Option<Span>,
        #[serde(borrow)]
        details: Option<Payload<'a>>,
    },
    Timeout {
        kind: TimeoutKind,
        #[serde(borrow)]
        last_heartbeat: Option<Payload<'a>>,
    },
    Canceled {
        #[serde(borrow)]
        details: Option<Payload<'a>>,
    },
    Terminated,
    WorkerLost,
    Activity {
        activity_id: &'a str,
        activity_type: &'a str,
        retry_state: RetryState,
    },
    ChildWorkflow(#[serde(borrow)] ChildWorkflowFailure<'a>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum TimeoutKind {
    ScheduleToClose,
    ScheduleToStart,
    StartToClose,
    Heartbeat,
}

#[derive(Serialize, Deserialize)]
pub(super) enum RetryState {
    NonRetryable,
    Timeout,
    MaximumAttemptsReached,
    RetryPolicyNotSet,
    CancelRequested,
}

#[derive(Serialize, Deserialize)]
pub(super) enum UnwindCause<'a> {
    Failed(#[serde(borrow)] Failure<'a>),
    Canceled(#[serde(borrow)] Failure<'a>),
    TimedOut,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StuckReason {
    CompensationFailed,
    CompensationInput,
    RetriableFailed,
    FailedAfterPivot,
    Ambiguous,
    UnwindTimeout,
}
