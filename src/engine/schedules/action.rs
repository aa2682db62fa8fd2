//! What a schedule starts, again and again. Must not live here: when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Payload, PayloadError, RetryPolicy, SearchAttributeError, SearchAttributeTypes, SearchAttributeValue,
    SearchAttributes, TaskQueue, ToPayload, WorkflowId, WorkflowType, check_memo, limits,
};
use crate::sdk::{WorkflowDefinition, WorkflowFunction};

use super::super::{Error, Starter};

/// What a schedule starts, again and again: a workflow, its input, and what else a start may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleAction {
    /// The workflow's type, or the definition's.
    pub workflow_type: String,
    /// What the runs' workflow ids begin with; the time that a run stands for follows.
    pub workflow_id: String,
    /// The runs' input.
    pub input: Value,
    /// How long each run may take, with all that follow it.
    #[serde(default)]
    pub execution_timeout: Option<Duration>,
    /// How long a single run may take.
    #[serde(default)]
    pub run_timeout: Option<Duration>,
    /// Whose workers take the runs; `None`: the queue that the workflow names.
    #[serde(default)]
    pub task_queue: Option<String>,
    /// When a run that fails is followed by another one.
    #[serde(default, with = "retry")]
    pub retry_policy: Option<RetryPolicy>,
    /// What the runs are shown with.
    #[serde(default)]
    pub memo: BTreeMap<String, Value>,
    /// What the runs are found by, as JSON: typed as those of a definition are.
    #[serde(default)]
    pub search_attributes: BTreeMap<String, Value>,
}

impl ScheduleAction {
    /// Runs of a workflow function; their workflow ids are `workflow_id` and a time: `report-2026-11-27T09:00:00Z`.
    ///
    /// # Errors
    /// When the function has no name that a workflow could have, or the input is not JSON or too large.
    pub fn of<M, F>(function: &F, workflow_id: impl Into<String>, input: &F::Input) -> Result<Self, Error>
    where
        F: WorkflowFunction<M>,
        F::Input: ToPayload,
    {
        let workflow_type = WorkflowDefinition::type_of(function).map_err(|error| Error::Registry(vec![error]))?;
        Ok(Self::by_name(
            workflow_type.as_str(),
            workflow_id,
            Payload::of(input)?.to()?,
        ))
    }

    /// Runs of a definition, or of a workflow that is known by its name only.
    #[must_use]
    pub fn by_name(workflow_type: impl Into<String>, workflow_id: impl Into<String>, input: Value) -> Self {
        Self {
            workflow_type: workflow_type.into(),
            workflow_id: workflow_id.into(),
            input,
            execution_timeout: None,
            run_timeout: None,
            task_queue: None,
            retry_policy: None,
            memo: BTreeMap::new(),
            search_attributes: BTreeMap::new(),
        }
    }

