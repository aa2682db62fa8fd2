//! User data as opaque bytes that say what they are. Lives here: the value, its conversions (`convert` and the wrappers
//! beside it), and its form as one block of bytes (`wire`). Must not live here: codecs (those are in `sdk` and `runtime`).

#[cfg(feature = "bincode")]
mod bincode;
mod convert;
#[cfg(feature = "prost")]
mod proto;
mod raw;
mod wire;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits;

#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
pub use self::convert::{FromPayload, ToPayload};
#[cfg(feature = "prost")]
pub use self::proto::{Proto, ProtoJson};
pub use self::raw::Raw;
pub use self::wire::WireError;
pub(super) use self::wire::{read_fields, write_block};

/// A value of the user's: bytes that amends stores and hands on without looking inside, and what they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Empty and without an encoding of its own: no value (there is no empty JSON).
    data: Bytes,
    /// `None`: JSON. A thin pointer, because a payload is a part of every `Failure`, and that of the `Result` of every
    /// function of the users'.
    other: Option<Arc<Other>>,
}

/// What is not the same for nearly all payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Other {
    encoding: Box<str>,
    /// In the order of their keys.
    metadata: Vec<(Box<str>, Bytes)>,
    /// How many codecs have encoded it.
    layers: u8,
}

const JSON: &str = "json/plain";
const NULL: &str = "binary/null";

