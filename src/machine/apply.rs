//! Folding: what an event means for the state. The only place that changes a `RunState`, used live and on recovery
//! alike. Must not live here: deciding whether something may happen.

mod message;
mod saga;

use crate::model::{
    Event, EventAttributes, EventId, Failure, Outcome, PendingChange, RetryState, Timestamp, Turn, UnwindCause,
    merge_changes,
};

use super::chain::CancelRequest;
use super::changes_met;
use super::ledger::says_not_applied;
use super::pause::Pause;
use super::pending::{PendingActivity, PendingTimer};
use super::report::HandedOver;
use super::state::{Phase, RunState};

/// An event that does not fit the state before it. For a decided event this cannot happen; for one that was read it
/// means damage, or a journal written by a newer version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("turn {turn}, event {event}: {what}")]
pub struct ApplyError {
    /// The turn it belongs to.
    pub turn: u64,
    /// The event's id.
    pub event: EventId,
    /// What does not fit.
    pub what: String,
}

impl RunState {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// When a turn does not fit those before it.
    pub fn fold<'a>(turns: impl IntoIterator<Item = &'a Turn>) -> Result<RunState, ApplyError> {
        let mut state = RunState::default();
        for turn in turns {
            state.apply(turn)?;
        }
        Ok(state)
    }

    /// Folds one turn.
    ///
    /// # Errors
    /// When it does not fit the state; the state is then not to be used any more.
    pub fn apply(&mut self, turn: &Turn) -> Result<(), ApplyError> {
        if turn.seq != self.turns + 1 {
            return Err(self.misfit(format!("expected turn {}, found turn {}", self.turns + 1, turn.seq)));
        }
        // Changes first: an activity whose attempt failed may have ended later in the same turn, but no attempt fails in
        // the turn that schedules its activity.
        for change in &turn.pending {
            self.apply_pending(change)?;
        }
        for event in &turn.events {
            self.apply_event(event)?;
        }
        self.finish_turn(turn.seq, turn.time);
        Ok(())
    }

    pub(super) fn finish_turn(&mut self, seq: u64, time: Timestamp) {
        self.turns = seq;
        self.last_time = time;
    }

    pub(super) fn misfit(&self, what: impl Into<String>) -> ApplyError {
        ApplyError {
            turn: self.turns + 1,
            event: self.next_event(),
            what: what.into(),
        }
    }

    pub(super) fn apply_event(&mut self, event: &Event) -> Result<(), ApplyError> {
        use EventAttributes as E;
        if event.id != self.next_event() {
            return Err(self.misfit(format!("found event {} here", event.id)));
        }
        if self.is_closed() {
            return Err(self.misfit(format!("{} after the run ended", event.attributes.kind())));
        }
        if self.started.is_none() != matches!(event.attributes, E::WorkflowExecutionStarted(_)) {
            return Err(self.misfit(format!("{} is out of place", event.attributes.kind())));
        }
        match &event.attributes {
            E::WorkflowExecutionStarted(started) => {
                self.started_at = event.time;
                self.started = Some(started.clone());
                self.search_attributes.clone_from(&started.search_attributes);
                self.memo.clone_from(&started.memo);
                self.apply_chain(started, event.time);
                self.task_due = true;
            }
            E::WorkflowTask(_) => {
                self.task_due = false;
                self.backoff_until = None;
                self.since_task.clear();
                self.forget_readmitted();
            }
            E::WorkflowExecutionSignaled(signal) => {
                self.remember_signal_requests(signal.request_id.clone());
                self.keep_unread(event.id, signal);
                self.wake_from_delay();
                self.task_due = true;
            }
            E::WorkflowExecutionCancelRequested { reason, identity } => {
                let (reason, identity) = (reason.clone(), identity.clone());
                self.cancel_requested = Some(CancelRequest { reason, identity });
                // A paused run that has not begun keeps that in mind: it ends when it is unpaused.
                if self.paused.is_none() {
                    self.backoff_until = None;
                }
                self.task_due = true;
            }
            E::WorkflowExecutionPaused { reason, identity } => {
                self.paused = Some(Box::new(Pause {
                    since: event.time,
                    turn: self.turns + 1,
                    reason: reason.clone(),
                    identity: identity.clone(),
                }));
            }
            E::WorkflowExecutionReset(reset) => self.apply_reset(event, reset)?,
            E::WorkflowExecutionUnpaused { .. } => self.end_pause(),
            E::TimerStarted { timer_id, fire_at } => {
                let timer = PendingTimer {
                    started: event.id,
                    fire_at: *fire_at,
                };
                self.timers.insert(timer_id.clone(), timer);
            }
            E::TimerFired { timer_id, .. } => {
                self.timers
                    .remove(timer_id)
                    .ok_or_else(|| self.misfit(format!("timer {timer_id} fired, which is not pending")))?;
                self.task_due = true;
            }
            E::TimerCanceled { timer_id, .. } => {
                self.timers.remove(timer_id);
            }
            E::MarkerRecorded { .. } => {}
            E::VersionMarkerRecorded(marker) => changes_met::list(&mut self.search_attributes, marker),
            E::Child(child) => self.apply_child(event.id, event.time, child)?,
            E::UpsertWorkflowSearchAttributes(changes) => merge_changes(&mut self.search_attributes, changes),
            E::WorkflowPropertiesModified(changes) => merge_changes(&mut self.memo, changes),
            E::LocalActivityEnded(ended) => {
                self.locals.remove(&ended.seq);
                self.task_due = true;
            }
            E::ActivityTaskScheduled(_)
            | E::ActivityTaskStarted { .. }
            | E::ActivityTaskCompleted { .. }
            | E::ActivityTaskFailed { .. }
            | E::ActivityTaskTimedOut { .. }
            | E::ActivityTaskCanceled { .. }
            | E::ActivityTaskCancelRequested { .. } => self.apply_activity(event)?,
            E::WorkflowExecutionCompleted { .. }
            | E::WorkflowExecutionFailed { .. }
            | E::WorkflowExecutionTimedOut { .. }
            | E::WorkflowExecutionCanceled { .. }
            | E::WorkflowExecutionTerminated { .. }
            | E::WorkflowExecutionContinuedAsNew(_) => self.apply_close(&event.attributes),
            _ => self.apply_saga(event)?,
        }
        self.events += event.attributes.ids();
        self.keep_for_task(event);
        Ok(())
    }

    /// Code deciders are told what happened; definitions decide from the state, so nothing is kept for them.
    fn keep_for_task(&mut self, event: &Event) {
        let by_code = self
            .started
            .as_ref()
            .is_some_and(|started| started.definition.is_none());
        let is_task = matches!(event.attributes, EventAttributes::WorkflowTask(_));
        if by_code && !is_task && self.phase == Phase::Running {
            self.since_task.push(event.clone());
        }
    }

    fn apply_activity(&mut self, event: &Event) -> Result<(), ApplyError> {
        use EventAttributes as E;
        match &event.attributes {
            E::ActivityTaskScheduled(attributes) => {
                self.saga.on_scheduled(event.id, attributes);
                let activity = PendingActivity {
                    scheduled: event.id,
                    scheduled_at: event.time,
                    attributes: attributes.clone(),
                    attempt: 1,
                    due: event.time,
                    last_failure: None,
                    may_have_applied: false,
                    cancel_requested: false,
                    stuck: false,
                    held: None,
                    since_turn: self.turns + 1,
                    heartbeat: None,
                    handed_over: None,
                    ambiguous: None,
                    verdict: None,
                    attempts_forgiven: 0,
                    budget_from: event.time,
                    last_started: 0,
                };
                self.note_escalation(&attributes.role);
                self.activities.insert(event.id, Box::new(activity));
            }
            E::ActivityTaskStarted { scheduled, attempt, .. } => {
                self.pending(*scheduled)?.last_started = *attempt;
            }
            E::ActivityTaskCancelRequested { scheduled } => {
                self.pending(*scheduled)?.cancel_requested = true;
            }
            E::ActivityTaskCompleted { scheduled, result, .. } => {
                let activity = self.close_activity(*scheduled)?;
                self.saga.on_completed(event.id, &activity, result);
            }
            E::ActivityTaskFailed {
                scheduled,
                failure,
                retry_state,
                ..
            }
            | E::ActivityTaskTimedOut {
                scheduled,
                failure,
                retry_state,
                ..
            } => {
                let activity = self.close_activity(*scheduled)?;
                self.saga.on_failed(event.id, &activity, failure, *retry_state);
            }
            E::ActivityTaskCanceled { scheduled, details, .. } => {
                let activity = self.close_activity(*scheduled)?;
                let failure = Failure::canceled("the activity was canceled");
                let failure = details.iter().cloned().fold(failure, Failure::with_details);
                self.saga
                    .on_failed(event.id, &activity, &failure, RetryState::CancelRequested);
            }
            _ => return Err(self.misfit("not an activity event")),
        }
        Ok(())
    }

    fn apply_close(&mut self, attributes: &EventAttributes) {
        use EventAttributes as E;
        let outcome = match attributes {
            E::WorkflowExecutionCompleted { result } => Outcome::Completed(result.clone()),
            E::WorkflowExecutionFailed { failure, amended: true }
            | E::WorkflowExecutionCanceled { failure, amended: true } => Outcome::Amended(failure.clone()),
            E::WorkflowExecutionFailed { failure, .. } => Outcome::Failed(failure.clone()),
            E::WorkflowExecutionCanceled { failure, .. } => Outcome::Canceled(failure.clone()),
            E::WorkflowExecutionTimedOut { amended: true } => Outcome::Amended(UnwindCause::TimedOut.failure()),
            E::WorkflowExecutionTerminated { reason, .. } => Outcome::Terminated { reason: reason.clone() },
            E::WorkflowExecutionContinuedAsNew(next) => {
                self.next_run = Some(next.new_run_id);
                let new_run_id = next.new_run_id;
                Outcome::ContinuedAsNew { new_run_id }
            }
            _ => Outcome::TimedOut,
        };
        self.phase = Phase::Closed(outcome);
        self.backoff_until = None;
        self.parked = None;
        self.paused = None;
        self.task_due = false;
        self.since_task = Vec::new();
        self.activities.clear();
        self.timers.clear();
        self.signal_requests.clear();
        self.decision_requests.clear();
        self.stuck.clear();
        self.rollback = None;
        self.waits.clear();
        self.unread_signals.clear();
        self.locks.clear();
        self.locals.clear();
        self.leave_what_is_owed();
    }

    pub(super) fn apply_pending(&mut self, change: &PendingChange) -> Result<(), ApplyError> {
        match change {
            PendingChange::RetryScheduled {
                scheduled,
                failed_attempt,
                failure,
                due,
            } => {
                let turn = self.turns + 1;
                let activity = self.pending(*scheduled)?;
                activity.since_turn = turn;
                activity.attempt = failed_attempt.saturating_add(1);
                activity.may_have_applied |= !says_not_applied(failure);
                activity.last_failure = Some(failure.clone());
                activity.due = *due;
                activity.held = None;
            }
            PendingChange::Held { scheduled, why } => self.pending(*scheduled)?.held = Some(*why),
            PendingChange::Released { scheduled } => {
                let turn = self.turns + 1;
                let activity = self.pending(*scheduled)?;
                activity.held = None;
                activity.since_turn = turn;
            }
            PendingChange::Heartbeat { scheduled, at, details } => {
                let activity = self.pending(*scheduled)?;
                activity.heartbeat = Some(details.clone());
                if let Some(over) = &mut activity.handed_over {
                    over.heard = *at;
                }
            }
            PendingChange::HandedOver {
                scheduled,
                attempt,
                started,
                at,
            } => {
                self.pending(*scheduled)?.handed_over = Some(HandedOver {
                    attempt: *attempt,
                    started: *started,
                    heard: *at,
                });
            }
            PendingChange::LateResult { scheduled, .. } => self.saga.on_late_result(*scheduled),
            PendingChange::ChildReleased { child } => self.release_child(*child)?,
            PendingChange::Parked { reason } => self.parked = Some(reason.clone()),
            PendingChange::Unparked => self.parked = None,
            PendingChange::MessageReleased { message } => self.release_message(*message)?,
            PendingChange::GivesWay { run_id } => self.gives_way_to = Some(*run_id),
            PendingChange::FollowedBy { run_id } => self.next_run = Some(*run_id),
            PendingChange::LocalBegun { seq, activity_type } => {
                self.forget_copied_local(*seq);
                self.locals.insert(*seq, activity_type.clone());
            }
            PendingChange::LocalForgotten { seq } => {
                self.locals.remove(seq);
            }
        }
        Ok(())
    }

    pub(super) fn pending(&mut self, scheduled: EventId) -> Result<&mut PendingActivity, ApplyError> {
        if !self.activities.contains_key(&scheduled) {
            return Err(self.misfit(format!("activity {scheduled} is not pending")));
        }
        Ok(self.activities.get_mut(&scheduled).expect("looked up just above"))
    }

    fn close_activity(&mut self, scheduled: EventId) -> Result<PendingActivity, ApplyError> {
        let closed = self.activities.remove(&scheduled);
        let activity =
            closed.ok_or_else(|| self.misfit(format!("activity {scheduled} ended, which is not pending")))?;
        self.stuck.remove(&Some(scheduled));
        if let Some(step) = activity.attributes.undoes() {
            self.stuck.remove(&Some(step));
        }
        // What the machine does of its own accord does not concern the decider, but by what comes of it.
        self.task_due |= activity.attributes.is_of_the_code();
        Ok(*activity)
    }
}
