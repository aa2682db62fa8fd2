//! Reads: from memory what is there, from the database everything else; never waiting for a commit in progress. Must
//! not live here: changes.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use super::frame::Joined;
use super::history::{self, Unread};
use super::index::{StoredHead, decode_open};
use super::pages::Page;
use super::state::{Logged, Stored};
use super::{Disk, Shared, keys};
use crate::model::{DefinitionDigest, RunId, WorkflowId};
use crate::store::{Error, RunHead, RunWake, StoredTurn};

impl Disk {
    pub(super) fn head(&self, run: RunId) -> Result<Option<StoredHead>, Error> {
        let key = keys::head(run);
        let content = self.entry(&key)?;
        content.map(|content| StoredHead::decode(&key, &content)).transpose()
    }

    /// The turns of a run in the database, as far as is asked for: there may be more since.
    pub(super) fn turns(&self, run: RunId, stored: Stored) -> Result<Vec<StoredTurn>, Unread> {
        if stored.chunks == 0 && stored.turns > 0 {
            return self.turns_beside_head(run, stored);
        }
        history::read(stored.expected(run), |key| self.get(key))
    }

    /// The first of them.
    fn first_turn(&self, run: RunId, stored: Stored) -> Result<Option<StoredTurn>, Unread> {
        match stored.chunks {
            0 => Ok(self.turns_beside_head(run, stored)?.into_iter().next()),
            _ => history::read_first(stored.expected(run), |key| self.get(key)).map(Some),
        }
    }

    fn turns_beside_head(&self, run: RunId, stored: Stored) -> Result<Vec<StoredTurn>, Unread> {
        let key = keys::head(run);
        let Some(content) = self.entry(&key).map_err(Unread::Failed)? else {
            return Err(Unread::Missing(Error::Corrupt {
                run: Some(run),
                what: "its head is missing".to_owned(),
            }));
        };
        let (head, beside) = StoredHead::decode_with_turns(&key, &content).map_err(Unread::Failed)?;
        let now = head.stored();
        let turns = match now.chunks {
            0 => history::read_whole(now.expected(run), beside).map_err(Unread::Failed)?,
            // They have moved since.
            _ => history::read(now.expected(run), |key| self.get(key))?,
        };
        stored.expected(run).beginning_of(turns).map_err(Unread::Failed)
    }

    /// The newest run with a name in the database, not newer than this one.
    fn newest(&self, workflow_id: &WorkflowId, most: Option<RunId>) -> Result<Option<RunId>, Error> {
        let (lower, upper) = keys::names(workflow_id);
        let upper = most.map_or(upper, |run| keys::name(workflow_id, run));
        let last = self.last_between(&lower, &upper)?;
        Ok(last.and_then(|key| keys::run_at_end(&key)))
    }

    pub(super) fn definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        let mut joined = Joined::default();
        let corrupt = |what: &str| Error::Corrupt {
            run: None,
            what: format!("definition {digest} {what}"),
        };
        for chunk in 0.. {
            let key = keys::definition(digest, chunk);
            let Some(value) = self.get(&key)? else {
                return if chunk == 0 {
                    Ok(None)
                } else {
                    Err(corrupt("is cut short"))
                };
            };
            if joined.add(&key, &value).map_err(corrupt)? {
                break;
            }
        }
        Ok(joined.whole())
    }
}

impl Shared {
    pub(super) fn read_history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error> {
        let Some((stored, tail)) = self.parts(run)? else {
            return Ok(None);
        };
        self.sizes.step("history looked up");
        let Some(mut turns) = self.unless_deleted(run, self.disk.turns(run, stored))? else {
            return Ok(None);
        };
        let next = stored.turns.saturating_add(1);
        let tail = (next..).zip(tail);
        turns.extend(tail.map(|(seq, turn)| StoredTurn { seq, bytes: turn.bytes }));
        Ok(Some(turns))
    }

    pub(super) fn read_first_turn(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let Some((stored, tail)) = self.parts(run)? else {
            return Ok(None);
        };
        if stored.turns == 0 {
            let first = tail.into_iter().next();
            return Ok(first.map(|turn| StoredTurn {
                seq: 1,
                bytes: turn.bytes,
            }));
        }
        let read = self.unless_deleted(run, self.disk.first_turn(run, stored))?;
        Ok(read.flatten())
    }

