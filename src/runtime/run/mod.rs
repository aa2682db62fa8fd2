//! The actor of one live run: a mailbox, and rounds. Must not live here: a round's two halves (`deciding`, `effects`); anything
//! about the business; finding or restarting runs (that is `shard`).
//!
//! The run works in rounds: take what has arrived, decide it as one turn, hand the turn to the journal, wait until it is
//! durable, only then answer callers and bring about what the state asks for. What arrives in between waits for the next
//! round, so a burst becomes one turn.

mod aside;
mod chain;
mod children;
mod deciding;
mod effects;
mod external;
mod foreign;
mod handlers;
mod inbox;
mod launch;
mod left_children;
mod local;
mod locks;
mod parked;
mod questions;
mod queue;
mod reports;
mod reset;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context};

use crate::machine::{Decider, Reply, RunState};
use crate::model::{AttemptToken, MessageKey, ParkReason, RunId, Timestamp, WorkflowId};
use crate::replay::ForeignWakes;
use crate::store::Epoch;

use self::aside::Failing;
use self::children::Nursery;
use self::locks::AtTheTable;
use self::parked::AtBreakers;
use self::questions::Questions;
use self::queue::TurnPlace;
use super::attempt::AttemptHandle;
use super::commit_queue::Outbox;
use super::error::RequestError;
use super::journal::CommitJob;
use super::messages::{FromRun, Incarnation, Letter, RunNews};
use super::queues::Worker;
use super::recovery::Rebuilt;
use super::shard::ShardLine;
use super::shared::{BusyGuard, Shared};

/// The address of a run's actor, of which there is one for as long as its shard has it: a clone of an [`Addr`] takes memory,
/// and a saga needs one for each of its attempts and turns.
pub(super) type RunLine = Arc<Addr<RunActor>>;

/// Who the run is and whom it talks to.
pub(super) struct RunAddress {
    pub(super) shared: Arc<Shared>,
    pub(super) shard: ShardLine,
    pub(super) shard_index: usize,
    pub(super) outbox: Rc<Outbox<CommitJob>>,
    pub(super) workflow_id: WorkflowId,
    pub(super) run_id: RunId,
    pub(super) incarnation: Incarnation,
    /// Of the opening of the store that it was made live from.
    pub(super) epoch: Epoch,
    /// An actor of this run has failed before.
    pub(super) has_failed: bool,
}

/// One live run.
pub(super) struct RunActor {
    at: RunAddress,
    /// Weak: an actor that held its own address could not be let go of.
    line: Weak<Addr<Self>>,
    /// Boxed, as an actor is moved about before it begins.
    state: Box<RunState>,
    decider: Box<dyn Decider>,
    /// To be watched from the actor's start on.
    foreign_wakes: Option<ForeignWakes>,
    /// The size of its events so far, as they are written.
    history_bytes: u64,
    inbox: Vec<Letter>,
    questions: Questions,
    committing: Option<Vec<(Letter, Reply)>>,
    /// Whether the turn in progress is about more than what a failed actor has lost: only then does it say anything about
    /// what failed.
    is_on_trial: bool,
    attempts: BTreeMap<AttemptToken, AttemptHandle>,
    at_breakers: AtBreakers,
    nursery: Nursery,
    /// Those that bring messages to other runs.
    couriers: BTreeMap<MessageKey, AttemptHandle>,
    locks: AtTheTable,
    /// Of its task queue; `None`: nobody here decides for it.
    worker: Option<Arc<Worker>>,
    turn_place: TurnPlace,
    /// The wake-up time that the shard knows of.
    wake: Option<Timestamp>,
    /// Decided, but only to be done once the turn in progress is durable.
    next: Option<Next>,
    /// It has failed too often: whatever is wrong parks it.
    given_up: bool,
    /// Its history is too long, and it was asked to end.
    was_told_its_length: bool,
    /// Its code has panicked, and has not got over it.
    failing: Option<Box<Failing>>,
    /// It does nothing any more but answer or drop what still arrives.
    over: Option<Over>,
    /// Those who wait for its end have been told.
    has_told_end: bool,
    /// The run that follows, as it begins.
    following: Option<Box<RunState>>,
    busy: Option<BusyGuard>,
}

/// Why an actor does nothing any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Its run has ended, durably.
    Closed,
    /// It has failed: its state means nothing.
    Failed,
}

