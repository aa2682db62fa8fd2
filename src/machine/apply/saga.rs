//! Folding what happens to a saga only. Must not live here: anything that Temporal has an event for, or deciding.

use std::sync::Arc;

use crate::model::{
    ActivityRole, Choice, Event, EventAttributes, EventId, Failure, SagaDecided, SagaStuck, StuckReason, TimeoutKind,
    UnwindCause, WaitResult, WorkflowSignaled,
};

use super::super::ledger::{StepState, UndoState, says_not_applied};
use super::super::pending::{LockState, PendingWait, Rollback, RunLock, StuckItem};
use super::super::state::{Phase, RunState};
use super::ApplyError;

impl RunState {
    pub(super) fn apply_saga(&mut self, event: &Event) -> Result<(), ApplyError> {
        use EventAttributes as E;
        match &event.attributes {
            E::SagaUnwindStarted(unwind) => self.turn_back(event, &unwind.cause),
            E::SagaStuck(stuck) => self.apply_stuck(event, stuck)?,
            E::SagaDecided(decided) => self.apply_decided(event, decided)?,
            E::SagaStepAmbiguous(ambiguous) => {
                let activity = self.pending(ambiguous.scheduled)?;
                activity.ambiguous = Some(ambiguous.retry_state);
                // Whatever a person was asked before, it is found out now.
                activity.stuck = false;
                activity.last_failure = Some(ambiguous.failure.clone());
                self.stuck.remove(&Some(ambiguous.scheduled));
            }
            E::SagaStepResolved { scheduled, verdict } => self.pending(*scheduled)?.verdict = Some(*verdict),
            E::SagaRollbackStarted { keep } => {
                self.rollbacks += 1;
                self.rollback = Some(Rollback {
                    started: event.id,
                    keep: *keep,
                });
            }
            E::SagaRollbackCompleted { .. } => {
                self.rollback = None;
                self.task_due = true;
            }
            E::SagaWaitStarted(wait) => {
                self.saga.on_wait_started(event.id, wait);
                self.waits.insert(event.id, PendingWait { started: wait.clone() });
            }
            E::SagaWaitEnded { started, result } => self.apply_wait_ended(event, *started, *result)?,
            E::SagaStepSkipped(skipped) => {
                self.saga.on_skipped(event.id, &skipped.name, &skipped.after);
                self.task_due = true;
            }
            E::SagaLockRequested { .. } | E::SagaLockAcquired { .. } | E::SagaLockRefused { .. } => {
                self.apply_lock(event)?;
            }
            E::SagaAdopted(adopted) => {
                self.adopted_from = Some(adopted.run_id);
                adopted.steps.iter().for_each(|step| self.saga.on_adopted(step));
            }
            _ => return self.apply_message(event),
        }
        Ok(())
    }

    fn turn_back(&mut self, event: &Event, cause: &UnwindCause) {
        // The code has had its last word: nothing is kept for it any more.
        self.timers.clear();
        self.since_task = Vec::new();
        self.parked = None;
        self.rollback = None;
        self.stuck.remove(&None);
        self.locals.clear();
        self.locks.retain(|_, lock| lock.state == LockState::Held);
        self.unwinding_since = Some(event.time);
        self.phase = Phase::Unwinding(cause.clone());
    }

    fn apply_stuck(&mut self, event: &Event, stuck: &SagaStuck) -> Result<(), ApplyError> {
        let item = StuckItem {
            reason: stuck.reason,
            failure: stuck.failure.clone(),
            since: event.time,
            escalated: false,
        };
        self.stuck.insert(stuck.step, item);
        let Some(step) = stuck.step else {
            self.phase = Phase::Halted(stuck.failure.clone());
            return Ok(());
        };
        // Either one of the step's own activities waits (kept pending), or its compensation could not even be scheduled.
        match self.stuck_activity(step, stuck.reason) {
            Some(scheduled) => {
                let activity = self.pending(scheduled)?;
                activity.stuck = true;
                activity.last_failure = Some(stuck.failure.clone());
                Ok(())
            }
            None if self.saga.on_stuck(step) => Ok(()),
            None => Err(self.misfit(format!("step {step} is stuck, which does not exist"))),
        }
    }

    /// The activity that is stuck when its step is: the forward one, or the compensation.
    pub(in crate::machine) fn stuck_activity(&self, step: EventId, reason: StuckReason) -> Option<EventId> {
        let forward = matches!(reason, StuckReason::RetriableFailed | StuckReason::Ambiguous);
        let found = self.activities.values().find(|activity| match forward {
            true => activity.scheduled == step,
            false => activity.attributes.undoes() == Some(step),
        });
        found.map(|activity| activity.scheduled)
    }

