//! How a list is sorted. Must not live here: sorting it.

use std::cmp::Ordering;

use serde_json::{Value as Json, json};

use crate::model::{RunId, Timestamp};

use super::attribute::Attribute;
use super::evaluate::{Subject, Value};

/// What a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub attribute: Attribute,
    /// The greatest comes first.
    pub descending: bool,
}

/// One value that a list is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A point in time.
    Time(Timestamp),
    /// A text.
    Text(String),
    /// The run does not have it: last, however the list is sorted.
    Missing,
}

/// A run's place in a sorted list.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// Its values, and whether the greatest comes first.
    pub values: Vec<(SortValue, bool)>,
    /// The execution; the newer comes first.
    pub run_id: RunId,
}

impl Order {
    /// The place of a run in a list that is sorted like this.
    #[must_use]
    pub fn key(order: &[Order], run: &Subject<'_>) -> SortKey {
        let value = |order: &Order| {
            let value = match run.value(&order.attribute) {
                None => SortValue::Missing,
                Some(Value::Bool(truth)) => SortValue::Bool(truth),
                Some(Value::Int(number)) => SortValue::Int(number),
                Some(Value::Double(number)) => SortValue::Double(number),
                Some(Value::Time(time)) => SortValue::Time(time),
                Some(Value::Text(text) | Value::Words(text)) => SortValue::Text(text.to_owned()),
                Some(Value::Made(text)) => SortValue::Text(text),
                Some(Value::List(texts)) => SortValue::Text(texts.join(" ")),
                Some(Value::Status(status)) => SortValue::Text(status.as_str().to_owned()),
            };
            (value, order.descending)
        };
        SortKey {
            values: order.iter().map(value).collect(),
            run_id: run.run_id,
        }
    }
}

impl SortValue {
    fn rank(&self) -> u8 {
        match self {
            SortValue::Bool(_) => 0,
            SortValue::Int(_) | SortValue::Double(_) => 1,
            SortValue::Time(_) => 2,
            SortValue::Text(_) => 3,
            SortValue::Missing => 4,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (SortValue::Bool(one), SortValue::Bool(other)) => one.cmp(other),
            (SortValue::Int(one), SortValue::Int(other)) => one.cmp(other),
            (SortValue::Double(one), SortValue::Double(other)) => one.total_cmp(other),
            (SortValue::Int(one), SortValue::Double(other)) => (*one as f64).total_cmp(other),
            (SortValue::Double(one), SortValue::Int(other)) => one.total_cmp(&(*other as f64)),
            (SortValue::Time(one), SortValue::Time(other)) => one.cmp(other),
            (SortValue::Text(one), SortValue::Text(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// As JSON, for a page's token.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            SortValue::Bool(truth) => json!({"b": truth}),
            SortValue::Int(number) => json!({"i": number}),
            SortValue::Double(number) => json!({"d": number}),
            SortValue::Time(time) => json!({"t": time.as_micros()}),
            SortValue::Text(text) => json!({"s": text}),
            SortValue::Missing => Json::Null,
        }
    }

    /// From what [`to_json`](Self::to_json) made.
    #[must_use]
    pub fn from_json(value: &Json) -> Option<Self> {
        if value.is_null() {
            return Some(SortValue::Missing);
        }
        let (kind, value) = value.as_object()?.iter().next()?;
        Some(match kind.as_str() {
            "b" => SortValue::Bool(value.as_bool()?),
            "i" => SortValue::Int(value.as_i64()?),
            "d" => SortValue::Double(value.as_f64()?),
            "t" => SortValue::Time(Timestamp::from_micros(value.as_i64()?)),
            "s" => SortValue::Text(value.as_str()?.to_owned()),
            _ => return None,
        })
    }
}

impl Eq for SortKey {}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    /// What comes first in the list is the smaller.
    fn cmp(&self, other: &Self) -> Ordering {
        for ((one, descending), (other, _)) in self.values.iter().zip(&other.values) {
            let ordering = match (one, other) {
                (SortValue::Missing, _) | (_, SortValue::Missing) => one.rank().cmp(&other.rank()),
                _ if *descending => other.compare(one),
                _ => one.compare(other),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        other.run_id.cmp(&self.run_id)
    }
}
