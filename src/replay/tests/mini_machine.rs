//! A machine small enough to trust: turns the commands of code into events and lets things arrive. It knows no retries,
//! no compensation and no failures of its own.

use std::sync::Arc;

use crate::machine::{Decider, RunState, Task};
use crate::model::{
    ActivityRole, ActivityScheduled, ActivityType, Command, Event, EventAttributes, EventId, Failure, ParkReason,
    Payload, RetryState, RunId, RunStarted, SagaUnwindStarted, SignalName, Timestamp, UnwindCause, WorkflowId,
    WorkflowSignaled, WorkflowTask, WorkflowType,
};
use crate::replay::{CheckedDecider, CodeDecider};
use crate::sdk::{Workflow, WorkflowDefinition, WorkflowFunction};

use EventAttributes as E;

/// One run of one workflow.
pub(super) struct Mini {
    pub(super) workflow: Arc<dyn Workflow>,
    pub(super) decider: CodeDecider,
    /// Decides in its stead.
    pub(super) checked: Option<CheckedDecider>,
    pub(super) history: Vec<Event>,
    /// Events up to here were shown to the decider.
    shown: usize,
    pub(super) now: Timestamp,
}

impl Mini {
    /// Starts a run and lets it decide once.
    pub(super) fn start<M>(function: impl WorkflowFunction<M>, input: &impl serde::Serialize) -> Self {
        let mut mini = Self::started(function, input);
        mini.decide();
        mini
    }

    pub(super) fn started<M>(function: impl WorkflowFunction<M>, input: &impl serde::Serialize) -> Self {
        let workflow = function.into_workflow();
        let mut mini = Self {
            decider: CodeDecider::new(workflow.clone()),
            checked: None,
            workflow,
            history: Vec::new(),
            shown: 0,
            now: Timestamp::from_micros(1_000_000),
        };
        mini.push(E::WorkflowExecutionStarted(Arc::new(RunStarted::new(
            WorkflowId::from_trusted("w"),
            RunId::from_bytes([9; 16]),
            WorkflowType::from_trusted("w"),
            Payload::json(input).unwrap(),
        ))));
        mini
    }

    /// Lets the code decide, and writes what follows.
    pub(super) fn try_decide(&mut self) -> Result<Vec<Command>, ParkReason> {
        let run = RunState::default();
        let task = Task {
            events: &self.history[self.shown..],
            updates: &[],
            now: self.now,
            run: &run,
            task: &WorkflowTask::default(),
        };
        let commands = match &mut self.checked {
            Some(checked) => checked.decide(&task)?,
            None => self.decider.decide(&task)?,
        };
        self.push(E::WorkflowTask(WorkflowTask::default()));
        self.shown = self.history.len();
        for command in &commands {
            self.apply(command);
        }
        Ok(commands)
    }

    /// From here on every turn is replayed at once.
    pub(super) fn checking_every_turn(mut self) -> Self {
        self.checked = Some(CheckedDecider::replay(self.workflow.clone(), &self.history).unwrap());
        self
    }

    pub(super) fn decide(&mut self) -> Vec<Command> {
        self.try_decide().unwrap()
    }

    /// Kills the process: the decider is rebuilt from the history.
    pub(super) fn crash(&mut self) {
        self.decider = CodeDecider::replay(self.workflow.clone(), &self.history).unwrap();
    }

    pub(super) fn push(&mut self, attributes: EventAttributes) -> EventId {
        let last = self.history.last();
        let id = last.map_or(EventId::FIRST, |event| event.id.plus(event.attributes.ids()));
        let time = self.now;
        self.history.push(Event { id, time, attributes });
        id
    }

    /// The activity of this type that was scheduled last ends.
    pub(super) fn end(&mut self, activity_type: &str, outcome: Result<impl serde::Serialize, Failure>) {
        let scheduled = self.scheduled(activity_type);
        let started = self.push(E::ActivityTaskStarted {
            scheduled,
            attempt: 1,
            last_failure: None,
        });
        self.push(match outcome {
            Ok(value) => E::ActivityTaskCompleted {
                scheduled,
                started,
                result: Payload::json(&value).unwrap(),
            },
            Err(failure) => E::ActivityTaskFailed {
                scheduled,
                started,
                failure,
                retry_state: RetryState::NonRetryable,
            },
        });
    }

    pub(super) fn complete(&mut self, activity_type: &str, value: impl serde::Serialize) -> Vec<Command> {
        self.end(activity_type, Ok(value));
        self.decide()
    }

    pub(super) fn signal(&mut self, name: &str, value: impl serde::Serialize) {
        self.push(E::WorkflowExecutionSignaled(Box::new(WorkflowSignaled {
            name: SignalName::from_trusted(name),
            input: Payload::json(&value).unwrap(),
            request_id: None,
            identity: String::new(),
        })));
    }

    pub(super) fn cancel(&mut self) {
        self.push(E::WorkflowExecutionCancelRequested {
            reason: String::new(),
            identity: String::new(),
        });
    }

    /// The pending timer that was started first fires.
    pub(super) fn fire(&mut self) {
        let pending = self.history.iter().find_map(|event| match &event.attributes {
            E::TimerStarted { timer_id, fire_at } if !self.is_over(event.id) => {
                Some((timer_id.clone(), *fire_at, event.id))
            }
            _ => None,
        });
        let (timer_id, fire_at, started) = pending.unwrap();
        self.now = self.now.max(fire_at);
        self.push(E::TimerFired { timer_id, started });
    }

