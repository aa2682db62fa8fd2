//! The actor of one live run: a mailbox, one call into the machine, and the effects of durable turns. Must not live here:
//! anything about the business; finding or restarting runs (that is `shard`).
//!
//! The run works in rounds: take what has arrived, decide it as one turn, hand the turn to the journal, wait until it is
//! durable, only then answer callers and bring about what the state asks for. What arrives in between waits for the next
//! round, so a burst becomes one turn.

mod aside;
mod chain;
mod children;
mod external;
mod foreign;
mod handlers;
mod inbox;
mod launch;
mod left_children;
mod local;
mod locks;
mod questions;
mod queue;
mod reports;
mod reset;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context};

use crate::machine::{Decider, Rejection, Reply, RunState, Successor, decide};
use crate::model::{AttemptToken, HoldReason, Input, MessageKey, ParkReason, RunId, Timestamp, Turn, WorkflowId};
use crate::replay::ForeignWakes;
use crate::store::Epoch;

use self::chain::{first_record, following};
use self::children::Nursery;
use self::launch::is_held_back;
use self::locks::AtTheTable;
use self::questions::Questions;
use self::queue::TurnPlace;
use super::attempt::{AttemptHandle, panic_message};
use super::commit_queue::Outbox;
use super::error::RequestError;
use super::journal::CommitJob;
use super::messages::{Delivered, Ended, FromRun, Incarnation, Letter, RunNews};
use super::queues::Worker;
use super::recovery::{Draining, Rebuilt, UnwrittenTurn, turn_record};
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
    /// The size of its encoded turns so far.
    history_bytes: u64,
    inbox: Vec<Letter>,
    questions: Questions,
    committing: Option<Vec<(Letter, Reply)>>,
    /// Whether the turn in progress is about more than what a failed actor has lost: only then does it say anything about
    /// what failed.
    is_on_trial: bool,
    attempts: BTreeMap<AttemptToken, AttemptHandle>,
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
    Fail(ParkReason),
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
            if self.committing.is_none() && self.over.is_none() {
                self.follow_up(ctx);
            }
            // What follows may be an input of its own (what a draining engine holds back).
            if self.inbox.is_empty() || !self.may_decide() {
                return;
            }
        }
    }

    /// Requests that reach a run right after its end are still decided: only the machine knows how to refuse them.
    fn may_decide(&self) -> bool {
        self.committing.is_none() && self.over != Some(Over::Failed)
    }

    fn decide_inbox(&mut self, ctx: &mut Context<Self>) {
        let mut letters = self.take_letters();
        if letters.is_empty() {
            return;
        }
        let inputs: Vec<Input> = letters
            .iter_mut()
            .map(|letter| std::mem::replace(&mut letter.input, Input::Wake))
            .collect();
        let is_recovery = |input: &Input| matches!(input, Input::Recovered { .. } | Input::Wake);
        self.is_on_trial = self.at.has_failed && !inputs.iter().all(is_recovery);
        let now = self.at.shared.clock.now();
        let draining = self.at.shared.is_draining();
        self.state.note_history_bytes(self.history_bytes);
        let watched = self.at.watch(foreign::workflow_type(&self.state, &inputs));
        let (state, decider) = (&mut *self.state, &mut *self.decider);
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| match draining {
            true => decide(state, inputs, now, &mut Draining(decider)),
            false => decide(state, inputs, now, decider),
        }));
        drop(watched);
        self.notice_slowness(now);
        let decision = match decided {
            Ok(decision) => decision,
            Err(panic) => {
                // The state may be half changed: nothing of it is used any more.
                let message = panic_message(&*panic);
                return self.fail(ctx, ParkReason::Panicked { message }, false);
            }
        };
        if let Some(reason) = decision.task_failure.filter(|_| !draining && self.worker.is_some()) {
            self.task_failed(reason);
        }
        let replies = letters.drain(..).zip(decision.replies);
        let answers = replies.filter(|(letter, _)| letter.is_awaited()).collect();
        if self.inbox.is_empty() {
            // With its room, for the next turn.
            self.inbox = letters;
        }
        match decision.turn {
            Some(turn) => self.commit(ctx, &turn, decision.successor, answers),
            None => self.answer(answers),
        }
    }

    fn commit(
        &mut self,
        ctx: &mut Context<Self>,
        turn: &Turn,
        successor: Option<Box<Successor>>,
        answers: Vec<(Letter, Reply)>,
    ) {
        let codecs = &self.at.shared.codecs;
        let following = || successor.as_ref().map(|next| first_record(codecs, next)).transpose();
        let records =
            turn_record(codecs, self.at.run_id, &self.state, turn).and_then(|record| Ok((record, following()?)));
        let (record, following) = match records {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(run_id = %self.at.run_id, %error, "a turn cannot be written");
                let message = format!("a turn cannot be written: {error}");
                // A codec may do better the next time.
                let hopeless = !matches!(error, UnwrittenTurn::Codec(_));
                let error = RequestError::Store(error.of_run(self.at.run_id));
                refuse(answers.into_iter().map(|(letter, _)| letter), &error);
                return self.fail(ctx, ParkReason::BadCommand { message }, hopeless);
            }
        };
        self.count_history(record.bytes.len());
        self.following = successor.map(|successor| Box::new(successor.state));
        let opened = match &self.following {
            Some(following) => following.started(),
            None => self.state.started().filter(|_| turn.seq == 1),
        };
        let digest = opened.and_then(|started| started.definition);
        let definition = digest.and_then(|digest| self.at.shared.definitions.get(digest, &self.at.shared.store).ok());
        self.at.outbox.put(CommitJob {
            shard: self.at.shard_index,
            run: self.line(ctx),
            epoch: self.at.epoch,
            record,
            successor: following.map(Box::new),
            definition,
        });
        self.committing = Some(answers);
    }

    fn answer(&self, answers: Vec<(Letter, Reply)>) {
        for (letter, reply) in answers {
            let duplicate = reply == Reply::Duplicate;
            let stop_asked = reply == Reply::StopAsked;
            let run_id = match reply {
                Reply::Begun { run_id } => run_id,
                _ => self.at.run_id,
            };
            letter.answer(match reply {
                Reply::Accepted | Reply::StopAsked | Reply::Duplicate | Reply::Begun { .. } => Ok(Delivered {
                    run_id,
                    duplicate,
                    stop_asked,
                }),
                Reply::Rejected(Rejection::CannotDecide(_)) if self.at.shared.is_draining() => {
                    Err(RequestError::ShuttingDown)
                }
                Reply::Rejected(Rejection::CannotDecide(_)) if self.worker.is_none() => {
                    Err(RequestError::NoWorker(self.task_queue()))
                }
                Reply::Rejected(rejection) => Err(RequestError::Rejected(rejection)),
            });
        }
    }

    /// Everything decided so far is durable: let it take effect.
    fn follow_up(&mut self, ctx: &mut Context<Self>) {
        if let Some(outcome) = self.state.outcome() {
            let ended = Ended {
                outcome: outcome.clone(),
                next: self.state.next_run(),
            };
            self.attempts.clear();
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
            Some(Next::Fail(reason)) => return self.fail(ctx, reason, false),
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
