//! What an engine and its worker processes say to each other, as frames. Must not live here: reading or writing them.
//!
//! A frame is its length (4 bytes, little-endian), its kind (1 byte), and a body. Both ends are the same executable, so there
//! are no versions. Results and failures travel in the form that they have in the journal.

use serde::{Deserialize, Serialize};

use crate::model::{
    ActivityId, ActivityType, AttemptOutcome, AttemptToken, Event, EventAttributes, EventId, LocalActivityEnded,
    Payload, RunId, TaskToken, Timestamp, Turn, WorkflowId, WorkflowType, limits,
};
use crate::sdk::ActivityInfo;
use crate::store::record::{decode_turn, encode_turn};

/// The bytes before a frame's kind.
pub(super) const LENGTH_BYTES: usize = 4;

/// Engine to worker process.
#[derive(Debug, PartialEq)]
pub(super) enum Order {
    /// Make this attempt.
    Attempt(Box<Job>),
    /// Ask the attempt to stop.
    Cancel,
}

/// An attempt to make.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    pub(super) info: ActivityInfo,
    pub(super) input: Payload,
}

/// Worker process to engine.
#[derive(Debug, PartialEq)]
pub(super) enum Report {
    /// It waits for attempts.
    Ready,
    /// The attempt is alive and has come this far.
    Heartbeat(Payload),
    /// The attempt has ended.
    Ended(AttemptOutcome),
}

/// What came is not what is said here: the other side is broken, or somebody else has written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came through the pipe cannot be read: {0}")]
pub(super) struct WireError(String);

#[derive(Serialize, Deserialize)]
struct Head {
    workflow_id: String,
    run_id: [u8; 16],
    workflow_type: String,
    activity_id: String,
    activity_type: String,
    attempt: u32,
    idempotency_key: String,
    scheduled_at: i64,
    is_compensation: bool,
    token_scheduled: u64,
    token_attempt: u32,
    has_details: bool,
}

impl Order {
    pub(super) fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        match self {
            Order::Cancel => frame(b'C', &[]),
            Order::Attempt(job) => {
                let info = &job.info;
                let head = Head {
                    workflow_id: info.workflow_id.qualified().to_owned(),
                    run_id: *info.run_id.as_bytes(),
                    workflow_type: info.workflow_type.to_string(),
                    activity_id: info.activity_id.to_string(),
                    activity_type: info.activity_type.to_string(),
                    attempt: info.attempt,
                    idempotency_key: info.idempotency_key.clone(),
                    scheduled_at: info.scheduled_at.as_micros(),
                    is_compensation: info.is_compensation,
                    token_scheduled: info.task_token.attempt.scheduled.0,
                    token_attempt: info.task_token.attempt.attempt,
                    has_details: info.heartbeat_details.is_some(),
                };
                let mut body = Vec::new();
                put(&mut body, &serde_json::to_vec(&head).map_err(unreadable)?);
                put_payload(&mut body, &job.input);
                if let Some(details) = &info.heartbeat_details {
                    put_payload(&mut body, details);
                }
                frame(b'A', &body)
            }
        }
    }

    pub(super) fn read(frame: &[u8]) -> Result<Self, WireError> {
        match frame.split_first() {
            Some((b'C', [])) => Ok(Order::Cancel),
            Some((b'A', body)) => {
                let mut body = body;
                let head: Head = serde_json::from_slice(take(&mut body)?).map_err(unreadable)?;
                let input = take_payload(&mut body)?;
                let heartbeat_details = match head.has_details {
                    true => Some(take_payload(&mut body)?),
                    false => None,
                };
                let (workflow_id, run_id) = (
                    WorkflowId::from_trusted(head.workflow_id),
                    RunId::from_bytes(head.run_id),
                );
                let info = ActivityInfo {
                    workflow_id: workflow_id.clone(),
                    run_id,
                    workflow_type: WorkflowType::from_trusted(head.workflow_type),
                    activity_id: ActivityId::from_trusted(head.activity_id),
                    activity_type: ActivityType::from_trusted(head.activity_type),
                    attempt: head.attempt,
                    idempotency_key: head.idempotency_key,
                    scheduled_at: Timestamp::from_micros(head.scheduled_at),
                    is_compensation: head.is_compensation,
                    task_token: TaskToken {
                        workflow_id,
                        run_id,
                        attempt: AttemptToken {
                            scheduled: EventId(head.token_scheduled),
                            attempt: head.token_attempt,
                        },
                    },
                    heartbeat_details,
                };
                Ok(Order::Attempt(Box::new(Job { info, input })))
            }
            _ => Err(WireError("an order of an unknown kind".to_owned())),
        }
    }
}

