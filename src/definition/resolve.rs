//! From what was authored to the canonical form. Lives here: defaults, config overrides, and the checks of single
//! values. Must not live here: checks that look at several steps (those are `rules`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityOptions, RetryPolicy, StepKind, limits};

use super::authored::{Compensation, Http, Options, Retry, Saga, Step, Work};
use super::canonical::{self, Action, sorted};
use super::http::{GONE_STATUSES, METHODS, NOT_APPLIED_STATUSES, RETRYABLE_STATUSES, is_header_name, is_header_value};
use super::locations::{Part, Problems};
use super::problem::did_you_mean;

/// Applies defaults and overrides. Reported values get a stand-in, so that everything else can still be checked.
pub(super) fn resolve(
    authored: &Saga,
    overrides: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> canonical::Saga {
    let name = authored.name.clone().unwrap_or_default();
    check_not_empty(authored.name.as_ref(), "name", problems);
    if authored.name.is_none() && !problems.was_written("name") {
        problems
            .error("", "the saga has no name")
            .hint("begin the file with: name = \"my-saga\"");
    }
    let mut saga = canonical::Saga::named(name);
    saga.version = authored.version.clone();
    saga.description = authored.description.clone();
    saga.config = config(&authored.config, overrides, problems);
    saga.output = mapping(authored.output.as_ref(), "output", problems);
    if let Some(run_timeout) = authored.run_timeout {
        check_duration(run_timeout, "run_timeout", problems);
        saga.run_timeout_us = Some(canonical::micros(run_timeout));
    }
    check_options(&authored.defaults, "defaults", problems);
    check_options(&authored.compensation_defaults, "defaults.compensation", problems);
    let forward = with_options(ActivityOptions::default(), &authored.defaults);
    let backward = with_options(ActivityOptions::for_compensation(), &authored.compensation_defaults);
    for (index, step) in authored.steps.iter().enumerate() {
        let place = format!("step[{index}]");
        check_not_empty(step.name.as_ref(), &format!("{place}.name"), problems);
        if step.name.is_none() && !problems.was_written(&format!("{place}.name")) {
            problems.error(&place, "the step has no `name`");
        }
        let previous = index.checked_sub(1).and_then(|previous| authored.steps.get(previous));
        saga.steps
            .push(self::step(step, previous, &place, (&forward, &backward), problems));
    }
    saga
}

fn step(
    step: &Step,
    previous: Option<&Step>,
    place: &str,
    (forward, backward): (&ActivityOptions, &ActivityOptions),
    problems: &mut Problems,
) -> canonical::Step {
    let after = match &step.after {
        Some(after) => after.clone(),
        None => previous
            .map(|step| step.name.clone().unwrap_or_default())
            .into_iter()
            .collect(),
    };
    let compensation = match &step.compensation {
        Compensation::Unsaid | Compensation::Nothing => None,
        Compensation::Work(work) => {
            let place = format!("{place}.compensation");
            Some(self::work(work, &place, backward, &GONE_STATUSES, problems))
        }
    };
    // Retried until it succeeds is what a retriable step is: only its own word limits that, no default.
    let mut forward = forward.clone();
    if step.kind == StepKind::Retriable {
        forward.retry.maximum_attempts = 0;
    }
    canonical::Step {
        name: step.name.clone().unwrap_or_default(),
        kind: step.kind,
        after,
        work: work(&step.work, place, &forward, &[], problems),
        compensation,
    }
}

fn work(
    work: &Work,
    place: &str,
    defaults: &ActivityOptions,
    success_statuses: &[u16],
    problems: &mut Problems,
) -> canonical::Work {
    let http_place = format!("{place}.http");
    let action = match (&work.activity, &work.http) {
        (Some(activity), None) => Action::Activity(activity.clone()),
        (None, Some(http)) => Action::Http(self::http(http, &http_place, success_statuses, problems)),
        (Some(_), Some(_)) => {
            problems.error_in(
                &http_place,
                Part::Key,
                "both `activity` and `http`: one of them is enough",
            );
            Action::Activity(String::new())
        }
        (None, None) => {
            if !problems.was_written(&format!("{place}.activity")) && !problems.was_written(&http_place) {
                problems
                    .error(place, "nothing to do: neither `activity` nor `http`")
                    .hint("write activity = \"a_registered_activity\" or http = { url = \"http://..\" }");
            }
            Action::Activity(String::new())
        }
    };
    if work.http.is_some() && work.input.is_some() {
        problems
            .error_in(&format!("{place}.input"), Part::Key, "an `http` step has no `input`")
            .hint("what is sent is `http.body`");
    }
    check_not_empty(work.activity.as_ref(), &format!("{place}.activity"), problems);
    check_options(&work.options, place, problems);
    canonical::Work {
        action,
        input: mapping(work.input.as_ref(), &format!("{place}.input"), problems),
        options: (&with_options(defaults.clone(), &work.options)).into(),
    }
}

fn http(http: &Http, place: &str, success_statuses: &[u16], problems: &mut Problems) -> canonical::Http {
    let method = http.method.clone().unwrap_or_else(|| "POST".to_owned());
    if !METHODS.contains(&method.as_str()) {
        let hint = did_you_mean(&method, METHODS).unwrap_or_else(|| format!("methods: {}", METHODS.join(", ")));
        problems
            .error(&format!("{place}.method"), format!("unknown HTTP method `{method}`"))
            .hint(hint);
    }
    check_not_empty(http.url.as_ref(), &format!("{place}.url"), problems);
    if http.url.is_none() && !problems.was_written(&format!("{place}.url")) {
        problems.error(place, "`http` has no `url`");
    }
    for (name, value) in &http.headers {
        let place = format!("{place}.headers.{name}");
        if !is_header_name(name) {
            problems.error_in(
                &place,
                Part::Key,
                format!("`{name}` cannot be the name of an HTTP header"),
            );
        }
        if !is_header_value(value) {
            problems.error(
                &place,
                "an HTTP header's value has no line breaks or control characters",
            );
        }
    }
    check_statuses(http, place, problems);
    let or_default = |statuses: &Option<Vec<u16>>, default: &[u16]| {
        let statuses: BTreeSet<u16> = match statuses {
            Some(statuses) => statuses.iter().copied().collect(),
            None => default.iter().copied().collect(),
        };
        statuses.into_iter().collect()
    };
    canonical::Http {
        method,
        url: http.url.clone().unwrap_or_default(),
        headers: http.headers.clone(),
        body: mapping(http.body.as_ref(), &format!("{place}.body"), problems),
        success_statuses: or_default(&http.success_statuses, success_statuses),
        retryable_statuses: or_default(&http.retryable_statuses, &RETRYABLE_STATUSES),
        not_applied_statuses: or_default(&http.not_applied_statuses, &NOT_APPLIED_STATUSES),
    }
}

/// A status cannot mean two things that were both written. (A written list wins over another list's default.)
fn check_statuses(http: &Http, place: &str, problems: &mut Problems) {
    let lists = [
        ("success_statuses", &http.success_statuses),
        ("retryable_statuses", &http.retryable_statuses),
        ("not_applied_statuses", &http.not_applied_statuses),
    ];
    let mut meanings: BTreeMap<u16, &str> = BTreeMap::new();
    for (key, statuses) in lists {
        for (index, status) in statuses.iter().flatten().enumerate() {
            if !(100..=599).contains(status) {
                let message = format!("{status} is not an HTTP status (100 to 599)");
                problems.error(&format!("{place}.{key}[{index}]"), message);
            }
            if let Some(earlier) = meanings.insert(*status, key)
                && earlier != key
            {
                let message = format!("status {status} is also in `{earlier}`");
                problems.error(&format!("{place}.{key}[{index}]"), message);
            }
        }
    }
}

/// A mapping in its canonical order. What is nested too deeply could be journaled, but not be read back.
fn mapping(value: Option<&Value>, place: &str, problems: &mut Problems) -> Option<Value> {
    let value = value?;
    if depth(value) > limits::MAPPING_DEPTH_MAX {
        problems.error(
            place,
            format!("nested deeper than {} levels", limits::MAPPING_DEPTH_MAX),
        );
        return None;
    }
    Some(sorted(value.clone()))
}

fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn config(
    declared: &BTreeMap<String, Value>,
    overrides: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, Value> {
    let mut config: BTreeMap<String, Value> = declared
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), mapping(Some(value), &format!("config.{key}"), problems)?)))
        .collect();
    for (key, text) in overrides {
        let Some(value) = config.get_mut(key) else {
            let hint = did_you_mean(key, declared.keys().map(String::as_str))
                .unwrap_or_else(|| "add it with its default value to the [config] table".to_owned());
            problems
                .error("config", format!("the override `{key}` is not a key of [config]"))
                .hint(hint);
            continue;
        };
        let parsed = match &*value {
            Value::String(_) => Some(Value::from(text.as_str())),
            other => serde_json::from_str(text)
                .ok()
                .filter(|parsed| std::mem::discriminant(parsed) == std::mem::discriminant(other)),
        };
        match parsed {
            Some(parsed) => *value = mapping(Some(&parsed), &format!("config.{key}"), problems).unwrap_or_default(),
            None => {
                let message = format!("the override `{key}={text}` is of another type than the default, {value}");
                problems.error(&format!("config.{key}"), message);
            }
        }
    }
    config
}

