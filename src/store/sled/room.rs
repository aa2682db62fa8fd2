//! Room at the end of the database's file: zeros written ahead of sled. A sync of a file that grows must write the
//! file's new length as well, which costs a small commit a third of its time; within the file's length it need not.
//! Must not live here: anything that is stored.
//!
//! Zeros are what sled itself writes over space that it does not use, and it takes them for nothing else. They are only
//! ever appended, so that they cannot come to lie on anything, whatever sled writes meanwhile; and those at the end are
//! taken away before sled opens the file, so that it finds the file as it would have left it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use fs4::FileExt;

/// sled allocates its file in segments of this size (its default, which the store does not change).
pub(super) const SEGMENT_BYTES: u64 = 512 * 1024;

/// Room is made when less than this is left.
const LEFT_MIN: u64 = 2 * 1024 * 1024;

/// How much is made at once: some thousand small commits.
const STEP_BYTES: u64 = 4 * 1024 * 1024;

/// What is written and synced at once: a commit's sync that comes meanwhile waits for so much.
const PIECE_BYTES: usize = 256 * 1024;

/// Bytes of commits after which to look again.
const LOOK_EVERY_BYTES: usize = 64 * 1024;

/// Commits that bring more than this on average share their sync among so many turns that room would gain nothing.
const SMALL_COMMIT_BYTES: usize = 16 * 1024;

/// Makes room on a thread of its own, asked by the committing thread.
#[derive(Debug)]
pub(super) struct Room {
    thread: Option<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    commits: usize,
    bytes: usize,
}

impl Room {
    /// Starts the thread; it ends when this is dropped.
    pub(super) fn new(database: &Path) -> io::Result<Room> {
        let file = OpenOptions::new().append(true).open(database)?;
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = Builder::new().name("amends-store-room".to_owned());
        let thread = thread.spawn(move || {
            loop {
                // Asked by being unparked; once too often does no harm.
                std::thread::park();
                if let Err(error) = append(&file, STEP_BYTES, &stop) {
                    // Commits are only slower without it, and say themselves what is wrong with the file.
                    tracing::debug!(%error, "no room is made ahead in the database's file");
                    return;
                }
                if stop.load(Ordering::Acquire) {
                    return;
                }
            }
        })?;
        Ok(Room {
            thread: Some(thread),
            over,
            commits: 0,
            bytes: 0,
        })
    }

    /// To be called after a commit that wrote so much: asks for more room now and then.
    pub(super) fn used(&mut self, file: &File, bytes: usize) {
        self.commits += 1;
        self.bytes += bytes;
        if self.bytes < LOOK_EVERY_BYTES {
            return;
        }
        let small = self.bytes / self.commits <= SMALL_COMMIT_BYTES;
        (self.commits, self.bytes) = (0, 0);
        if small
            && is_short(file).unwrap_or(false)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Whether sled has come close to the end of the file: the segment there has a beginning.
fn is_short(mut file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let Some(near) = length.checked_sub(LEFT_MIN) else {
        return Ok(true);
    };
    let mut first = [0; 1_024];
    file.seek(SeekFrom::Start(near / SEGMENT_BYTES * SEGMENT_BYTES))?;
    let read = file.read(&mut first)?;
    Ok(first.iter().take(read).any(|byte| *byte != 0))
}

fn append(mut file: &File, bytes: u64, stop: &AtomicBool) -> io::Result<()> {
    let zeros = vec![0; PIECE_BYTES];
    for _ in 0..bytes / PIECE_BYTES as u64 {
        if stop.load(Ordering::Acquire) {
            break;
        }
        file.write_all(&zeros)?;
        file.sync_data()?;
    }
    Ok(())
}

/// Takes the zeros at the end of the file away, as far as they are whole segments. Not from under a database that was
/// just closed in this process and still keeps its file: sled then finds them, and does the same, only slower.
pub(super) fn trim(database: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(database) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if FileExt::try_lock(&file).is_err() {
        return Ok(());
    }
    let length = file.metadata()?.len();
    let mut segments = length.div_ceil(SEGMENT_BYTES);
    let mut segment = Vec::new();
    while let Some(last) = segments.checked_sub(1) {
        let start = last * SEGMENT_BYTES;
        segment.resize(usize::try_from((length - start).min(SEGMENT_BYTES)).unwrap_or(0), 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut segment)?;
        if segment.iter().any(|byte| *byte != 0) {
            break;
        }
        segments = last;
    }
    match segments * SEGMENT_BYTES {
        end if end < length => file.set_len(end),
        _ => Ok(()),
    }
}
