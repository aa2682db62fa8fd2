//! One run's turns as history chunks. Must not live here: when they are written, or the log.
//!
//! Turns are written in pieces of one or more chunks; a piece is a sequence of `seq(8) length(4) bytes`. Pieces are
//! only ever added. The turns of a small run are a piece, too, behind its head.

use bytes::Bytes;

use super::frame::{Chunks, Joined};
use super::index::link;
use super::keys::{self, Key};
use crate::model::RunId;
use crate::store::{Error, StoredTurn};

const TURN_HEADER_BYTES: usize = 12;

/// One piece: these turns, the first of which is turn `first_seq`, in chunks from `first_chunk` on.
pub(super) fn piece(run: RunId, first_chunk: u32, first_seq: u64, turns: &[Bytes]) -> Vec<(Key, Vec<u8>)> {
    let mut chunks = Chunks::new(piece_bytes(turns));
    write(first_seq, turns, |part| chunks.put(part));
    chunks.finish(|chunk| keys::history(run, first_chunk.saturating_add(chunk)))
}

/// All turns of a run as one piece, which is not cut.
pub(super) fn put_whole(out: &mut Vec<u8>, turns: &[Bytes]) {
    write(1, turns, |part| out.extend_from_slice(part));
}

/// The bytes of the piece that these turns make.
pub(super) fn piece_bytes(turns: &[Bytes]) -> usize {
    turns.iter().map(|turn| turn.len() + TURN_HEADER_BYTES).sum()
}

fn write(first_seq: u64, turns: &[Bytes], mut put: impl FnMut(&[u8])) {
    for (seq, turn) in (first_seq..).zip(turns) {
        put(&seq.to_be_bytes());
        put(&u32::try_from(turn.len()).unwrap_or(u32::MAX).to_be_bytes());
        put(turn);
    }
}

/// What a run's history chunks must come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) run: RunId,
    pub(super) chunks: u32,
    pub(super) turns: u64,
    pub(super) chain: u32,
}

/// Why a history could not be read.
pub(super) enum Unread {
    /// A chunk is not there; a run that is being deleted looks the same.
    Missing(Error),
    /// Anything else.
    Failed(Error),
}

/// Reads a run's turns back from its chunks and checks that they are all of them.
///
/// # Errors
/// [`Error::Corrupt`] that names the run, and the chunk or the turn.
pub(super) fn read(
    expected: Expected,
    mut get: impl FnMut(&[u8]) -> Result<Option<sled::IVec>, Error>,
) -> Result<Vec<StoredTurn>, Unread> {
    let mut turns = Vec::with_capacity(usize::try_from(expected.turns.min(1_024)).unwrap_or(0));
    let mut chain = 0;
    let mut piece = Joined::default();
    for chunk in 0..expected.chunks {
        let last = expected.add_chunk(&mut piece, chunk, turns.len(), &mut get)?;
        if last && let Some(whole) = std::mem::take(&mut piece).whole() {
            split(&whole, &mut turns, &mut chain).map_err(|what| Unread::Failed(expected.corrupt(what)))?;
        }
    }
    expected.check(turns, chain).map_err(Unread::Failed)
}

/// Reads a run's first turn, and no chunk behind it. The chunks that it is in have checksums of their own.
///
/// # Errors
/// As for [`read`].
pub(super) fn read_first(
    expected: Expected,
    mut get: impl FnMut(&[u8]) -> Result<Option<sled::IVec>, Error>,
) -> Result<StoredTurn, Unread> {
    let mut piece = Joined::default();
    for chunk in 0..expected.chunks {
        let last = expected.add_chunk(&mut piece, chunk, 0, &mut get)?;
        let found = piece.so_far();
        if let Some((1, length)) = turn_header(found)
            && let Some(bytes) = found.get(TURN_HEADER_BYTES..TURN_HEADER_BYTES.saturating_add(length))
        {
            let bytes = Bytes::copy_from_slice(bytes);
            return Ok(StoredTurn { seq: 1, bytes });
        }
        if last {
            break;
        }
    }
    Err(Unread::Failed(expected.corrupt("turn 1 is damaged".to_owned())))
}

