//! Updates, and what a run says to others, for the golden record. Must not live here: assertions.

use crate::model::{
    EventAttributes, EventId, ExternalCancel, ExternalSignal, Failure, Payload, RunId, SignalName, UpdateCompleted,
    UpdateId, UpdateName, UpdateRequest, WorkflowId,
};

pub(super) fn message_events() -> Vec<EventAttributes> {
    use EventAttributes as E;
    let (update_id, initiated) = (UpdateId::from_trusted("u-1"), EventId(40));
    let failure = || Failure::non_retryable("ExternalWorkflowNotFound", "workflow \"other\" not found");
    vec![
        E::WorkflowExecutionUpdateAccepted(Box::new(UpdateRequest {
            update_id: update_id.clone(),
            name: UpdateName::from_trusted("change-address"),
            input: Payload::json(&"Paris").unwrap(),
            identity: "ada".to_owned(),
        })),
        E::WorkflowExecutionUpdateCompleted(Box::new(UpdateCompleted {
            update_id: update_id.clone(),
            accepted: EventId(39),
            outcome: Ok(Payload::json(&true).unwrap()),
        })),
        E::WorkflowExecutionUpdateCompleted(Box::new(UpdateCompleted {
            update_id,
            accepted: EventId(39),
            outcome: Err(Failure::new("Shipped", "too late")),
        })),
        E::SignalExternalWorkflowExecutionInitiated(Box::new(ExternalSignal {
            workflow_id: WorkflowId::from_trusted("other"),
            run_id: Some(RunId::from_bytes([7; 16])),
            name: SignalName::from_trusted("paid"),
            input: Payload::json(&3).unwrap(),
        })),
        E::SignalExternalWorkflowExecutionFailed {
            initiated,
            failure: failure(),
        },
        E::ExternalWorkflowExecutionSignaled { initiated },
        E::RequestCancelExternalWorkflowExecutionInitiated(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted("other"),
            run_id: None,
            reason: "not needed any more".to_owned(),
        })),
        E::RequestCancelExternalWorkflowExecutionFailed {
            initiated,
            failure: failure(),
        },
        E::ExternalWorkflowExecutionCancelRequested { initiated },
        E::WorkflowExecutionPaused {
            reason: "the bank is down".to_owned(),
            identity: "ada".to_owned(),
        },
        E::WorkflowExecutionUnpaused {
            reason: "it is back".to_owned(),
            identity: "ada".to_owned(),
        },
    ]
}
