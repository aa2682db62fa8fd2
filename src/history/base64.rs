//! Bytes as text, as proto3's JSON has them. Must not live here: anything about what the bytes are.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with the standard alphabet, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(match place <= group.len() {
                true => letter(digit),
                false => '=',
            });
        }
    }
    text
}

/// The bytes of a base64 text, with either alphabet and with or without padding, as proto3's JSON allows; `None` when it is
/// none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for place in 0..4 {
            bits = (bits << 6) | group.get(place).map_or(Some(0), |letter| value(*letter))?;
        }
        let [_, decoded @ ..] = bits.to_be_bytes();
        bytes.extend(decoded.iter().take(group.len() - 1));
    }
    Some(bytes)
}

fn letter(digit: u32) -> char {
    let at = usize::try_from(digit).unwrap_or_default();
    char::from(ALPHABET.get(at).copied().unwrap_or(b'='))
}

fn value(letter: u8) -> Option<u32> {
    Some(match letter {
        b'A'..=b'Z' => u32::from(letter - b'A'),
        b'a'..=b'z' => u32::from(letter - b'a') + 26,
        b'0'..=b'9' => u32::from(letter - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
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
