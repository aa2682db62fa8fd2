//! The keys, written by hand: one byte for the kind, then big-endian parts, so that the order of the bytes is the order
//! of the things. Must not live here: values.
//!
//! | Key | Value |
//! |---|---|
//! | `A` length(2) name, class(1) value, run(16) | a page of the search attributes of runs (`attributes`), from this one on |
//! | `D` digest(32) chunk(4) | a saga definition |
//! | `F` | the format of the whole store, and its identity |
//! | `H` run(16) chunk(4) | turns of one run, in order |
//! | `O` run(16) | a page of marks of open runs that have a head, from this run on, with when they must be looked at |
//! | `R` run(16) | a page of heads of runs, from this run on: of every closed one, and of open ones whose turns are not all in the log; of a small run its turns as well |
//! | `S` | the state of it all: how far the log is in here, and the tallies |
//! | `W` length(2) workflow id, run(16) | a page of the runs of workflow ids, from this one on; the last one of an id is the newest |
//!
//! Run ids begin with their time of creation, so that `H` and `R` grow at their end. Lengths come before texts, so that
//! no workflow id is a prefix of another one's keys. The things in pages have keys like those of the pages.

use crate::model::{DefinitionDigest, RunId, WorkflowId};

pub(super) const ATTRIBUTE: u8 = b'A';
pub(super) const DEFINITION: u8 = b'D';
pub(super) const FORMAT: u8 = b'F';
pub(super) const HISTORY: u8 = b'H';
pub(super) const OPEN: u8 = b'O';
pub(super) const HEAD: u8 = b'R';
pub(super) const NAME: u8 = b'W';
pub(super) const STATE: u8 = b'S';

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

pub(super) fn state() -> Key {
    vec![STATE]
}

pub(super) fn definition(digest: DefinitionDigest, chunk: u32) -> Key {
    key(DEFINITION, &[&digest.0, &chunk.to_be_bytes()])
}

pub(super) fn history(run: RunId, chunk: u32) -> Key {
    key(HISTORY, &[run.as_bytes(), &chunk.to_be_bytes()])
}

pub(super) fn open(run: RunId) -> Key {
    key(OPEN, &[run.as_bytes()])
}

pub(super) fn head(run: RunId) -> Key {
    key(HEAD, &[run.as_bytes()])
}

/// `None` as run: what comes before the keys of all its runs.
fn name_prefix(workflow_id: &WorkflowId) -> Key {
    let text = workflow_id.qualified().as_bytes();
    // Longer ids than 255 bytes are refused where they enter; cutting keeps even those apart from other lengths.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key(NAME, &[&length.to_be_bytes(), text])
}

pub(super) fn name(workflow_id: &WorkflowId, run: RunId) -> Key {
    let mut key = name_prefix(workflow_id);
    key.extend_from_slice(run.as_bytes());
    key
}

/// Below all runs of a workflow id, and above.
pub(super) fn names(workflow_id: &WorkflowId) -> (Key, Key) {
    let bound = |byte| name(workflow_id, RunId::from_bytes([byte; 16]));
    (bound(0), bound(u8::MAX))
}

/// What comes before the values of a search attribute of this class.
pub(super) fn attribute(name: &str, class: u8) -> Key {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    key(ATTRIBUTE, &[&length.to_be_bytes(), name.as_bytes(), &[class]])
}

/// The name in an `A` key.
pub(super) fn read_attribute(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.get(1..)?.split_first_chunk::<2>()?;
    std::str::from_utf8(rest.get(..usize::from(u16::from_be_bytes(*length)))?).ok()
}

/// The workflow id in a `W` key.
pub(super) fn read_name(key: &[u8]) -> Option<WorkflowId> {
    let (rest, _) = key.split_last_chunk::<16>()?;
    let (_, text) = rest.split_first_chunk::<3>()?;
    Some(WorkflowId::from_trusted(std::str::from_utf8(text).ok()?))
}

/// The run at the end of an `A`, `O`, `R` or `W` key; `None` for a key that is too short.
pub(super) fn run_at_end(key: &[u8]) -> Option<RunId> {
    let (_, run) = key.split_last_chunk::<16>()?;
    Some(RunId::from_bytes(*run))
}

/// The run and the chunk of an `H` key.
pub(super) fn read_history(key: &[u8]) -> Option<(RunId, u32)> {
    let (rest, chunk) = key.split_last_chunk::<4>()?;
    Some((run_at_end(rest)?, u32::from_be_bytes(*chunk)))
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
        assert!(history(run(1), 256) < history(run(2), 0));
        assert!(head(run(1)) < head(run(2)));
        let id = WorkflowId::from_trusted("a");
        let other = WorkflowId::from_trusted("a\u{ff}");
        let (below, above) = names(&id);
        let within = |key: Key| below <= key && key <= above;
        assert!(within(name(&id, run(0xff))) && within(name(&id, run(0))));
        assert!(!within(name(&other, run(7))));
    }

    #[test]
    fn keys_are_read_as_written() {
        let run = RunId::from_bytes([3; 16]);
        let digest = DefinitionDigest([4; 32]);
        assert_eq!(read_history(&history(run, 7)), Some((run, 7)));
        assert_eq!(read_definition(&definition(digest, 1)), Some((digest, 1)));
        let name = name(&WorkflowId::from_trusted("x"), run);
        assert_eq!(
            (run_at_end(&name), read_name(&name).unwrap().as_str()),
            (Some(run), "x")
        );
        assert_eq!((read_history(b"H123"), run_at_end(b"R")), (None, None));
    }
}
