//! The workflow that keeps a schedule: it sleeps until the next time, starts runs, hears of the ends of those that others wait for,
//! and continues as a new run when its history has become long. Must not live here: what is started when (`schedule`), or what it
//! does through the engine (`errands`).
//!
//! Its code is in the journals of those who have schedules: what it decides is changed only behind `patched`.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture};
use serde::{Deserialize, Serialize};

use crate::model::{Failure, Payload, RunStatus, Timestamp, WATCH_ACTIVITY, WatchedRun, limits};
use crate::schedule::{Ended, OverlapPolicy, Schedule, ScheduleState, SpecError, Step};
use crate::sdk::{Workflow, WorkflowContext, WorkflowState};

use super::errands::{NEXT_IS_DUE, Order, START_ACTIVITY, TERMINATE_ACTIVITY};
use super::{SCHEDULE_WORKFLOW, ScheduleAction, ScheduleDescription};

/// How many of the next times are shown.
const UPCOMING: usize = 10;

/// Times that are long past are dealt with in several turns, so that others have theirs.
const BREATH: Duration = Duration::from_millis(1);

/// What one run hands to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    state: ScheduleState,
    action: ScheduleAction,
    /// What is to be done now.
    todo: VecDeque<Step>,
    problem: Option<String>,
    /// The run that others wait for, as it was started.
    watched: Option<WatchedRun>,
}

impl Memory {
    pub(super) fn new(state: ScheduleState, action: ScheduleAction) -> Self {
        Self {
            state,
            action,
            todo: VecDeque::new(),
            problem: None,
            watched: None,
        }
    }
}

/// The memory, and what has come up.
struct Desk {
    memory: Memory,
    /// Somebody has changed something: when it is to be woken may be another time.
    touched: bool,
    deleted: bool,
}

impl Desk {
    fn add(&mut self, steps: Result<Vec<Step>, SpecError>, now: Timestamp) -> Result<(), Failure> {
        self.touched = true;
        self.memory.todo.extend(steps.map_err(|error| wrong_times(&error))?);
        match self.memory.state.schedule().paused {
            true => self.keep_paused(now),
            false => Ok(()),
        }
    }

    /// What the times have asked for, and nobody has begun yet, is not started any more. What people asked for is.
    fn keep_paused(&mut self, now: Timestamp) -> Result<(), Failure> {
        let by_times = |step: &Step| matches!(step, Step::Start { due, .. } if due.by_times);
        let todo = std::mem::take(&mut self.memory.todo).into_iter();
        let (left_out, kept): (VecDeque<Step>, _) = todo.partition(by_times);
        self.memory.todo = kept;
        for step in left_out {
            if let Step::Start { due, watched } = step {
                let next = self.memory.state.leave_out(&due, watched, now);
                self.memory.todo.extend(next.map_err(|error| wrong_times(&error))?);
            }
        }
        Ok(())
    }

    /// Another schedule from now on. One that is paused leaves out what its predecessor has asked for, before limits are new ones.
    fn update(&mut self, action: Option<ScheduleAction>, schedule: Schedule, now: Timestamp) -> Result<(), Failure> {
        schedule.spec.times().map_err(|error| wrong_times(&error))?;
        if schedule.paused {
            self.memory.state.pause("");
            self.keep_paused(now)?;
        }
        let name = action.as_ref().map(|action| action.workflow_id.clone());
        let updated = self.memory.state.update(name, schedule, now);
        updated.map_err(|error| wrong_times(&error))?;
        if let Some(action) = action {
            self.memory.action = action;
        }
        self.add(Ok(Vec::new()), now)
    }

    /// The next thing to do, for a schedule that somebody has not deleted in the meantime.
    fn next_step(&mut self) -> Option<Step> {
        match self.deleted {
            true => None,
            false => self.memory.todo.pop_front(),
        }
    }

