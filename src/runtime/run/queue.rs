//! A run and its task queue: the place that it takes to decide, and what waits for a worker. Must not live here: the queues
//! of the engine (that is `runtime::queues`).

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::OwnedSemaphorePermit;

use crate::machine::PendingActivity;
use crate::model::{AttemptToken, HoldReason, Input, TaskQueue};

use super::super::messages::Letter;
use super::RunActor;

/// How a run stands to the places of those of its queue that decide.
#[derive(Default)]
pub(super) enum TurnPlace {
    /// It has none, and wants none.
    #[default]
    None,
    /// It waits for one.
    Awaited,
    /// It was given one.
    Given(OwnedSemaphorePermit),
}

impl RunActor {
    /// A place to decide, for as long as what is returned lives; `None`: the run is pumped again when it has one. A queue
    /// that limits nothing costs a look at it.
    pub(super) fn take_turn_place(&mut self, ctx: &mut Context<Self>) -> Option<Option<OwnedSemaphorePermit>> {
        let Some(places) = self.worker.as_ref().and_then(|worker| worker.tasks()) else {
            return Some(None);
        };
        match std::mem::take(&mut self.turn_place) {
            TurnPlace::Given(place) => return Some(Some(place)),
            TurnPlace::Awaited => {
                self.turn_place = TurnPlace::Awaited;
                return None;
            }
            TurnPlace::None => {}
        }
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(Some(place));
        }
        self.turn_place = TurnPlace::Awaited;
        let waiting = Arc::clone(places).acquire_owned().into_actor(self);
        ctx.spawn(waiting.map(|place, run, ctx| {
            run.turn_place = place.map_or(TurnPlace::None, TurnPlace::Given);
            run.pump(ctx);
            // Others wait for it, if nothing was left to decide.
            run.turn_place = match std::mem::take(&mut run.turn_place) {
                TurnPlace::Given(_) => TurnPlace::None,
                other => other,
            };
            run.answer_questions(ctx);
            run.count_busy();
        }));
        None
    }

    /// What an engine without a worker for it has kept back goes on now that there is one.
    pub(super) fn let_go_what_has_a_worker(&mut self) {
        let waits = |activity: &&PendingActivity| activity.held == Some(HoldReason::NoWorker);
        let served = |activity: &&PendingActivity| self.worker_of(activity).is_some();
        let free = self.state.activities().filter(waits).filter(served);
        let free: Vec<AttemptToken> = free.map(PendingActivity::token).collect();
        let letters = free.into_iter().map(|token| Letter::internal(Input::Release { token }));
        self.inbox.extend(letters);
    }

    /// The queue of the run.
    pub(super) fn task_queue(&self) -> TaskQueue {
        let named = self.state.started().and_then(|started| started.task_queue.clone());
        named.unwrap_or_default()
    }
}