/// Reads the turns of a run that is one value.
///
/// # Errors
/// [`Error::Corrupt`] that names the run, and the turn.
pub(super) fn read_whole(expected: Expected, piece: &[u8]) -> Result<Vec<StoredTurn>, Error> {
    let mut turns = Vec::new();
    let mut chain = 0;
    let piece = Bytes::copy_from_slice(piece);
    split(&piece, &mut turns, &mut chain).map_err(|what| expected.corrupt(what))?;
    expected.check(turns, chain)
}

impl Expected {
    fn corrupt(self, what: String) -> Error {
        Error::Corrupt {
            run: Some(self.run),
            what,
        }
    }

    /// Adds a chunk to the piece that it is of, behind so many turns; says whether it is that piece's last one.
    fn add_chunk(
        self,
        piece: &mut Joined,
        chunk: u32,
        after: usize,
        get: &mut impl FnMut(&[u8]) -> Result<Option<sled::IVec>, Error>,
    ) -> Result<bool, Unread> {
        let place = |what: &str| {
            let (number, of) = (chunk + 1, self.chunks);
            self.corrupt(format!("history chunk {number} of {of}, after turn {after}, {what}"))
        };
        let key = keys::history(self.run, chunk);
        let Some(value) = get(&key).map_err(Unread::Failed)? else {
            return Err(Unread::Missing(place("is missing")));
        };
        piece.add(&key, &value).map_err(|what| Unread::Failed(place(what)))
    }

    /// The turns that are expected, out of these and perhaps later ones.
    pub(super) fn beginning_of(self, mut turns: Vec<StoredTurn>) -> Result<Vec<StoredTurn>, Error> {
        turns.truncate(usize::try_from(self.turns).unwrap_or(usize::MAX));
        let chain = turns.iter().fold(0, |chain, turn| link(chain, &turn.bytes));
        self.check(turns, chain)
    }

    /// Whether these are all turns, and the right ones.
    fn check(self, turns: Vec<StoredTurn>, chain: u32) -> Result<Vec<StoredTurn>, Error> {
        if u64::try_from(turns.len()) != Ok(self.turns) {
            let (found, of) = (turns.len(), self.turns);
            return Err(self.corrupt(format!("only {found} of {of} turns are there")));
        }
        if chain != self.chain {
            return Err(self.corrupt("the turns do not come to the run's checksum".to_owned()));
        }
        Ok(turns)
    }
}

/// Cuts a piece into turns, without copying them.
fn split(piece: &Bytes, turns: &mut Vec<StoredTurn>, chain: &mut u32) -> Result<(), String> {
    let mut rest = piece.clone();
    while !rest.is_empty() {
        let next = u64::try_from(turns.len()).unwrap_or(u64::MAX).saturating_add(1);
        let damaged = || format!("turn {next} is damaged");
        let (seq, length) = turn_header(&rest).ok_or_else(damaged)?;
        if seq != next {
            return Err(format!("turn {seq} is where turn {next} should be"));
        }
        let end = TURN_HEADER_BYTES.checked_add(length).filter(|end| *end <= rest.len());
        let bytes = rest.split_to(end.ok_or_else(damaged)?).split_off(TURN_HEADER_BYTES);
        *chain = link(*chain, &bytes);
        turns.push(StoredTurn { seq, bytes });
    }
    Ok(())
}

