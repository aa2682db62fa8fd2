//! The workflow that keeps a schedule: it sleeps until the next time, starts runs, hears of the ends of those that others wait for,
//! and continues as a new run when its history has become long. Must not live here: what is started when (`schedule`).

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{ChildSaga, Failure, Payload, SAGA_ACTIVITY, Timestamp, limits};
use crate::schedule::{Ended, OverlapPolicy, Schedule, ScheduleState, SpecError, Step};
use crate::sdk::{
    Activity, ActivityContext, ActivityDefinition, RegistryError, Workflow, WorkflowContext, WorkflowDefinition,
    WorkflowState,
};

use super::super::{Amends, Error, Inner};
use super::{SCHEDULE_WORKFLOW, ScheduleAction, ScheduleDescription};

/// The activity that starts a run, and does not wait for it.
const START_ACTIVITY: &str = "amends.schedule.start";

/// The activity that terminates a run.
const TERMINATE_ACTIVITY: &str = "amends.schedule.terminate";

/// Why a run is cancelled or terminated.
const NEXT_IS_DUE: &str = "the schedule's next run is due";

/// How many of the next times are shown.
const UPCOMING: usize = 10;

/// Times that are long past are dealt with in several turns, so that others have theirs.
const BREATH: Duration = Duration::from_millis(1);

/// What one run hands to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    state: ScheduleState,
    action: ScheduleAction,
    problem: Option<String>,
}

impl Memory {
    pub(super) fn new(state: ScheduleState, action: ScheduleAction) -> Self {
        Self {
            state,
            action,
            problem: None,
        }
    }
}

/// The memory, and what has come up.
struct Desk {
    memory: Memory,
    todo: VecDeque<Step>,
    /// Somebody has changed something: when it is to be woken may be another time.
    touched: bool,
    deleted: bool,
}

impl Desk {
    fn add(&mut self, steps: Result<Vec<Step>, SpecError>) -> Result<(), Failure> {
        self.touched = true;
        self.todo.extend(steps.map_err(wrong_times)?);
        Ok(())
    }
}

/// What a wait ended with.
enum Woken {
    Touched(Result<(), Failure>),
    Time(Result<(), Failure>),
    Ended(Result<(), Failure>),
}

/// A run that others wait for: its workflow id, and its end.
struct Watched {
    workflow_id: String,
    end: LocalBoxFuture<'static, Result<(), Failure>>,
}

struct Keeper;

impl Workflow for Keeper {
    fn start(&self, cx: WorkflowContext, input: Payload) -> LocalBoxFuture<'static, Result<Payload, Failure>> {
        async move {
            keep(cx, input.to()?).await?;
            Ok(Payload::null())
        }
        .boxed_local()
    }
}

async fn keep(cx: WorkflowContext, memory: Memory) -> Result<(), Failure> {
    let desk = cx.state(Desk {
        memory,
        todo: VecDeque::new(),
        touched: false,
        deleted: false,
    });
    take_requests(&cx, &desk)?;
    let mut watched: Option<Watched> = None;
    loop {
        let now = cx.now();
        desk.change(|desk| {
            let steps = desk.memory.state.advance(now);
            desk.add(steps)
        })?;
        while let Some(step) = desk.change(|desk| desk.todo.pop_front()) {
            carry_out(&cx, &desk, step, &mut watched).await?;
        }
        if desk.read(|desk| desk.deleted) {
            return Ok(());
        }
        // Not while a run is watched: the next run would not hear of its end.
        if watched.is_none() && cx.info().continue_as_new_suggested {
            let memory = desk.read(|desk| desk.memory.clone());
            return cx.continue_as_new_by_name(SCHEDULE_WORKFLOW, &memory).await;
        }
        desk.change(|desk| desk.touched = false);
        match wait(&cx, &desk, watched.as_mut()).await {
            Woken::Touched(woken) | Woken::Time(woken) => woken?,
            Woken::Ended(result) => {
                if let Some(ended) = watched.take() {
                    note_end(&cx, &desk, &ended.workflow_id, &result)?;
                }
            }
        }
    }
}

