//! From what is on disk to what is in memory: the runs that the log tells of. All others are checked, but stay where they
//! are. Must not live here: repairs; what is missing or damaged is an error.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use super::attributes;
use super::block::{self, Entry, LoggedTurn};
use super::codec::{Cursor, put_u32};
use super::filter::NameFilter;
use super::frame;
use super::index::{State, StoredHead, Tallies, Tally, decode_open, definition_mark, link, run_mark};
use super::log::{self, Identity, Log, Sizes};
use super::quiet::{from_io, quietly};
use super::state::{Live, LiveRun};
use super::{Disk, OpenCheck, SledOptions, keys};
use crate::model::{RunId, WorkflowId};
use crate::store::head::Place;
use crate::store::{Epoch, Error};

/// The format of the store as a whole; counts up when older versions of amends could not read it any more.
const FORMAT: u32 = 1;

fn corrupt(run: Option<RunId>, what: impl Into<String>) -> Error {
    Error::Corrupt { run, what: what.into() }
}

impl Disk {
    /// All keys of one kind with their values, in order.
    pub(super) fn scan(&self, kind: u8) -> Scan<'_> {
        Scan {
            disk: self,
            entries: self.db.scan_prefix([kind]),
        }
    }

    /// The next thing of a long way through the database.
    ///
    /// sled holds nodes against the bound of its cache only when it has noted 64 accesses to one of 256 parts of them. A way on
    /// which each node is met once would leave 16,000 of them in memory, hundreds of megabytes; so each is met more often.
    pub(super) fn next_of(&self, entries: &mut ::sled::Iter) -> Option<Result<(::sled::IVec, ::sled::IVec), Error>> {
        let read = || {
            let Some((key, value)) = entries.next().transpose()? else {
                return Ok(None);
            };
            for _ in 0..ACCESSES {
                self.db.contains_key(&key)?;
            }
            Ok(Some((key, value)))
        };
        quietly("scanning", read).transpose()
    }
}

/// Accesses for each thing: a node has several, so that two or three nodes of each part are what is not counted.
const ACCESSES: u32 = 8;

/// An iterator whose panics are errors.
pub(super) struct Scan<'a> {
    disk: &'a Disk,
    entries: ::sled::Iter,
}

impl Iterator for Scan<'_> {
    type Item = Result<(::sled::IVec, ::sled::IVec), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.disk.next_of(&mut self.entries)
    }
}

/// A store as it was found.
pub(super) struct Recovered {
    pub(super) live: Live,
    pub(super) log: Log,
    pub(super) state: State,
}

pub(super) fn recover(
    disk: &Disk,
    directory: &Path,
    acknowledged: u64,
    options: &SledOptions,
    sizes: &Sizes,
) -> Result<Recovered, Error> {
    let Some(identity) = read_format(disk)? else {
        return create(disk, directory, acknowledged, options, sizes);
    };
    let value = disk.get(&keys::state())?;
    let value = value.ok_or_else(|| corrupt(None, "the state record is missing"))?;
    let state = State::decode(&value)?;
    let mut live = Live::default();
    live.epoch = Epoch(state.epoch);
    check_open_runs(disk, options.check, &state.tallies)?;
    definitions(disk, &mut live, &state.tallies)?;
    live.stored_names = match options.check {
        OpenCheck::Index => check_index(disk, &state.tallies)?,
        OpenCheck::OpenRuns => NameFilter::blind(),
    };
    live.newest_head = newest_head(disk)?;
    let mut replay = Replay {
        disk,
        live,
        gaps: HashMap::new(),
    };
    let log = Log::open(directory, identity, sizes, state.horizon, |commit, content| {
        replay.block(commit, content)
    })?;
    let mut live = replay.finish()?;
    live.last = log.next() - 1;
    if live.last < acknowledged {
        let last = live.last;
        let what = format!("the log ends with commit {last}, but commit {acknowledged} was acknowledged");
        return Err(corrupt(None, what));
    }
    // Runs of which the log has nothing that the database has not.
    let archived = live.runs.iter().filter(|(_, run)| run.tail.is_empty());
    let archived: Vec<RunId> = archived.map(|(run, _)| *run).collect();
    for run in archived {
        live.remove(run);
    }
    Ok(Recovered { live, log, state })
}

