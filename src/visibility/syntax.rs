//! A query as it is written: names are not known yet, values have no types. Must not live here: reading it.

use super::evaluate::Comparison;

/// Something at a place in the query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub(super) byte: usize,
    pub(super) what: T,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    Compare(At<Comparison>, At<Written>),
    In(Vec<At<Written>>),
    Between(At<Written>, At<Written>),
    StartsWith(At<Written>),
    IsNull,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Is(At<String>, Predicate),
}

/// The whole query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WrittenQuery {
    pub(super) expression: Option<Expression>,
    /// With whether the greatest comes first.
    pub(super) order: Vec<(At<String>, bool)>,
    pub(super) group: Option<At<String>>,
}
