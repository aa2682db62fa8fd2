//! Opening a store's directory: who may, what is cleaned up, and what is made durable before anything relies on it.
//! Must not live here: reading what is stored (that is `recover`).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

use fs4::FileExt;

use super::archive::{self, Archive};
use super::bell::Bell;
use super::log::{self, Sizes, sync_directory};
use super::mark::Mark;
use super::quiet::{from_io, install, quietly};
use super::state::Writer;
use super::{Disk, Shared, SledOptions, SledStore, recover};
use crate::store::{Error, StoreStats};

const LOCK_FILE: &str = "amends.lock";
const MARK_FILE: &str = "amends.mark";
const DATABASE_FILE: &str = "db";
const LOG_DIRECTORY: &str = "log";

/// How often to ask again for a database that was just closed in this process and still keeps its file; measured: 44 ms
/// at the most, and this waits 5 s.
const RELEASE_WAITS_MAX: u32 = 2_500;
const RELEASE_POLL: Duration = Duration::from_millis(2);

/// How often to ask again for the directory's lock. A program that this process just starts has a copy of every open
/// file, the lock's too, until it is loaded: 0.2 s is much more than that takes.
const LOCK_WAITS_MAX: u32 = 100;

pub(super) fn open(directory: &Path, options: &SledOptions, sizes: Sizes) -> Result<SledStore, Error> {
    install();
    let directory = make_directory(directory)?;
    let lock = take_lock(&directory)?;
    remove_unfinished_snapshots(&directory).map_err(|error| unusable(&directory, &error))?;
    let (mark, acknowledged) = Mark::open(&directory.join(MARK_FILE)).map_err(|error| unusable(&directory, &error))?;
    let database = directory.join(DATABASE_FILE);
    let db = open_database(&directory, options)?;
    let file = OpenOptions::new().read(true).write(true).open(&database);
    let disk = Disk {
        db,
        file: file.map_err(|error| unusable(&directory, &error))?,
        directory: directory.clone(),
    };
    sync_database(&disk).map_err(|error| from_io("syncing the data directory", &error))?;
    let recovered = recover::recover(&disk, &directory.join(LOG_DIRECTORY), acknowledged, options, &sizes)?;
    // All of it is durable now, and may be read: from here on it must not end earlier.
    if recovered.live.last > acknowledged
        && let Err(error) = mark.set(recovered.live.last)
    {
        tracing::warn!(%error, "cannot write the witness of the last commit");
    }
    let files = Arc::clone(recovered.log.files());
    let writer = Writer {
        log: recovered.log,
        mark,
        block: Vec::new(),
    };
    let shared = Arc::new(Shared {
        disk,
        durability: options.durability,
        sizes,
        live: RwLock::new(recovered.live),
        writer: Mutex::new(writer),
        archive: Mutex::new(Archive {
            state: recovered.state,
            // sled itself writes when it opens.
            unsynced: true,
        }),
        files,
        bell: Bell::default(),
        wants_spare: AtomicBool::new(false),
        poison: OnceLock::new(),
        idle: Mutex::new(Vec::new()),
        stats: Mutex::new(StoreStats::default()),
        _lock: lock,
    });
    let thread = thread::Builder::new().name("amends-store-archive".to_owned());
    let theirs = Arc::clone(&shared);
    let archive = thread.spawn(move || archive::run(&theirs));
    let archive = archive.map_err(|error| from_io("starting the archive's thread", &error))?;
    // What was left behind goes on.
    let (waiting, segments) = (shared.live().queue.len(), log::lock(&shared.files).segments().len());
    shared.count_segments();
    shared.bell.ring(waiting, segments > 1);
    Ok(SledStore {
        shared,
        archive: Some(archive),
    })
}

/// The lock is the first file of ours in a new store's directory, and no other program's.
pub(super) fn is_at(directory: &Path) -> bool {
    directory.join(LOCK_FILE).is_file()
}

fn unusable(directory: &Path, error: &io::Error) -> Error {
    if let full @ Error::Full(_) = from_io("opening the store", error) {
        return full;
    }
    Error::Unusable {
        path: directory.display().to_string(),
        reason: error.to_string(),
    }
}

/// Makes the directory if it is not there, for its owner only, and gives its absolute path.
fn make_directory(directory: &Path) -> Result<PathBuf, Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| match fs::metadata(directory) {
            Ok(found) if !found.is_dir() => Error::Unusable {
                path: directory.display().to_string(),
                reason: "it is a file; choose a directory".to_owned(),
            },
            _ => unusable(directory, &error),
        })?;
    fs::canonicalize(directory).map_err(|error| unusable(directory, &error))
}

/// Our own lock, because sled's does not say who holds it, nor which of its errors means that.
fn take_lock(directory: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options
        .open(directory.join(LOCK_FILE))
        .map_err(|error| unusable(directory, &error))?;
    for _ in 0..LOCK_WAITS_MAX {
        match FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(fs4::TryLockError::WouldBlock) => pause(),
            Err(fs4::TryLockError::Error(error)) => return Err(unusable(directory, &error)),
        }
    }
    Err(Error::InUse {
        path: directory.display().to_string(),
    })
}

/// A thread of this store's own: nobody unparks it, so this is a pause.
fn pause() {
    thread::park_timeout(RELEASE_POLL);
}

/// A kill while sled opens leaves `snap.N.generating`, which sled then takes for its newest snapshot and never opens
/// again.
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn open_database(directory: &Path, options: &SledOptions) -> Result<::sled::Db, Error> {
    // The background flusher would sync now and then, and only log that it failed.
    let config = ::sled::Config::new()
        .path(directory)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    let mut waits = 0;
    loop {
        match quietly("opening", || config.open()) {
            Ok(db) => return Ok(db),
            Err(Error::Io(reason)) if reason.contains("could not acquire lock") => {
                // We hold the directory's lock: it is a store of this process that is still being dropped.
                waits += 1;
                if waits > RELEASE_WAITS_MAX {
                    let path = directory.display().to_string();
                    return Err(Error::InUse { path });
                }
                pause();
            }
            Err(Error::Io(reason)) => {
                let path = directory.display().to_string();
                return Err(Error::Unusable { path, reason });
            }
            Err(error) => return Err(error),
        }
    }
}

/// sled writes its settings and creates its files without syncing any of them.
fn sync_database(disk: &Disk) -> io::Result<()> {
    disk.file.sync_all()?;
    File::open(disk.directory.join("conf"))?.sync_all()?;
    sync_directory(&disk.directory)?;
    disk.directory.parent().map_or(Ok(()), sync_directory)
}
