//! What is known about a step that is undone. Lives here: the input of compensations and verifications written in Rust, and
//! its form as a payload. Must not live here: what has to be undone (`machine`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::payload::{read_fields, write_block};
use super::{Failure, FromPayload, Payload, PayloadError};

/// The encoding of an [`Undo`] with a part that is not JSON: fields of protobuf's form, each with a whole payload.
const ENCODING: &str = "binary/amends-undo";

/// The input of a compensation written in Rust: everything known about the step that it undoes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undo<I, O> {
    /// The step's input.
    pub input: I,
    /// What the step returned: `None` when it never answered, although it may have had its effect.
    pub output: Option<O>,
    /// How the step failed, as text: `None` when it succeeded.
    pub failure: Option<String>,
}

impl<I, O> Undo<I, O> {
    /// The undo's failure text from a typed failure.
    #[must_use]
    pub fn new(input: I, output: Option<O>, failure: Option<&Failure>) -> Self {
        Self {
            input,
            output,
            failure: failure.map(Failure::to_string),
        }
    }
}

impl Undo<&Payload, &Payload> {
    /// The undo as a payload, spliced from its parts' bytes without parsing them: JSON, unless a part is not. Not limited as
    /// other payloads are: two within their limits must not make a step that cannot be undone.
    ///
    /// # Errors
    /// When a part claims to be JSON and is not.
    pub fn splice(&self) -> Result<Payload, PayloadError> {
        let is_json = |payload: &Payload| matches!(payload.encoding(), "json/plain" | "binary/null");
        if !is_json(self.input) || self.output.is_some_and(|output| !is_json(output)) {
            return Ok(self.pack());
        }
        let undo = Undo {
            input: self.input.to_json::<Box<RawValue>>()?,
            output: self.output.map(Payload::to_json::<Box<RawValue>>).transpose()?,
            failure: self.failure.clone(),
        };
        let json = serde_json::to_vec(&undo).map_err(PayloadError::Encode)?;
        Ok(Payload::from_parts("json/plain", json))
    }

    fn pack(&self) -> Payload {
        let mut bytes = Vec::new();
        write_block(&mut bytes, 0, &self.input.to_wire());
        if let Some(output) = self.output {
            write_block(&mut bytes, 1, &output.to_wire());
        }
        if let Some(failure) = &self.failure {
            write_block(&mut bytes, 2, failure.as_bytes());
        }
        Payload::from_parts(ENCODING, bytes)
    }
}

/// The parts of an undo as payloads of their own.
#[derive(Default)]
struct Parts {
    input: Payload,
    output: Option<Payload>,
    failure: Option<String>,
}

impl Parts {
    fn from_json(payload: &Payload) -> Result<Self, PayloadError> {
        #[derive(Deserialize)]
        #[serde(rename = "Undo")]
        struct Json {
            input: Option<Box<RawValue>>,
            output: Option<Box<RawValue>>,
            failure: Option<String>,
        }
        let part = |raw: Box<RawValue>| Payload::from_parts("json/plain", raw.get().as_bytes().to_vec());
        let json: Json = payload.to_json()?;
        Ok(Self {
            input: json.input.map(part).unwrap_or_default(),
            output: json.output.map(part),
            failure: json.failure,
        })
    }

    fn unpack(payload: &Payload, expected: &'static str) -> Result<Self, PayloadError> {
        let damaged = || PayloadError::DecodeAs {
            expected,
            encoding: ENCODING,
            reason: "it is damaged".to_owned(),
        };
        let part = |block| Payload::from_wire(block).map_err(|_| damaged());
        let mut parts = Self::default();
        for (field, block) in read_fields(payload.data()).map_err(|_| damaged())? {
            match field {
                0 => parts.input = part(block)?,
                1 => parts.output = Some(part(block)?).filter(|output| !output.is_null()),
                _ => parts.failure = Some(String::from_utf8_lossy(block).into_owned()),
            }
        }
        Ok(parts)
    }
}

impl<I: FromPayload, O: FromPayload> FromPayload for Undo<I, O> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        let parts = match payload.encoding() {
            ENCODING => Parts::unpack(payload, std::any::type_name::<Self>())?,
            _ => Parts::from_json(payload)?,
        };
        Ok(Self {
            input: parts.input.to()?,
            output: parts.output.as_ref().map(Payload::to).transpose()?,
            failure: parts.failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Raw;

    #[test]
    fn parts_of_any_encoding_come_back() {
        let failure = Failure::new("Late", "too late");
        let (raw, json) = (Payload::of(&Raw::from(vec![0, 1])).unwrap(), Payload::json(&7).unwrap());
        for (input, output) in [(&raw, Some(&json)), (&json, Some(&raw)), (&raw, None)] {
            let undo = Undo::new(input, output, Some(&failure));
            let read: Undo<Payload, Payload> = undo.splice().unwrap().to().unwrap();
            assert_eq!((&read.input, read.output.as_ref()), (input, output));
            assert_eq!(read.failure.as_deref(), Some("Late: too late"));
        }
        let undo = Undo::new(&json, Some(&json), None).splice().unwrap();
        assert_eq!(undo.data().as_ref(), br#"{"input":7,"output":7,"failure":null}"#);
        assert_eq!(undo.to::<Undo<u8, u8>>().unwrap(), Undo::new(7, Some(7), None));
        let error = undo.to::<Undo<Raw, u8>>().unwrap_err().to_string();
        assert_eq!(error, "Raw is read from binary/plain, but the payload is json/plain");
        let cut = Payload::from_parts(ENCODING, vec![0x0a, 9]);
        assert!(cut.to::<Undo<Raw, u8>>().unwrap_err().to_string().contains("Undo<"));
    }
}
