//! Reads and checks everything: every head, name, mark, definition, history chunk and log block. Must not live here:
//! repairs.

use std::collections::HashMap;

use super::history::Unread;
use super::index::{StoredHead, Tallies, Tally, link, run_mark};
use super::recover::{compare, names};
use super::state::{Live, Stored, Writer};
use super::{SledStore, keys};
use crate::model::RunId;
use crate::store::{Error, Problem, VerifyProgress, VerifyReport};

/// Runs between two reports of progress.
const PROGRESS_RUNS: u64 = 256;

struct Check<'a> {
    store: &'a SledStore,
    report: VerifyReport,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

impl SledStore {
    /// Holds up commits: what is checked must not change meanwhile.
    pub(super) fn verify_all(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        let writer = self.writer()?;
        let mut check = Check {
            store: self,
            report: VerifyReport::default(),
            progress,
        };
        let live = self.live();
        let chunks = check.stored_runs(&writer, &live);
        check.live_runs(&live);
        check.orphans(&chunks);
        check.names(&chunks, &writer.tallies);
        check.definitions(&live);
        check.log(&writer);
        check.say();
        Ok(check.report)
    }
}

impl Check<'_> {
    fn say(&mut self) {
        (self.progress)(VerifyProgress {
            runs: self.report.runs,
            turns: self.report.turns,
        });
    }

    fn problem(&mut self, run: Option<RunId>, what: impl Into<String>) {
        let what = what.into();
        self.report.problems.push(Problem { run, what });
    }

    fn error(&mut self, error: Error) {
        match error {
            Error::Corrupt { run, what } => self.problem(run, what),
            other => self.problem(None, other.to_string()),
        }
    }

    fn count(&mut self, turns: u64, bytes: u64) {
        self.report.runs += 1;
        self.report.turns += turns;
        self.report.bytes += bytes;
        if self.report.runs.is_multiple_of(PROGRESS_RUNS) {
            self.say();
        }
    }

    /// Every run with a head; gives how many chunks each has.
    fn stored_runs(&mut self, writer: &Writer, live: &Live) -> HashMap<RunId, u32> {
        let (mut heads, mut open) = (Tally::default(), Tally::default());
        let mut chunks = HashMap::new();
        for entry in self.store.disk.scan(keys::HEAD) {
            let decoded = entry.and_then(|(key, value)| StoredHead::decode(&key, &value));
            let stored = match decoded {
                Ok(stored) => stored,
                // A head that cannot be read is counted as missing below.
                Err(error @ Error::Corrupt { run: Some(_), .. }) => {
                    self.error(error);
                    continue;
                }
                Err(error) => {
                    self.error(error);
                    break;
                }
            };
            let run = stored.head.run_id;
            heads.add(stored.mark());
            chunks.insert(run, stored.chunks);
            let bytes = self.history(run, stored.stored(), stored.head.history_bytes);
            if !stored.head.status.is_closed() {
                open.add(run_mark(run));
            }
            // Those in memory as well are counted with what they have there.
            if !live.runs.contains_key(&run) {
                self.count(stored.head.turns, bytes);
            }
        }
        for (what, found, expected) in [
            ("heads of runs", heads, writer.tallies.heads),
            ("open runs", open, writer.tallies.open),
        ] {
            if let Err(error) = compare(what, found, expected) {
                self.error(error);
            }
        }
        chunks
    }

    /// One run's history chunks; gives the bytes of its turns.
    fn history(&mut self, run: RunId, stored: Stored, expected: u64) -> u64 {
        match self.store.disk.turns(run, stored) {
            Ok(turns) => {
                let bytes: usize = turns.iter().map(|turn| turn.bytes.len()).sum();
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                if bytes != expected {
                    self.problem(
                        Some(run),
                        format!("its turns have {bytes} bytes, its head says {expected}"),
                    );
                }
                bytes
            }
            Err(Unread::Missing(error) | Unread::Failed(error)) => {
                self.error(error);
                0
            }
        }
    }

    fn live_runs(&mut self, live: &Live) {
        for (id, run) in &live.runs {
            let chain = run.tail.iter().fold(run.stored.chain, |chain, turn| link(chain, turn));
            let turns = run
                .stored
                .turns
                .saturating_add(u64::try_from(run.tail.len()).unwrap_or(u64::MAX));
            if chain != run.chain || turns != run.head.turns {
                self.problem(Some(*id), "its turns in memory are not those that were committed");
            }
            self.count(turns, run.head.history_bytes);
        }
    }

    /// History chunks that belong to no run.
    fn orphans(&mut self, chunks: &HashMap<RunId, u32>) {
        let mut last = None;
        for entry in self.store.disk.scan(keys::HISTORY) {
            let place = match entry {
                Ok((key, _)) => keys::read_history(&key),
                Err(error) => return self.error(error),
            };
            let Some((run, chunk)) = place else {
                self.problem(None, "the key of a history chunk cannot be read");
                continue;
            };
            let known = chunks.get(&run).is_some_and(|chunks| chunk < *chunks);
            if !known && last.replace(run) != Some(run) {
                self.problem(
                    Some(run),
                    format!("history chunk {} belongs to no run", chunk.saturating_add(1)),
                );
            }
        }
    }

    fn names(&mut self, chunks: &HashMap<RunId, u32>, tallies: &Tallies) {
        let compared = names(&self.store.disk, drop).and_then(|found| compare("names of runs", found, tallies.names));
        if let Err(error) = compared {
            self.error(error);
        }
        for (key, _) in self.store.disk.scan(keys::NAME).map_while(Result::ok) {
            if let Some(run) = keys::run_at_end(&key)
                && !chunks.contains_key(&run)
            {
                self.problem(Some(run), "it has a name, but no head");
            }
        }
    }

    fn definitions(&mut self, live: &Live) {
        for digest in &live.definitions {
            match self.store.disk.definition(*digest) {
                Ok(Some(_)) => {}
                Ok(None) => self.problem(None, format!("definition {digest} is missing")),
                Err(error) => self.error(error),
            }
        }
    }

    /// The log was read when the store was opened or written since; now it is read again.
    fn log(&mut self, writer: &Writer) {
        for block in &writer.blocks {
            for chunk in 0..block.chunks {
                let key = keys::log(block.commit, chunk);
                let place = format!("part {chunk} of commit {} of the log", block.commit);
                match self.store.disk.get(&key) {
                    Ok(Some(value)) => {
                        if let Err(what) = super::frame::open(&key, &value) {
                            self.problem(None, format!("{place} {what}"));
                        }
                    }
                    Ok(None) => self.problem(None, format!("{place} is missing")),
                    Err(error) => self.error(error),
                }
            }
        }
    }
}
