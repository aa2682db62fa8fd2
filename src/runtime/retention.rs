//! Forgetting runs that ended long ago. Lives here: which runs may go, and a walk over all runs that looks at a few of them at
//! a time. Must not live here: how a store deletes.
//!
//! The walk goes from the oldest run to the youngest that can be old enough, and begins anew a while after it has come there.
//! Run ids are in the order of the runs' beginnings, and what has ended began before: nothing has to be written when a run
//! ends, and a walk that a restart has interrupted just begins again, at the oldest. Runs that are still there (open ones, and
//! those that are kept longer) are looked at in each walk, slowly; where runs are to be deleted it is quick.
//!
//! A run is kept, however long ago it ended, while an open one may need it (`needed`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{NamespaceName, RunId, Timestamp, limits};
use crate::store::{Epoch, Error, RunHead, Store};

use super::offline::as_guest;
use super::shared::Shared;

mod needed;

use needed::Needed;

/// How long runs are kept after their end; what is not said is kept for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retention {
    /// Those of the default namespace.
    pub(crate) period: Option<Duration>,
    /// Those of the others.
    pub(crate) named: BTreeMap<NamespaceName, Duration>,
}

impl Retention {
    /// Only runs of this namespace are ever deleted, so long after their end.
    pub(crate) fn of_namespace(namespace: &NamespaceName, period: Duration) -> Self {
        match namespace.is_default() {
            true => Self {
                period: Some(period),
                ..Self::default()
            },
            false => Self {
                named: BTreeMap::from([(namespace.clone(), period)]),
                ..Self::default()
            },
        }
    }

    /// How long this run is kept after its end.
    fn of(&self, head: &RunHead) -> Option<Duration> {
        match head.workflow_id.is_in_default_namespace() {
            true => self.period,
            false => self.named.get(head.workflow_id.namespace()).copied(),
        }
    }

    /// The shortest time that any run is kept; `None` when nothing is ever to be deleted.
    pub(super) fn shortest(&self) -> Option<Duration> {
        self.period.into_iter().chain(self.named.values().copied()).min()
    }

    /// Whether the run ended long enough ago.
    fn is_over(&self, head: &RunHead, now: Timestamp) -> bool {
        let ended = head.closed_at.filter(|_| head.status.is_closed());
        ended
            .zip(self.of(head))
            .is_some_and(|(ended, period)| ended.after(period) <= now)
    }
}

/// A walk over the runs of a store.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The last run that was looked at.
    after: Option<RunId>,
}

/// What one step of a walk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Runs that were deleted.
    pub(crate) deleted: usize,
    /// There is nothing more to be looked at; the next step begins a new walk.
    pub(crate) at_end: bool,
}