impl Report {
    pub(super) fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        match self {
            Report::Ready => frame(b'R', &[]),
            Report::Heartbeat(details) => {
                let mut body = Vec::new();
                put_payload(&mut body, details);
                frame(b'H', &body)
            }
            Report::Ended(outcome) => frame(b'E', &encode_turn(&as_turn(outcome.clone())).map_err(unreadable)?),
        }
    }

    pub(super) fn read(frame: &[u8]) -> Result<Self, WireError> {
        match frame.split_first() {
            Some((b'R', [])) => Ok(Report::Ready),
            Some((b'H', body)) => {
                let mut body = body;
                Ok(Report::Heartbeat(take_payload(&mut body)?))
            }
            Some((b'E', body)) => {
                let turn = decode_turn(body).map_err(unreadable)?;
                let outcome = turn.events.into_iter().find_map(|event| match event.attributes {
                    EventAttributes::LocalActivityEnded(ended) => Some(ended.outcome),
                    _ => None,
                });
                let outcome = outcome.ok_or_else(|| WireError("an end without an outcome".to_owned()))?;
                Ok(Report::Ended(outcome))
            }
            _ => Err(WireError("a report of an unknown kind".to_owned())),
        }
    }
}

/// How long the frame behind these bytes is.
pub(super) fn frame_length(length: [u8; LENGTH_BYTES]) -> Result<usize, WireError> {
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    match length {
        0 => Err(WireError("an empty frame".to_owned())),
        long if long > limits::WORKER_FRAME_BYTES_MAX => Err(WireError(format!("a frame of {long} bytes"))),
        length => Ok(length),
    }
}

fn frame(kind: u8, body: &[u8]) -> Result<Vec<u8>, WireError> {
    let length = body.len() + 1;
    let written = u32::try_from(length)
        .ok()
        .filter(|_| length <= limits::WORKER_FRAME_BYTES_MAX);
    let written = written.ok_or_else(|| WireError(format!("a frame of {length} bytes is too long")))?;
    let mut frame = Vec::with_capacity(LENGTH_BYTES + length);
    frame.extend(written.to_le_bytes());
    frame.push(kind);
    frame.extend(body);
    Ok(frame)
}

/// An outcome in the only form that the journal has for one with both sides.
fn as_turn(outcome: AttemptOutcome) -> Turn {
    let ended = LocalActivityEnded {
        seq: 0,
        activity_type: ActivityType::from_trusted(""),
        outcome,
    };
    Turn {
        seq: 1,
        time: Timestamp::EPOCH,
        events: vec![Event {
            id: EventId::FIRST,
            time: Timestamp::EPOCH,
            attributes: EventAttributes::LocalActivityEnded(Box::new(ended)),
        }],
        pending: Vec::new(),
    }
}

fn put(body: &mut Vec<u8>, bytes: &[u8]) {
    // What is too long for the length is too long for a frame, which is checked.
    body.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend(bytes);
}

fn put_payload(body: &mut Vec<u8>, payload: &Payload) {
    put(body, &payload.to_wire());
}

fn take<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let cut = || WireError("it ends in the middle".to_owned());
    let (length, rest) = body.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (bytes, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    *body = rest;
    Ok(bytes)
}

fn take_payload(body: &mut &[u8]) -> Result<Payload, WireError> {
    Payload::from_wire(take(body)?).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> WireError {
    WireError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, TimeoutKind};
    use crate::sdk::ActivityContext;

    fn body(frame: &[u8]) -> &[u8] {
        let (length, body) = frame.split_first_chunk().unwrap();
        assert_eq!(frame_length(*length), Ok(body.len()));
        body
    }

    #[test]
    fn everything_arrives_as_it_was_said() {
        let mut info = ActivityContext::for_test().build().info().clone();
        for details in [None, Some(Payload::json("half").unwrap()), Some(Payload::null())] {
            info.heartbeat_details = details;
            let input = Payload::from_parts("binary/x", vec![0, 255, 10]).with_metadata("messageType", "shop.Order");
            let info = info.clone();
            let order = Order::Attempt(Box::new(Job { info, input }));
            assert_eq!(Order::read(body(&order.to_frame().unwrap())), Ok(order));
        }
        let cancel = Order::Cancel.to_frame().unwrap();
        assert_eq!(Order::read(body(&cancel)), Ok(Order::Cancel));
        let failure = Failure::not_applied("Declined", "no").with_details(Payload::json(&7).unwrap());
        for report in [
            Report::Ready,
            Report::Heartbeat(Payload::json(&1).unwrap()),
            Report::Ended(Ok(Payload::null())),
            Report::Ended(Err(failure.caused_by(Failure::timeout(TimeoutKind::Heartbeat)))),
        ] {
            assert_eq!(Report::read(body(&report.to_frame().unwrap())), Ok(report));
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        let report = Report::Heartbeat(Payload::json("x").unwrap()).to_frame().unwrap();
        for end in 0..body(&report).len() {
            assert!(Report::read(&body(&report)[..end]).is_err(), "cut at {end}");
        }
        for bytes in [&b""[..], b"?", b"R!", b"E", b"A", b"A\xff\xff\xff\xff"] {
            assert!(Report::read(bytes).is_err() && Order::read(bytes).is_err(), "{bytes:?}");
        }
        assert!(frame_length([0; 4]).is_err() && frame_length([255; 4]).is_err());
        let long = Payload::from_parts("binary/x", vec![0; limits::WORKER_FRAME_BYTES_MAX]);
        assert!(Report::Heartbeat(long).to_frame().is_err());
    }
}