fn check_not_empty(text: Option<&String>, place: &str, problems: &mut Problems) {
    if text.is_some_and(String::is_empty) {
        problems.error(place, "must not be empty");
    }
}

fn check_options(options: &Options, place: &str, problems: &mut Problems) {
    let durations = [
        ("start_to_close", options.start_to_close),
        ("schedule_to_close", options.schedule_to_close),
        ("schedule_to_start", options.schedule_to_start),
        ("heartbeat", options.heartbeat),
        ("retry.initial_interval", options.retry.initial_interval),
        ("retry.maximum_interval", options.retry.maximum_interval),
    ];
    for (key, duration) in durations {
        if let Some(duration) = duration {
            check_duration(duration, &format!("{place}.{key}"), problems);
        }
    }
    let Retry {
        initial_interval,
        coefficient,
        maximum_interval,
        ..
    } = options.retry;
    if coefficient.is_some_and(|coefficient| !(coefficient.is_finite() && coefficient >= 1.0)) {
        problems
            .error(&format!("{place}.retry.coefficient"), "must be a number of at least 1")
            .hint("1 keeps the interval, 2 doubles it after each attempt");
    }
    if let (Some(initial), Some(maximum)) = (initial_interval, maximum_interval)
        && maximum < initial
    {
        let place = format!("{place}.retry.maximum_interval");
        problems.error(&place, "must not be shorter than `initial_interval`");
    }
}

