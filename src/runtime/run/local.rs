//! Running local activities: tried again in place, within their time, until they have ended. Must not live here: which of
//! them are wanted (that is the state's word, and the decider's).

use std::sync::Arc;

use actix::{Context, Handler, Message};

use crate::model::{
    ActivityType, AttemptOutcome, AttemptToken, Failure, LocalActivity, LocalActivityEnded, Payload, RetryDecision,
    RetryState, TaskToken, TimeoutKind, Timestamp, WorkflowType, limits,
};
use crate::sdk::{ActivityDefinition, ActivityInfo, CancelFlag, idempotency_key};

use super::super::attempt::{AttemptEnd, AttemptHandle, AttemptOrder, Ear, Lane};
use super::super::messages::AttemptEnded;
use super::super::shared::Shared;
use super::{RunActor, RunLine};

/// Local activity to run: the engine stops before it was tried again, and the next one begins with it anew.
#[derive(Message)]
#[rtype(result = "()")]
struct LocalLeft(AttemptToken);

impl Handler<LocalLeft> for RunActor {
    type Result = ();

    fn handle(&mut self, LocalLeft(token): LocalLeft, _: &mut Context<Self>) {
        self.attempts.remove(&token);
        self.count_busy();
    }
}

impl RunActor {
    /// Starts the local activities that should be running and are not. A draining engine leaves them to the next one.
    pub(super) fn bring_local_activities(&mut self, ctx: &Context<Self>) {
        let missing = |token: &AttemptToken| !self.attempts.contains_key(token);
        if self.at.shared.is_draining() || !self.state.local_activities().any(|token| missing(&token)) {
            return;
        }
        let asked_for = self.decider.local_activities();
        let wanted: Vec<AttemptToken> = self.state.local_activities().filter(missing).collect();
        for local in asked_for {
            let token = AttemptToken::of_local(local.seq);
            if wanted.contains(&token) {
                let attempt = self.launch_local(local, token, self.line(ctx));
                self.attempts.insert(token, attempt);
            }
        }
    }

    fn launch_local(&self, local: LocalActivity, token: AttemptToken, run: RunLine) -> AttemptHandle {
        let shared = Arc::clone(&self.at.shared);
        let info = self.local_info(&local, token);
        shared.clone().attempts.supervise(move |cancel| async move {
            match run_locally(&shared, local, info, cancel).await {
                Some(outcome) => run.do_send(AttemptEnded { token, outcome }),
                None => run.do_send(LocalLeft(token)),
            }
        })
    }

    fn local_info(&self, local: &LocalActivity, token: AttemptToken) -> ActivityInfo {
        let activity_id = LocalActivityEnded::activity_id(local.seq);
        let workflow_type = self.state.started().map(|started| started.workflow_type.clone());
        let asked = self.state.writer_of_local(local.seq).unwrap_or(self.at.run_id);
        ActivityInfo {
            workflow_id: self.at.workflow_id.clone(),
            run_id: self.at.run_id,
            workflow_type: workflow_type.unwrap_or_else(|| WorkflowType::from_trusted("")),
            idempotency_key: idempotency_key(asked, &activity_id),
            activity_id,
            activity_type: local.activity_type.clone(),
            attempt: 1,
            scheduled_at: self.at.shared.clock.now(),
            is_compensation: false,
            task_token: TaskToken {
                workflow_id: self.at.workflow_id.clone(),
                run_id: self.at.run_id,
                attempt: token,
            },
            heartbeat_details: None,
        }
    }
}

/// Tries until it succeeds, may not be tried again, or its time is up; `None`: it is left to the next engine.
async fn run_locally(
    shared: &Shared,
    local: LocalActivity,
    mut info: ActivityInfo,
    cancel: CancelFlag,
) -> Option<AttemptOutcome> {
    let Some(definition) = shared.registry.activity(local.activity_type.as_str()) else {
        let message = format!(
            "no activity {:?} is registered with this engine",
            local.activity_type.as_str()
        );
        return Some(Err(Failure::non_retryable("UnknownActivity", message).without_effect()));
    };
    let asked = local.options.schedule_to_close.unwrap_or(limits::LOCAL_ACTIVITY_MAX);
    let deadline = shared.clock.now().after(asked.min(limits::LOCAL_ACTIVITY_MAX));
    let mut last_failure: Option<Failure> = None;
    loop {
        let order = order(&local, definition, info.clone(), deadline);
        let failure = match shared.attempts.run(order, cancel.clone(), None).await {
            AttemptEnd::Ended(Ok(result)) => return Some(Ok(result)),
            AttemptEnd::Ended(Err(failure)) => failure,
            AttemptEnd::Parked => match until_let_go(shared, &local.activity_type, deadline).await {
                // Nobody was asked: it is the same try.
                LetGo::Yes => continue,
                LetGo::Stopping => return None,
                LetGo::TimeIsUp => Failure::timeout(TimeoutKind::ScheduleToClose),
            },
            AttemptEnd::HandedOver { .. } => Failure::non_retryable(
                "NotLocal",
                "a local activity cannot be completed by somebody else: call it as an ordinary activity",
            ),
        };
        let failure = match (failure.timeout_kind(), last_failure) {
            (Some(TimeoutKind::ScheduleToClose), Some(last)) => failure.caused_by(last),
            _ => failure,
        };
        let now = shared.clock.now();
        match local.options.retry.decide(info.attempt, &failure, now, Some(deadline)) {
            // The next engine begins with it again.
            RetryDecision::RetryAt(due) => tokio::select! {
                biased;
                () = shared.draining().raised() => return None,
                () = shared.clock.sleep_until(due) => {}
            },
            RetryDecision::Stop(retry_state) => return Some(Err(recorded(&local, retry_state, failure))),
        }
        last_failure = Some(failure);
        info.attempt = info.attempt.saturating_add(1);
    }
}

fn recorded(local: &LocalActivity, retry_state: RetryState, failure: Failure) -> Failure {
    LocalActivityEnded::recorded(local.seq, local.activity_type.clone(), retry_state, failure)
}

/// How waiting for a breaker ends.
enum LetGo {
    /// It may be tried.
    Yes,
    /// The engine stops.
    Stopping,
    /// It has to have ended by now.
    TimeIsUp,
}

/// Waits for the breaker of this type, which keeps attempts back.
async fn until_let_go(shared: &Shared, activity_type: &ActivityType, deadline: Timestamp) -> LetGo {
    tokio::select! {
        biased;
        () = shared.draining().raised() => LetGo::Stopping,
        () = shared.clock.sleep_until(deadline) => LetGo::TimeIsUp,
        () = shared.attempts.until_let_go(activity_type.as_str()) => LetGo::Yes,
    }
}

fn order(
    local: &LocalActivity,
    definition: &ActivityDefinition,
    info: ActivityInfo,
    deadline: Timestamp,
) -> Box<AttemptOrder> {
    Box::new(AttemptOrder {
        lane: Lane::Forward,
        activity: Arc::clone(definition.activity()),
        due: info.scheduled_at,
        info,
        secrets: None,
        input: local.input.clone(),
        queue: None,
        schedule_to_start: None,
        start_to_close: local.options.start_to_close(),
        close_by: Some(deadline),
        heartbeat: None,
        ear: Arc::new(Deaf),
    })
}

/// Of a try of a local activity only its end counts, which is given to whoever waits for it.
struct Deaf;

impl Ear for Deaf {
    fn begun(&self) {}

    fn ended(&self, _: AttemptEnd) {}

    fn beat(&self, _: Payload) {}

    fn late(&self, _: AttemptOutcome) {}
}
