//! The log: what makes a commit durable. Lives here: appending, going on to the next segment, and reading all of it back.
//! Must not live here: what a block says, and from when on it is no longer needed.
//!
//! A commit is one write and one sync in a file that was zeroed ahead, so that a sync has no length to write.
//!
//! ```text
//! make      unfinished.N: header, zeros; sync the file; rename to spare.N
//! switch    rename spare.N to <first commit>.log; sync the directory; only then write into it
//! append    write the block from a sector's beginning; sync the file; only then acknowledge
//! drop      (the database is synced beyond the segment) rename it to spare.N, or remove it
//! ```
//!
//! A rename that is lost in a power cut brings back a segment that is not needed (dropped), or a spare one that nothing
//! was acknowledged in (switched). A spare segment keeps its old blocks; their numbers and checks give them away.

mod files;
mod segment;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use self::files::{Files, sync_directory, write_at};
use self::segment::{End, Place, SECTOR_BYTES};
pub(super) use self::segment::{Identity, begin};
use super::quiet::from_io;
use crate::store::{Durability, Error};

/// How large the log's parts are.
#[derive(Clone)]
pub(super) struct Sizes {
    /// A segment that was made ahead. Zeroing takes time and disk, hence not more; each switch costs a sync of the
    /// directory, hence not less.
    pub(super) segment_bytes: u64,
    /// A segment that a commit has to wait for, a new store's first one above all: a small store stays small.
    pub(super) first_bytes: u64,
    /// Segments from which on open runs are moved out of the log, so that it can be dropped: what recovery reads.
    pub(super) segments_target: usize,
    /// Segments from which on commits wait for the database: what the disk and the memory hold at the most.
    pub(super) segments_max: usize,
    /// Called between any two steps that a crash could come between.
    #[cfg(test)]
    pub(super) probe: Option<Arc<dyn Fn(&'static str) + Send + Sync>>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            first_bytes: 1024 * 1024,
            segments_target: 3,
            segments_max: 12,
            #[cfg(test)]
            probe: None,
        }
    }
}

impl std::fmt::Debug for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sizes").finish_non_exhaustive()
    }
}

impl Sizes {
    /// Does nothing, except in tests that look at what a crash would leave here.
    pub(super) fn step(&self, _name: &'static str) {
        #[cfg(test)]
        if let Some(probe) = &self.probe {
            probe(_name);
        }
    }
}

/// The files, which the committing thread adds to and the archive takes away from.
pub(super) type SharedFiles = Arc<Mutex<Files>>;

pub(super) fn lock(files: &SharedFiles) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of the log: where the next block goes.
#[derive(Debug)]
pub(super) struct Log {
    files: SharedFiles,
    sizes: Sizes,
    identity: Identity,
    file: File,
    /// Where the next block goes.
    offset: u64,
    /// The file's length; a block that is larger makes it grow.
    bytes: u64,
    next: u64,
    previous: u32,
    /// A spare segment was asked for.
    asked: bool,
    switched: bool,
}

fn damaged(what: String) -> Error {
    Error::Corrupt { run: None, what }
}

