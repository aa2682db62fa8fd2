//! Whether a run is meant. Must not live here: reading queries.

use std::cmp::Ordering;

use crate::model::{
    ParentRun, RunId, RunStatus, SearchAttributeType, SearchAttributeValue, SearchAttributes, Timestamp,
};

use super::attribute::{Attribute, BuiltIn};

/// What a query says of runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these; none of them: every run.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// This one thing.
    Is(Condition),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// With what.
    pub attribute: Attribute,
    /// How.
    pub test: Test,
}

/// How an attribute is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// With one value.
    Compare(Comparison, Literal),
    /// With several: one of them is it.
    In(Vec<Literal>),
    /// With a range, both ends belonging to it.
    Between(Literal, Literal),
    /// With the beginning of a text.
    StartsWith(String),
    /// The run does not have it.
    IsNull,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A value in a query, of the type that its attribute has.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text, and the point in time that it is, if it is one.
    Text(String, Option<Timestamp>),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A status.
    Status(RunStatus),
}

// Numbers in queries are finite.
impl Eq for Literal {}
impl Eq for Filter {}
impl Eq for Condition {}
impl Eq for Test {}

/// What is known of a run.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The caller's id.
    pub workflow_id: &'a str,
    /// The execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: &'a str,
    /// How it stands.
    pub status: RunStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// How many event ids its history has.
    pub history_length: u64,
    /// How many bytes its history has.
    pub history_bytes: u64,
    /// The run whose child it is.
    pub parent: Option<&'a ParentRun>,
    /// Its search attributes.
    pub search_attributes: Option<&'a SearchAttributes>,
}

/// A value of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    /// The text of a run id: rarely asked for.
    Made(String),
    Words(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Time(Timestamp),
    List(&'a [String]),
    Status(RunStatus),
}

impl<'a> Subject<'a> {
    pub(super) fn value(&self, attribute: &Attribute) -> Option<Value<'a>> {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        Some(match attribute {
            Attribute::Custom(name, _) => custom(self.search_attributes?.get(name)?),
            Attribute::BuiltIn(built_in) => match built_in {
                BuiltIn::CloseTime => Value::Time(self.closed_at?),
                BuiltIn::ExecutionDuration => {
                    let nanos = self.closed_at?.since(self.started_at).as_nanos();
                    Value::Int(i64::try_from(nanos).unwrap_or(i64::MAX))
                }
                BuiltIn::ExecutionStatus => Value::Status(self.status),
                BuiltIn::ExecutionTime | BuiltIn::StartTime => Value::Time(self.started_at),
                BuiltIn::HistoryLength => number(self.history_length),
                BuiltIn::HistorySizeBytes => number(self.history_bytes),
                BuiltIn::ParentRunId => Value::Made(self.parent?.run_id.to_string()),
                BuiltIn::ParentWorkflowId => Value::Text(self.parent?.workflow_id.as_str()),
                BuiltIn::RunId => Value::Made(self.run_id.to_string()),
                BuiltIn::WorkflowId => Value::Text(self.workflow_id),
                BuiltIn::WorkflowType => Value::Text(self.workflow_type),
            },
        })
    }
}

fn custom(value: &SearchAttributeValue) -> Value<'_> {
    match value {
        SearchAttributeValue::Keyword(text) => Value::Text(text),
        SearchAttributeValue::Text(text) => Value::Words(text),
        SearchAttributeValue::Int(number) => Value::Int(*number),
        SearchAttributeValue::Double(number) => Value::Double(*number),
        SearchAttributeValue::Bool(truth) => Value::Bool(*truth),
        SearchAttributeValue::Datetime(time) => Value::Time(*time),
        SearchAttributeValue::KeywordList(texts) => Value::List(texts),
    }
}

impl Filter {
    /// Every run.
    #[must_use]
    pub fn all() -> Self {
        Filter::And(Vec::new())
    }

    /// Whether this run is meant.
    #[must_use]
    pub fn matches(&self, run: &Subject<'_>) -> bool {
        self.truth(run) == Some(true)
    }

