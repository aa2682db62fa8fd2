//! Values as bincode: small and quick, and only readable with the type they were written with. Lives here: the encoding
//! `binary/bincode`. Must not live here: the engine's own records (`store::record`).

use std::any::type_name;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::limits;

use super::{FromPayload, Payload, PayloadError, ToPayload};

const ENCODING: &str = "binary/bincode";

/// A value that is stored as bincode instead of as JSON. Positions are the format: a field that is added, removed or moved
/// makes what is stored unreadable, so it is for types that do not change, or that carry a version of their own.
///
/// ```
/// use amends::model::{Bincode, Payload};
///
/// let payload = Payload::of(&Bincode((1_u8, "one".to_owned())))?;
/// assert_eq!((payload.encoding(), payload.data().len()), ("binary/bincode", 5));
/// let Bincode((number, name)) = payload.to::<Bincode<(u8, String)>>()?;
/// assert_eq!((number, name.as_str()), (1, "one"));
/// # Ok::<(), amends::model::PayloadError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bincode<T>(pub T);

/// Integers of variable width, as bincode's `DefaultOptions` has them; never to be changed.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_limit(limits::PAYLOAD_BYTES_MAX as u64)
        .reject_trailing_bytes()
}

impl<T: Serialize> ToPayload for Bincode<T> {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        // The limit is checked by whoever takes the payload, with its own message.
        let bytes = options().with_no_limit().serialize(&self.0);
        let bytes = bytes.map_err(|error| PayloadError::EncodeAs {
            encoding: ENCODING,
            reason: error.to_string(),
        })?;
        Ok(Payload::from_parts(ENCODING, bytes))
    }
}

impl<T: DeserializeOwned> FromPayload for Bincode<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        let bytes = payload.data_in(ENCODING, type_name::<Self>())?;
        let value = options().deserialize(bytes);
        value.map(Bincode).map_err(|error| PayloadError::DecodeAs {
            expected: type_name::<Self>(),
            encoding: ENCODING,
            reason: error.to_string(),
        })
    }
}
