//! A participant's own durable memory: one JSON object a line, appended and fsynced before the request is answered. Lives
//! here: the file and its entries. Must not live here: what a request does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Direction, Operation, Service};

/// What one request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryOutcome {
    /// It had its effect, here and now.
    Applied,
    /// Refused for good, without effect.
    Refused,
    /// A compensation that found nothing to undo. It is remembered: the forward request is refused if it comes late.
    NothingToUndo,
    /// The key had been answered before: the same answer again, no effect.
    Repeated,
    /// Turned away for now, without effect; not remembered as an answer.
    Unavailable,
}

/// One line of a ledger: a request and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// Its place in this service's ledger: 1 for the first, dense.
    pub sequence: u64,
    /// The request's `Idempotency-Key`.
    pub key: String,
    /// The order it was about.
    pub order_id: String,
    /// What was asked.
    pub operation: Operation,
    /// Whether that takes the saga forward or undoes a step.
    pub direction: Direction,
    /// The request's `Amends-Attempt`, if it had one.
    pub attempt: Option<u32>,
    /// What it came to.
    pub outcome: EntryOutcome,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answer: serde_json::Value,
}

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read or written.
    #[error("the ledger {path} cannot be {doing}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A line in the file is not an entry, or not the one that belongs there.
    #[error("the ledger {path} is damaged in line {line}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Another process writes this ledger.
    #[error("the ledger {path} is in use by another process; stop it, or choose another directory")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A write failed earlier: what is in the file is unknown until it is opened again.
    #[error("the ledger {path} failed earlier and must be opened again")]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

/// One service's ledger, open for appending.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    next: u64,
    poisoned: bool,
}

/// A request and its answer, not yet with a place in the ledger.
#[derive(Clone, Debug)]
pub(super) struct NewEntry {
    pub(super) key: String,
    pub(super) order_id: String,
    pub(super) operation: Operation,
    pub(super) attempt: Option<u32>,
    pub(super) outcome: EntryOutcome,
    pub(super) status: u16,
    pub(super) answer: serde_json::Value,
}

impl Ledger {
    /// Opens (or creates) the service's ledger in `dir`, cuts off a last line that a crash left unfinished, and gives its
    /// entries.
    ///
    /// # Errors
    /// When it cannot be read or created, is damaged, or is open in another process.
    pub fn open(dir: &Path, service: Service) -> Result<(Self, Vec<LedgerEntry>), LedgerError> {
        let path = path_of(dir, service);
        let failed = |doing| {
            let path = path.clone();
            move |source| LedgerError::Io { path, doing, source }
        };
        std::fs::create_dir_all(dir).map_err(failed("created"))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed("locked")(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        let (entries, length) = parse(&path, &bytes)?;
        file.set_len(length).map_err(failed("shortened"))?;
        file.seek(SeekFrom::End(0)).map_err(failed("positioned"))?;
        // The file's own name must survive a power cut too.
        file.sync_all().map_err(failed("synced"))?;
        File::open(dir)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("synced"))?;
        let next = entries.len() as u64 + 1;
        let ledger = Self {
            path,
            file,
            next,
            poisoned: false,
        };
        Ok((ledger, entries))
    }

