//! What works, but probably not as meant. Lives here: warnings that need the whole definition. Must not live here: what
//! is refused (that is `rules`), and warnings about a single mapping (`mapping`).
//!
//! Asked only of a definition without errors: what stands in for a broken value would be warned of too.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::model::{ActivityOptions, RetryPolicy, StepKind};

use super::canonical::{self, Step, Work};
use super::graph::Graph;
use super::locations::Problems;

/// Intervals that are added up one by one: by then they have reached the longest one, or hardly grow.
const INTERVALS_ADDED: u32 = 200;

/// Looks for everything that a careful reader would ask the author about.
pub(super) fn check(saga: &canonical::Saga, graph: &Graph, problems: &mut Problems) {
    for (index, step) in saga.steps.iter().enumerate() {
        let place = format!("step[{index}]");
        check_retries(&step.work, &format!("step `{}`", step.name), &place, problems);
        if let Some(compensation) = &step.compensation {
            let what = format!("the compensation of step `{}`", step.name);
            check_retries(compensation, &what, &format!("{place}.compensation"), problems);
        }
    }
    check_pivots(&saga.steps, graph, problems);
    check_deadline(saga, graph, problems);
    check_config(saga, problems);
}

/// Attempts that were asked for, but for which there is no time.
fn check_retries(work: &Work, what: &str, place: &str, problems: &mut Problems) {
    let options = ActivityOptions::from(&work.options);
    let attempts = options.retry.maximum_attempts;
    let (Some(limit), Some(takes)) = (options.schedule_to_close, all_attempts(&options)) else {
        return;
    };
    if takes > limit {
        let message = format!(
            "{attempts} attempts of {what} may take {}, longer than its `schedule_to_close` of {}",
            text(takes),
            text(limit)
        );
        problems
            .warning(&format!("{place}.schedule_to_close"), message)
            .hint("then the last ones are not made: raise it, or lower `start_to_close` or `retry.maximum_attempts`");
    }
}

fn check_pivots(steps: &[Step], graph: &Graph, problems: &mut Problems) {
    for (pivot, step) in steps.iter().enumerate() {
        let followed = (0..steps.len()).any(|other| graph.waits_for(other, pivot));
        if step.kind == StepKind::Pivot && !followed {
            let message = format!("nothing comes after pivot `{}`", step.name);
            problems.warning(&format!("step[{pivot}].kind"), message).hint(
                "a pivot divides steps that can be undone from steps that must succeed: add the retriable steps, or \
                 leave `kind` out",
            );
        }
    }
}

/// How long going forward may take, up to the pivot: from there on, no deadline ends the saga.
fn check_deadline(saga: &canonical::Saga, graph: &Graph, problems: &mut Problems) {
    let Some(limit) = saga.run_timeout_us.map(Duration::from_micros) else {
        check_endless(&saga.steps, problems);
        return;
    };
    let Some((takes, way)) = longest_way(&saga.steps, graph) else {
        return;
    };
    if takes > limit {
        let names: Vec<String> = way.iter().map(|step| format!("`{}`", step.name)).collect();
        let message = format!(
            "trying {} may take {}, longer than `run_timeout`, {}",
            names.join(", then "),
            text(takes),
            text(limit)
        );
        problems
            .warning("run_timeout", message)
            .hint("then the saga turns back while a step could still be tried: raise it, or try for a shorter time");
    }
}

/// Steps that are tried again and again, when nothing else ends the run.
fn check_endless(steps: &[Step], problems: &mut Problems) {
    let endless: Vec<String> = steps
        .iter()
        .filter(|step| step.kind != StepKind::Retriable)
        .filter(|step| {
            let options = ActivityOptions::from(&step.work.options);
            options.schedule_to_close.is_none() && options.retry.maximum_attempts == 0
        })
        .map(|step| format!("`{}`", step.name))
        .collect();
    if let Some((first, others)) = endless.split_first() {
        let more = match others.len() {
            0 => String::new(),
            1 => format!(" and {}", others.concat()),
            count => format!(" and {count} others"),
        };
        problems
            .warning("", format!("nothing ends the attempts of {first}{more}"))
            .hint(
                "add run_timeout = \"1h\" to the saga, or `schedule_to_close` or `retry.maximum_attempts` to the step",
            );
    }
}