    fn apply_decided(&mut self, event: &Event, decided: &SagaDecided) -> Result<(), ApplyError> {
        let Some(item) = self.stuck.remove(&decided.step) else {
            return Err(self.misfit("a decision about what is not stuck"));
        };
        self.decision_requests.extend(decided.request_id.clone());
        self.automatic_decisions = self.automatic_decisions.saturating_add(u32::from(decided.automatic));
        let Some(step) = decided.step else {
            self.pivot_overruled |= decided.choice == Choice::GoBack;
            return Ok(());
        };
        match (self.stuck_activity(step, item.reason), &decided.choice) {
            (Some(scheduled), Choice::Retry) => self.retry_afresh(event, scheduled)?,
            (Some(scheduled), Choice::RetryWith { input }) => {
                self.retry_afresh(event, scheduled)?;
                Arc::make_mut(&mut self.pending(scheduled)?.attributes).input = input.clone();
                self.saga.change_input(scheduled, input);
            }
            // The step's compensation, which still has to be ended: its end must not count as the step's undoing.
            (Some(scheduled), Choice::Skip) if scheduled != step => {
                self.saga.decide_undo(step, UndoState::Skipped, None);
            }
            (Some(_), _) => {}
            (None, Choice::Retry) => self.saga.decide_undo(step, UndoState::Owed, None),
            (None, Choice::RetryWith { input }) => self.saga.decide_undo(step, UndoState::Owed, Some(input.clone())),
            (None, Choice::Skip) => self.saga.decide_undo(step, UndoState::Skipped, None),
            (None, _) => self.saga.decide_undo(step, UndoState::Done, None),
        }
        Ok(())
    }

    /// Another attempt, with a retry policy that begins anew; the attempts before it stay what they were.
    fn retry_afresh(&mut self, event: &Event, scheduled: EventId) -> Result<(), ApplyError> {
        let turn = self.turns + 1;
        let activity = self.pending(scheduled)?;
        activity.since_turn = turn;
        activity.stuck = false;
        activity.held = None;
        // Of a step that was found out about, the last failure may be the verification's: it says nothing of the step.
        activity.may_have_applied |= activity.ambiguous.take().is_some();
        activity.may_have_applied |= activity
            .last_failure
            .as_ref()
            .is_some_and(|last| !says_not_applied(last));
        activity.attempts_forgiven = activity.attempt;
        activity.attempt = activity.attempt.saturating_add(1);
        activity.due = event.time;
        activity.budget_from = event.time;
        Ok(())
    }

    pub(super) fn note_escalation(&mut self, role: &ActivityRole) {
        if let ActivityRole::Escalation(step) = role
            && let Some(item) = self.stuck.get_mut(step)
        {
            item.escalated = true;
        }
    }

    /// Definitions have no code that listens: what no step waits for yet is kept.
    pub(super) fn keep_unread(&mut self, id: EventId, signal: &WorkflowSignaled) {
        let by_definition = self
            .started
            .as_ref()
            .is_some_and(|started| started.definition.is_some());
        if by_definition && self.phase == Phase::Running {
            let unread = self.unread_signals.entry(signal.name.clone()).or_default();
            unread.push_back((id, signal.input.clone()));
        }
    }

    fn apply_wait_ended(&mut self, event: &Event, started: EventId, result: WaitResult) -> Result<(), ApplyError> {
        let wait = self.waits.remove(&started);
        let wait = wait.ok_or_else(|| self.misfit(format!("wait {started} ended, which is not pending")))?;
        let failed = |failure: Failure| StepState::Failed {
            failure,
            retry_state: crate::model::RetryState::Timeout,
            may_have_applied: false,
        };
        let state = match result {
            WaitResult::Signaled(signal) => StepState::Completed {
                output: self.take_signal(&wait, signal)?,
            },
            WaitResult::Elapsed => StepState::Completed {
                output: wait.started.default.clone().unwrap_or_default(),
            },
            WaitResult::TimedOut => {
                let signal = wait.started.signal.as_ref().map_or("", |signal| signal.as_str());
                let mut failure = Failure::timeout(TimeoutKind::ScheduleToClose);
                failure.message = format!("no signal {signal:?} came in time");
                failed(failure)
            }
            WaitResult::Canceled => failed(Failure::canceled("the saga turned back")),
        };
        self.saga.on_wait_ended(event.id, started, state);
        self.task_due = true;
        Ok(())
    }

    fn take_signal(&mut self, wait: &PendingWait, signal: EventId) -> Result<crate::model::Payload, ApplyError> {
        let name = wait.started.signal.clone();
        let unread = name.as_ref().and_then(|name| self.unread_signals.get_mut(name));
        let taken = unread.and_then(|unread| {
            let at = unread.iter().position(|(id, _)| *id == signal)?;
            unread.remove(at)
        });
        if let Some(name) = name
            && self.unread_signals.get(&name).is_some_and(|unread| unread.is_empty())
        {
            self.unread_signals.remove(&name);
        }
        match taken {
            Some((_, input)) => Ok(input),
            None => Err(self.misfit(format!("signal {signal} is not there"))),
        }
    }

    fn apply_lock(&mut self, event: &Event) -> Result<(), ApplyError> {
        use EventAttributes as E;
        let (requested, state) = match &event.attributes {
            E::SagaLockRequested { lock, until, no_wait } => {
                let request = RunLock {
                    lock: lock.clone(),
                    requested: event.id,
                    requested_at: event.time,
                    until: *until,
                    no_wait: *no_wait,
                    state: LockState::Waiting,
                };
                self.locks.insert(lock.clone(), request);
                return Ok(());
            }
            E::SagaLockAcquired { requested } => (*requested, LockState::Held),
            E::SagaLockRefused { requested, failure } => (*requested, LockState::Refused(failure.clone())),
            _ => return Ok(()),
        };
        let lock = self.locks.values_mut().find(|lock| lock.requested == requested);
        match lock {
            Some(lock) => {
                lock.state = state;
                self.task_due = true;
                Ok(())
            }
            None => Err(self.misfit(format!("lock request {requested} does not exist"))),
        }
    }
}
