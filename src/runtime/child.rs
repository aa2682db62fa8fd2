//! Child sagas: the two built-in activities that run a saga as a step of another, and undo it as a unit. Lives here:
//! starting the child, waiting for its end, and what that end means for the step. Must not live here: what there is to
//! undo (`machine::ledger`), or when.
//!
//! ```text
//! amends.saga       start (or find) the child --> wait --> completed                  => its result
//!                                                          undone, or nothing done    => a failure without effect
//!                                                          terminated, or left        => a failure, may have had effect
//! amends.saga.undo  no child of this step        => done, unless the step has completed: then it was deleted
//!                   open     --cancel--> wait, and see
//!                   ended    --what is owed?-- nothing => done
//!                                              a run <child>/undo takes it over --> wait --> undone => done
//! ```
//!
//! Both find again what an earlier attempt began: a start has the idempotency key of the step as its request id. An
//! attempt may wait for days. It takes no place in the pool of attempts, no start-to-close ends it (the child has its own
//! time limits), and its parent stays in memory meanwhile. An engine that stops does not wait for it, but holds it. A child
//! that is stuck is waited for: somebody has been told about the child.

mod asking;
mod kin;
mod watching;

use std::sync::{Arc, Weak};

use serde::de::IgnoredAny;
use tokio::sync::oneshot;

use crate::definition::{ChildSaga, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};
use crate::machine::{PendingActivity, RunState, StepState};
use crate::model::{
    ActivityRole, ActivityType, AttemptOutcome, EventId, Failure, IdError, Input, Memo, Outcome, ParentRun, Payload,
    RequestId, RunId, SearchAttributes, StartRun, TaskQueue, Undo, WATCH_ACTIVITY, WorkflowId, WorkflowType,
};
use crate::sdk::{ActivityInfo, CancelFlag};

use super::error::RequestError;
use super::gateway::Gateway;
use super::messages::Watched;
use super::offspring::{self, Offspring};
use super::recovery::load_state;
use super::shared::Shared;

/// What follows the id of a child in the id of the run that undoes it.
const UNDO: &str = "/undo";

/// What is to be done with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Run,
    Undo,
    /// Only wait for its end.
    Watch,
}

impl Errand {
    /// The errand of this activity, if it is one.
    pub(super) fn of(activity_type: &ActivityType) -> Option<Self> {
        match activity_type.as_str() {
            SAGA_ACTIVITY => Some(Errand::Run),
            SAGA_UNDO_ACTIVITY => Some(Errand::Undo),
            WATCH_ACTIVITY => Some(Errand::Watch),
            _ => None,
        }
    }
}

/// One attempt to run or undo a child.
pub(super) struct ChildOrder {
    errand: Errand,
    info: ActivityInfo,
    input: Payload,
    /// The run whose step the child is. Not always the one that asks: a run that undoes another one speaks for it, and what
    /// a reset has copied another one has begun.
    parent: ParentRun,
    /// The event of that run that scheduled the step.
    scheduled: EventId,
    /// The step, or the activity if it is none.
    step: String,
    /// The queue that the step names for the child.
    task_queue: Option<TaskQueue>,
    /// That of the run that asks, for a child that names none.
    own_queue: Option<TaskQueue>,
    /// The step that is undone has completed: there was a child, whatever there is now.
    had_child: bool,
}

