//! How the contents of pages are made smaller: neighbours are much alike, and each byte costs the database several, as it
//! writes and rewrites them. The only place that names lz4_flex. Must not live here: what is in a page.
//!
//! ```text
//! 0  content ...                   as it is
//! 1  length(2)  LZ4 block ...      the length is that of the content
//! ```

use std::borrow::Cow;

use lz4_flex::block;

/// Bytes of a content that is packed as one, so that a length has two bytes.
pub(super) const PACKED_FROM_MAX: usize = 32 * 1024;

/// Contents that are shorter stay as they are: there is nothing in them twice.
const SHORT: usize = 64;

/// Bytes in front of what is stored, at the least.
pub(super) const FLAG_BYTES: usize = 1;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const HEADER_BYTES: usize = 3;

/// Appends the content to `out`, packed if that is shorter.
pub(super) fn pack(content: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if let Some(length) = (SHORT..=PACKED_FROM_MAX)
        .contains(&content.len())
        .then(|| u16::try_from(content.len()).ok())
        .flatten()
    {
        out.push(LZ4);
        out.extend(length.to_be_bytes());
        let room = start + HEADER_BYTES;
        out.resize(room + block::get_maximum_output_size(content.len()), 0);
        let packed = out
            .get_mut(room..)
            .and_then(|room| block::compress_into(content, room).ok());
        match packed {
            Some(packed) if HEADER_BYTES + packed < FLAG_BYTES + content.len() => {
                out.truncate(room + packed);
                return;
            }
            _ => out.truncate(start),
        }
    }
    out.push(PLAIN);
    out.extend_from_slice(content);
}

/// The content again.
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
pub(super) fn unpack(stored: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    const DAMAGED: &str = "cannot be unpacked";
    match stored.split_first() {
        Some((&PLAIN, content)) => Ok(content.into()),
        Some((&LZ4, rest)) => {
            let (length, packed) = rest.split_first_chunk::<2>().ok_or(DAMAGED)?;
            let mut content = vec![0; usize::from(u16::from_be_bytes(*length))];
            match block::decompress_into(packed, &mut content) {
                Ok(bytes) if bytes == content.len() => Ok(content.into()),
                _ => Err(DAMAGED),
            }
        }
        _ => Err(DAMAGED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        pack(content, &mut out);
        assert!(out.starts_with(b"before"));
        out.split_off(6)
    }

    #[test]
    fn contents_of_all_kinds_come_back_and_none_gets_longer() {
        let mut state = 1_u64;
        let noise = |bytes: usize| -> Vec<u8> {
            let next = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            };
            (0..bytes).map(next).collect()
        };
        let mut contents = vec![Vec::new(), vec![7; 3], vec![7; 40_000], vec![7; PACKED_FROM_MAX]];
        contents.extend([10, 63, 64, 500, 4_000, 20_000, PACKED_FROM_MAX + 1].map(noise));
        for content in contents {
            let packed = packed(&content);
            assert!(packed.len() <= content.len() + FLAG_BYTES, "{} bytes", content.len());
            assert!(*unpack(&packed).unwrap() == *content, "{} bytes", content.len());
        }
    }

    #[test]
    fn what_is_alike_gets_much_shorter() {
        let content: Vec<u8> = (0..300_u32)
            .flat_map(|number| format!("order {number:06} waits for its payment;").into_bytes())
            .collect();
        let packed = packed(&content);
        assert!(
            packed.len() * 3 < content.len(),
            "{} of {}",
            packed.len(),
            content.len()
        );
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end]).is_err(), "cut at {end}");
        }
        assert!(unpack(&[9, 9, 9]).is_err());
    }
}