    /// What a person asks for is done when there is room for it. Not yet done, it changes nothing.
    fn ask(
        &mut self,
        now: Timestamp,
        asked: impl FnOnce(&mut ScheduleState) -> Result<Vec<Step>, Failure>,
    ) -> Result<(), Failure> {
        let mut state = self.memory.state.clone();
        let steps = asked(&mut state)?;
        if !self.memory.todo.is_empty() && self.memory.todo.len() + steps.len() > limits::SCHEDULE_BACKFILL_MAX {
            let message = "a thousand runs of this schedule wait to be started: ask again when they were";
            return Err(Failure::non_retryable("TooManyTimes", message));
        }
        self.memory.state = state;
        self.add(Ok(steps), now)
    }
}

/// What a wait ended with.
enum Woken {
    Touched(Result<(), Failure>),
    Time(Result<(), Failure>),
    Ended(Result<String, Failure>),
}

/// The end of the run that others wait for: its status.
type End = LocalBoxFuture<'static, Result<String, Failure>>;

pub(super) struct Keeper;

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
        touched: false,
        deleted: false,
    });
    take_requests(&cx, &desk)?;
    let mut end: Option<End> = None;
    loop {
        let now = cx.now();
        desk.change(|desk| {
            // What an earlier run has left to do comes first: there would be more of it with each run.
            if !desk.memory.todo.is_empty() {
                return Ok(());
            }
            let steps = desk.memory.state.advance(now);
            desk.add(steps, now)
        })?;
        // A thousand starts are more than a history has room for.
        while !cx.info().continue_as_new_suggested
            && let Some(step) = desk.change(Desk::next_step)
        {
            // A start may be tried again for ever: a schedule that is deleted in the meantime does not wait for it.
            let deleted = desk.wait_until(|desk| desk.deleted);
            match cx.race(carry_out(&cx, &desk, step), deleted).await {
                Either::Left(done) | Either::Right(done) => done?,
            }
        }
        if desk.read(|desk| desk.deleted) {
            return Ok(());
        }
        if cx.info().continue_as_new_suggested {
            // The next run watches the same run: what ended in between is heard of then.
            let memory = desk.read(|desk| desk.memory.clone());
            return cx.continue_as_new_by_name(SCHEDULE_WORKFLOW, &memory).await;
        }
        // Starting runs has taken time, in which the next time may have come.
        let passed = cx.now() > now;
        let is_due = |desk: &Desk| desk.memory.state.wake().is_some_and(|wake| wake <= cx.now());
        if passed && desk.read(is_due) {
            continue;
        }
        if end.is_none() {
            let watched = desk.read(|desk| desk.memory.watched.clone());
            end = watched.map(|run| watch(&cx, &run));
        }
        desk.change(|desk| desk.touched = false);
        match wait(&cx, &desk, end.as_mut()).await {
            Woken::Touched(woken) | Woken::Time(woken) => woken?,
            Woken::Ended(status) => {
                end = None;
                note_end(&cx, &desk, &status)?;
            }
        }
    }
}

fn watch(cx: &WorkflowContext, run: &WatchedRun) -> End {
    let end = cx.activity_by_name::<String>(WATCH_ACTIVITY, run);
    end.start_to_close(limits::CHILD_START_TO_CLOSE).boxed_local()
}

/// Until somebody asks for something, the next time has come, or the run that others wait for has ended.
async fn wait(cx: &WorkflowContext, desk: &WorkflowState<Desk>, end: Option<&mut End>) -> Woken {
    let wake = desk.read(|desk| desk.memory.state.wake());
    let touched = desk.wait_until(|desk| desk.touched || desk.deleted);
    let touched: LocalBoxFuture<'_, Woken> = touched.map(Woken::Touched).boxed_local();
    let time: LocalBoxFuture<'_, Woken> = match wake {
        Some(wake) => {
            let sleep = cx.sleep(wake.since(cx.now()).max(BREATH));
            sleep.map(Woken::Time).boxed_local()
        }
        None => pending().boxed_local(),
    };
    let ended: LocalBoxFuture<'_, Woken> = match end {
        Some(end) => end.map(Woken::Ended).boxed_local(),
        None => pending().boxed_local(),
    };
    cx.race_all([touched, ended, time]).await.1
}

