//! Handing out an attempt: what user code is told of it. Must not live here: whether and when (that is the state's word).

use std::sync::Arc;

use actix::Addr;

use crate::machine::PendingActivity;
use crate::model::{Failure, WorkflowType};
use crate::sdk::{ActivityInfo, idempotency_key};

use super::super::attempt::{AttemptHandle, AttemptOrder};
use super::super::messages::AttemptEnded;
use super::RunActor;

impl RunActor {
    pub(super) fn launch(&self, activity: &PendingActivity, run: Addr<RunActor>) -> AttemptHandle {
        let done = move |token, outcome| run.do_send(AttemptEnded { token, outcome });
        let activity_type = &activity.attributes.activity_type;
        let Some(definition) = self.at.shared.registry.activity(activity_type.as_str()) else {
            // A deployment that forgot an activity must not make sagas turn back: tried again until it is there.
            let message = format!("no activity {activity_type:?} is registered with this engine");
            let failure = Failure::new("UnknownActivity", message).without_effect();
            return self.at.shared.attempts.refuse(activity.token(), failure, done);
        };
        let options = &activity.attributes.options;
        let order = AttemptOrder {
            token: activity.token(),
            activity: Arc::clone(definition.activity()),
            info: self.info(activity),
            input: activity.attributes.input.clone(),
            due: activity.due,
            schedule_to_start: options.schedule_to_start,
            start_to_close: options.start_to_close,
            heartbeat: options.heartbeat,
        };
        self.at.shared.attempts.launch(order, done)
    }

    fn info(&self, activity: &PendingActivity) -> ActivityInfo {
        let workflow_type = self.state.started().map(|started| started.workflow_type.clone());
        ActivityInfo {
            workflow_id: self.at.workflow_id.clone(),
            run_id: self.at.run_id,
            workflow_type: workflow_type.unwrap_or_else(|| WorkflowType::from_trusted("")),
            activity_id: activity.attributes.activity_id.clone(),
            activity_type: activity.attributes.activity_type.clone(),
            attempt: activity.attempt,
            idempotency_key: idempotency_key(self.at.run_id, &activity.attributes.activity_id),
            scheduled_at: activity.scheduled_at,
            is_compensation: activity.is_compensation(),
        }
    }
}
