//! Every message between callers, shards, runs and the journal: the closed lists of what can wake an actor. Must not live
//! here: handlers.

use actix::Message;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::machine::QueryError;
use crate::model::{
    AttemptOutcome, AttemptToken, ChildKey, Failure, Input, MessageKey, Outcome, ParkReason, Payload, Query, RunId,
    StartRun, Timestamp, UpdateId, WorkflowId,
};
use crate::store;

use super::child_workflow::{LeftTask, Lookout};
use super::error::RequestError;
use super::reset::ResetOrder;
use super::run::RunLine;
use super::shared::BusyGuard;
use super::throttle::Parked;

/// Where the answer to a request goes. A dropped receiver is no reason to undo anything.
pub(crate) type ReplyTo<T> = oneshot::Sender<Result<T, RequestError>>;

/// A request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// By which run.
    pub(crate) run_id: RunId,
    /// It had been taken before, under the same request id.
    pub(crate) duplicate: bool,
    /// The activity that the request was about has been asked to stop.
    pub(crate) stop_asked: bool,
}

/// Which run of a workflow id a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Whichever is open, or else the newest one.
    Newest,
    /// The newest one of the chain that this run is a part of.
    Chain(RunId),
    /// This very run.
    Run(RunId),
}

impl Whom {
    /// The run that was named.
    pub(crate) fn run_id(self) -> Option<RunId> {
        match self {
            Whom::Newest => None,
            Whom::Chain(run_id) | Whom::Run(run_id) => Some(run_id),
        }
    }
}

/// A request's place among those that may wait at once. It also counts as busy, so that a draining engine answers what it
/// has admitted.
pub(crate) struct Admission {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _busy: BusyGuard,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// The run of its chain that follows.
    pub(crate) next: Option<RunId>,
}

/// What a watcher hears: how the run ended, or why that cannot be known.
pub(crate) type Watched = Result<Ended, RequestError>;

/// A run that follows one that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    pub(super) run_id: RunId,
    /// When it must be looked at.
    pub(super) wake: Option<Timestamp>,
    /// It begins with a copy of another run's history.
    pub(super) is_copy: bool,
}

/// Caller to shard: begin a run.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Start {
    pub(crate) start: Box<StartRun>,
    pub(crate) reply: ReplyTo<Delivered>,
    /// Told when the run ends.
    pub(crate) watch: oneshot::Sender<Watched>,
    pub(crate) admission: Admission,
}

/// Caller to shard: an input for an open run.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) run_id: Option<RunId>,
    pub(crate) input: Input,
    pub(crate) reply: ReplyTo<Delivered>,
    pub(crate) admission: Admission,
}

/// Caller to shard: hand this to the open run with this id, or begin one with it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StartWith {
    pub(crate) start: Box<StartRun>,
    pub(crate) then: Input,
    pub(crate) reply: ReplyTo<Delivered>,
    /// Told when the run ends.
    pub(crate) watch: oneshot::Sender<Watched>,
    pub(crate) admission: Admission,
}

/// Caller to shard: make a run anew.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResetRun {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) order: Box<ResetOrder>,
    pub(crate) reply: ReplyTo<Delivered>,
    pub(crate) admission: Admission,
}

/// Caller to shard: a question to an open run.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ask {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) run_id: Option<RunId>,
    pub(crate) question: Question,
    pub(crate) admission: Admission,
}

/// How an update was answered.
pub(crate) type UpdateOutcome = Result<Payload, Failure>;

/// What changes nothing.
pub(crate) enum Question {
    /// A query.
    Query {
        query: Query,
        reply: ReplyTo<Result<Payload, QueryError>>,
    },
    /// How is this update answered? The answer comes when there is one.
    UpdateOutcome {
        update_id: UpdateId,
        reply: ReplyTo<UpdateOutcome>,
    },
}

/// What a watcher waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFor {
    /// The run's end.
    End,
    /// That the run, which has ended, has let go of its workflow id.
    LetGo,
}

/// Caller to shard: tell me when the run ends. A run that is not open is looked up by the caller, who hears of that by the
/// watch being dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Watch {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) run_id: RunId,
    pub(crate) what: WatchFor,
    pub(crate) watch: oneshot::Sender<Watched>,
}

/// One input on its way to a run's actor, with whoever waits for the answer.
pub(super) struct Letter {
    pub(super) input: Input,
    pub(super) reply: Option<ReplyTo<Delivered>>,
    /// Held until the answer is given: what bounds the number of waiting requests.
    pub(super) admission: Option<Admission>,
    /// It asks, and its input means nothing.
    pub(super) question: Option<Box<Question>>,
    /// It orders that a run be made anew; its input is made of that when everything is durable.
    pub(super) order: Option<Box<ResetOrder>>,
}

impl Letter {
    pub(super) fn internal(input: Input) -> Self {
        Self {
            input,
            reply: None,
            admission: None,
            question: None,
            order: None,
        }
    }

    pub(super) fn asking(question: Question, admission: Admission) -> Self {
        Self {
            admission: Some(admission),
            question: Some(Box::new(question)),
            ..Self::internal(Input::Wake)
        }
    }

