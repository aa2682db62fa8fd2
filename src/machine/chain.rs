//! Runs that follow one another under one workflow id: when a run is followed, and how the next one begins. Must not live
//! here: what else ends a run (`lifecycle`, `saga`), or bringing the next one to life (that is `runtime`).
//!
//! The turn that ends a run and the first turn of the run that follows are made together, to be made durable together: there
//! is always exactly one open run, or the chain has ended.

use std::time::Duration;

use crate::model::{
    ContinueAsNew, ContinuedAsNew, EventAttributes, EventId, Failure, IdPolicies, Initiator, Payload, PendingChange,
    RequestId, RetryDecision, RunChain, RunId, RunStarted, SignalName, StartRun, TimeoutKind, Timestamp, Turn,
    UnwindCause, UpdateId, WorkflowSignaled, limits,
};

use super::changes_met;
use super::cron::CronSchedule;
use super::decider::{Decider, NoDecider};
use super::ledger::{UndoScope, UndoState};
use super::state::{Phase, RunState};
use super::turn::{Reply, TurnBuilder};

/// The run that follows one that has ended: begun, and not decided about.
#[derive(Clone, Debug, PartialEq)]
pub struct Successor {
    /// Its state after its first turn.
    pub state: RunState,
    /// Its first turn.
    pub turn: Turn,
}

/// Begins the identity of whoever hands things on: a run, to the one that follows it.
const HANDED_ON_BY: &str = "run ";

/// Whether the run that was followed has handed the signal on, instead of somebody's sending it.
pub(super) fn was_handed_on(signal: &WorkflowSignaled) -> bool {
    let by = signal.identity.strip_prefix(HANDED_ON_BY);
    signal.request_id.is_none() && by.is_some_and(|run_id| run_id.parse::<RunId>().is_ok())
}

/// What arrived for a run, was not looked at, and is for the run that follows.
#[derive(Default)]
struct Carried {
    signals: Vec<(SignalName, Payload)>,
    /// Somebody asked the run to end.
    cancel: Option<CancelRequest>,
}

/// Somebody asked a run to end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CancelRequest {
    pub(super) reason: String,
    /// Who; or, for another run that asked, by which message: that run looks for it when it asks again.
    pub(super) identity: String,
}

/// It was checked when the chain was started.
fn next_due(schedule: &str, begun: Timestamp, now: Timestamp) -> Option<Timestamp> {
    CronSchedule::parse(schedule).ok()?.next(begun, now)
}

