//! Handing out an attempt: what user code is told of it. Must not live here: whether and when (that is the state's word).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::machine::PendingActivity;
use crate::model::{
    ActivityRole, AttemptOutcome, AttemptToken, EventId, Failure, Payload, RunId, TaskToken, WorkflowId, WorkflowType,
};
use crate::sdk::{ActivityInfo, idempotency_key};

use super::super::attempt::{AttemptEnd, AttemptHandle, AttemptOrder, Ear, Lane};
use super::super::child::{self, Errand};
use super::super::messages::{AttemptEnded, AttemptHeld, BeginMore, LateResult};
use super::super::queues::Worker;
use super::super::secrets::Declared;
use super::super::shard::{Backlog, ShardLine};
use super::super::shared::Shared;
use super::reports::{AttemptBeats, AttemptHandedOver, AttemptParked};
use super::{RunActor, RunLine};

/// Whether the attempt is left to the next engine while this one stops: what goes forward is, and what waits for another
/// run, which may not get on. Everything else sets something right, and goes on for as long as there is time.
pub(super) fn is_held_back(activity: &PendingActivity) -> bool {
    activity.attributes.is_of_the_code() || Errand::of(&activity.attributes.activity_type).is_some()
}

impl RunActor {
    /// The worker for an activity's queue, which is the run's own unless it names another; `None`: nobody here makes its
    /// attempts. What waits for another run needs no worker.
    pub(super) fn worker_of(&self, activity: &PendingActivity) -> Option<&Arc<Worker>> {
        match &activity.attributes.options.task_queue {
            None => self.worker.as_ref(),
            named => self.at.shared.namespaces.worker(&self.at.workflow_id, named.as_ref()),
        }
    }

    pub(super) fn launch(&self, activity: &PendingActivity, run: RunLine) -> AttemptHandle {
        let activity_type = &activity.attributes.activity_type;
        if let Some(errand) = Errand::of(activity_type) {
            return self.launch_child(errand, activity, run);
        }
        let ear = Arc::new(RunEar {
            shared: Arc::clone(&self.at.shared),
            shard: self.at.shard.clone(),
            run,
            workflow_id: self.at.workflow_id.clone(),
            run_id: self.at.run_id,
            token: activity.token(),
            backlog: self.at.shard_index,
            begun: AtomicBool::new(false),
        });
        ear.enter_backlog();
        let attempts = &self.at.shared.attempts;
        let Some(definition) = self.at.shared.registry.activity(activity_type.as_str()) else {
            // A deployment that forgot an activity must not make sagas turn back: tried again until it is there.
            let message = format!("no activity {activity_type:?} is registered with this engine");
            return attempts.refuse(ear, Failure::new("UnknownActivity", message).without_effect());
        };
        let options = &activity.attributes.options;
        let lane = lane(&activity.attributes.role);
        let worker = self.worker_of(activity);
        attempts.launch(AttemptOrder {
            lane,
            activity: Arc::clone(definition.activity()),
            info: self.info(activity),
            secrets: self.declared_secrets(activity),
            input: activity.attributes.input.clone(),
            queue: worker.and_then(|worker| worker.attempts(lane)).cloned(),
            due: activity.due,
            schedule_to_start: options.schedule_to_start,
            start_to_close: options.start_to_close(),
            close_by: None,
            heartbeat: options.heartbeat,
            ear,
        })
    }

    /// Attempts that wait for another run take no place in the pool: they may wait for days.
    fn launch_child(&self, errand: Errand, activity: &PendingActivity, run: RunLine) -> AttemptHandle {
        let order = child::order(errand, &self.state, activity, self.info(activity));
        let (shared, token) = (Arc::clone(&self.at.shared), activity.token());
        self.at.shared.attempts.supervise(move |cancel| async move {
            match child::attend(&shared, order, cancel).await {
                Some(outcome) => run.do_send(AttemptEnded { token, outcome }),
                None => run.do_send(AttemptHeld(token)),
            }
        })
    }

    /// Only a definition can ask for secrets: the data of a run that is written in code must not be able to.
    fn declared_secrets(&self, activity: &PendingActivity) -> Option<Declared> {
        if !Declared::concerns(&activity.attributes.activity_type) {
            return None;
        }
        let digest = self.state.started()?.definition?;
        let definition = self.at.shared.definitions.get(digest, &self.at.shared.store).ok()?;
        Some(Declared::by(&definition))
    }

    /// The run whose name is in the keys of what began with this event: of what a reset run has copied, another one.
    pub(super) fn writer_of(&self, event: EventId) -> RunId {
        self.state.writer_of(event).unwrap_or(self.at.run_id)
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
            idempotency_key: idempotency_key(self.writer_of(activity.scheduled), &activity.attributes.activity_id),
            scheduled_at: activity.scheduled_at,
            is_compensation: activity.is_compensation(),
            task_token: TaskToken {
                workflow_id: self.at.workflow_id.clone(),
                run_id: self.at.run_id,
                attempt: activity.token(),
            },
            heartbeat_details: activity.heartbeat.clone(),
        }
    }
}

/// What an attempt says goes to its run, or, when nobody waits for it any more, to the run's shard: the run may have left
/// memory since.
struct RunEar {
    shared: Arc<Shared>,
    shard: ShardLine,
    run: RunLine,
    workflow_id: WorkflowId,
    run_id: RunId,
    token: AttemptToken,
    /// Whose backlog it is in until it has begun.
    backlog: usize,
    begun: AtomicBool,
}

impl RunEar {
    fn enter_backlog(&self) {
        if let Some(backlog) = self.shared.backlogs.get(self.backlog) {
            backlog.enter();
        }
    }

    fn leave_backlog(&self) {
        let first = !self.begun.swap(true, Ordering::Relaxed);
        let backlog = self.shared.backlogs.get(self.backlog);
        if first && backlog.is_some_and(Backlog::leave) {
            self.shard.do_send(BeginMore);
        }
    }
}

impl Drop for RunEar {
    /// It may have been given up before it began.
    fn drop(&mut self) {
        self.leave_backlog();
    }
}

impl Ear for RunEar {
    fn begun(&self) {
        self.leave_backlog();
    }

    fn ended(&self, end: AttemptEnd) {
        let token = self.token;
        match end {
            AttemptEnd::Ended(outcome) => self.run.do_send(AttemptEnded { token, outcome }),
            AttemptEnd::HandedOver { started } => self.run.do_send(AttemptHandedOver { token, started }),
            // Its run tells the breaker: it must not be let go before its run knows that it is kept back.
            AttemptEnd::Parked => self.run.do_send(AttemptParked(token)),
        }
    }

    fn beat(&self, details: Payload) {
        let token = self.token;
        self.run.do_send(AttemptBeats { token, details });
    }

    fn late(&self, outcome: AttemptOutcome) {
        self.shard.do_send(LateResult {
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id,
            token: self.token,
            outcome,
        });
    }
}

fn lane(role: &ActivityRole) -> Lane {
    match role {
        ActivityRole::Plain | ActivityRole::Step(_) => Lane::Forward,
        ActivityRole::Compensation(_) | ActivityRole::Verification(_) | ActivityRole::Escalation(_) => Lane::Amends,
    }
}
