//! The log's files: segments in use and spare ones. Must not live here: what is in them (that is `segment`), and when
//! they are needed.
//!
//! A segment is named by its first commit. It is made under another name, whole and synced, and renamed when the log
//! comes to it, before anything is written into it; so whatever has the name of a segment is one.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Sizes;
use super::segment::{self, Identity};
use crate::store::Error;

const SUFFIX: &str = ".log";
const SPARE: &str = "spare.";
const UNFINISHED: &str = "unfinished";

/// Spare segments that are kept.
const SPARES_MAX: usize = 2;

/// What is zeroed and synced at once: a commit's sync that comes meanwhile waits for so much.
const PIECE_BYTES: usize = 256 * 1024;

/// One file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sled) struct Segment {
    /// The number of its first commit.
    pub(in crate::store::sled) first: u64,
    pub(in crate::store::sled) bytes: u64,
}

/// Which files there are.
#[derive(Debug)]
pub(in crate::store::sled) struct Files {
    directory: PathBuf,
    identity: Identity,
    sizes: Sizes,
    segments: VecDeque<Segment>,
    spares: Vec<PathBuf>,
    /// Numbers the names of spares.
    made: u64,
}

/// Writes at a place of a file.
pub(in crate::store::sled) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(not(unix))]
    {
        let mut file = file;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}

/// Makes names durable; elsewhere than on Unix, a rename is.
pub(in crate::store::sled) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

impl Files {
    /// What is in the directory, oldest first. Half-made segments are removed.
    pub(super) fn find(directory: &Path, sizes: Sizes) -> io::Result<Files> {
        let mut files = Files {
            directory: directory.to_owned(),
            identity: Identity::default(),
            sizes,
            segments: VecDeque::new(),
            spares: Vec::new(),
            made: 0,
        };
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let first = name.strip_suffix(SUFFIX).and_then(|name| name.parse().ok());
            if let Some(first) = first {
                let bytes = entry.metadata()?.len();
                files.segments.push_back(Segment { first, bytes });
            } else if let Some(number) = name.strip_prefix(SPARE).and_then(|name| name.parse().ok()) {
                files.made = files.made.max(number);
                files.spares.push(entry.path());
            } else if name.starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        files.segments.make_contiguous().sort_by_key(|segment| segment.first);
        Ok(files)
    }