/// The order for an activity of a run.
pub(super) fn order(errand: Errand, run: &RunState, activity: &PendingActivity, info: ActivityInfo) -> ChildOrder {
    let (step_event, undone) = match activity.attributes.role {
        ActivityRole::Compensation(of) => (of, run.step_by_event(of)),
        _ => (activity.scheduled, None),
    };
    let own = match &activity.attributes.role {
        ActivityRole::Step(step) => Some(step.name.clone()),
        _ => undone.map(|step| step.name.clone()),
    };
    let step = own.map_or_else(|| info.activity_id.to_string(), |name| name.to_string());
    let (workflow_id, run_id, scheduled) = match run.adopted_from() {
        Some(run_id) => (undone_by(&info.workflow_id), run_id, run.adopted_event(step_event)),
        // Of a step that a reset run has copied, the child is that of the run that it was copied from.
        None => {
            let writer = run.writer_of(step_event).unwrap_or(info.run_id);
            (info.workflow_id.clone(), writer, step_event)
        }
    };
    ChildOrder {
        errand,
        input: activity.attributes.input.clone(),
        parent: ParentRun {
            workflow_id,
            run_id,
            initiated: None,
        },
        scheduled,
        step,
        task_queue: activity.attributes.options.task_queue.clone(),
        own_queue: run.started().and_then(|started| started.task_queue.clone()),
        had_child: undone.is_some_and(|step| matches!(step.state, StepState::Completed { .. })),
        info,
    }
}

/// The id of the run that undoes this child as a unit.
///
/// # Errors
/// When the child's own is too long for that.
pub(super) fn undo_id(child: &WorkflowId) -> Result<WorkflowId, IdError> {
    Ok(WorkflowId::new(format!("{child}{UNDO}"))?.beside(child))
}

/// Whose steps a run with this id undoes.
fn undone_by(undo: &WorkflowId) -> WorkflowId {
    let id = undo.as_str();
    WorkflowId::from_trusted(id.strip_suffix(UNDO).unwrap_or(id)).beside(undo)
}

/// Why an attempt ends without the child having ended.
enum Over {
    /// The engine stops; the next one goes on.
    Stopping,
    /// The child's data is damaged.
    Broken(Failure),
    /// The run is not in the store any more.
    Gone,
}

/// Does what is ordered, however long that takes; `None` when the engine stopped before.
pub(super) async fn attend(shared: &Arc<Shared>, order: ChildOrder, cancel: CancelFlag) -> Option<AttemptOutcome> {
    let gateway = shared.gateway.get().and_then(Weak::upgrade)?;
    let attendant = Attendant {
        gateway,
        shared: Arc::clone(shared),
        order,
    };
    let attended = async {
        match attendant.order.errand {
            Errand::Run => attendant.run(&cancel).await,
            Errand::Undo => attendant.undo().await,
            Errand::Watch => attendant.watch(&cancel).await,
        }
    };
    tokio::select! {
        biased;
        outcome = attended => match outcome {
            Ok(outcome) => Some(outcome),
            Err(Over::Broken(failure)) => Some(Err(failure)),
            Err(Over::Gone) => {
                let message = "the child is not in the store any more, and nobody knows what became of it";
                Some(Err(Failure::non_retryable("ChildBroken", message)))
            }
            Err(Over::Stopping) => None,
        },
        () = shared.draining().raised() => None,
    }
}

struct Attendant {
    gateway: Arc<Gateway>,
    shared: Arc<Shared>,
    order: ChildOrder,
}

impl Attendant {
    /// Starts (or finds) the child and waits for its end. Asked to stop, it asks the child to, and goes on waiting.
    async fn run(&self, cancel: &CancelFlag) -> Result<AttemptOutcome, Over> {
        let child: ChildSaga = match self.order.input.to() {
            Ok(child) => child,
            Err(error) => return Ok(Err(bad_input(&error.to_string()))),
        };
        let id = match self.child_id(&child) {
            Ok(id) => id,
            Err(failure) => return Ok(Err(failure)),
        };
        let (run_id, watch) = match self.find_or_start(&id, &child).await? {
            Ok(begun) => begun,
            Err(failure) => return Ok(Err(failure)),
        };
        let ended = {
            let mut ended = std::pin::pin!(self.end_of(&id, run_id, watch));
            tokio::select! {
                biased;
                ended = &mut ended => ended,
                () = cancel.raised() => {
                    self.cancel(&id, run_id).await?;
                    ended.await
                }
            }
        };
        ended.map(|(last, outcome)| self.meaning(&id, last, outcome))
    }

