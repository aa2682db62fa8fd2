//! What is done, in the journaled form: activities and the kinds that amends brings along. Must not live here: when it
//! is done, or for whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Options, present};

/// What a step, a compensation, a verification or an escalation does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct Work {
    pub(in crate::definition) action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(in crate::definition) input: Option<Value>,
    /// `None`: it waits, which no attempt is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::definition) options: Option<Options>,
}

/// One of the things that can be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::definition) enum Action {
    /// A registered activity by name.
    Activity(String),
    /// An HTTP request.
    Http(Http),
    /// A program.
    Exec(Exec),
    /// Another saga.
    Saga(Child),
    /// Waiting for a signal.
    Signal(Signal),
    /// Waiting for a time.
    Timer(Timer),
}

/// One HTTP request, its texts still templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct Http {
    pub(in crate::definition) method: String,
    pub(in crate::definition) url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::definition) headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(in crate::definition) body: Option<Value>,
    pub(in crate::definition) success_statuses: Vec<u16>,
    pub(in crate::definition) retryable_statuses: Vec<u16>,
    pub(in crate::definition) not_applied_statuses: Vec<u16>,
}

/// One program, its texts still templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct Exec {
    pub(in crate::definition) command: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::definition) env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::definition) cwd: Option<String>,
    pub(in crate::definition) stdin: Value,
    pub(in crate::definition) success_codes: Vec<u8>,
    pub(in crate::definition) retryable_codes: Vec<u8>,
    pub(in crate::definition) not_applied_codes: Vec<u8>,
    pub(in crate::definition) output: super::super::exec::ExecOutput,
}

/// Another saga as a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct Child {
    pub(in crate::definition) name: String,
    /// `None`: this run's id and the step's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::definition) id: Option<String>,
    pub(in crate::definition) input: Value,
}

/// Waiting for a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct Signal {
    pub(in crate::definition) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::definition) timeout_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(in crate::definition) default: Option<Value>,
}

/// Waiting for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Timer {
    /// So many microseconds.
    AfterUs(u64),
    /// Until the time that this evaluates to.
    Until(Value),
}
