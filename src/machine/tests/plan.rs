//! Sagas made of numbers, for tests that try many: the shape of one, and the code that runs it. Must not live here:
//! chance.

use std::time::Duration;

use crate::machine::{Decider, RunState, StepState, Task};
use crate::model::*;

/// A saga as numbers: whatever they are, they make a legal saga, so that a failing one can be shrunk.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<PlanStep>,
    /// The place of the pivot; the steps before it are compensatable, those after it retriable.
    pub(super) pivot: Option<usize>,
    /// Whether the steps say what they build on, or leave it to the order of things.
    pub(super) explicit: bool,
    pub(super) by_definition: bool,
    /// Seconds.
    pub(super) run_timeout: Option<u64>,
    /// Seconds of a timer that runs beside the saga.
    pub(super) timer: u64,
    /// After the first failure before the pivot, all but so many steps are rolled back first.
    pub(super) keep: Option<u64>,
    pub(super) desk: PlanDesk,
}

/// How the saga is undone, and who is told, as numbers; times are seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanDesk {
    pub(super) unwind_timeout: Option<u64>,
    pub(super) unwind_parallel: Option<u32>,
    pub(super) escalates_after: Option<u64>,
    /// With the number of the choice.
    pub(super) decides_after: Option<(u64, usize)>,
}

impl PlanDesk {
    fn options(&self) -> SagaOptions {
        SagaOptions {
            unwind_timeout: self.unwind_timeout.map(Duration::from_secs),
            unwind_parallel: self.unwind_parallel,
            escalation: self.escalates_after.map(|after| Escalation {
                after: Duration::from_secs(after),
                activity_type: ActivityType::from_trusted("page"),
                options: ActivityOptions::default(),
            }),
            automatic: self.decides_after.map(|(after, choice)| AutomaticDecision {
                after: Duration::from_secs(after),
                choice: ChoiceKind::ALL[choice % ChoiceKind::ALL.len()],
            }),
        }
    }
}

/// One step as numbers.
#[derive(Clone, Debug)]
pub(super) struct PlanStep {
    /// A bit for each earlier step of its kind that it builds on.
    pub(super) builds_on: u16,
    /// The most attempts of its compensation (0: no limit), if it has one.
    pub(super) undo: Option<u32>,
    /// The most attempts; 0: no limit.
    pub(super) attempts: u32,
    /// Schedule-to-close in seconds.
    pub(super) within: Option<u64>,
    pub(super) unanswered: Unanswered,
    pub(super) fenced: bool,
}

/// What happens when the step ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    Compensate,
    Ask,
    Verify,
}

impl Plan {
    fn kind(&self, at: usize) -> StepKind {
        match self.pivot {
            Some(pivot) if at == pivot => StepKind::Pivot,
            Some(pivot) if at > pivot => StepKind::Retriable,
            _ => StepKind::Compensatable,
        }
    }

    fn builds_on(&self, at: usize) -> Vec<StepName> {
        let chosen = |other: &usize| self.steps[at].builds_on & (1 << (other % 16)) != 0;
        let others: Vec<usize> = match (self.kind(at), self.pivot) {
            (StepKind::Retriable, Some(pivot)) => {
                let retriable = (pivot + 1..at).filter(chosen);
                std::iter::once(pivot).chain(retriable).collect()
            }
            (StepKind::Pivot, _) => (0..at).collect(),
            _ => (0..at).filter(chosen).collect(),
        };
        others.into_iter().map(step_name).collect()
    }

