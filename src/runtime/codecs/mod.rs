//! The chain of codecs between runs in memory and the journal. Lives here: encoding a turn on its way there, and decoding what
//! is read. Must not live here: a codec's own work (each has its file), or who is given an engine without keys.
//!
//! ```text
//! decide --> turn --> encode: first codec, second, .. --> record --> store
//! fold   <-- turn <-- decode: by encoding, last first <-- record <--
//! ```
//!
//! A payload says how many codecs have encoded it, and in which encoding it is now. So it is decoded whatever the order of
//! today's codecs is, and one that cannot be decoded stays as it is, and is not encoded a second time.

#[cfg(feature = "compression")]
mod compression;
#[cfg(feature = "encryption")]
mod encryption;
mod message;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{EventAttributes, Payload, RunId, Turn, Visit, WorkflowId, limits};
use crate::sdk::{CodecContext, CodecError, PayloadCodec};
use crate::store::Error;

#[cfg(feature = "compression")]
pub use self::compression::Compression;
#[cfg(feature = "encryption")]
pub use self::encryption::{Encryption, EncryptionKey, EncryptionKeyError};

/// The codecs of one engine, in the order of encoding.
#[derive(Clone, Default)]
pub(crate) struct Codecs {
    chain: Vec<Arc<dyn PayloadCodec>>,
    failure_messages: bool,
}

impl Codecs {
    /// One more, which encodes what the others have made.
    pub(crate) fn add(&mut self, codec: impl PayloadCodec) {
        self.chain.push(Arc::new(codec));
    }

    /// Failures' messages are to be encoded, too.
    pub(crate) fn encode_failure_messages(&mut self) {
        self.failure_messages = true;
    }

    /// The turn as it is to be journaled.
    pub(crate) fn encode<'a>(&self, workflow_id: &WorkflowId, turn: &'a Turn) -> Result<Cow<'a, Turn>, CodecError> {
        if self.chain.is_empty() {
            return Ok(Cow::Borrowed(turn));
        }
        let mut turn = turn.clone();
        let cx = CodecContext { workflow_id };
        turn.visit_data(&mut Encode { codecs: self, cx })?;
        Ok(Cow::Owned(turn))
    }

    /// Turns of a run as they were before they were journaled.
    ///
    /// # Errors
    /// [`Error::Codec`] when a payload cannot be decoded. It is left as it is; all others are decoded.
    pub(crate) fn decode(&self, run_id: RunId, turns: &mut [Turn]) -> Result<(), Error> {
        let started = turns.first().and_then(|turn| turn.events.first());
        let workflow_id = started.and_then(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionStarted(started) => Some(started.workflow_id.clone()),
            _ => None,
        });
        // Without a beginning they are no run's; folding them says so.
        let Some(workflow_id) = workflow_id else {
            return Ok(());
        };
        let cx = CodecContext {
            workflow_id: &workflow_id,
        };
        let mut decode = Decode {
            codecs: self,
            cx,
            first_error: None,
        };
        for turn in turns {
            let Ok(()) = turn.visit_data(&mut decode);
        }
        match decode.first_error {
            None => Ok(()),
            Some(error) => Err(Error::Codec {
                run: run_id,
                what: error.to_string(),
            }),
        }
    }

    fn encode_payload(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        // Nothing to hide, or still as it was stored.
        if payload.is_null() || payload.layers() > 0 {
            return Ok(None);
        }
        let mut encoded: Option<Payload> = None;
        for codec in &self.chain {
            let before = encoded.as_ref().unwrap_or(payload);
            if let Some(after) = codec.encode(cx, before)? {
                let layers = before.layers().saturating_add(1);
                encoded = Some(after.with_layers(layers));
            }
        }
        match &encoded {
            Some(encoded) if encoded.size() > payload.size().saturating_add(limits::CODEC_GROWTH_MAX) => {
                Err(CodecError::new(format!(
                    "the codecs make {} bytes of a payload of {}, more than {} in addition",
                    encoded.size(),
                    payload.size(),
                    limits::CODEC_GROWTH_MAX
                )))
            }
            _ => Ok(encoded),
        }
    }

    fn decode_payload(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        let mut decoded = payload.clone();
        while let Some(left) = decoded.layers().checked_sub(1) {
            decoded = self.decode_layer(cx, &decoded)?.with_layers(left);
        }
        Ok(decoded)
    }

    /// Several codecs may have the same encoding, with different keys.
    fn decode_layer(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        let mut error = None;
        for codec in self.chain.iter().filter(|codec| codec.encoding() == payload.encoding()) {
            match codec.decode(cx, payload) {
                Ok(decoded) => return Ok(decoded),
                Err(why) => error = Some(why),
            }
        }
        Err(error.unwrap_or_else(|| {
            CodecError::new(format!(
                "a payload is encoded as {}, and this engine has no codec for that: start it with the codecs it had",
                payload.encoding()
            ))
        }))
    }
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.chain.iter().map(|codec| codec.encoding()))
            .finish()
    }
}

struct Encode<'a> {
    codecs: &'a Codecs,
    cx: CodecContext<'a>,
}

impl Visit for Encode<'_> {
    type Error = CodecError;

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        if let Some(encoded) = self.codecs.encode_payload(&self.cx, payload)? {
            *payload = encoded;
        }
        Ok(())
    }

    fn message(&mut self, message: &mut String) -> Result<(), CodecError> {
        if self.codecs.failure_messages && !message.is_empty() && !message::is_encoded(message) {
            let mut payload = Payload::json(message).map_err(CodecError::new)?;
            self.payload(&mut payload)?;
            *message = message::wrap(&payload);
        }
        Ok(())
    }
}

struct Decode<'a> {
    codecs: &'a Codecs,
    cx: CodecContext<'a>,
    first_error: Option<CodecError>,
}

impl Visit for Decode<'_> {
    type Error = std::convert::Infallible;

    fn payload(&mut self, payload: &mut Payload) -> Result<(), Self::Error> {
        if payload.layers() > 0 {
            match self.codecs.decode_payload(&self.cx, payload) {
                Ok(decoded) => *payload = decoded,
                Err(error) => self.first_error = self.first_error.take().or(Some(error)),
            }
        }
        Ok(())
    }

    /// Texts are for people: one that cannot be read stops nothing.
    fn message(&mut self, message: &mut String) -> Result<(), Self::Error> {
        let decoded = message::unwrap(message).and_then(|payload| {
            let decoded = self.codecs.decode_payload(&self.cx, &payload).ok()?;
            decoded.to_json::<String>().ok()
        });
        if let Some(decoded) = decoded {
            *message = decoded;
        }
        Ok(())
    }
}
