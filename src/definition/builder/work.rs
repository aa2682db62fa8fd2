//! Builders of what is done: requests, programs, child sagas, waits. Must not live here: the step around it.

use std::time::Duration;

use serde_json::Value;

use crate::model::ActivityOptions;

use super::super::authored::{Child, Exec, Http, Signal, Work};
use super::authored_options;

/// Builds a compensation, a verification or an escalation. A text is the name of a registered activity.
#[derive(Clone, Debug)]
#[must_use = "add it to a step with `compensate` or `verify`, to a saga with `escalate`"]
pub struct CompensationBuilder(pub(super) Work);

/// Builds an HTTP request. Its texts may hold `${ .. }` expressions.
#[derive(Clone, Debug)]
#[must_use = "use it in a step or a compensation"]
pub struct HttpBuilder(Http);

/// Builds a program to run. Its texts may hold `${ .. }` expressions.
#[derive(Clone, Debug)]
#[must_use = "use it in a step or a compensation"]
pub struct ExecBuilder(Exec);

/// Builds a child saga.
#[derive(Clone, Debug)]
#[must_use = "use it in a step"]
pub struct ChildBuilder(pub(super) Child);

/// Builds a wait for a signal.
#[derive(Clone, Debug)]
#[must_use = "use it in a step"]
pub struct SignalBuilder(pub(super) Signal);

impl CompensationBuilder {
    /// A registered activity.
    pub fn activity(activity: impl Into<String>) -> Self {
        Self(Work::activity(activity.into()))
    }

    /// An HTTP request.
    pub fn http(request: HttpBuilder) -> Self {
        Self(Work::http(request))
    }

    /// A program.
    pub fn exec(program: ExecBuilder) -> Self {
        Self(Work::exec(program))
    }

    /// Its activity's input: a value whose strings may hold `${ .. }` expressions. Default: the step's undo.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.0.input = Some(input.into());
        self
    }

    /// Whose workers make its attempts; those of the saga's own queue when not said otherwise.
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.0.options.task_queue = Some(task_queue.into());
        self
    }

    /// All timeouts, the retry policy and the task queue.
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

impl From<ExecBuilder> for CompensationBuilder {
    fn from(program: ExecBuilder) -> Self {
        Self::exec(program)
    }
}

impl ExecBuilder {
    /// A program and its arguments. No shell is involved.
    pub fn new<A: Into<String>>(command: impl IntoIterator<Item = A>) -> Self {
        Self(Exec {
            command: Some(command.into_iter().map(Into::into).collect()),
            ..Exec::default()
        })
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.env.insert(name.into(), value.into());
        self
    }

    /// Where it runs.
    pub fn cwd(mut self, directory: impl Into<String>) -> Self {
        self.0.cwd = Some(directory.into());
        self
    }

    /// What it reads, as JSON. Default: what a registered activity would get.
    pub fn stdin(mut self, stdin: impl Into<Value>) -> Self {
        self.0.stdin = Some(stdin.into());
        self
    }

    /// Exit codes that mean success.
    pub fn success_codes(mut self, codes: impl IntoIterator<Item = u8>) -> Self {
        self.0.success_codes = Some(codes.into_iter().collect());
        self
    }

    /// Exit codes worth another try.
    pub fn retryable_codes(mut self, codes: impl IntoIterator<Item = u8>) -> Self {
        self.0.retryable_codes = Some(codes.into_iter().collect());
        self
    }

    /// Exit codes that mean "refused, nothing happened".
    pub fn not_applied_codes(mut self, codes: impl IntoIterator<Item = u8>) -> Self {
        self.0.not_applied_codes = Some(codes.into_iter().collect());
        self
    }

    /// Its output is a text, not JSON.
    pub fn text_output(mut self) -> Self {
        self.0.output = Some("text".to_owned());
        self
    }
}

impl ChildBuilder {
    /// The saga with this name, or `name@version`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Child {
            name: Some(name.into()),
            ..Child::default()
        })
    }

    /// Its input: a value whose strings may hold `${ .. }` expressions. Default: the saga's input.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.0.input = Some(input.into());
        self
    }

    /// Its workflow id. Default: this run's id and the step's name.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = Some(id.into());
        self
    }
}

impl SignalBuilder {
    /// The signal with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Signal {
            name: Some(name.into()),
            ..Signal::default()
        })
    }

    /// How long it is waited for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = Some(timeout);
        self
    }

    /// The step's output when no signal comes in time. Without one the step fails then.
    pub fn default(mut self, default: impl Into<Value>) -> Self {
        self.0.default = Some(default.into());
        self
    }
}

impl Work {
    pub(super) fn activity(activity: String) -> Self {
        Self {
            activity: Some(activity),
            ..Self::default()
        }
    }

    pub(super) fn http(request: HttpBuilder) -> Self {
        Self {
            http: Some(request.0),
            ..Self::default()
        }
    }

    pub(super) fn exec(program: ExecBuilder) -> Self {
        Self {
            exec: Some(program.0),
            ..Self::default()
        }
    }
}
