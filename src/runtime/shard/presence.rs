//! Making runs live, restarting them, and beginning again from the store. Must not live here: time (that is `clockwork`).

use std::rc::Rc;
use std::sync::Arc;

use actix::{AsyncContext, Context};
use backoff::backoff::Backoff;

use crate::model::{Input, ParkReason, RunId, WorkflowId, limits};
use crate::store::{Error, RunWake};

use super::super::error::RequestError;
use super::super::messages::{Abandon, Following, Incarnation, Letter, Recover, Take};
use super::super::recovery::{Rebuilt, rebuild_isolated};
use super::super::run::{RunActor, RunAddress, RunLine, refuse};
use super::super::shared::Shared;
use super::super::timers::TimerQueue;
use super::entry::{Entry, Presence, Restarts};
use super::{ShardActor, ShardLine};

impl ShardActor {
    /// Where its runs reach this actor; weak, as a run's is.
    fn line(&mut self, ctx: &Context<Self>) -> ShardLine {
        self.line.upgrade().unwrap_or_else(|| {
            let line = Arc::new(ctx.address());
            self.line = Arc::downgrade(&line);
            line
        })
    }

    pub(super) fn spawn(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        run: Rebuilt,
        letters: Vec<Letter>,
        park: Option<ParkReason>,
        ctx: &mut Context<Self>,
    ) -> RunLine {
        let run = self.actor(workflow_id, run_id, run, letters, ctx);
        match park {
            Some(reason) => run.parking(reason).begin(),
            None => run.begin(),
        }
    }

    /// The same, of a run that leaves memory as soon as it has begun.
    pub(super) fn spawn_leaving(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        run: Rebuilt,
        letters: Vec<Letter>,
        ctx: &mut Context<Self>,
    ) -> RunLine {
        let run = self.actor(workflow_id, run_id, run, letters, ctx);
        run.leaving().begin()
    }

    fn actor(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        run: Rebuilt,
        letters: Vec<Letter>,
        ctx: &mut Context<Self>,
    ) -> RunActor {
        self.incarnations += 1;
        let incarnation = Incarnation(self.incarnations);
        let mut has_failed = false;
        if let Some(entry) = self.entries.get_mut(workflow_id) {
            entry.incarnation = incarnation;
            has_failed = entry.restarts.is_some();
        }
        let at = RunAddress {
            shared: Arc::clone(&self.shared),
            shard: self.line(ctx),
            shard_index: self.index,
            outbox: Rc::clone(&self.outbox),
            workflow_id: workflow_id.clone(),
            run_id,
            incarnation,
            epoch: self.epoch,
            has_failed,
        };
        self.live.insert(workflow_id.clone(), true);
        self.activated += 1;
        RunActor::new(at, run, letters)
    }

    /// Gives a letter to a run, making it live if need be.
    pub(super) fn hand_over(&mut self, workflow_id: &WorkflowId, letter: Letter, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(workflow_id) else {
            return letter.answer(Err(RequestError::NotFound(workflow_id.clone())));
        };
        match &mut entry.actor {
            Presence::Live(actor) if actor.connected() => {
                self.live.insert(workflow_id.clone(), true);
                actor.do_send(Take(letter));
            }
            Presence::Passivating(_, letters) | Presence::Restarting(letters) => letters.push(letter),
            Presence::Broken(error) => letter.answer(Err(error.clone().into())),
            // An actor that is gone without a word has panicked outside its turn.
            Presence::Live(_) => {
                entry.attempts_lost = Some(self.shared.clock.now());
                self.activate(workflow_id, vec![letter], None, ctx);
            }
            Presence::Passive => self.activate(workflow_id, vec![letter], None, ctx),
        }
    }

    /// Makes a run live from its journal. Damage isolates this run only.
    pub(super) fn activate(
        &mut self,
        workflow_id: &WorkflowId,
        mut letters: Vec<Letter>,
        park: Option<ParkReason>,
        ctx: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(workflow_id) else {
            return;
        };
        let run_id = entry.run_id;
        let watched = self.shared.watchdog.begin(self.index, workflow_id, run_id, None);
        let rebuilt = rebuild_isolated(&self.shared, run_id);
        drop(watched);
        match rebuilt {
            Ok(rebuilt) => {
                // What its base had under way is lost to it. Asked of its journal: whoever speaks to it early makes it live
                // before its base's actor has told that it follows.
                let is_fresh_copy = || rebuilt.state.turns() == 1 && rebuilt.state.bases().next().is_some();
                let lost = entry.attempts_lost.take();
                if let Some(at) = lost.or_else(|| is_fresh_copy().then(|| self.shared.clock.now())) {
                    letters.insert(0, Letter::internal(Input::Recovered { at }));
                }
                if letters.is_empty() {
                    letters.push(Letter::internal(Input::Wake));
                }
                let actor = self.spawn(workflow_id, run_id, rebuilt, letters, park, ctx);
                if let Some(entry) = self.entries.get_mut(workflow_id) {
                    entry.actor = Presence::Live(actor);
                }
            }
            // Its very first turn was not taken: there is no such run.
            Err(_) if is_unknown(&self.shared, run_id) => {
                self.entries.remove(workflow_id);
                self.live.remove(workflow_id);
                self.shared.namespaces.end(workflow_id);
            }
            Err(error) => {
                tracing::error!(%workflow_id, %run_id, %error, "the run cannot be made live; the others go on");
                refuse(letters, &error.clone().into());
                entry.give_up(error);
                self.keep_locks(workflow_id, run_id);
                self.live.remove(workflow_id);
                self.timers.remove(workflow_id);
            }
        }
    }

