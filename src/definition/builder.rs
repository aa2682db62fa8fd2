//! Definitions written in Rust. Lives here: builders that collect what a file would say. Must not live here: checks; a
//! built definition goes through the same ones as a file.

mod step;
mod work;

use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityOptions, ChoiceKind, InFlight, RetryPolicy, TaskQueue};

use super::authored::{self, OnAmbiguous, Options, Retry};
use super::load::{ParseOptions, check};
use super::locations::Problems;
use super::problem::{CheckReport, DefinitionError};
use super::saga::SagaDefinition;

pub use step::StepBuilder;
pub use work::{ChildBuilder, CompensationBuilder, ExecBuilder, HttpBuilder, SignalBuilder};

/// Builds a [`SagaDefinition`]; see [`SagaDefinition::builder`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct SagaBuilder(authored::Saga);

impl SagaDefinition {
    /// Begins a definition of this workflow type.
    ///
    /// ```
    /// use amends::definition::{SagaDefinition, Step};
    ///
    /// let saga = SagaDefinition::builder("place-order")
    ///     .step(Step::activity("reserve", "reserve_inventory").compensate("release_inventory"))
    ///     .step(Step::activity("ship", "ship_order").pivot())
    ///     .step(Step::activity("notify", "send_receipt").retriable())
    ///     .build()?;
    /// assert_eq!(saga.steps().len(), 3);
    /// # Ok::<(), amends::definition::DefinitionError>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> SagaBuilder {
        SagaBuilder(authored::Saga {
            name: Some(name.into()),
            ..authored::Saga::default()
        })
    }
}

impl SagaBuilder {
    /// The author's version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.0.version = Some(version.into());
        self
    }

    /// What the saga does, for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.0.description = Some(description.into());
        self
    }

    /// The task queue of its runs: whose workers decide for them, and do what names no other queue.
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.0.task_queue = Some(task_queue.into());
        self
    }

    /// How long a run may take when its start does not say so.
    pub fn run_timeout(mut self, run_timeout: Duration) -> Self {
        self.0.run_timeout = Some(run_timeout);
        self
    }

    /// A value that expressions read as `config.<key>`.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.config.insert(key.into(), value.into());
        self
    }

    /// Timeouts and retry policy of steps that do not say otherwise.
    pub fn defaults(mut self, options: &ActivityOptions) -> Self {
        self.0.defaults = authored_options(options);
        self
    }

    /// Timeouts and retry policy of compensations that do not say otherwise.
    pub fn compensation_defaults(mut self, options: &ActivityOptions) -> Self {
        self.0.compensation_defaults = authored_options(options);
        self
    }

    /// Asks a person about steps of which nobody knows whether they had their effect, unless they say otherwise.
    pub fn ask_when_ambiguous(mut self) -> Self {
        self.0.default_on_ambiguous = Some(OnAmbiguous::Ask);
        self
    }

    /// Does not wait for running attempts when the saga turns back, unless a step says otherwise.
    pub fn fence_when_turning_back(mut self) -> Self {
        self.0.default_in_flight = Some(InFlight::Fence);
        self
    }

    /// How long undoing everything may take until a person is called.
    pub fn unwind_timeout(mut self, timeout: Duration) -> Self {
        self.0.unwind_timeout = Some(timeout);
        self
    }

    /// How many compensations run at once at most.
    pub fn unwind_parallel(mut self, compensations: u32) -> Self {
        self.0.unwind_parallel = Some(compensations);
        self
    }

    /// Tells somebody, so long after the saga got stuck. A text is the name of a registered activity, which gets a
    /// [`StuckNotice`](crate::model::StuckNotice); mappings read it as `notice`.
    pub fn escalate(mut self, after: Duration, work: impl Into<CompensationBuilder>) -> Self {
        self.0.stuck.escalate_after = (!after.is_zero()).then_some(after);
        self.0.stuck.escalate = Some(work.into().0);
        self
    }

    /// What is decided when no person has, so long after the saga got stuck.
    pub fn decide(mut self, after: Duration, choice: ChoiceKind) -> Self {
        self.0.stuck.decide_after = Some(after);
        self.0.stuck.decide = Some(choice.as_str().to_owned());
        self
    }

    /// A lock that a run holds from before its first step until it ends: a text that may hold `${ .. }` expressions.
    pub fn lock(mut self, lock: impl Into<String>) -> Self {
        self.0.locks.push(lock.into());
        self
    }

    /// How long a run waits for each of its locks.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.0.lock_timeout = Some(timeout);
        self
    }

    /// A run whose lock is not free fails at once.
    pub fn no_lock_wait(mut self) -> Self {
        self.0.lock_wait = Some(false);
        self
    }

    /// What runs can be found by: a value whose strings may hold `${ .. }` expressions of `input` and `config`.
    pub fn search_attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.search_attributes.insert(name.into(), value.into());
        self
    }

    /// The JSON Schema that a run's input must fit.
    pub fn input_schema(mut self, schema: impl Into<Value>) -> Self {
        self.0.input_schema = Some(schema.into());
        self
    }

    /// A secret that requests and programs may have embedded, as `secret.<name>`.
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.0.secrets.push(name.into());
        self
    }

    /// Adds a step. Unless it says otherwise, it runs after the step added before it.
    pub fn step(mut self, step: StepBuilder) -> Self {
        self.0.steps.push(step.0);
        self
    }

    /// The saga's result: a value whose strings may hold `${ .. }` expressions.
    pub fn output(mut self, output: impl Into<Value>) -> Self {
        self.0.output = Some(output.into());
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn build(self) -> Result<SagaDefinition, DefinitionError> {
        self.build_with(&ParseOptions::default())
            .map(|(definition, _)| definition)
    }

    /// Checks the definition with options; returns it and the warnings.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn build_with(self, options: &ParseOptions<'_>) -> Result<(SagaDefinition, CheckReport), DefinitionError> {
        let name = self.0.name.clone().unwrap_or_default();
        check(&name, &self.0, options, Problems::default())
    }
}

fn authored_options(options: &ActivityOptions) -> Options {
    Options {
        start_to_close: options.start_to_close,
        schedule_to_close: options.schedule_to_close,
        schedule_to_start: options.schedule_to_start,
        heartbeat: options.heartbeat,
        retry: authored_retry(&options.retry),
        task_queue: options.task_queue.as_ref().map(TaskQueue::to_string),
    }
}

fn authored_retry(policy: &RetryPolicy) -> Retry {
    let longest = policy.initial_interval.saturating_mul(100);
    Retry {
        initial_interval: Some(policy.initial_interval),
        coefficient: Some(policy.backoff_coefficient),
        maximum_interval: Some(policy.maximum_interval.unwrap_or(longest)),
        maximum_attempts: Some(policy.maximum_attempts),
        non_retryable: Some(policy.non_retryable_types.clone()),
    }
}
