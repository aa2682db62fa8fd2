//! What one round of the archive writes: collected here key by key. Must not live here: choosing what goes into a round,
//! and writing it.

use bytes::Bytes;

use super::Disk;
use super::attributes;
use super::frame::{CONTENT_BYTES_MAX, Chunks};
use super::history::{self, Unread};
use super::index::{State, StoredHead, definition_mark, encode_open, head_mark, run_mark};
use super::keys::{self, Key};
use super::pages::{Changes, ENTRY_OVERHEAD_BYTES, Edits};
use super::state::Stored;
use crate::model::{DefinitionDigest, RunId};
use crate::store::{Error, RunHead};

/// Keys to be set or removed, all or none; the last word on a key counts.
pub(super) type Writes = Vec<(Key, Option<Vec<u8>>)>;

/// Bytes of a page of heads, before it is packed.
const HEADS_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a page of names: new ones come anywhere between the old ones, and then a page is written anew.
const NAMES_BYTES_MAX: usize = 1_024;

/// The same for a page of marks of open runs, which are taken away from anywhere.
const MARKS_BYTES_MAX: usize = 1_024;

/// Bytes of a run that is open with its turns behind its head. A page of them is written anew when any of them goes on,
/// hence not more; a history of its own costs as much as a page, hence not less.
const OPEN_RUN_BYTES_MAX: usize = 1_024;

/// A run's turns on their way into the database.
#[derive(Debug)]
pub(super) struct Taken {
    /// As it was after the last of the turns.
    pub(super) head: RunHead,
    pub(super) chain: u32,
    /// What the database has of it.
    pub(super) before: Stored,
    pub(super) turns: Vec<Bytes>,
}

/// What goes into the database together. All of it is durable in the log.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) runs: Vec<Taken>,
    pub(super) definitions: Vec<(DefinitionDigest, Bytes)>,
    pub(super) deletions: Vec<RunId>,
    pub(super) epoch: u64,
    /// The oldest commit that is still needed in the log afterwards.
    pub(super) horizon: u64,
}

/// A round, ready to be written.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) edits: Edits,
    /// The state when it is written.
    pub(super) state: State,
    /// What the database then has of each of the runs, in their order.
    pub(super) stored: Vec<Stored>,
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.definitions.is_empty() && self.deletions.is_empty()
    }

    /// Works out what to write.
    ///
    /// # Errors
    /// When what is there already cannot be read.
    pub(super) fn build(&self, disk: &Disk, state: State) -> Result<Built, Error> {
        let mut builder = Builder {
            disk,
            edits: Edits::default(),
            state: State {
                epoch: self.epoch,
                horizon: self.horizon,
                ..state
            },
            heads: Changes::new(),
            names: Changes::new(),
            attributes: Changes::new(),
            marks: Changes::new(),
        };
        for (digest, bytes) in &self.definitions {
            builder.definition(*digest, bytes)?;
        }
        // Before the runs: an id that was deleted may have come again.
        for run in &self.deletions {
            builder.delete(*run)?;
        }
        let stored: Result<_, Error> = self.runs.iter().map(|run| builder.run(run)).collect();
        let stored = stored?;
        let mut edits = builder.edits;
        disk.edit(builder.heads, HEADS_BYTES_MAX, &mut edits)?;
        disk.edit(builder.names, NAMES_BYTES_MAX, &mut edits)?;
        disk.edit(builder.attributes, NAMES_BYTES_MAX, &mut edits)?;
        disk.edit(builder.marks, MARKS_BYTES_MAX, &mut edits)?;
        edits.writes.push((keys::state(), Some(builder.state.encode())));
        Ok(Built {
            edits,
            state: builder.state,
            stored,
        })
    }
}

struct Builder<'a> {
    disk: &'a Disk,
    edits: Edits,
    state: State,
    heads: Changes,
    names: Changes,
    attributes: Changes,
    /// Of open runs.
    marks: Changes,
}

