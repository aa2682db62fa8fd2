//! What is wrong with a query, and where. Must not live here: finding it.

use std::fmt;

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySyntaxError {
    /// The query.
    pub query: String,
    /// Where: the place of the letter, 1 for the first.
    pub column: usize,
    /// What, and what to do about it.
    pub what: String,
}

impl QuerySyntaxError {
    pub(super) fn at(query: &str, byte: usize, what: impl Into<String>) -> Self {
        let before = query.get(..byte).unwrap_or(query);
        Self {
            query: query.to_owned(),
            column: before.chars().count() + 1,
            what: what.into(),
        }
    }
}

impl fmt::Display for QuerySyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for QuerySyntaxError {}
