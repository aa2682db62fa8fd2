//! Between Rust values and payloads. Lives here: the two traits, and what chooses JSON: everything that serde knows. Must not
//! live here: other encodings (each has its own file).

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Payload, PayloadError};

/// What can be written as a payload. Everything that is `Serialize` is, as JSON; a wrapper chooses another encoding:
/// [`Raw`](super::Raw) for bytes as they are, and with the features of their names `Bincode<T>` and `Proto<T>`.
///
/// A type of your own that is not `Serialize` may choose an encoding of its own:
///
/// ```
/// use amends::model::{FromPayload, Payload, PayloadError, ToPayload};
///
/// /// A picture, whose format is its encoding.
/// struct Png(Vec<u8>);
///
/// impl ToPayload for Png {
///     fn to_payload(&self) -> Result<Payload, PayloadError> {
///         Ok(Payload::from_parts("image/png", self.0.clone()))
///     }
/// }
///
/// impl FromPayload for Png {
///     fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
///         let bytes = payload.data_in("image/png", "a Png")?;
///         Ok(Png(bytes.to_vec()))
///     }
/// }
///
/// let payload = Payload::of(&Png(vec![1, 2]))?;
/// assert_eq!(payload.to::<Png>()?.0, [1, 2]);
/// let wrong = Payload::of("text")?.to::<Png>().map(|_| ()).unwrap_err();
/// assert_eq!(wrong.to_string(), "a Png is read from image/png, but the payload is json/plain");
/// # Ok::<(), PayloadError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as a payload",
    note = "derive `serde::Serialize` for it, or wrap it: `Raw` for bytes, `Bincode<T>`, `Proto<T>`"
)]
pub trait ToPayload {
    /// The value as a payload.
    ///
    /// # Errors
    /// When it cannot be written.
    fn to_payload(&self) -> Result<Payload, PayloadError>;
}

/// What can be read from a payload. Everything that is `DeserializeOwned` is, from JSON; see [`ToPayload`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a payload",
    note = "derive `serde::Deserialize` for it, or wrap it: `Raw` for bytes, `Bincode<T>`, `Proto<T>`"
)]
pub trait FromPayload: Sized {
    /// The value in a payload.
    ///
    /// # Errors
    /// When the payload has another encoding, or does not fit.
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError>;
}

impl<T: Serialize + ?Sized> ToPayload for T {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        Payload::json(self)
    }
}

impl<T: DeserializeOwned> FromPayload for T {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        payload.to_json()
    }
}

/// A payload as it is, whatever its encoding: for code that hands on what it does not look at.
impl ToPayload for Payload {
    fn to_payload(&self) -> Result<Payload, PayloadError> {
        Ok(self.clone())
    }
}

/// A payload as it is, whatever its encoding.
impl FromPayload for Payload {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadError> {
        Ok(payload.clone())
    }
}
