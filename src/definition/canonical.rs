//! The journaled form of a definition: JSON with every default and config value resolved. Lives here: its shape, which
//! is frozen per format version, and how it is written and read. Must not live here: what a file or a builder accepts.
//!
//! A run is evaluated from these bytes as long as it lives, whatever later versions of amends refuse in a file. So a
//! change of this shape is a new format number, and reading every older number stays.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::{ActivityOptions, DefinitionDigest, InFlight, RetryPolicy, StepKind, TaskQueue};

mod work;

pub(super) use work::{Action, Child, Exec, Http, Signal, Timer, Work};

/// The format number that is written.
const FORMAT: u32 = 1;

/// A whole definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saga {
    format: u32,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) task_queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run_timeout_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unwind_timeout_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unwind_parallel: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) stuck: Stuck,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) locks: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lock_timeout_us: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) lock_no_wait: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) search_attributes: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(super) input_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) config: BTreeMap<String, Value>,
    pub(super) steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(super) output: Option<Value>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) kind: StepKind,
    pub(super) after: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) foreach: Option<Foreach>,
    pub(super) work: Work,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compensation: Option<Work>,
    /// `None`: it is compensated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_ambiguous: Option<OnAmbiguous>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) in_flight: InFlight,
}

/// One step for each element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Foreach {
    pub(super) items: String,
    pub(super) concurrency: u32,
}

/// How it is found out whether a step had its effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnAmbiguous {
    Ask,
    Verify(Box<Work>),
}

/// What happens when a person is needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stuck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) escalate: Option<Work>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) escalate_after_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decide: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) decide_after_us: u64,
}

/// Timeouts (in microseconds), retry policy and task queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    start_to_close_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule_to_close_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule_to_start_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heartbeat_us: Option<u64>,
    initial_interval_us: u64,
    coefficient: f64,
    maximum_interval_us: u64,
    maximum_attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    non_retryable: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_queue: Option<String>,
}

/// The canonical bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the canonical form is not readable: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the canonical form has format {found}, this version of amends reads up to {FORMAT}; upgrade amends")]
    Format { found: u32 },
}

impl Saga {
    /// A definition with nothing but a name.
    pub(super) fn named(name: String) -> Self {
        Self {
            format: FORMAT,
            name,
            version: None,
            description: None,
            task_queue: None,
            run_timeout_us: None,
            unwind_timeout_us: None,
            unwind_parallel: None,
            stuck: Stuck::default(),
            locks: Vec::new(),
            lock_timeout_us: None,
            lock_no_wait: false,
            search_attributes: BTreeMap::new(),
            input_schema: None,
            secrets: Vec::new(),
            config: BTreeMap::new(),
            steps: Vec::new(),
            output: None,
        }
    }

    /// The bytes. The same definition gives the same bytes on every machine and in every build.
    pub(super) fn to_bytes(&self) -> Bytes {
        let text = serde_json::to_vec(self).expect("strings, finite numbers and maps with string keys are JSON");
        Bytes::from(text)
    }

    /// Reads bytes of this or any older format.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let Header { format } = serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(ReadError::Format { found: format });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The name that these bytes have for ever.
pub(super) fn digest(bytes: &[u8]) -> DefinitionDigest {
    DefinitionDigest(Sha256::digest(bytes).into())
}

/// The same value with the keys of every object in order. serde_json keeps them in order by itself, unless some crate
/// in the user's build turns its `preserve_order` feature on.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let in_order: BTreeMap<String, Value> = map.into_iter().collect();
            in_order.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(elements) => elements.into_iter().map(sorted).collect(),
        other => other,
    }
}

impl From<&ActivityOptions> for Options {
    fn from(options: &ActivityOptions) -> Self {
        let retry = &options.retry;
        Self {
            start_to_close_us: micros(options.start_to_close()),
            schedule_to_close_us: options.schedule_to_close.map(micros),
            schedule_to_start_us: options.schedule_to_start.map(micros),
            heartbeat_us: options.heartbeat.map(micros),
            initial_interval_us: micros(retry.initial_interval),
            coefficient: retry.backoff_coefficient,
            // Written out, so that the policy means the same should the default ever change.
            maximum_interval_us: micros(
                retry
                    .maximum_interval
                    .unwrap_or_else(|| retry.initial_interval.saturating_mul(100)),
            ),
            maximum_attempts: retry.maximum_attempts,
            non_retryable: retry.non_retryable_types.clone(),
            task_queue: options.task_queue.as_ref().map(TaskQueue::to_string),
        }
    }
}

impl From<&Options> for ActivityOptions {
    fn from(options: &Options) -> Self {
        Self {
            start_to_close: Some(Duration::from_micros(options.start_to_close_us)),
            schedule_to_close: options.schedule_to_close_us.map(Duration::from_micros),
            schedule_to_start: options.schedule_to_start_us.map(Duration::from_micros),
            heartbeat: options.heartbeat_us.map(Duration::from_micros),
            retry: RetryPolicy {
                initial_interval: Duration::from_micros(options.initial_interval_us),
                backoff_coefficient: options.coefficient,
                maximum_interval: Some(Duration::from_micros(options.maximum_interval_us)),
                maximum_attempts: options.maximum_attempts,
                non_retryable_types: options.non_retryable.clone(),
            },
            task_queue: options.task_queue.as_deref().map(TaskQueue::from_trusted),
        }
    }
}

/// A duration in whole microseconds, the journal's resolution.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Keeps a written `null` apart from an absent key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
