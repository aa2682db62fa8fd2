//! Bytes as they are: Temporal's `binary/plain`. Must not live here: what they mean.

use bytes::Bytes;

use super::{FromPayload, Payload, PayloadError, ToPayload};

const ENCODING: &str = "binary/plain";

/// Bytes that are stored and handed on as they are, instead of as a list of numbers in JSON.
///
/// ```
/// use amends::model::{Payload, Raw};
///
/// let payload = Payload::of(&Raw::from(vec![0, 255]))?;
/// assert_eq!((payload.encoding(), payload.data().len()), ("binary/plain", 2));
/// assert_eq!(payload.to::<Raw>()?.0.as_ref(), [0, 255]);
/// # Ok::<(), amends::model::PayloadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Raw(pub Bytes);

impl<T: Into<Bytes>> From<T> for Raw {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl ToPayload for Raw {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        Ok(Payload::from_parts(ENCODING, self.0.clone()))
    }
}

impl FromPayload for Raw {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        payload.data_in(ENCODING, "Raw").cloned().map(Raw)
    }
}
