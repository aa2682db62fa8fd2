//! The bytes of a log segment: its header, the frames of its blocks, and reading it back. Must not live here: files, and
//! what a block says.
//!
//! ```text
//! header  magic(8) version(4) store(16) crc32c(4), to the end of the first sector
//! block   magic(4) length(4) commit(8) previous(4) check(4) content ..., each from the beginning of a sector
//! ```
//!
//! A block's check covers the store's identity, its frame and its content; `previous` is the check of the block before
//! it. So a block of another store, of another place and of a segment's earlier life are all told apart.

use crate::store::sled::codec::{Cursor, put_u32, put_u64};

/// What a disk writes whole or not at all: no block shares one with a later one.
pub(in crate::store::sled) const SECTOR_BYTES: usize = 512;

/// Which store a segment belongs to.
pub(in crate::store::sled) type Identity = [u8; 16];

const SEGMENT_MAGIC: &[u8; 8] = b"amendlog";
const VERSION: u32 = 1;
const BLOCK_MAGIC: &[u8; 4] = b"\xA3\xE6bl";
const FRAME_BYTES: usize = 24;

/// The first sector of a segment.
pub(super) fn header(identity: &Identity) -> Vec<u8> {
    let mut header = Vec::with_capacity(SECTOR_BYTES);
    header.extend_from_slice(SEGMENT_MAGIC);
    put_u32(&mut header, VERSION);
    header.extend_from_slice(identity);
    let check = crc32c::crc32c(&header);
    put_u32(&mut header, check);
    header.resize(SECTOR_BYTES, 0);
    header
}

/// Whose segment it is.
///
/// # Errors
/// What is wrong with the header, as a part of a sentence.
pub(super) fn read_header(segment: &[u8]) -> Result<Identity, &'static str> {
    let mut from = Cursor::new(segment);
    let cut = "is cut short";
    let magic = from.bytes(SEGMENT_MAGIC.len()).ok_or(cut)?;
    let version = from.u32().ok_or(cut)?;
    let identity: Identity = from.array().ok_or(cut)?;
    let check = from.u32().ok_or(cut)?;
    if magic != SEGMENT_MAGIC {
        return Err("does not begin as it should");
    }
    let covered = segment.get(..SEGMENT_MAGIC.len() + 4 + identity.len());
    if covered.map(crc32c::crc32c) != Some(check) {
        return Err("has the wrong checksum at its beginning");
    }
    if version != VERSION {
        return Err("has an unknown version");
    }
    Ok(identity)
}

/// Room for the frame, which [`seal`] fills in.
pub(in crate::store::sled) fn begin(block: &mut Vec<u8>) {
    block.clear();
    block.resize(FRAME_BYTES, 0);
}

fn check(identity: &Identity, frame: &[u8], content: &[u8]) -> u32 {
    let check = crc32c::crc32c_append(crc32c::crc32c(identity), frame);
    crc32c::crc32c_append(check, content)
}

/// Frames what was put behind [`begin`], fills the last sector with zeros, and gives the block's check.
pub(super) fn seal(block: &mut Vec<u8>, identity: &Identity, commit: u64, previous: u32) -> u32 {
    let length = u32::try_from(block.len().saturating_sub(FRAME_BYTES)).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    frame.extend_from_slice(BLOCK_MAGIC);
    put_u32(&mut frame, length);
    put_u64(&mut frame, commit);
    put_u32(&mut frame, previous);
    let check = check(identity, &frame, block.get(FRAME_BYTES..).unwrap_or(&[]));
    put_u32(&mut frame, check);
    block.iter_mut().zip(frame).for_each(|(to, from)| *to = from);
    block.resize(block.len().next_multiple_of(SECTOR_BYTES), 0);
    check
}

/// A block that is whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) commit: u64,
    pub(super) previous: u32,
    pub(super) check: u32,
    pub(super) content: &'a [u8],
    /// Where it begins in the segment.
    pub(super) at: usize,
    /// What it takes in the segment.
    pub(super) bytes: usize,
}

/// The block that begins here, if a whole one does.
fn block_at<'a>(segment: &'a [u8], at: usize, identity: &Identity) -> Option<Block<'a>> {
    let whole = segment.get(at..)?;
    let mut from = Cursor::new(whole);
    if from.bytes(BLOCK_MAGIC.len())? != BLOCK_MAGIC {
        return None;
    }
    let length = usize::try_from(from.u32()?).ok()?;
    let (commit, previous, expected) = (from.u64()?, from.u32()?, from.u32()?);
    let content = from.bytes(length)?;
    let found = check(identity, whole.get(..FRAME_BYTES - 4)?, content);
    (found == expected).then_some(Block {
        commit,
        previous,
        check: expected,
        content,
        at,
        bytes: (FRAME_BYTES + length).next_multiple_of(SECTOR_BYTES),
    })
}

