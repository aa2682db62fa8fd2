//! How a run starts: what `amends run` takes beside the definition and its input. Must not live here: starting it.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::engine::{Error, ScheduleAction, Starter};
use crate::model::{IdConflictPolicy, IdReusePolicy, RetryPolicy, SearchAttributeValue};
use crate::server::exit::Refusal;

/// What a start may say.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the run starts")]
pub(crate) struct StartArgs {
    /// Whether a run may begin when the last one with its id has ended: reject-duplicate, allow-duplicate-failed-only,
    /// allow-duplicate. When nothing is said, that run is shown instead
    #[arg(long, value_name = "POLICY", value_parser = reuse_policy)]
    id_reuse_policy: Option<IdReusePolicy>,
    /// What happens when a run with its id is open: fail, use-existing, terminate-existing. When nothing is said, that run is
    /// waited for
    #[arg(long, value_name = "POLICY", value_parser = conflict_policy)]
    id_conflict_policy: Option<IdConflictPolicy>,
    /// Makes the start repeatable: a second one with the same ids is the same run
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    run: RunOptionArgs,
    /// Begin so much later: the run is there, and durable, but does nothing until then
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "cron")]
    start_delay: Option<Duration>,
    /// Run again and again, by this cron schedule, in UTC: "0 6 * * 1-5", "@daily", "@every 90m".
    /// For calendars, overlaps and pauses there is `amends schedule`
    #[arg(long, value_name = "SCHEDULE")]
    cron: Option<String>,
}

/// What holds for every run, whoever starts it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the run starts")]
pub(crate) struct RunOptionArgs {
    /// How long the run may take, with all that follow it (by retries, by cron): "2h 30m"
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    execution_timeout: Option<Duration>,
    /// How long a single run may take; then it ends, undoing its steps
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    run_timeout: Option<Duration>,
    /// Whose workers take the run, instead of the queue that its definition names
    #[arg(long, value_name = "NAME")]
    task_queue: Option<String>,
    /// Something that is shown with the run: --memo 'note="by phone"'. May be repeated
    #[arg(long, value_name = "KEY=JSON", value_parser = pair)]
    memo: Vec<(String, Value)>,
    /// Something that the run is found by: --search-attribute 'Customer="ada"'. May be repeated
    #[arg(long, value_name = "KEY=JSON", value_parser = attribute)]
    search_attribute: Vec<(String, SearchAttributeValue)>,
    #[command(flatten)]
    retry: RetryArgs,
}

/// Trying a whole run again.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the run starts")]
struct RetryArgs {
    /// Have a run that fails, after it was undone, followed by another one, until there were so many; 0: no limit
    #[arg(long, value_name = "NUMBER")]
    retry_maximum_attempts: Option<u32>,
    /// How long after the first failure (1s)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_initial_interval: Option<Duration>,
    /// The longest that the next run waits (100 times the first)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_maximum_interval: Option<Duration>,
    /// What the time is multiplied with after each failure (2)
    #[arg(long, value_name = "NUMBER", value_parser = coefficient)]
    retry_backoff_coefficient: Option<f64>,
    /// A failure type after which no other run follows. May be repeated
    #[arg(long, value_name = "TYPE")]
    retry_non_retryable: Vec<String>,
}

impl StartArgs {
    /// The same start with what was said here.
    ///
    /// # Errors
    /// When a name or a value cannot be one.
    pub(crate) fn apply(&self, mut starter: Starter<Value, Value>) -> Result<Starter<Value, Value>, Error> {
        if let Some(policy) = self.id_reuse_policy {
            starter = starter.id_reuse_policy(policy);
        }
        if let Some(policy) = self.id_conflict_policy {
            starter = starter.id_conflict_policy(policy);
        }
        if let Some(request_id) = &self.request_id {
            starter = starter.request_id(request_id);
        }
        if let Some(delay) = self.start_delay {
            starter = starter.start_delay(delay);
        }
        if let Some(schedule) = &self.cron {
            starter = starter.cron_schedule(schedule);
        }
        self.run.apply(starter)
    }

    /// Whether a run that is there already is what the caller wants, too.
    pub(crate) fn takes_existing(&self, is_closed: bool) -> bool {
        match is_closed {
            true => self.id_reuse_policy.is_none(),
            false => self.id_conflict_policy.is_none(),
        }
    }

    /// Nobody can find a run by an id that was made up, so these would do nothing.
    ///
    /// # Errors
    /// When a policy for ids is said, and no id.
    pub(crate) fn check(&self, id: Option<&str>) -> Result<(), Refusal> {
        let by_id = [
            (self.id_reuse_policy.is_some(), "--id-reuse-policy"),
            (self.id_conflict_policy.is_some(), "--id-conflict-policy"),
            (self.request_id.is_some(), "--request-id"),
        ];
        match by_id.into_iter().find(|(said, _)| *said && id.is_none()) {
            Some((_, option)) => {
                let message = format!("{option} is about runs with the same workflow id, and none is given");
                Err(Refusal::usage(message).hint("give one with --id"))
            }
            None => Ok(()),
        }
    }
}

