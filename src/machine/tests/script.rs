//! What the code of a scenario answers, and what arrives for it: commands, failures and inputs in few words. Must not live
//! here: playing them (`scenario`).

use std::time::Duration;

use crate::model::*;

/// A command in the making.
pub(super) struct Do(pub(super) Command);

impl Do {
    fn schedule(mut self, change: impl FnOnce(&mut ScheduleActivity)) -> Self {
        if let Command::ScheduleActivity(schedule) = &mut self.0 {
            change(schedule);
        }
        self
    }

    fn step(self, change: impl FnOnce(&mut StepSpec)) -> Self {
        self.schedule(|schedule| change(schedule.step.as_mut().expect("a step")))
    }

    pub(super) fn attempts(self, maximum: u32) -> Self {
        self.schedule(|schedule| schedule.options.retry.maximum_attempts = maximum)
    }

    pub(super) fn never_retries(self, type_name: &str) -> Self {
        self.schedule(|schedule| schedule.options.retry.non_retryable_types.push(type_name.to_owned()))
    }

    pub(super) fn within(self, seconds: u64) -> Self {
        self.schedule(|schedule| schedule.options.schedule_to_close = Some(Duration::from_secs(seconds)))
    }

    pub(super) fn after<const N: usize>(self, names: [&str; N]) -> Self {
        let names = names.map(StepName::from_trusted).to_vec();
        self.step(|step| step.after = Some(names))
    }

    pub(super) fn without_undo(self) -> Self {
        self.step(|step| step.compensation = None)
    }

    pub(super) fn undo_attempts(self, maximum: u32) -> Self {
        self.step(|step| {
            let undo = step.compensation.as_mut().expect("has a compensation");
            undo.options.retry.maximum_attempts = maximum;
        })
    }

    pub(super) fn undo_mapped(self) -> Self {
        self.step(|step| step.compensation.as_mut().expect("has a compensation").input = CompensationInput::Mapped)
    }

    /// A step that asks a person when nobody knows whether it had its effect.
    pub(super) fn asks(self) -> Self {
        self.step(|step| step.on_ambiguous = OnAmbiguous::Ask)
    }

    /// A step that is verified when nobody knows whether it had its effect.
    pub(super) fn verified(self) -> Self {
        self.step(|step| {
            step.on_ambiguous = OnAmbiguous::Verify(Box::new(CompensationSpec {
                activity_type: ActivityType::from_trusted(format!("find_{}", step.name)),
                input: CompensationInput::Undo,
                options: ActivityOptions::default(),
            }));
        })
    }

    /// A step whose attempt is not waited for when the saga turns back.
    pub(super) fn fenced(self) -> Self {
        self.step(|step| step.in_flight = InFlight::Fence)
    }

    pub(super) fn input(self, input: Payload) -> Self {
        self.schedule(|schedule| schedule.input = input)
    }
}

pub(super) fn activity(name: &str) -> Do {
    Do(Command::ScheduleActivity(Box::new(ScheduleActivity {
        activity_id: ActivityId::from_trusted(name),
        activity_type: ActivityType::from_trusted(name),
        input: Payload::null(),
        options: ActivityOptions::default(),
        step: None,
    })))
}

/// A compensatable step with a compensation, and without an explicit order.
pub(super) fn step(name: &str) -> Do {
    step_of_kind(name, StepKind::Compensatable, true)
}

/// A pivot that cannot be undone.
pub(super) fn pivot(name: &str) -> Do {
    step_of_kind(name, StepKind::Pivot, false)
}

/// A pivot with a compensation.
pub(super) fn undoable_pivot(name: &str) -> Do {
    step_of_kind(name, StepKind::Pivot, true)
}

pub(super) fn retriable(name: &str) -> Do {
    step_of_kind(name, StepKind::Retriable, false)
}

fn step_of_kind(name: &str, kind: StepKind, undo: bool) -> Do {
    activity(name).schedule(|schedule| {
        schedule.step = Some(StepSpec {
            name: StepName::from_trusted(name),
            kind,
            after: None,
            compensation: undo.then(|| CompensationSpec {
                activity_type: ActivityType::from_trusted(format!("undo_{name}")),
                input: CompensationInput::Undo,
                options: ActivityOptions::for_compensation(),
            }),
            on_ambiguous: OnAmbiguous::default(),
            in_flight: InFlight::default(),
        });
    })
}

