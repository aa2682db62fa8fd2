//! The decider for workflows written as code. Lives here: one turn of the code, live and on replay alike. Must not live
//! here: comparing one command with one event (`matching`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::machine::{Decider, Phase, QueryError, RunState, Task, UnfinishedHandler};
use crate::model::{
    ChildEvent, Command, Event, EventAttributes, EventId, Failure, LocalActivity, ParkReason, Payload, Query,
    RetryState, RunId, TURN_EVENT_IDS,
};
use crate::sdk::Workflow;

use super::matching::{self, ActivityIds, Expected};
use super::occasion::{Occasion, accepted_in, is_task, original_run};
use super::root_waker::{ForeignWakes, RootWaker};
use super::run::{Rest, Run, Updates};
use super::saga::SagaWatch;
use super::versions::{self, AskedMarkers};

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
    /// What its code left when it ended just now.
    unfinished: Vec<UnfinishedHandler>,
    /// The run that wrote the first event, when it is another one: the code's random numbers are of that one.
    original: Option<RunId>,
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
            unfinished: Vec::new(),
            original: None,
        }
    }

    /// Rebuilds the decider of a run from its history, checking that the code asks for what it asked for then. Events
    /// after the last `WorkflowTask` are left for the next [`decide`](Decider::decide), which is given them.
    ///
    /// # Errors
    /// Why the code cannot go on: most often [`ParkReason::Nondeterminism`].
    pub fn replay(workflow: Arc<dyn Workflow>, history: &[Event]) -> Result<Self, ParkReason> {
        let mut decider = Self::new(workflow);
        decider.original = original_run(history);
        let mut turns = history.split_inclusive(is_task).peekable();
        while let Some(turn) = turns.next() {
            let Some((task, portion)) = turn.split_last().filter(|(last, _)| is_task(last)) else {
                break;
            };
            let led_to = turns.peek().copied().unwrap_or_default();
            let updates = Updates::Recorded(accepted_in(led_to));
            let EventAttributes::WorkflowTask(attributes) = &task.attributes else {
                break;
            };
            decider.turn(portion, Occasion::again(task.time, attributes, led_to), updates)?;
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
    pub(crate) fn check_rest(&mut self, history: &[Event]) -> Result<(), ParkReason> {
        let _deciding = self.waker.enter();
        let rest = history
            .iter()
            .rposition(is_task)
            .map_or(history, |at| history.split_at(at).1);
        self.look_at(rest)
    }

    fn turn(
        &mut self,
        events: &[Event],
        occasion: Occasion<'_>,
        updates: Updates<'_>,
    ) -> Result<Vec<Command>, ParkReason> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        let deciding = self.waker.enter();
        let decided = self.look_at(events).and_then(|()| self.run_code(occasion, updates));
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
            if !self.is_unseen(event) {
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

    fn is_unseen(&self, event: &Event) -> bool {
        self.seen.is_none_or(|seen| event.id > seen)
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
        if let Some(run) = &self.run {
            let mut core = run.core.borrow_mut();
            match &event.attributes {
                EventAttributes::ActivityTaskScheduled(scheduled) => {
                    core.confirm_activity(&scheduled.activity_id, event.id);
                }
                EventAttributes::SignalExternalWorkflowExecutionInitiated(_)
                | EventAttributes::RequestCancelExternalWorkflowExecutionInitiated(_) => {
                    core.confirm_external(event.id)
                }
                EventAttributes::Child(_) => core.confirm_child(event.id),
                EventAttributes::UpsertWorkflowSearchAttributes(changes) => core.confirm_search_attributes(changes),
                EventAttributes::WorkflowPropertiesModified(changes) => core.confirm_memo(changes),
                _ => {}
            }
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
            let original = self.original.unwrap_or(started.run_id);
            self.run.get_or_insert_with(|| Run::new(started, original));
            return;
        }
        // Only what comes from here on is this run's own.
        if let (E::WorkflowExecutionReset(reset), Some(run)) = (&event.attributes, &self.run) {
            run.core.borrow_mut().decided_by(reset.new_run_id);
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
            E::ActivityTaskCanceled { scheduled, details, .. } => {
                let failure = Failure::canceled("the activity was asked to stop");
                let failure = details.iter().cloned().fold(failure, Failure::with_details);
                core.fail_activity(*scheduled, failure, RetryState::CancelRequested);
            }
            E::TimerFired { timer_id, .. } => core.fire_timer(timer_id),
            E::WorkflowExecutionSignaled(signal) => core.deliver_signal(&signal.name, signal.input.clone()),
            E::ExternalWorkflowExecutionSignaled { initiated }
            | E::ExternalWorkflowExecutionCancelRequested { initiated } => core.end_external(*initiated, Ok(())),
            E::SignalExternalWorkflowExecutionFailed { initiated, failure }
            | E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure } => {
                core.end_external(*initiated, Err(failure.clone()));
            }
            E::Child(event) => match &**event {
                ChildEvent::Initiated(_) => {}
                ChildEvent::StartFailed { initiated, failure } => core.fail_child_start(*initiated, failure.clone()),
                ChildEvent::Started { initiated, run_id } => core.child_started(*initiated, *run_id),
                ChildEvent::Ended { initiated, end, .. } => core.end_child(*initiated, end.clone()),
            },
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
    fn run_code(&mut self, occasion: Occasion<'_>, updates: Updates<'_>) -> Result<Vec<Command>, ParkReason> {
        if self.over {
            return Ok(Vec::new());
        }
        if self.waker.was_woken_by_foreigner() {
            return Err(ParkReason::ForeignFuture);
        }
        let task = self.after_the_last();
        let next = task.plus(TURN_EVENT_IDS);
        let run = self.run.as_mut().ok_or_else(no_beginning)?;
        let before = run.begin_turn(&occasion, task);
        let rest = run.rest(&self.workflow, &self.waker, updates, occasion.only_updates);
        if let Some(refusal) = run.core.borrow_mut().take_refusal() {
            return Err(versions::park_reason(refusal, next));
        }
        let rest = rest?;
        let mut commands = run.core.borrow_mut().take_commands();
        match rest {
            Rest::Ended(ending) => {
                self.over = true;
                commands.push(run.closing_command(ending));
                if occasion.is_live() {
                    self.unfinished = run.unfinished();
                }
                run.put_away()?;
            }
            Rest::Waiting if !run.core.borrow().is_waiting() => return Err(ParkReason::ForeignFuture),
            Rest::Waiting => {}
            // The turn is forgotten, its time included.
            Rest::Untouched => drop(run.core.borrow_mut().set_now(before)),
        }
        Ok(commands)
    }

    fn wake(&self) {
        let wakers = self.run.as_ref().map(|run| run.core.borrow_mut().take_wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
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

    fn take_unfinished(&mut self) -> Vec<UnfinishedHandler> {
        std::mem::take(&mut self.unfinished)
    }

    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let only_updates = !task.updates.is_empty() && task.run.is_asked_for_updates_only(task.now);
        let occasion = Occasion::live(task.now, task.task, only_updates);
        self.turn(task.events, occasion, Updates::Arrived(task.updates))
    }

    fn query(&mut self, run: &RunState, query: &Query) -> Result<Payload, QueryError> {
        let undecidable = |reason: &ParkReason| QueryError::Undecidable(Box::new(reason.clone()));
        if let Some(reason) = &self.broken {
            return Err(undecidable(reason));
        }
        let _deciding = self.waker.enter();
        if *run.phase() == Phase::Running {
            // What the last turn's commands led to has not been compared yet, should the code be another by now.
            let mut unseen = run.since_task().iter();
            if unseen.any(|event| self.is_unseen(event) && matching::is_news(&event.attributes)) {
                return Err(QueryError::NotHere);
            }
            if let Err(reason) = self.look_at(run.since_task()) {
                self.broken = Some(reason.clone());
                return Err(undecidable(&reason));
            }
        }
        self.run.as_ref().ok_or(QueryError::NotHere)?.ask(query)
    }
}

impl Drop for CodeDecider {
    fn drop(&mut self) {
        let _deciding = self.waker.enter();
        if let Some(run) = &mut self.run {
            run.throw_away();
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
