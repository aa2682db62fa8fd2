//! The codec that compresses: zlib, as Temporal's Go SDK has it. The only place that names flate2. Must not live here: other
//! algorithms (each has an encoding of its own).

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::model::{Payload, limits};
use crate::sdk::{CodecContext, CodecError, PayloadCodec};

const ENCODING: &str = "binary/zlib";

/// What is shorter gains nothing: zlib and the payload's own frame take some 30 bytes.
const SHORT: usize = 128;

/// Compresses payloads that become smaller by it, as Temporal's Go SDK does with its `ZlibCodec`. Goes before encryption:
/// what is encrypted cannot be compressed any more.
///
/// ```
/// use amends::{Amends, Compression};
///
/// let builder = Amends::builder().codec(Compression::new());
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Compression {
    level: flate2::Compression,
}

impl Compression {
    /// zlib's usual compromise between time and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From 1 (quick) to 9 (small).
    #[must_use]
    pub fn level(level: u32) -> Self {
        Self {
            level: flate2::Compression::new(level.clamp(1, 9)),
        }
    }
}

impl PayloadCodec for Compression {
    fn encoding(&self) -> &str {
        ENCODING
    }

    fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        if payload.size() < SHORT || payload.size() > limits::DECODED_BYTES_MAX {
            return Ok(None);
        }
        let wire = payload.to_wire();
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(wire.len() / 2), self.level);
        let compressed = encoder.write_all(&wire).and_then(|()| encoder.finish());
        let compressed = compressed.map_err(CodecError::new)?;
        let smaller = compressed.len() < payload.size();
        Ok(smaller.then(|| Payload::from_parts(ENCODING, compressed)))
    }

    fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        // A few bytes can claim to be gigabytes. The frame's own bytes come on top of the payload's.
        let bound = limits::DECODED_BYTES_MAX + limits::CODEC_GROWTH_MAX;
        let mut wire = Vec::new();
        let mut decoder = ZlibDecoder::new(payload.data().as_ref()).take(bound as u64 + 1);
        let read = decoder.read_to_end(&mut wire);
        let read = read.map_err(|error| CodecError::new(format!("a compressed payload is damaged: {error}")))?;
        match read > bound {
            true => Err(CodecError::new(format!(
                "a compressed payload has more than {bound} bytes"
            ))),
            false => Payload::from_wire(&wire).map_err(CodecError::new),
        }
    }
}
