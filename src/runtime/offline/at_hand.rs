//! What only the code of a run can answer, while no engine runs: for the workflows that amends brings along itself. Must not live
//! here: anything else that is decided without an engine.

use std::sync::Arc;

use crate::machine::{QueryError, RunState};
use crate::model::{Failure, Input, Payload, Query, RunId, StartRun, UpdateRequest, WorkflowId};

use super::super::entropy::Entropy;
use super::super::error::RequestError;
use super::{OfflineDesk, ask_replayed};

impl OfflineDesk<'_> {
    /// Asks the open run, whose code is at hand, for an update.
    pub(crate) fn update(
        &self,
        workflow_id: &WorkflowId,
        request: UpdateRequest,
    ) -> Result<Result<Payload, Failure>, RequestError> {
        let update_id = request.update_id.clone();
        let (_, state) = self.decided(workflow_id, Input::Update(Box::new(request)))?;
        let outcome = state.update_outcome(update_id.as_str());
        outcome.ok_or(RequestError::UnknownUpdate(update_id))
    }

    /// Begins a run whose code is at hand.
    pub(crate) fn begin(&self, mut start: StartRun) -> Result<RunId, RequestError> {
        start.run_id = Entropy.run_id(self.now);
        if let Some(last) = self.store.find(&start.workflow_id)? {
            if !start.ids.reuse.allows_after(last.status) {
                return Err(RequestError::AlreadyStarted {
                    workflow_id: last.workflow_id,
                    run_id: last.run_id,
                    status: last.status,
                });
            }
            if start.run_id <= last.run_id {
                start.run_id = last.run_id.following(self.now);
            }
        }
        let run_id = start.run_id;
        let mut decider = self.decider(start.workflow_type.as_str(), &[]);
        let mut state = RunState::default();
        self.turn(run_id, &mut state, &mut *decider, Input::Start(Box::new(start)))?;
        Ok(run_id)
    }

    /// Answers a query about a run whose code is at hand.
    pub(crate) fn query(&self, run_id: RunId, query: &Query) -> Result<Result<Payload, QueryError>, RequestError> {
        let (state, history) = self.load(run_id)?;
        let workflow_type = state.started().map(|started| started.workflow_type.to_string());
        match workflow_type.and_then(|workflow_type| self.code.get(workflow_type.as_str())) {
            Some(workflow) => Ok(ask_replayed(Arc::clone(workflow), &state, &history, query)),
            None => Ok(Err(QueryError::NotHere)),
        }
    }
}