    /// The child that an earlier attempt started, or a new one. What an engine with other definitions thinks of a start
    /// means nothing to a child that exists.
    async fn find_or_start(
        &self,
        id: &WorkflowId,
        child: &ChildSaga,
    ) -> Result<Result<(RunId, Option<oneshot::Receiver<Watched>>), Failure>, Over> {
        if let Some((run_id, _)) = self.load_own(id).await? {
            return Ok(Ok((run_id, None)));
        }
        let start = match self.start_of(child) {
            Ok(start) => start,
            Err(failure) => return Ok(Err(failure)),
        };
        Ok(match self.begin_own(start).await? {
            Ok((run_id, watch)) => Ok((run_id, Some(watch))),
            Err(error) => {
                let message = format!("the child {id:?} cannot be started: {error}");
                Err(Failure::not_applied("ChildNotStarted", message))
            }
        })
    }

    /// What the end of a child means for the step that it is.
    fn meaning(&self, id: &WorkflowId, run_id: RunId, outcome: Outcome) -> AttemptOutcome {
        let name = |what: &str| format!("the child {id:?} {what}");
        let (failure, undone) = match outcome {
            Outcome::Completed(result) => return Ok(result),
            Outcome::Terminated { reason } => {
                let message = name(&format!("was terminated, nothing of it was undone: {reason}"));
                return Err(Failure::non_retryable("ChildTerminated", message));
            }
            Outcome::Amended(failure) => (failure, true),
            Outcome::Failed(failure) | Outcome::Canceled(failure) => (failure, !self.leaves_something(run_id)),
            Outcome::ContinuedAsNew { .. } => {
                // Never the last of its chain.
                return Err(Failure::non_retryable(
                    "ChildFailed",
                    name("continued, and nobody knows as what"),
                ));
            }
            Outcome::TimedOut => {
                let failure = Failure::timeout(crate::model::TimeoutKind::ScheduleToClose);
                (failure, !self.leaves_something(run_id))
            }
        };
        let failed = match undone {
            true => Failure::not_applied("ChildAmended", name("failed, and nothing of it is left")),
            false => Failure::non_retryable(
                "ChildFailed",
                name("failed, and somebody decided to leave a part of it"),
            ),
        };
        Err(failed.caused_by(failure))
    }

    /// Whether a person decided that not everything is undone.
    fn leaves_something(&self, run_id: RunId) -> bool {
        let codecs = &self.shared.codecs;
        let state = self
            .gateway
            .store()
            .and_then(|store| Ok(load_state(codecs, &*store, run_id)?));
        // What cannot be read may well be left.
        state.map_or(true, |state| state.leaves_something())
    }