    fn is_over(&self, timer: EventId) -> bool {
        self.history.iter().any(|event| match &event.attributes {
            E::TimerFired { started, .. } | E::TimerCanceled { started, .. } => *started == timer,
            _ => false,
        })
    }

    fn scheduled(&self, name: &str) -> EventId {
        let found = self.history.iter().rev().find(|event| match &event.attributes {
            E::ActivityTaskScheduled(scheduled) => {
                scheduled.activity_type == ActivityType::from_trusted(name) || scheduled.activity_id.as_str() == name
            }
            _ => false,
        });
        found.unwrap().id
    }

    fn apply(&mut self, command: &Command) {
        let now = self.now;
        let attributes = match command {
            Command::ScheduleActivity(schedule) => E::ActivityTaskScheduled(Arc::new(ActivityScheduled {
                activity_id: schedule.activity_id.clone(),
                activity_type: schedule.activity_type.clone(),
                input: schedule.input.clone(),
                options: schedule.options.clone(),
                role: match schedule.step.clone() {
                    Some(step) => ActivityRole::Step(Box::new(step)),
                    None => ActivityRole::Plain,
                },
            })),
            Command::RequestCancelActivity { activity_id } => E::ActivityTaskCancelRequested {
                scheduled: self.scheduled(activity_id.as_str()),
            },
            Command::StartTimer { timer_id, after } => E::TimerStarted {
                timer_id: timer_id.clone(),
                fire_at: now.after(*after),
            },
            Command::CancelTimer { timer_id } => E::TimerCanceled {
                timer_id: timer_id.clone(),
                started: self.timer_started(timer_id.as_str()),
            },
            Command::RecordMarker { name, details } => E::MarkerRecorded {
                name: name.clone(),
                details: details.clone(),
            },
            Command::RecordVersion(marker) => E::VersionMarkerRecorded(marker.clone()),
            Command::UpsertSearchAttributes(changes) => E::UpsertWorkflowSearchAttributes(Box::new(changes.clone())),
            Command::ModifyProperties(changes) => E::WorkflowPropertiesModified(Box::new(changes.clone())),
            Command::RollBack { keep } => E::SagaRollbackStarted { keep: *keep },
            Command::RequestLock { lock, timeout, no_wait } => E::SagaLockRequested {
                lock: lock.clone(),
                until: timeout.map(|timeout| now.after(timeout)),
                no_wait: *no_wait,
            },
            Command::RunLocalActivity { .. } | Command::ForgetLocalActivity { .. } => return,
            Command::Wait(_) | Command::SkipStep { .. } => unreachable!("only definitions ask for that"),
            Command::CompleteWorkflow { result } => E::WorkflowExecutionCompleted { result: result.clone() },
            Command::FailWorkflow { failure } => unwind(UnwindCause::Failed(failure.clone())),
            Command::CancelWorkflow { failure } => unwind(UnwindCause::Canceled(failure.clone())),
            other => unreachable!("{}: messages are tested with the real machine", other.kind()),
        };
        self.push(attributes);
    }

    fn timer_started(&self, name: &str) -> EventId {
        let found = self
            .history
            .iter()
            .find(|event| matches!(&event.attributes, E::TimerStarted { timer_id, .. } if timer_id.as_str() == name));
        found.unwrap().id
    }
}

fn unwind(cause: UnwindCause) -> EventAttributes {
    E::SagaUnwindStarted(Box::new(SagaUnwindStarted { cause }))
}

/// The commands as a reader would say them.
pub(super) fn told(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|command| match command {
            Command::ScheduleActivity(schedule) => match &schedule.step {
                None => format!("run {} as {}", schedule.activity_type, schedule.activity_id),
                Some(step) => format!("step {} as {}", step.name, schedule.activity_id),
            },
            Command::RequestCancelActivity { activity_id } => format!("cancel {activity_id}"),
            Command::StartTimer { timer_id, .. } => format!("start timer {timer_id}"),
            Command::CancelTimer { timer_id } => format!("cancel timer {timer_id}"),
            Command::RunLocalActivity { seq, activity_type } => format!("run {activity_type} locally as {seq}"),
            Command::ForgetLocalActivity { seq } => format!("forget local {seq}"),
            Command::RecordMarker { name, .. } => format!("note {name}"),
            Command::RecordVersion(marker) => format!("mark {marker}"),
            Command::RollBack { keep } => format!("roll back to {keep}"),
            Command::RequestLock { lock, .. } => format!("lock {lock}"),
            Command::Wait(wait) => format!("wait {}", wait.name),
            Command::SkipStep { name, .. } => format!("skip {name}"),
            Command::CompleteWorkflow { result } => format!("complete {result:?}"),
            Command::FailWorkflow { failure } => format!("fail {failure}"),
            Command::CancelWorkflow { failure } => format!("canceled {failure}"),
            other => other.kind().to_owned(),
        })
        .collect()
}

/// The workflow registered as "w", for `replay_history`.
pub(super) fn registry_with<M>(function: impl WorkflowFunction<M>) -> crate::sdk::Registry {
    struct Shared(Arc<dyn Workflow>);
    impl Workflow for Shared {
        fn start(
            &self,
            cx: crate::sdk::WorkflowContext,
            input: Payload,
        ) -> futures_util::future::LocalBoxFuture<'static, Result<Payload, Failure>> {
            self.0.start(cx, input)
        }
    }
    let mut registry = crate::sdk::Registry::new();
    let definition = WorkflowDefinition::new("w", Shared(function.into_workflow())).unwrap();
    registry.add_workflow(definition).unwrap();
    registry
}