/// The identity of the store; `None` when the database is new.
fn read_format(disk: &Disk) -> Result<Option<Identity>, Error> {
    let key = keys::format();
    let Some(value) = disk.get(&key)? else {
        let empty = quietly("scanning", || disk.db.iter().next().transpose())?.is_none();
        return match empty {
            true => Ok(None),
            false => Err(corrupt(None, "the format record is missing")),
        };
    };
    let content = frame::open(&key, &value).map_err(|what| corrupt(None, format!("the format record {what}")))?;
    let mut content = Cursor::new(content);
    match (content.u32(), content.array()) {
        (Some(FORMAT), Some(identity)) => Ok(Some(identity)),
        (None, _) | (Some(FORMAT), None) => Err(corrupt(None, "the format record cannot be read")),
        (Some(found), _) => Err(Error::Format {
            path: disk.directory.display().to_string(),
            found,
            supported: FORMAT,
        }),
    }
}

/// Makes a new store: the log, and then, in the database, that there is one.
fn create(
    disk: &Disk,
    directory: &Path,
    acknowledged: u64,
    options: &SledOptions,
    sizes: &Sizes,
) -> Result<Recovered, Error> {
    if acknowledged > 0 {
        let what = format!("the database is empty, but commit {acknowledged} was acknowledged");
        return Err(corrupt(None, what));
    }
    // A creation that was broken off has a log without a commit.
    if log::is_in_use(directory, sizes)? {
        return Err(corrupt(None, "the database is empty, but there is a log"));
    }
    let identity = new_identity();
    let log = Log::create(directory, identity, sizes).map_err(|error| from_io("making the log", &error))?;
    sizes.step("log made");
    let state = State {
        horizon: 1,
        ..State::default()
    };
    let (key, value) = format_record(FORMAT, identity);
    disk.apply(vec![(key, Some(value)), (keys::state(), Some(state.encode()))])?;
    sizes.step("format written");
    disk.sync(options.durability)?;
    sizes.step("format synced");
    Ok(Recovered {
        live: Live::default(),
        log,
        state,
    })
}

/// Tells stores apart; the hasher's keys are random, and that is all that is asked for.
fn new_identity() -> Identity {
    let number = || u64::from_be_bytes(RandomState::new().build_hasher().finish().to_be_bytes());
    (u128::from(number()) << 64 | u128::from(number())).to_be_bytes()
}

pub(super) fn format_record(format: u32, identity: Identity) -> (keys::Key, Vec<u8>) {
    let key = keys::format();
    let mut value = frame::begin(20);
    put_u32(&mut value, format);
    value.extend_from_slice(&identity);
    let value = frame::seal(&key, value);
    (key, value)
}

fn newest_head(disk: &Disk) -> Result<Option<RunId>, Error> {
    let (lower, upper) = (keys::head(RunId::NIL), keys::head(RunId::from_bytes([u8::MAX; 16])));
    let last = disk.last_between(&lower, &upper)?;
    Ok(last.and_then(|key| keys::run_at_end(&key)))
}

/// Whether every open run that has a head in the database is marked, and has one.
fn check_open_runs(disk: &Disk, check: OpenCheck, tallies: &Tallies) -> Result<(), Error> {
    let mut marked = Tally::default();
    disk.each_entry(keys::OPEN, |key, content| {
        let (run, wake) = decode_open(key, content)?;
        marked.add(run_mark(run));
        // All heads will be looked at anyway.
        if check == OpenCheck::Index {
            return Ok(());
        }
        let stored = disk.head(run)?;
        let head = stored.ok_or_else(|| corrupt(Some(run), "its head is missing"))?.head;
        match head.status.is_closed() || head.wakes() != wake {
            true => Err(corrupt(Some(run), "its mark as open is not what its head says")),
            false => Ok(()),
        }
    })?;
    compare("marks of open runs", marked, tallies.open)
}

fn definitions(disk: &Disk, live: &mut Live, tallies: &Tallies) -> Result<(), Error> {
    let mut found = Tally::default();
    for entry in disk.scan(keys::DEFINITION) {
        let (key, _) = entry?;
        let read = keys::read_definition(&key);
        let (digest, _) = read.ok_or_else(|| corrupt(None, "the key of a definition cannot be read"))?;
        if live.definitions.insert(digest, None).is_none() {
            found.add(definition_mark(digest));
        }
    }
    compare("definitions", found, tallies.definitions)
}

