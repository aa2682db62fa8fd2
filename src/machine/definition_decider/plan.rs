//! Which steps are ready, and the commands that begin them. Must not live here: what happens when one has failed.

use serde_json::Value;

use crate::definition::{EvaluateError, Step, instance_name};
use crate::model::{
    ActivityId, Command, Failure, LockName, Payload, ScheduleActivity, StepName, StepSpec, Timestamp, WaitStep, limits,
};

use super::super::StepState;
use super::super::pending::LockState;
use super::scope::{RunScope, locate, output};

/// The commands of one task.
pub(super) struct Plan<'a> {
    scope: RunScope<'a>,
    now: Timestamp,
    /// How each step stands, in file order.
    steps: Vec<Progress>,
    commands: Vec<Command>,
    /// Elements of lists that were begun in this task, the ones that have to wait included.
    planned: usize,
    /// Bytes of the inputs of the elements that this task begins.
    bytes: usize,
}

/// Elements of lists that may be pending at once: what is left of a run's activities is for its other steps.
const ELEMENTS_PENDING_MAX: usize = limits::PENDING_MAX - limits::STEPS_MAX;

/// How a step stands.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// It has begun, as one step and not as the elements of a list.
    begun: bool,
    /// It needs nothing any more.
    done: bool,
    /// The elements of its list that have begun.
    elements: usize,
    /// Those of them that have completed.
    completed: usize,
    /// Bytes of their outputs.
    bytes: usize,
}

/// A mapping did not fit the run's data.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn misfit(error: EvaluateError) -> Failure {
    Failure::non_retryable("Mapping", error.to_string())
}

impl<'a> Plan<'a> {
    /// The commands that begin every step that can begin, or the run's result when all are done.
    ///
    /// # Errors
    /// Why the saga cannot go on.
    pub(super) fn make(scope: RunScope<'a>, now: Timestamp) -> Result<Vec<Command>, Failure> {
        if let Some(commands) = locks(&scope)? {
            return Ok(commands);
        }
        let mut plan = Self {
            steps: progress(&scope),
            scope,
            now,
            commands: Vec::new(),
            planned: 0,
            bytes: 0,
        };
        for step in 0..plan.steps.len() {
            plan.finish_list(step)?;
        }
        plan.begin_what_is_ready()?;
        // What was only left out now is not in the history yet; the next task, right after this one, sees it.
        if plan.commands.is_empty() && plan.steps.iter().all(|step| step.done) {
            let result = plan.scope.definition.output(&plan.scope).map_err(misfit)?;
            plan.commands.push(Command::CompleteWorkflow { result });
        }
        Ok(plan.commands)
    }

    fn progress(&self, step: usize) -> Progress {
        self.steps.get(step).copied().unwrap_or_default()
    }

    /// A list is done when all of its elements are. Only when none of them is under way it is worth the evaluation.
    fn finish_list(&mut self, step: usize) -> Result<(), Failure> {
        let Progress {
            elements,
            completed,
            bytes,
            ..
        } = self.progress(step);
        if elements == 0 || completed < elements || elements < self.items(step)?.len() {
            return Ok(());
        }
        if bytes >= limits::PAYLOAD_BYTES_MAX {
            let name = self.scope.step(step).map(Step::name);
            let message = format!(
                "the outputs of step `{}` have {bytes} bytes together, more than the limit of {}",
                name.map_or("", StepName::as_str),
                limits::PAYLOAD_BYTES_MAX
            );
            return Err(Failure::non_retryable("OutputsTooLarge", message));
        }
        self.set_done(step);
        Ok(())
    }

    fn set_done(&mut self, step: usize) {
        if let Some(progress) = self.steps.get_mut(step) {
            progress.done = true;
        }
    }

    fn items(&self, step: usize) -> Result<Vec<Value>, Failure> {
        let items = self.scope.definition.items(step, &self.scope).map_err(misfit)?;
        Ok(items.unwrap_or_default())
    }

    fn begin_what_is_ready(&mut self) -> Result<(), Failure> {
        let steps = self.scope.definition.steps();
        let mut looked_at = vec![false; steps.len()];
        // A step that is left out is done at once, which may make others ready, in any order of the file.
        loop {
            let commands = self.commands.len();
            for ((index, step), looked_at) in steps.iter().enumerate().zip(&mut looked_at) {
                if *looked_at || !self.is_ready(index, step) {
                    continue;
                }
                *looked_at = true;
                self.begin(index, step)?;
            }
            if self.commands.len() == commands {
                return Ok(());
            }
        }
    }

    fn is_ready(&self, index: usize, step: &Step) -> bool {
        let progress = self.progress(index);
        let is_done = |step: &usize| self.progress(*step).done;
        !progress.done && !progress.begun && step.dependencies().iter().all(is_done)
    }

