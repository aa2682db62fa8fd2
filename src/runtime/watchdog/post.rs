//! Which turn a shard is in, as its own thread says and the watchdog's reads: without a lock, since every turn says it and hardly
//! one is ever read. Must not live here: how long is too long.
//!
//! The order of the writes makes it safe: whoever has read something of a turn, and then still finds its number, has read nothing
//! of the next one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use crate::model::{RunId, WorkflowId, WorkflowType, limits};

/// What a shard does: written by its thread alone when a turn begins and ends, without a lock and without allocating. On cache
/// lines of its own: each shard writes for each of its turns.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Post {
    /// Odd while a turn is under way, and never twice the same.
    number: AtomicU64,
    run: [AtomicU64; 2],
    workflow_id: Text<WORDS_OF_ID>,
    /// Nothing: it is not known.
    workflow_type: Text<WORDS_OF_TYPE>,
}

/// A namespace and an id, with what stands between them.
const WORDS_OF_ID: usize = (limits::NAMESPACE_BYTES_MAX + 1 + limits::ID_BYTES_MAX).div_ceil(8);
const WORDS_OF_TYPE: usize = limits::ID_BYTES_MAX.div_ceil(8);

impl Post {
    pub(super) fn begin(&self, workflow_id: &WorkflowId, run_id: RunId, workflow_type: Option<&WorkflowType>) {
        let number = self.number.load(Ordering::Relaxed);
        // Whoever reads something of what follows sees that the turn of before is over.
        fence(Ordering::Release);
        for (word, bytes) in self.run.iter().zip(run_id.as_bytes().chunks_exact(8)) {
            let bytes = bytes.try_into().unwrap_or_default();
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.workflow_id.write(workflow_id.qualified());
        self.workflow_type.write(workflow_type.map_or("", WorkflowType::as_str));
        self.number.store(number.wrapping_add(1) | 1, Ordering::Release);
    }

    pub(super) fn end(&self) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number.wrapping_add(number & 1), Ordering::Relaxed);
    }

    /// The number of the turn that is under way.
    pub(super) fn turn(&self) -> Option<u64> {
        let number = self.number.load(Ordering::Acquire);
        (number & 1 == 1).then_some(number)
    }

    /// Whose turn this is; `None`: it has come back meanwhile.
    pub(super) fn whose(&self, turn: u64) -> Option<(WorkflowId, RunId, Option<WorkflowType>)> {
        let mut run = [0; 16];
        for (bytes, word) in run.chunks_exact_mut(8).zip(&self.run) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let (workflow_id, workflow_type) = (self.workflow_id.read(), self.workflow_type.read());
        fence(Ordering::Acquire);
        let is_whole = self.number.load(Ordering::Relaxed) == turn;
        is_whole.then(|| {
            let workflow_type = (!workflow_type.is_empty()).then(|| WorkflowType::from_trusted(workflow_type));
            (
                WorkflowId::from_trusted(workflow_id),
                RunId::from_bytes(run),
                workflow_type,
            )
        })
    }
}

/// A text that one thread writes while another may read: what that has read means nothing unless the post's number says that
/// nobody wrote meanwhile.
struct Text<const WORDS: usize> {
    length: AtomicUsize,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Default for Text<WORDS> {
    fn default() -> Self {
        Self {
            length: AtomicUsize::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

impl<const WORDS: usize> Text<WORDS> {
    fn write(&self, text: &str) {
        self.length.store(text.len(), Ordering::Relaxed);
        for (word, bytes) in self.words.iter().zip(text.as_bytes().chunks(8)) {
            let mut whole = [0; 8];
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
    }

    fn read(&self) -> String {
        let length = self.length.load(Ordering::Relaxed);
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let bytes: Vec<u8> = words.flatten().take(length).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamespaceName;

    #[test]
    fn whose_turn_it_is_is_said_in_full() {
        let post = Post::default();
        let longest = "é".repeat(limits::ID_BYTES_MAX / 2);
        let namespace = NamespaceName::new("n".repeat(limits::NAMESPACE_BYTES_MAX)).unwrap();
        let run_id = RunId::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        // The long ones first: nothing of them is left behind the short ones.
        for (id, workflow_type) in [
            (
                WorkflowId::from_trusted(longest.clone()).in_namespace(&namespace),
                Some(longest.as_str()),
            ),
            (WorkflowId::from_trusted("12345678"), Some("ordered!!")),
            (WorkflowId::from_trusted("a"), None),
        ] {
            let workflow_type = workflow_type.map(WorkflowType::from_trusted);
            post.begin(&id, run_id, workflow_type.as_ref());
            let number = post.turn().unwrap();
            assert_eq!(post.whose(number), Some((id, run_id, workflow_type)));
            post.end();
            assert_eq!((post.turn(), post.whose(number)), (None, None));
        }
    }

    /// A reader beside a shard whose turns come and go: what it reads is of one turn, or it is not taken.
    #[test]
    fn nobody_is_told_of_a_turn_that_is_half_another_one() {
        let post = Post::default();
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                for number in 0..50_000_u64 {
                    let text = number.to_string().repeat(9);
                    let run_id = RunId::from_bytes(u128::from(number).to_be_bytes());
                    let kind = WorkflowType::from_trusted(text.as_str());
                    let id = WorkflowId::from_trusted(text);
                    post.begin(&id, run_id, Some(&kind));
                    post.end();
                }
            });
            // Also when it has panicked.
            while !writer.is_finished() {
                let Some((id, run_id, kind)) = post.turn().and_then(|turn| post.whose(turn)) else {
                    continue;
                };
                let number = u128::from_be_bytes(*run_id.as_bytes());
                assert_eq!(id.as_str(), number.to_string().repeat(9));
                assert_eq!(kind.unwrap().as_str(), id.as_str());
            }
        });
    }
}
