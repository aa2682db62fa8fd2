//! Bytes as text, as proto3's JSON has them: the only place that names the crate `base64`. Must not live here: anything about what
//! the bytes are.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Reads with or without padding, whatever the unused bits of the last letter are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 with the standard alphabet, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a base64 text, with either alphabet and with or without padding, as proto3's JSON allows; `None` when it is
/// none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    match text.contains(['-', '_']) {
        true => LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok(),
        false => LENIENT.decode(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_and_every_length() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"json/plain", "anNvbi9wbGFpbg=="),
            (&[255, 254, 253], "//79"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
            assert_eq!(
                decode(text.trim_end_matches('=')).as_deref(),
                Some(bytes),
                "without padding"
            );
        }
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..bytes.len() {
            assert_eq!(decode(&encode(&bytes[..length])).as_deref(), Some(&bytes[..length]));
        }
        assert_eq!(decode("__79"), decode("//79"), "the alphabet for URLs");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["A", "Zg===", "Zm9v!", "Zm 9", "{}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