    /// `None`: neither true nor false.
    fn truth(&self, run: &Subject<'_>) -> Option<bool> {
        match self {
            Filter::And(all) => decided(all, run, false),
            Filter::Or(any) => decided(any, run, true),
            Filter::Not(not) => not.truth(run).map(|truth| !truth),
            Filter::Is(condition) => condition.truth(run),
        }
    }
}

/// `decisive` as soon as one is; else unknown if one is.
fn decided(several: &[Filter], run: &Subject<'_>, decisive: bool) -> Option<bool> {
    let mut known = true;
    for filter in several {
        match filter.truth(run) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!decisive)
}

impl Condition {
    fn is_time(&self) -> bool {
        matches!(
            &self.attribute,
            Attribute::Custom(_, Some(SearchAttributeType::Datetime))
        )
    }

    fn truth(&self, run: &Subject<'_>) -> Option<bool> {
        let value = run.value(&self.attribute);
        match (&self.test, value) {
            (Test::IsNull, value) => Some(value.is_none()),
            (_, None) => None,
            // What it was before it was registered as a time is text that no index has among the times.
            (_, Some(value)) if self.is_time() && !matches!(value, Value::Time(_)) => None,
            (Test::Compare(comparison, literal), Some(value)) => value.compares(*comparison, literal),
            (Test::In(several), Some(value)) => {
                let mut known = false;
                for literal in several {
                    match value.compares(Comparison::Equal, literal) {
                        Some(true) => return Some(true),
                        Some(false) => known = true,
                        None => {}
                    }
                }
                known.then_some(false)
            }
            (Test::Between(lower, upper), Some(value)) => {
                let above = value.compares(Comparison::GreaterOrEqual, lower)?;
                Some(above && value.compares(Comparison::LessOrEqual, upper)?)
            }
            (Test::StartsWith(start), Some(value)) => match &value {
                Value::Text(text) => Some(text.starts_with(start)),
                Value::Made(text) => Some(text.starts_with(start)),
                Value::List(texts) => Some(texts.iter().any(|text| text.starts_with(start))),
                _ => None,
            },
        }
    }
}

impl Value<'_> {
    /// `None` when the two have nothing to do with each other.
    fn compares(&self, comparison: Comparison, literal: &Literal) -> Option<bool> {
        match (self, literal) {
            (Value::List(texts), Literal::Text(text, _)) => match comparison {
                Comparison::Equal => Some(texts.contains(text)),
                Comparison::NotEqual => Some(!texts.contains(text)),
                _ => None,
            },
            (Value::Words(text), Literal::Text(wanted, _)) => match comparison {
                Comparison::Equal => Some(has_words(text, wanted)),
                Comparison::NotEqual => Some(!has_words(text, wanted)),
                _ => None,
            },
            _ => self.ordering(literal).map(|ordering| comparison.holds(ordering)),
        }
    }

    fn ordering(&self, literal: &Literal) -> Option<Ordering> {
        match (self, literal) {
            (Value::Text(text), Literal::Text(other, _)) => Some((*text).cmp(other.as_str())),
            (Value::Made(text), Literal::Text(other, _)) => Some(text.as_str().cmp(other.as_str())),
            (Value::Int(number), Literal::Int(other)) => Some(number.cmp(other)),
            (Value::Int(number), Literal::Double(other)) => (*number as f64).partial_cmp(other),
            (Value::Double(number), Literal::Int(other)) => number.partial_cmp(&(*other as f64)),
            (Value::Double(number), Literal::Double(other)) => number.partial_cmp(other),
            (Value::Bool(truth), Literal::Bool(other)) => Some(truth.cmp(other)),
            (Value::Time(time), Literal::Text(_, other)) => Some(time.cmp(other.as_ref()?)),
            (Value::Status(status), Literal::Status(other)) => Some(status.cmp(other)),
            _ => None,
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
        }
    }
}

/// Whether all words of the one are words of the other, whatever their case.
fn has_words(text: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let (has, wanted) = (words(text), words(wanted));
    !wanted.is_empty() && wanted.iter().all(|word| has.contains(word))
}
