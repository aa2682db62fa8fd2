//! The decider for workflows written as code. Lives here: one turn of the code, live and on replay alike. Must not live
//! here: comparing one command with one event (`matching`).

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::LocalBoxFuture;

use crate::machine::{Decider, Task};
use crate::model::{
    Command, Event, EventAttributes, EventId, Failure, LocalActivity, ParkReason, Payload, RetryState, RunStarted,
    TURN_EVENT_IDS, Timestamp, limits,
};
use crate::sdk::{Core, RunIdentity, Workflow, WorkflowContext};

use super::matching::{self, ActivityIds, Expected};
use super::root_waker::{ForeignWakes, RootWaker};
use super::saga::SagaWatch;
use super::versions::{self, AskedMarkers};

type CodeFuture = LocalBoxFuture<'static, Result<Payload, Failure>>;

/// Decides by running workflow code. Not `Send`: it lives and dies on one thread, and is rebuilt elsewhere by
/// [`replay`](Self::replay).
///
/// Once it has returned an error it returns the same one for ever: what the code did in a turn that failed cannot be
/// taken back. Throw it away and rebuild it.
pub struct CodeDecider {
    workflow: Arc<dyn Workflow>,
    waker: Arc<RootWaker>,
    run: Option<Run>,
    /// The last event that was looked at.
    seen: Option<EventId>,
    /// The commands of the last turn whose events have not been seen yet.
    expected: VecDeque<Expected>,
    asked_markers: AskedMarkers,
    activity_ids: ActivityIds,
    saga: SagaWatch,
    /// The code has ended, or the machine took over: there is nothing to decide any more.
    over: bool,
    broken: Option<ParkReason>,
}

struct Run {
    core: Rc<RefCell<Core>>,
    future: Option<CodeFuture>,
    /// To start the code with, before its first poll.
    input: Option<Payload>,
}

impl CodeDecider {
    /// A decider for a run that has not been decided on yet.
    #[must_use]
    pub fn new(workflow: Arc<dyn Workflow>) -> Self {
        Self {
            workflow,
            waker: Arc::default(),
            run: None,
            seen: None,
            expected: VecDeque::new(),
            asked_markers: AskedMarkers::default(),
            activity_ids: ActivityIds::new(),
            saga: SagaWatch::default(),
            over: false,
            broken: None,
        }
    }

    /// Rebuilds the decider of a run from its history, checking that the code asks for what it asked for then. Events
    /// after the last `WorkflowTask` are left for the next [`decide`](Decider::decide), which is given them.
    ///
    /// # Errors
    /// Why the code cannot go on: most often [`ParkReason::Nondeterminism`].
    pub fn replay(workflow: Arc<dyn Workflow>, history: &[Event]) -> Result<Self, ParkReason> {
        let mut decider = Self::new(workflow);
        let mut turns = history.split_inclusive(is_task).peekable();
        while let Some(turn) = turns.next() {
            let Some((task, portion)) = turn.split_last().filter(|(last, _)| is_task(last)) else {
                break;
            };
            let led_to = turns.peek().copied().unwrap_or_default();
            decider.turn(portion, task.time, Some(led_to))?;
            decider.seen = Some(task.id);
        }
        Ok(decider)
    }

    /// What wakes the code and is not of amends: from its first time on the code cannot decide any more, and whoever
    /// watches can park the run at once.
    #[must_use]
    pub fn foreign_wakes(&self) -> ForeignWakes {
        ForeignWakes::of(&self.waker)
    }

    /// Checks the events that [`replay`](Self::replay) left, without running the code on them.
    pub(super) fn check_rest(&mut self, history: &[Event]) -> Result<(), ParkReason> {
        let _deciding = self.waker.enter();
        let rest = history
            .iter()
            .rposition(is_task)
            .map_or(history, |at| history.split_at(at).1);
        self.look_at(rest)
    }

