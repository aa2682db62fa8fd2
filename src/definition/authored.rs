//! What an author wrote. Lives here: a definition's parts as plain data, each optional, as a file or a builder gave
//! them. Must not live here: checks, defaults, positions or file formats.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::StepKind;

/// A whole definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saga {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) run_timeout: Option<Duration>,
    pub(super) config: BTreeMap<String, Value>,
    pub(super) defaults: Options,
    pub(super) compensation_defaults: Options,
    pub(super) steps: Vec<Step>,
    pub(super) output: Option<Value>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub(super) name: Option<String>,
    pub(super) kind: StepKind,
    /// `None`: the step before it in the file.
    pub(super) after: Option<Vec<String>>,
    pub(super) work: Work,
    pub(super) compensation: Compensation,
}

/// How a step is undone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Compensation {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// There is nothing to undo, as the author knows.
    Nothing,
    /// By doing this.
    Work(Box<Work>),
}

/// What a step or a compensation does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Work {
    pub(super) activity: Option<String>,
    pub(super) http: Option<Http>,
    pub(super) input: Option<Value>,
    pub(super) options: Options,
}

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Http {
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
    pub(super) success_statuses: Option<Vec<u16>>,
    pub(super) retryable_statuses: Option<Vec<u16>>,
    pub(super) not_applied_statuses: Option<Vec<u16>>,
}

/// Timeouts and retry policy; whatever is absent comes from the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    pub(super) start_to_close: Option<Duration>,
    pub(super) schedule_to_close: Option<Duration>,
    pub(super) schedule_to_start: Option<Duration>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) retry: Retry,
}

/// A retry policy; whatever is absent comes from the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Retry {
    pub(super) initial_interval: Option<Duration>,
    pub(super) coefficient: Option<f64>,
    pub(super) maximum_interval: Option<Duration>,
    pub(super) maximum_attempts: Option<u32>,
    pub(super) non_retryable: Option<Vec<String>>,
}