impl TurnBuilder<'_> {
    /// The code wants to be followed by a new run. A saga that is not through forbids that: nobody could undo its steps any
    /// more.
    pub(super) fn continue_as_new(&mut self, command: ContinueAsNew, decider: &dyn Decider) {
        let refused = match (self.state.saga_in_flight(), self.state.owed_step()) {
            (Some(what), _) => Some((
                "StepInFlight",
                format!("the workflow continued as a new run while {what}"),
            )),
            (None, Some(step)) if !command.saga_done => Some((
                "SagaNotDone",
                format!(
                    "the workflow continued as a new run while its saga would have to undo the step {step:?} if it \
                     failed: the new run could not; say `saga_done` if the saga is through, or give it a run of its own"
                ),
            )),
            _ => None,
        };
        if let Some((type_name, message)) = refused {
            return self.unwind(UnwindCause::Failed(Failure::non_retryable(type_name, message)), decider);
        }
        let Some(mut start) = self.state.start_of_next(self.now, Initiator::Workflow) else {
            return;
        };
        let ContinueAsNew {
            workflow_type,
            input,
            run_timeout,
            task_queue,
            retry,
            search_attributes,
            memo,
            saga_done: _,
            unread,
        } = command;
        start.workflow_type = workflow_type.clone();
        start.input = input.clone();
        start.run_timeout = run_timeout.or(start.run_timeout);
        start.task_queue = task_queue.or(start.task_queue);
        start.search_attributes = search_attributes.unwrap_or(start.search_attributes);
        start.memo = memo.unwrap_or(start.memo);
        if retry.is_some() {
            start.chain.get_or_insert_default().retry = retry;
        }
        let carried = Carried {
            signals: unread,
            cancel: self.state.cancel_requested.clone(),
        };
        self.emit(EventAttributes::WorkflowExecutionContinuedAsNew(Box::new(
            ContinuedAsNew {
                new_run_id: start.run_id,
                workflow_type,
                input,
                run_timeout: start.run_timeout,
                task_queue: start.task_queue.clone(),
            },
        )));
        self.follow_with(start, carried);
    }

    /// What the first run of a chain gets from the time of its start.
    pub(super) fn begin_chain(&self, chain: &mut RunChain) {
        if let Some(schedule) = chain.cron.as_deref().filter(|_| chain.follows.is_none())
            && let Some(due) = next_due(schedule, self.now, self.now)
        {
            chain.backoff = due.since(self.now);
        }
        if chain.expires_at.is_none() {
            let limit = chain.execution_timeout;
            chain.expires_at = limit.map(|limit| self.now.after(chain.backoff).after(limit));
        }
    }

    /// Ends the run with a result; its schedule may have another one follow.
    pub(super) fn complete(&mut self, result: Payload) {
        let next = self.next_by_schedule(Ok(&result));
        if let Some(start) = &next {
            self.change(PendingChange::FollowedBy { run_id: start.run_id });
        }
        self.emit(EventAttributes::WorkflowExecutionCompleted { result });
        if let Some(start) = next {
            self.follow_as(start);
        }
    }

    /// The run that follows one which ends, by its schedule. A run that somebody has asked to end is the last one.
    fn next_by_schedule(&self, ended: Result<&Payload, &Failure>) -> Option<StartRun> {
        let chain = self.state.started()?.chain.as_deref()?;
        let schedule = chain
            .cron
            .as_deref()
            .filter(|_| self.state.cancel_requested.is_none())?;
        let begun = self.state.started_at().after(chain.backoff);
        let due = next_due(schedule, begun, self.now)?;
        if chain.expires_at.is_some_and(|expires| due >= expires) {
            return None;
        }
        let mut start = self.state.start_of_next(self.now, Initiator::Cron)?;
        let next = start.chain.get_or_insert_default();
        next.backoff = due.since(self.now);
        match ended {
            Ok(result) => next.last_result = Some(result.clone()),
            Err(failure) => next.last_failure = Some(failure.clone()),
        }
        Some(start)
    }

    /// The run that follows one which ends without a result: by its retry policy, or by its schedule.
    pub(super) fn next_after(&self, cause: &UnwindCause) -> Option<StartRun> {
        let by_schedule = || match cause {
            UnwindCause::Canceled(_) => None,
            cause => self.next_by_schedule(Err(&cause.failure())),
        };
        self.next_try(cause).or_else(by_schedule)
    }

    /// The run that follows one which ends without a result, by its retry policy. A run that somebody has asked to end is not
    /// followed, nor is one that leaves something undone: to do it again would do it twice.
    fn next_try(&self, cause: &UnwindCause) -> Option<StartRun> {
        let chain = self.state.started()?.chain.as_deref()?;
        if self.state.cancel_requested.is_some() || self.state.leaves_something() {
            return None;
        }
        let expires = chain.expires_at;
        let failure = match cause {
            UnwindCause::Failed(failure) => failure.clone(),
            UnwindCause::TimedOut if expires.is_none_or(|expires| self.now < expires) => {
                Failure::timeout(TimeoutKind::StartToClose)
            }
            UnwindCause::TimedOut | UnwindCause::Canceled(_) => return None,
        };
        let retry = chain.retry.as_ref()?;
        if retry.non_retryable_types.iter().any(|listed| failure.is_type(listed)) {
            return None;
        }
        let RetryDecision::RetryAt(due) = retry.decide(chain.attempt, &failure, self.now, expires) else {
            return None;
        };
        let mut start = self.state.start_of_next(self.now, Initiator::Retry)?;
        let next = start.chain.get_or_insert_default();
        next.attempt = chain.attempt.saturating_add(1);
        next.backoff = due.since(self.now);
        next.last_failure = Some(failure);
        Some(start)
    }

    /// Begins the run that follows one which has just ended; what the old one has not looked at is not for it.
    pub(super) fn follow_as(&mut self, start: StartRun) {
        self.follow_with(start, Carried::default());
    }

    /// Another run is to begin instead of this one, and sees to what this one still owes to its children and to others: of a
    /// workflow id only one run can be open.
    pub(super) fn give_way(&mut self, mut start: StartRun) -> Reply {
        if let Some(run_id) = self.state.run_id()
            && start.run_id <= run_id
        {
            start.run_id = run_id.following(self.now);
        }
        let run_id = start.run_id;
        let (reason, identity) = (
            "another run was started in its place".to_owned(),
            start.identity.clone(),
        );
        let (children, messages) = (self.state.orphans_left(), self.state.messages_left());
        if !children.is_empty() || !messages.is_empty() {
            let left_to = start.chain.get_or_insert_default();
            left_to.children = children;
            left_to.messages = messages;
            self.change(PendingChange::GivesWay { run_id });
        }
        self.terminate(reason, identity);
        self.follow_with(start, Carried::default());
        Reply::Begun { run_id }
    }

    /// Begins the run that follows; the run of this turn has ended.
    fn follow_with(&mut self, start: StartRun, carried: Carried) {
        let previous = self.state.started().map(|started| started.run_id);
        let identity = previous
            .map(|run_id| format!("{HANDED_ON_BY}{run_id}"))
            .unwrap_or_default();
        let mut state = RunState::default();
        let mut next = TurnBuilder::new(&mut state, self.now);
        let begun = next.start(start, &NoDecider);
        debug_assert!(begun.is_ok(), "a new run takes its start");
        for (name, input) in carried.signals {
            next.emit(EventAttributes::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
                name,
                input,
                request_id: None,
                identity: identity.clone(),
            })));
        }
        if let Some(CancelRequest { reason, identity }) = carried.cancel {
            next.emit(EventAttributes::WorkflowExecutionCancelRequested { reason, identity });
        }
        if let Some(turn) = next.finish() {
            self.successor = Some(Box::new(Successor { state, turn }));
        }
    }
}