impl RunOptionArgs {
    fn apply(&self, mut starter: Starter<Value, Value>) -> Result<Starter<Value, Value>, Error> {
        if let Some(timeout) = self.execution_timeout {
            starter = starter.execution_timeout(timeout);
        }
        if let Some(timeout) = self.run_timeout {
            starter = starter.run_timeout(timeout);
        }
        if let Some(task_queue) = &self.task_queue {
            starter = starter.task_queue(task_queue);
        }
        if let Some(policy) = self.retry.policy() {
            starter = starter.retry_policy(policy);
        }
        for (name, value) in &self.memo {
            starter = starter.memo(name, value)?;
        }
        for (name, value) in &self.search_attribute {
            starter = starter.search_attribute(name, value.clone())?;
        }
        Ok(starter)
    }
}

impl RunOptionArgs {
    /// The same for every run of a schedule.
    pub(crate) fn of_schedule(&self, mut action: ScheduleAction) -> ScheduleAction {
        action.execution_timeout = self.execution_timeout;
        action.run_timeout = self.run_timeout;
        action.task_queue = self.task_queue.clone();
        action.retry_policy = self.retry.policy();
        action.memo = self.memo.iter().cloned().collect();
        let attributes = self.search_attribute.iter();
        action.search_attributes = attributes
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        action
    }
}

impl RetryArgs {
    /// One that is said at all is a policy; the rest of it is Temporal's defaults.
    fn policy(&self) -> Option<RetryPolicy> {
        let said = self.retry_maximum_attempts.is_some()
            || self.retry_initial_interval.is_some()
            || self.retry_maximum_interval.is_some()
            || self.retry_backoff_coefficient.is_some()
            || !self.retry_non_retryable.is_empty();
        let usual = RetryPolicy::default();
        said.then(|| RetryPolicy {
            initial_interval: self.retry_initial_interval.unwrap_or(usual.initial_interval),
            backoff_coefficient: self.retry_backoff_coefficient.unwrap_or(usual.backoff_coefficient),
            maximum_interval: self.retry_maximum_interval,
            maximum_attempts: self.retry_maximum_attempts.unwrap_or(usual.maximum_attempts),
            non_retryable_types: self.retry_non_retryable.clone(),
        })
    }
}

fn reuse_policy(text: &str) -> Result<IdReusePolicy, String> {
    use IdReusePolicy as P;
    let known = [
        ("reject-duplicate", P::RejectDuplicate),
        ("allow-duplicate-failed-only", P::AllowDuplicateFailedOnly),
        ("allow-duplicate", P::AllowDuplicate),
    ];
    named(text, &known)
}

fn conflict_policy(text: &str) -> Result<IdConflictPolicy, String> {
    use IdConflictPolicy as P;
    let known = [
        ("fail", P::Fail),
        ("use-existing", P::UseExisting),
        ("terminate-existing", P::TerminateExisting),
    ];
    named(text, &known)
}

/// One of several names, written like `allow-duplicate` or, as Temporal's tools do, `AllowDuplicate`.
pub(crate) fn named<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<T, String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    match known.iter().find(|(name, _)| plain(name) == plain(text)) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

/// A length of time with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a number with a unit, such as 30s, 90m or \"2h 30m\"".to_owned())
}

fn coefficient(text: &str) -> Result<f64, String> {
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number >= 1.0);
    number.ok_or_else(|| "expected a number of at least 1".to_owned())
}

pub(crate) fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = split(text)?;
    let value = serde_json::from_str(value).map_err(|_| not_json(key, value))?;
    Ok((key.to_owned(), value))
}

fn attribute(text: &str) -> Result<(String, SearchAttributeValue), String> {
    let (key, value) = pair(text)?;
    match SearchAttributeValue::from_json(&value) {
        Some(value) => Ok((key, value)),
        None => Err("a search attribute is a text, a number, true or false, or a list of texts".to_owned()),
    }
}

fn split(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value)),
        _ => Err(r#"expected KEY=JSON, as in 'Customer="ada"'"#.to_owned()),
    }
}

fn not_json(key: &str, value: &str) -> String {
    format!(
        "{value} is not JSON; a text is written with quotes: '{key}=\"{}\"'",
        value.trim_matches('"')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_in_either_way() {
        assert_eq!(
            reuse_policy("AllowDuplicateFailedOnly"),
            Ok(IdReusePolicy::AllowDuplicateFailedOnly)
        );
        assert_eq!(
            conflict_policy("terminate-existing"),
            Ok(IdConflictPolicy::TerminateExisting)
        );
        assert_eq!(
            conflict_policy("replace").unwrap_err(),
            "expected one of fail, use-existing, terminate-existing"
        );
    }

    #[test]
    fn attributes_and_memos_are_json() {
        assert_eq!(
            attribute("Kilos=1.5"),
            Ok(("Kilos".to_owned(), SearchAttributeValue::Double(1.5)))
        );
        assert_eq!(pair("note={\"a\": [1]}").unwrap().1, serde_json::json!({"a": [1]}));
        assert_eq!(
            pair("Customer=ada").unwrap_err(),
            "ada is not JSON; a text is written with quotes: 'Customer=\"ada\"'"
        );
        assert!(attribute("a={}").unwrap_err().contains("a list of texts"));
        assert!(pair("=1").is_err() && pair("a").is_err());
    }

    #[test]
    fn one_option_of_a_retry_policy_is_a_policy() {
        assert_eq!(RetryArgs::default().policy(), None);
        let args = RetryArgs {
            retry_maximum_attempts: Some(3),
            ..RetryArgs::default()
        };
        let policy = args.policy().unwrap();
        assert_eq!(
            (policy.maximum_attempts, policy.initial_interval),
            (3, Duration::from_secs(1))
        );
        assert!(coefficient("0.5").is_err() && coefficient("NaN").is_err());
    }
}
