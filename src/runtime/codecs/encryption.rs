//! The codec that encrypts: AES-256-GCM. The only place that names aes-gcm. Must not live here: where keys come from.
//!
//! ```text
//! metadata  encryption-key-id = id of the key
//! data      12 random bytes | the payload's wire form, encrypted | 16 bytes that authenticate it, the key's id and the
//!           workflow id
//! ```

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload as Sealed};
use aes_gcm::{Aes256Gcm, Nonce};

use crate::model::Payload;
use crate::sdk::{CodecContext, CodecError, PayloadCodec};

use super::super::entropy::Entropy;

const ENCODING: &str = "binary/encrypted";

/// The key of the metadata that names the key: that of Temporal's samples.
const KEY_ID: &str = "encryption-key-id";

const NONCE_BYTES: usize = 12;

/// What the authenticated text begins with: another use of the same key, or another layout, does not fit.
const PURPOSE: &[u8] = b"amends payload 1";

/// A key of AES-256. It is not shown by `Debug`.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    cipher: Aes256Gcm,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encryption key is 32 bytes, written as 64 hexadecimal digits (make one with: openssl rand -hex 32)")]
pub struct EncryptionKeyError;

impl EncryptionKey {
    /// A key of 32 bytes from a cryptographic source of randomness, and the name by which it is found again.
    #[must_use]
    pub fn new(id: impl Into<String>, key: &[u8; 32]) -> Self {
        Self {
            id: id.into(),
            cipher: Aes256Gcm::new(key.into()),
        }
    }

    /// The same from 64 hexadecimal digits, as secrets are usually kept.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn from_hex(id: impl Into<String>, digits: &str) -> Result<Self, EncryptionKeyError> {
        let digits = digits.trim().as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(EncryptionKeyError);
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| EncryptionKeyError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| EncryptionKeyError)?;
        }
        Ok(Self::new(id, &key))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

/// Encrypts payloads with AES-256-GCM: what is journaled can be neither read nor changed, nor moved to another workflow id,
/// without its key. It can be replaced: a payload that says of itself that nothing has encoded it is taken as it is, because runs
/// from before there was a codec go on. Whoever can write to the store can also have a run do something else; the store is to be
/// kept from others, encrypted or not. One key encrypts, older ones still decrypt, so a key is replaced by adding a new one in front and keeping
/// the old one for as long as there are runs that it has encrypted (open ones, and closed ones until retention ends).
///
/// ```
/// use amends::{Amends, Encryption, EncryptionKey};
///
/// # let (new, old) = ("11".repeat(32), "22".repeat(32));
/// let encryption = Encryption::new(EncryptionKey::from_hex("2026-11", &new)?)
///     .older(EncryptionKey::from_hex("2026-05", &old)?);
/// let builder = Amends::builder().codec(encryption);
/// # let _ = builder;
/// # Ok::<(), amends::EncryptionKeyError>(())
/// ```
///
/// Each payload gets 96 random bits of its own, so a key is good for some four thousand million payloads.
#[derive(Clone, Debug)]
pub struct Encryption {
    newest: EncryptionKey,
    older: Vec<EncryptionKey>,
}

impl Encryption {
    /// Encrypts, and decrypts, with this key.
    #[must_use]
    pub fn new(key: EncryptionKey) -> Self {
        Self {
            newest: key,
            older: Vec::new(),
        }
    }

    /// Decrypts what this key, which is not used any more, has encrypted.
    #[must_use]
    pub fn older(mut self, key: EncryptionKey) -> Self {
        self.older.push(key);
        self
    }

    fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl PayloadCodec for Encryption {
    fn encoding(&self) -> &str {
        ENCODING
    }

    fn encode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        let nonce: [u8; NONCE_BYTES] = Entropy.bytes().map_err(|error| {
            // Never without: with a nonce that was used before the key would be given away.
            CodecError::new(format!("no randomness to encrypt with: {error}"))
        })?;
        let sealed = Sealed {
            msg: &payload.to_wire(),
            aad: &authenticated(&self.newest.id, cx),
        };
        let encrypted = self.newest.cipher.encrypt(&Nonce::from(nonce), sealed);
        let encrypted = encrypted.map_err(|_| CodecError::new("a payload is too large to be encrypted"))?;
        let data = [&nonce[..], &encrypted].concat();
        let id = self.newest.id.clone();
        Ok(Some(Payload::from_parts(ENCODING, data).with_metadata(KEY_ID, id)))
    }

    fn decode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        let id = payload.metadata(KEY_ID).map(|id| String::from_utf8_lossy(id));
        let id = id.ok_or_else(|| CodecError::new("an encrypted payload does not say which key it needs"))?;
        let key = self.keys().find(|key| key.id == id).ok_or_else(|| {
            let known: Vec<&str> = self.keys().map(|key| key.id.as_str()).collect();
            CodecError::new(format!(
                "a payload is encrypted with the key {id:?}, which is not known here (known: {}): give the engine that key \
                 too, with `Encryption::older`",
                known.join(", ")
            ))
        })?;
        let damaged = || {
            CodecError::new(format!(
                "a payload cannot be decrypted with the key {id:?}: it was changed, is of another run, or the key is \
                 another one of the same name"
            ))
        };
        let (nonce, msg) = payload.data().split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let sealed = Sealed {
            msg,
            aad: &authenticated(&key.id, cx),
        };
        let wire = key
            .cipher
            .decrypt(&Nonce::from(*nonce), sealed)
            .map_err(|_| damaged())?;
        Payload::from_wire(&wire).map_err(CodecError::new)
    }
}

/// What is not hidden, and cannot be changed. Each part says how long it is, so that none can be taken for another.
fn authenticated(key_id: &str, cx: &CodecContext<'_>) -> Vec<u8> {
    let parts = [PURPOSE, key_id.as_bytes(), cx.workflow_id.qualified().as_bytes()];
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    text
}