    /// Every complete entry of every service's ledger in `dir`, service by service; a service without a ledger has done
    /// nothing. Meant for the audit; the participants may be running.
    ///
    /// # Errors
    /// When a ledger cannot be read or is damaged.
    pub fn load(dir: &Path) -> Result<Vec<LedgerEntry>, LedgerError> {
        let mut all = Vec::new();
        for service in Service::ALL {
            let path = path_of(dir, service);
            match std::fs::read(&path) {
                Ok(bytes) => all.extend(parse(&path, &bytes)?.0),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(LedgerError::Io {
                        path,
                        doing: "read",
                        source,
                    });
                }
            }
        }
        Ok(all)
    }

    /// Appends an entry; one that matters after a crash is on the disk when this returns.
    pub(super) fn append(&mut self, entry: NewEntry) -> Result<LedgerEntry, LedgerError> {
        if self.poisoned {
            return Err(LedgerError::Poisoned {
                path: self.path.clone(),
            });
        }
        // Repeated and unavailable requests changed nothing: losing their lines loses nothing.
        let must_last = !matches!(entry.outcome, EntryOutcome::Repeated | EntryOutcome::Unavailable);
        let entry = LedgerEntry {
            sequence: self.next,
            key: entry.key,
            order_id: entry.order_id,
            operation: entry.operation,
            direction: entry.operation.direction(),
            attempt: entry.attempt,
            outcome: entry.outcome,
            status: entry.status,
            answer: entry.answer,
        };
        let mut line = serde_json::to_vec(&entry).expect("an entry has only string keys and plain values");
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| match must_last {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if let Err(source) = written {
            // After a failed write or fsync nobody knows what the file holds.
            self.poisoned = true;
            return Err(LedgerError::Io {
                path: self.path.clone(),
                doing: "written",
                source,
            });
        }
        self.next += 1;
        Ok(entry)
    }
}

fn path_of(dir: &Path, service: Service) -> PathBuf {
    dir.join(format!("{service}.jsonl"))
}

/// The complete entries, and how many bytes they take: what follows the last line end was never acknowledged.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<LedgerEntry>, u64), LedgerError> {
    let mut entries = Vec::new();
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.last() != Some(&b'\n') {
            break;
        }
        let damaged = |what: String| LedgerError::Damaged {
            path: path.to_owned(),
            line: entries.len() + 1,
            what,
        };
        let entry: LedgerEntry = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        let expected = entries.len() as u64 + 1;
        if entry.sequence != expected {
            return Err(damaged(format!(
                "entry {expected} is expected here, found {}",
                entry.sequence
            )));
        }
        entries.push(entry);
        length += line.len() as u64;
    }
    Ok((entries, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> NewEntry {
        NewEntry {
            key: key.to_owned(),
            order_id: "order-1".to_owned(),
            operation: Operation::Charge,
            attempt: Some(1),
            outcome: EntryOutcome::Applied,
            status: 200,
            answer: serde_json::json!({"charge_id": "payment-1"}),
        }
    }

    #[test]
    fn entries_survive_and_an_unfinished_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (mut ledger, entries) = Ledger::open(dir.path(), Service::Payment).unwrap();
        assert!(entries.is_empty());
        ledger.append(entry("a")).unwrap();
        drop(ledger);
        let path = path_of(dir.path(), Service::Payment);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(br#"{"sequence":2,"key":"#).unwrap();
        drop(torn);

        assert_eq!(
            Ledger::load(dir.path()).unwrap().len(),
            1,
            "reading tolerates the torn line"
        );
        let (mut ledger, entries) = Ledger::open(dir.path(), Service::Payment).unwrap();
        assert_eq!(entries.len(), 1);
        ledger.append(entry("b")).unwrap();
        let loaded = Ledger::load(dir.path()).unwrap();
        assert_eq!(loaded.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_ledger_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ledger::open(dir.path(), Service::Payment).unwrap();
        let second = Ledger::open(dir.path(), Service::Payment);
        assert!(matches!(second, Err(LedgerError::InUse { .. })));
        drop(first);
    }

    #[test]
    fn damage_is_an_error_that_names_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let (mut ledger, _) = Ledger::open(dir.path(), Service::Payment).unwrap();
        ledger.append(entry("a")).unwrap();
        ledger.append(entry("b")).unwrap();
        drop(ledger);
        let path = path_of(dir.path(), Service::Payment);
        let text = std::fs::read_to_string(&path).unwrap();
        let second = text.split_inclusive('\n').nth(1).unwrap();
        std::fs::write(&path, second).unwrap();
        let error = Ledger::load(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("line 1") && error.contains("entry 1 is expected"),
            "{error}"
        );
    }
}
