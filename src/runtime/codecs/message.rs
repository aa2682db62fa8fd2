//! The message of a failure as a text that holds an encoded payload. Must not live here: whether messages are encoded.
//!
//! Temporal moves encoded messages into a payload beside the text `Encoded failure`; here the text itself carries it, so that a
//! failure stays one thing.

use std::fmt::Write;

use crate::model::Payload;

/// What such a text begins with, as a person sees it who has no keys.
const PREFIX: &str = "Encoded failure ";

/// Between that and the number of layers, and between that and the payload's wire form, in hexadecimal digits.
const MARK: char = '\u{1}';

pub(super) fn is_encoded(message: &str) -> bool {
    unwrap(message).is_some()
}

pub(super) fn wrap(payload: &Payload) -> String {
    let wire = payload.to_wire();
    let mut text = String::with_capacity(PREFIX.len() + 8 + 2 * wire.len());
    let _ = write!(text, "{PREFIX}{MARK}{}{MARK}", payload.layers());
    for byte in wire {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn unwrap(message: &str) -> Option<Payload> {
    let rest = message.strip_prefix(PREFIX)?.strip_prefix(MARK)?;
    let (layers, digits) = rest.split_once(MARK)?;
    let digits = digits.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let wire: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>()?;
    let payload = Payload::from_wire(&wire).ok()?;
    Some(payload.with_layers(layers.parse().ok()?))
}
