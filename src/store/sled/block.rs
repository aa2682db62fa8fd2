//! What one commit writes into the log: everything that it brought. Must not live here: where in the log, and what a
//! block is framed with (that is `log`).
//!
//! ```text
//! head        epoch(8)
//! turn        1 run(16) seq(8) time(8) status(1) next event(8) wake(1 or 9) chain(4) flags(1) length(4) bytes
//!   flags     1: workflow id, type; 2: found by
//! delete      2 run(16)
//! definition  3 digest(32) length(4) bytes
//! left        4 time(8)
//! ```

use bytes::Bytes;

use super::codec::{Cursor, put_optional_time, put_text, put_time, put_u32, put_u64};
use super::found_by;
use super::index::{read_status, status_code};
use crate::model::{DefinitionDigest, RunId, RunStatus, Timestamp, WorkflowId, WorkflowType};
use crate::store::{NewRun, TurnRecord};

const TURN: u8 = 1;
const DELETED: u8 = 2;
const DEFINITION: u8 = 3;
const LEFT: u8 = 4;

/// What else is said of a turn.
const OPENS: u8 = 1;
const FOUND_BY: u8 = 2;

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
    Definition(DefinitionDigest, Bytes),
    /// The owner has gone.
    Left(Timestamp),
}

/// Writes the head of a block; entries follow.
pub(super) fn put_epoch(out: &mut Vec<u8>, epoch: u64) {
    put_u64(out, epoch);
}

pub(super) fn put_turn(out: &mut Vec<u8>, turn: &TurnRecord, chain: u32) {
    out.push(TURN);
    out.extend_from_slice(turn.run_id.as_bytes());
    put_u64(out, turn.seq);
    put_time(out, turn.time);
    out.push(status_code(turn.status));
    put_u64(out, turn.next_event);
    put_optional_time(out, turn.wake);
    put_u32(out, chain);
    out.push(u8::from(turn.opens.is_some()) * OPENS + u8::from(turn.found_by.is_some()) * FOUND_BY);
    if let Some(new) = &turn.opens {
        put_text(out, new.workflow_id.qualified());
        put_text(out, new.workflow_type.as_str());
    }
    if turn.found_by.is_some() {
        found_by::put(out, turn.found_by.as_deref());
    }
    put_bytes(out, &turn.bytes);
}

pub(super) fn put_deleted(out: &mut Vec<u8>, run: RunId) {
    out.push(DELETED);
    out.extend_from_slice(run.as_bytes());
}

pub(super) fn put_definition(out: &mut Vec<u8>, digest: DefinitionDigest, bytes: &[u8]) {
    out.push(DEFINITION);
    out.extend_from_slice(&digest.0);
    put_bytes(out, bytes);
}

pub(super) fn put_left(out: &mut Vec<u8>, at: Timestamp) {
    out.push(LEFT);
    put_time(out, at);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Copied out: what stays in memory for long would otherwise keep the whole segment there.
fn bytes(from: &mut Cursor<'_>) -> Option<Bytes> {
    let length = usize::try_from(from.u32()?).ok()?;
    from.bytes(length).map(Bytes::copy_from_slice)
}

fn entry(from: &mut Cursor<'_>) -> Option<Entry> {
    match from.u8()? {
        TURN => turn(from).map(Entry::Turn),
        DELETED => Some(Entry::Deleted(RunId::from_bytes(from.array()?))),
        DEFINITION => Some(Entry::Definition(DefinitionDigest(from.array()?), bytes(from)?)),
        LEFT => from.time().map(Entry::Left),
        _ => None,
    }
}

fn turn(from: &mut Cursor<'_>) -> Option<LoggedTurn> {
    let run_id = RunId::from_bytes(from.array()?);
    let seq = from.u64()?;
    let time: Timestamp = from.time()?;
    let status: RunStatus = read_status(from.u8()?)?;
    let next_event = from.u64()?;
    let wake = from.optional_time()?;
    let chain = from.u32()?;
    let flags = from.u8()?;
    let opens = match flags & OPENS {
        0 => None,
        _ => Some(NewRun {
            workflow_id: WorkflowId::from_trusted(from.text()?),
            workflow_type: WorkflowType::from_trusted(from.text()?),
        }),
    };
    let found_by = match flags & FOUND_BY {
        0 => None,
        _ => Some(found_by::read(from)??),
    };
    if flags & !(OPENS | FOUND_BY) != 0 {
        return None;
    }
    let bytes = bytes(from)?;
    let turn = TurnRecord {
        run_id,
        seq,
        time,
        bytes,
        status,
        next_event,
        wake,
        opens,
        found_by,
    };
    Some(LoggedTurn { turn, chain })
}

/// Reads a block: the epoch and the entries; `None` when it is not one.
pub(super) fn read(block: &[u8]) -> Option<(u64, Vec<Entry>)> {
    let mut from = Cursor::new(block);
    let epoch = from.u64()?;
    let mut entries = Vec::new();
    while !from.is_at_end() {
        entries.push(entry(&mut from)?);
    }
    Some((epoch, entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store_conformance::{run_id, turn};

    #[test]
    fn a_block_comes_back_as_written_and_no_cut_does() {
        let mut second = turn(1, 2, 900, RunStatus::Completed);
        second.wake = Some(Timestamp::FOREVER);
        let turns = [turn(1, 1, 300, RunStatus::Running), second];
        let digest = DefinitionDigest([6; 32]);
        let mut block = Vec::new();
        put_epoch(&mut block, 7);
        put_definition(&mut block, digest, b"a saga");
        put_turn(&mut block, &turns[0], 11);
        put_turn(&mut block, &turns[1], 12);
        put_deleted(&mut block, run_id(5));
        put_left(&mut block, Timestamp::from_micros(-9));
        let (epoch, entries) = read(&block).unwrap();
        assert_eq!(epoch, 7);
        let [
            Entry::Definition(read_digest, saga),
            Entry::Turn(first),
            Entry::Turn(second),
            Entry::Deleted(run),
            Entry::Left(left),
        ] = &entries[..]
        else {
            panic!("other entries came back: {entries:?}");
        };
        assert_eq!((first.chain, second.chain, *run), (11, 12, run_id(5)));
        assert_eq!(left.as_micros(), -9);
        assert_eq!((*read_digest, &saga[..]), (digest, &b"a saga"[..]));
        assert_eq!(
            format!("{:?}{:?}", first.turn, second.turn),
            format!("{:?}{:?}", turns[0], turns[1])
        );
        let complete = (0..block.len()).filter(|end| read(&block[..*end]).is_some());
        assert_eq!(complete.count(), 5, "cut only between two entries, or behind the head");
    }
}