impl Builder<'_> {
    fn definition(&mut self, digest: DefinitionDigest, bytes: &[u8]) -> Result<(), Error> {
        // After a crash the log may tell once more of what is here.
        if self.disk.get(&keys::definition(digest, 0))?.is_some() {
            return Ok(());
        }
        let mut chunks = Chunks::new(bytes.len());
        chunks.put(bytes);
        self.insert_all(chunks.finish(|chunk| keys::definition(digest, chunk)));
        self.state.tallies.definitions.add(definition_mark(digest));
        Ok(())
    }

    fn insert_all(&mut self, values: Vec<(Key, Vec<u8>)>) {
        self.edits
            .writes
            .extend(values.into_iter().map(|(key, value)| (key, Some(value))));
    }

    fn delete(&mut self, run: RunId) -> Result<(), Error> {
        let Some(stored) = self.disk.head(run)? else {
            return Ok(());
        };
        let history = (0..stored.chunks).map(|chunk| (keys::history(run, chunk), None));
        self.edits.writes.extend(history);
        self.heads.insert(keys::head(run), None);
        self.names.insert(keys::name(&stored.head.workflow_id, run), None);
        self.attributes(Some(&stored.head), None);
        let tallies = &mut self.state.tallies;
        tallies.heads.remove(stored.mark());
        tallies.names.remove(run_mark(run));
        if !stored.head.status.is_closed() {
            // It ended since, in the log, and that did not come here.
            tallies.open.remove(run_mark(run));
            self.marks.insert(keys::open(run), None);
        }
        Ok(())
    }

    /// The search attributes of a run that are there, and those that are to be there.
    fn attributes(&mut self, before: Option<&RunHead>, after: Option<&RunHead>) {
        let entries = |head: Option<&RunHead>| head.map(attributes::entries).unwrap_or_default();
        let (before, after) = (entries(before), entries(after));
        for key in before.difference(&after) {
            self.state.tallies.attributes.remove(attributes::mark(key));
            self.attributes.insert(key.clone(), None);
        }
        for key in after.difference(&before) {
            self.state.tallies.attributes.add(attributes::mark(key));
            self.attributes.insert(key.clone(), Some(Vec::new()));
        }
    }

    fn run(&mut self, run: &Taken) -> Result<Stored, Error> {
        let (id, before) = (run.head.run_id, run.before);
        if run.head.found_by.is_some() {
            let stored = match before.turns {
                0 => None,
                _ => self.disk.head(id)?,
            };
            self.attributes(stored.as_ref().map(|stored| &stored.head), Some(&run.head));
        }
        let beside_head = self.beside_head(run)?;
        let chunks = match &beside_head {
            BesideHead::All(_) => 0,
            BesideHead::Moved(turns) => self.piece(run, 1, turns),
            BesideHead::None => self.piece(run, before.turns.saturating_add(1), &run.turns),
        };
        let head = StoredHead {
            head: run.head.clone(),
            chunks: before.chunks.saturating_add(chunks),
            chain: run.chain,
        };
        let content = match &beside_head {
            BesideHead::All(turns) => {
                let mut content = head.encode(history::piece_bytes(turns));
                history::put_whole(&mut content, turns);
                content
            }
            _ => head.encode(0),
        };
        self.heads.insert(keys::head(id), Some(content));

        let (tallies, closed) = (&mut self.state.tallies, run.head.status.is_closed());
        if before.turns == 0 {
            let name = keys::name(&run.head.workflow_id, id);
            self.names.insert(name, Some(Vec::new()));
            tallies.names.add(run_mark(id));
        } else {
            tallies.heads.remove(head_mark(id, before));
        }
        tallies.heads.add(head.mark());
        if !closed {
            // Written only if the page becomes another one by it.
            self.marks.insert(keys::open(id), Some(encode_open(&run.head)));
        }
        match (before.turns == 0, closed) {
            (true, false) => tallies.open.add(run_mark(id)),
            (false, true) => {
                self.marks.insert(keys::open(id), None);
                tallies.open.remove(run_mark(id));
            }
            _ => {}
        }
        Ok(head.stored())
    }

    /// Which of a run's turns go behind its head.
    ///
    /// # Errors
    /// When those that are there cannot be read.
    fn beside_head(&self, run: &Taken) -> Result<BesideHead, Error> {
        let (id, before) = (run.head.run_id, run.before);
        if before.chunks > 0 {
            return Ok(BesideHead::None);
        }
        let bytes_max = match run.head.status.is_closed() {
            true => CONTENT_BYTES_MAX,
            false => OPEN_RUN_BYTES_MAX,
        };
        let mut turns = Vec::new();
        if before.turns > 0 {
            let stored = self.disk.turns(id, before).map_err(|unread| match unread {
                Unread::Missing(error) | Unread::Failed(error) => error,
            })?;
            turns.extend(stored.into_iter().map(|turn| turn.bytes));
        }
        turns.extend(run.turns.iter().cloned());
        let content = StoredHead::bytes_max(&run.head).saturating_add(history::piece_bytes(&turns));
        let entry = content.saturating_add(keys::head(id).len() + ENTRY_OVERHEAD_BYTES);
        Ok(match entry <= bytes_max {
            true => BesideHead::All(turns),
            false => BesideHead::Moved(turns),
        })
    }

    /// Writes turns, the first of which is turn `first_seq`, into history chunks; says into how many.
    fn piece(&mut self, run: &Taken, first_seq: u64, turns: &[Bytes]) -> u32 {
        let piece = history::piece(run.head.run_id, run.before.chunks, first_seq, turns);
        let added = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.insert_all(piece);
        added
    }
}

/// What is behind a run's head.
enum BesideHead {
    /// All turns.
    All(Vec<Bytes>),
    /// None any more: all turns so far go into history chunks.
    Moved(Vec<Bytes>),
    /// None.
    None,
}
