//! Letting the decider react: its commands, checked and turned into events. Must not live here: any decider.

use std::sync::Arc;

use crate::model::{
    ActivityRole, ActivityScheduled, Command, EventAttributes, EventId, Failure, Memo, ParkReason, SagaStepSkipped,
    ScheduleActivity, SearchAttributes, StepKind, TURN_EVENT_IDS, UnwindCause, WorkflowTask, check_memo,
    check_search_attributes, limits, merge_changes,
};

use super::changes_met;
use super::decider::{Decider, Task};
use super::ledger::UndoScope;
use super::state::{Phase, RunState};
use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    /// Lets the decider look at what is new and the saga go on, until neither has anything to do.
    pub(super) fn run_to_rest(&mut self, decider: &mut dyn Decider) -> Result<(), ParkReason> {
        if self.state.paused.is_some() {
            return Ok(());
        }
        for _ in 0..limits::TASKS_PER_TURN_MAX {
            let decided = self.run_tasks(decider);
            self.advance(&*decider);
            decided?;
            if !self.state.task_due(self.now) {
                return Ok(());
            }
        }
        bad("the workflow code rolls back what it has just begun, over and over, and does not come to rest")
    }

    /// Lets the decider look at what is new, until nothing is: its own commands may end something at once.
    fn run_tasks(&mut self, decider: &mut dyn Decider) -> Result<(), ParkReason> {
        for _ in 0..limits::TASKS_PER_TURN_MAX {
            if !self.wants_task() {
                return Ok(());
            }
            self.run_task(decider)?;
        }
        match self.state.task_due(self.now) {
            true => {
                bad("the workflow code cancels what it has just scheduled, over and over, and does not come to rest")
            }
            false => Ok(()),
        }
    }

    fn run_task(&mut self, decider: &mut dyn Decider) -> Result<(), ParkReason> {
        let events = std::mem::take(&mut self.state.since_task);
        let mut updates = self.state.readmitted().to_vec();
        let waiting = self.admissions.take_waiting().into_iter();
        updates.extend(waiting.filter(|update| !self.state.is_readmitted(&update.update_id)));
        let only_updates = self.state.is_asked_for_updates_only(self.now);
        let attributes = self.state.next_task();
        let task = Task {
            events: &events,
            updates: &updates,
            now: self.now,
            run: self.state,
            task: &attributes,
        };
        let decided = decider.decide(&task);
        self.state.since_task = events;
        let commands = self.note_refusals(decided?);
        if only_updates && commands.is_empty() {
            return Ok(());
        }
        let commands = self.checked(commands)?;
        if self.state.parked.is_some() {
            self.change(crate::model::PendingChange::Unparked);
        }
        self.emit(EventAttributes::WorkflowTask(attributes));
        for command in commands {
            self.obey(command, &*decider);
        }
        Ok(())
    }

    fn checked(&self, commands: Vec<Command>) -> Result<Vec<Command>, ParkReason> {
        let closing = commands.iter().position(Command::closes);
        if closing.is_some_and(|at| at + 1 != commands.len()) {
            return bad("a command follows the one that ends the run");
        }
        let more = commands.iter().filter(|command| !command.closes()).count() as u64;
        let max = self.state.limits().history_events;
        // Not even as many: a run that waits must have room for one more input, or it could wait for ever.
        let too_many = self.state.events + TURN_EVENT_IDS + more >= max * 9 / 10;
        if too_many && (closing.is_none() || more > 0) {
            let failure = Failure::non_retryable(
                "HistoryTooLong",
                format!(
                    "the history has reached its limit of {max} events: let the workflow go on as a new run before that \
                     (continue_as_new, when cx.info().continue_as_new_suggested)"
                ),
            );
            return Ok(vec![Command::FailWorkflow { failure }]);
        }
        if let Some(failure) = self.state.value_too_large(&commands) {
            return Ok(vec![Command::FailWorkflow { failure }]);
        }
        let mut starting = Starting::default();
        for command in &commands {
            starting.check(self.state, command)?;
        }
        Ok(commands)
    }

    fn obey(&mut self, command: Command, decider: &dyn Decider) {
        match command {
            Command::ScheduleActivity(schedule) => self.schedule(*schedule),
            Command::RequestCancelActivity { activity_id } => {
                if let Some(scheduled) = self.state.pending_by_id(activity_id.as_str()) {
                    self.request_cancel_activity(scheduled);
                }
            }
            Command::StartTimer { timer_id, after } => {
                let fire_at = self.now.after(after);
                self.emit(EventAttributes::TimerStarted { timer_id, fire_at });
            }
            Command::CancelTimer { timer_id } => {
                if let Some(started) = self.state.timers.get(&timer_id).map(|timer| timer.started) {
                    self.emit(EventAttributes::TimerCanceled { timer_id, started });
                }
            }
            Command::RollBack { keep } => self.roll_back(keep, decider),
            Command::RequestLock { lock, timeout, no_wait } => self.request_lock(lock, timeout, no_wait),
            Command::Wait(wait) => self.begin_wait(*wait),
            Command::SkipStep { name, after } => {
                let skipped = SagaStepSkipped { name, after };
                self.emit(EventAttributes::SagaStepSkipped(Box::new(skipped)));
            }
            Command::RunLocalActivity { seq, activity_type } => self.begin_local(seq, activity_type),
            Command::ForgetLocalActivity { seq } => self.forget_local(seq),
            Command::RecordMarker { name, details } => {
                self.emit(EventAttributes::MarkerRecorded { name, details });
            }
            Command::RecordVersion(marker) => {
                self.emit(EventAttributes::VersionMarkerRecorded(marker));
            }
            Command::StartChild(start) => self.start_child(*start),
            Command::UpsertSearchAttributes(changes) => {
                self.emit(EventAttributes::UpsertWorkflowSearchAttributes(Box::new(changes)));
            }
            Command::ModifyProperties(changes) => {
                self.emit(EventAttributes::WorkflowPropertiesModified(Box::new(changes)));
            }
            Command::SignalExternal(_)
            | Command::RequestCancelExternal(_)
            | Command::AcceptUpdate(_)
            | Command::CompleteUpdate { .. }
            | Command::RejectUpdate { .. } => self.say(command),
            Command::CompleteWorkflow { result } => match self.state.saga_in_flight() {
                None => self.complete(result),
                Some(what) => {
                    let message = format!("the workflow returned while {what}");
                    let failure = Failure::non_retryable("StepInFlight", message);
                    self.unwind(UnwindCause::Failed(failure), decider);
                }
            },
            Command::ContinueAsNew(next) => self.continue_as_new(*next, decider),
            Command::FailWorkflow { failure } => self.unwind(UnwindCause::Failed(failure.bounded()), decider),
            Command::CancelWorkflow { failure } => self.unwind(UnwindCause::Canceled(failure), decider),
        }
    }

    fn schedule(&mut self, schedule: ScheduleActivity) {
        let ScheduleActivity {
            activity_id,
            activity_type,
            input,
            options,
            step,
        } = schedule;
        self.emit(EventAttributes::ActivityTaskScheduled(Arc::new(ActivityScheduled {
            activity_id,
            activity_type,
            input,
            options,
            role: step.map_or(ActivityRole::Plain, |step| ActivityRole::Step(Box::new(step))),
        })));
    }
}

