//! From what is on disk to what is in memory: heads of open runs, and the log behind them. Must not live here: repairs;
//! what is missing or damaged is an error.

use std::collections::{HashMap, HashSet, VecDeque};

use super::block::{self, Entry, Header, LoggedTurn};
use super::codec::{Cursor, put_u32};
use super::filter::NameFilter;
use super::frame::{self, Joined};
use super::index::{StoredHead, Tallies, Tally, definition_mark, link, run_mark};
use super::mark::Mark;
use super::plan::{self, Change};
use super::quiet::quietly;
use super::state::{Block, Live, LiveRun, Writer};
use super::{Disk, OpenCheck, SledOptions, keys};
use crate::model::{DefinitionDigest, RunId, WorkflowId};
use crate::store::head::Place;
use crate::store::{Epoch, Error, RunHead};

/// The format of the store as a whole; counts up when older versions of amends could not read it any more.
const FORMAT: u32 = 1;

fn corrupt(run: Option<RunId>, what: impl Into<String>) -> Error {
    Error::Corrupt { run, what: what.into() }
}

impl Disk {
    /// All keys of one kind with their values, in order.
    pub(super) fn scan(&self, kind: u8) -> Scan {
        Scan(self.db.scan_prefix([kind]))
    }
}

/// An iterator whose panics are errors.
pub(super) struct Scan(::sled::Iter);

impl Iterator for Scan {
    type Item = Result<(::sled::IVec, ::sled::IVec), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        quietly("scanning", || self.0.next().transpose()).transpose()
    }
}

pub(super) fn recover(
    disk: &Disk,
    mark: Mark,
    acknowledged: u64,
    options: &SledOptions,
) -> Result<(Live, Writer), Error> {
    let mut writer = Writer {
        last: 0,
        tallies: Tallies::default(),
        pins: VecDeque::new(),
        queue: VecDeque::new(),
        blocks: VecDeque::new(),
        log_bytes: 0,
        postponed: 0,
        newest_head: None,
        mark,
        room: None,
    };
    if !check_format(disk, acknowledged)? {
        create(disk, &mut writer, options)?;
        return Ok((Live::default(), writer));
    }
    let mut log = Log::default();
    let header = log.read(disk, &mut writer)?;
    if writer.last < acknowledged {
        let last = writer.last;
        let what = format!("the log ends with commit {last}, but commit {acknowledged} was acknowledged");
        return Err(corrupt(None, what));
    }
    writer.tallies = header.tallies;
    let mut live = Live::default();
    live.epoch = Epoch(header.epoch);
    open_runs(disk, &mut live, &header.tallies)?;
    definitions(disk, &mut live, &header.tallies)?;
    live.stored_names = match options.check {
        OpenCheck::Index => check_index(disk, &header.tallies)?,
        OpenCheck::OpenRuns => NameFilter::blind(),
    };
    let last_head = quietly("scanning", || disk.db.scan_prefix([keys::HEAD]).next_back().transpose())?;
    writer.newest_head = last_head.and_then(|(key, _)| keys::run_at_end(&key));
    let mut runs: Vec<_> = log.turns.into_iter().collect();
    // In the order of their first turns in the log: so they pin its blocks.
    runs.sort_by_key(|(run, turns)| (turns.first().map(|(commit, _)| *commit), *run));
    for (run, turns) in runs {
        replay(disk, &mut live, &mut writer, run, turns)?;
    }
    writer.pins.make_contiguous().sort_unstable();
    Ok((live, writer))
}

/// `false`: the database is new.
fn check_format(disk: &Disk, acknowledged: u64) -> Result<bool, Error> {
    let key = keys::format();
    let Some(value) = disk.get(&key)? else {
        let empty = quietly("scanning", || disk.db.iter().next().transpose())?.is_none();
        if !empty {
            return Err(corrupt(None, "the format record is missing"));
        }
        if acknowledged > 0 {
            let what = format!("the database is empty, but commit {acknowledged} was acknowledged");
            return Err(corrupt(None, what));
        }
        return Ok(false);
    };
    let content = frame::open(&key, &value).map_err(|what| corrupt(None, format!("the format record {what}")))?;
    match Cursor::new(content).u32() {
        Some(FORMAT) => Ok(true),
        Some(found) => Err(Error::Format {
            path: disk.directory.display().to_string(),
            found,
            supported: FORMAT,
        }),
        None => Err(corrupt(None, "the format record cannot be read")),
    }
}