/// Until somebody asks for something, the next time has come, or the run that others wait for has ended.
async fn wait(cx: &WorkflowContext, desk: &WorkflowState<Desk>, watched: Option<&mut Watched>) -> Woken {
    let wake = desk.read(|desk| desk.memory.state.wake());
    let touched = desk.wait_until(|desk| desk.touched || desk.deleted);
    let touched: LocalBoxFuture<'_, Woken> = touched.map(Woken::Touched).boxed_local();
    let time: LocalBoxFuture<'_, Woken> = match wake {
        Some(wake) => cx
            .sleep(wake.since(cx.now()).max(BREATH))
            .map(Woken::Time)
            .boxed_local(),
        None => pending().boxed_local(),
    };
    let ended: LocalBoxFuture<'_, Woken> = match watched {
        Some(watched) => watched.end.as_mut().map(Woken::Ended).boxed_local(),
        None => pending().boxed_local(),
    };
    cx.race_all([touched, ended, time]).await.1
}

async fn carry_out(
    cx: &WorkflowContext,
    desk: &WorkflowState<Desk>,
    step: Step,
    watched: &mut Option<Watched>,
) -> Result<(), Failure> {
    match step {
        Step::Start { due, watched: watch } => {
            let ScheduleAction {
                workflow_type, input, ..
            } = desk.read(|desk| desk.memory.action.clone());
            let workflow_id = due.workflow_id;
            let run = ChildSaga {
                workflow: workflow_type,
                id: Some(workflow_id.clone()),
                input,
            };
            if watch {
                let end = cx.activity_by_name::<Payload>(SAGA_ACTIVITY, &run);
                let end = end.start_to_close(limits::CHILD_START_TO_CLOSE);
                let end = end.map(|result| result.map(drop)).boxed_local();
                *watched = Some(Watched { workflow_id, end });
            } else if let Err(failure) = cx.activity_by_name::<()>(START_ACTIVITY, &run).await {
                stop_if_canceled(cx, &failure)?;
                desk.change(|desk| desk.memory.problem = Some(failure.to_string()));
            }
        }
        // What cannot be cancelled or terminated any more has ended, and is heard of.
        Step::Cancel(id) => {
            let _ = cx.external(&id).cancel(NEXT_IS_DUE).await;
        }
        Step::Terminate(id) => {
            let _ = cx.activity_by_name::<()>(TERMINATE_ACTIVITY, &id).await;
        }
    }
    Ok(())
}

fn note_end(
    cx: &WorkflowContext,
    desk: &WorkflowState<Desk>,
    workflow_id: &str,
    result: &Result<(), Failure>,
) -> Result<(), Failure> {
    let how = match result {
        Ok(()) => Ended::Well,
        Err(failure) => {
            stop_if_canceled(cx, failure)?;
            if failure.is_type("ChildNotStarted") {
                desk.change(|desk| desk.memory.problem = Some(failure.to_string()));
            }
            match failure.is_canceled() || failure.is_type("ChildTerminated") {
                true => Ended::Well,
                false => Ended::Failed,
            }
        }
    };
    let now = cx.now();
    desk.change(|desk| {
        let steps = desk.memory.state.ended(workflow_id, how, now);
        desk.add(steps)
    })
}

/// Somebody has cancelled the schedule itself.
fn stop_if_canceled(cx: &WorkflowContext, failure: &Failure) -> Result<(), Failure> {
    match cx.is_cancel_requested() {
        true => Err(failure.clone()),
        false => Ok(()),
    }
}