    /// `led_to` is what a turn that was decided before led to; `None` for one that was not.
    fn turn(&mut self, events: &[Event], now: Timestamp, led_to: Option<&[Event]>) -> Result<Vec<Command>, ParkReason> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        let deciding = self.waker.enter();
        let decided = self.look_at(events).and_then(|()| self.run_code(now, led_to));
        drop(deciding);
        match &decided {
            Ok(commands) => {
                let recorded = commands.iter().filter(|command| command.leaves_an_event());
                self.expected = recorded.filter_map(Expected::of).collect();
                self.asked_markers = AskedMarkers::of(commands);
            }
            Err(reason) => self.broken = Some(reason.clone()),
        }
        decided
    }

    /// First half of a turn: what happened. Nothing of the user's runs here but wakers.
    fn look_at(&mut self, events: &[Event]) -> Result<(), ParkReason> {
        let mut arrived: Option<&Event> = None;
        let mut cancel_requested = false;
        for event in events {
            // What was looked at in an earlier turn is not news, should a machine show it again.
            if self.seen.is_some_and(|seen| event.id <= seen) {
                continue;
            }
            self.seen = Some(event.id);
            if self.over && self.expected.is_empty() && self.asked_markers.is_empty() {
                continue;
            }
            if self.is_of_a_command(event) {
                self.confirm(event, arrived)?;
            } else {
                arrived = arrived.or(Some(event));
                cancel_requested |= matches!(
                    event.attributes,
                    EventAttributes::WorkflowExecutionCancelRequested { .. }
                );
                self.arrive(event);
                self.end_local(event)?;
            }
            self.over |= matching::ends_the_codes_part(&event.attributes);
        }
        if let Some(missing) = self.expected.front().map(Expected::describe) {
            return Err(self.missing(missing, arrived));
        }
        if let Some(missing) = self.asked_markers.missing() {
            return Err(self.missing(format!("RecordMarker {missing}"), arrived));
        }
        if let (Some(run), true) = (&self.run, cancel_requested && !self.over) {
            run.core.borrow_mut().request_cancel();
        }
        self.wake();
        Ok(())
    }

    fn is_of_a_command(&mut self, event: &Event) -> bool {
        self.saga.look_at(event);
        match &event.attributes {
            EventAttributes::ActivityTaskCancelRequested { scheduled } => !self.saga.is_rolled_back(*scheduled),
            attributes => matching::is_of_a_command(attributes),
        }
    }

    /// An event that a command of the last turn led to.
    fn confirm(&mut self, event: &Event, arrived: Option<&Event>) -> Result<(), ParkReason> {
        if let EventAttributes::ActivityTaskScheduled(scheduled) = &event.attributes {
            self.activity_ids.insert(event.id, scheduled.activity_id.clone());
        }
        if let EventAttributes::VersionMarkerRecorded(marker) = &event.attributes
            && self.asked_markers.confirm(marker)
        {
            return Ok(());
        }
        let overruled = matching::overrules_the_code(&event.attributes);
        match self.expected.front() {
            Some(expected) if expected.fits(event, &self.activity_ids) => {
                self.expected.pop_front();
            }
            _ if overruled => {
                self.expected.clear();
                self.asked_markers.clear();
                self.over = true;
            }
            None if matching::may_be_the_machines_own(&event.attributes, arrived.is_some()) => {}
            expected => {
                return Err(ParkReason::Nondeterminism {
                    at: event.id.0,
                    expected: expected.map_or_else(|| "nothing more".to_owned(), Expected::describe),
                    recorded: matching::describe(event, &self.activity_ids),
                });
            }
        }
        if let (Some(run), EventAttributes::ActivityTaskScheduled(scheduled)) = (&self.run, &event.attributes) {
            run.core.borrow_mut().confirm_activity(&scheduled.activity_id, event.id);
        }
        Ok(())
    }

    fn missing(&self, missing: String, arrived: Option<&Event>) -> ParkReason {
        let recorded = match arrived {
            Some(event) => format!(
                "nothing more (next is {})",
                matching::describe(event, &self.activity_ids)
            ),
            None => "nothing more".to_owned(),
        };
        ParkReason::Nondeterminism {
            at: arrived.map_or_else(|| self.after_the_last(), |event| event.id).0,
            expected: missing,
            recorded,
        }
    }

    fn after_the_last(&self) -> EventId {
        self.seen.map_or(EventId::FIRST, |seen| seen.plus(1))
    }

    /// An event from outside.
    fn arrive(&mut self, event: &Event) {
        use EventAttributes as E;
        if let E::WorkflowExecutionStarted(started) = &event.attributes {
            self.run.get_or_insert_with(|| Run::new(started));
            return;
        }
        if let E::ActivityTaskScheduled(scheduled) = &event.attributes {
            self.activity_ids.insert(event.id, scheduled.activity_id.clone());
        }
        let Some(run) = &self.run else {
            return;
        };
        let mut core = run.core.borrow_mut();
        match &event.attributes {
            E::ActivityTaskCompleted { scheduled, result, .. } => core.complete_activity(*scheduled, result.clone()),
            E::ActivityTaskFailed {
                scheduled,
                failure,
                retry_state,
                ..
            }
            | E::ActivityTaskTimedOut {
                scheduled,
                failure,
                retry_state,
                ..
            } => core.fail_activity(*scheduled, failure.clone(), *retry_state),
            E::ActivityTaskCanceled { scheduled, .. } => {
                let failure = Failure::canceled("the activity was asked to stop");
                core.fail_activity(*scheduled, failure, RetryState::CancelRequested);
            }
            E::TimerFired { timer_id, .. } => core.fire_timer(timer_id),
            E::WorkflowExecutionSignaled(signal) => core.deliver_signal(&signal.name, signal.input.clone()),
            E::SagaRollbackCompleted { .. } => core.complete_rollback(),
            E::SagaLockAcquired { requested } => {
                if let Some(lock) = self.saga.take_lock(*requested) {
                    core.end_lock_request(&lock, Ok(()));
                }
            }
            E::SagaLockRefused { requested, failure } => {
                if let Some(lock) = self.saga.take_lock(*requested) {
                    core.end_lock_request(&lock, Err(failure.clone()));
                }
            }
            _ => {}
        }
    }

    /// Second half of a turn: what the code makes of it.
    fn run_code(&mut self, now: Timestamp, led_to: Option<&[Event]>) -> Result<Vec<Command>, ParkReason> {
        if self.over {
            return Ok(Vec::new());
        }
        if self.waker.was_woken_by_foreigner() {
            return Err(ParkReason::ForeignFuture);
        }
        let next = self.after_the_last().plus(TURN_EVENT_IDS);
        let run = self.run.as_mut().ok_or_else(no_beginning)?;
        run.begin_turn(now, led_to);
        let ended = run.poll_to_rest(&self.workflow, &self.waker);
        if let Some(refusal) = run.core.borrow_mut().take_refusal() {
            return Err(versions::park_reason(refusal, next));
        }
        let ended = ended?;
        let mut commands = run.core.borrow_mut().take_commands();
        if let Some(result) = ended {
            self.over = true;
            commands.push(run.closing_command(result));
            run.put_away()?;
        } else if !run.core.borrow().is_waiting() {
            return Err(ParkReason::ForeignFuture);
        }
        Ok(commands)
    }

    fn wake(&self) {
        let wakers = self.run.as_ref().map(|run| run.core.borrow_mut().take_wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Run {
    fn new(started: &RunStarted) -> Self {
        Self {
            core: Rc::new(RefCell::new(Core::new(RunIdentity::from(started)))),
            future: None,
            input: Some(started.input.clone()),
        }
    }

    fn begin_turn(&mut self, now: Timestamp, led_to: Option<&[Event]>) {
        let mut core = self.core.borrow_mut();
        core.set_now(now);
        match led_to {
            Some(led_to) => {
                core.go_over();
                versions::read_ahead(&mut core, led_to);
            }
            None => core.go_live(),
        }
    }

    /// Polls until the code neither ends nor wakes itself.
    fn poll_to_rest(
        &mut self,
        workflow: &Arc<dyn Workflow>,
        waker: &Arc<RootWaker>,
    ) -> Result<Option<Result<Payload, Failure>>, ParkReason> {
        if let Some(input) = self.input.take() {
            let cx = WorkflowContext::new(self.core.clone());
            self.future = Some(caught(|| workflow.start(cx, input))?);
        }
        let Some(future) = &mut self.future else {
            return Ok(None);
        };
        let task_waker = Waker::from(waker.clone());
        let mut cx = Context::from_waker(&task_waker);
        for _ in 0..limits::POLLS_PER_TURN_MAX {
            waker.take_woken();
            match caught(|| future.as_mut().poll(&mut cx))? {
                Poll::Ready(result) => return Ok(Some(result)),
                Poll::Pending if waker.take_woken() => {}
                Poll::Pending => return Ok(None),
            }
        }
        let polls = limits::POLLS_PER_TURN_MAX;
        Err(ParkReason::BadCommand {
            message: format!("the code wakes itself without end: after {polls} polls it had not come to rest"),
        })
    }

    fn closing_command(&self, result: Result<Payload, Failure>) -> Command {
        let result = result.and_then(|payload| {
            payload.checked().map_err(|error| {
                let message = format!("the workflow's result cannot be recorded: {error}");
                Failure::non_retryable("InvalidOutput", message)
            })
        });
        match result {
            Ok(result) => Command::CompleteWorkflow { result },
            Err(failure) if failure.is_canceled() && self.core.borrow().cancel_was_requested() => {
                Command::CancelWorkflow { failure }
            }
            Err(failure) => Command::FailWorkflow { failure },
        }
    }

    /// Drops the code; what it still holds means nothing any more.
    fn put_away(&mut self) -> Result<(), ParkReason> {
        self.core.borrow_mut().end();
        let future = self.future.take();
        caught(|| drop(future))
    }
}

impl CodeDecider {
    /// A local activity has ended, which the code must have asked for.
    fn end_local(&self, event: &Event) -> Result<(), ParkReason> {
        let (Some(run), EventAttributes::LocalActivityEnded(ended)) = (&self.run, &event.attributes) else {
            return Ok(());
        };
        let mut core = run.core.borrow_mut();
        match core.end_local(ended.seq, &ended.activity_type, &ended.outcome) {
            true => Ok(()),
            false => Err(ParkReason::Nondeterminism {
                at: event.id.0,
                expected: "no such local activity".to_owned(),
                recorded: matching::describe(event, &self.activity_ids),
            }),
        }
    }
}

impl Decider for CodeDecider {
    fn local_activities(&self) -> Vec<LocalActivity> {
        let run = self.run.as_ref().filter(|_| !self.over);
        run.map_or_else(Vec::new, |run| run.core.borrow().local_activities())
    }

    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        self.turn(task.events, task.now, None)
    }
}

impl Drop for CodeDecider {
    fn drop(&mut self) {
        let _deciding = self.waker.enter();
        if let Some(run) = &mut self.run {
            // A destructor of the user's that panics must not take the thread of many runs with it.
            let _ = run.put_away();
        }
    }
}

impl fmt::Debug for CodeDecider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeDecider")
            .field("seen", &self.seen)
            .field("expected", &self.expected)
            .field("over", &self.over)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

pub(super) fn no_beginning() -> ParkReason {
    ParkReason::BadCommand {
        message: "the history does not begin with WorkflowExecutionStarted".to_owned(),
    }
}

pub(super) fn is_task(event: &Event) -> bool {
    matches!(event.attributes, EventAttributes::WorkflowTask(_))
}

fn caught<T>(code: impl FnOnce() -> T) -> Result<T, ParkReason> {
    // A run whose code panicked is thrown away, so nobody sees what the panic left half done.
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| ParkReason::Panicked {
        message: panic_message(payload.as_ref()),
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else if let Some(failure) = payload.downcast_ref::<Failure>() {
        failure.to_string()
    } else {
        "a panic whose payload is not text".to_owned()
    }
}
