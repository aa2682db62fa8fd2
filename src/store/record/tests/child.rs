//! Child workflows for the golden record. Must not live here: assertions.

use std::sync::Arc;
use std::time::Duration;

use super::attribute;
use crate::model::{
    ChildEnd, ChildEvent, ChildWorkflowFailure, EventAttributes, EventId, Failure, IdReusePolicy, ParentClosePolicy,
    Payload, RetryPolicy, RunId, StartChild, TaskQueue, WorkflowId, WorkflowType,
};

pub(super) fn child_events() -> Vec<EventAttributes> {
    let (initiated, started) = (EventId(50), EventId(51));
    let ended = |end| ChildEvent::Ended {
        initiated,
        started,
        end,
    };
    let deeper = ChildWorkflowFailure {
        workflow_id: WorkflowId::from_trusted("parcel-2"),
        run_id: Some(RunId::from_bytes([6; 16])),
        workflow_type: WorkflowType::from_trusted("parcel"),
    };
    let events = vec![
        ChildEvent::Initiated(Arc::new(StartChild {
            workflow_id: WorkflowId::from_trusted("parcel-1"),
            workflow_type: WorkflowType::from_trusted("parcel"),
            input: Payload::json(&1).unwrap(),
            parent_close_policy: ParentClosePolicy::RequestCancel,
            id_reuse_policy: IdReusePolicy::AllowDuplicateFailedOnly,
            run_timeout: Some(Duration::from_secs(3_600)),
            execution_timeout: Some(Duration::from_secs(86_400)),
            retry: Some(RetryPolicy {
                maximum_attempts: 5,
                ..RetryPolicy::default()
            }),
            cron: Some("0 6 * * *".to_owned()),
            task_queue: Some(TaskQueue::from_trusted("parcels")),
            search_attributes: attribute::of_each_type(),
            memo: attribute::memo(),
        })),
        ChildEvent::StartFailed {
            initiated,
            failure: Failure::non_retryable("WorkflowAlreadyExists", "parcel-1"),
        },
        ChildEvent::Started {
            initiated,
            run_id: RunId::from_bytes([5; 16]),
        },
        ended(ChildEnd::Completed(Payload::json(&2).unwrap())),
        ended(ChildEnd::Failed(Failure::of_child_workflow(
            deeper,
            Failure::new("Lost", "in the post"),
        ))),
        ended(ChildEnd::Canceled(Failure::canceled("as asked"))),
        ended(ChildEnd::TimedOut),
        ended(ChildEnd::Terminated),
    ];
    let boxed = events.into_iter().map(|event| EventAttributes::Child(Box::new(event)));
    boxed.collect()
}
