//! Updates, and what a run says to others, for tests. Must not live here: assertions.

use proptest::prelude::*;

use super::child::left_child;
use super::{event_id, failure, payload, text};
use crate::model::*;

pub(super) fn message_key() -> BoxedStrategy<MessageKey> {
    (any::<[u8; 16]>(), event_id())
        .prop_map(|(sender_run, initiated)| MessageKey {
            sender_run: RunId::from_bytes(sender_run),
            initiated,
        })
        .boxed()
}

pub(super) fn left_message() -> BoxedStrategy<LeftMessage> {
    let to = (text(), proptest::option::of(any::<[u8; 16]>()));
    (message_key(), to, text(), proptest::option::of(payload()))
        .prop_map(|(key, (workflow_id, run_id), text, input)| {
            let workflow_id = WorkflowId::from_trusted(workflow_id);
            let run_id = run_id.map(RunId::from_bytes);
            let message = match input {
                Some(input) => ExternalMessage::Signal(Box::new(ExternalSignal {
                    workflow_id,
                    run_id,
                    name: SignalName::from_trusted(text),
                    input,
                })),
                None => ExternalMessage::Cancel(Box::new(ExternalCancel {
                    workflow_id,
                    run_id,
                    reason: text,
                })),
            };
            LeftMessage { key, message }
        })
        .boxed()
}

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
    let update = (text(), text(), payload(), text()).prop_map(|(id, name, input, identity)| UpdateRequest {
        update_id: UpdateId::from_trusted(id),
        name: UpdateName::from_trusted(name),
        input,
        identity,
    });
    let told = (text(), text(), proptest::option::of(text()));
    let reset = (
        (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 16]>(), told),
        proptest::collection::vec(reset_attempt(), 0..3),
        proptest::collection::vec(event_id(), 0..3),
        proptest::collection::vec((any::<u32>(), text()), 0..3),
        proptest::collection::vec(update, 0..3),
        proptest::collection::vec(left_child(), 0..3),
        proptest::collection::vec(left_message(), 0..3),
        proptest::collection::vec(text(), 0..3),
    )
        .prop_map(
            |((base, new, original, told), attempts, doubts, locals, updates, children, messages, left)| {
                let (reason, identity, request_id) = told;
                let locals = locals.into_iter();
                E::WorkflowExecutionReset(Box::new(RunReset {
                    base_run_id: RunId::from_bytes(base),
                    new_run_id: RunId::from_bytes(new),
                    original_run_id: RunId::from_bytes(original),
                    reason,
                    identity,
                    request_id: request_id.map(RequestId::from_trusted),
                    attempts,
                    doubts,
                    locals: locals.map(|(seq, of)| (seq, ActivityType::from_trusted(of))).collect(),
                    updates,
                    children,
                    messages,
                    left: left.into_iter().map(StepName::from_trusted).collect(),
                }))
            },
        );
    prop_oneof![
        reset,
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

fn reset_attempt() -> impl Strategy<Value = ResetAttempt> {
    (event_id(), any::<u32>(), any::<bool>(), any::<bool>(), any::<u32>()).prop_map(
        |(scheduled, attempt, lost, may_have_applied, forgiven)| ResetAttempt {
            scheduled,
            attempt,
            lost,
            may_have_applied,
            forgiven,
        },
    )
}