    /// How long each run may take, with all that follow it by its retry policy or its code.
    #[must_use]
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.execution_timeout = Some(timeout);
        self
    }

    /// How long a single run may take; then it ends, undoing its saga steps.
    #[must_use]
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = Some(timeout);
        self
    }

    /// Whose workers take the runs, instead of the queue that the workflow names.
    #[must_use]
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = Some(task_queue.into());
        self
    }

    /// Has a run that fails followed by another one. The schedule waits for the end of the last.
    #[must_use]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = Some(policy);
        self
    }

    /// Something that the runs are shown with.
    #[must_use]
    pub fn memo(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.memo.insert(name.into(), value.into());
        self
    }

    /// Something that the runs are found by. It has the type that was registered for it, or that of the JSON value.
    #[must_use]
    pub fn search_attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.search_attributes.insert(name.into(), value.into());
        self
    }

    /// Its names can be names, and leave room for what follows them; its input leaves room for the schedule beside it; what the
    /// runs are to have is not too much.
    pub(super) fn check(&self) -> Result<(), Error> {
        WorkflowType::new(&self.workflow_type)?;
        let longest = format!(
            "{}-0000-00-00T00:00:00.000000Z-{:x}-{}",
            self.workflow_id,
            u64::MAX,
            u64::MAX
        );
        WorkflowId::new(longest)?;
        let input = serde_json::to_vec(&self.input).map_err(PayloadError::Encode)?;
        if input.len() > limits::SCHEDULE_INPUT_BYTES_MAX {
            let (bytes, max) = (input.len(), limits::SCHEDULE_INPUT_BYTES_MAX);
            return Err(Error::ScheduleInput { bytes, max });
        }
        self.task_queue.as_ref().map(TaskQueue::new).transpose()?;
        let memo = self
            .memo
            .iter()
            .map(|(name, value)| Ok((name.clone(), Payload::json(value)?)));
        check_memo(&memo.collect::<Result<_, Error>>()?)?;
        // Their types are known where their runs are started.
        SearchAttributeTypes::default().checked(self.typed_attributes()?)?;
        Ok(())
    }

    fn typed_attributes(&self) -> Result<SearchAttributes, Error> {
        let typed = self.search_attributes.iter().map(|(name, value)| {
            let typed = SearchAttributeValue::from_json(value);
            let typed = typed.ok_or_else(|| SearchAttributeError::NoValue {
                name: name.clone(),
                value: value.to_string(),
            })?;
            Ok((name.clone(), typed))
        });
        typed.collect()
    }

    /// The start of a run by this action.
    pub(super) fn apply(&self, mut starter: Starter<Value, Value>) -> Result<Starter<Value, Value>, Error> {
        if let Some(timeout) = self.execution_timeout {
            starter = starter.execution_timeout(timeout);
        }
        if let Some(timeout) = self.run_timeout {
            starter = starter.run_timeout(timeout);
        }
        if let Some(task_queue) = &self.task_queue {
            starter = starter.task_queue(task_queue);
        }
        if let Some(policy) = &self.retry_policy {
            starter = starter.retry_policy(policy.clone());
        }
        for (name, value) in &self.memo {
            starter = starter.memo(name, value)?;
        }
        for (name, value) in self.typed_attributes()? {
            starter = starter.search_attribute(&name, value)?;
        }
        Ok(starter)
    }
}

/// How a retry policy is written in a schedule's own state, which is JSON.
mod retry {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Duration, RetryPolicy, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Written {
        initial_interval: Duration,
        backoff_coefficient: f64,
        maximum_interval: Option<Duration>,
        maximum_attempts: u32,
        non_retryable_types: Vec<String>,
    }

    pub(super) fn serialize<S: Serializer>(policy: &Option<RetryPolicy>, serializer: S) -> Result<S::Ok, S::Error> {
        let written = policy.as_ref().map(|policy| Written {
            initial_interval: policy.initial_interval,
            backoff_coefficient: policy.backoff_coefficient,
            maximum_interval: policy.maximum_interval,
            maximum_attempts: policy.maximum_attempts,
            non_retryable_types: policy.non_retryable_types.clone(),
        });
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RetryPolicy>, D::Error> {
        let written = Option::<Written>::deserialize(deserializer)?;
        Ok(written.map(|written| RetryPolicy {
            initial_interval: written.initial_interval,
            backoff_coefficient: written.backoff_coefficient,
            maximum_interval: written.maximum_interval,
            maximum_attempts: written.maximum_attempts,
            non_retryable_types: written.non_retryable_types,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_was_written_and_one_without_options_too() {
        let action = ScheduleAction::by_name("report", "r", Value::from(1))
            .execution_timeout(Duration::from_secs(60))
            .run_timeout(Duration::from_millis(1_500))
            .task_queue("bulk")
            .retry_policy(RetryPolicy::never())
            .memo("note", "hello")
            .search_attribute("Kilos", 1.5);
        let text = serde_json::to_string(&action).unwrap();
        assert_eq!(serde_json::from_str::<ScheduleAction>(&text).unwrap(), action);
        let plain = r#"{"workflow_type": "report", "workflow_id": "r", "input": 1}"#;
        let plain: ScheduleAction = serde_json::from_str(plain).unwrap();
        assert_eq!(plain, ScheduleAction::by_name("report", "r", Value::from(1)));
    }

    #[test]
    fn what_runs_cannot_have_is_refused_before_there_is_a_schedule() {
        let action = || ScheduleAction::by_name("report", "r", Value::Null);
        assert!(action().check().is_ok());
        for wrong in [
            action().search_attribute("Kilos", serde_json::json!({})),
            action().search_attribute("WorkflowId", "x"),
            action().memo("note", "x".repeat(300 * 1024)),
            action().task_queue(""),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
