//! The state of one run: what its history folds to, and the questions that may be asked of it. Must not live here:
//! changing it (that is `apply`) or deciding anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::model::{
    ActivityType, AttemptToken, Event, EventId, ExternalMessage, Failure, LockName, Memo, MessageKey, Outcome,
    ParkReason, Payload, RequestId, RunId, RunStarted, RunStatus, SagaOptions, SearchAttributes, SignalName, TaskQueue,
    TimerId, Timestamp, UNDO_SUFFIX, UnwindCause, UpdateId, WorkflowId,
};

use super::chain::CancelRequest;
use super::child::Children;
use super::granted::Granted;
use super::ledger::{SagaLedger, StepRecord};
use super::pause::Pause;
use super::pending::{LockState, PendingActivity, PendingTimer, PendingWait, Rollback, RunLock, StuckItem};
use super::reset::Origins;
use super::update::UpdateRecord;

/// The state of one run. Equal histories fold to equal states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    pub(super) started: Option<Arc<RunStarted>>,
    pub(super) started_at: Timestamp,
    pub(super) last_time: Timestamp,
    pub(super) turns: u64,
    pub(super) events: u64,
    pub(super) phase: Phase,
    pub(super) parked: Option<ParkReason>,
    pub(super) paused: Option<Box<Pause>>,
    /// Of a run that was made of another one by a reset.
    pub(super) origins: Option<Box<Origins>>,
    pub(super) cancel_requested: Option<CancelRequest>,
    // Boxed, as the steps are: a tree's nodes have room for eleven, and most runs have one at a time.
    pub(super) activities: BTreeMap<EventId, Box<PendingActivity>>,
    pub(super) timers: BTreeMap<TimerId, PendingTimer>,
    /// Deduplication keys of signals, the chain's earlier ones included, with their places in the order of all.
    pub(super) signal_requests: BTreeMap<RequestId, u64>,
    pub(super) saga: SagaLedger,
    /// What needs a person, by the scheduling event of the step concerned (`None`: the saga as a whole).
    pub(super) stuck: BTreeMap<Option<EventId>, StuckItem>,
    pub(super) decision_requests: BTreeSet<RequestId>,
    /// How many decisions no person has made.
    pub(super) automatic_decisions: u32,
    /// A person decided to go back although the pivot has succeeded.
    pub(super) pivot_overruled: bool,
    /// When the saga turned back.
    pub(super) unwinding_since: Option<Timestamp>,
    pub(super) rollback: Option<Rollback>,
    /// How many rollbacks were begun.
    pub(super) rollbacks: u64,
    /// Steps that wait, by starting event.
    pub(super) waits: BTreeMap<EventId, PendingWait>,
    /// Signals that no step has waited for yet; only for runs that follow a definition.
    pub(super) unread_signals: BTreeMap<SignalName, VecDeque<(EventId, Payload)>>,
    pub(super) locks: BTreeMap<LockName, RunLock>,
    /// Local activities that have not ended, by their numbers.
    pub(super) locals: BTreeMap<u32, ActivityType>,
    /// Every update that was accepted; kept when the run has ended, for those who ask.
    pub(super) updates: BTreeMap<UpdateId, UpdateRecord>,
    /// Messages to other runs that are on their way.
    pub(super) externals: BTreeMap<EventId, ExternalMessage>,
    /// Those that it has left, having ended, or that runs before it have left.
    pub(super) left_messages: BTreeMap<MessageKey, ExternalMessage>,
    pub(super) children: Children,
    /// The run whose steps this one undoes.
    pub(super) adopted_from: Option<RunId>,
    /// As they are now: those of the start, with all changes since.
    pub(super) search_attributes: SearchAttributes,
    pub(super) memo: Memo,
    /// When the run is first decided about, unless that has begun.
    pub(super) backoff_until: Option<Timestamp>,
    /// The run that follows this one, which has ended.
    pub(super) next_run: Option<RunId>,
    /// The run that was started in place of this one, which has ended.
    pub(super) gives_way_to: Option<RunId>,
    /// Of its journal, as far as anybody said; not folded.
    pub(super) history_bytes: u64,
    /// By its namespace; not folded.
    pub(super) granted: Granted,
    pub(super) task_due: bool,
    pub(super) since_task: Vec<Event>,
}

/// Where a run is between its first and its last event.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Going forward.
    #[default]
    Running,
    /// Going forward is not possible any more, going back neither: waits for a person.
    Halted(Failure),
    /// Compensating; ends as the cause says.
    Unwinding(UnwindCause),
    /// Ended.
    Closed(Outcome),
}