    /// Says whose files these are: spare ones of anybody else, or of another size, are removed.
    pub(super) fn belong_to(&mut self, identity: Identity) -> io::Result<()> {
        self.identity = identity;
        for path in std::mem::take(&mut self.spares) {
            let file = File::open(&path)?;
            let fits = file.metadata()?.len() == self.sizes.segment_bytes;
            let mut header = Vec::new();
            file.take(segment::SECTOR_BYTES as u64).read_to_end(&mut header)?;
            if fits && segment::read_header(&header) == Ok(identity) && self.spares.len() < SPARES_MAX {
                self.spares.push(path);
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub(in crate::store::sled) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    pub(in crate::store::sled) fn path(&self, first: u64) -> PathBuf {
        self.directory.join(format!("{first:020}{SUFFIX}"))
    }

    pub(in crate::store::sled) fn bytes(&self) -> u64 {
        let spares = u64::try_from(self.spares.len()).unwrap_or(0);
        let segments: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        segments.saturating_add(spares.saturating_mul(self.sizes.segment_bytes))
    }

    /// Opens the segment that the log ends in.
    pub(super) fn open_last(&self) -> io::Result<Option<(File, Segment)>> {
        let last = self.segments.back().copied();
        last.map(|last| Ok((open(&self.path(last.first))?, last))).transpose()
    }

    /// Writes once more what was read.
    pub(super) fn write_again(&self, first: u64, at: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(&open(&self.path(first))?, at, bytes)
    }

    /// Makes durable whatever was read, from the segment of this commit on, and the names of the files: whoever wrote
    /// it may have been killed before, or did not care.
    pub(super) fn sync(&self, from: u64) -> io::Result<()> {
        let needed = self.segments.iter().filter(|segment| segment.first >= from);
        for segment in needed {
            open(&self.path(segment.first))?.sync_all()?;
        }
        sync_directory(&self.directory)?;
        self.sizes.step("log made durable");
        Ok(())
    }

    /// The segment of this commit and those after it; a spare one, if there is one.
    pub(super) fn begin(&mut self, first: u64) -> io::Result<(File, Segment)> {
        let spare = match self.spares.pop() {
            Some(spare) => spare,
            // Only a little is zeroed here: a commit waits for it.
            None => {
                self.made += 1;
                make(&self.directory, &self.identity, self.made, self.sizes.first_bytes)?
            }
        };
        self.sizes.step("spare chosen");
        let path = self.path(first);
        fs::rename(spare, &path)?;
        self.sizes.step("segment renamed");
        sync_directory(&self.directory)?;
        self.sizes.step("segment named for good");
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        let segment = Segment { first, bytes };
        self.segments.push_back(segment);
        Ok((file, segment))
    }

    /// The last segment has grown.
    pub(super) fn grown(&mut self, bytes: u64) {
        if let Some(last) = self.segments.back_mut() {
            last.bytes = last.bytes.max(bytes);
        }
    }

    /// Where and under which number to make a spare segment, if there is none.
    pub(in crate::store::sled) fn wanted(&mut self) -> Option<NewSpare> {
        if !self.spares.is_empty() {
            return None;
        }
        self.made += 1;
        Some(NewSpare {
            directory: self.directory.clone(),
            identity: self.identity,
            number: self.made,
            bytes: self.sizes.segment_bytes,
        })
    }

    pub(in crate::store::sled) fn add_spare(&mut self, path: PathBuf) {
        self.spares.push(path);
    }

    /// Takes away segments that lie wholly before this commit: the database has all of them, durably.
    pub(in crate::store::sled) fn drop_before(&mut self, commit: u64) -> io::Result<()> {
        while self.segments.get(1).is_some_and(|next| next.first <= commit)
            && let Some(segment) = self.segments.pop_front()
        {
            let path = self.path(segment.first);
            if segment.bytes == self.sizes.segment_bytes && self.spares.len() < SPARES_MAX {
                self.made += 1;
                let spare = self.directory.join(format!("{SPARE}{}", self.made));
                fs::rename(path, &spare)?;
                self.spares.push(spare);
            } else {
                fs::remove_file(path)?;
            }
            self.sizes.step("segment dropped");
        }
        Ok(())
    }

    /// The segments, by their first commits, that what follows commit `from` is in.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there is none.
    pub(super) fn needed(&self, from: u64) -> Result<Vec<u64>, Error> {
        let firsts = self.segments.iter().map(|segment| segment.first);
        let Some(start) = firsts.clone().rfind(|first| *first <= from) else {
            let what = format!("the segment of commit {from} is missing from the log");
            return Err(Error::Corrupt { run: None, what });
        };
        Ok(firsts.filter(|first| *first >= start).collect())
    }
}

/// A spare segment that is to be made.
#[derive(Debug)]
pub(in crate::store::sled) struct NewSpare {
    directory: PathBuf,
    identity: Identity,
    number: u64,
    bytes: u64,
}

impl NewSpare {
    /// Takes a while: the segment is zeroed, so that later syncs have no length and no place in the file to write.
    pub(in crate::store::sled) fn make(self) -> io::Result<PathBuf> {
        make(&self.directory, &self.identity, self.number, self.bytes)
    }
}

fn make(directory: &Path, identity: &Identity, number: u64, bytes: u64) -> io::Result<PathBuf> {
    let unfinished = directory.join(format!("{UNFINISHED}.{number}"));
    let spare = directory.join(format!("{SPARE}{number}"));
    let made = zeroed(&unfinished, identity, bytes).and_then(|()| fs::rename(&unfinished, &spare));
    if made.is_err() {
        // On a full disk, what there is of it would take the space that commits need.
        let _ = fs::remove_file(&unfinished);
    }
    made.map(|()| spare)
}

fn zeroed(path: &Path, identity: &Identity, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut piece = segment::header(identity);
    let mut left = bytes;
    while left > 0 {
        piece.resize(PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES)), 0);
        file.write_all(&piece)?;
        file.sync_data()?;
        left = left.saturating_sub(PIECE_BYTES as u64);
        piece.fill(0);
    }
    file.sync_all()
}
