//! What follows from a durable turn: effects are asked from the state, and the end of a run is told. Must not live here: how an
//! attempt is made (`launch`), what becomes of other runs (`children`, `external`).

use actix::Context;

use crate::model::{HoldReason, Input};

use super::super::messages::{Ended, Letter, RunNews};
use super::chain::following;
use super::launch::is_held_back;
use super::{Next, Over, RunActor};

impl RunActor {
    /// Everything decided so far is durable: let it take effect.
    pub(super) fn follow_up(&mut self, ctx: &mut Context<Self>) {
        if let Some(outcome) = self.state.outcome() {
            let ended = Ended {
                outcome: outcome.clone(),
                next: self.state.next_run(),
            };
            self.attempts.clear();
            self.leave_breakers();
            self.release_locks();
            if self.let_go_of_children(ctx) {
                self.over = Some(Over::Closed);
                self.wake_parent();
                // The actor ends when the shard lets go of it: until then letters may be on their way.
                let following = self.following.as_deref().and_then(following);
                self.tell_shard(RunNews::Closed { ended, following });
            } else {
                self.tell_of_end_before_messages(ended);
            }
            return;
        }
        match self.next.take() {
            Some(Next::Leave) => return self.leave(ctx),
            Some(Next::Retry(delay)) => self.retry_after(delay, ctx),
            Some(Next::Park(reason)) => {
                if let Some(turn) = self.set_aside(reason) {
                    return self.commit(ctx, &turn, None, Vec::new());
                }
            }
            None => {}
        }
        self.bring_about(ctx);
    }

    /// Effects are asked from the state: what should be running runs, what should not is stopped.
    fn bring_about(&mut self, ctx: &mut Context<Self>) {
        let state = &self.state;
        self.attempts.retain(|token, _| state.wants_attempt(*token));
        let now = self.at.shared.clock.now();
        let (mut held, mut without_worker) = (Vec::new(), Vec::new());
        for activity in self.state.attempts_due(now) {
            let token = activity.token();
            if self.attempts.contains_key(&token) {
                continue;
            }
            if self.at.shared.is_draining() && is_held_back(activity) {
                held.push(token);
            } else if self.worker_of(activity).is_none() && !activity.is_about_a_child() {
                without_worker.push(token);
            } else {
                let attempt = self.launch(activity, self.line(ctx));
                self.attempts.insert(token, attempt);
            }
        }
        for (attempts, why) in [(held, HoldReason::Stopping), (without_worker, HoldReason::NoWorker)] {
            if !attempts.is_empty() {
                self.inbox.push(Letter::internal(Input::Hold { attempts, why }));
            }
        }
        for (token, attempt) in &self.attempts {
            if self.state.cancels_attempt(*token) {
                attempt.cancel();
            }
        }
        self.bring_parked();
        self.bring_local_activities(ctx);
        self.send_externals(ctx);
        self.bring_locks();
        self.bring_children(ctx);
        if self.over.is_some() {
            return;
        }
        let wake = self.state.next_wake(now);
        if wake != self.wake {
            self.wake = wake;
            self.tell_shard(RunNews::Wake(wake));
        }
    }
}