    /// Whether somebody waits for its answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.reply.is_some() || self.admission.is_some() || self.question.is_some()
    }

    pub(super) fn answer(self, answer: Result<Delivered, RequestError>) {
        let Letter {
            reply,
            admission,
            question,
            ..
        } = self;
        match (question.map(|question| *question), &answer) {
            (Some(Question::Query { reply, .. }), Err(error)) => drop(reply.send(Err(error.clone()))),
            (Some(Question::UpdateOutcome { reply, .. }), Err(error)) => drop(reply.send(Err(error.clone()))),
            _ => {}
        }
        if let Some(reply) = reply {
            // The caller may have gone away; that is the caller's business.
            let _ = reply.send(answer);
        }
        drop(admission);
    }
}

/// Shard to run: take these inputs.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Take(pub(super) Letter);

/// Shard to run: your turn is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Durable;

/// Shard to run: stop if there is nothing to do; answer with [`RunNews::Idle`] or [`RunNews::Busy`].
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PassivateIfIdle;

/// Shard or journal to run: a commit failed, your memory is not to be trusted any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Abandon;

/// Attempt to run: it ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AttemptEnded {
    pub(super) token: AttemptToken,
    pub(super) outcome: AttemptOutcome,
}

/// Attempt to run: it waited for something that goes on without it, and stopped waiting because the engine stops.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AttemptHeld(pub(super) AttemptToken);

/// Courier to run: what became of a message to another run; nothing when the engine stopped before that.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ExternalEnded {
    pub(super) key: MessageKey,
    pub(super) outcome: Option<Result<(), Failure>>,
}

/// What a run's errand for a child came to; nothing when the engine stopped before that.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ChildNews {
    pub(super) child: ChildKey,
    /// For a child that a run has left open; `None`: for one of the run's own.
    pub(super) task: Option<LeftTask>,
    pub(super) input: Option<Input>,
    /// Whose news it is: until somebody hears it, it may get lost.
    pub(super) lookout: Option<Lookout>,
}

impl ChildNews {
    pub(super) fn of_own(child: ChildKey, input: Option<Input>) -> Self {
        Self {
            child,
            task: None,
            input,
            lookout: None,
        }
    }
}

/// Anybody inside to shard: something has changed for this run, which asks its state what.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WakeRun(pub(super) WorkflowId);

/// Attempt to shard: it had been given up, and now its result is here. To its shard, because the run may have left memory
/// since.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LateResult {
    pub(super) workflow_id: WorkflowId,
    pub(super) run_id: RunId,
    pub(super) token: AttemptToken,
    pub(super) outcome: AttemptOutcome,
}

/// The code of a run was woken by something that is not of amends.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WokenByForeigner;
/// Limits to shard: what kept this attempt from being made is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReleaseAttempt(pub(super) Parked);

/// Tells the actors apart that a shard starts one after the other, for one run or for several: what an earlier one has to
/// say must not be taken for news of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Incarnation(pub(super) u64);

/// Run to shard: what became of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FromRun {
    pub(super) workflow_id: WorkflowId,
    pub(super) incarnation: Incarnation,
    pub(super) news: RunNews,
}

/// What a run tells its shard.
pub(super) enum RunNews {
    /// It wants to be woken then.
    Wake(Option<Timestamp>),
    /// It has ended, durably, and goes on with bringing its messages: nobody who waits for its end waits for that.
    Ended(Ended),
    /// It has ended, durably, and nothing is left to do for it; its actor answers what is still on its way and ends with the shard's hold on it.
    Closed { ended: Ended, following: Option<Following> },
    /// It has nothing to do; its actor is gone.
    Idle,
    /// It has something to do.
    Busy,
    /// It had failed before, and now took a turn without failing.
    Sound,
    /// Its actor is gone: it panicked, or its code could not decide. To be rebuilt from the journal.
    Failed {
        /// The reason for parking, if it happens too often.
        reason: ParkReason,
        /// Rebuilding cannot help: park now.
        hopeless: bool,
    },
}

/// Journal to shard: these runs' turns are durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Committed(pub(super) Vec<RunLine>);

/// Journal to shard: so many of its turns came back.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct NotCommitted(pub(super) usize);

/// Journal to shard: the store failed. Forget everything in memory; a [`Recover`] follows when it is open again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StoreFailed(pub(super) store::Error);

/// Engine or journal to shard: the store is open; these open runs of yours are to be looked at in time.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Recover {
    /// Of this opening.
    pub(super) epoch: store::Epoch,
    /// When the engine before this one has ended in good order.
    pub(super) left_at: Option<Timestamp>,
    pub(super) wakes: Vec<store::RunWake>,
}

/// Shard to itself, or an attempt to it: runs that wait for their beginning may begin now, and those that are due be woken.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct BeginMore;

/// Shard to itself: some timers are due.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Tick;

/// Shard to itself: look for runs that have been idle for a while.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Sweep;

/// Engine to shard: end your thread.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
