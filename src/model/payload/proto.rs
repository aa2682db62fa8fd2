//! Protobuf messages of prost as payloads. Lives here: Temporal's encodings `binary/protobuf` and `json/protobuf`, with the
//! message's name as Temporal's SDKs write it. Must not live here: messages.

use std::any::type_name;

use prost::Name;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FromPayload, Payload, PayloadError, ToPayload};

const BINARY: &str = "binary/protobuf";
const JSON: &str = "json/protobuf";

/// The key of the message's full name: Temporal's.
const MESSAGE_TYPE: &str = "messageType";

/// A protobuf message that is stored in its binary form. Its name goes with it, so messages need prost's `Name`
/// (`prost_build::Config::enable_type_names`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proto<T>(pub T);

/// A protobuf message that is stored in protobuf's JSON, which its `Serialize` must be (`pbjson` makes such ones).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtoJson<T>(pub T);

impl<T: Name> ToPayload for Proto<T> {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        Ok(named::<T>(Payload::from_parts(BINARY, self.0.encode_to_vec())))
    }
}

impl<T: Name + Default> FromPayload for Proto<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        let bytes = payload.data_in(BINARY, type_name::<Self>())?;
        check_name::<T>(payload, type_name::<Self>(), BINARY)?;
        let message = T::decode(bytes.as_ref());
        message
            .map(Proto)
            .map_err(|error| does_not_fit(type_name::<Self>(), BINARY, &error.to_string()))
    }
}

impl<T: Name + Serialize> ToPayload for ProtoJson<T> {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        let json = serde_json::to_vec(&self.0).map_err(PayloadError::Encode)?;
        Ok(named::<T>(Payload::from_parts(JSON, json)))
    }
}

impl<T: Name + DeserializeOwned> FromPayload for ProtoJson<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        let bytes = payload.data_in(JSON, type_name::<Self>())?;
        check_name::<T>(payload, type_name::<Self>(), JSON)?;
        let message = serde_json::from_slice(bytes);
        message
            .map(ProtoJson)
            .map_err(|error| does_not_fit(type_name::<Self>(), JSON, &error.to_string()))
    }
}

fn named<T: Name>(payload: Payload) -> Payload {
    payload.with_metadata(MESSAGE_TYPE, T::full_name())
}

/// Bytes of another message often read as this one, with its fields mixed up; a payload without a name is trusted.
fn check_name<T: Name>(payload: &Payload, expected: &'static str, encoding: &'static str) -> Result<(), PayloadError> {
    let wanted = T::full_name();
    match payload.metadata(MESSAGE_TYPE) {
        Some(found) if found.as_ref() != wanted.as_bytes() => {
            let found = String::from_utf8_lossy(found);
            let reason = format!("it is a message {found}, not {wanted}");
            Err(does_not_fit(expected, encoding, &reason))
        }
        _ => Ok(()),
    }
}

fn does_not_fit(expected: &'static str, encoding: &'static str, reason: &str) -> PayloadError {
    PayloadError::DecodeAs {
        expected,
        encoding,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_travels_as_temporal_writes_it() {
        // prost has the well-known wrappers, here `google.protobuf.UInt64Value`, as the types that they wrap.
        let payload = Payload::of(&Proto(500_u64)).unwrap();
        assert_eq!(payload.encoding(), "binary/protobuf");
        assert_eq!(payload.data().as_ref(), [8, 244, 3]);
        let name = payload.metadata("messageType").unwrap();
        assert_eq!(name.as_ref(), b"google.protobuf.UInt64Value");
        assert_eq!(payload.to::<Proto<u64>>().unwrap(), Proto(500));

        let payload = Payload::of(&ProtoJson(500_u64)).unwrap();
        assert_eq!(
            (payload.encoding(), payload.data().as_ref()),
            ("json/protobuf", &b"500"[..])
        );
        assert_eq!(payload.to::<ProtoJson<u64>>().unwrap(), ProtoJson(500));
    }

    #[test]
    fn another_message_and_another_encoding_are_refused_by_name() {
        let payload = Payload::of(&Proto(500_u64)).unwrap();
        // The same bytes, and another meaning.
        let error = payload.to::<Proto<i64>>().unwrap_err().to_string();
        assert!(error.contains("UInt64Value, not google.protobuf.Int64Value"), "{error}");
        let error = payload.to::<ProtoJson<u64>>().unwrap_err().to_string();
        assert!(
            error.contains("json/protobuf") && error.contains("binary/protobuf"),
            "{error}"
        );
        let cut = Payload::from_parts("binary/protobuf", vec![8]);
        let error = cut.to::<Proto<u64>>().unwrap_err().to_string();
        assert!(
            error.contains("Proto<u64>") && error.contains("binary/protobuf"),
            "{error}"
        );
    }
}
