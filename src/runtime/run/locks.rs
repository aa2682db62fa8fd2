//! A run and the engine's lock table: bringing what it wants and holds, taking the verdicts. Must not live here: who gets
//! what (that is `locks::table`), or what a verdict means (that is `machine::lock`).

use crate::machine::{LockState, RunState};
use crate::model::{Input, LockName};

use super::super::locks::{Claimant, Request, Verdict};
use super::super::messages::Letter;
use super::{RunActor, RunAddress};

/// What the table knows of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtTheTable {
    /// Not what it should: the run was rebuilt, and may be awaited.
    is_awaited: bool,
    /// That it wants or holds something.
    is_known: bool,
}

impl AtTheTable {
    pub(super) fn of(state: &RunState) -> Self {
        Self {
            is_awaited: state.turns() > 0,
            is_known: false,
        }
    }
}

impl RunActor {
    /// Everything decided so far is durable: tells the table how the run stands. Verdicts come first in the next turn, so
    /// that they meet the very requests that they are about.
    pub(super) fn bring_locks(&mut self) {
        let has_locks = self.state.locks().next().is_some();
        if !has_locks && !self.locks.is_awaited && !self.locks.is_known {
            return;
        }
        let (mut waiting, mut held) = (Vec::new(), Vec::new());
        for lock in self.state.locks() {
            match lock.state {
                LockState::Waiting => waiting.push(Request {
                    lock: lock.lock.beside(&self.at.workflow_id),
                    requested: lock.requested,
                    at: lock.requested_at,
                    no_wait: lock.no_wait,
                }),
                LockState::Held => held.push(lock.lock.beside(&self.at.workflow_id)),
                LockState::Refused(_) => {}
            }
        }
        self.locks = AtTheTable {
            is_awaited: false,
            is_known: !waiting.is_empty() || !held.is_empty(),
        };
        let claimant = claimant(&self.at, &self.state);
        let shared = &self.at.shared;
        let synced = shared.locks.sync(self.at.epoch, &claimant, &waiting, &held);
        shared.wake_runs(synced.wake);
        for (lock, verdict) in synced.verdicts {
            self.inbox.insert(0, Letter::internal(input(&lock, verdict)));
        }
    }

    /// The run has ended: its locks go to those who are next.
    pub(super) fn release_locks(&self) {
        if self.locks.is_awaited || self.locks.is_known {
            let shared = &self.at.shared;
            shared.wake_runs(shared.locks.release(self.at.epoch, self.at.run_id));
        }
    }
}

fn input(lock: &LockName, verdict: Verdict) -> Input {
    // The run knows it without its namespace.
    let lock = LockName::from_trusted(lock.as_str());
    match verdict {
        Verdict::Granted => Input::LockGranted { lock },
        Verdict::Refused(failure) => Input::LockRefused { lock, failure },
    }
}

fn claimant(at: &RunAddress, state: &RunState) -> Claimant {
    let parent = state.started().and_then(|started| started.parent.as_ref());
    Claimant {
        workflow_id: at.workflow_id.clone(),
        run_id: at.run_id,
        parent: parent.map(|parent| parent.run_id),
    }
}