    /// What was read of a run whose head we have seen; `None`: it has been deleted since.
    fn unless_deleted<T>(&self, run: RunId, read: Result<T, Unread>) -> Result<Option<T>, Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Unread::Missing(error)) => match self.read_head(run)? {
                Some(_) => Err(error),
                None => Ok(None),
            },
            Err(Unread::Failed(error)) => Err(error),
        }
    }

    /// What the database has of a run, and the turns behind that.
    fn parts(&self, run: RunId) -> Result<Option<(Stored, Vec<Logged>)>, Error> {
        let live = self.live();
        if let Some(run) = live.runs.get(&run) {
            return Ok(Some((run.stored, run.tail.clone())));
        }
        if live.deleted.contains(&run) {
            return Ok(None);
        }
        drop(live);
        Ok(self.disk.head(run)?.map(|head| (head.stored(), Vec::new())))
    }

    pub(super) fn read_head(&self, run: RunId) -> Result<Option<RunHead>, Error> {
        let live = self.live();
        if let Some(run) = live.runs.get(&run) {
            return Ok(Some(run.head.clone()));
        }
        if live.deleted.contains(&run) {
            return Ok(None);
        }
        drop(live);
        Ok(self.disk.head(run)?.map(|stored| stored.head))
    }

    pub(super) fn find_newest(&self, workflow_id: &WorkflowId) -> Result<Option<RunHead>, Error> {
        // Memory first: a run that moves from there to the database meanwhile is then seen twice, not missed.
        let (in_memory, may_be_on_disk) = {
            let live = self.live();
            let newest = live.newest(workflow_id).map(|run| run.head.clone());
            (newest, live.stored_names.may_contain(workflow_id))
        };
        if !may_be_on_disk {
            return Ok(in_memory);
        }
        let mut most = None;
        loop {
            let Some(run) = self.disk.newest(workflow_id, most)? else {
                return Ok(in_memory);
            };
            if in_memory.as_ref().is_some_and(|head| head.run_id >= run) {
                return Ok(in_memory);
            }
            if let Some(head) = self.read_head(run)? {
                return Ok(Some(head));
            }
            self.expect_deleted(workflow_id, run)?;
            most = before(run);
            if most.is_none() {
                return Ok(in_memory);
            }
        }
    }

    /// A run that has a name in the database, but no head: it was deleted meanwhile.
    fn expect_deleted(&self, workflow_id: &WorkflowId, run: RunId) -> Result<(), Error> {
        // Either it is still there, or its name is gone, too.
        if !self.live().deleted.contains(&run) && self.disk.entry(&keys::name(workflow_id, run))?.is_some() {
            return Err(Error::Corrupt {
                run: Some(run),
                what: "its head is missing".to_owned(),
            });
        }
        Ok(())
    }

    /// Two lists: all in memory, of which there are few, and the newest in the database.
    pub(super) fn runs_of_name(
        &self,
        workflow_id: &WorkflowId,
        older_than: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunHead>, Error> {
        let is_older = |head: &RunHead| older_than.is_none_or(|run| head.run_id < run);
        // Memory first, as above.
        let (mut heads, may_be_on_disk) = {
            let live = self.live();
            let heads = live.runs_of(workflow_id).map(|run| run.head.clone());
            let heads: BTreeMap<RunId, RunHead> = heads.filter(is_older).map(|head| (head.run_id, head)).collect();
            (heads, live.stored_names.may_contain(workflow_id))
        };
        let mut most = older_than.map_or(Some(RunId::from_bytes([u8::MAX; 16])), before);
        let mut stored = 0;
        while may_be_on_disk
            && stored < limit
            && let Some(at_most) = most
            && let Some(run) = self.disk.newest(workflow_id, Some(at_most))?
        {
            most = before(run);
            if heads.contains_key(&run) {
                continue;
            }
            match self.read_head(run)? {
                Some(head) => {
                    stored += 1;
                    heads.insert(run, head);
                }
                None => self.expect_deleted(workflow_id, run)?,
            }
        }
        Ok(heads.into_values().rev().take(limit).collect())
    }

    /// Two lists, both in the order of the ids: what is in memory counts, and the marks in the database of all others.
    pub(super) fn wakes(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunWake>, Error> {
        let (mut wakes, mut hidden) = (Vec::new(), HashSet::new());
        {
            let live = self.live();
            hidden.extend(live.deleted.iter().copied());
            for run in live.runs.values().map(|run| &run.head) {
                hidden.insert(run.run_id);
                wakes.extend(run.wakes().filter(|_| after.is_none_or(|after| run.run_id > after)));
            }
        }
        let mut from_disk = 0;
        let mut below = after;
        'pages: for page in self.disk.pages_from(&keys::open(after.unwrap_or(RunId::NIL)))? {
            let (page, value) = page?;
            for (key, content) in Page::open(&page, &value)?.entries()? {
                if from_disk >= limit {
                    break 'pages;
                }
                let (run, wake) = decode_open(key, content)?;
                if below.is_some_and(|below| run <= below) || hidden.contains(&run) {
                    continue;
                }
                below = Some(run);
                from_disk += usize::from(wake.is_some());
                wakes.extend(wake);
            }
        }
        wakes.sort_unstable_by_key(|wake| wake.run_id);
        wakes.truncate(limit);
        Ok(wakes)
    }

    pub(super) fn read_definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        // Memory says whether there is one.
        let known = self.live().definitions.get(&digest).cloned();
        match known {
            None => Ok(None),
            Some(Some(bytes)) => Ok(Some(bytes)),
            Some(None) => match self.disk.definition(digest)? {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Error::Corrupt {
                    run: None,
                    what: format!("definition {digest} is missing"),
                }),
            },
        }
    }
}

/// The run id just below.
fn before(run: RunId) -> Option<RunId> {
    let number = u128::from_be_bytes(*run.as_bytes()).checked_sub(1)?;
    Some(RunId::from_bytes(number.to_be_bytes()))
}