/// Whether the head and the name of every run are there, in their newest versions; gives the names.
fn check_index(disk: &Disk, tallies: &Tallies) -> Result<NameFilter, Error> {
    let (mut heads, mut open) = (Tally::default(), Tally::default());
    disk.each_entry(keys::HEAD, |key, content| {
        let stored = StoredHead::decode(key, content)?;
        heads.add(stored.mark());
        if !stored.head.status.is_closed() {
            open.add(run_mark(stored.head.run_id));
        }
        Ok(())
    })?;
    compare("heads of runs", heads, tallies.heads)?;
    compare("open runs", open, tallies.open)?;
    let mut filter = NameFilter::default();
    let names = names(disk, |name, _| filter.add(&name))?;
    compare("names of runs", names, tallies.names)?;
    compare("search attributes", attributes(disk, |_| {})?, tallies.attributes)?;
    Ok(filter)
}

pub(super) fn names(disk: &Disk, mut each: impl FnMut(WorkflowId, RunId)) -> Result<Tally, Error> {
    let mut names = Tally::default();
    disk.each_entry(keys::NAME, |key, _| {
        let run = keys::run_at_end(key).ok_or_else(|| corrupt(None, "the name of a run cannot be read"))?;
        let name = keys::read_name(key).ok_or_else(|| corrupt(Some(run), "its name cannot be read"))?;
        each(name, run);
        names.add(run_mark(run));
        Ok(())
    })?;
    Ok(names)
}

/// The index of search attributes.
pub(super) fn attributes(disk: &Disk, mut each: impl FnMut(&[u8])) -> Result<Tally, Error> {
    let mut found = Tally::default();
    disk.each_entry(keys::ATTRIBUTE, |key, _| {
        each(key);
        found.add(attributes::mark(key));
        Ok(())
    })?;
    Ok(found)
}

/// Compares what is there with what the database says is there.
pub(super) fn compare(what: &str, found: Tally, expected: Tally) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let text = if found.count == expected.count {
        format!("of {} {what} in the database, some are not the newest", found.count)
    } else {
        format!(
            "{} {what} are in the database, but {} were stored",
            found.count, expected.count
        )
    };
    Err(corrupt(None, text))
}

/// Puts what the log tells behind what the database has.
struct Replay<'a> {
    disk: &'a Disk,
    live: Live,
    /// Runs of which the database has not what came before the turns in the log: either they were deleted, as the log
    /// then tells, or something is lost.
    gaps: HashMap<RunId, Error>,
}

impl Replay<'_> {
    fn block(&mut self, commit: u64, content: &[u8]) -> Result<(), Error> {
        let read = block::read(content);
        let (epoch, entries) = read.ok_or_else(|| corrupt(None, format!("commit {commit} cannot be read")))?;
        self.live.epoch = self.live.epoch.max(Epoch(epoch));
        self.live.last = commit;
        self.live.left_at = None;
        for entry in entries {
            match entry {
                Entry::Turn(logged) => self.turn(commit, &logged)?,
                Entry::Definition(digest, bytes) => self.live.define(digest, &bytes, commit),
                Entry::Deleted(run) => {
                    self.gaps.remove(&run);
                    self.live.delete(run, commit);
                }
                Entry::Left(at) => self.live.left_at = Some(at),
            }
        }
        Ok(())
    }

    fn turn(&mut self, commit: u64, logged: &LoggedTurn) -> Result<(), Error> {
        let LoggedTurn { turn, chain } = logged;
        let id = turn.run_id;
        if self.gaps.contains_key(&id) {
            return Ok(());
        }
        if !self.live.runs.contains_key(&id)
            && Some(id) <= self.live.newest_head
            && !self.live.deleted.contains(&id)
            && let Some(stored) = self.disk.head(id)?
        {
            self.live.insert(LiveRun::from_stored(stored));
        }
        let run = self.live.runs.get(&id);
        let place = run.map(LiveRun::place);
        if place.is_some_and(|place| turn.seq <= place.turns) {
            // The database has it; the log just has not been dropped yet.
            return Ok(());
        }
        let before = run.map_or(0, |run| run.chain);
        if let Err(error) = Place::after(place, turn) {
            let error = corrupt(Some(id), format!("turns are missing: {error}"));
            self.gaps.insert(id, error);
            return Ok(());
        }
        if link(before, &turn.bytes) != *chain {
            let what = format!("turn {} does not continue the turns before it", turn.seq);
            self.gaps.insert(id, corrupt(Some(id), what));
            return Ok(());
        }
        match self.live.push(turn, *chain, commit) {
            true => Ok(()),
            false => Err(corrupt(Some(id), "its first turn does not say what it is")),
        }
    }

    fn finish(self) -> Result<Live, Error> {
        match self.gaps.into_values().next() {
            Some(error) => Err(error),
            None => Ok(self.live),
        }
    }
}