/// Why a value could not become a payload, or a payload a value.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The value cannot be written as JSON (a map with non-string keys, a failing `Serialize`).
    #[error("the value cannot be written as JSON: {0}")]
    Encode(#[source] serde_json::Error),
    /// The value cannot be written in another encoding.
    #[error("the value cannot be written as {encoding}: {reason}")]
    EncodeAs {
        /// The encoding.
        encoding: &'static str,
        /// Why not.
        reason: String,
    },
    /// The bytes are not the JSON that the type expects.
    #[error("expected {expected}, but the payload does not fit: {source}")]
    Decode {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// Where and why it does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The bytes are not what the type expects in another encoding.
    #[error("expected {expected}, but the {encoding} payload does not fit: {reason}")]
    DecodeAs {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// The encoding.
        encoding: &'static str,
        /// Where and why it does not fit.
        reason: String,
    },
    /// The payload has another encoding than the type reads.
    #[error("{expected} is read from {wanted}, but the payload is {found}{}", hint(.found))]
    WrongEncoding {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// The encoding that it reads.
        wanted: &'static str,
        /// The payload's own encoding.
        found: String,
    },
    /// It is as codecs have stored it. Stored again, and perhaps for another run, it could not be decoded any more.
    #[error("the payload is encoded as {encoding}, as it is stored: read it with the engine's codecs, then pass it on")]
    StillEncoded {
        /// The encoding.
        encoding: String,
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

    /// The value in the encoding that its type chooses: JSON, unless it is one of [`Raw`], `Bincode`, `Proto` or the like.
    ///
    /// # Errors
    /// When the value has no such form or is larger than 2 MiB.
    pub fn of<T: ToPayload + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        value.to_payload()?.checked()
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
        let other = Other {
            encoding: encoding.into(),
            ..Other::default()
        };
        Self::from_all(data.into(), other)
    }

    /// One form for each value, so that equal ones are equal.
    fn from_all(data: Bytes, other: Other) -> Self {
        let plain = &*other.encoding == JSON && other.metadata.is_empty() && other.layers == 0;
        Self {
            data,
            other: (!plain).then(|| Arc::new(other)),
        }
    }

    /// The same payload with a further piece of metadata, in the place of one with the same key. A null payload has none. As in
    /// Temporal, what has the key `encoding` is the payload's encoding.
    #[must_use]
    pub fn with_metadata(self, key: &str, value: impl Into<Bytes>) -> Self {
        if self.is_null() {
            return self;
        }
        let mut other = self.all();
        let value = value.into();
        if key == wire::ENCODING {
            // A name that is not text is none.
            other.encoding = String::from_utf8_lossy(&value).into();
            return match &*other.encoding {
                NULL => Self::null(),
                _ => Self::from_all(self.data, other),
            };
        }
        match other.metadata.binary_search_by(|(known, _)| (**known).cmp(key)) {
            Ok(at) => {
                if let Some((_, known)) = other.metadata.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) => other.metadata.insert(at, (key.into(), value)),
        }
        Self::from_all(self.data, other)
    }

    /// A piece of what is said about the bytes beside their encoding, such as Temporal's `messageType`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&Bytes> {
        self.all_metadata()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// Everything that is said about the bytes beside their encoding, in the order of the keys.
    pub fn all_metadata(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let all = self.other.as_deref().map_or(&[][..], |other| &other.metadata);
        all.iter().map(|(key, value)| (&**key, value))
    }

    /// Whether there is anything to be said about it beside its encoding.
    #[must_use]
    pub fn is_annotated(&self) -> bool {
        let other = self.other.as_deref();
        other.is_some_and(|other| other.layers > 0 || !other.metadata.is_empty())
    }

    /// How many codecs have encoded it: none, unless this is how it is stored.
    #[must_use]
    pub fn layers(&self) -> u8 {
        self.other.as_deref().map_or(0, |other| other.layers)
    }

    /// The same payload as one that so many codecs have encoded. Not for users: they would make one that nobody can decode.
    #[must_use]
    pub(crate) fn with_layers(self, layers: u8) -> Self {
        // What no codec touched is still no value.
        if self.is_null() && layers == 0 {
            return self;
        }
        let mut other = self.all();
        other.layers = layers;
        Self::from_all(self.data, other)
    }

    fn all(&self) -> Other {
        self.other.as_deref().cloned().unwrap_or_else(|| Other {
            encoding: self.encoding().into(),
            ..Other::default()
        })
    }

    /// Reads the payload in the encoding that the type chooses. A null payload reads as JSON `null`.
    ///
    /// # Errors
    /// When it has another encoding or does not fit `T`.
    pub fn to<T: FromPayload>(&self) -> Result<T, PayloadError> {
        T::from_payload(self)
    }

    /// Reads the payload as JSON. A null payload reads as JSON `null`.
    ///
    /// # Errors
    /// When it is not JSON or does not fit `T`.
    pub fn to_json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let decode = |bytes: &[u8]| {
            serde_json::from_slice(bytes).map_err(|source| PayloadError::Decode {
                expected: std::any::type_name::<T>(),
                source,
            })
        };
        match self.encoding() {
            NULL => decode(b"null"),
            JSON => decode(&self.data),
            _ => Err(self.not_in(std::any::type_name::<T>(), JSON)),
        }
    }

    /// The bytes, if they are in this encoding.
    ///
    /// # Errors
    /// [`PayloadError::WrongEncoding`], which names the type that wanted them, and both encodings.
    pub fn data_in(&self, wanted: &'static str, expected: &'static str) -> Result<&Bytes, PayloadError> {
        match self.encoding() == wanted {
            true => Ok(&self.data),
            false => Err(self.not_in(expected, wanted)),
        }
    }

    fn not_in(&self, expected: &'static str, wanted: &'static str) -> PayloadError {
        PayloadError::WrongEncoding {
            expected,
            wanted,
            found: self.encoding().to_owned(),
        }
    }

    /// What the bytes are, in Temporal's words: `json/plain`, `binary/null`, or the user's own.
    #[must_use]
    pub fn encoding(&self) -> &str {
        match &self.other {
            None if self.is_null() => NULL,
            None => JSON,
            Some(other) => &other.encoding,
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

    /// Its size as it counts against limits: its bytes, and those of its metadata.
    #[must_use]
    pub fn size(&self) -> usize {
        let metadata = self.all_metadata().map(|(key, value)| key.len() + value.len());
        self.data.len() + metadata.sum::<usize>()
    }

    /// The payload itself if it can be handed to a run: within the size limit, and not encoded as it is stored.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`], [`PayloadError::StillEncoded`].
    pub fn checked(self) -> Result<Self, PayloadError> {
        match self.layers() {
            0 => self.of_size(),
            _ => Err(PayloadError::StillEncoded {
                encoding: self.encoding().to_owned(),
            }),
        }
    }

    /// The payload itself if it is within the size limit.
    pub(crate) fn of_size(self) -> Result<Self, PayloadError> {
        match self.size() {
            bytes if bytes > limits::PAYLOAD_BYTES_MAX => Err(PayloadError::TooLarge { bytes }),
            _ => Ok(self),
        }
    }
}

/// What a person may want to know about an encoding.
fn hint(found: &str) -> &'static str {
    match found {
        NULL => " (there is no value)",
        _ => "",
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

    #[test]
    fn a_payload_as_it_is_stored_is_refused_at_the_call() {
        let stored = Payload::from_parts("binary/encrypted", vec![1]).with_layers(1);
        assert!(matches!(Payload::of(&stored), Err(PayloadError::StillEncoded { .. })));
        assert!(Payload::of(&stored.with_layers(0)).is_ok());
    }

    #[test]
    fn the_encoding_is_no_metadata() {
        let payload = Payload::json("x").unwrap().with_metadata("encoding", "json/protobuf");
        assert_eq!(
            (payload.encoding(), payload.all_metadata().count()),
            ("json/protobuf", 0)
        );
        assert_eq!(Payload::from_wire(&payload.to_wire()), Ok(payload.clone()));
        assert_eq!(
            payload.with_metadata("encoding", "json/plain"),
            Payload::json("x").unwrap()
        );
    }
}
