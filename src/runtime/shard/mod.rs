//! The actor of one shard: finds runs, makes them live, restarts and passivates them, wakes them in time. Must not live
//! here: what a run does with its inputs.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use actix::{Actor, ActorContext, Addr, Context, Handler, SpawnHandle};
use tokio::sync::oneshot;

use crate::machine::Rejection;
use crate::model::{IdConflictPolicy, Input, RunId, StartRun, Timestamp, WorkflowId};
use crate::store::maps::{IdMap, IdSet};
use crate::store::{Epoch, Error};

mod asking;
mod clockwork;
mod entry;
mod letters;
mod opening;
mod passive;
mod presence;
mod reset;
mod starts;

pub(super) use self::entry::Restarts;
use self::entry::{Entry, Presence};
use self::opening::Opening;
use self::passive::LookedUp;
pub(super) use self::starts::Backlog;
use self::starts::{Beginning, Starts};
use super::commit_queue::Outbox;
use super::error::RequestError;
use super::journal::CommitJob;
use super::messages::{
    Committed, Deliver, Durable, FromRun, Letter, NotCommitted, Recover, RunNews, Start, Stop, StoreFailed, Sweep,
    Take, Tick, Watch, WatchFor, Watched,
};
use super::recovery::Rebuilt;
use super::shared::Shared;
use super::timers::TimerQueue;

/// The address of a shard, shared by its runs, which hand it on to their attempts.
pub(super) type ShardLine = Arc<Addr<ShardActor>>;

/// One shard.
pub(super) struct ShardActor {
    index: usize,
    line: Weak<Addr<Self>>,
    shared: Arc<Shared>,
    outbox: Rc<Outbox<CommitJob>>,
    /// Of the store's present opening.
    epoch: Epoch,
    /// How many actors were started for runs.
    incarnations: u64,
    /// The open runs of this shard that are in memory, or that somebody waits for.
    entries: IdMap<WorkflowId, Entry>,
    /// Those that have an actor; `true`: they were spoken to since the last sweep.
    live: IdMap<WorkflowId, bool>,
    /// Until when another engine, or this one before its store failed, may have begun what came due; and the runs that were due
    /// by then and have not been in memory since: what they had under way is lost.
    begun_until: Timestamp,
    unseen: IdSet<RunId>,
    /// Runs made live since the last sweep.
    activated: usize,
    timers: TimerQueue,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// Why nothing is accepted: the store has failed, and is not open again.
    failed: Option<Error>,
    /// Who waited for runs when the store failed.
    stranded: Vec<(WorkflowId, RunId, oneshot::Sender<Watched>)>,
    /// Runs that wait for their beginning.
    starts: Starts,
}

impl ShardActor {
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Self {
        Self {
            index,
            line: Weak::new(),
            outbox: Outbox::new(Arc::clone(&shared.turns)),
            shared,
            epoch: Epoch::default(),
            incarnations: 0,
            entries: IdMap::default(),
            live: IdMap::default(),
            begun_until: Timestamp::EPOCH,
            unseen: IdSet::default(),
            activated: 0,
            timers: TimerQueue::default(),
            alarm: None,
            failed: None,
            stranded: Vec::new(),
            starts: Starts::default(),
        }
    }

    fn refusal(&self) -> Option<RequestError> {
        if self.shared.is_draining() {
            return Some(RequestError::ShuttingDown);
        }
        self.failed.clone().map(RequestError::Store)
    }

