//! Definitions written in Rust. Lives here: builders that collect what a file would say. Must not live here: checks; a
//! built definition goes through the same ones as a file.

use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityOptions, RetryPolicy, StepKind};

use super::authored::{self, Compensation, Http, Options, Retry, Work};
use super::load::{ParseOptions, check};
use super::locations::Problems;
use super::problem::{CheckReport, DefinitionError};
use super::saga::{SagaDefinition, Step};

/// Builds a [`SagaDefinition`]; see [`SagaDefinition::builder`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct SagaBuilder(authored::Saga);

/// Builds one step; see [`Step::activity`] and [`Step::http`].
#[derive(Clone, Debug)]
#[must_use = "add it to a saga with `step`"]
pub struct StepBuilder(authored::Step);

/// Builds a compensation. A text is the name of a registered activity.
#[derive(Clone, Debug)]
#[must_use = "add it to a step with `compensate`"]
pub struct CompensationBuilder(Work);

/// Builds an HTTP request. Its texts may hold `${ .. }` expressions.
#[derive(Clone, Debug)]
#[must_use = "use it in a step or a compensation"]
pub struct HttpBuilder(Http);

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

impl Step {
    /// A step that runs a registered activity.
    pub fn activity(name: impl Into<String>, activity: impl Into<String>) -> StepBuilder {
        StepBuilder::new(name.into(), Work::activity(activity.into()))
    }

    /// A step that sends an HTTP request.
    pub fn http(name: impl Into<String>, request: HttpBuilder) -> StepBuilder {
        StepBuilder::new(name.into(), Work::http(request))
    }
}

impl StepBuilder {
    fn new(name: String, work: Work) -> Self {
        Self(authored::Step {
            name: Some(name),
            work,
            ..authored::Step::default()
        })
    }

    /// Makes it the go/no-go step: once it has succeeded, the saga only goes forward.
    pub fn pivot(mut self) -> Self {
        self.0.kind = StepKind::Pivot;
        self
    }

    /// Makes it a step after the pivot, retried until it succeeds.
    pub fn retriable(mut self) -> Self {
        self.0.kind = StepKind::Retriable;
        self
    }

    /// The steps that must have completed before it starts; none: it starts with the saga.
    pub fn after<N: Into<String>>(mut self, steps: impl IntoIterator<Item = N>) -> Self {
        self.0.after = Some(steps.into_iter().map(Into::into).collect());
        self
    }

    /// Its activity's input: a value whose strings may hold `${ .. }` expressions. Default: the saga's input.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.0.work.input = Some(input.into());
        self
    }

    /// The time for one attempt.
    pub fn start_to_close(mut self, timeout: Duration) -> Self {
        self.0.work.options.start_to_close = Some(timeout);
        self
    }

    /// When failed attempts are tried again.
    pub fn retry(mut self, policy: &RetryPolicy) -> Self {
        self.0.work.options.retry = authored_retry(policy);
        self
    }

    /// All timeouts and the retry policy.
    pub fn options(mut self, options: &ActivityOptions) -> Self {
        self.0.work.options = authored_options(options);
        self
    }

    /// How it is undone.
    pub fn compensate(mut self, compensation: impl Into<CompensationBuilder>) -> Self {
        self.0.compensation = Compensation::Work(Box::new(compensation.into().0));
        self
    }

    /// Says that there is nothing to undo.
    pub fn nothing_to_compensate(mut self) -> Self {
        self.0.compensation = Compensation::Nothing;
        self
    }
}

impl CompensationBuilder {
    /// A registered activity.
    pub fn activity(activity: impl Into<String>) -> Self {
        Self(Work::activity(activity.into()))
    }

    /// An HTTP request.
    pub fn http(request: HttpBuilder) -> Self {
        Self(Work::http(request))
    }

    /// Its activity's input: a value whose strings may hold `${ .. }` expressions. Default: the step's undo.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.0.input = Some(input.into());
        self
    }

    /// All timeouts and the retry policy.
    pub fn options(mut self, options: &ActivityOptions) -> Self {
        self.0.options = authored_options(options);
        self
    }
}

impl From<&str> for CompensationBuilder {
    fn from(activity: &str) -> Self {
        Self::activity(activity)
    }
}

impl From<String> for CompensationBuilder {
    fn from(activity: String) -> Self {
        Self::activity(activity)
    }
}

impl From<HttpBuilder> for CompensationBuilder {
    fn from(request: HttpBuilder) -> Self {
        Self::http(request)
    }
}

impl HttpBuilder {
    /// A request with this method (`GET`, `POST`, ...) to this URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self(Http {
            method: Some(method.into()),
            url: Some(url.into()),
            ..Http::default()
        })
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.insert(name.into(), value.into());
        self
    }

    /// What is sent, as JSON.
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Statuses that mean success, beside 200 to 299.
    pub fn success_statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.0.success_statuses = Some(statuses.into_iter().collect());
        self
    }

    /// Statuses worth another try.
    pub fn retryable_statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.0.retryable_statuses = Some(statuses.into_iter().collect());
        self
    }

    /// Statuses that mean "refused, nothing happened".
    pub fn not_applied_statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.0.not_applied_statuses = Some(statuses.into_iter().collect());
        self
    }
}

impl Work {
    fn activity(activity: String) -> Self {
        Self {
            activity: Some(activity),
            ..Self::default()
        }
    }

    fn http(request: HttpBuilder) -> Self {
        Self {
            http: Some(request.0),
            ..Self::default()
        }
    }
}

fn authored_options(options: &ActivityOptions) -> Options {
    Options {
        start_to_close: Some(options.start_to_close),
        schedule_to_close: options.schedule_to_close,
        schedule_to_start: options.schedule_to_start,
        heartbeat: options.heartbeat,
        retry: authored_retry(&options.retry),
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
