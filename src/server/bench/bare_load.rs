//! The yardstick: the same bytes in as many dependent durable appends, by as many clients, without any engine. One
//! thread writes what has gathered into a file that has its size already, and syncs it: about the least that any
//! durable log must do. Must not live here: anything that knows what a saga is.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::BenchError;
use super::figures::{Counters, Work};
use super::slice::Load;

/// The file's size. Written from its beginning again when it is full; a log would have switched to its next file, made
/// ready in the background.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What a turn's bytes are.
const FILLING: u8 = 0x5a;

/// Clients that append, and the thread that writes for them.
#[derive(Clone)]
pub(super) struct BareLoad {
    log: Arc<Log>,
    work: Work,
}

struct Log {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// Who waits for the commit that gathers now.
    gathering: Vec<Waker>,
    /// The number of the commit that gathers now.
    current: u64,
    /// Every commit before this one is durable.
    durable: u64,
    counters: Counters,
    failed: Option<String>,
    over: bool,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn made durable.
    async fn append(&self) -> Result<(), BenchError> {
        let mut ticket = None;
        std::future::poll_fn(|context| {
            let mut state = self.state();
            if let Some(reason) = &state.failed {
                return Poll::Ready(Err(BenchError::Thread(reason.clone())));
            }
            match ticket {
                Some(commit) if commit < state.durable => return Poll::Ready(Ok(())),
                Some(_) => return Poll::Pending,
                None => {}
            }
            ticket = Some(state.current);
            let first = state.gathering.is_empty();
            state.gathering.push(context.waker().clone());
            drop(state);
            if first {
                self.arrived.notify_one();
            }
            Poll::Pending
        })
        .await
    }

    /// The thread's body.
    fn write(&self, file: &File, turn_bytes: usize, durable: bool) {
        let mut block: Vec<u8> = Vec::new();
        let mut offset = 0;
        loop {
            let mut state = self.state();
            while state.gathering.is_empty() && !state.over {
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.gathering.is_empty() {
                return;
            }
            let waiting = std::mem::take(&mut state.gathering);
            state.current += 1;
            drop(state);

            block.clear();
            block.resize(turn_bytes * waiting.len(), FILLING);
            let length = block.len() as u64;
            if offset + length > FILE_BYTES {
                offset = 0;
            }
            let written = file.write_all_at(&block, offset);
            let synced = written.and_then(|()| if durable { file.sync_data() } else { Ok(()) });
            offset += length;

            let mut state = self.state();
            state.durable = state.current;
            state.counters.commits += 1;
            state.counters.syncs += u64::from(durable);
            if let Err(error) = synced {
                state.failed = Some(error.to_string());
            }
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn stop(&self) {
        self.state().over = true;
        self.arrived.notify_one();
    }
}

impl BareLoad {
    /// Prepares the file and starts the thread. Without `durable`, nothing is synced.
    pub(super) fn start(path: &Path, work: Work, durable: bool) -> Result<Self, BenchError> {
        let file = full_size_file(path).map_err(|error| BenchError::file(path, &error))?;
        let log = Arc::new(Log {
            state: Mutex::default(),
            arrived: Condvar::new(),
        });
        let writer = Arc::clone(&log);
        let turn_bytes = usize::try_from(work.turn_bytes).unwrap_or(usize::MAX).max(1);
        let thread = std::thread::Builder::new().name("bench-bare-log".to_owned());
        thread
            .spawn(move || writer.write(&file, turn_bytes, durable))
            .map_err(|error| BenchError::Thread(error.to_string()))?;
        Ok(Self { log, work })
    }

    pub(super) fn stop(&self) {
        self.log.stop();
    }
}

/// Zeros written, not only reserved: an append then changes neither the file's length nor its blocks.
fn full_size_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..FILE_BYTES / (1024 * 1024) {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}

impl Load for BareLoad {
    async fn one_saga(&self) -> Result<(), BenchError> {
        for _ in 0..self.work.turns {
            self.log.append().await?;
        }
        Ok(())
    }

    fn counters(&self) -> Counters {
        self.log.state().counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_append_is_in_a_commit_and_dependent_ones_are_in_different_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let work = Work {
            turns: 4,
            turn_bytes: 10,
        };
        let load = BareLoad::start(&path, work, true).unwrap();
        load.one_saga().await.unwrap();
        assert_eq!(load.counters(), Counters { commits: 4, syncs: 4 });
        load.stop();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, FILE_BYTES);
        assert_eq!(bytes.iter().filter(|byte| **byte == FILLING).count(), 40);
    }
}
