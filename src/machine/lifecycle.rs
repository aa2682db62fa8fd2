//! The beginning and the end of a run, and what is said to it from outside: start, signal, cancel, terminate. Must not
//! live here: activities, timers, unwinding.

use std::sync::Arc;

use crate::model::{
    EventAttributes, Failure, IdConflictPolicy, Payload, RequestId, RunStarted, SignalName, StartRun, UnwindCause,
    WorkflowSignaled, limits,
};

use super::decider::{Decider, NoDecider};
use super::granted::check_start;
use super::state::Phase;
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn start(&mut self, start: StartRun, decider: &dyn Decider) -> Result<Reply, Rejection> {
        if let Some(started) = &self.state.started {
            let same_request = start.request_id.is_some() && start.request_id == started.request_id;
            return match start.ids.conflict {
                _ if same_request => Ok(Reply::Duplicate),
                // Whether another one may begin is for whoever knows all runs of the id to say.
                _ if self.state.is_closed() => Err(Rejection::Closed),
                IdConflictPolicy::Fail => Err(Rejection::AlreadyStarted { run_id: started.run_id }),
                IdConflictPolicy::UseExisting => Ok(Reply::Duplicate),
                IdConflictPolicy::TerminateExisting => {
                    check_start(&self.state.limits(), &start)?;
                    Ok(self.give_way(start))
                }
            };
        }
        let StartRun {
            workflow_id,
            run_id,
            workflow_type,
            definition,
            input,
            request_id,
            run_timeout,
            identity,
            saga,
            task_queue,
            parent,
            search_attributes,
            memo,
            ids: _,
            mut chain,
            adopted,
        } = start;
        if let Some(chain) = &mut chain {
            self.begin_chain(chain);
        }
        self.emit(EventAttributes::WorkflowExecutionStarted(Arc::new(RunStarted {
            workflow_id,
            run_id,
            workflow_type,
            definition,
            input,
            request_id,
            run_timeout,
            identity,
            saga,
            task_queue,
            parent,
            search_attributes,
            memo,
            chain,
        })));
        if let Some(adopted) = adopted {
            let failure = Failure::non_retryable("UndoneByParent", format!("run {} is undone", adopted.run_id));
            self.emit(EventAttributes::SagaAdopted(adopted));
            self.unwind(UnwindCause::Failed(failure), decider);
        }
        Ok(Reply::Accepted)
    }

    pub(super) fn signal(
        &mut self,
        name: SignalName,
        input: Payload,
        request_id: Option<RequestId>,
        identity: String,
    ) -> Result<Reply, Rejection> {
        if request_id
            .as_ref()
            .is_some_and(|id| self.state.knows_signal_request(id))
        {
            return Ok(Reply::Duplicate);
        }
        self.state.check_payload(&input)?;
        self.check_room()?;
        let unread = self.state.unread_signals.values().map(|unread| unread.len());
        if unread.sum::<usize>() >= limits::PENDING_MAX {
            return Err(Rejection::TooManySignals);
        }
        self.emit(EventAttributes::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name,
            input,
            request_id,
            identity,
        })));
        self.serve_waits();
        Ok(Reply::Accepted)
    }

    pub(super) fn request_cancel(&mut self, reason: String, identity: String) -> Result<Reply, Rejection> {
        if self.state.cancel_requested.is_some() || matches!(self.state.phase, Phase::Unwinding(_)) {
            return Ok(Reply::Duplicate);
        }
        if self.state.saga.is_past_pivot() || matches!(self.state.phase, Phase::Halted(_)) {
            return Err(Rejection::PastPivot);
        }
        self.check_room()?;
        let has_begun = self.state.begins_at().is_none();
        self.emit(EventAttributes::WorkflowExecutionCancelRequested { reason, identity });
        if !has_begun && self.state.paused.is_none() {
            self.end_before_it_began();
        }
        Ok(Reply::Accepted)
    }

    /// Ends a cancelled run whose code has not been asked yet, and is not: there is nothing that it could set right.
    pub(super) fn end_before_it_began(&mut self) {
        let failure = Failure::canceled("the run was canceled before it had begun");
        self.unwind(UnwindCause::Canceled(failure), &NoDecider);
    }

    pub(super) fn terminate(&mut self, reason: String, identity: String) -> Reply {
        self.emit(EventAttributes::WorkflowExecutionTerminated { reason, identity });
        Reply::Accepted
    }

    /// Leaves a tenth of the history for what must be written in any case: outcomes, compensations, the end.
    pub(super) fn check_room(&self) -> Result<(), Rejection> {
        let max = self.state.limits().history_events;
        match self.state.events + max / 10 < max {
            true => Ok(()),
            false => Err(Rejection::HistoryFull { max }),
        }
    }
}
