//! Updates, and what a run says to others, for the golden record. Must not live here: assertions.

use std::sync::Arc;

use crate::model::{
    ActivityType, ChildKey, EventAttributes, EventId, ExternalCancel, ExternalMessage, ExternalSignal, Failure,
    LeftChild, LeftMessage, MessageKey, Payload, RequestId, ResetAttempt, RunId, RunReset, SignalName, StartChild,
    StepName, Timestamp, UpdateCompleted, UpdateId, UpdateName, UpdateRequest, WorkflowId, WorkflowType,
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
        E::WorkflowExecutionReset(Box::new(RunReset {
            base_run_id: RunId::from_bytes([8; 16]),
            new_run_id: RunId::from_bytes([9; 16]),
            original_run_id: RunId::from_bytes([7; 16]),
            reason: "a bug is mended".to_owned(),
            identity: "ada".to_owned(),
            request_id: Some(RequestId::from_trusted("r-9")),
            attempts: vec![ResetAttempt {
                scheduled: EventId(5),
                attempt: 2,
                lost: true,
                may_have_applied: true,
                forgiven: 1,
            }],
            doubts: vec![EventId(11)],
            locals: vec![(3, ActivityType::from_trusted("lookup"))],
            updates: vec![UpdateRequest {
                update_id: UpdateId::from_trusted("u-2"),
                name: UpdateName::from_trusted("change-address"),
                input: Payload::json(&"Rome").unwrap(),
                identity: "ada".to_owned(),
            }],
            children: vec![LeftChild {
                key: ChildKey {
                    parent_run: RunId::from_bytes([8; 16]),
                    initiated: EventId(21),
                },
                start: Arc::new(StartChild::new(
                    WorkflowId::from_trusted("parcel-2"),
                    WorkflowType::from_trusted("parcel"),
                    Payload::null(),
                )),
                initiated_at: Timestamp::from_micros(1_700_000_000_000_000),
                run_id: Some(RunId::from_bytes([5; 16])),
                owes_cancel: false,
                let_go: true,
            }],
            messages: vec![left_message()],
            left: vec![StepName::from_trusted("reserve")],
        })),
    ]
}

fn left_message() -> LeftMessage {
    LeftMessage {
        key: MessageKey {
            sender_run: RunId::from_bytes([6; 16]),
            initiated: EventId(31),
        },
        message: ExternalMessage::Cancel(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted("order-3"),
            run_id: Some(RunId::from_bytes([2; 16])),
            reason: "sold out".to_owned(),
        })),
    }
}
