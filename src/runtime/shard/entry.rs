//! What a shard knows of an open run. Must not live here: doing anything with it.

use tokio::sync::oneshot;

use crate::model::{ParkReason, RunId, Timestamp};
use crate::store::Error;

use super::super::error::RequestError;
use super::super::messages::{Ended, Incarnation, Letter, WatchFor, Watched};
use super::super::run::RunLine;

/// An open run that is in memory, or that somebody waits for.
pub(super) struct Entry {
    pub(super) run_id: RunId,
    pub(super) actor: Presence,
    /// The last actor that was started for it.
    pub(super) incarnation: Incarnation,
    pub(super) watchers: Vec<oneshot::Sender<Watched>>,
    /// Those that wait until it has let go of its workflow id.
    pub(super) successors: Vec<oneshot::Sender<Watched>>,
    /// It has ended, and messages that it has left are still to be brought.
    pub(super) ended: Option<Box<Ended>>,
    /// Attempts that were due by then may have been running in a process (or an actor) that is gone.
    pub(super) attempts_lost: Option<Timestamp>,
    pub(super) restarts: Option<Restarts>,
}

/// How a run is present in memory.
pub(super) enum Presence {
    /// Not at all; the journal has everything.
    Passive,
    Live(RunLine),
    /// Was asked whether it is idle; letters wait for the answer.
    Passivating(RunLine, Vec<Letter>),
    /// Waits for its restart; letters wait with it.
    Restarting(Vec<Letter>),
    /// Cannot be made live: its data is damaged.
    Broken(Error),
}

/// How often a run's actor, or its code, failed in a row, and how long to wait before the next try.
pub(in super::super) struct Restarts {
    pub(in super::super) count: u32,
    pub(in super::super) backoff: backoff::ExponentialBackoff,
    pub(super) reason: ParkReason,
}

impl Entry {
    pub(super) fn new(run_id: RunId, actor: Presence) -> Self {
        Self {
            run_id,
            actor,
            incarnation: Incarnation::default(),
            watchers: Vec::new(),
            successors: Vec::new(),
            ended: None,
            attempts_lost: None,
            restarts: None,
        }
    }

    /// Whether the store has all that is here.
    pub(super) fn is_forgettable(&mut self) -> bool {
        let passive = matches!(self.actor, Presence::Passive);
        if passive {
            self.watchers.retain(|watcher| !watcher.is_closed());
            self.successors.retain(|watcher| !watcher.is_closed());
        }
        passive && self.watchers.is_empty() && self.successors.is_empty()
    }

    /// Somebody waits for the run. Who has gone away is forgotten.
    pub(super) fn watch(&mut self, what: WatchFor, watch: oneshot::Sender<Watched>) {
        let told = match (&self.actor, &self.ended, what) {
            (Presence::Broken(error), _, _) => Err(error.clone().into()),
            (_, Some(ended), WatchFor::End) => Ok(Ended::clone(ended)),
            _ => {
                let others = match what {
                    WatchFor::End => &mut self.watchers,
                    WatchFor::LetGo => &mut self.successors,
                };
                others.retain(|watcher| !watcher.is_closed());
                return others.push(watch);
            }
        };
        let _ = watch.send(told);
    }

    /// The run has ended, and still has messages to be brought.
    pub(super) fn has_ended(&mut self, ended: Ended) {
        for watcher in self.watchers.drain(..) {
            let _ = watcher.send(Ok(ended.clone()));
        }
        self.ended = Some(Box::new(ended));
    }

    /// The run cannot be made live: nobody waits for it any longer.
    pub(super) fn give_up(&mut self, error: Error) {
        for letter in self.take_letters() {
            letter.answer(Err(error.clone().into()));
        }
        for watcher in self.watchers.drain(..).chain(self.successors.drain(..)) {
            let _ = watcher.send(Err(RequestError::Store(error.clone())));
        }
        self.actor = Presence::Broken(error);
    }

    pub(super) fn take_letters(&mut self) -> Vec<Letter> {
        match &mut self.actor {
            Presence::Passivating(_, letters) | Presence::Restarting(letters) => std::mem::take(letters),
            _ => Vec::new(),
        }
    }
}

impl Restarts {
    pub(in super::super) fn new(reason: ParkReason) -> Self {
        let backoff = backoff::ExponentialBackoffBuilder::new()
            .with_initial_interval(std::time::Duration::from_millis(50))
            .with_max_elapsed_time(None)
            .build();
        Self {
            count: 0,
            backoff,
            reason,
        }
    }
}