    /// Undoes whatever the step's child has left.
    async fn undo(&self) -> Result<AttemptOutcome, Over> {
        let undo = self.order.input.to::<Undo<ChildSaga, IgnoredAny>>();
        let child = match undo.map(|undo| undo.input).or_else(|_| self.order.input.to()) {
            Ok(child) => child,
            Err(error) => return Ok(Err(bad_input(&error.to_string()))),
        };
        let id = match self.child_id(&child) {
            Ok(id) => id,
            Err(failure) => return Ok(Err(failure)),
        };
        // Comes to the child's shard behind a start that may still be on its way there.
        let there = self.ask(|| self.gateway.deliver(id.clone(), None, Input::Wake)).await?;
        if matches!(there, Err(RequestError::NotFound(_))) {
            return Ok(self.without_child(&id));
        }
        // Without one, nobody's runs, or somebody else's, have the id.
        let Some((run_id, mut state)) = self.load_undone(&id).await? else {
            return Ok(self.without_child(&id));
        };
        if !state.is_closed() {
            self.cancel(&id, run_id).await?;
            let (last, _) = self.end_of(&id, run_id, None).await?;
            match self.load_run(last).await? {
                Some(ended) => state = ended,
                None => return Ok(self.without_child(&id)),
            }
        }
        match self.undo_run(&id, &state) {
            Ok(Some(start)) => self.undo_by(start).await,
            Ok(None) if state.leaves_something() => {
                let message = format!("a part of the child {id:?} cannot be undone, or somebody decided to leave it");
                Ok(Err(Failure::non_retryable("ChildNotUndone", message)))
            }
            Ok(None) => Ok(Ok(Payload::null())),
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn undo_by(&self, start: StartRun) -> Result<AttemptOutcome, Over> {
        let id = start.workflow_id.clone();
        let (run_id, watch) = match self.begin_own(start).await? {
            Ok(begun) => begun,
            Err(error) => {
                let message = format!("the run {id:?}, which is to undo the child, cannot be started: {error}");
                return Ok(Err(Failure::non_retryable("ChildNotUndone", message)));
            }
        };
        Ok(match self.end_of(&id, run_id, Some(watch)).await?.1 {
            Outcome::Amended(_) => Ok(Payload::null()),
            other => {
                let message = format!(
                    "the run {id:?}, which was to undo the child, ended as {}",
                    other.status()
                );
                Err(Failure::non_retryable("ChildNotUndone", message))
            }
        })
    }

    fn start_of(&self, child: &ChildSaga) -> Result<StartRun, Failure> {
        let workflow_id = self.child_id(child)?;
        let workflow_type = WorkflowType::new(&child.workflow).map_err(|error| bad_input(&error.to_string()))?;
        if !offspring::is_known(&self.shared, &workflow_type) {
            // A deployment that forgot a workflow must not make sagas turn back: tried again until it is there.
            let message = format!("no saga or workflow {workflow_type:?} is registered with this engine");
            return Err(Failure::new("UnknownWorkflow", message).without_effect());
        }
        let child = Offspring {
            workflow_id,
            workflow_type,
            input: Payload::json(&child.input)?,
            request_id: self.request_id(),
            identity: env!("CARGO_PKG_NAME").to_owned(),
            parent: self.order.parent.clone(),
            run_timeout: None,
            chain: None,
            search_attributes: SearchAttributes::new(),
            memo: Memo::new(),
            task_queue: self.order.task_queue.clone(),
            parents_queue: self.order.own_queue.clone(),
        };
        child.start(&self.shared).map_err(|error| bad_input(&error))
    }

    /// The run that undoes what an ended child has left; `None` when it has left nothing.
    fn undo_run(&self, id: &WorkflowId, child: &RunState) -> Result<Option<StartRun>, Failure> {
        let (Some(started), Some(adopted)) = (child.started(), child.adoptable()) else {
            return Ok(None);
        };
        let workflow_id = undo_id(id).map_err(|error| Failure::non_retryable("ChildNotUndone", error.to_string()))?;
        let start = StartRun::new(workflow_id, started.workflow_type.clone(), started.input.clone());
        Ok(Some(StartRun {
            definition: started.definition,
            request_id: Some(self.request_id()),
            identity: env!("CARGO_PKG_NAME").to_owned(),
            saga: started.saga.clone(),
            task_queue: started.task_queue.clone(),
            parent: Some(self.order.parent.clone()),
            search_attributes: child.given_search_attributes(),
            memo: child.memo().clone(),
            adopted: Some(Box::new(adopted)),
            ..start
        }))
    }

    fn child_id(&self, child: &ChildSaga) -> Result<WorkflowId, Failure> {
        let made_up = || format!("{}/{}", self.order.parent.workflow_id, self.order.step);
        let id = child.id.clone().unwrap_or_else(made_up);
        let own = WorkflowId::new(&id).map(|own| own.beside(&self.order.parent.workflow_id));
        own.map_err(|error| {
            let message = format!("the child cannot have the id {id:?}: {error}; give it one with `id`");
            Failure::not_applied("ChildInput", message)
        })
    }

    /// Equal for all attempts, so that a later one finds what an earlier one has begun.
    fn request_id(&self) -> RequestId {
        RequestId::from_trusted(self.order.info.idempotency_key.as_str())
    }
}

fn bad_input(error: &str) -> Failure {
    let message = format!("the input must be {{\"workflow\": \"name\", \"id\": \"optional\", \"input\": ..}}: {error}");
    Failure::not_applied("ChildInput", message)
}
