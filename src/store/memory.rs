//! A store without a disk, for tests and for benchmarks of everything else. Must not live here: anything that survives
//! the process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::head::Place;
use super::{
    CommitBatch, Epoch, Error, ListQuery, RunHead, RunWake, Store, StoreStats, StoredTurn, TurnRecord, VerifyProgress,
    VerifyReport,
};
use crate::model::{DefinitionDigest, RunId, Timestamp, WorkflowId};

/// Keeps everything in memory. Clones share one content, so that a clone is what reopening is for a store with a disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    content: Arc<RwLock<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    epoch: Epoch,
    runs: BTreeMap<RunId, Run>,
    open: BTreeSet<RunId>,
    names: BTreeMap<WorkflowId, BTreeSet<RunId>>,
    definitions: BTreeMap<DefinitionDigest, Bytes>,
    left_at: Option<Timestamp>,
    stats: StoreStats,
}

#[derive(Debug)]
struct Run {
    head: RunHead,
    turns: Vec<Bytes>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // A panic of another thread between two statements cannot leave the content half changed: everything is checked
    // before the first change.
    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn check_epoch(&self, epoch: Epoch) -> Result<(), Error> {
        if epoch != self.epoch {
            return Err(Error::Fenced {
                ours: epoch.0,
                current: self.epoch.0,
            });
        }
        Ok(())
    }

    fn check(&self, turns: &[TurnRecord]) -> Result<(), Error> {
        let mut places: BTreeMap<RunId, Place> = BTreeMap::new();
        for turn in turns {
            let stored = || self.runs.get(&turn.run_id).map(|run| run.head.place());
            let place = places.get(&turn.run_id).copied().or_else(stored);
            places.insert(turn.run_id, Place::after(place, turn)?);
        }
        Ok(())
    }

    fn apply(&mut self, turn: &TurnRecord) {
        if let Some(head) = RunHead::opened_by(turn) {
            self.open.insert(turn.run_id);
            self.names
                .entry(head.workflow_id.clone())
                .or_default()
                .insert(turn.run_id);
            let turns = Vec::new();
            self.runs.insert(turn.run_id, Run { head, turns });
        }
        let run = self.runs.get_mut(&turn.run_id).expect("checked before");
        run.head.advance(turn);
        run.turns.push(turn.bytes.clone());
        if run.head.status.is_closed() {
            self.open.remove(&turn.run_id);
        }
        self.stats.turns += 1;
        self.stats.bytes_written += u64::try_from(turn.bytes.len()).unwrap_or(0);
    }

    fn forget(&mut self, run_id: RunId) {
        if self.open.contains(&run_id) {
            return;
        }
        let Some(run) = self.runs.remove(&run_id) else { return };
        if let Some(runs) = self.names.get_mut(&run.head.workflow_id) {
            runs.remove(&run_id);
            if runs.is_empty() {
                self.names.remove(&run.head.workflow_id);
            }
        }
    }
}

impl Store for MemoryStore {
    fn commit(&self, epoch: Epoch, batch: &CommitBatch) -> Result<(), Error> {
        let mut content = self.write();
        content.check_epoch(epoch)?;
        content.check(&batch.turns)?;
        for (digest, bytes) in &batch.definitions {
            content.definitions.entry(*digest).or_insert_with(|| bytes.clone());
        }
        for turn in &batch.turns {
            content.apply(turn);
        }
        content.left_at = None;
        content.stats.commits += 1;
        Ok(())
    }

    fn claim(&self) -> Result<Epoch, Error> {
        let mut content = self.write();
        content.epoch = Epoch(content.epoch.0 + 1);
        content.left_at = None;
        Ok(content.epoch)
    }

    fn leave(&self, epoch: Epoch, at: Timestamp) -> Result<(), Error> {
        let mut content = self.write();
        content.check_epoch(epoch)?;
        content.left_at = Some(at);
        Ok(())
    }

    fn left_at(&self) -> Option<Timestamp> {
        self.read().left_at
    }

    fn history(&self, run: RunId) -> Result<Option<Vec<StoredTurn>>, Error> {
        let turn = |(seq, bytes): (u64, &Bytes)| StoredTurn {
            seq,
            bytes: bytes.clone(),
        };
        let content = self.read();
        let found = content.runs.get(&run);
        Ok(found.map(|run| (1..).zip(&run.turns).map(turn).collect()))
    }

    fn first_turn(&self, run: RunId) -> Result<Option<StoredTurn>, Error> {
        let content = self.read();
        let first = content.runs.get(&run).and_then(|run| run.turns.first());
        Ok(first.map(|bytes| StoredTurn {
            seq: 1,
            bytes: bytes.clone(),
        }))
    }

    fn find(&self, workflow_id: &WorkflowId) -> Result<Option<RunHead>, Error> {
        let content = self.read();
        let newest = content.names.get(workflow_id).and_then(|runs| runs.last());
        Ok(newest.and_then(|run| content.runs.get(run)).map(|run| run.head.clone()))
    }

    fn runs_of(&self, workflow_id: &WorkflowId, before: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, Error> {
        let content = self.read();
        let before = before.map_or(Bound::Unbounded, Bound::Excluded);
        let named = content.names.get(workflow_id).into_iter();
        let newest_first = named.flat_map(|runs| runs.range((Bound::Unbounded, before)).rev());
        let heads = newest_first
            .filter_map(|run| content.runs.get(run))
            .map(|run| run.head.clone());
        Ok(heads.take(limit).collect())
    }

    fn head(&self, run: RunId) -> Result<Option<RunHead>, Error> {
        Ok(self.read().runs.get(&run).map(|run| run.head.clone()))
    }

    fn wakes(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunWake>, Error> {
        let content = self.read();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let open = content.open.range((after, Bound::Unbounded));
        let open = open.filter_map(|run| content.runs.get(run)?.head.wakes());
        Ok(open.take(limit).collect())
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error> {
        let content = self.read();
        let before = query.before.map_or(Bound::Unbounded, Bound::Excluded);
        let runs = content.runs.range((Bound::Unbounded, before)).rev();
        Ok(runs
            .map(|(_, run)| &run.head)
            .filter(|head| query.matches(head))
            .take(query.limit)
            .cloned()
            .collect())
    }

    fn oldest(&self, after: Option<RunId>, below: RunId, limit: usize) -> Result<Vec<RunHead>, Error> {
        if after.is_some_and(|after| after >= below) {
            return Ok(Vec::new());
        }
        let content = self.read();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let runs = content.runs.range((after, Bound::Excluded(below)));
        Ok(runs.take(limit).map(|(_, run)| run.head.clone()).collect())
    }

    fn definition(&self, digest: DefinitionDigest) -> Result<Option<Bytes>, Error> {
        Ok(self.read().definitions.get(&digest).cloned())
    }

    fn passivate(&self, _run: RunId) {}

    fn delete(&self, epoch: Epoch, runs: &[RunId]) -> Result<(), Error> {
        let mut content = self.write();
        content.check_epoch(epoch)?;
        for run in runs {
            content.forget(*run);
        }
        content.left_at = None;
        Ok(())
    }

    fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        let content = self.read();
        let mut report = VerifyReport::default();
        for run in content.runs.values() {
            report.runs += 1;
            report.turns += run.head.turns;
            report.bytes += run.head.history_bytes;
        }
        progress(VerifyProgress {
            runs: report.runs,
            turns: report.turns,
        });
        Ok(report)
    }

    fn stats(&self) -> StoreStats {
        self.read().stats
    }
}