async fn carry_out(cx: &WorkflowContext, desk: &WorkflowState<Desk>, step: Step) -> Result<(), Failure> {
    match step {
        Step::Start { due, watched } => {
            let workflow_id = due.workflow_id;
            let order = desk.read(|desk| Order {
                action: desk.memory.action.clone(),
                workflow_id: workflow_id.clone(),
            });
            match cx.activity_by_name::<WatchedRun>(START_ACTIVITY, &order).await {
                Ok(run) => desk.change(|desk| {
                    desk.memory.problem = None;
                    desk.memory.watched = watched.then_some(run).or_else(|| desk.memory.watched.take());
                }),
                Err(failure) => {
                    stop_if_canceled(cx, &failure)?;
                    not_started(cx, desk, watched.then_some(workflow_id.as_str()), &failure)?;
                }
            }
        }
        // What cannot be cancelled or terminated any more has ended, and is heard of.
        Step::Cancel(id) => {
            if let Err(failure) = cx.external(&id).cancel(NEXT_IS_DUE).await {
                stop_if_canceled(cx, &failure)?;
            }
        }
        Step::Terminate(id) => {
            if let Err(failure) = cx.activity_by_name::<()>(TERMINATE_ACTIVITY, &id).await {
                stop_if_canceled(cx, &failure)?;
            }
        }
    }
    Ok(())
}

/// A run that cannot be started is told of, and not tried again: the next one may be.
fn not_started(
    cx: &WorkflowContext,
    desk: &WorkflowState<Desk>,
    watched: Option<&str>,
    failure: &Failure,
) -> Result<(), Failure> {
    let now = cx.now();
    desk.change(|desk| {
        desk.memory.problem = Some(failure.to_string());
        let Some(workflow_id) = watched else {
            return Ok(());
        };
        let steps = desk.memory.state.ended(workflow_id, Ended::Well, now);
        desk.add(steps, now)
    })
}

fn note_end(cx: &WorkflowContext, desk: &WorkflowState<Desk>, status: &Result<String, Failure>) -> Result<(), Failure> {
    let failed = [RunStatus::Failed, RunStatus::Amended, RunStatus::TimedOut];
    let how = match status {
        Ok(status) if failed.iter().any(|failed| failed.as_str() == status) => Ended::Failed,
        Ok(_) => Ended::Well,
        Err(failure) => {
            stop_if_canceled(cx, failure)?;
            desk.change(|desk| desk.memory.problem = Some(failure.to_string()));
            Ended::Failed
        }
    };
    let now = cx.now();
    desk.change(|desk| {
        let Some(run) = desk.memory.watched.take() else {
            return Ok(());
        };
        let steps = desk.memory.state.ended(&run.workflow_id, how, now);
        desk.add(steps, now)
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
    let at = now();
    desk.on_update("pause", move |desk: &mut Desk, note: String| {
        desk.memory.state.pause(note);
        desk.add(Ok(Vec::new()), at())
    })?;
    let at = now();
    desk.on_update("unpause", move |desk: &mut Desk, note: String| {
        desk.memory.state.unpause(note, at());
        desk.add(Ok(Vec::new()), at())
    })?;
    let at = now();
    desk.on_update("trigger", move |desk: &mut Desk, overlap: Option<OverlapPolicy>| {
        desk.ask(at(), |state| Ok(state.trigger(overlap, at())))
    })?;
    let at = now();
    desk.on_update(
        "backfill",
        move |desk: &mut Desk, (from, to, overlap): (i64, i64, Option<OverlapPolicy>)| {
            let range = (Timestamp::from_micros(from), Timestamp::from_micros(to));
            let too_many = || {
                Failure::non_retryable(
                    "TooManyTimes",
                    "a backfill has at most 1,000 times: ask for fewer at once",
                )
            };
            desk.ask(at(), |state| {
                let steps = state.backfill(range, overlap, at());
                steps.map_err(|error| wrong_times(&error))?.ok_or_else(too_many)
            })
        },
    )?;
    let at = now();
    desk.on_update(
        "update",
        move |desk: &mut Desk, (action, schedule): (Option<ScheduleAction>, Schedule)| {
            desk.update(action, schedule, at())
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

fn wrong_times(error: &SpecError) -> Failure {
    Failure::non_retryable("WrongTimes", error.to_string())
}
