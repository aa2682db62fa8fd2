//! A run whose code, or whatever decides for it, cannot go on: code that panics is built anew a few times, and nothing else of the run
//! is touched by that; then, and for any other reason at once, the run is parked, visibly. Must not live here: what becomes of
//! an actor that fails itself (that is `shard`).

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use backoff::backoff::Backoff;

use crate::machine::{NoDecider, park};
use crate::model::{Event, EventAttributes, Input, ParkReason, Turn, limits};

use super::super::messages::Letter;
use super::super::recovery::{ParkedDecider, rebuild_isolated};
use super::super::shard::Restarts;
use super::{Next, RunActor};

/// Code that panicked, in a row, without having decided in between.
pub(super) struct Failing {
    tries: Restarts,
    /// The decider is of no use any more, and the next one is not built yet.
    awaits_decider: bool,
}

impl RunActor {
    /// The run has failed too often: its code is not asked any more, it is set aside for this reason.
    pub(in super::super) fn parking(mut self, reason: ParkReason) -> Self {
        let decider = std::mem::replace(&mut self.decider, Box::new(NoDecider));
        self.decider = Box::new(match self.is_code() {
            true => ParkedDecider::of_code(reason.clone()),
            false => ParkedDecider::before(decider, reason.clone()),
        });
        self.next = Some(Next::Park(reason));
        self.given_up = true;
        self
    }

    /// Whether its workflow is code, not a definition.
    fn is_code(&self) -> bool {
        self.state.started().is_none_or(|started| started.definition.is_none())
    }

    /// A panic may have been an accident: the code is tried again a few times. Everything else stays as it is until the code
    /// changes.
    pub(super) fn task_failed(&mut self, reason: ParkReason) {
        if self.state.parked() == Some(&reason) {
            return;
        }
        self.next = Some(match reason {
            ParkReason::Panicked { .. } if !self.given_up => self.panicked(reason),
            reason => Next::Park(reason),
        });
    }

    /// The panic was caught before it reached anything but the code's own memory: the state is whole, and what arrived is
    /// recorded. So what the run has under way goes on, as in Temporal, where a failed workflow task touches no activity.
    fn panicked(&mut self, reason: ParkReason) -> Next {
        let failing = self.failing.get_or_insert_with(|| {
            Box::new(Failing {
                tries: Restarts::new(reason.clone()),
                awaits_decider: false,
            })
        });
        failing.tries.count += 1;
        if failing.tries.count >= limits::TURN_FAILURES_MAX {
            return Next::Park(reason);
        }
        failing.awaits_decider = true;
        let delay = failing.tries.backoff.next_backoff().unwrap_or_default();
        tracing::warn!(
            workflow_id = %self.at.workflow_id, run_id = %self.at.run_id, %reason, ?delay,
            "the run's code is tried again; its activities go on meanwhile"
        );
        Next::Retry(delay)
    }

    /// The code has decided. It has got over its panics if that was about more than looking again.
    pub(super) fn task_succeeded(&mut self, news: bool, turn: Option<&Turn>) {
        let is_task = |event: &Event| matches!(event.attributes, EventAttributes::WorkflowTask(_));
        if news || turn.is_some_and(|turn| turn.events.iter().any(is_task)) {
            self.failing = None;
        }
    }

    /// Whether what arrives has to wait until the code is built anew. An engine that stops does not ask the code any more:
    /// whatever arrives is recorded.
    pub(super) fn awaits_decider(&self) -> bool {
        let failing = self.failing.as_ref().is_some_and(|failing| failing.awaits_decider);
        failing && self.state.outcome().is_none() && !self.at.shared.is_draining()
    }

    /// Everything is durable: after the delay the code is built anew from the journal.
    pub(super) fn retry_after(&self, delay: Duration, ctx: &mut Context<Self>) {
        let clock = &self.at.shared.clock;
        let sleep = clock.sleep_until(clock.now().after(delay));
        let shared = self.at.shared.clone();
        let delay = async move {
            tokio::select! {
                biased;
                () = shared.draining().raised() => {}
                () = sleep => {}
            }
        };
        ctx.spawn(delay.into_actor(self).map(|(), run, ctx| {
            run.retry(ctx);
            run.pump(ctx);
            run.answer_questions(ctx);
            run.count_busy();
        }));
    }

    fn retry(&mut self, ctx: &mut Context<Self>) {
        // It may have been parked since, and be about that.
        let is_about_something_else = self.committing.is_some() || self.next.is_some() || self.over.is_some();
        if !self.awaits_decider() || is_about_something_else {
            return;
        }
        if self.renew_decider("its code has panicked", ctx) {
            if let Some(failing) = &mut self.failing {
                failing.awaits_decider = false;
            }
            self.inbox.push(Letter::internal(Input::Wake));
        }
    }

    /// Has the run decided for by other memory than what has become doubtful; nothing else of it changes. Everything has to
    /// be durable. False when the actor has failed instead.
    pub(super) fn renew_decider(&mut self, why: &str, ctx: &mut Context<Self>) -> bool {
        let workflow_type = self.state.started().map(|started| &started.workflow_type);
        let watched = self.at.watch(workflow_type);
        let rebuilt = rebuild_isolated(&self.at.shared, self.at.run_id);
        drop(watched);
        match rebuilt {
            Ok(rebuilt) => {
                self.decider = rebuilt.decider;
                self.foreign_wakes = rebuilt.foreign_wakes;
                self.watch_foreign_wakes(ctx);
                true
            }
            Err(error) => {
                let message = format!("{why}, and the run cannot be read again: {error}");
                self.fail(ctx, ParkReason::Panicked { message }, false);
                false
            }
        }
    }

    /// Parks the run; the turn is to be recorded.
    pub(super) fn set_aside(&mut self, reason: ParkReason) -> Option<Turn> {
        tracing::warn!(workflow_id = %self.at.workflow_id, run_id = %self.at.run_id, %reason, "parked");
        self.failing = None;
        if self.is_code() {
            // What it has decided is recorded nowhere: it and the history are not of one mind any more.
            self.decider = Box::new(ParkedDecider::of_code(reason.clone()));
        }
        park(&mut self.state, Some(reason), self.at.shared.clock.now())
    }
}
