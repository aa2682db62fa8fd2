//! Waiting for a run that is nobody's child: one that a schedule has started. Must not live here: starting it, or what its end
//! means.

use crate::model::{AttemptOutcome, Failure, Payload, WatchedRun, WorkflowId};
use crate::sdk::CancelFlag;

use super::{Attendant, Over};

impl Attendant {
    /// Waits for the end of the run, and tells how it ended. Asked to stop, it stops, and leaves the run alone.
    pub(super) async fn watch(&self, cancel: &CancelFlag) -> Result<AttemptOutcome, Over> {
        let watched = match self.order.input.to::<WatchedRun>() {
            Ok(watched) => watched,
            Err(error) => return Ok(Err(bad_input(&error))),
        };
        let id = match WorkflowId::new(&watched.workflow_id) {
            Ok(id) => id.beside(&self.order.info.workflow_id),
            Err(error) => return Ok(Err(bad_input(&error))),
        };
        let run_id = match watched.run_id.parse() {
            Ok(run_id) => run_id,
            Err(error) => return Ok(Err(bad_input(&error))),
        };
        tokio::select! {
            biased;
            ended = self.end_of(&id, run_id, None) => {
                let how = match ended {
                    Ok((_, outcome)) => outcome.status().as_str(),
                    // It ended while no engine looked, so long ago that retention has deleted it.
                    Err(Over::Gone) => "deleted",
                    Err(over) => return Err(over),
                };
                Ok(Payload::json(how).map_err(Failure::from))
            }
            () = cancel.raised() => Ok(Err(Failure::canceled("nobody waits for the run any more"))),
        }
    }
}

fn bad_input(error: &dyn std::fmt::Display) -> Failure {
    Failure::non_retryable("WatchedRun", format!("the input must name a run: {error}"))
}