/// The requests of `Schedules`.
fn take_requests(cx: &WorkflowContext, desk: &WorkflowState<Desk>) -> Result<(), Failure> {
    let now = || {
        let cx = cx.clone();
        move || cx.now()
    };
    desk.on_update("pause", |desk: &mut Desk, note: String| {
        desk.memory.state.pause(note);
        desk.add(Ok(Vec::new()))
    })?;
    let at = now();
    desk.on_update("unpause", move |desk: &mut Desk, note: String| {
        desk.memory.state.unpause(note, at());
        desk.add(Ok(Vec::new()))
    })?;
    let at = now();
    desk.on_update("trigger", move |desk: &mut Desk, overlap: Option<OverlapPolicy>| {
        let steps = desk.memory.state.trigger(overlap, at());
        desk.add(Ok(steps))
    })?;
    let at = now();
    desk.on_update(
        "backfill",
        move |desk: &mut Desk, (from, to, overlap): (i64, i64, Option<OverlapPolicy>)| {
            let range = (Timestamp::from_micros(from), Timestamp::from_micros(to));
            let steps = desk.memory.state.backfill(range, overlap, at()).map_err(wrong_times)?;
            let too_many = || {
                Failure::non_retryable(
                    "TooManyTimes",
                    "a backfill has at most 1,000 times: ask for fewer at once",
                )
            };
            desk.add(Ok(steps.ok_or_else(too_many)?))
        },
    )?;
    let at = now();
    desk.on_update(
        "update",
        move |desk: &mut Desk, (action, schedule): (Option<ScheduleAction>, Schedule)| {
            let memory = &mut desk.memory;
            memory.state.update(schedule, at()).map_err(wrong_times)?;
            memory.action = action.unwrap_or_else(|| memory.action.clone());
            desk.add(Ok(Vec::new()))
        },
    )?;
    desk.on_update("delete", |desk: &mut Desk, (): ()| {
        desk.deleted = true;
        Ok::<(), Failure>(())
    })?;
    desk.on_query("describe", |desk: &Desk, now: i64| {
        let memory = &desk.memory;
        let upcoming = memory.state.upcoming(Timestamp::from_micros(now), UPCOMING);
        ScheduleDescription {
            state: memory.state.clone(),
            action: memory.action.clone(),
            problem: memory.problem.clone(),
            upcoming: upcoming.into_iter().map(Timestamp::as_micros).collect(),
        }
    })
}

fn wrong_times(error: SpecError) -> Failure {
    Failure::non_retryable("WrongTimes", error.to_string())
}

/// The engine that the activities belong to, once it runs.
#[derive(Clone, Default)]
pub(in crate::engine) struct Link(Arc<OnceLock<Weak<Inner>>>);

impl Link {
    pub(in crate::engine) fn connect(&self, inner: &Arc<Inner>) {
        let _ = self.0.set(Arc::downgrade(inner));
    }
}

impl Link {
    fn engine(&self) -> Result<Amends, Failure> {
        let inner = self.0.get().and_then(Weak::upgrade);
        let inner = inner.ok_or_else(|| Failure::new("EngineGone", "the engine is starting or stopping"))?;
        Ok(Amends { inner })
    }
}

/// Starts a run, once: a second attempt finds what the first one started.
struct Start(Link);

#[async_trait]
impl Activity for Start {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let run: ChildSaga<Value> = input.to()?;
        let starter = self.0.engine()?.workflow_by_name(&run.workflow);
        let starter = starter.request_id(cx.info().idempotency_key.clone());
        match starter.id(run.id.unwrap_or_default()).start(&run.input).await {
            Ok(_) => Ok(Payload::null()),
            Err(error @ (Error::Overloaded | Error::ShuttingDown | Error::Interrupted | Error::Store(_))) => {
                Err(Failure::new("NotStarted", error.to_string()))
            }
            Err(error) => Err(Failure::non_retryable("NotStarted", error.to_string())),
        }
    }
}

struct Terminate(Link);

#[async_trait]
impl Activity for Terminate {
    async fn execute(&self, _: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let id: String = input.to()?;
        match self.0.engine()?.client().terminate(&id, NEXT_IS_DUE).await {
            Ok(()) | Err(Error::NotFound(_) | Error::Rejected(_)) => Ok(Payload::null()),
            Err(error) => Err(Failure::new("NotTerminated", error.to_string())),
        }
    }
}

/// What every engine has registered.
pub(in crate::engine) fn definitions(
    link: &Link,
) -> Result<(WorkflowDefinition, [ActivityDefinition; 2]), RegistryError> {
    let keeper = WorkflowDefinition::new(SCHEDULE_WORKFLOW, Keeper)?;
    let start = ActivityDefinition::new(START_ACTIVITY, Start(link.clone()))?;
    let terminate = ActivityDefinition::new(TERMINATE_ACTIVITY, Terminate(link.clone()))?;
    Ok((keeper, [start, terminate]))
}
