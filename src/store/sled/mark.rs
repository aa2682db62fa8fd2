//! A witness beside the database: the number of the last commit that was acknowledged. Must not live here: deciding
//! what a difference means.
//!
//! A damaged last block of the log looks like one whose write was not finished. The witness is written after a
//! commit is durable, so it never names a commit that a crash may have undone, and a log that ends before it has lost
//! something. It is only a lower bound: it is not synced on each commit, and a lost or damaged witness proves nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::log::write_at;

/// Two places, written in turns: a crash can spoil only one of them.
const SLOT_BYTES: usize = 20;
const MAGIC: [u8; 8] = *b"amends\0\x01";

#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

fn slot(commit: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    let number = commit.to_be_bytes();
    let check = crc32c::crc32c_append(crc32c::crc32c(&MAGIC), &number).to_be_bytes();
    let parts = MAGIC.into_iter().chain(number).chain(check);
    slot.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    slot
}

fn read_slot(bytes: &[u8]) -> Option<u64> {
    let number = bytes.get(8..16)?.first_chunk::<8>().copied().map(u64::from_be_bytes)?;
    (bytes == slot(number)).then_some(number)
}

impl Mark {
    /// Opens or creates the witness and reads it; 0 when it says nothing.
    pub(super) fn open(path: &Path) -> io::Result<(Mark, u64)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        let mut bytes = Vec::new();
        (&file).take(4_096).read_to_end(&mut bytes)?;
        let newest = bytes.chunks(SLOT_BYTES).take(2).filter_map(read_slot).max();
        Ok((Mark { file }, newest.unwrap_or(0)))
    }

    /// Writes that this commit was acknowledged.
    pub(super) fn set(&self, commit: u64) -> io::Result<()> {
        let offset = if commit.is_multiple_of(2) { 0 } else { SLOT_BYTES as u64 };
        write_at(&self.file, offset, &slot(commit))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let (mark, none) = Mark::open(&path).unwrap();
        assert_eq!(none, 0);
        for commit in 1..=7 {
            mark.set(commit).unwrap();
            assert_eq!(Mark::open(&path).unwrap().1, commit);
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_BYTES + 12] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, 6, "the other slot is older, and whole");
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, 0);
    }
}
