//! Builders of steps. Must not live here: what steps do (that is `work`).

use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityOptions, InFlight, RetryPolicy, StepKind};

use super::super::authored::{self, Compensation, Foreach, OnAmbiguous, Timer, Work};
use super::super::saga::Step;
use super::work::{ChildBuilder, CompensationBuilder, ExecBuilder, HttpBuilder, SignalBuilder};
use super::{authored_options, authored_retry};

/// Builds one step; see [`Step::activity`] and [`Step::http`].
#[derive(Clone, Debug)]
#[must_use = "add it to a saga with `step`"]
pub struct StepBuilder(pub(super) authored::Step);

impl Step {
    /// A step that runs a registered activity.
    pub fn activity(name: impl Into<String>, activity: impl Into<String>) -> StepBuilder {
        StepBuilder::new(name.into(), Work::activity(activity.into()))
    }

    /// A step that sends an HTTP request.
    pub fn http(name: impl Into<String>, request: HttpBuilder) -> StepBuilder {
        StepBuilder::new(name.into(), Work::http(request))
    }

    /// A step that runs a program.
    pub fn exec(name: impl Into<String>, program: ExecBuilder) -> StepBuilder {
        StepBuilder::new(name.into(), Work::exec(program))
    }

    /// A step that runs another saga.
    pub fn saga(name: impl Into<String>, child: ChildBuilder) -> StepBuilder {
        let work = Work {
            saga: Some(child.0),
            ..Work::default()
        };
        StepBuilder::new(name.into(), work)
    }

    /// A step that waits for a signal; its output is what comes with it.
    pub fn signal(name: impl Into<String>, signal: SignalBuilder) -> StepBuilder {
        let work = Work {
            signal: Some(signal.0),
            ..Work::default()
        };
        StepBuilder::new(name.into(), work)
    }

    /// A step that waits for so long.
    pub fn timer(name: impl Into<String>, after: Duration) -> StepBuilder {
        let timer = Timer {
            after: Some(after),
            until: None,
        };
        StepBuilder::waiting(name.into(), timer)
    }

    /// A step that waits until a time: an RFC 3339 text, seconds since 1970, or an expression with one of these.
    pub fn timer_until(name: impl Into<String>, until: impl Into<Value>) -> StepBuilder {
        let timer = Timer {
            after: None,
            until: Some(until.into()),
        };
        StepBuilder::waiting(name.into(), timer)
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

    fn waiting(name: String, timer: Timer) -> Self {
        let work = Work {
            timer: Some(timer),
            ..Work::default()
        };
        Self::new(name, work)
    }

    /// Makes it the go/no-go step: once it has succeeded, the saga only goes forward.
    pub fn pivot(mut self) -> Self {
        self.0.kind = Some(StepKind::Pivot);
        self
    }

    /// Makes it a step after the pivot, retried until it succeeds.
    pub fn retriable(mut self) -> Self {
        self.0.kind = Some(StepKind::Retriable);
        self
    }

    /// The steps that must have completed before it starts; none: it starts with the saga.
    pub fn after<N: Into<String>>(mut self, steps: impl IntoIterator<Item = N>) -> Self {
        self.0.after = Some(steps.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves it out unless this `${ .. }` expression is true; its output is null then, and what comes after it goes on.
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.0.when = Some(condition.into());
        self
    }

    /// Does it for each element of the list that this `${ .. }` expression gives, so many at once at most. Mappings read
    /// the element as `item` and its place as `index`; the step's output is the list of the outputs.
    pub fn foreach(mut self, items: impl Into<String>, concurrency: u32) -> Self {
        self.0.foreach = Some(Foreach {
            items: Some(items.into()),
            concurrency: Some(concurrency),
        });
        self
    }

    /// Asks the participant whether it had its effect when nobody knows. A text is the name of a registered activity.
    pub fn verify(mut self, verification: impl Into<CompensationBuilder>) -> Self {
        self.0.on_ambiguous = Some(OnAmbiguous::Verify(Box::new(verification.into().0)));
        self
    }

    /// Asks a person whether it had its effect when nobody knows.
    pub fn ask_when_ambiguous(mut self) -> Self {
        self.0.on_ambiguous = Some(OnAmbiguous::Ask);
        self
    }

    /// Does not wait for its running attempt when the saga turns back: its late result is refused.
    pub fn fence(mut self) -> Self {
        self.0.in_flight = Some(InFlight::Fence);
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

    /// Whose workers make its attempts; those of the saga's own queue when not said otherwise. For a child saga: the queue
    /// of its run.
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.0.work.options.task_queue = Some(task_queue.into());
        self
    }

    /// When failed attempts are tried again.
    pub fn retry(mut self, policy: &RetryPolicy) -> Self {
        self.0.work.options.retry = authored_retry(policy);
        self
    }

    /// All timeouts, the retry policy and the task queue.
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
