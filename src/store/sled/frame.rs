//! What every stored value is wrapped in, and how long contents are cut into values. Must not live here: the meaning of
//! any content.
//!
//! ```text
//! 0      2      3         4         8         12
//! magic  kind   version   length    crc32c    content ...
//! ```
//!
//! The checksum covers the key as well: a value that turns up in another place is as damaged as one with a flipped bit.
//! Values have at most 4 KiB, because sled writes large ones to separate files that it never syncs. Each chunk of a
//! longer content begins with one byte that says whether it is the last one.

use bytes::Bytes;

use super::keys::Key;

const MAGIC: [u8; 2] = [0xA3, 0xE5];
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;

/// Bytes of one value, frame included.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;

/// Bytes of a content that fit one value: what frame and flag leave.
pub(super) const CONTENT_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES - 1;

const MORE: u8 = 0;
const LAST: u8 = 1;

fn checksum(key: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), content)
}

/// Room for the header, which [`seal`] fills in.
pub(super) fn begin(capacity: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + capacity);
    value.resize(HEADER_BYTES, 0);
    value
}

/// Turns what [`begin`] started into a value for this key.
pub(super) fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    if let Some((header, content)) = value.split_first_chunk_mut::<HEADER_BYTES>() {
        let [m0, m1] = MAGIC;
        let kind = key.first().copied().unwrap_or(0);
        let [l0, l1, l2, l3] = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
        let [c0, c1, c2, c3] = checksum(key, content).to_be_bytes();
        *header = [m0, m1, kind, VERSION, l0, l1, l2, l3, c0, c1, c2, c3];
    }
    value
}

/// The content of a value, if the value is whole and belongs to this key.
///
/// # Errors
/// What is wrong with it, as a part of a sentence.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let Some((header, content)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err("is cut short");
    };
    let [m0, m1, kind, version, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    if [m0, m1] != MAGIC || Some(&kind) != key.first() {
        return Err("does not begin as it should");
    }
    if version != VERSION {
        return Err("has an unknown version");
    }
    if u32::try_from(content.len()) != Ok(u32::from_be_bytes([l0, l1, l2, l3])) {
        return Err("has the wrong length");
    }
    if checksum(key, content) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err("has the wrong checksum");
    }
    Ok(content)
}

/// Cuts a content into values while it is written.
pub(super) struct Chunks {
    done: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Chunks {
    /// `expected`: how many bytes will come, as far as known.
    pub(super) fn new(expected: usize) -> Self {
        Self {
            done: Vec::with_capacity(expected / VALUE_BYTES_MAX),
            current: Self::start(expected),
        }
    }

    fn start(expected: usize) -> Vec<u8> {
        let mut value = begin(expected.saturating_add(1).min(VALUE_BYTES_MAX - HEADER_BYTES));
        value.push(MORE);
        value
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let room = VALUE_BYTES_MAX.saturating_sub(self.current.len());
            let Some((now, later)) = bytes.split_at_checked(room) else {
                self.current.extend_from_slice(bytes);
                return;
            };
            self.current.extend_from_slice(now);
            if later.is_empty() {
                return;
            }
            let full = std::mem::replace(&mut self.current, Self::start(VALUE_BYTES_MAX));
            self.done.push(full);
            bytes = later;
        }
    }

    /// The values with their keys; always at least one.
    pub(super) fn finish(mut self, key: impl Fn(u32) -> Key) -> Vec<(Key, Vec<u8>)> {
        if let Some(flag) = self.current.get_mut(HEADER_BYTES) {
            *flag = LAST;
        }
        self.done.push(self.current);
        let sealed = (0..).zip(self.done).map(|(chunk, value)| {
            let key = key(chunk);
            let value = seal(&key, value);
            (key, value)
        });
        sealed.collect()
    }
}

/// Puts the chunks of a content together again.
#[derive(Default)]
pub(super) struct Joined {
    bytes: Vec<u8>,
    complete: bool,
}

impl Joined {
    /// Adds the next chunk; says whether it is a last one.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<bool, &'static str> {
        match open(key, value)?.split_first() {
            Some((&flag @ (MORE | LAST), part)) => {
                self.bytes.extend_from_slice(part);
                self.complete = flag == LAST;
                Ok(self.complete)
            }
            _ => Err("is neither a last chunk nor another one"),
        }
    }

    /// What has been added.
    pub(super) fn so_far(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole, if the chunk that was added last is a last one.
    pub(super) fn whole(self) -> Option<Bytes> {
        self.complete.then(|| Bytes::from(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let key = b"Rkey".to_vec();
        let mut value = begin(3);
        value.extend(b"abc");
        let value = seal(&key, value);
        assert_eq!(open(&key, &value), Ok(&b"abc"[..]));
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, &flipped).is_err(), "bit {bit}");
        }
        for end in 0..value.len() {
            assert!(open(&key, &value[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(open(b"Rkez", &value), Err("has the wrong checksum"));
        assert_eq!(open(b"Hkey", &value), Err("does not begin as it should"));
    }

    #[test]
    fn contents_of_all_sizes_are_cut_and_joined() {
        let most = VALUE_BYTES_MAX - HEADER_BYTES - 1;
        for bytes in [0, 1, most - 1, most, most + 1, 2 * most, 2 * most + 1, 100_000] {
            let content: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for piece in [1, 1_000, usize::MAX] {
                let mut chunks = Chunks::new(bytes);
                content
                    .chunks(piece.min(bytes.max(1)))
                    .for_each(|part| chunks.put(part));
                let values = chunks.finish(|chunk| chunk.to_be_bytes().to_vec());
                assert_eq!(values.len(), bytes.div_ceil(most).max(1), "{bytes} bytes");
                let mut joined = Joined::default();
                for (at, (key, value)) in values.iter().enumerate() {
                    assert!(value.len() <= VALUE_BYTES_MAX);
                    assert_eq!(joined.add(key, value), Ok(at + 1 == values.len()));
                }
                assert!(joined.whole().unwrap() == content);
            }
        }
    }

    #[test]
    fn a_content_without_its_last_chunk_is_not_whole() {
        let mut chunks = Chunks::new(0);
        chunks.put(&[7; 5_000]);
        let values = chunks.finish(|chunk| vec![b'L', u8::try_from(chunk).unwrap()]);
        let mut joined = Joined::default();
        assert_eq!(joined.add(&values[0].0, &values[0].1), Ok(false));
        assert!(joined.whole().is_none());
    }
}