/// What the commands of one task start, to find ids used twice and too many pending things.
#[derive(Default)]
struct Starting<'a> {
    activities: std::collections::BTreeSet<&'a str>,
    steps: std::collections::BTreeSet<&'a str>,
    timers: std::collections::BTreeSet<&'a str>,
    timers_canceled: std::collections::BTreeSet<&'a str>,
    locks: std::collections::BTreeSet<&'a str>,
    locals: std::collections::BTreeSet<u32>,
    externals: usize,
    children: usize,
    search_attributes: Option<SearchAttributes>,
    memo: Option<Memo>,
    pivot: bool,
    rollback: bool,
}

impl<'a> Starting<'a> {
    fn check(&mut self, state: &RunState, command: &'a Command) -> Result<(), ParkReason> {
        match command {
            Command::ScheduleActivity(schedule) => {
                let id = schedule.activity_id.as_str();
                if state.pending_by_id(id).is_some() || !self.activities.insert(id) {
                    return bad(format!("an activity with the id {id:?} is pending already"));
                }
                self.check_step(state, schedule)?;
                at_most(
                    limits::PENDING_MAX,
                    state.activities.len() + self.activities.len(),
                    "activities",
                )
            }
            Command::StartTimer { timer_id, .. } => {
                let id = timer_id.as_str();
                let pending = state.timers.contains_key(timer_id) && !self.timers_canceled.contains(id);
                if pending || !self.timers.insert(id) {
                    return bad(format!("a timer with the id {id:?} is pending already"));
                }
                at_most(limits::PENDING_MAX, state.timers.len() + self.timers.len(), "timers")
            }
            Command::CancelTimer { timer_id } => {
                self.timers.remove(timer_id.as_str());
                self.timers_canceled.insert(timer_id.as_str());
                Ok(())
            }
            Command::RunLocalActivity { seq, .. } => {
                self.locals.insert(*seq);
                at_most(
                    limits::PENDING_MAX,
                    state.locals.len() + self.locals.len(),
                    "local activities",
                )
            }
            Command::Wait(wait) => self.check_step_name(state, wait.name.as_str()),
            Command::SkipStep { name, .. } => self.check_step_name(state, name.as_str()),
            Command::RollBack { keep } => {
                let again = state.rollback.is_some() || std::mem::replace(&mut self.rollback, true);
                check_rollback(state, *keep, again)
            }
            Command::RequestLock { lock, .. } => {
                self.locks.insert(lock.as_str());
                at_most(limits::LOCKS_PER_RUN_MAX, state.locks.len() + self.locks.len(), "locks")
            }
            Command::UpsertSearchAttributes(changes) => {
                let now = self
                    .search_attributes
                    .get_or_insert_with(|| changes_met::without(&state.search_attributes));
                merge_changes(now, changes);
                check_search_attributes(now).or_else(|error| bad(error.to_string()))
            }
            Command::ModifyProperties(changes) => {
                let now = self.memo.get_or_insert_with(|| state.memo.clone());
                merge_changes(now, changes);
                check_memo(now).or_else(|error| bad(error.to_string()))
            }
            Command::SignalExternal(_) | Command::RequestCancelExternal(_) => {
                self.externals += 1;
                let pending = state.messages_pending() + self.externals;
                at_most(limits::PENDING_MAX, pending, "messages to other runs")
            }
            Command::StartChild(start) => {
                self.children += 1;
                state.children_with(self.children).or_else(bad)?;
                let child = || format!("child {}", start.workflow_id);
                check_found_by(child, &start.search_attributes, &start.memo)
            }
            Command::ContinueAsNew(next) => {
                let (attributes, memo) = (SearchAttributes::new(), Memo::new());
                let attributes = next.search_attributes.as_ref().unwrap_or(&attributes);
                check_found_by(
                    || "the new run".to_owned(),
                    attributes,
                    next.memo.as_ref().unwrap_or(&memo),
                )
            }
            _ => Ok(()),
        }
    }