impl Sweep {
    /// Looks at the next runs, and deletes those that are over: bounded in both.
    ///
    /// # Errors
    /// Those of the store; the walk can go on from where it was.
    pub(crate) fn step(
        &mut self,
        store: &dyn Store,
        epoch: Epoch,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Swept, Error> {
        let Some(below) = retention.shortest().map(|period| not_older_than(period, now)) else {
            return Ok(Swept {
                deleted: 0,
                at_end: true,
            });
        };
        let heads = store.oldest(self.after, below, limits::RETENTION_LOOK_RUNS)?;
        let mut at_end = heads.len() < limits::RETENTION_LOOK_RUNS;
        let (mut doomed, mut bytes) = (Vec::new(), 0_u64);
        let mut last = self.after;
        let mut needed = Needed::new(store);
        for head in heads {
            if doomed.len() >= limits::RETENTION_DELETE_RUNS || bytes >= limits::RETENTION_DELETE_BYTES {
                at_end = false;
                break;
            }
            last = Some(head.run_id);
            if retention.is_over(&head, now) && !needed.is(&head, |above| !retention.is_over(above, now))? {
                bytes = bytes.saturating_add(head.history_bytes);
                doomed.push(head.run_id);
            }
        }
        if !doomed.is_empty() {
            store.delete(epoch, &doomed)?;
        }
        self.after = last.filter(|_| !at_end);
        Ok(Swept {
            deleted: doomed.len(),
            at_end,
        })
    }
}

/// Every run that ended so long ago has an id below this one.
fn not_older_than(period: Duration, now: Timestamp) -> RunId {
    let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
    let millis = now.as_micros().saturating_sub(period) / 1_000;
    RunId::from_parts(
        u64::try_from(millis).map_or(0, |millis| millis.saturating_add(1)),
        &[0; 10],
    )
}

/// One whole walk at once, while no engine runs; says how many runs it has deleted.
pub(crate) fn prune_offline(
    store: &dyn Store,
    retention: &Retention,
    now: Timestamp,
    progress: &mut dyn FnMut(usize),
) -> Result<usize, Error> {
    as_guest(store, |epoch| {
        let (mut sweep, mut deleted) = (Sweep::default(), 0);
        loop {
            let swept = sweep.step(store, epoch, retention, now)?;
            deleted += swept.deleted;
            progress(deleted);
            if swept.at_end {
                return Ok(deleted);
            }
        }
    })
}

/// Walks for as long as the engine lives.
pub(super) async fn keep(shared: Arc<Shared>, retention: Retention) {
    let retention = Arc::new(retention);
    let mut sweep = Sweep::default();
    // Recovery goes first: what is due may still ask about runs that have ended meanwhile.
    let mut pause = limits::RETENTION_REST;
    loop {
        let wake = shared.clock.now().after(pause);
        tokio::select! {
            biased;
            () = shared.draining().raised() => return,
            () = shared.clock.sleep_until(wake) => {}
        }
        let (theirs, retention) = (Arc::clone(&shared), Arc::clone(&retention));
        let step = tokio::task::spawn_blocking(move || {
            let now = theirs.clock.now();
            let swept = theirs
                .store
                .get_for_commit()
                .and_then(|(store, epoch)| sweep.step(&*store, epoch, &retention, now));
            (sweep, swept)
        });
        // A panic is no reason to keep everything for ever: the walk begins anew, like after any error.
        let swept = match step.await {
            Ok((walked, swept)) => {
                sweep = walked;
                swept
            }
            Err(error) if error.is_panic() => {
                sweep = Sweep::default();
                Err(Error::Io(format!("deleting panicked: {error}")))
            }
            Err(_) => return,
        };
        pause = match swept {
            Ok(Swept { at_end: true, .. }) => limits::RETENTION_REST,
            Ok(Swept { deleted: 0, .. }) => limits::RETENTION_PAUSE,
            Ok(_) => limits::RETENTION_PAUSE_DELETING,
            Err(error) => {
                tracing::warn!(%error, "runs that ended long ago cannot be deleted just now");
                sweep = Sweep::default();
                limits::RETENTION_REST
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ParentRun, RunStatus, WorkflowId};
    use crate::store::{CommitBatch, FoundBy, MemoryStore, TurnRecord};
    use crate::testing::store_conformance::{run_id, turn};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn hourly() -> Retention {
        Retention {
            period: Some(HOUR),
            ..Retention::default()
        }
    }

    /// The time at which the run of this number began: its id says so.
    fn at(number: u64) -> Timestamp {
        Timestamp::from_micros(i64::try_from((1_700_000_000_000 + number) * 1_000).unwrap())
    }

    fn record(number: u64, status: RunStatus, parent: Option<u64>) -> TurnRecord {
        let parent = parent.map(|parent| ParentRun {
            workflow_id: WorkflowId::from_trusted(format!("order-{parent}")),
            run_id: run_id(parent),
            initiated: None,
        });
        let found_by = parent.is_some().then(|| {
            Arc::new(FoundBy {
                parent,
                ..FoundBy::default()
            })
        });
        TurnRecord {
            time: at(number),
            found_by,
            ..turn(number, 1, 20, status)
        }
    }

    fn store_with(turns: Vec<TurnRecord>) -> (MemoryStore, Epoch) {
        let store = MemoryStore::new();
        let epoch = store.claim().unwrap();
        let definitions = Vec::new();
        store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
        (store, epoch)
    }

    fn left(store: &MemoryStore) -> Vec<RunId> {
        let heads = store.oldest(None, RunId::from_bytes([0xff; 16]), 10_000).unwrap();
        heads.iter().map(|head| head.run_id).collect()
    }

    #[test]
    fn what_ended_long_enough_ago_goes_and_nothing_else() {
        let (store, epoch) = store_with(vec![
            record(1, RunStatus::Completed, None),
            record(2, RunStatus::Running, None),
            record(3, RunStatus::Stuck, None),
            record(4, RunStatus::Failed, None),
            record(5, RunStatus::Completed, None),
        ]);
        let mut sweep = Sweep::default();
        let mut step = |now| sweep.step(&store, epoch, &hourly(), now).unwrap();
        let over = |deleted| Swept { deleted, at_end: true };
        assert_eq!(step(at(0).after(HOUR)), over(0));
        assert_eq!(step(at(1).after(HOUR)), over(1), "to the millisecond");
        assert_eq!(step(at(4).after(HOUR)), over(1));
        assert_eq!(left(&store), [2, 3, 5].map(run_id));
        let kept = Sweep::default().step(&store, epoch, &Retention::default(), at(5).after(HOUR * 9_999));
        assert_eq!(kept.unwrap(), over(0), "for ever");
        assert_eq!(left(&store), [2, 3, 5].map(run_id));
    }

    #[test]
    fn each_namespace_keeps_its_runs_as_long_as_it_says() {
        let name = |name: &str| NamespaceName::new(name).unwrap();
        let of = |namespace: &str, number| {
            let mut record = record(number, RunStatus::Completed, None);
            let opens = record.opens.as_mut().unwrap();
            opens.workflow_id = opens.workflow_id.in_namespace(&name(namespace));
            record
        };
        let all = ["default", "short", "long", "unsaid", "gone"].into_iter().zip(1..);
        let (store, epoch) = store_with(all.map(|(namespace, number)| of(namespace, number)).collect());
        let retention = Retention {
            period: None,
            named: BTreeMap::from([(name("short"), HOUR), (name("long"), HOUR * 3)]),
        };
        let mut sweep = Sweep::default();
        let mut left_after = |hours| {
            sweep
                .step(&store, epoch, &retention, at(10).after(HOUR * hours))
                .unwrap();
            left(&store)
        };
        assert_eq!(left_after(1), [1, 3, 4, 5].map(run_id));
        assert_eq!(left_after(99), [1, 4, 5].map(run_id));
    }

    #[test]
    fn what_began_early_and_ended_late_is_kept_from_its_end_on() {
        let end = TurnRecord {
            time: at(50_000),
            opens: None,
            ..turn(1, 2, 20, RunStatus::Canceled)
        };
        let (store, epoch) = store_with(vec![record(1, RunStatus::Running, None), end]);
        let mut sweep = Sweep::default();
        sweep.step(&store, epoch, &hourly(), at(49_999).after(HOUR)).unwrap();
        assert_eq!(left(&store), [run_id(1)]);
        sweep.step(&store, epoch, &hourly(), at(50_000).after(HOUR)).unwrap();
        assert_eq!(left(&store), []);
    }

    #[test]
    fn a_run_stays_while_any_run_above_it_is_open() {
        let (store, epoch) = store_with(vec![
            record(1, RunStatus::Running, None),
            record(2, RunStatus::Completed, Some(1)),
            record(3, RunStatus::Completed, Some(2)),
            record(4, RunStatus::Completed, Some(77)),
        ]);
        let late = at(0).after(HOUR * 24);
        let mut sweep = Sweep::default();
        assert_eq!(sweep.step(&store, epoch, &hourly(), late).unwrap().deleted, 1);
        assert_eq!(
            left(&store),
            [1, 2, 3].map(run_id),
            "nobody is above the fourth any more"
        );
        let end = TurnRecord {
            opens: None,
            ..turn(1, 2, 20, RunStatus::Completed)
        };
        let batch = CommitBatch {
            turns: vec![end],
            definitions: Vec::new(),
        };
        store.commit(epoch, &batch).unwrap();
        assert_eq!(sweep.step(&store, epoch, &hourly(), late).unwrap().deleted, 3);
    }

    #[test]
    fn a_step_is_bounded_and_the_next_one_goes_on_from_there() {
        let open = (1..=1_500).map(|number| record(number, RunStatus::Running, None));
        let closed = (1_501..=2_200).map(|number| record(number, RunStatus::Completed, None));
        let (store, epoch) = store_with(open.chain(closed).collect());
        let mut sweep = Sweep::default();
        let mut steps = Vec::new();
        loop {
            let swept = sweep.step(&store, epoch, &hourly(), at(5_000).after(HOUR)).unwrap();
            steps.push(swept.deleted);
            if swept.at_end {
                break;
            }
        }
        assert_eq!(limits::RETENTION_DELETE_RUNS, 250);
        // A thousand open ones are looked at in the first step.
        assert_eq!(steps, [0, 250, 250, 200]);
        assert_eq!(left(&store).len(), 1_500);
    }
}
