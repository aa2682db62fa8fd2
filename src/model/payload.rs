//! User data as opaque bytes with a content type. Lives here: the value and its JSON conversions. Must not live here:
//! codecs, encryption or any other format (those are user extensions).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits;

/// A value of the user's: bytes that amends stores and hands on without looking inside, and what they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Empty and without an encoding of its own: no value (there is no empty JSON).
    data: Bytes,
    /// `None`: JSON. A thin pointer, because a payload is a part of every `Failure`, and that of the `Result` of every
    /// function of the users'.
    other: Option<Arc<Box<str>>>,
}

const JSON: &str = "json/plain";
const NULL: &str = "binary/null";

/// Why a value could not become a payload, or a payload a value.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The value cannot be written as JSON (a map with non-string keys, a failing `Serialize`).
    #[error("the value cannot be written as JSON: {0}")]
    Encode(#[source] serde_json::Error),
    /// The bytes are not the JSON that the type expects.
    #[error("expected {expected}, but the payload does not fit: {source}")]
    Decode {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// Where and why it does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The payload is not JSON at all.
    #[error("expected a JSON payload, found encoding {found:?}")]
    NotJson {
        /// The payload's own encoding.
        found: String,
    },
    /// Larger than [`limits::PAYLOAD_BYTES_MAX`].
    #[error("the payload has {bytes} bytes, more than the limit of {max} (store large data elsewhere and pass a reference)", max = limits::PAYLOAD_BYTES_MAX)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

impl Payload {
    /// No value: what a function without input or result carries.
    #[must_use]
    pub const fn null() -> Self {
        Self {
            data: Bytes::new(),
            other: None,
        }
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// When the value has no JSON form or is larger than 2 MiB.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        let data = serde_json::to_vec(value).map_err(PayloadError::Encode)?;
        Self::json_bytes(data)
    }

    /// Bytes that already are JSON (not checked).
    ///
    /// # Errors
    /// When larger than 2 MiB.
    pub fn json_bytes(data: impl Into<Bytes>) -> Result<Self, PayloadError> {
        Self {
            data: data.into(),
            other: None,
        }
        .checked()
    }

    /// Bytes with an encoding of the caller's. The null encoding has no bytes.
    #[must_use]
    pub fn from_parts(encoding: &str, data: impl Into<Bytes>) -> Self {
        if encoding == NULL {
            return Self::null();
        }
        Self {
            data: data.into(),
            other: (encoding != JSON).then(|| Arc::new(Box::from(encoding))),
        }
    }

    /// Reads the payload as JSON. A null payload reads as JSON `null`.
    ///
    /// # Errors
    /// When it is not JSON or does not fit `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let decode = |bytes: &[u8]| {
            serde_json::from_slice(bytes).map_err(|source| PayloadError::Decode {
                expected: std::any::type_name::<T>(),
                source,
            })
        };
        match &self.other {
            None if self.is_null() => decode(b"null"),
            None => decode(&self.data),
            Some(found) => Err(PayloadError::NotJson {
                found: found.to_string(),
            }),
        }
    }

    /// What the bytes are, in Temporal's words: `json/plain`, `binary/null`, or the user's own.
    #[must_use]
    pub fn encoding(&self) -> &str {
        match &self.other {
            None if self.is_null() => NULL,
            None => JSON,
            Some(other) => other,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.data.is_empty() && self.other.is_none()
    }

    /// The payload itself if it is within the size limit.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`].
    pub fn checked(self) -> Result<Self, PayloadError> {
        let bytes = self.data.len();
        if bytes > limits::PAYLOAD_BYTES_MAX {
            return Err(PayloadError::TooLarge { bytes });
        }
        Ok(self)
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::null()
    }
}

impl fmt::Debug for Payload {
    /// JSON is shown up to 200 bytes, anything else only by size: logs are not a place for user data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.data) {
            _ if self.is_null() => f.write_str("null"),
            Ok(text) if self.other.is_none() && text.len() <= 200 => f.write_str(text),
            _ => write!(f, "<{} bytes of {}>", self.data.len(), self.encoding()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_and_mismatches_name_the_type() {
        let payload = Payload::json(&vec![1, 2]).unwrap();
        assert_eq!(payload.to::<Vec<i32>>().unwrap(), vec![1, 2]);
        let error = payload.to::<String>().unwrap_err().to_string();
        assert!(error.contains("String"), "{error}");
        assert_eq!(Payload::null().to::<Option<u8>>().unwrap(), None);
        assert!(Payload::from_parts("binary/plain", vec![1]).to::<u8>().is_err());
    }

    #[test]
    fn oversized_payloads_are_refused_at_the_call() {
        let exact = Payload::json_bytes(vec![b' '; limits::PAYLOAD_BYTES_MAX]);
        assert!(exact.is_ok());
        let over = Payload::json_bytes(vec![b' '; limits::PAYLOAD_BYTES_MAX + 1]);
        assert!(matches!(over, Err(PayloadError::TooLarge { .. })));
    }
}