    fn begin(&mut self, start: Start, ctx: &mut Context<Self>) {
        let Start {
            mut start,
            reply,
            watch,
            admission,
        } = start;
        let workflow_id = start.workflow_id.clone();
        let letter = |start: Box<StartRun>| Letter {
            reply: Some(reply),
            admission: Some(admission),
            ..Letter::internal(Input::Start(start))
        };
        let opening = match self.look_up(&workflow_id, None) {
            Ok(LookedUp::Open) => {
                // The run itself knows whether this is the same request again, and what it means if not. Who begins another
                // run in its place does not wait for this one.
                if start.ids.conflict != IdConflictPolicy::TerminateExisting {
                    self.add_watcher(&workflow_id, watch);
                }
                return self.hand_over(&workflow_id, letter(start), ctx);
            }
            Ok(LookedUp::Ended(last)) => self.opening(&mut start, Some(last)),
            Ok(LookedUp::Unknown) => self.opening(&mut start, None),
            Err(error) => Err(error.into()),
        };
        match opening {
            Ok(Opening::New(new)) => {
                let run_id = start.run_id;
                self.open(&workflow_id, run_id, *new, vec![letter(start)], watch, ctx);
            }
            Ok(Opening::Known(delivered)) => letter(start).answer(Ok(delivered)),
            Err(error) => letter(start).answer(Err(error)),
        }
    }

    /// Gives a letter to the open run that it is for, or says why there is none.
    fn deliver(&mut self, workflow_id: WorkflowId, run_id: Option<RunId>, letter: Letter, ctx: &mut Context<Self>) {
        if let Some(refusal) = self.refusal() {
            return letter.answer(Err(refusal));
        }
        let refusal = match self.look_up(&workflow_id, run_id) {
            Ok(LookedUp::Open) => return self.hand_over(&workflow_id, letter, ctx),
            // Its run is still to begin.
            Ok(LookedUp::Ended(_) | LookedUp::Unknown) if run_id.is_none() && self.starts.has(&workflow_id) => {
                return self.starts.put(Beginning::Behind(workflow_id, letter));
            }
            Ok(LookedUp::Ended(_)) => Rejection::Closed.into(),
            Ok(LookedUp::Unknown) => RequestError::NotFound(workflow_id),
            Err(error) => error.into(),
        };
        letter.answer(Err(refusal));
    }

    /// Somebody waits for the end of a run that has an entry.
    fn add_watcher(&mut self, workflow_id: &WorkflowId, watch: oneshot::Sender<Watched>) {
        if let Some(entry) = self.entries.get_mut(workflow_id) {
            entry.watch(WatchFor::End, watch);
        }
    }

    /// Makes a new run live, with its first letters.
    fn open(
        &mut self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        new: Rebuilt,
        letters: Vec<Letter>,
        watch: oneshot::Sender<Watched>,
        ctx: &mut Context<Self>,
    ) {
        let mut entry = Entry::new(run_id, Presence::Passive);
        entry.watchers.push(watch);
        self.entries.insert(workflow_id.clone(), entry);
        let actor = self.spawn(workflow_id, run_id, new, letters, None, ctx);
        if let Some(entry) = self.entries.get_mut(workflow_id) {
            entry.actor = Presence::Live(actor);
        }
    }

