//! What comes new gives way to what is under way: a busy shard begins a few runs in each of its rounds, wakes a few that
//! are due, and does neither while attempts wait for a thread. So what was accepted gets on, and what is too much waits at
//! the door, where it is counted and refused; and however many runs are due at once, as after a start, they come into
//! memory a few at a time. Must not live here: beginning a run, or waking one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{AsyncContext, Context, Handler};

use crate::model::{WorkflowId, limits};

use super::super::messages::{BeginMore, Letter, Start, StartWith};
use super::ShardActor;

/// Starts that were admitted and have to wait.
#[derive(Default)]
pub(super) struct Starts {
    waiting: VecDeque<Beginning>,
    /// How many runs of an id wait to be begun: whatever comes for them waits behind them.
    by_id: HashMap<WorkflowId, usize>,
    /// How many runs were begun in the present round.
    begun: usize,
    /// How many that were due were woken in it.
    woken: usize,
    /// The next round is announced.
    planned: bool,
}

/// One of the ways to begin a run.
pub(super) enum Beginning {
    Alone(Start),
    /// With something that becomes a part of its beginning.
    With(StartWith),
    /// Not at all: a letter that came behind such a start.
    Behind(WorkflowId, Letter),
}

impl Beginning {
    /// The id of the run that is to be begun.
    fn begins(&self) -> Option<&WorkflowId> {
        match self {
            Beginning::Alone(start) => Some(&start.start.workflow_id),
            Beginning::With(start) => Some(&start.start.workflow_id),
            Beginning::Behind(..) => None,
        }
    }
}

impl Starts {
    /// Whether a run of this id waits to be begun.
    pub(super) fn has(&self, workflow_id: &WorkflowId) -> bool {
        self.by_id.contains_key(workflow_id)
    }

    /// Lets it wait for its round.
    pub(super) fn put(&mut self, beginning: Beginning) {
        if let Some(workflow_id) = beginning.begins() {
            *self.by_id.entry(workflow_id.clone()).or_default() += 1;
        }
        self.waiting.push_back(beginning);
    }

    fn take(&mut self) -> Option<Beginning> {
        let beginning = self.waiting.pop_front()?;
        if let Some(workflow_id) = beginning.begins()
            && let Entry::Occupied(mut waiting) = self.by_id.entry(workflow_id.clone())
        {
            match *waiting.get() {
                0 | 1 => drop(waiting.remove()),
                more => *waiting.get_mut() = more - 1,
            }
        }
        Some(beginning)
    }
}

/// The attempts of one shard's runs that wait for a thread to begin on.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Backlog {
    waiting: AtomicUsize,
    /// The shard holds starts back because of them.
    holds: AtomicBool,
}

impl Backlog {
    /// An attempt was handed out.
    pub(in crate::runtime) fn enter(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// It has begun, or never will. `true`: the shard is to be told that it may go on with its starts.
    pub(in crate::runtime) fn leave(&self) -> bool {
        let before = self.waiting.fetch_sub(1, Ordering::AcqRel);
        before == limits::SHARD_BACKLOG_MAX / 2 && self.holds.swap(false, Ordering::AcqRel)
    }

    /// Whether starts have to wait; whoever hears yes is told when they need not any more.
    fn is_full(&self) -> bool {
        let full = || self.waiting.load(Ordering::Acquire) >= limits::SHARD_BACKLOG_MAX;
        if !full() {
            return false;
        }
        self.holds.store(true, Ordering::Release);
        // It may have become less before that was seen.
        full()
    }
}

impl ShardActor {
    /// Begins a run, or lets it wait for its round.
    pub(super) fn take_start(&mut self, start: Beginning, ctx: &mut Context<Self>) {
        let may_begin = self.starts.waiting.is_empty() && self.starts.begun < limits::SHARD_STARTS_PER_ROUND;
        if may_begin && !self.backlog().is_some_and(Backlog::is_full) {
            self.starts.begun += 1;
            self.begin_either(start, ctx);
            self.make_room(limits::SHARD_LIVE_FULL, ctx);
        } else {
            self.starts.put(start);
        }
        self.plan_starts(ctx);
    }

