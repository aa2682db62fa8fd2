//! Codecs: what is done to users' data between memory and the journal. Lives here: the trait that users implement. Must not
//! live here: a chain of them, or any codec (those are in `runtime`).

use crate::model::{Payload, WorkflowId};

/// Encodes payloads before they are journaled, and decodes them when they are read: encryption, compression. Workflow code,
/// activities, saga definitions and clients see only decoded values, so a run does not know that there are codecs, and
/// encoding the same value differently each time (as encryption does) does not disturb a replay.
///
/// It runs on an engine's thread, between a decision and its journaling: it must be quick, must not block, and must have at
/// hand whatever it needs (keys included). Encoding that fails lets the turn be tried again a few times, and then parks the
/// run; decoding that fails sets the run aside until an engine is started that can. Neither loses anything.
///
/// ```
/// use amends::model::Payload;
/// use amends::{CodecContext, CodecError, PayloadCodec};
///
/// /// Hides nothing from nobody; the shape of a codec.
/// struct Backwards;
///
/// impl PayloadCodec for Backwards {
///     fn encoding(&self) -> &str {
///         "binary/backwards"
///     }
///
///     fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
///         let mut bytes = payload.to_wire();
///         bytes.reverse();
///         Ok(Some(Payload::from_parts(self.encoding(), bytes)))
///     }
///
///     fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
///         let mut bytes = payload.data().to_vec();
///         bytes.reverse();
///         Payload::from_wire(&bytes).map_err(CodecError::new)
///     }
/// }
/// # let workflow_id = amends::model::WorkflowId::new("w").unwrap();
/// # let cx = CodecContext { workflow_id: &workflow_id };
/// # let payload = Payload::json("x").unwrap();
/// # let encoded = Backwards.encode(&cx, &payload)?.unwrap();
/// # assert_eq!(Backwards.decode(&cx, &encoded)?, payload);
/// # Ok::<(), CodecError>(())
/// ```
pub trait PayloadCodec: Send + Sync + 'static {
    /// The encoding of what it makes, by which it is found again for decoding; `binary/...`, and never to be changed.
    fn encoding(&self) -> &str;

    /// The payload in the codec's encoding; `None` to leave it as it is. Encode [`Payload::to_wire`], which has everything.
    ///
    /// # Errors
    /// When it cannot be encoded.
    fn encode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError>;

    /// The payload that was encoded.
    ///
    /// # Errors
    /// When it cannot be decoded: an unknown key, damage.
    fn decode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError>;
}

/// Whose payload it is.
#[derive(Clone, Copy, Debug)]
pub struct CodecContext<'a> {
    /// The workflow id of its run. The same when the payload is decoded, so an encryption may bind it to that.
    pub workflow_id: &'a WorkflowId,
}

/// Why a payload cannot be encoded or decoded, for the person who can change that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// An error that says this.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it is given errors and texts")]
    pub fn new(why: impl ToString) -> Self {
        Self(why.to_string())
    }
}
