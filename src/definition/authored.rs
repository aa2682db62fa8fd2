//! What an author wrote. Lives here: a definition's parts as plain data, each optional, as a file or a builder gave
//! them. Must not live here: checks, defaults, positions or file formats.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityLimits, InFlight, StepKind};

/// A whole definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saga {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) task_queue: Option<String>,
    pub(super) run_timeout: Option<Duration>,
    pub(super) unwind_timeout: Option<Duration>,
    pub(super) unwind_parallel: Option<u32>,
    pub(super) stuck: Stuck,
    pub(super) locks: Vec<String>,
    pub(super) lock_timeout: Option<Duration>,
    pub(super) lock_wait: Option<bool>,
    pub(super) search_attributes: BTreeMap<String, Value>,
    pub(super) input_schema: Option<Value>,
    pub(super) secrets: Vec<String>,
    pub(super) config: BTreeMap<String, Value>,
    /// By activity type; they are the engine's, not a run's, and no part of what is journaled.
    pub(super) activity_limits: BTreeMap<String, ActivityLimits>,
    pub(super) defaults: Options,
    pub(super) compensation_defaults: Options,
    pub(super) default_on_ambiguous: Option<OnAmbiguous>,
    pub(super) default_in_flight: Option<InFlight>,
    pub(super) steps: Vec<Step>,
    pub(super) output: Option<Value>,
}

/// What happens when a person is needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stuck {
    pub(super) escalate_after: Option<Duration>,
    pub(super) escalate: Option<Work>,
    pub(super) decide_after: Option<Duration>,
    pub(super) decide: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub(super) name: Option<String>,
    /// `None`: compensatable.
    pub(super) kind: Option<StepKind>,
    /// `None`: the step before it in the file.
    pub(super) after: Option<Vec<String>>,
    pub(super) when: Option<String>,
    pub(super) foreach: Option<Foreach>,
    pub(super) work: Work,
    pub(super) compensation: Compensation,
    pub(super) on_ambiguous: Option<OnAmbiguous>,
    pub(super) in_flight: Option<InFlight>,
}

/// One step for each element of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Foreach {
    pub(super) items: Option<String>,
    pub(super) concurrency: Option<u32>,
}

/// What to do when nobody knows whether a step had its effect.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OnAmbiguous {
    /// Undo it.
    Compensate,
    /// Ask a person.
    Ask,
    /// Ask the participant, by this.
    Verify(Box<Work>),
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

/// What a step, a compensation, a verification or an escalation does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Work {
    pub(super) activity: Option<String>,
    pub(super) http: Option<Http>,
    pub(super) exec: Option<Exec>,
    pub(super) saga: Option<Child>,
    pub(super) signal: Option<Signal>,
    pub(super) timer: Option<Timer>,
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

/// One program to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Exec {
    pub(super) command: Option<Vec<String>>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) cwd: Option<String>,
    pub(super) stdin: Option<Value>,
    pub(super) success_codes: Option<Vec<u8>>,
    pub(super) retryable_codes: Option<Vec<u8>>,
    pub(super) not_applied_codes: Option<Vec<u8>>,
    pub(super) output: Option<String>,
}

/// Another saga.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Child {
    pub(super) name: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) id: Option<String>,
}

/// Waiting for a signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Signal {
    pub(super) name: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) default: Option<Value>,
}

/// Waiting for a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Timer {
    pub(super) after: Option<Duration>,
    pub(super) until: Option<Value>,
}

/// Timeouts, retry policy and task queue; whatever is absent comes from the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    pub(super) start_to_close: Option<Duration>,
    pub(super) schedule_to_close: Option<Duration>,
    pub(super) schedule_to_start: Option<Duration>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) retry: Retry,
    /// `None`: that of the run.
    pub(super) task_queue: Option<String>,
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