/// What follows the turn in progress.
enum Next {
    /// Leave memory: the run is made live from its journal.
    Leave,
    Park(ParkReason),
    /// Its code is built anew after this time.
    Retry(Duration),
}

impl RunActor {
    /// A run with this state, which takes the letters first.
    pub(super) fn new(at: RunAddress, run: Rebuilt, inbox: Vec<Letter>) -> Self {
        let (inbox, questions) = Questions::sort(inbox);
        let limits = at.shared.namespaces.limits(&at.workflow_id);
        let mut actor = Self {
            at,
            line: Weak::new(),
            questions,
            locks: AtTheTable::of(&run.state),
            at_breakers: AtBreakers::of(&run.state),
            nursery: Nursery::of(&run.state),
            worker: run.worker,
            turn_place: TurnPlace::default(),
            state: run.state,
            decider: run.decider,
            foreign_wakes: run.foreign_wakes,
            history_bytes: run.history_bytes,
            inbox,
            committing: None,
            is_on_trial: false,
            attempts: BTreeMap::new(),
            couriers: BTreeMap::new(),
            wake: None,
            next: None,
            given_up: false,
            was_told_its_length: false,
            failing: None,
            over: None,
            has_told_end: false,
            following: None,
            busy: None,
        };
        actor.state.grant(limits);
        actor.let_go_what_has_a_worker();
        actor
    }

    /// Starts the actor.
    pub(super) fn begin(mut self) -> RunLine {
        let mut line = None;
        let addr = Self::create(|ctx| {
            let own = Arc::new(ctx.address());
            self.line = Arc::downgrade(&own);
            line = Some(own);
            self
        });
        line.unwrap_or_else(|| Arc::new(addr))
    }

    /// Where attempts and the journal reach this actor.
    fn line(&self, ctx: &Context<Self>) -> RunLine {
        self.line.upgrade().unwrap_or_else(|| Arc::new(ctx.address()))
    }

    fn tell_shard(&self, news: RunNews) {
        self.at.shard.do_send(FromRun {
            workflow_id: self.at.workflow_id.clone(),
            incarnation: self.at.incarnation,
            news,
        });
    }

    /// Rounds, until one has to wait for the journal or nothing is left to do.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        loop {
            while self.may_decide() && !self.inbox.is_empty() {
                // Called again when there is a place.
                let Some(_place) = self.take_turn_place(ctx) else {
                    return;
                };
                self.decide_inbox(ctx);
            }
            // While the code is built anew, nothing follows from what arrives.
            let may_follow = self.next.is_some() || !self.awaits_decider();
            if may_follow && self.committing.is_none() && self.over.is_none() {
                self.follow_up(ctx);
            }
            // What follows may be an input of its own (what a draining engine holds back).
            if self.inbox.is_empty() || !self.may_decide() {
                return;
            }
        }
    }

    /// Ends this actor; the shard rebuilds the run from the journal.
    fn fail(&mut self, ctx: &mut Context<Self>, reason: ParkReason, hopeless: bool) {
        tracing::warn!(workflow_id = %self.at.workflow_id, run_id = %self.at.run_id, %reason, "the run's actor stops");
        self.attempts.clear();
        self.nursery.clear();
        self.couriers.clear();
        self.over = Some(Over::Failed);
        self.tell_shard(RunNews::Failed { reason, hopeless });
        ctx.stop();
    }

    fn is_idle(&self) -> bool {
        self.inbox.is_empty()
            && self.committing.is_none()
            && !self.awaits_decider()
            && self.attempts.is_empty()
            && self.couriers.is_empty()
            && self.nursery.is_idle()
    }

    /// Keeps the engine's count of busy runs, which a draining engine waits for.
    fn count_busy(&mut self) {
        match (self.is_idle(), self.busy.is_some()) {
            (true, true) => self.busy = None,
            (false, false) => self.busy = Some(self.at.shared.busy()),
            _ => {}
        }
    }
}

impl Actor for RunActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.watch_foreign_wakes(ctx);
        self.pump(ctx);
        self.answer_questions(ctx);
        self.count_busy();
    }
}

/// Answers letters that no run will take.
pub(super) fn refuse(letters: impl IntoIterator<Item = Letter>, error: &RequestError) {
    for letter in letters {
        letter.answer(Err(error.clone()));
    }
}
