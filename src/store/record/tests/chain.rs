//! Runs that follow one another, for the golden record. Must not live here: assertions.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    ChildKey, ContinuedAsNew, EventAttributes, EventId, ExternalMessage, ExternalSignal, Failure, Initiator, LeftChild,
    LeftMessage, MessageKey, ParentClosePolicy, Payload, RequestId, RetryPolicy, RunChain, RunId, SignalName,
    StartChild, TaskQueue, Timestamp, UpdateId, WorkflowId, WorkflowType,
};

/// With everything that a run may know of its chain.
pub(super) fn whole_chain() -> RunChain {
    RunChain {
        first: Some(RunId::from_bytes([3; 16])),
        follows: Some((RunId::from_bytes([4; 16]), Initiator::Retry)),
        attempt: 2,
        backoff: Duration::from_millis(1_500),
        execution_timeout: Some(Duration::from_secs(86_400)),
        expires_at: Some(Timestamp::from_micros(1_700_000_086_400_000)),
        retry: Some(RetryPolicy {
            maximum_attempts: 3,
            non_retryable_types: vec!["Invalid".to_owned()],
            ..RetryPolicy::default()
        }),
        cron: Some("0 6 * * *".to_owned()),
        last_failure: Some(Failure::new("Busy", "try again later")),
        last_result: Some(Payload::json(&41).unwrap()),
        signal_requests: vec![RequestId::from_trusted("request-1")],
        updates: vec![UpdateId::from_trusted("update-1")],
        children: vec![LeftChild {
            key: ChildKey {
                parent_run: RunId::from_bytes([4; 16]),
                initiated: EventId(5),
            },
            start: Arc::new(StartChild {
                parent_close_policy: ParentClosePolicy::Abandon,
                run_timeout: Some(Duration::from_secs(60)),
                task_queue: Some(TaskQueue::from_trusted("parcels")),
                memo: [("fragile".to_owned(), Payload::json(&true).unwrap())].into(),
                ..StartChild::new(
                    WorkflowId::from_trusted("parcel-1"),
                    WorkflowType::from_trusted("parcel"),
                    Payload::json(&"a book").unwrap(),
                )
            }),
            initiated_at: Timestamp::from_micros(1_700_000_000_000_000),
            run_id: None,
            owes_cancel: true,
            let_go: false,
        }],
        messages: vec![LeftMessage {
            key: MessageKey {
                sender_run: RunId::from_bytes([4; 16]),
                initiated: EventId(8),
            },
            message: ExternalMessage::Signal(Box::new(ExternalSignal {
                workflow_id: WorkflowId::from_trusted("order-2"),
                run_id: None,
                name: SignalName::from_trusted("shipped"),
                input: Payload::json(&true).unwrap(),
            })),
        }],
    }
}

pub(super) fn chain_events() -> Vec<EventAttributes> {
    vec![EventAttributes::WorkflowExecutionContinuedAsNew(Box::new(
        ContinuedAsNew {
            new_run_id: RunId::from_bytes([5; 16]),
            workflow_type: WorkflowType::from_trusted("cart"),
            input: Payload::json(&["a book"]).unwrap(),
            run_timeout: Some(Duration::from_secs(3_600)),
            task_queue: Some(TaskQueue::from_trusted("carts")),
        },
    ))]
}
