//! Folding updates, and what a run says to others. Must not live here: deciding.

use crate::model::{Event, EventAttributes, EventId, ExternalMessage};

use super::super::state::RunState;
use super::super::update::UpdateRecord;
use super::ApplyError;

impl RunState {
    pub(super) fn apply_message(&mut self, event: &Event) -> Result<(), ApplyError> {
        use EventAttributes as E;
        match &event.attributes {
            E::WorkflowExecutionUpdateAccepted(update) => {
                let record = UpdateRecord {
                    accepted: event.id,
                    name: update.name.clone(),
                    outcome: None,
                };
                if self.updates.insert(update.update_id.clone(), record).is_some() {
                    return Err(self.misfit(format!("update {} was accepted before", update.update_id)));
                }
            }
            E::WorkflowExecutionUpdateCompleted(completed) => {
                let update = self.updates.get_mut(&completed.update_id);
                let Some(update) = update.filter(|update| update.outcome.is_none()) else {
                    return Err(self.misfit(format!("update {} is not in progress", completed.update_id)));
                };
                update.outcome = Some(completed.outcome.clone());
            }
            E::SignalExternalWorkflowExecutionInitiated(signal) => {
                self.externals.insert(event.id, ExternalMessage::Signal(signal.clone()));
            }
            E::RequestCancelExternalWorkflowExecutionInitiated(cancel) => {
                self.externals.insert(event.id, ExternalMessage::Cancel(cancel.clone()));
            }
            E::SignalExternalWorkflowExecutionFailed { initiated, .. }
            | E::ExternalWorkflowExecutionSignaled { initiated }
            | E::RequestCancelExternalWorkflowExecutionFailed { initiated, .. }
            | E::ExternalWorkflowExecutionCancelRequested { initiated } => self.end_external(*initiated)?,
            _ => return Err(self.misfit("not an event that is known here")),
        }
        Ok(())
    }

    fn end_external(&mut self, initiated: EventId) -> Result<(), ApplyError> {
        if self.externals.remove(&initiated).is_none() {
            return Err(self.misfit(format!("the message of event {initiated} is not on its way")));
        }
        self.task_due = true;
        Ok(())
    }
}