/// The journal counts in microseconds, up to some 292,000 years.
fn check_duration(duration: Duration, place: &str, problems: &mut Problems) {
    if duration.is_zero() {
        problems.error(place, "must be longer than zero");
    } else if !duration.subsec_nanos().is_multiple_of(1_000) {
        problems.error(place, "must be a whole number of microseconds");
    } else if i64::try_from(duration.as_micros()).is_err() {
        problems.error(place, "must be shorter than 292,000 years");
    }
}

fn with_options(base: ActivityOptions, options: &Options) -> ActivityOptions {
    let retry = &options.retry;
    ActivityOptions {
        schedule_to_close: options.schedule_to_close.or(base.schedule_to_close),
        schedule_to_start: options.schedule_to_start.or(base.schedule_to_start),
        start_to_close: options.start_to_close.unwrap_or(base.start_to_close),
        heartbeat: options.heartbeat.or(base.heartbeat),
        retry: RetryPolicy {
            initial_interval: retry.initial_interval.unwrap_or(base.retry.initial_interval),
            backoff_coefficient: retry.coefficient.unwrap_or(base.retry.backoff_coefficient),
            maximum_interval: retry.maximum_interval.or(base.retry.maximum_interval),
            maximum_attempts: retry.maximum_attempts.unwrap_or(base.retry.maximum_attempts),
            non_retryable_types: retry.non_retryable.clone().unwrap_or(base.retry.non_retryable_types),
        },
    }
}
