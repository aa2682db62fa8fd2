//! Keeping sled's file small. sled moves what is left in a segment that is half empty, so that the segment can be used
//! again, but only one of its pages each time that it consolidates another one, which in bulk loads is far too seldom: the
//! file then grew to four times its content. Here sled is made to consolidate small pages: what is written for that has no
//! meaning. Must not live here: when that may be done.

use super::keys;
use super::round::Writes;

/// Keys that are written over and over. sled has eight to sixteen of them in a page, and consolidates it at every tenth
/// write: all of them make it move some twenty pages.
const KEYS: u16 = 256;

/// Bytes written into the database for which one key is written, now or when there is time. Ten keys move one page of some
/// 48 KiB.
const BYTES_PER_KEY: usize = 4 * 1024;

/// Keys that wait for time at most: they move some 75 MiB.
const LATER_MAX: usize = 16 * 1024;

/// How much there is to sweep up.
#[derive(Debug, Default)]
pub(super) struct Broom {
    next: u16,
    /// Of the value, so that it is another one each time.
    turn: u32,
    /// Keys to be written when there is time.
    later: usize,
}

impl Broom {
    /// Adds to a batch what it has to sweep: at once for the bytes of runs that are open, which stay where they are for
    /// long and are many; for everything that is in the batch once more when there is time, since a busy engine needs its
    /// time for the runs that end.
    pub(super) fn sweep_with(&mut self, writes: &mut Writes, bytes: usize, of_open_runs: usize) {
        let keys = bytes.div_ceil(BYTES_PER_KEY);
        self.later = self.later.saturating_add(keys).min(LATER_MAX);
        self.put(of_open_runs.div_ceil(BYTES_PER_KEY), writes);
    }

    /// What is to be swept now that there is time; nothing, if all is done.
    pub(super) fn sweep_later(&mut self) -> Writes {
        let mut writes = Writes::new();
        let keys = self.later.min(usize::from(KEYS));
        self.later -= keys;
        self.put(keys, &mut writes);
        writes
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.later > 0
    }

    fn put(&mut self, keys: usize, writes: &mut Writes) {
        // A key counts once in a batch.
        for _ in 0..keys.min(usize::from(KEYS)) {
            self.turn = self.turn.wrapping_add(1);
            writes.push((keys::broom(self.next), Some(self.turn.to_be_bytes().to_vec())));
            self.next = (self.next + 1) % KEYS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_swept_later_as_was_written_and_each_key_once_in_a_batch() {
        let mut broom = Broom::default();
        let mut writes = Writes::new();
        broom.sweep_with(&mut writes, 300 * BYTES_PER_KEY, 300 * BYTES_PER_KEY);
        assert_eq!(writes.len(), usize::from(KEYS));
        let keys: std::collections::BTreeSet<_> = writes.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys.len(), writes.len());
        let mut closed = Writes::new();
        broom.sweep_with(&mut closed, 1, 0);
        assert_eq!(closed, Writes::new());
        let later: Vec<usize> = std::iter::from_fn(|| broom.is_wanted().then(|| broom.sweep_later().len())).collect();
        assert_eq!(later, [256, 45]);
        assert_eq!(broom.sweep_later(), Writes::new());
    }
}
