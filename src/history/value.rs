//! Values in proto3's JSON, both ways: payloads, durations, times, words of enums. Must not live here: whole events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Payload, Timestamp, limits};

use super::HistoryError;
use super::fields::Fields;
use super::radix64;

/// The longest duration that protobuf has: about 10,000 years. Whatever is longer has no end.
const DURATION_SECONDS_MAX: u64 = 315_576_000_000;

/// Of a payload that is read: what is undone is told the step's input and its output, each of which has its limit, and codecs may
/// add to that.
const READ_BYTES_MAX: usize = limits::DECODED_BYTES_MAX + limits::CODEC_GROWTH_MAX;

const JSON_PLAIN: &str = "json/plain";

/// The metadata of a payload that codecs have encoded and nobody has decoded: how many.
const LAYERS: &str = "amends/layers";

pub(super) fn payload(payload: &Payload) -> Value {
    let mut metadata = json!({"encoding": radix64::encode(payload.encoding().as_bytes())});
    for (key, of) in payload.all_metadata() {
        put(&mut metadata, key, radix64::encode(of));
    }
    if payload.layers() > 0 {
        put(&mut metadata, LAYERS, radix64::encode(&[payload.layers()]));
    }
    let mut value = json!({"metadata": metadata});
    if !payload.data().is_empty() {
        put(&mut value, "data", radix64::encode(payload.data()));
    }
    value
}

/// A list of one payload.
pub(super) fn payloads(one: &Payload) -> Value {
    json!({"payloads": [payload(one)]})
}

/// What a function is given: without arguments there is nothing.
pub(super) fn arguments(input: &Payload) -> Value {
    match input.is_null() {
        true => Value::Null,
        false => payloads(input),
    }
}

/// JSON of ours as a payload.
pub(super) fn enclosed(mut value: Value) -> Value {
    without_nulls(&mut value);
    enclosed_with_nulls(&value)
}

/// The same for a reader that wants to see what is not there.
pub(super) fn enclosed_with_nulls(value: &Value) -> Value {
    let data = radix64::encode(value.to_string().as_bytes());
    json!({"metadata": {"encoding": radix64::encode(JSON_PLAIN.as_bytes())}, "data": data})
}

/// JSON of ours that a payload encloses.
pub(super) fn read_enclosed(fields: &Fields<'_>, payload: &Payload) -> Result<Value, HistoryError> {
    payload.to().map_err(|error| fields.error(error.to_string()))
}

pub(super) fn read_payload(fields: &Fields<'_>) -> Result<Payload, HistoryError> {
    let bytes = |text: String| {
        radix64::decode(&text).ok_or_else(|| {
            let hint = "export the history with its payloads encoded, not decoded for reading";
            fields.error(format!("a payload is not base64; {hint}"))
        })
    };
    let metadata = fields.object("metadata")?;
    let encoding = match &metadata {
        Some(metadata) => bytes(metadata.text("encoding")?)?,
        None => Vec::new(),
    };
    let encoding = String::from_utf8(encoding).map_err(|_| fields.error("the encoding of a payload is not text"))?;
    let data = bytes(fields.text("data")?)?;
    let mut payload = Payload::from_parts(&encoding, data);
    for (key, _) in metadata.iter().flat_map(Fields::entries) {
        let of = || {
            bytes(
                metadata
                    .map(|metadata| metadata.text(key))
                    .transpose()?
                    .unwrap_or_default(),
            )
        };
        payload = match key.as_str() {
            "encoding" => payload,
            LAYERS => payload.with_layers(of()?.first().copied().unwrap_or_default()),
            _ => payload.with_metadata(key, of()?),
        };
    }
    match payload.size() {
        bytes if bytes > READ_BYTES_MAX => {
            let what =
                format!("the payload has {bytes} bytes, more than the {READ_BYTES_MAX} that any in a history has");
            Err(fields.error(what))
        }
        _ => Ok(payload),
    }
}

/// Functions of ours take one argument: several become a list, which reads as a tuple.
pub(super) fn read_payloads(fields: &Fields<'_>) -> Result<Payload, HistoryError> {
    let read = |value: &Value| read_payload(&Fields::of(value, fields.event())?);
    let mut all = Vec::new();
    for value in fields.list("payloads")? {
        all.push(read(value)?);
    }
    match all.len() {
        0 => Ok(Payload::null()),
        1 => Ok(all.remove(0)),
        _ => {
            let values: Result<Vec<Value>, _> = all.iter().map(Payload::to).collect();
            let joined = values.and_then(|values| Payload::json(&values));
            joined.map_err(|error| fields.error(format!("several arguments that are not JSON: {error}")))
        }
    }
}