/// The number of the turn that comes next, and its length.
fn turn_header(piece: &[u8]) -> Option<(u64, usize)> {
    let (seq, rest) = piece.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    Some((u64::from_be_bytes(*seq), usize::try_from(length).ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const RUN: RunId = RunId::from_bytes([1; 16]);

    fn stored() -> (BTreeMap<Key, Vec<u8>>, Expected, Vec<Bytes>) {
        let turns: Vec<Bytes> = [10, 5_000, 0, 9_000].map(|bytes| Bytes::from(vec![7; bytes])).to_vec();
        let mut values: BTreeMap<_, _> = piece(RUN, 0, 1, &turns[..2]).into_iter().collect();
        let chunks = u32::try_from(values.len()).unwrap();
        values.extend(piece(RUN, chunks, 3, &turns[2..]));
        let chain = turns.iter().fold(0, |chain, turn| link(chain, turn));
        let chunks = u32::try_from(values.len()).unwrap();
        let expected = Expected {
            run: RUN,
            chunks,
            turns: 4,
            chain,
        };
        (values, expected, turns)
    }

    fn read_from(values: &BTreeMap<Key, Vec<u8>>, expected: Expected) -> Result<Vec<StoredTurn>, String> {
        let get = |key: &[u8]| Ok(values.get(key).map(|value| sled::IVec::from(&value[..])));
        read(expected, get).map_err(|unread| match unread {
            Unread::Missing(error) | Unread::Failed(error) => error.to_string(),
        })
    }

    #[test]
    fn pieces_come_back_as_turns() {
        let (values, expected, turns) = stored();
        let read: Vec<_> = read_from(&values, expected)
            .unwrap()
            .into_iter()
            .map(|turn| turn.bytes)
            .collect();
        assert!(read == turns);
    }

    #[test]
    fn a_run_of_one_value_comes_back_and_no_cut_does() {
        let (_, expected, turns) = stored();
        let mut piece = Vec::new();
        put_whole(&mut piece, &turns);
        assert_eq!(piece.len(), piece_bytes(&turns));
        let read = read_whole(expected, &piece).unwrap();
        assert!(read.into_iter().map(|turn| turn.bytes).eq(turns));
        for end in 0..piece.len() {
            assert!(read_whole(expected, &piece[..end]).is_err(), "cut at {end}");
        }
        let other = Expected { chain: 1, ..expected };
        assert!(read_whole(other, &piece).unwrap_err().to_string().contains("checksum"));
    }

    #[test]
    fn the_first_turn_is_read_from_no_more_chunks_than_it_is_in() {
        let turns: Vec<Bytes> = [5_000, 20_000].map(|bytes| Bytes::from(vec![7; bytes])).to_vec();
        let values: BTreeMap<_, _> = piece(RUN, 0, 1, &turns).into_iter().collect();
        let expected = Expected {
            run: RUN,
            chunks: u32::try_from(values.len()).unwrap(),
            turns: 2,
            chain: 0,
        };
        let read = |there: u32| {
            let mut asked = 0;
            let first = read_first(expected, |key| {
                asked += 1;
                let value = values.get(key).filter(|_| asked <= there);
                Ok(value.map(|value| sled::IVec::from(&value[..])))
            });
            (first.ok().map(|turn| turn.bytes), asked)
        };
        assert!(read(u32::MAX) == (Some(turns[0].clone()), 2));
        assert!(read(1) == (None, 2), "its second chunk is missing");
    }

    #[test]
    fn what_is_missing_is_named() {
        let (values, expected, _) = stored();
        for chunk in 0..expected.chunks {
            let mut fewer = values.clone();
            fewer.remove(&keys::history(RUN, chunk));
            let error = read_from(&fewer, expected).unwrap_err();
            assert!(error.contains(&format!("history chunk {} of 5", chunk + 1)), "{error}");
            assert!(error.contains("01010101"), "{error}");
        }
        let fewer = Expected { chunks: 2, ..expected };
        assert_eq!(
            read_from(&values, fewer).unwrap_err(),
            format!("damaged data of run {RUN}: only 2 of 4 turns are there")
        );
        let other = Expected { chain: 1, ..expected };
        assert!(read_from(&values, other).unwrap_err().contains("checksum"));
    }
}