    fn begin(&mut self, index: usize, step: &Step) -> Result<(), Failure> {
        let progress = self.progress(index);
        if progress.elements == 0 && !self.scope.definition.is_wanted(index, &self.scope).map_err(misfit)? {
            self.leave_out(index, step);
            return Ok(());
        }
        match step.foreach_concurrency() {
            Some(concurrency) => self.begin_elements(index, step, progress, concurrency),
            None => {
                let wait = self.scope.definition.wait(index, self.now, &self.scope);
                let command = match wait.map_err(misfit)? {
                    Some(wait) => Command::Wait(Box::new(WaitStep {
                        name: step.name().clone(),
                        after: self.scope.after(index),
                        signal: wait.signal,
                        timeout: wait.timeout,
                        default: wait.default,
                    })),
                    None => self.schedule(index, step, step.name().clone(), &self.scope)?,
                };
                self.commands.push(command);
                Ok(())
            }
        }
    }

    fn leave_out(&mut self, index: usize, step: &Step) {
        self.commands.push(Command::SkipStep {
            name: step.name().clone(),
            after: self.scope.after(index),
        });
        self.scope.leave_out(index);
        self.set_done(index);
    }

    fn begin_elements(
        &mut self,
        index: usize,
        step: &Step,
        progress: Progress,
        concurrency: u32,
    ) -> Result<(), Failure> {
        let running = progress.elements - progress.completed;
        let room = usize::try_from(concurrency)
            .unwrap_or(usize::MAX)
            .saturating_sub(running);
        if room == 0 {
            return Ok(());
        }
        let items = self.items(index)?;
        if items.is_empty() {
            self.leave_out(index, step);
            return Ok(());
        }
        if progress.elements == 0 {
            self.check_room(step, items.len())?;
            self.planned += items.len();
        }
        for element in (progress.elements..items.len()).take(room) {
            // The others begin when some of those that are pending have ended.
            let pending = self.scope.run.activities().count() + self.commands.len();
            if pending > 0 && (pending >= ELEMENTS_PENDING_MAX || self.bytes >= limits::TURN_INPUT_BYTES_FULL) {
                break;
            }
            let scope = self.scope.with_item(Some(&items), Some(element));
            let name = instance_name(step.name(), Some(element));
            let command = self.schedule(index, step, name, &scope)?;
            if let Command::ScheduleActivity(schedule) = &command {
                self.bytes += schedule.input.data().len();
            }
            self.commands.push(command);
        }
        Ok(())
    }

    /// All steps of a run together are bounded as those of a definition are.
    fn check_room(&self, step: &Step, elements: usize) -> Result<(), Failure> {
        let steps = self.scope.definition.steps().len();
        let begun = self.scope.run.steps().count();
        let total = steps.max(begun).saturating_add(self.planned).saturating_add(elements);
        match total <= limits::STEPS_MAX {
            true => Ok(()),
            false => {
                let message = format!(
                    "the list of step `{}` has {elements} elements: with the other steps that is more than the limit of {} \
                     steps",
                    step.name(),
                    limits::STEPS_MAX
                );
                Err(Failure::non_retryable("TooManySteps", message))
            }
        }
    }

    fn schedule(&self, index: usize, step: &Step, name: StepName, scope: &RunScope<'_>) -> Result<Command, Failure> {
        let input: Payload = scope.definition.step_input(index, scope).map_err(misfit)?;
        let Some(activity_type) = step.activity_type().cloned() else {
            let message = format!("step `{name}` has nothing to do");
            return Err(Failure::non_retryable("Mapping", message));
        };
        Ok(Command::ScheduleActivity(Box::new(ScheduleActivity {
            activity_id: ActivityId::from_trusted(name.as_str()),
            activity_type,
            input,
            options: step.options().clone(),
            step: Some(StepSpec {
                name,
                after: Some(self.scope.after(index)),
                ..step.spec().clone()
            }),
        })))
    }
}

/// Looks through the run's records once: a run may have as many of them as a definition has steps.
fn progress(scope: &RunScope<'_>) -> Vec<Progress> {
    let mut steps = vec![Progress::default(); scope.definition.steps().len()];
    for record in scope.run.steps() {
        let Some((index, element)) = locate(scope.definition, record.name.as_str()) else {
            continue;
        };
        let Some(progress) = steps.get_mut(index) else {
            continue;
        };
        let output = output(record);
        match element {
            None => {
                progress.begun = true;
                progress.done = output.is_some() || record.state == StepState::Skipped;
            }
            Some(_) => {
                progress.elements += 1;
                progress.completed += usize::from(output.is_some());
                progress.bytes += output.map_or(0, |output| output.data().len() + 1);
            }
        }
    }
    steps
}

/// What there is to do about the run's locks; `None`: it has them all. They are asked for one after the other, in an order
/// that is the same for all runs, so that no two runs wait for each other.
fn locks(scope: &RunScope<'_>) -> Result<Option<Vec<Command>>, Failure> {
    if scope.run.steps().next().is_some() {
        return Ok(None);
    }
    for lock in scope.definition.locks(scope).map_err(misfit)? {
        match scope.run.lock(lock.as_str()).map(|lock| &lock.state) {
            Some(LockState::Held) => {}
            Some(LockState::Waiting) => return Ok(Some(Vec::new())),
            Some(LockState::Refused(failure)) => return Err(failure.clone()),
            None => return Ok(Some(vec![request(scope, lock)])),
        }
    }
    Ok(None)
}

fn request(scope: &RunScope<'_>, lock: LockName) -> Command {
    Command::RequestLock {
        lock,
        timeout: scope.definition.lock_timeout(),
        no_wait: !scope.definition.lock_wait(),
    }
}