pub(super) fn timer(name: &str, seconds: u64) -> Do {
    Do(Command::StartTimer {
        timer_id: TimerId::from_trusted(name),
        after: Duration::from_secs(seconds),
    })
}

pub(super) fn cancel_timer(name: &str) -> Do {
    Do(Command::CancelTimer {
        timer_id: TimerId::from_trusted(name),
    })
}

pub(super) fn cancel_activity(name: &str) -> Do {
    Do(Command::RequestCancelActivity {
        activity_id: ActivityId::from_trusted(name),
    })
}

pub(super) fn roll_back(keep: u64) -> Do {
    Do(Command::RollBack { keep })
}

pub(super) fn lock(name: &str) -> Do {
    Do(Command::RequestLock {
        lock: LockName::from_trusted(name),
        timeout: None,
        no_wait: false,
    })
}

/// A step that waits for a signal of its own name.
pub(super) fn wait(name: &str, seconds: Option<u64>, default: Option<Payload>) -> Do {
    Do(Command::Wait(Box::new(WaitStep {
        name: StepName::from_trusted(name),
        after: Vec::new(),
        signal: Some(SignalName::from_trusted(name)),
        timeout: seconds.map(Duration::from_secs),
        default,
    })))
}

pub(super) fn complete() -> Do {
    Do(Command::CompleteWorkflow {
        result: Payload::json("done").unwrap(),
    })
}

pub(super) fn fail(type_name: &str) -> Do {
    Do(Command::FailWorkflow {
        failure: Failure::new(type_name, ""),
    })
}

pub(super) fn cancel() -> Do {
    Do(Command::CancelWorkflow {
        failure: Failure::canceled("as asked"),
    })
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(seconds))
}

/// A failure that may be retried.
pub(super) fn busy() -> Failure {
    Failure::new("Busy", "")
}

/// A failure that is not retried, and does not say whether anything happened.
pub(super) fn broken() -> Failure {
    Failure::non_retryable("Broken", "")
}

/// A failure that is not retried, of a participant that is sure that nothing happened.
pub(super) fn declined() -> Failure {
    Failure::not_applied("Declined", "")
}

/// A failure that may be retried, of a participant that is sure that nothing happened yet.
pub(super) fn unreachable() -> Failure {
    let mut failure = Failure::new("Unreachable", "");
    if let FailureKind::Application(application) = &mut failure.kind {
        application.not_applied = true;
    }
    failure
}

pub(super) fn start_run() -> StartRun {
    let (workflow_id, workflow_type) = (
        WorkflowId::from_trusted("order-42"),
        WorkflowType::from_trusted("order"),
    );
    StartRun {
        run_id: RunId::from_bytes([7; 16]),
        request_id: Some(RequestId::from_trusted("start-1")),
        identity: "test".to_owned(),
        ..StartRun::new(workflow_id, workflow_type, Payload::null())
    }
}

pub(super) fn decision(step: &str, choice: Choice, request: &str) -> Input {
    Input::Decide(Box::new(Decide {
        step: (!step.is_empty()).then(|| StepName::from_trusted(step)),
        choice,
        by: "ada".to_owned(),
        reason: "looked into it".to_owned(),
        request_id: (!request.is_empty()).then(|| RequestId::from_trusted(request)),
    }))
}

pub(super) fn mark_done() -> Choice {
    let output = Payload::json("by hand").unwrap();
    Choice::MarkDone { output }
}

pub(super) fn cancel_request() -> Input {
    Input::RequestCancel {
        reason: "changed my mind".to_owned(),
        identity: "customer".to_owned(),
    }
}

pub(super) fn signal(name: &str, request: &str) -> Input {
    Input::Signal {
        name: SignalName::from_trusted(name),
        input: Payload::json(&1).unwrap(),
        request_id: (!request.is_empty()).then(|| RequestId::from_trusted(request)),
        identity: "test".to_owned(),
    }
}