    fn begin_either(&mut self, start: Beginning, ctx: &mut Context<Self>) {
        match (self.refusal(), start) {
            (_, Beginning::Behind(workflow_id, letter)) => self.deliver(workflow_id, None, letter, ctx),
            (None, Beginning::Alone(start)) => self.begin(start, ctx),
            (None, Beginning::With(start)) => self.begin_with(start, ctx),
            (Some(refusal), Beginning::Alone(Start { reply, .. }) | Beginning::With(StartWith { reply, .. })) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// The next round of starts comes when everything that is ready on the shard's thread right now has had its turn.
    fn plan_starts(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.starts.planned, true) {
            let shard = ctx.address();
            actix::spawn(async move { shard.do_send(BeginMore) });
        }
    }

    /// Begins runs that wait for that, as many as fit into a round.
    fn begin_waiting(&mut self, ctx: &mut Context<Self>) {
        // A full backlog says itself when it is less.
        while !self.starts.waiting.is_empty() && !self.backlog().is_some_and(Backlog::is_full) {
            if self.starts.begun >= limits::SHARD_STARTS_PER_ROUND {
                return self.plan_starts(ctx);
            }
            let Some(start) = self.starts.take() else {
                return;
            };
            self.starts.begun += 1;
            self.begin_either(start, ctx);
            self.make_room(limits::SHARD_LIVE_FULL, ctx);
        }
    }

    /// Wakes runs that are due, those that have waited longest first.
    pub(super) fn wake_due(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now();
        while self.timers.next().is_some_and(|at| at <= now) {
            if self.starts.woken >= limits::SHARD_WAKES_PER_ROUND {
                return self.plan_starts(ctx);
            }
            // Both say themselves when they are less.
            if self.outbox.under_way() >= limits::SHARD_TURNS_FULL || self.backlog().is_some_and(Backlog::is_full) {
                return;
            }
            let Some((workflow_id, run_id)) = self.timers.take_due(now) else {
                break;
            };
            self.starts.woken += 1;
            self.wake(&workflow_id, run_id, ctx);
            self.make_room(limits::SHARD_LIVE_RECOVERING, ctx);
        }
        self.set_alarm(ctx);
    }

    /// So many turns of this shard's are not under way any more.
    pub(super) fn turns_settled(&mut self, turns: usize, ctx: &mut Context<Self>) {
        let before = self.outbox.under_way();
        self.outbox.settled(turns);
        if before >= limits::SHARD_TURNS_FULL && self.outbox.under_way() < limits::SHARD_TURNS_FULL {
            self.plan_starts(ctx);
        }
    }

    fn backlog(&self) -> Option<&Backlog> {
        self.shared.backlogs.get(self.index)
    }

    /// Nobody begins them any more: their senders hear "interrupted".
    pub(super) fn drop_starts(&mut self) {
        self.starts.waiting.clear();
        self.starts.by_id.clear();
    }
}

impl Handler<BeginMore> for ShardActor {
    type Result = ();

    fn handle(&mut self, _: BeginMore, ctx: &mut Context<Self>) {
        self.starts.planned = false;
        self.starts.begun = 0;
        self.starts.woken = 0;
        self.begin_waiting(ctx);
        self.wake_due(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_backlog_says_once_that_it_has_become_less() {
        let backlog = Backlog::default();
        (0..limits::SHARD_BACKLOG_MAX - 1).for_each(|_| backlog.enter());
        assert!(!backlog.is_full());
        backlog.enter();
        assert!(backlog.is_full());
        let said: Vec<bool> = (0..limits::SHARD_BACKLOG_MAX).map(|_| backlog.leave()).collect();
        assert_eq!(said.iter().filter(|said| **said).count(), 1);
        assert!(!backlog.is_full());
        backlog.enter();
        assert!(!backlog.leave(), "nobody waits for it");
    }
}
