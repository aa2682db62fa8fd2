//! `http` steps as activities. Lives here: the request that such an activity gets as its input, and what a response's
//! status means. Must not live here: sending anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The activity type that executes `http` steps; no registered activity may have this name.
pub const HTTP_ACTIVITY: &str = "http";

/// The methods that an `http` step may use.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Worth another try: the participant is busy, restarting or unreachable. (501 and 505 will not get better.)
pub(super) const RETRYABLE_STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// The participant refused the request, so nothing happened. 409 is not among them: a conflict may be with this very
/// step's own earlier attempt, which did have its effect.
pub(super) const NOT_APPLIED_STATUSES: [u16; 13] = [400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422];

/// What there is to undo is not there (any more): a compensation has nothing left to do.
pub(super) const GONE_STATUSES: [u16; 2] = [404, 410];

/// The input of an [`HTTP_ACTIVITY`]: one request, ready to be sent, and how to read its response's status.
///
/// Whoever sends it adds what belongs to the attempt: the idempotency key and the fencing token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Absolute, `http://` or `https://`.
    pub url: String,
    /// Names as they were written, values without control characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON. `None`: no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Statuses that mean success, beside 200 to 299.
    #[serde(default)]
    pub success_statuses: Vec<u16>,
    /// Statuses worth another try.
    #[serde(default)]
    pub retryable_statuses: Vec<u16>,
    /// Statuses that mean "refused, nothing happened": not retried, and the step itself needs no compensation.
    #[serde(default)]
    pub not_applied_statuses: Vec<u16>,
}

/// What a response's status means for the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVerdict {
    /// It is done; the body is the step's output.
    Success,
    /// A failure that is worth another try.
    Retryable,
    /// A failure that is not retried, and the participant is sure that nothing happened.
    NotApplied,
    /// A failure that is not retried; whether something happened is unknown.
    Failed,
}

impl HttpRequest {
    /// What a response with this status means. A status in several lists counts for the first of: success, retryable,
    /// not applied.
    #[must_use]
    pub fn verdict(&self, status: u16) -> HttpVerdict {
        if (200..300).contains(&status) || self.success_statuses.contains(&status) {
            HttpVerdict::Success
        } else if self.retryable_statuses.contains(&status) {
            HttpVerdict::Retryable
        } else if self.not_applied_statuses.contains(&status) {
            HttpVerdict::NotApplied
        } else {
            HttpVerdict::Failed
        }
    }
}

/// Whether a text can be the name of a header (RFC 9110's token).
pub(super) fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a text can be the value of a header: a line break in it would begin another header.
pub(super) fn is_header_value(text: &str) -> bool {
    !text.chars().any(|letter| letter.is_control() && letter != '\t')
}

/// Whether a text is the beginning of a URL that can be requested.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !text.chars().any(|letter| letter.is_control() || letter == ' ')
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that data stays one segment or one parameter.
pub(crate) fn percent_encode(text: &str, into: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.extend(DIGITS.get(usize::from(byte >> 4)));
            into.extend(DIGITS.get(usize::from(byte & 15)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_counts_for_the_first_list_that_has_it() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "http://pay/charges".to_owned(),
            headers: BTreeMap::new(),
            body: None,
            success_statuses: vec![409],
            retryable_statuses: vec![409, 404, 503],
            not_applied_statuses: vec![404, 422],
        };
        use HttpVerdict as V;
        let verdicts = [201, 409, 404, 503, 422, 418].map(|status| request.verdict(status));
        assert_eq!(
            verdicts,
            [
                V::Success,
                V::Success,
                V::Retryable,
                V::Retryable,
                V::NotApplied,
                V::Failed
            ]
        );
    }

    #[test]
    fn data_cannot_leave_its_segment_of_a_url() {
        let mut url = "http://x/".to_owned();
        percent_encode("../a b?c=ü", &mut url);
        assert_eq!(url, "http://x/..%2Fa%20b%3Fc%3D%C3%BC");
        assert!(is_url("https://x") && !is_url("ftp://x") && !is_url("http://") && !is_url("http:///x"));
        assert!(is_header_name("X-Trace") && !is_header_name("X Trace") && !is_header_value("a\r\nb: c"));
    }
}
