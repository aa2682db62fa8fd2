//! `exec` steps as activities. Lives here: the program that such an activity gets as its input, and what an exit code
//! means. Must not live here: running anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The activity type that executes `exec` steps; no registered activity may have this name.
pub const EXEC_ACTIVITY: &str = "amends.exec";

/// Done.
pub(super) const SUCCESS_CODES: [u8; 1] = [0];

/// `EX_TEMPFAIL` of sysexits.h: try again later.
pub(super) const RETRYABLE_CODES: [u8; 1] = [75];

/// `EX_USAGE` of sysexits.h: wrong arguments, so that the program has not begun. The other codes there complain about what
/// may have been found out half way.
pub(super) const NOT_APPLIED_CODES: [u8; 1] = [64];

/// Variables that amends sets itself begin so.
pub(super) const RESERVED_ENV: &str = "AMENDS_";

/// The input of an [`EXEC_ACTIVITY`]: one program, ready to be run, and how to read its exit code.
///
/// Whoever runs it adds what belongs to the attempt to the environment: the idempotency key, the attempt's number, and
/// the ids of workflow, run and activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The program and its arguments. No shell is involved.
    pub command: Vec<String>,
    /// Variables beside those that the engine passes on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where it runs. `None`: where the engine does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Given to it as JSON.
    #[serde(default)]
    pub stdin: Value,
    /// Exit codes that mean success.
    pub success_codes: Vec<u8>,
    /// Exit codes worth another try.
    #[serde(default)]
    pub retryable_codes: Vec<u8>,
    /// Exit codes that mean "refused, nothing happened": not retried, and the step itself needs no compensation.
    #[serde(default)]
    pub not_applied_codes: Vec<u8>,
    /// What its standard output is.
    #[serde(default)]
    pub output: ExecOutput,
}

/// What the standard output of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecOutput {
    /// JSON; nothing at all is null.
    #[default]
    Json,
    /// A text, without the line break at its end.
    Text,
}

/// What a program's exit code means for the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecVerdict {
    /// It is done; standard output is the step's output.
    Success,
    /// A failure that is worth another try.
    Retryable,
    /// A failure that is not retried, and the program is sure that nothing happened.
    NotApplied,
    /// A failure that is not retried; whether something happened is unknown.
    Failed,
}

impl ExecRequest {
    /// What this exit code means. A code in several lists counts for the first of: success, retryable, not applied.
    #[must_use]
    pub fn verdict(&self, code: i32) -> ExecVerdict {
        let is_in = |codes: &[u8]| codes.iter().any(|listed| i32::from(*listed) == code);
        if is_in(&self.success_codes) {
            ExecVerdict::Success
        } else if is_in(&self.retryable_codes) {
            ExecVerdict::Retryable
        } else if is_in(&self.not_applied_codes) {
            ExecVerdict::NotApplied
        } else {
            ExecVerdict::Failed
        }
    }
}

/// Whether a text can be the name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['=', '\0'])
}