pub(super) fn duration(duration: Duration) -> Value {
    let (seconds, nanos) = match duration.as_secs() < DURATION_SECONDS_MAX {
        true => (duration.as_secs(), duration.subsec_nanos()),
        false => (DURATION_SECONDS_MAX, 0),
    };
    // proto3 writes 0, 3, 6 or 9 digits.
    Value::String(match nanos {
        0 => format!("{seconds}s"),
        _ if nanos % 1_000_000 == 0 => format!("{seconds}.{:03}s", nanos / 1_000_000),
        _ if nanos % 1_000 == 0 => format!("{seconds}.{:06}s", nanos / 1_000),
        _ => format!("{seconds}.{nanos:09}s"),
    })
}

/// A limit: none is written as zero, which some of Temporal's SDKs insist on.
pub(super) fn limit(limit: Option<Duration>) -> Value {
    duration(limit.unwrap_or_default())
}

pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    if number.starts_with('-') {
        return Some(Duration::ZERO);
    }
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
    let seconds: u64 = seconds.parse().ok()?;
    if seconds >= DURATION_SECONDS_MAX {
        return Some(Duration::MAX);
    }
    if fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanos))
}

pub(super) fn time(time: Timestamp) -> Value {
    Value::String(time.to_string())
}

pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    let time = Timestamp::parse(text)?;
    match time.to_string() == Timestamp::FOREVER.to_string() {
        true => Some(Timestamp::FOREVER),
        false => Some(time),
    }
}

/// The word of an enum without the enum's prefix, in capitals. Older tools write `WorkflowTaskCompleted`, newer ones
/// `EVENT_TYPE_WORKFLOW_TASK_COMPLETED`.
pub(super) fn read_word(text: &str, prefix: &str) -> String {
    if let Some(word) = text.strip_prefix(prefix) {
        return word.trim_start_matches('_').to_owned();
    }
    if !text.bytes().any(|letter| letter.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let mut word = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

/// Adds a field to an object.
pub(super) fn put(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value.into());
    }
}

/// Fields without a value are left out, as proto3's JSON does.
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_with_as_many_digits_as_they_need() {
        for (of, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(10), "10s"),
            (Duration::from_millis(1_500), "1.500s"),
            (Duration::from_micros(1_000_250), "1.000250s"),
            (Duration::from_nanos(1), "0.000000001s"),
            (Duration::MAX, "315576000000s"),
        ] {
            assert_eq!(duration(of), json!(text));
            assert_eq!(read_duration(text), Some(of));
        }
        assert_eq!(read_duration("0.1s"), Some(Duration::from_millis(100)));
        assert_eq!(read_duration("-1s"), Some(Duration::ZERO));
        for text in ["10", "s", "1.s1", "1.0000000001s", "ten s"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_history_may_have_is_read_back_though_it_is_larger_than_what_users_may_give() {
        let of = |bytes: usize| payload(&Payload::from_parts("binary/plain", vec![7; bytes]));
        let read = |value: &Value| read_payload(&Fields::of(value, 1).unwrap());
        let undone = of(2 * limits::PAYLOAD_BYTES_MAX);
        assert_eq!(payload(&read(&undone).unwrap()), undone);
        let refused = read(&of(READ_BYTES_MAX + 1)).unwrap_err().to_string();
        assert!(refused.contains("more than the"), "{refused}");
    }

    #[test]
    fn times_are_read_in_every_form_that_tools_write() {
        let noon = Timestamp::from_micros(1_769_860_800_000_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.000000Z",
            "2026-01-31T14:00:00+02:00",
        ] {
            assert_eq!(read_time(text), Some(noon), "{text}");
        }
        assert_eq!(
            read_time("2026-01-31T12:00:00.123456789Z").map(Timestamp::as_micros),
            Some(noon.as_micros() + 123_456)
        );
        assert_eq!(read_time(&Timestamp::FOREVER.to_string()), Some(Timestamp::FOREVER));
        assert_eq!(read_time("yesterday"), None);
    }

    #[test]
    fn words_of_enums_are_read_in_both_spellings() {
        for text in ["EVENT_TYPE_TIMER_FIRED", "TimerFired", "TIMER_FIRED"] {
            assert_eq!(read_word(text, "EVENT_TYPE"), "TIMER_FIRED");
        }
    }
}
