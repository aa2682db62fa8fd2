//! Reads: from memory what is there, from the database everything else; never waiting for a commit in progress. Must
//! not live here: changes.

use std::ops::Bound;

use bytes::Bytes;

use super::frame::Joined;
use super::history::{self, Unread};
use super::index::StoredHead;
use super::quiet::quietly;
use super::state::Stored;
use super::{Disk, SledStore, keys};
use crate::model::{DefinitionDigest, RunId, WorkflowId};
use crate::store::{Error, ListQuery, RunHead, StoredTurn};

impl Disk {
    pub(super) fn head(&self, run: RunId) -> Result<Option<StoredHead>, Error> {
        let key = keys::head(run);
        let value = self.get(&key)?;
        value.map(|value| StoredHead::decode(&key, &value)).transpose()
    }

    /// The turns of a run in the database.
    pub(super) fn turns(&self, run: RunId, stored: Stored) -> Result<Vec<StoredTurn>, Unread> {
        if stored.chunks == 0 && stored.turns > 0 {
            return self.turns_beside_head(run, stored);
        }
        history::read(stored.expected(run), |key| self.get(key))
    }

    fn turns_beside_head(&self, run: RunId, stored: Stored) -> Result<Vec<StoredTurn>, Unread> {
        let key = keys::head(run);
        let Some(value) = self.get(&key).map_err(Unread::Failed)? else {
            return Err(Unread::Missing(Error::Corrupt {
                run: Some(run),
                what: "its head is missing".to_owned(),
            }));
        };
        let whole = StoredHead::decode_with_turns(&key, &value);
        let turns = whole.and_then(|(_, turns)| history::read_whole(stored.expected(run), turns));
        turns.map_err(Unread::Failed)
    }

    /// The newest run with a name in the database.
    fn newest(&self, workflow_id: &WorkflowId) -> Result<Option<RunId>, Error> {
        let range = keys::names(workflow_id);
        let last = quietly("looking up a name", || self.db.range(range).next_back().transpose())?;
        Ok(last.and_then(|(key, _)| keys::run_at_end(&key)))
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

impl SledStore {
    pub(super) fn read_history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error> {
        let in_memory = {
            let live = self.live();
            live.runs.get(&run).map(|run| (run.stored, run.tail.clone()))
        };
        let (stored, tail) = match in_memory {
            Some(found) => found,
            None => match self.disk.head(run)? {
                Some(head) => (head.stored(), Vec::new()),
                None => return Ok(None),
            },
        };
        let mut turns = match self.disk.turns(run, stored) {
            Ok(turns) => turns,
            // Deleted since we saw its head?
            Err(Unread::Missing(error)) => match self.read_head(run)? {
                Some(_) => return Err(error),
                None => return Ok(None),
            },
            Err(Unread::Failed(error)) => return Err(error),
        };
        let next = stored.turns.saturating_add(1);
        turns.extend((next..).zip(tail).map(|(seq, bytes)| StoredTurn { seq, bytes }));
        Ok(Some(turns))
    }

    pub(super) fn read_head(&self, run: RunId) -> Result<Option<RunHead>, Error> {
        if let Some(run) = self.live().runs.get(&run) {
            return Ok(Some(run.head.clone()));
        }
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
        let Some(run) = self.disk.newest(workflow_id)? else {
            return Ok(in_memory);
        };
        if in_memory.as_ref().is_some_and(|head| head.run_id >= run) {
            return Ok(in_memory);
        }
        match self.read_head(run)? {
            Some(head) => Ok(Some(head)),
            // Deleted since we saw its name? Then the name is gone, too.
            None if self.disk.get(&keys::name(workflow_id, run))?.is_none() => self.find_newest(workflow_id),
            None => Err(Error::Corrupt {
                run: Some(run),
                what: "its head is missing".to_owned(),
            }),
        }
    }

    /// Two lists, both newest first, merged: what is in memory, and heads in the database.
    pub(super) fn list_runs(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error> {
        let mut in_memory: Vec<RunHead> = {
            let live = self.live();
            let heads = live.runs.values().map(|run| &run.head);
            heads.filter(|head| query.matches(head)).cloned().collect()
        };
        in_memory.sort_by_key(|head| std::cmp::Reverse(head.run_id));
        let mut in_memory = in_memory.into_iter().peekable();

        let lowest = Bound::Included(keys::head(RunId::NIL));
        let upper = match query.before {
            Some(before) => Bound::Excluded(keys::head(before)),
            None => Bound::Included(keys::head(RunId::from_bytes([u8::MAX; 16]))),
        };
        let mut on_disk = self.disk.db.range((lowest, upper));
        let mut page = Vec::new();
        while page.len() < query.limit {
            let Some((key, value)) = quietly("listing runs", || on_disk.next_back().transpose())? else {
                break;
            };
            let stored = StoredHead::decode(&key, &value)?.head;
            while let Some(newer) = in_memory.next_if(|head| head.run_id > stored.run_id) {
                page.push(newer);
            }
            // The head in memory is the newer version, whether it matches or not.
            let replaced = in_memory.next_if(|head| head.run_id == stored.run_id);
            match replaced {
                Some(head) => page.push(head),
                None if query.matches(&stored) && !self.live().runs.contains_key(&stored.run_id) => page.push(stored),
                None => {}
            }
        }
        page.extend(in_memory);
        page.truncate(query.limit);
        Ok(page)
    }

    pub(super) fn read_definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        // One that is being stored is in the database before it is durable.
        if !self.live().definitions.contains(&digest) {
            return Ok(None);
        }
        self.disk.definition(digest)
    }
}
