//! From what was authored to the canonical form. Lives here: defaults, config overrides, and the checks of single
//! values. Must not live here: checks that look at several steps (those are `rules`).

mod http;
mod options;
mod policy;
mod step;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::{SearchAttributeError, check_given_search_attribute, check_search_attribute, limits};

use super::authored::Saga;
use super::canonical::{self, sorted};
use super::locations::{Part, Problems};
use super::problem::did_you_mean;
use super::secret::is_secret_name;
use options::{check_duration, check_options, check_task_queue};
use step::Defaults;

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
    saga.run_timeout_us = limit(authored.run_timeout, "run_timeout", problems);
    check_task_queue(authored.task_queue.as_deref(), "task_queue", problems);
    saga.task_queue = authored.task_queue.clone();
    policy::of_saga(authored, &mut saga, problems);
    saga.locks = locks(authored, problems);
    saga.lock_timeout_us = limit(authored.lock_timeout, "lock_timeout", problems);
    saga.lock_no_wait = authored.lock_wait == Some(false);
    saga.search_attributes = search_attributes(&authored.search_attributes, problems);
    saga.input_schema = mapping(authored.input_schema.as_ref(), "input_schema", problems);
    saga.secrets = secrets(&authored.secrets, problems);
    check_options(&authored.defaults, "defaults", problems);
    check_options(&authored.compensation_defaults, "defaults.compensation", problems);
    let defaults = Defaults::of(authored);
    for (index, step) in authored.steps.iter().enumerate() {
        let place = format!("step[{index}]");
        check_not_empty(step.name.as_ref(), &format!("{place}.name"), problems);
        if step.name.is_none() && !problems.was_written(&format!("{place}.name")) {
            problems.error(&place, "the step has no `name`");
        }
        let previous = index.checked_sub(1).and_then(|previous| authored.steps.get(previous));
        saga.steps.push(step::step(step, previous, &place, &defaults, problems));
    }
    saga
}

fn limit(duration: Option<Duration>, place: &str, problems: &mut Problems) -> Option<u64> {
    let duration = duration?;
    check_duration(duration, place, problems);
    Some(canonical::micros(duration))
}

fn locks(authored: &Saga, problems: &mut Problems) -> Vec<String> {
    let locks = &authored.locks;
    if locks.len() > limits::LOCKS_PER_RUN_MAX {
        let message = format!(
            "{} locks, more than the limit of {}",
            locks.len(),
            limits::LOCKS_PER_RUN_MAX
        );
        problems.error("locks", message);
    }
    for (index, lock) in locks.iter().enumerate() {
        check_not_empty(Some(lock), &format!("locks[{index}]"), problems);
    }
    for (key, written) in [
        ("lock_timeout", authored.lock_timeout.is_some()),
        ("lock_wait", authored.lock_wait.is_some()),
    ] {
        if written && locks.is_empty() && !problems.was_written("locks") {
            problems
                .error_in(key, Part::Key, format!("`{key}` without `locks`"))
                .hint("write locks = [\"name\"]");
        }
    }
    if authored.lock_wait == Some(false) && authored.lock_timeout.is_some() {
        problems.error_in(
            "lock_timeout",
            Part::Key,
            "`lock_wait` is false: there is no waiting to limit",
        );
    }
    locks.clone()
}

fn search_attributes(attributes: &BTreeMap<String, Value>, problems: &mut Problems) -> BTreeMap<String, Value> {
    if attributes.len() > limits::SEARCH_ATTRIBUTES_MAX {
        let (found, max) = (attributes.len(), limits::SEARCH_ATTRIBUTES_MAX);
        problems.error(
            "search_attributes",
            format!("{found} search attributes, more than the limit of {max}"),
        );
    }
    let resolved = attributes.iter().filter_map(|(name, value)| {
        let place = format!("search_attributes.{name}");
        if name.is_empty() || name.contains(|letter: char| letter.is_control()) {
            problems.error_in(
                &place,
                Part::Key,
                "a search attribute's name is a text without control characters",
            );
        }
        let given = check_given_search_attribute(name).and_then(|()| check_search_attribute(name, &true.into()));
        if let Err(error @ (SearchAttributeError::BuiltIn(_) | SearchAttributeError::ChangeList)) = given {
            problems.error_in(&place, Part::Key, error.to_string());
        }
        let is_text = |item: &Value| item.is_string();
        if value.is_object() || value.as_array().is_some_and(|items| !items.iter().all(is_text)) {
            let what = "a search attribute is a text, a number, true or false, or a list of texts";
            problems.error(&place, what);
            return None;
        }
        Some((name.clone(), value.clone()))
    });
    resolved.collect()
}

fn secrets(secrets: &[String], problems: &mut Problems) -> Vec<String> {
    for (index, name) in secrets.iter().enumerate() {
        let place = format!("secrets[{index}]");
        if !is_secret_name(name) {
            problems
                .error(&place, format!("`{name}` cannot be the name of a secret"))
                .hint("letters, digits and `_`, as in the name of an environment variable");
        } else if secrets.iter().take(index).any(|earlier| earlier == name) {
            problems.error(&place, format!("secret `{name}` is there twice"));
        }
    }
    let mut secrets = secrets.to_vec();
    secrets.sort();
    secrets.dedup();
    secrets
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