/// How a segment's blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing that was committed follows.
    Clean,
    /// Something does, but the next block is damaged.
    Damaged,
}

/// Where the log stands: what the next block must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the next commit.
    pub(super) next: u64,
    /// The check of the block before it, if that is known.
    pub(super) previous: Option<u32>,
}

/// Hands out a segment's blocks in order, as long as each continues the one before; gives where they end and how.
pub(super) fn read<'a, E>(
    segment: &'a [u8],
    identity: &Identity,
    place: &mut Place,
    mut each: impl FnMut(Block<'a>) -> Result<(), E>,
) -> Result<(usize, End), E> {
    let mut at = SECTOR_BYTES;
    while let Some(block) = block_at(segment, at, identity) {
        let continues = place.previous.is_none_or(|previous| previous == block.previous);
        if block.commit != place.next || !continues {
            break;
        }
        *place = Place {
            next: place.next.saturating_add(1),
            previous: Some(block.check),
        };
        each(block)?;
        at = at.saturating_add(block.bytes);
    }
    // A block of an earlier life of the segment has a lower number; one that was being written has nothing behind it.
    let later = |at: usize| block_at(segment, at, identity).is_some_and(|block| block.commit >= place.next);
    let end = match (at..segment.len()).step_by(SECTOR_BYTES).any(later) {
        true => End::Damaged,
        false => End::Clean,
    };
    Ok((at, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = [3; 16];

    /// A segment of commits 5, 6 and 7, with blocks of an earlier life behind them.
    fn segment() -> Vec<u8> {
        let mut segment = header(&IDENTITY);
        let mut previous = 9;
        for (commit, bytes) in [(5, 100), (6, 700), (7, 10), (2, 100), (3, 10)] {
            let mut block = Vec::new();
            begin(&mut block);
            block.resize(block.len() + bytes, 7);
            previous = seal(&mut block, &IDENTITY, commit, previous);
            segment.extend(block);
        }
        segment.resize(segment.len() + 2_000, 0);
        segment
    }

    fn commits(segment: &[u8], previous: Option<u32>) -> (Vec<u64>, End) {
        let mut place = Place { next: 5, previous };
        let mut found = Vec::new();
        let each = |block: Block<'_>| {
            found.push(block.commit);
            Ok::<(), ()>(())
        };
        let (_, end) = read(segment, &IDENTITY, &mut place, each).unwrap();
        assert_eq!(place.next, 5 + u64::try_from(found.len()).unwrap());
        (found, end)
    }

    #[test]
    fn blocks_come_back_and_those_of_an_earlier_life_do_not() {
        assert_eq!(read_header(&segment()), Ok(IDENTITY));
        assert_eq!(commits(&segment(), Some(9)), (vec![5, 6, 7], End::Clean));
        assert_eq!(commits(&segment(), None), (vec![5, 6, 7], End::Clean));
        // The first block continues another one than was expected.
        assert_eq!(commits(&segment(), Some(8)), (vec![], End::Damaged));
        let mut place = Place {
            next: 5,
            previous: None,
        };
        let others = read(&segment(), &[4; 16], &mut place, |_| Err(()));
        assert_eq!(
            others,
            Ok((SECTOR_BYTES, End::Clean)),
            "blocks of another store are none"
        );
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let whole = segment();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let header_is_seen = read_header(&flipped) != Ok(IDENTITY);
            let (found, end) = commits(&flipped, Some(9));
            let at = bit / 8;
            // In a frame or content; what fills the last sector means nothing.
            match at {
                0..32 => assert!(header_is_seen, "bit {bit}"),
                512..636 => assert_eq!((found, end), (vec![], End::Damaged), "bit {bit}"),
                1_024..1_748 => assert_eq!((found, end), (vec![5], End::Damaged), "bit {bit}"),
                // The last one: only the witness can tell it from one that was never finished.
                2_048..2_082 => assert_eq!((found, end), (vec![5, 6], End::Clean), "bit {bit}"),
                _ => assert_eq!((found, end), (vec![5, 6, 7], End::Clean), "bit {bit}"),
            }
        }
    }
}
