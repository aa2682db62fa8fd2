//! The keys, written by hand: one byte for the kind, then big-endian parts, so that the order of the bytes is the order
//! of the things. Must not live here: values.
//!
//! | Key | Value |
//! |---|---|
//! | `D` digest(32) chunk(4) | a saga definition |
//! | `F` | the format of the whole store |
//! | `H` run(16) chunk(4) | turns of one run, in order |
//! | `L` commit(8) chunk(4) | the log: everything that one commit brought |
//! | `O` run(16) | marks an open run that has a head |
//! | `R` run(16) | the head of a run: every closed one, and open ones whose turns are not all in the log; of a small closed run its turns as well |
//! | `W` length(2) workflow id, run(16) | finds the runs of a workflow id; the last one is the newest |
//!
//! Run ids begin with their time of creation, so that `H` and `R` grow at their end, as `L` does. Lengths come before
//! texts, so that no workflow id is a prefix of another one's keys.

use crate::model::{DefinitionDigest, RunId, WorkflowId};

pub(super) const DEFINITION: u8 = b'D';
pub(super) const FORMAT: u8 = b'F';
pub(super) const HISTORY: u8 = b'H';
pub(super) const LOG: u8 = b'L';
pub(super) const OPEN: u8 = b'O';
pub(super) const HEAD: u8 = b'R';
pub(super) const NAME: u8 = b'W';

pub(super) type Key = Vec<u8>;

fn key(kind: u8, parts: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn format() -> Key {
    vec![FORMAT]
}

pub(super) fn definition(digest: DefinitionDigest, chunk: u32) -> Key {
    key(DEFINITION, &[&digest.0, &chunk.to_be_bytes()])
}

pub(super) fn history(run: RunId, chunk: u32) -> Key {
    key(HISTORY, &[run.as_bytes(), &chunk.to_be_bytes()])
}

pub(super) fn log(commit: u64, chunk: u32) -> Key {
    key(LOG, &[&commit.to_be_bytes(), &chunk.to_be_bytes()])
}

pub(super) fn open(run: RunId) -> Key {
    key(OPEN, &[run.as_bytes()])
}

pub(super) fn head(run: RunId) -> Key {
    key(HEAD, &[run.as_bytes()])
}

/// `None` as run: what comes before the keys of all its runs.
fn name_prefix(workflow_id: &WorkflowId) -> Key {
    let text = workflow_id.as_str().as_bytes();
    // Longer ids than 255 bytes are refused where they enter; cutting keeps even those apart from other lengths.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key(NAME, &[&length.to_be_bytes(), text])
}

pub(super) fn name(workflow_id: &WorkflowId, run: RunId) -> Key {
    let mut key = name_prefix(workflow_id);
    key.extend_from_slice(run.as_bytes());
    key
}

/// The range of all runs of a workflow id.
pub(super) fn names(workflow_id: &WorkflowId) -> std::ops::RangeInclusive<Key> {
    let bound = |byte| name(workflow_id, RunId::from_bytes([byte; 16]));
    bound(0)..=bound(u8::MAX)
}

/// The workflow id in a `W` key.
pub(super) fn read_name(key: &[u8]) -> Option<WorkflowId> {
    let (rest, _) = key.split_last_chunk::<16>()?;
    let (_, text) = rest.split_first_chunk::<3>()?;
    Some(WorkflowId::from_trusted(std::str::from_utf8(text).ok()?))
}

/// The run at the end of an `O`, `R` or `W` key; `None` for a key that is too short.
pub(super) fn run_at_end(key: &[u8]) -> Option<RunId> {
    let (_, run) = key.split_last_chunk::<16>()?;
    Some(RunId::from_bytes(*run))
}

/// The run and the chunk of an `H` key.
pub(super) fn read_history(key: &[u8]) -> Option<(RunId, u32)> {
    let (rest, chunk) = key.split_last_chunk::<4>()?;
    Some((run_at_end(rest)?, u32::from_be_bytes(*chunk)))
}

/// The commit and the chunk of an `L` key.
pub(super) fn read_log(key: &[u8]) -> Option<(u64, u32)> {
    let (rest, chunk) = key.split_last_chunk::<4>()?;
    let (_, commit) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*commit), u32::from_be_bytes(*chunk)))
}

/// The digest and the chunk of a `D` key.
pub(super) fn read_definition(key: &[u8]) -> Option<(DefinitionDigest, u32)> {
    let (rest, chunk) = key.split_last_chunk::<4>()?;
    let (_, digest) = rest.split_last_chunk::<32>()?;
    Some((DefinitionDigest(*digest), u32::from_be_bytes(*chunk)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_the_things_do() {
        let run = |byte| RunId::from_bytes([byte; 16]);
        assert!(log(255, 9) < log(256, 0) && log(1, 255) < log(1, 256));
        assert!(history(run(1), 256) < history(run(2), 0));
        assert!(head(run(1)) < head(run(2)));
        let id = WorkflowId::from_trusted("a");
        let other = WorkflowId::from_trusted("a\u{ff}");
        assert!(names(&id).contains(&name(&id, run(0xff))) && names(&id).contains(&name(&id, run(0))));
        assert!(!names(&id).contains(&name(&other, run(7))));
    }

    #[test]
    fn keys_are_read_as_written() {
        let run = RunId::from_bytes([3; 16]);
        let digest = DefinitionDigest([4; 32]);
        assert_eq!(read_history(&history(run, 7)), Some((run, 7)));
        assert_eq!(read_log(&log(9, 8)), Some((9, 8)));
        assert_eq!(read_definition(&definition(digest, 1)), Some((digest, 1)));
        let name = name(&WorkflowId::from_trusted("x"), run);
        assert_eq!(
            (run_at_end(&name), read_name(&name).unwrap().as_str()),
            (Some(run), "x")
        );
        assert_eq!((read_log(b"L123"), run_at_end(b"R")), (None, None));
    }
}