impl RunState {
    /// The chain's run that follows this one, once this one has ended and is followed.
    #[must_use]
    pub fn next_run(&self) -> Option<RunId> {
        self.next_run
    }

    /// The chain's run that this one follows.
    #[must_use]
    pub fn previous_run(&self) -> Option<RunId> {
        let chain = self.started()?.chain.as_deref()?;
        chain.follows.map(|(run_id, _)| run_id)
    }

    /// The first run of the chain that this run is a part of.
    #[must_use]
    pub fn first_run(&self) -> Option<RunId> {
        let started = self.started()?;
        let first = started.chain.as_ref().and_then(|chain| chain.first);
        Some(first.unwrap_or(started.run_id))
    }

    /// Says how many bytes the run's events have in the journal. It is not folded: only who keeps the journal knows.
    pub fn note_history_bytes(&mut self, bytes: u64) {
        self.history_bytes = bytes;
    }

    /// A step that would be undone if the run failed now.
    fn owed_step(&self) -> Option<&str> {
        if self.phase != Phase::Running || self.saga.pivot_completed() || self.saga.is_settled(UndoScope::Everything) {
            return None;
        }
        let owed = self.steps().find(|step| step.undo == UndoState::Owed);
        owed.map(|step| step.name.as_str())
    }

    /// How the run that follows this one begins, but for what is the initiator's.
    fn start_of_next(&self, now: Timestamp, initiator: Initiator) -> Option<StartRun> {
        let started = self.started.as_ref()?;
        let chain = started.chain.as_deref();
        Some(StartRun {
            workflow_id: started.workflow_id.clone(),
            run_id: started.run_id.following(now),
            workflow_type: started.workflow_type.clone(),
            definition: started.definition,
            input: started.input.clone(),
            request_id: started.request_id.clone(),
            run_timeout: started.run_timeout,
            identity: started.identity.clone(),
            saga: started.saga.clone(),
            task_queue: started.task_queue.clone(),
            parent: started.parent.clone(),
            search_attributes: changes_met::without(&self.search_attributes),
            memo: self.memo.clone(),
            ids: IdPolicies::default(),
            chain: Some(Box::new(RunChain {
                first: Some(chain.and_then(|chain| chain.first).unwrap_or(started.run_id)),
                follows: Some((started.run_id, initiator)),
                attempt: 1,
                backoff: Duration::ZERO,
                last_failure: None,
                signal_requests: self.latest_signal_requests(),
                updates: self.latest_updates(),
                children: self.children_left(),
                messages: self.messages_left(),
                ..chain.cloned().unwrap_or_default()
            })),
            adopted: None,
        })
    }