    fn check_step(&mut self, state: &RunState, schedule: &'a ScheduleActivity) -> Result<(), ParkReason> {
        let Some(step) = &schedule.step else {
            return Ok(());
        };
        let name = step.name.as_str();
        self.check_step_name(state, name)?;
        if step.kind == StepKind::Compensatable && (self.pivot || state.saga.is_past_pivot()) {
            return bad(format!("the compensatable step {name:?} comes after the pivot"));
        }
        self.pivot |= step.kind == StepKind::Pivot;
        Ok(())
    }

    fn check_step_name(&mut self, state: &RunState, name: &'a str) -> Result<(), ParkReason> {
        match state.step(name).is_some() || !self.steps.insert(name) {
            true => bad(format!("the saga has a step {name:?} already")),
            false => Ok(()),
        }
    }
}

/// What the code was to be told when it asked for another run.
fn check_found_by(of: impl Fn() -> String, attributes: &SearchAttributes, memo: &Memo) -> Result<(), ParkReason> {
    let checked = check_search_attributes(attributes).and_then(|()| check_memo(memo));
    checked.or_else(|error| bad(format!("{}: {error}", of())))
}

fn check_rollback(state: &RunState, keep: u64, again: bool) -> Result<(), ParkReason> {
    if again {
        return bad("the saga is being rolled back already");
    }
    let scope = UndoScope::Since {
        keep,
        before: state.next_event(),
    };
    match state.saga.has_pivot_in(scope) {
        true => bad("the saga cannot be rolled back behind its pivot"),
        false => Ok(()),
    }
}

fn at_most(max: usize, count: usize, what: &str) -> Result<(), ParkReason> {
    match count <= max {
        true => Ok(()),
        false => bad(format!("more than {max} pending {what}")),
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, ParkReason> {
    Err(ParkReason::BadCommand {
        message: message.into(),
    })
}

impl RunState {
    /// Attributes of the task that comes next.
    fn next_task(&self) -> WorkflowTask {
        WorkflowTask {
            identity: String::new(),
            history_bytes: self.history_bytes,
            continue_as_new_suggested: self.limits().suggest_continue_as_new(self.events, self.history_bytes),
        }
    }

    fn pending_by_id(&self, activity_id: &str) -> Option<EventId> {
        let found = self
            .activities
            .values()
            .find(|activity| activity.attributes.activity_id.as_str() == activity_id);
        found.map(|activity| activity.scheduled)
    }

    /// What is still going on in the saga, unless the run is not going forward anyway.
    pub(super) fn saga_in_flight(&self) -> Option<String> {
        if self.phase != Phase::Running {
            return None;
        }
        if self.rollback.is_some() {
            return Some("its saga was being rolled back".to_owned());
        }
        let step = self.activities.values().find_map(|activity| activity.attributes.step());
        step.map(|step| format!("its saga step {:?} was still running", step.name.as_str()))
    }
}
