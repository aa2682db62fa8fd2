//! Updates, and what a run says to others, for tests. Must not live here: assertions.

use proptest::prelude::*;

use super::{event_id, failure, payload, text};
use crate::model::*;

pub(super) fn message_events() -> BoxedStrategy<EventAttributes> {
    use EventAttributes as E;
    let accepted = (text(), text(), payload(), text()).prop_map(|(id, name, input, identity)| {
        E::WorkflowExecutionUpdateAccepted(Box::new(UpdateRequest {
            update_id: UpdateId::from_trusted(id),
            name: UpdateName::from_trusted(name),
            input,
            identity,
        }))
    });
    let outcome = prop_oneof![payload().prop_map(Ok), failure().prop_map(Err)];
    let completed = (text(), event_id(), outcome).prop_map(|(id, accepted, outcome)| {
        E::WorkflowExecutionUpdateCompleted(Box::new(UpdateCompleted {
            update_id: UpdateId::from_trusted(id),
            accepted,
            outcome,
        }))
    });
    let target = || {
        let run_id = proptest::option::of(any::<[u8; 16]>().prop_map(RunId::from_bytes));
        (text().prop_map(WorkflowId::from_trusted), run_id)
    };
    let signal = (target(), text(), payload()).prop_map(|((workflow_id, run_id), name, input)| {
        E::SignalExternalWorkflowExecutionInitiated(Box::new(ExternalSignal {
            workflow_id,
            run_id,
            name: SignalName::from_trusted(name),
            input,
        }))
    });
    let cancel = (target(), text()).prop_map(|((workflow_id, run_id), reason)| {
        E::RequestCancelExternalWorkflowExecutionInitiated(Box::new(ExternalCancel {
            workflow_id,
            run_id,
            reason,
        }))
    });
    prop_oneof![
        accepted,
        completed,
        signal,
        cancel,
        (event_id(), failure())
            .prop_map(|(initiated, failure)| E::SignalExternalWorkflowExecutionFailed { initiated, failure }),
        event_id().prop_map(|initiated| E::ExternalWorkflowExecutionSignaled { initiated }),
        (event_id(), failure())
            .prop_map(|(initiated, failure)| E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure }),
        event_id().prop_map(|initiated| E::ExternalWorkflowExecutionCancelRequested { initiated }),
        (text(), text()).prop_map(|(reason, identity)| E::WorkflowExecutionPaused { reason, identity }),
        (text(), text()).prop_map(|(reason, identity)| E::WorkflowExecutionUnpaused { reason, identity }),
    ]
    .boxed()
}
