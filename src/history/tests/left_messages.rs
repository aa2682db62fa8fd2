//! Messages that an earlier run has left, in the events that hand them on: what is written is read again. Must not live here:
//! messages whose sender goes on (every kind of event has its test beside this one).

use std::sync::Arc;

use crate::model::*;
use crate::store::record::decode_turn;

use super::super::*;
use super::{GOLDEN, event};

/// One of each kind, with and without a run.
fn messages() -> Vec<LeftMessage> {
    let (sender_run, other_run) = (RunId::from_bytes([5; 16]), RunId::from_bytes([6; 16]));
    let signal = |run_id| {
        ExternalMessage::Signal(Box::new(ExternalSignal {
            workflow_id: WorkflowId::from_trusted("other"),
            run_id,
            name: SignalName::from_trusted("told"),
            input: Payload::from_parts("binary/custom", vec![0, 255]),
        }))
    };
    let cancel = |run_id| {
        ExternalMessage::Cancel(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted("third"),
            run_id,
            reason: "the day is over".to_owned(),
        }))
    };
    let each = [
        signal(None),
        signal(Some(other_run)),
        cancel(None),
        cancel(Some(other_run)),
    ];
    let named = (5..).zip(each).map(|(initiated, message)| LeftMessage {
        key: MessageKey {
            sender_run,
            initiated: EventId(initiated),
        },
        message,
    });
    named.collect()
}

#[test]
fn messages_that_a_chain_or_a_reset_hands_on_survive() {
    let mut events = decode_turn(GOLDEN).unwrap().events.into_iter();
    let mut first = events.next().unwrap().attributes;
    let EventAttributes::WorkflowExecutionStarted(started) = &mut first else {
        panic!("{first:?}");
    };
    let started = Arc::make_mut(started);
    started.chain.get_or_insert_default().messages = messages();
    let mut reset = events.find_map(|event| match event.attributes {
        EventAttributes::WorkflowExecutionReset(reset) => Some(reset),
        _ => None,
    });
    let reset = reset.as_mut().unwrap();
    reset.messages = messages();
    // Of events that this history does not have.
    (reset.attempts, reset.doubts) = (vec![], vec![]);
    let history = vec![
        event(1, first),
        event(2, EventAttributes::WorkflowExecutionReset(reset.clone())),
    ];
    let json = to_temporal_json(&history);
    let read = from_temporal_json(&json.to_string()).unwrap();
    assert_eq!(read, history);
}
