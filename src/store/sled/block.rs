//! What one commit writes into the log: a header and everything that the commit brought. Must not live here: when a
//! block is written, read or dropped.
//!
//! ```text
//! header  epoch(8) horizon(8) tallies(4 x 16)
//! turn    1 run(16) seq(8) time(8) status(1) next event(8) wake(1 or 9) chain(4) opens(1, texts) length(4) bytes
//! delete  2 run(16)
//! ```
//!
//! The newest block's header is the store's commit record: who owns the store, from which block on the log is needed,
//! and what the tallies are.

use bytes::Bytes;

use super::codec::{Cursor, put_optional_time, put_text, put_time, put_u32, put_u64};
use super::frame::{CONTENT_BYTES_MAX, Chunks};
use super::index::{Tallies, Tally, read_status, status_code};
use super::keys::{self, Key};
use crate::model::{RunId, RunStatus, Timestamp, WorkflowId, WorkflowType};
use crate::store::{NewRun, TurnRecord};

const TURN: u8 = 1;
const DELETED: u8 = 2;

/// Bytes of a turn in the log besides its content and the ids of its run, at the most.
const TURN_OVERHEAD_BYTES: usize = 64;

/// Bytes of a block's header.
const HEADER_BYTES: usize = 8 + 8 + 4 * 16;

/// The fixed part of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: u64,
    /// The first commit whose block is needed.
    pub(super) horizon: u64,
    pub(super) tallies: Tallies,
}

/// A turn in the log, and the chain of its run up to it.
#[derive(Clone, Debug)]
pub(super) struct LoggedTurn {
    pub(super) turn: TurnRecord,
    pub(super) chain: u32,
}

/// One thing in a block.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Turn(LoggedTurn),
    Deleted(RunId),
}

/// Writes a block.
pub(super) struct BlockWriter {
    chunks: Chunks,
    scratch: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn new(header: &Header, turns: &[TurnRecord]) -> Self {
        let mut chunks = Chunks::new(Self::expected_bytes(turns));
        let mut scratch = Vec::with_capacity(256);
        put_u64(&mut scratch, header.epoch);
        put_u64(&mut scratch, header.horizon);
        let tallies = &header.tallies;
        for tally in [tallies.heads, tallies.names, tallies.open, tallies.definitions] {
            put_u64(&mut scratch, tally.count);
            put_u64(&mut scratch, tally.sum);
        }
        chunks.put(&scratch);
        Self { chunks, scratch }
    }

    /// About the size of a block; ids of new runs come on top.
    fn expected_bytes(turns: &[TurnRecord]) -> usize {
        let turns = turns.iter().map(|turn| turn.bytes.len() + TURN_OVERHEAD_BYTES);
        HEADER_BYTES + turns.sum::<usize>()
    }

    /// Whether these turns make a block of one value: never `true` for one that does not fit.
    pub(super) fn fits_one_value(turns: &[TurnRecord]) -> bool {
        let texts = turns.iter().filter_map(|turn| turn.opens.as_ref());
        let texts = texts.map(|new| 4 + new.workflow_id.as_str().len() + new.workflow_type.as_str().len());
        Self::expected_bytes(turns) + texts.sum::<usize>() <= CONTENT_BYTES_MAX
    }

    pub(super) fn turn(&mut self, turn: &TurnRecord, chain: u32) {
        let out = &mut self.scratch;
        out.clear();
        out.push(TURN);
        out.extend_from_slice(turn.run_id.as_bytes());
        put_u64(out, turn.seq);
        put_time(out, turn.time);
        out.push(status_code(turn.status));
        put_u64(out, turn.next_event);
        put_optional_time(out, turn.wake);
        put_u32(out, chain);
        out.push(u8::from(turn.opens.is_some()));
        if let Some(new) = &turn.opens {
            put_text(out, new.workflow_id.as_str());
            put_text(out, new.workflow_type.as_str());
        }
        put_u32(out, u32::try_from(turn.bytes.len()).unwrap_or(u32::MAX));
        self.chunks.put(out);
        self.chunks.put(&turn.bytes);
    }