    /// Supervision: a failed run is rebuilt after a backoff; after a bound it is parked instead of tried for ever.
    pub(super) fn restart(
        &mut self,
        workflow_id: &WorkflowId,
        reason: ParkReason,
        hopeless: bool,
        ctx: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(workflow_id) else {
            return;
        };
        entry.attempts_lost = Some(self.shared.clock.now());
        let letters = entry.take_letters();
        entry.actor = Presence::Restarting(letters);
        self.live.remove(workflow_id);
        let restarts = entry.restarts.get_or_insert_with(|| Restarts::new(reason.clone()));
        restarts.count += 1;
        restarts.reason = reason;
        if restarts.count > limits::TURN_FAILURES_MAX {
            // Not even parking it works: left alone until the engine is started anew.
            let what = format!("the run fails whatever is done: {}", restarts.reason);
            let run_id = entry.run_id;
            entry.give_up(Error::Corrupt {
                run: Some(run_id),
                what,
            });
            return self.keep_locks(workflow_id, run_id);
        }
        let delay = match hopeless || restarts.count >= limits::TURN_FAILURES_MAX {
            true => std::time::Duration::ZERO,
            false => restarts.backoff.next_backoff().unwrap_or_default(),
        };
        if hopeless {
            restarts.count = limits::TURN_FAILURES_MAX;
        }
        let at = self.shared.clock.now().after(delay);
        self.timers.set(workflow_id, entry.run_id, at);
        self.set_alarm(ctx);
    }

    /// A run that follows one that has just ended: made live from its journal when it must be looked at.
    pub(super) fn follow(&mut self, workflow_id: &WorkflowId, following: Following, ctx: &mut Context<Self>) {
        let Following { run_id, wake, is_copy } = following;
        let now = self.shared.clock.now();
        let entry = Entry::new(run_id, Presence::Passive);
        self.entries.insert(workflow_id.clone(), entry);
        match wake {
            _ if is_copy => self.activate(workflow_id, Vec::new(), None, ctx),
            Some(wake) if wake <= now => self.activate(workflow_id, Vec::new(), None, ctx),
            Some(wake) => {
                self.timers.set(workflow_id, run_id, wake);
                self.set_alarm(ctx);
            }
            None => {}
        }
    }

    pub(super) fn forget_everything(&mut self, error: Error) {
        self.failed = Some(error);
        self.drop_starts();
        for (workflow_id, mut entry) in self.entries.drain() {
            // Letters that wait here are dropped: their senders hear "interrupted".
            if let Presence::Live(actor) | Presence::Passivating(actor, _) = &entry.actor {
                actor.do_send(Abandon);
            }
            let run_id = entry.run_id;
            let watchers = entry
                .watchers
                .drain(..)
                .map(|watcher| (workflow_id.clone(), run_id, watcher));
            self.stranded.extend(watchers);
        }
        self.live.clear();
        self.unseen.clear();
        self.outbox.forget();
        self.timers = TimerQueue::default();
    }

    pub(super) fn recover(&mut self, recover: Recover, ctx: &mut Context<Self>) {
        let Recover { epoch, left_at, wakes } = recover;
        self.failed = None;
        self.epoch = epoch;
        self.outbox.forget();
        // Whether an engine that was killed has begun what came due is not known.
        self.begun_until = left_at.unwrap_or_else(|| self.shared.clock.now());
        self.announce_lock_holders(epoch, &wakes);
        for RunWake {
            run_id,
            workflow_id,
            at,
        } in wakes
        {
            // Of a run that is due later nothing was under way.
            if at <= self.begun_until {
                self.unseen.insert(run_id);
            }
            self.timers.set(&workflow_id, run_id, at);
        }
        for (workflow_id, run_id, watcher) in std::mem::take(&mut self.stranded) {
            // Whose run is not open any more: the watcher is dropped, and its owner looks into the store.
            if self.knows_open(&workflow_id, run_id) {
                self.add_watcher(&workflow_id, watcher);
            }
        }
        self.set_alarm(ctx);
    }
}

fn is_unknown(shared: &Shared, run_id: RunId) -> bool {
    matches!(shared.store.get().and_then(|store| store.head(run_id)), Ok(None))
}