    /// Updates that earlier runs of the chain accepted, as far as they are remembered.
    fn earlier_updates(&self) -> &[UpdateId] {
        let chain = self.started.as_ref().and_then(|started| started.chain.as_deref());
        chain.map(|chain| chain.updates.as_slice()).unwrap_or_default()
    }

    pub(super) fn was_updated_before(&self, update_id: &UpdateId) -> bool {
        self.earlier_updates().contains(update_id)
    }

    fn latest_updates(&self) -> Vec<UpdateId> {
        let mut own: Vec<(EventId, &UpdateId)> = self.updates().map(|(id, update)| (update.accepted, id)).collect();
        own.sort_unstable_by_key(|(accepted, _)| *accepted);
        let earlier = self.earlier_updates();
        let old = (earlier.len() + own.len()).saturating_sub(limits::REQUESTS_CARRIED_MAX);
        earlier
            .iter()
            .chain(own.into_iter().map(|(_, id)| id))
            .skip(old)
            .cloned()
            .collect()
    }

    fn latest_signal_requests(&self) -> Vec<RequestId> {
        let mut known: Vec<(u64, &RequestId)> = self.signal_requests.iter().map(|(id, place)| (*place, id)).collect();
        known.sort_unstable_by_key(|(place, _)| *place);
        let old = known.len().saturating_sub(limits::REQUESTS_CARRIED_MAX);
        known.into_iter().skip(old).map(|(_, id)| id.clone()).collect()
    }

    pub(super) fn knows_signal_request(&self, request_id: &RequestId) -> bool {
        self.signal_requests.contains_key(request_id)
    }

    /// Remembers them in the order in which they come.
    pub(super) fn remember_signal_requests(&mut self, request_ids: impl IntoIterator<Item = RequestId>) {
        for request_id in request_ids {
            let place = self.signal_requests.len() as u64;
            self.signal_requests.entry(request_id).or_insert(place);
        }
    }

    /// What the run's first event says about its chain.
    pub(super) fn apply_chain(&mut self, started: &RunStarted, now: Timestamp) {
        let Some(chain) = &started.chain else {
            return;
        };
        self.backoff_until = (chain.backoff > Duration::ZERO).then(|| now.after(chain.backoff));
        self.remember_signal_requests(chain.signal_requests.iter().cloned());
        self.inherit_children(&chain.children);
        self.inherit_messages(&chain.messages);
    }

    /// A signal ends the delay of a start, unless it came with the start; but no other delay.
    pub(super) fn wake_from_delay(&mut self) {
        if self.may_begin_early() {
            self.backoff_until = None;
        }
    }

    /// Whether what arrives now begins the run before its time: what it waits for is the delay that its start asked for, and
    /// this has not come with the start.
    pub(super) fn may_begin_early(&self) -> bool {
        let chain = self.started.as_ref().and_then(|started| started.chain.as_deref());
        let is_delayed_start = chain.is_some_and(|chain| chain.follows.is_none() && chain.cron.is_none());
        is_delayed_start && self.turns > 0
    }

    /// When the run is first decided about, while that is still to come.
    #[must_use]
    pub fn begins_at(&self) -> Option<Timestamp> {
        self.backoff_until
    }
}