    fn hear(&mut self, from: FromRun, ctx: &mut Context<Self>) {
        let FromRun {
            workflow_id,
            incarnation,
            news,
        } = from;
        let Some(entry) = self
            .entries
            .get_mut(&workflow_id)
            .filter(|entry| entry.incarnation == incarnation)
        else {
            // Somebody asked for the run that follows before this was said: it has its entry.
            if let RunNews::Closed {
                following: Some(following),
                ..
            } = news
                && self.knows_open(&workflow_id, following.run_id)
            {
                self.hand_over(&workflow_id, Letter::internal(Input::Wake), ctx);
            }
            return;
        };
        match news {
            RunNews::Wake(Some(at)) => {
                self.timers.set(&workflow_id, entry.run_id, at);
                self.set_alarm(ctx);
            }
            RunNews::Wake(None) => {
                self.timers.remove(&workflow_id);
                self.set_alarm(ctx);
            }
            RunNews::Ended(ended) => entry.has_ended(ended),
            RunNews::Closed { ended, following } => {
                let entry = self.let_go(&workflow_id);
                let watchers = entry.map(|entry| entry.watchers.into_iter().chain(entry.successors));
                for watcher in watchers.into_iter().flatten() {
                    let _ = watcher.send(Ok(ended.clone()));
                }
                match following {
                    Some(following) => self.follow(&workflow_id, following, ctx),
                    None => self.shared.namespaces.end(&workflow_id),
                }
                self.set_alarm(ctx);
            }
            RunNews::Idle => {
                entry.restarts = None;
                let before = std::mem::replace(&mut entry.actor, Presence::Passive);
                self.live.remove(&workflow_id);
                match before {
                    Presence::Passivating(_, letters) if !letters.is_empty() => {
                        self.activate(&workflow_id, letters, None, ctx);
                    }
                    _ => {
                        if let Ok(store) = self.shared.store.get() {
                            store.passivate(entry.run_id);
                        }
                        if entry.is_forgettable() {
                            self.entries.remove(&workflow_id);
                        }
                    }
                }
            }
            RunNews::Busy => {
                if let Presence::Passivating(actor, letters) = &mut entry.actor {
                    letters.drain(..).for_each(|letter| actor.do_send(Take(letter)));
                    entry.actor = Presence::Live(actor.clone());
                }
            }
            RunNews::Sound => entry.restarts = None,
            RunNews::Failed { reason, hopeless } => self.restart(&workflow_id, reason, hopeless, ctx),
        }
    }
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.plan_sweep(ctx);
    }
}

impl Handler<Start> for ShardActor {
    type Result = ();

    fn handle(&mut self, start: Start, ctx: &mut Self::Context) {
        match self.refusal() {
            Some(refusal) => drop(start.reply.send(Err(refusal))),
            None => self.take_start(Beginning::Alone(start), ctx),
        }
    }
}

impl Handler<Deliver> for ShardActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) {
        let Deliver {
            workflow_id,
            run_id,
            input,
            reply,
            admission,
        } = deliver;
        let letter = Letter {
            reply: Some(reply),
            admission: Some(admission),
            ..Letter::internal(input)
        };
        self.deliver(workflow_id, run_id, letter, ctx);
    }
}

impl Handler<Watch> for ShardActor {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) {
        if self.failed.is_some() {
            // Who waits for the id looks again.
            if watch.what == WatchFor::End {
                self.stranded.push((watch.workflow_id, watch.run_id, watch.watch));
            }
        } else if self.knows_open(&watch.workflow_id, watch.run_id)
            && let Some(entry) = self.entries.get_mut(&watch.workflow_id)
        {
            entry.watch(watch.what, watch.watch);
        }
    }
}

impl Handler<FromRun> for ShardActor {
    type Result = ();

    fn handle(&mut self, from: FromRun, ctx: &mut Self::Context) {
        self.hear(from, ctx);
    }
}

impl Handler<Committed> for ShardActor {
    type Result = ();

    fn handle(&mut self, Committed(runs): Committed, ctx: &mut Self::Context) {
        self.turns_settled(runs.len(), ctx);
        runs.into_iter().for_each(|run| run.do_send(Durable));
    }
}

impl Handler<NotCommitted> for ShardActor {
    type Result = ();

    fn handle(&mut self, NotCommitted(turns): NotCommitted, ctx: &mut Self::Context) {
        self.turns_settled(turns, ctx);
    }
}

impl Handler<StoreFailed> for ShardActor {
    type Result = ();

    fn handle(&mut self, StoreFailed(error): StoreFailed, _: &mut Self::Context) {
        self.forget_everything(error);
    }
}

impl Handler<Recover> for ShardActor {
    type Result = ();

    fn handle(&mut self, recover: Recover, ctx: &mut Self::Context) {
        self.recover(recover, ctx);
    }
}

impl Handler<Tick> for ShardActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.alarm = None;
        self.wake_due(ctx);
    }
}

impl Handler<Sweep> for ShardActor {
    type Result = ();

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) {
        self.sweep(ctx);
        self.plan_sweep(ctx);
    }
}

impl Handler<Stop> for ShardActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
        actix::System::current().stop();
    }
}
