//! Code that is woken by something that is not of amends: parked when that happens, not when something else comes along.
//! Must not live here: recognising it (`replay`).

use actix::{AsyncContext, Context, Handler};

use crate::machine::Phase;
use crate::model::ParkReason;

use super::super::messages::WokenByForeigner;
use super::{Next, RunActor};

impl RunActor {
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
