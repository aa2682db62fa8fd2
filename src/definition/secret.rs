//! Secrets in definitions. Lives here: the placeholder that stands for a secret wherever something is journaled. Must not
//! live here: any secret, or where secrets come from.

use serde_json::Value;

/// How the placeholder of a secret begins; its name follows.
pub const SECRET_OPEN: &str = "{{amends:secret:";

/// How the placeholder of a secret ends.
pub const SECRET_CLOSE: &str = "}}";

/// What stands for a secret until a request is sent or a program is run.
pub(super) fn placeholder(name: &str) -> String {
    format!("{SECRET_OPEN}{name}{SECRET_CLOSE}")
}

/// Whether a text can be the name of a secret: it is the name of an environment variable, too.
pub(super) fn is_secret_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// How many placeholders a text holds.
pub(super) fn placeholders(text: &str) -> usize {
    text.matches(SECRET_OPEN).count()
}

/// The value with no placeholder left in it: what a step was sent may be read on, its secrets may not.
pub(super) fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) if placeholders(&text) > 0 => Value::from(told(&text)),
        Value::Array(elements) => elements.into_iter().map(without_secrets).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| (told(&key), without_secrets(value)))
            .collect(),
        other => other,
    }
}

/// The text with each placeholder said in words.
fn told(text: &str) -> String {
    text.replace(SECRET_OPEN, "{{secret ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_on_holds_no_placeholder_that_would_be_filled_in() {
        let sent = json!({"env": {"TOKEN": format!("Bearer {}", placeholder("TOKEN"))}, "stdin": [1, null]});
        let read = without_secrets(sent);
        assert_eq!(
            read,
            json!({"env": {"TOKEN": "Bearer {{secret TOKEN}}"}, "stdin": [1, null]})
        );
        assert_eq!(placeholders(&read.to_string()), 0);
    }
}
