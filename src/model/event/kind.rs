//! What can be said of an event without looking at its attributes: its name, the ids it takes, whether it ends the run. Must not
//! live here: the attributes.

use super::{EventAttributes, TURN_EVENT_IDS};

impl EventAttributes {
    /// How many ids the event takes.
    #[must_use]
    pub fn ids(&self) -> u64 {
        match self {
            EventAttributes::WorkflowTask(_) | EventAttributes::WorkflowExecutionReset(_) => TURN_EVENT_IDS,
            _ => 1,
        }
    }

    /// Whether the event ends the run.
    #[must_use]
    pub fn closes(&self) -> bool {
        use EventAttributes as E;
        matches!(
            self,
            E::WorkflowExecutionCompleted { .. }
                | E::WorkflowExecutionFailed { .. }
                | E::WorkflowExecutionTimedOut { .. }
                | E::WorkflowExecutionCanceled { .. }
                | E::WorkflowExecutionTerminated { .. }
                | E::WorkflowExecutionContinuedAsNew(_)
        )
    }

    /// The event's type, in Temporal's name for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        use EventAttributes as E;
        match self {
            E::WorkflowExecutionStarted(_) => "WorkflowExecutionStarted",
            E::WorkflowExecutionCompleted { .. } => "WorkflowExecutionCompleted",
            E::WorkflowExecutionFailed { .. } => "WorkflowExecutionFailed",
            E::WorkflowExecutionTimedOut { .. } => "WorkflowExecutionTimedOut",
            E::WorkflowExecutionCanceled { .. } => "WorkflowExecutionCanceled",
            E::WorkflowExecutionTerminated { .. } => "WorkflowExecutionTerminated",
            E::WorkflowExecutionContinuedAsNew(_) => "WorkflowExecutionContinuedAsNew",
            E::WorkflowExecutionCancelRequested { .. } => "WorkflowExecutionCancelRequested",
            E::WorkflowExecutionPaused { .. } => "WorkflowExecutionPaused",
            E::WorkflowExecutionUnpaused { .. } => "WorkflowExecutionUnpaused",
            E::WorkflowExecutionReset(_) => "WorkflowExecutionReset",
            E::WorkflowExecutionSignaled(_) => "WorkflowExecutionSignaled",
            E::WorkflowTask(_) => "WorkflowTaskCompleted",
            E::ActivityTaskScheduled(_) => "ActivityTaskScheduled",
            E::ActivityTaskStarted { .. } => "ActivityTaskStarted",
            E::ActivityTaskCompleted { .. } => "ActivityTaskCompleted",
            E::ActivityTaskFailed { .. } => "ActivityTaskFailed",
            E::ActivityTaskTimedOut { .. } => "ActivityTaskTimedOut",
            E::ActivityTaskCancelRequested { .. } => "ActivityTaskCancelRequested",
            E::ActivityTaskCanceled { .. } => "ActivityTaskCanceled",
            E::TimerStarted { .. } => "TimerStarted",
            E::TimerFired { .. } => "TimerFired",
            E::TimerCanceled { .. } => "TimerCanceled",
            E::MarkerRecorded { .. } | E::VersionMarkerRecorded(_) => "MarkerRecorded",
            E::UpsertWorkflowSearchAttributes(_) => "UpsertWorkflowSearchAttributes",
            E::WorkflowPropertiesModified(_) => "WorkflowPropertiesModified",
            E::LocalActivityEnded(_) => "LocalActivityEnded",
            E::WorkflowExecutionUpdateAccepted(_) => "WorkflowExecutionUpdateAccepted",
            E::WorkflowExecutionUpdateCompleted(_) => "WorkflowExecutionUpdateCompleted",
            E::SignalExternalWorkflowExecutionInitiated(_) => "SignalExternalWorkflowExecutionInitiated",
            E::SignalExternalWorkflowExecutionFailed { .. } => "SignalExternalWorkflowExecutionFailed",
            E::ExternalWorkflowExecutionSignaled { .. } => "ExternalWorkflowExecutionSignaled",
            E::RequestCancelExternalWorkflowExecutionInitiated(_) => "RequestCancelExternalWorkflowExecutionInitiated",
            E::RequestCancelExternalWorkflowExecutionFailed { .. } => "RequestCancelExternalWorkflowExecutionFailed",
            E::ExternalWorkflowExecutionCancelRequested { .. } => "ExternalWorkflowExecutionCancelRequested",
            E::Child(event) => event.kind(),
            E::SagaUnwindStarted(_) => "SagaUnwindStarted",
            E::SagaStuck(_) => "SagaStuck",
            E::SagaDecided(_) => "SagaDecided",
            E::SagaStepAmbiguous(_) => "SagaStepAmbiguous",
            E::SagaStepResolved { .. } => "SagaStepResolved",
            E::SagaRollbackStarted { .. } => "SagaRollbackStarted",
            E::SagaRollbackCompleted { .. } => "SagaRollbackCompleted",
            E::SagaWaitStarted(_) => "SagaWaitStarted",
            E::SagaWaitEnded { .. } => "SagaWaitEnded",
            E::SagaStepSkipped(_) => "SagaStepSkipped",
            E::SagaLockRequested { .. } => "SagaLockRequested",
            E::SagaLockAcquired { .. } => "SagaLockAcquired",
            E::SagaLockRefused { .. } => "SagaLockRefused",
            E::SagaAdopted(_) => "SagaAdopted",
        }
    }
}