/// Makes a new store: the format, and a first commit without content, so that there always is a last block.
fn create(disk: &Disk, writer: &mut Writer, options: &SledOptions) -> Result<(), Error> {
    let mut plan = plan::build(writer, &Live::default(), &Change::default());
    let mut writes = std::mem::take(&mut plan.writes);
    let (key, value) = format_record(FORMAT);
    writes.push((key, Some(value)));
    disk.write(writes, options.durability)
}

pub(super) fn format_record(format: u32) -> (keys::Key, Vec<u8>) {
    let key = keys::format();
    let mut value = frame::begin(4);
    put_u32(&mut value, format);
    let value = frame::seal(&key, value);
    (key, value)
}

/// The turns in the log, by run, with the commits that brought them.
#[derive(Default)]
struct Log {
    turns: HashMap<RunId, Vec<(u64, LoggedTurn)>>,
}

impl Log {
    /// Reads all blocks that are needed; gives the last one's header.
    fn read(&mut self, disk: &Disk, writer: &mut Writer) -> Result<Header, Error> {
        let last = quietly("scanning", || disk.db.scan_prefix([keys::LOG]).next_back().transpose())?;
        let last = last.and_then(|(key, _)| keys::read_log(&key));
        let Some((last, _)) = last else {
            return Err(corrupt(None, "the log is missing"));
        };
        let header = self.header(disk, last)?;
        let mut expected = header.horizon;
        let mut joined = Joined::default();
        let (mut commit, mut chunks, mut bytes) = (0, 0, 0);
        for entry in disk.scan(keys::LOG) {
            let (key, value) = entry?;
            let place = keys::read_log(&key).ok_or_else(|| corrupt(None, "a log key cannot be read"))?;
            if place.0 < header.horizon {
                // Left over: a commit drops only so many. Not needed, hence not read.
                leftover(writer, place.0, value.len());
                continue;
            }
            if chunks == 0 {
                commit = expected;
            }
            if place != (commit, chunks) {
                return Err(corrupt(
                    None,
                    format!("part {chunks} of commit {commit} is missing from the log"),
                ));
            }
            (chunks, bytes) = (chunks + 1, bytes + value.len());
            let damaged = |what: &str| corrupt(None, format!("part {} of commit {commit} {what}", place.1));
            if joined.add(&key, &value).map_err(damaged)? {
                let whole = std::mem::take(&mut joined).whole().unwrap_or_default();
                self.block(commit, &whole)?;
                writer.blocks.push_back(Block { commit, chunks, bytes });
                writer.log_bytes = writer.log_bytes.saturating_add(bytes);
                (expected, chunks, bytes) = (commit + 1, 0, 0);
            }
        }
        if expected != last + 1 || chunks != 0 {
            return Err(corrupt(None, format!("commit {last} is not whole in the log")));
        }
        writer.last = last;
        Ok(header)
    }

    /// The header of one block, which is in its first chunk.
    fn header(&self, disk: &Disk, commit: u64) -> Result<Header, Error> {
        let damaged = |what: &str| corrupt(None, format!("commit {commit} {what}"));
        let mut joined = Joined::default();
        for chunk in 0.. {
            let key = keys::log(commit, chunk);
            let value = disk.get(&key)?.ok_or_else(|| damaged("is not whole in the log"))?;
            if joined.add(&key, &value).map_err(damaged)? {
                break;
            }
        }
        let whole = joined.whole().unwrap_or_default();
        let (header, _) = block::read(&whole).ok_or_else(|| damaged("cannot be read"))?;
        if header.horizon == 0 || header.horizon > commit {
            return Err(damaged("has an impossible horizon"));
        }
        Ok(header)
    }

    fn block(&mut self, commit: u64, whole: &[u8]) -> Result<(), Error> {
        let read = block::read(whole);
        let (_, entries) = read.ok_or_else(|| corrupt(None, format!("commit {commit} cannot be read")))?;
        for entry in entries {
            match entry {
                Entry::Turn(turn) => self.turns.entry(turn.turn.run_id).or_default().push((commit, turn)),
                Entry::Deleted(run) => drop(self.turns.remove(&run)),
            }
        }
        Ok(())
    }
}

/// A block before the horizon, chunk by chunk; to be dropped with the next commits.
fn leftover(writer: &mut Writer, commit: u64, bytes: usize) {
    writer.log_bytes = writer.log_bytes.saturating_add(bytes);
    match writer.blocks.back_mut().filter(|block| block.commit == commit) {
        Some(block) => (block.chunks, block.bytes) = (block.chunks + 1, block.bytes + bytes),
        None => writer.blocks.push_back(Block {
            commit,
            chunks: 1,
            bytes,
        }),
    }
}

