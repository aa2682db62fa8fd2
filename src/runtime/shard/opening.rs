//! Whether a run may begin under its workflow id, of which no run is open. Must not live here: what a start means to an open
//! run (the run itself says that).

use crate::model::StartRun;
use crate::store::RunHead;

use super::super::error::RequestError;
use super::super::messages::Delivered;
use super::super::recovery::{Rebuilt, begin, load_state};
use super::ShardActor;

/// What a start comes to.
pub(super) enum Opening {
    /// A new run.
    New(Box<Rebuilt>),
    /// The run that the same request has begun before.
    Known(Delivered),
}

impl ShardActor {
    /// `last`: the last run with the start's workflow id.
    pub(super) fn opening(&self, start: &mut StartRun, last: Option<RunHead>) -> Result<Opening, RequestError> {
        if let Some(last) = last {
            if self.began_by(&last, start)? {
                return Ok(Opening::Known(Delivered {
                    run_id: last.run_id,
                    duplicate: true,
                    stop_asked: false,
                }));
            }
            if !start.ids.reuse.allows_after(last.status) {
                return Err(already_started(last));
            }
            // The newest run of an id is the one with the greatest run id, whatever the clock says.
            if start.run_id <= last.run_id {
                start.run_id = last.run_id.following(self.shared.clock.now());
            }
        }
        let new = begin(&self.shared, start)?;
        self.shared.namespaces.begin(start)?;
        Ok(Opening::New(Box::new(new)))
    }

    /// Whether the run was begun by the same request.
    fn began_by(&self, last: &RunHead, start: &StartRun) -> Result<bool, RequestError> {
        if start.request_id.is_none() {
            return Ok(false);
        }
        let state = load_state(&self.shared.codecs, &*self.shared.store.get()?, last.run_id)?;
        Ok(state.started().and_then(|started| started.request_id.as_ref()) == start.request_id.as_ref())
    }
}

/// `last`: the run that has had the id.
pub(super) fn already_started(last: RunHead) -> RequestError {
    RequestError::AlreadyStarted {
        workflow_id: last.workflow_id,
        run_id: last.run_id,
        status: last.status,
    }
}
