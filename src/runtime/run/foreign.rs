//! Code that behaves as workflow code must not: it is woken by something that is not of amends, and parked when that happens,
//! not when something else comes along; or it does not come back.
//! Must not live here: recognising it (`replay`).

use actix::{AsyncContext, Context, Handler};

use crate::machine::{Phase, RunState};
use crate::model::{Input, ParkReason, Timestamp, WorkflowType, limits};

use super::super::messages::WokenByForeigner;
use super::super::watchdog::TurnWatch;
use super::{Next, RunActor, RunAddress};

/// Whose code decides: of a run that begins with this turn, its start says so.
pub(super) fn workflow_type<'a>(state: &'a RunState, inputs: &'a [Input]) -> Option<&'a WorkflowType> {
    let of_state = state.started().map(|started| &started.workflow_type);
    of_state.or_else(|| {
        inputs.iter().find_map(|input| match input {
            Input::Start(start) => Some(&start.workflow_type),
            _ => None,
        })
    })
}

impl RunAddress {
    /// Has somebody look whether the code comes back, for as long as the answer lives.
    pub(super) fn watch(&self, workflow_type: Option<&WorkflowType>) -> TurnWatch<'_> {
        let watchdog = &self.shared.watchdog;
        watchdog.begin(self.shard_index, &self.workflow_id, self.run_id, workflow_type)
    }
}

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