    pub(super) fn deleted(&mut self, run: RunId) {
        self.chunks.put(&[DELETED]);
        self.chunks.put(run.as_bytes());
    }

    pub(super) fn finish(self, commit: u64) -> Vec<(Key, Vec<u8>)> {
        self.chunks.finish(|chunk| keys::log(commit, chunk))
    }
}

fn tally(from: &mut Cursor<'_>) -> Option<Tally> {
    Some(Tally {
        count: from.u64()?,
        sum: from.u64()?,
    })
}

fn header(from: &mut Cursor<'_>) -> Option<Header> {
    Some(Header {
        epoch: from.u64()?,
        horizon: from.u64()?,
        tallies: Tallies {
            heads: tally(from)?,
            names: tally(from)?,
            open: tally(from)?,
            definitions: tally(from)?,
        },
    })
}

fn entry(from: &mut Cursor<'_>) -> Option<Entry> {
    let tag = from.u8()?;
    let run_id = RunId::from_bytes(from.array()?);
    if tag == DELETED {
        return Some(Entry::Deleted(run_id));
    }
    if tag != TURN {
        return None;
    }
    let seq = from.u64()?;
    let time: Timestamp = from.time()?;
    let status: RunStatus = read_status(from.u8()?)?;
    let next_event = from.u64()?;
    let wake = from.optional_time()?;
    let chain = from.u32()?;
    let opens = match from.u8()? {
        0 => None,
        1 => Some(NewRun {
            workflow_id: WorkflowId::from_trusted(from.text()?),
            workflow_type: WorkflowType::from_trusted(from.text()?),
        }),
        _ => return None,
    };
    let length = usize::try_from(from.u32()?).ok()?;
    // Copied out: a run that stays open for long would otherwise keep the whole block in memory.
    let bytes = Bytes::copy_from_slice(from.bytes(length)?);
    let turn = TurnRecord {
        run_id,
        seq,
        time,
        bytes,
        status,
        next_event,
        wake,
        opens,
    };
    Some(Entry::Turn(LoggedTurn { turn, chain }))
}

/// Reads a block; `None` when it is not one.
pub(super) fn read(block: &[u8]) -> Option<(Header, Vec<Entry>)> {
    let mut from = Cursor::new(block);
    let header = header(&mut from)?;
    let mut entries = Vec::new();
    while !from.is_at_end() {
        entries.push(entry(&mut from)?);
    }
    Some((header, entries))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Joined;
    use super::*;
    use crate::testing::store_conformance::{run_id, turn};

    #[test]
    fn a_block_comes_back_as_written_and_no_cut_does() {
        let tallies = Tallies {
            open: Tally { count: 3, sum: 4 },
            ..Tallies::default()
        };
        let header = Header {
            epoch: 7,
            horizon: 2,
            tallies,
        };
        let mut second = turn(1, 2, 9_000, RunStatus::Completed);
        second.wake = Some(Timestamp::FOREVER);
        let turns = [turn(1, 1, 300, RunStatus::Running), second];
        let mut writer = BlockWriter::new(&header, &turns);
        writer.turn(&turns[0], 11);
        writer.turn(&turns[1], 12);
        writer.deleted(run_id(5));
        let mut joined = Joined::default();
        for (key, value) in writer.finish(9) {
            assert!(joined.add(&key, &value).is_ok());
        }
        let whole = joined.whole().unwrap();
        let (read_header, entries) = read(&whole).unwrap();
        assert_eq!(read_header, header);
        let [Entry::Turn(first), Entry::Turn(second), Entry::Deleted(run)] = &entries[..] else {
            panic!("other entries came back: {entries:?}");
        };
        assert_eq!((first.chain, second.chain, *run), (11, 12, run_id(5)));
        assert_eq!(
            format!("{:?}{:?}", first.turn, second.turn),
            format!("{:?}{:?}", turns[0], turns[1])
        );
        let mut complete = 0;
        for end in 0..whole.len() {
            complete += usize::from(read(&whole.slice(..end)).is_some());
        }
        assert_eq!(complete, 3, "cut only between two entries, or behind the header");
    }
}
