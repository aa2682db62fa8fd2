//! Reads and checks everything: every head, name, mark, definition, history chunk, and the log. Must not live here:
//! repairs.

use std::collections::HashMap;

use super::history::Unread;
use super::index::{StoredHead, Tallies, Tally, link, run_mark};
use super::log::Log;
use super::pages::Page;
use super::recover::{self, compare, names};
use super::state::{Live, Stored};
use super::{Shared, attributes, block, keys};
use crate::model::RunId;
use crate::store::{Error, Problem, VerifyProgress, VerifyReport};

/// Runs between two reports of progress.
const PROGRESS_RUNS: u64 = 256;

struct Check<'a> {
    store: &'a Shared,
    report: VerifyReport,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

impl Shared {
    /// Holds up commits and the archive: what is checked must not change meanwhile.
    pub(super) fn verify_all(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        let archive = self.archive();
        let writer = self.writer()?;
        let mut check = Check {
            store: self,
            report: VerifyReport::default(),
            progress,
        };
        let live = self.live();
        let tallies = &archive.state.tallies;
        let chunks = check.stored_runs(tallies, &live);
        check.live_runs(&live);
        check.orphans(&chunks);
        check.names(&chunks, tallies);
        check.attributes(tallies);
        check.definitions(&live);
        check.log(&writer.log, archive.state.horizon);
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
    fn stored_runs(&mut self, tallies: &Tallies, live: &Live) -> HashMap<RunId, u32> {
        let (mut heads, mut open) = (Tally::default(), Tally::default());
        let mut chunks = HashMap::new();
        for page in self.store.disk.scan(keys::HEAD) {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    self.error(error);
                    break;
                }
            };
            // Heads in a page that cannot be read are counted as missing below.
            let read = Page::open(&page.0, &page.1).and_then(|page| {
                for (key, content) in page.entries()? {
                    if let Some(stored) = self.head(key, content, live) {
                        heads.add(stored.mark());
                        chunks.insert(stored.head.run_id, stored.chunks);
                        if !stored.head.status.is_closed() {
                            open.add(run_mark(stored.head.run_id));
                        }
                    }
                }
                Ok(())
            });
            if let Err(error) = read {
                self.error(error);
            }
        }
        for (what, found, expected) in [
            ("heads of runs", heads, tallies.heads),
            ("open runs", open, tallies.open),
        ] {
            if let Err(error) = compare(what, found, expected) {
                self.error(error);
            }
        }
        chunks
    }

    /// One run in the database.
    fn head(&mut self, key: &[u8], content: &[u8], live: &Live) -> Option<StoredHead> {
        let stored = match StoredHead::decode(key, content) {
            Ok(stored) => stored,
            Err(error) => {
                self.error(error);
                return None;
            }
        };
        let run = stored.head.run_id;
        let bytes = self.history(run, stored.stored(), stored.head.history_bytes);
        // Those in memory as well are counted with what they have there; those deleted are on their way out.
        if !live.runs.contains_key(&run) && !live.deleted.contains(&run) {
            self.count(stored.head.turns, bytes);
        }
        Some(stored)
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
            let chain = run
                .tail
                .iter()
                .fold(run.stored.chain, |chain, turn| link(chain, &turn.bytes));
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
        let mut headless = Vec::new();
        let found = names(&self.store.disk, |_, run| {
            if !chunks.contains_key(&run) {
                headless.push(run);
            }
        });
        let compared = found.and_then(|found| compare("names of runs", found, tallies.names));
        if let Err(error) = compared {
            self.error(error);
        }
        for run in headless {
            self.problem(Some(run), "it has a name, but no head");
        }
    }

    /// The index of search attributes, against the heads.
    fn attributes(&mut self, tallies: &Tallies) {
        let mut expected = Tally::default();
        let heads = self.store.disk.each_entry(keys::HEAD, |key, content| {
            let stored = StoredHead::decode(key, content)?;
            attributes::entries(&stored.head)
                .iter()
                .for_each(|key| expected.add(attributes::mark(key)));
            Ok(())
        });
        let found = heads.and_then(|()| recover::attributes(&self.store.disk, |_| {}));
        let compared = found.and_then(|found| {
            compare("search attributes", found, tallies.attributes)?;
            compare("search attributes of the heads of runs", expected, tallies.attributes)
        });
        if let Err(error) = compared {
            self.error(error);
        }
    }

    fn definitions(&mut self, live: &Live) {
        for (digest, bytes) in &live.definitions {
            if bytes.is_some() {
                continue;
            }
            match self.store.disk.definition(*digest) {
                Ok(Some(_)) => {}
                Ok(None) => self.problem(None, format!("definition {digest} is missing")),
                Err(error) => self.error(error),
            }
        }
    }

    /// The log was read when the store was opened or written since; now what is needed of it is read again.
    fn log(&mut self, log: &Log, horizon: u64) {
        let blocks = |commit: u64, content: &[u8]| match block::read(content) {
            Some(_) => Ok(()),
            None => Err(Error::Corrupt {
                run: None,
                what: format!("commit {commit} cannot be read"),
            }),
        };
        match log.read_again(horizon, blocks) {
            Ok(next) if next == log.next() => {}
            Ok(next) => self.problem(
                None,
                format!("the log ends before commit {next}, which was acknowledged"),
            ),
            Err(error) => self.error(error),
        }
    }
}
