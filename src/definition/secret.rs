//! Secrets in definitions. Lives here: the placeholder that stands for a secret wherever something is journaled. Must not
//! live here: any secret, or where secrets come from.

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