/// Whether any commit was ever written here. It is asked when there is no database.
pub(super) fn is_in_use(directory: &Path, sizes: &Sizes) -> Result<bool, Error> {
    let failed = |error| from_io("reading the log", &error);
    let files = Files::find(directory, sizes.clone()).map_err(failed)?;
    for found in files.segments() {
        let bytes = fs::read(files.path(found.first)).map_err(failed)?;
        let Ok(identity) = segment::read_header(&bytes) else {
            return Ok(true);
        };
        let mut place = Place {
            next: found.first,
            previous: None,
        };
        let read = segment::read::<Error>(&bytes, &identity, &mut place, |_| Ok(()))?;
        // A log that does not begin with the first commit had others before.
        if found.first > 1 || place.next > found.first || read.1 == End::Damaged {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where reading has come to.
struct Read {
    /// The segment that reading began with.
    first: u64,
    place: Place,
    /// The end of the last block in the last segment.
    offset: usize,
    /// The last block: its segment, its place there, its bytes.
    last_block: Option<(u64, usize, Vec<u8>)>,
}

/// Reads the segments from the one with commit `from` on.
fn read(
    files: &Files,
    identity: &Identity,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<Read, Error> {
    let mut place: Option<Place> = None;
    let (mut offset, mut last_block) = (SECTOR_BYTES, None);
    let needed = files.needed(from)?;
    let begin = needed.first().copied().unwrap_or(from);
    for first in needed {
        let name = format!("log segment {first}");
        let bytes = fs::read(files.path(first)).map_err(|error| from_io("reading the log", &error))?;
        let found = segment::read_header(&bytes).map_err(|what| damaged(format!("{name} {what}")))?;
        if found != *identity {
            return Err(damaged(format!("{name} belongs to another store")));
        }
        let at = place.get_or_insert(Place {
            next: first,
            previous: None,
        });
        if at.next != first {
            let next = at.next;
            return Err(damaged(format!(
                "commit {next} is missing from the log, which goes on with {first}"
            )));
        }
        let mut start = None;
        let (end, how) = segment::read(&bytes, identity, at, |block| {
            start = Some(block.at);
            match block.commit >= from {
                true => each(block.commit, block.content),
                false => Ok(()),
            }
        })?;
        if how == End::Damaged {
            let next = at.next;
            return Err(damaged(format!(
                "commit {next} is damaged in the log, at byte {end} of segment {first}"
            )));
        }
        offset = end;
        if let Some(start) = start {
            let block = bytes.get(start..end).unwrap_or_default().to_vec();
            last_block = Some((first, start, block));
        }
    }
    let place = place.filter(|place| place.next >= from);
    let place = place.ok_or_else(|| damaged(format!("the log ends before commit {from}, which the database needs")))?;
    Ok(Read {
        first: begin,
        place,
        offset,
        last_block,
    })
}

impl Log {
    /// A log without a commit; what an unfinished creation has left is removed.
    pub(super) fn create(directory: &Path, identity: Identity, sizes: &Sizes) -> io::Result<Log> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(directory)?,
        }
        let mut files = Files::find(directory, sizes.clone())?;
        files.belong_to(identity)?;
        let (file, segment) = files.begin(1)?;
        if let Some(parent) = directory.parent() {
            sync_directory(parent)?;
        }
        Ok(Log {
            files: Arc::new(Mutex::new(files)),
            sizes: sizes.clone(),
            identity,
            file,
            offset: SECTOR_BYTES as u64,
            bytes: segment.bytes,
            next: 1,
            previous: 0,
            asked: false,
            switched: false,
        })
    }

    /// Reads the log and hands out the blocks from commit `from` on; then it can go on. Earlier segments are not read.
    ///
    /// The last block is written again and everything synced: if its sync failed, it may be nowhere but in the cache,
    /// although it reads well. One that is not whole was never acknowledged and is written over; with anything behind it, it is damage.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when anything is missing or damaged, or belongs to another store.
    pub(super) fn open(
        directory: &Path,
        identity: Identity,
        sizes: &Sizes,
        from: u64,
        each: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<Log, Error> {
        let failed = |error| from_io("reading the log", &error);
        let mut files = Files::find(directory, sizes.clone()).map_err(failed)?;
        files.belong_to(identity).map_err(failed)?;
        let read = read(&files, &identity, from, each)?;
        if let Some((first, start, block)) = read.last_block {
            let at = u64::try_from(start).unwrap_or(u64::MAX);
            files.write_again(first, at, &block).map_err(failed)?;
        }
        files.sync(read.first).map_err(failed)?;
        let opened = files.open_last().map_err(failed)?;
        let (file, segment) = opened.ok_or_else(|| damaged("the log is missing".to_owned()))?;
        Ok(Log {
            files: Arc::new(Mutex::new(files)),
            sizes: sizes.clone(),
            identity,
            file,
            offset: u64::try_from(read.offset).unwrap_or(u64::MAX),
            bytes: segment.bytes,
            next: read.place.next,
            previous: read.place.previous.unwrap_or(0),
            asked: false,
            switched: false,
        })
    }

    /// Reads the log once more, from commit `from` on; gives the number of the commit that would be next.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when anything is missing or damaged.
    pub(super) fn read_again(
        &self,
        from: u64,
        each: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        Ok(read(&lock(&self.files), &self.identity, from, each)?.place.next)
    }

    pub(super) fn files(&self) -> &SharedFiles {
        &self.files
    }

    /// The number of the next commit.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Writes a block, of which the content is there behind [`begin`], and makes it durable; gives its number.
    ///
    /// # Errors
    /// Whatever went wrong; nothing may be assumed about the block, and nothing more may be appended.
    pub(super) fn append(&mut self, block: &mut Vec<u8>, durability: Durability) -> io::Result<u64> {
        let (commit, check) = (
            self.next,
            segment::seal(block, &self.identity, self.next, self.previous),
        );
        let bytes = u64::try_from(block.len()).unwrap_or(u64::MAX);
        let fits = self.offset.saturating_add(bytes) <= self.bytes;
        if !fits && self.offset > SECTOR_BYTES as u64 {
            self.switch()?;
        }
        files::write_at(&self.file, self.offset, block)?;
        self.sizes.step("block written");
        if durability == Durability::PowerSafe {
            self.file.sync_data()?;
        }
        self.offset = self.offset.saturating_add(bytes);
        if self.offset > self.bytes {
            self.bytes = self.offset;
            lock(&self.files).grown(self.bytes);
        }
        (self.next, self.previous) = (commit.saturating_add(1), check);
        Ok(commit)
    }

    /// Goes on in a new segment.
    fn switch(&mut self) -> io::Result<()> {
        let mut files = lock(&self.files);
        let (file, segment) = files.begin(self.next)?;
        self.switched = true;
        drop(files);
        self.asked = false;
        self.file = file;
        self.offset = SECTOR_BYTES as u64;
        self.bytes = segment.bytes;
        Ok(())
    }

    /// Whether it is time to make a spare segment; says so once for each segment.
    pub(super) fn is_short(&mut self) -> bool {
        self.offset > self.bytes / 2 && !std::mem::replace(&mut self.asked, true)
    }

    /// Whether a segment was added since this was asked last.
    pub(super) fn switched(&mut self) -> bool {
        std::mem::take(&mut self.switched)
    }
}