/// Open runs that have a head in the database.
fn open_runs(disk: &Disk, live: &mut Live, tallies: &Tallies) -> Result<(), Error> {
    let mut open = Tally::default();
    for entry in disk.scan(keys::OPEN) {
        let (key, value) = entry?;
        let run = keys::run_at_end(&key).ok_or_else(|| corrupt(None, "the mark of an open run cannot be read"))?;
        let damaged = |what: &str| corrupt(Some(run), format!("its mark as open {what}"));
        frame::open(&key, &value).map_err(damaged)?;
        open.add(run_mark(run));
        let stored = disk
            .head(run)?
            .ok_or_else(|| corrupt(Some(run), "its head is missing"))?;
        if stored.head.status.is_closed() {
            return Err(damaged("is there, although it has ended"));
        }
        live.insert(LiveRun::from_stored(stored));
    }
    compare("open runs", open, tallies.open)
}

fn definitions(disk: &Disk, live: &mut Live, tallies: &Tallies) -> Result<(), Error> {
    let mut found = Tally::default();
    let mut known: HashSet<DefinitionDigest> = HashSet::new();
    for entry in disk.scan(keys::DEFINITION) {
        let (key, _) = entry?;
        let read = keys::read_definition(&key);
        let (digest, _) = read.ok_or_else(|| corrupt(None, "the key of a definition cannot be read"))?;
        if known.insert(digest) {
            found.add(definition_mark(digest));
        }
    }
    live.definitions = known;
    compare("definitions", found, tallies.definitions)
}

/// Whether the head and the name of every run are there, in their newest versions; gives the names.
fn check_index(disk: &Disk, tallies: &Tallies) -> Result<NameFilter, Error> {
    let mut heads = Tally::default();
    for entry in disk.scan(keys::HEAD) {
        let (key, value) = entry?;
        heads.add(StoredHead::decode(&key, &value)?.mark());
    }
    compare("heads of runs", heads, tallies.heads)?;
    let mut filter = NameFilter::default();
    let names = names(disk, |name| filter.add(&name))?;
    compare("names of runs", names, tallies.names)?;
    Ok(filter)
}

pub(super) fn names(disk: &Disk, mut each: impl FnMut(WorkflowId)) -> Result<Tally, Error> {
    let mut names = Tally::default();
    for entry in disk.scan(keys::NAME) {
        let (key, value) = entry?;
        let run = keys::run_at_end(&key).ok_or_else(|| corrupt(None, "the name of a run cannot be read"))?;
        frame::open(&key, &value).map_err(|what| corrupt(Some(run), format!("its name {what}")))?;
        let name = keys::read_name(&key).ok_or_else(|| corrupt(Some(run), "its name cannot be read"))?;
        each(name);
        names.add(run_mark(run));
    }
    Ok(names)
}

/// Compares what is there with what the last commit says is there.
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

/// Puts the logged turns of one run behind what the database has of it.
fn replay(
    disk: &Disk,
    live: &mut Live,
    writer: &mut Writer,
    id: RunId,
    turns: Vec<(u64, LoggedTurn)>,
) -> Result<(), Error> {
    let mut run = match live.remove(id) {
        Some(run) => Some(run),
        None => disk.head(id)?.map(LiveRun::from_stored),
    };
    for (commit, LoggedTurn { turn, chain }) in turns {
        let place = run.as_ref().map(LiveRun::place);
        if place.is_some_and(|place| turn.seq <= place.turns) {
            // Written out since; the log just has not been dropped yet.
            continue;
        }
        Place::after(place, &turn).map_err(|error| corrupt(Some(id), format!("turns are missing: {error}")))?;
        let current = match (run.take(), RunHead::opened_by(&turn)) {
            (Some(run), _) => run,
            (None, Some(head)) => LiveRun::new(head),
            (None, None) => return Err(corrupt(Some(id), "its first turn does not say what it is")),
        };
        let current = run.insert(current);
        if link(current.chain, &turn.bytes) != chain {
            let what = format!("turn {} does not continue the turns before it", turn.seq);
            return Err(corrupt(Some(id), what));
        }
        if current.push(&turn, chain, commit) {
            writer.pins.push_back((commit, id));
        }
    }
    let Some(mut run) = run else { return Ok(()) };
    let closed = run.place().closed;
    if closed && run.tail.is_empty() {
        // All of it is in the database.
        return Ok(());
    }
    if closed {
        run.queued = true;
        writer.queue.push_back(id);
    }
    live.insert(run);
    Ok(())
}