impl RunState {
    /// Attributes of the run's first event; `None` before it.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.started.as_deref()
    }

    /// This execution; `None` before its first event.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        Some(self.started.as_ref()?.run_id)
    }

    /// The time of the run's first event.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What it can be found by now.
    #[must_use]
    pub fn search_attributes(&self) -> &SearchAttributes {
        &self.search_attributes
    }

    /// What is shown with it now.
    #[must_use]
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// How many turns were folded.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// The id that the next event gets.
    #[must_use]
    pub fn next_event(&self) -> EventId {
        EventId(self.events + 1)
    }

    /// Where the run is.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// How the run ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Closed(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outcome().is_some()
    }

    /// Why the run was set aside, if it was.
    #[must_use]
    pub fn parked(&self) -> Option<&ParkReason> {
        self.parked.as_ref()
    }

    /// Why somebody asked the run to end, if somebody did.
    #[must_use]
    pub fn cancel_requested(&self) -> Option<&str> {
        self.cancel_requested.as_ref().map(|request| request.reason.as_str())
    }

    /// The activities that have not ended, in the order of their scheduling.
    pub fn activities(&self) -> impl Iterator<Item = &PendingActivity> {
        self.activities.values().map(Box::as_ref)
    }

    /// The activity that began with this event, if it has not ended.
    #[must_use]
    pub fn activity(&self, scheduled: EventId) -> Option<&PendingActivity> {
        self.activities.get(&scheduled).map(Box::as_ref)
    }

    /// The timers that have not fired, by name.
    pub fn timers(&self) -> impl Iterator<Item = (&TimerId, &PendingTimer)> {
        self.timers.iter()
    }

    /// The saga's steps, in the order of their scheduling.
    pub fn steps(&self) -> impl Iterator<Item = &StepRecord> {
        self.saga.steps()
    }

    /// A saga step by its name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepRecord> {
        self.saga.by_name(name)
    }

    /// A saga step by its scheduling event.
    #[must_use]
    pub fn step_by_event(&self, scheduled: EventId) -> Option<&StepRecord> {
        self.saga.by_scheduled(scheduled)
    }

    /// How many times a part of the saga was rolled back, the time that is under way included.
    #[must_use]
    pub fn rollbacks(&self) -> u64 {
        self.rollbacks
    }

    /// Whether something of its saga is not undone, and will not be, although it has happened or may have.
    #[must_use]
    pub fn leaves_something(&self) -> bool {
        self.saga.leaves_something()
    }

    /// The locks that the run has asked for, by name.
    pub fn locks(&self) -> impl Iterator<Item = &RunLock> {
        self.locks.values()
    }

    /// How the run stands to a lock; `None` when it never asked for it.
    #[must_use]
    pub fn lock(&self, name: &str) -> Option<&RunLock> {
        self.locks.get(name)
    }

    /// The ids of the run whose steps this one was started to undo: mappings mean that one by `run`.
    pub(super) fn undone_run(&self) -> Option<(WorkflowId, RunId)> {
        let run_id = self.adopted_from?;
        let own = &self.started.as_ref()?.workflow_id;
        let undone = own.as_str().strip_suffix(UNDO_SUFFIX)?;
        Some((WorkflowId::from_trusted(undone).beside(own), run_id))
    }

    /// How its saga is undone.
    pub(super) fn saga_options(&self) -> Option<&SagaOptions> {
        self.started.as_ref()?.saga.as_deref()
    }

    /// Whose workers make the attempts of one of its activities. `None`: those of the default queue.
    #[must_use]
    pub fn task_queue_of<'a>(&'a self, activity: &'a PendingActivity) -> Option<&'a TaskQueue> {
        let named = activity.attributes.options.task_queue.as_ref();
        named.or_else(|| self.started.as_ref()?.task_queue.as_ref())
    }

    /// Whether the decider has something to look at at this time, and may.
    #[must_use]
    pub fn task_due(&self, now: Timestamp) -> bool {
        let may_begin = self.paused.is_none() && self.backoff_until.is_none_or(|until| until <= now);
        self.task_due && self.phase == Phase::Running && may_begin
    }

    /// Whether a task that is made now is made for updates alone: it leaves no trace when all of them are refused. One that
    /// begins the run is not, whatever begins it: the code is asked for the first time.
    #[must_use]
    pub fn is_asked_for_updates_only(&self, now: Timestamp) -> bool {
        !self.task_due(now) && self.backoff_until.is_none()
    }

    /// How the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        if let Phase::Closed(outcome) = &self.phase {
            return outcome.status();
        }
        if self.paused.is_some() {
            return RunStatus::Paused;
        }
        if self.parked.is_some() {
            return RunStatus::Parked;
        }
        if !self.stuck.is_empty() {
            return RunStatus::Stuck;
        }
        match self.phase {
            Phase::Unwinding(_) => RunStatus::Unwinding,
            _ => RunStatus::Running,
        }
    }

    /// Effect: every attempt that should be running at `now`.
    pub fn attempts_due(&self, now: Timestamp) -> impl Iterator<Item = &PendingActivity> {
        // A clock that was set back must not hold up what the last turn found due.
        let now = now.max(self.last_time);
        let open = !self.is_closed();
        self.activities().filter(move |activity| {
            let nobody_has_it = !activity.is_suspended()
                && activity.held.is_none()
                && !self.is_kept_back(activity)
                && !activity.is_handed_over();
            open && nobody_has_it && activity.due <= now
        })
    }

    /// Whether this attempt should be running: it is still the activity's current one, and not held.
    #[must_use]
    pub fn wants_attempt(&self, token: AttemptToken) -> bool {
        if let Some(seq) = token.local() {
            return self.wants_local(seq);
        }
        let of_activity = || {
            self.activities.get(&token.scheduled).is_some_and(|activity| {
                let is_current = activity.attempt == token.attempt;
                is_current && activity.held.is_none() && !activity.is_suspended() && !activity.is_handed_over()
            })
        };
        !self.is_closed() && of_activity()
    }

    /// Whether this attempt should stop early: its activity was asked to.
    #[must_use]
    pub fn cancels_attempt(&self, token: AttemptToken) -> bool {
        self.activities
            .get(&token.scheduled)
            .is_some_and(|activity| activity.cancel_requested)
    }

    /// Effect: when the machine wants to be woken: the earliest timer, retry, or anything else that time brings.
    #[must_use]
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_closed() || self.paused.is_some() {
            return None;
        }
        let now = now.max(self.last_time);
        let timers = self.timers.values().map(|timer| timer.fire_at);
        let waiting = self.activities().filter(|activity| !activity.is_suspended());
        let activities = waiting.flat_map(|activity| {
            let retry = (activity.due > now).then_some(activity.due);
            let attempt = activity.attempt_deadline().map(|(deadline, _)| deadline);
            retry.into_iter().chain(activity.deadline()).chain(attempt)
        });
        let waits = self.waits.values().filter_map(|wait| wait.started.until);
        let locks = self.locks.values().filter(|lock| lock.state == LockState::Waiting);
        let locks = locks.filter_map(|lock| lock.until);
        timers
            .chain(activities)
            .chain(waits)
            .chain(locks)
            .chain(self.run_deadline())
            .chain(
                self.backoff_until
                    .filter(|until| *until > now && self.phase == Phase::Running),
            )
            .chain(self.unwind_deadline())
            .chain(self.desk_wake())
            .min()
    }

    /// When a restarted engine must look at the run: at once, that is at [`Timestamp::EPOCH`] and with
    /// [`Input::Recovered`](crate::model::Input::Recovered), if something may have been going on. A run that is looked at
    /// later must not be told that it recovered: what is due by then was never handed out.
    #[must_use]
    pub fn wake_after_restart(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_closed() {
            return (!self.is_settled()).then_some(Timestamp::EPOCH);
        }
        let held = self.activities().any(|activity| activity.held.is_some());
        // Locks are granted from memory: it has to know of all that are held before it grants any.
        let locks = self
            .locks
            .values()
            .any(|lock| !matches!(lock.state, LockState::Refused(_)));
        let owes = held
            || locks
            || self.messages_pending() > 0
            || self.has_children()
            || self.local_activities().next().is_some();
        if self.parked.is_some() || self.task_due(now) || owes || self.attempts_due(now).next().is_some() {
            return Some(Timestamp::EPOCH);
        }
        self.next_wake(now)
    }

    /// When the run's time is up, or that of its whole chain; `None` without a limit, and once a saga can only go forward or is going back already.
    #[must_use]
    pub fn run_deadline(&self) -> Option<Timestamp> {
        if self.phase != Phase::Running || self.saga.is_past_pivot() {
            return None;
        }
        let started = self.started.as_ref()?;
        let chain = started.chain.as_deref();
        // A run's own time begins when its delay is over.
        let from = chain.map_or(self.started_at, |chain| self.started_at.after(chain.backoff));
        let own = started.run_timeout.map(|limit| from.after(limit));
        let whole = chain.and_then(|chain| chain.expires_at);
        own.into_iter().chain(whole).min()
    }
}