/// Settings that nothing reads.
fn check_config(saga: &canonical::Saga, problems: &mut Problems) {
    let texts = texts(saga);
    for key in saga.config.keys() {
        let used = texts.iter().any(|text| has_word(text, "config") && has_word(text, key));
        if !used {
            problems
                .warning(&format!("config.{key}"), format!("nothing reads `config.{key}`"))
                .hint("remove it, or write ${ config.<key> } where it is meant");
        }
    }
}

/// Every text of a definition in which an expression may stand.
fn texts(saga: &canonical::Saga) -> Vec<String> {
    let mut texts = Vec::new();
    let saga: Value = serde_json::from_slice(&saga.to_bytes()).unwrap_or_default();
    for (key, value) in saga.as_object().into_iter().flatten() {
        if !["name", "version", "description", "config"].contains(&key.as_str()) {
            collect_texts(value, &mut texts);
        }
    }
    texts
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| collect_texts(element, texts)),
        Value::Object(entries) => entries.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// Whether the word is there, not only as a part of a longer one. No more than that is asked: a warning too few is better
/// than one that is wrong.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(start + found.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// The steps up to the pivot that take longest one after the other, when every attempt takes as long as it may. `None`
/// when there are no such steps.
fn longest_way<'a>(steps: &'a [Step], graph: &Graph) -> Option<(Duration, Vec<&'a Step>)> {
    // A step waits for more steps than any of those that it waits for.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|step| graph.ancestors.get(*step).map_or(0, BTreeSet::len));
    let mut ways: Vec<Option<(Duration, Vec<&'a Step>)>> = vec![None; steps.len()];
    for index in order {
        let Some(step) = steps.get(index).filter(|step| step.kind != StepKind::Retriable) else {
            continue;
        };
        let before = graph.dependencies.get(index).into_iter().flatten();
        let before = before.filter_map(|before| ways.get(*before)?.as_ref());
        let (mut takes, mut way) = before
            .max_by_key(|(takes, way)| (*takes, Reverse(way.len())))
            .cloned()
            .unwrap_or_default();
        takes = takes.saturating_add(longest(&ActivityOptions::from(&step.work.options)));
        way.push(step);
        if let Some(slot) = ways.get_mut(index) {
            *slot = Some((takes, way));
        }
    }
    ways.into_iter()
        .flatten()
        .max_by_key(|(takes, way)| (*takes, Reverse(way.len())))
}

/// How long an activity may take. One that is tried for ever counts with a single attempt: how often it is tried is then
/// for the deadline to say.
fn longest(options: &ActivityOptions) -> Duration {
    let takes = all_attempts(options)
        .or(options.schedule_to_close)
        .unwrap_or(options.start_to_close);
    options.schedule_to_close.map_or(takes, |limit| takes.min(limit))
}

/// How long all attempts and the intervals between them may take. `None`: there is no last attempt.
fn all_attempts(options: &ActivityOptions) -> Option<Duration> {
    let ActivityOptions {
        start_to_close, retry, ..
    } = options;
    let RetryPolicy { maximum_attempts, .. } = retry;
    let intervals = maximum_attempts.checked_sub(1)?;
    let added = intervals.min(INTERVALS_ADDED);
    let waiting = (1..=added).fold(Duration::ZERO, |sum, attempt| {
        sum.saturating_add(retry.interval_after(attempt))
    });
    let rest = retry.interval_after(added).saturating_mul(intervals - added);
    Some(
        start_to_close
            .saturating_mul(*maximum_attempts)
            .saturating_add(waiting)
            .saturating_add(rest),
    )
}

fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
