//! HTTP requests. Lives here: the checks of their parts and their defaults. Must not live here: expressions in them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::authored::Http;
use super::super::canonical;
use super::super::http::{METHODS, NOT_APPLIED_STATUSES, RETRYABLE_STATUSES, is_header_name, is_header_value};
use super::super::locations::{Part, Problems};
use super::super::problem::did_you_mean;
use super::{check_not_empty, mapping};

pub(super) fn http(http: &Http, place: &str, success_statuses: &[u16], problems: &mut Problems) -> canonical::Http {
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
