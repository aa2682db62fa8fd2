//! What reaches a shard's runs from inside the engine: late results, news of locks, and of limits. Must not live here: requests from
//! outside.

use actix::{Context, Handler};

use crate::model::{Input, RunId, Timestamp, WorkflowId};
use crate::store::{Epoch, RunWake};

use super::super::locks::Claimant;
use super::super::messages::{LateResult, Letter, ReleaseAttempt, WakeRun};
use super::super::recovery::locks_in_ruins;
use super::ShardActor;
use super::passive::LookedUp;

impl ShardActor {
    /// Tells the engine's lock table which of these runs may hold locks: those that are made live at once.
    pub(super) fn announce_lock_holders(&self, epoch: Epoch, wakes: &[RunWake]) {
        let live_at_once = wakes.iter().filter(|wake| wake.at == Timestamp::EPOCH);
        let runs = live_at_once.map(|wake| wake.run_id);
        let wake = self.shared.locks.expect(epoch, self.index, runs);
        self.shared.wake_runs(wake);
    }

    /// A run cannot be made live: its locks are nobody else's all the same.
    pub(super) fn keep_locks(&self, workflow_id: &WorkflowId, run_id: RunId) {
        let claimant = Claimant {
            workflow_id: workflow_id.clone(),
            run_id,
            parent: None,
        };
        let may_hold = || {
            let locks = locks_in_ruins(&self.shared, run_id).into_iter();
            locks.map(|lock| lock.beside(workflow_id)).collect()
        };
        let wake = self.shared.locks.give_up_on(self.epoch, &claimant, may_hold);
        self.shared.wake_runs(wake);
    }
}

impl Handler<LateResult> for ShardActor {
    type Result = ();

    fn handle(&mut self, late: LateResult, ctx: &mut Context<Self>) {
        let LateResult {
            workflow_id,
            run_id,
            token,
            outcome,
        } = late;
        if self.knows_open(&workflow_id, run_id) {
            let letter = Letter::internal(Input::AttemptEnded { token, outcome });
            self.hand_over(&workflow_id, letter, ctx);
        }
    }
}

impl Handler<ReleaseAttempt> for ShardActor {
    type Result = ();

    fn handle(&mut self, ReleaseAttempt(parked): ReleaseAttempt, ctx: &mut Context<Self>) {
        if self.knows_open(&parked.workflow_id, parked.run_id) {
            let letter = Letter::internal(Input::Release { token: parked.token });
            self.hand_over(&parked.workflow_id, letter, ctx);
        }
    }
}

impl Handler<WakeRun> for ShardActor {
    type Result = ();

    fn handle(&mut self, WakeRun(workflow_id): WakeRun, ctx: &mut Context<Self>) {
        if matches!(self.look_up(&workflow_id, None), Ok(LookedUp::Open)) {
            self.hand_over(&workflow_id, Letter::internal(Input::Wake), ctx);
        }
    }
}
