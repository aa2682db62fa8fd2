//! Code that behaves as workflow code must not: it is woken by something that is not of amends, and parked when that happens,
//! not when something else comes along; or it does not come back.
//! Must not live here: recognising it (`replay`).

use actix::{AsyncContext, Context, Handler};

use crate::machine::Phase;
use crate::model::{ParkReason, Timestamp, limits};

use super::super::messages::WokenByForeigner;
use super::{Next, RunActor};

impl RunActor {
    /// Nothing can take the thread away from code that does not come back; that it did not for a while can be told.
    pub(super) fn notice_slowness(&self, began: Timestamp) {
        let took = self.at.shared.clock.now().since(began);
        if took > limits::TURN_SLOW {
            tracing::warn!(
                workflow_id = %self.at.workflow_id, run_id = %self.at.run_id, ?took,
                "a turn held its shard's thread: long computations and blocking calls belong into activities"
            );
        }
    }

    pub(super) fn watch_foreign_wakes(&mut self, ctx: &mut Context<Self>) {
        let Some(wakes) = self.foreign_wakes.take() else {
            return;
        };
        // Weak: whatever the code gave its waker to must not keep the actor alive.
        let run = ctx.address().downgrade();
        wakes.watch(move || {
            if let Some(run) = run.upgrade() {
                run.do_send(WokenByForeigner);
            }
        });
    }
}

impl Handler<WokenByForeigner> for RunActor {
    type Result = ();

    fn handle(&mut self, _: WokenByForeigner, ctx: &mut Self::Context) {
        if self.over.is_some() || self.next.is_some() || *self.state.phase() != Phase::Running {
            return;
        }
        self.next = Some(Next::Park(ParkReason::ForeignFuture));
        self.pump(ctx);
        self.count_busy();
    }
}