    fn schedule(&self, at: usize) -> Command {
        let step = &self.steps[at];
        let kind = self.kind(at);
        let options = ActivityOptions {
            schedule_to_close: step.within.map(Duration::from_secs),
            retry: RetryPolicy {
                maximum_attempts: step.attempts,
                ..RetryPolicy::default()
            },
            ..ActivityOptions::default()
        };
        let undo = step.undo.filter(|_| kind != StepKind::Retriable);
        let compensation = undo.map(|attempts| {
            let mut options = ActivityOptions::for_compensation();
            options.retry.maximum_attempts = attempts;
            CompensationSpec {
                activity_type: ActivityType::from_trusted(format!("undo_{}", step_name(at))),
                input: match self.by_definition {
                    true => CompensationInput::Mapped,
                    false => CompensationInput::Undo,
                },
                options,
            }
        });
        Command::ScheduleActivity(Box::new(ScheduleActivity {
            activity_id: ActivityId::from_trusted(step_name(at).as_str()),
            activity_type: ActivityType::from_trusted(step_name(at).as_str()),
            input: Payload::null(),
            options,
            step: Some(StepSpec {
                name: step_name(at),
                kind,
                after: self.explicit.then(|| self.builds_on(at)),
                compensation,
                on_ambiguous: match step.unanswered {
                    Unanswered::Compensate => OnAmbiguous::Compensate,
                    Unanswered::Ask => OnAmbiguous::Ask,
                    Unanswered::Verify => OnAmbiguous::Verify(Box::new(CompensationSpec {
                        activity_type: ActivityType::from_trusted(format!("find_{}", step_name(at))),
                        input: CompensationInput::Undo,
                        options: ActivityOptions::default(),
                    })),
                },
                in_flight: if step.fenced { InFlight::Fence } else { InFlight::Wait },
            }),
        }))
    }

    /// How runs of this plan begin.
    pub(super) fn start(&self) -> StartRun {
        StartRun {
            definition: self.by_definition.then_some(DefinitionDigest([1; 32])),
            run_timeout: self.run_timeout.map(Duration::from_secs),
            saga: Some(Box::new(self.desk.options())),
            ..super::scenario::start_run()
        }
    }
}

fn step_name(at: usize) -> StepName {
    StepName::from_trusted(format!("s{at}"))
}

/// The code of a plan. It decides from the state alone, so that it can be thrown away at any time.
pub(super) struct PlanDecider<'a> {
    pub(super) plan: &'a Plan,
    /// Cannot decide.
    pub(super) trips: bool,
}

impl Decider for PlanDecider<'_> {
    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        if self.trips {
            return Err(ParkReason::ForeignFuture);
        }
        let run = task.run;
        if run.cancel_requested().is_some() {
            let failure = Failure::canceled("as asked");
            return Ok(vec![Command::CancelWorkflow { failure }]);
        }
        let failed = run.steps().find_map(|step| match &step.state {
            StepState::Failed { failure, .. } => Some(failure.clone()),
            _ => None,
        });
        if let (Some(keep), Some(_), 0) = (self.plan.keep, &failed, run.rollbacks())
            && !run.steps().any(|step| step.kind == StepKind::Pivot)
        {
            return Ok(vec![Command::RollBack { keep }]);
        }
        if let Some(failure) = failed {
            return Ok(vec![Command::FailWorkflow { failure }]);
        }
        let is_first = run.steps().next().is_none();
        let mut commands: Vec<Command> = (0..self.plan.steps.len())
            .filter(|at| self.is_next(*at, run))
            .map(|at| self.plan.schedule(at))
            .collect();
        if is_first {
            commands.push(super::scenario::timer("beside", self.plan.timer).0);
            commands.push(super::scenario::activity("plain").attempts(3).0);
        } else if run.steps().count() == self.plan.steps.len() && run.steps().all(is_completed) {
            let result = Payload::null();
            commands.push(Command::CompleteWorkflow { result });
        }
        Ok(commands)
    }
}

impl PlanDecider<'_> {
    fn is_next(&self, at: usize, run: &RunState) -> bool {
        let done = |name: &StepName| run.step(name.as_str()).is_some_and(is_completed);
        run.step(step_name(at).as_str()).is_none() && self.plan.builds_on(at).iter().all(done)
    }
}

fn is_completed(step: &crate::machine::StepRecord) -> bool {
    matches!(step.state, StepState::Completed { .. })
}
