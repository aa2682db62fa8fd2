//! A shard and time: waking runs when they are due, and finding those that sleep. Must not live here: what a run does when
//! it wakes.

use actix::{AsyncContext, Context, WrapFuture};

use crate::model::{Input, RunId, WorkflowId, limits};

use super::super::messages::{Letter, PassivateIfIdle, Sweep, Tick};
use super::ShardActor;
use super::entry::Presence;

impl ShardActor {
    /// Wakes a run that is due.
    pub(super) fn wake(&mut self, workflow_id: &WorkflowId, run_id: RunId, ctx: &mut Context<Self>) {
        let entry = self.entry_of(workflow_id, run_id);
        match &mut entry.actor {
            Presence::Restarting(letters) => {
                let letters = std::mem::take(letters);
                let exhausted = entry
                    .restarts
                    .as_ref()
                    .filter(|tries| tries.count >= limits::TURN_FAILURES_MAX);
                let park = exhausted.map(|tries| tries.reason.clone());
                self.activate(workflow_id, letters, park, ctx);
            }
            _ => self.hand_over(workflow_id, Letter::internal(Input::Wake), ctx),
        }
    }

    /// Makes sure that a tick comes when the earliest timer is due, and none before: whoever sets a clock by hand sees for what
    /// time somebody waits.
    pub(super) fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let next = self.timers.next();
        if let Some((alarm_at, alarm)) = self.alarm {
            if Some(alarm_at) == next {
                return;
            }
            ctx.cancel_future(alarm);
            self.alarm = None;
        }
        let Some(at) = next else {
            return;
        };
        let shard = ctx.address();
        let sleep = self.shared.clock.sleep_until(at);
        let alarm = async move {
            sleep.await;
            shard.do_send(Tick);
        };
        self.alarm = Some((at, ctx.spawn(alarm.into_actor(self))));
    }

    /// Sweeps at once if there are more live runs than this, and enough of them are new since the last time.
    pub(super) fn make_room(&mut self, live_max: usize, ctx: &mut Context<Self>) {
        let live = self.live.len();
        if live > live_max && self.activated >= live_max.max(live) / 2 {
            self.sweep(ctx);
        }
    }

    /// Asks every live run that nobody spoke to since the last sweep whether it is idle.
    pub(super) fn sweep(&mut self, ctx: &mut Context<Self>) {
        self.activated = 0;
        self.forget_passive();
        let mut quiet = Vec::new();
        for (workflow_id, spoken_to) in &mut self.live {
            if !std::mem::replace(spoken_to, false) {
                quiet.push(workflow_id.clone());
            }
        }
        for workflow_id in quiet {
            if let Some(entry) = self.entries.get_mut(&workflow_id)
                && let Presence::Live(actor) = &entry.actor
            {
                let actor = actor.clone();
                match actor.connected() {
                    true => {
                        actor.do_send(PassivateIfIdle);
                        entry.actor = Presence::Passivating(actor, Vec::new());
                    }
                    false => {
                        entry.attempts_lost = Some(self.shared.clock.now());
                        self.activate(&workflow_id, Vec::new(), None, ctx);
                    }
                }
            }
        }
    }

    pub(super) fn plan_sweep(&self, ctx: &mut Context<Self>) {
        let shard = ctx.address();
        let sleep = self
            .shared
            .clock
            .sleep_until(self.shared.clock.now().after(self.shared.passivate_after));
        let later = async move {
            sleep.await;
            shard.do_send(Sweep);
        };
        ctx.spawn(later.into_actor(self));
    }
}
