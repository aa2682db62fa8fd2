//! From what is written to what is meant: names become attributes, values get their types. Must not live here: the order of
//! words.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{
    CHANGE_VERSION, RunId, RunStatus, SearchAttributeType, SearchAttributeTypes, Timestamp, nearest_name,
};

use super::attribute::{Attribute, BuiltIn, Kind};
use super::error::QuerySyntaxError;
use super::evaluate::{Comparison, Condition, Filter, Literal, Test};
use super::order::Order;
use super::parser::parse;
use super::syntax::{At, Expression, Predicate, Written};

/// The search attributes that a query may name.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Those that were registered, with their types.
    pub types: SearchAttributeTypes,
    /// Those that runs have, whatever their types.
    pub others: BTreeSet<String>,
}

/// A query that was read and checked.
///
/// ```
/// use amends::visibility::{Known, Query};
///
/// let known = Known::default();
/// assert!(Query::parse("WorkflowType = 'order' AND ExecutionStatus IN ('Running', 'Stuck')", &known).is_ok());
/// let error = Query::parse("WorkflowTyp = 'order'", &known).unwrap_err();
/// assert!(error.to_string().starts_with("column 1: unknown attribute `WorkflowTyp`; did you mean `WorkflowType`?"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The runs that are meant.
    pub filter: Filter,
    /// How the list is sorted; without any, newest first.
    pub order: Vec<Order>,
    /// Whether to count by status.
    pub by_status: bool,
}

impl Query {
    /// Reads a query. An empty one means every run.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(query: &str, known: &Known) -> Result<Query, QuerySyntaxError> {
        let written = parse(query)?;
        let check = Check { query, known };
        let filter = written
            .expression
            .map(|expression| check.filter(expression))
            .transpose()?;
        let order = written.order.into_iter().map(|(name, descending)| {
            Ok(Order {
                attribute: check.attribute(&name)?,
                descending,
            })
        });
        let order = order.collect::<Result<Vec<Order>, QuerySyntaxError>>()?;
        let by_status = match &written.group {
            None => false,
            Some(name) => match check.attribute(name)? {
                Attribute::BuiltIn(BuiltIn::ExecutionStatus) => true,
                _ => return Err(check.error(name.byte, "only GROUP BY ExecutionStatus is possible")),
            },
        };
        Ok(Query {
            filter: filter.unwrap_or_else(Filter::all),
            order,
            by_status,
        })
    }
}

struct Check<'a> {
    query: &'a str,
    known: &'a Known,
}

impl Check<'_> {
    fn error(&self, byte: usize, what: impl Into<String>) -> QuerySyntaxError {
        QuerySyntaxError::at(self.query, byte, what)
    }

    fn filter(&self, expression: Expression) -> Result<Filter, QuerySyntaxError> {
        let all = |several: Vec<Expression>| -> Result<Vec<Filter>, QuerySyntaxError> {
            several.into_iter().map(|one| self.filter(one)).collect()
        };
        Ok(match expression {
            Expression::And(several) => Filter::And(all(several)?),
            Expression::Or(several) => Filter::Or(all(several)?),
            Expression::Not(not) => Filter::Not(Box::new(self.filter(*not)?)),
            Expression::Is(name, predicate) => {
                let attribute = self.attribute(&name)?;
                let test = self.test(&attribute, predicate)?;
                Filter::Is(Condition { attribute, test })
            }
        })
    }

    fn attribute(&self, name: &At<String>) -> Result<Attribute, QuerySyntaxError> {
        let written = name.what.as_str();
        if let Some(built_in) = BuiltIn::ALL.into_iter().find(|built_in| built_in.as_str() == written) {
            return Ok(Attribute::BuiltIn(built_in));
        }
        if written == CHANGE_VERSION {
            let kind = Some(SearchAttributeType::KeywordList);
            return Ok(Attribute::Custom(written.to_owned(), kind));
        }
        let kind = self.known.types.get(written);
        if kind.is_some() || self.known.others.contains(written) {
            return Ok(Attribute::Custom(written.to_owned(), kind));
        }
        let registered = self.known.types.iter().map(|(name, _)| name);
        let others = self.known.others.iter().map(String::as_str);
        let custom: BTreeSet<&str> = registered.chain(others).collect();
        let mut known: Vec<&str> = custom.into_iter().collect();
        for built_in in BuiltIn::ALL {
            known.push(built_in.as_str());
        }
        if !known.contains(&CHANGE_VERSION) {
            known.push(CHANGE_VERSION);
        }
        let hint = nearest_name(written, known.iter().copied());
        let hint = hint.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
        let what = format!("unknown attribute `{written}`; {hint}known: {}", known.join(", "));
        Err(self.error(name.byte, what))
    }

    fn test(&self, attribute: &Attribute, predicate: Predicate) -> Result<Test, QuerySyntaxError> {
        Ok(match predicate {
            Predicate::IsNull => Test::IsNull,
            Predicate::Compare(sign, value) => {
                let comparison = self.comparison(attribute, &sign)?;
                Test::Compare(comparison, self.literal(attribute, value)?)
            }
            Predicate::In(values) => {
                let values = values.into_iter().map(|value| self.literal(attribute, value));
                Test::In(values.collect::<Result<_, _>>()?)
            }
            Predicate::Between(lower, upper) => {
                let sign = Comparison::GreaterOrEqual;
                self.comparison(
                    attribute,
                    &At {
                        byte: lower.byte,
                        what: sign,
                    },
                )?;
                Test::Between(self.literal(attribute, lower)?, self.literal(attribute, upper)?)
            }
            Predicate::StartsWith(value) => match (attribute.kind(), value.what) {
                (
                    Kind::Of(SearchAttributeType::Keyword | SearchAttributeType::KeywordList) | Kind::RunId | Kind::Any,
                    Written::Text(text),
                ) => Test::StartsWith(text),
                (_, Written::Text(_)) => {
                    return Err(self.error(value.byte, format!("STARTS_WITH is for keywords; {attribute} is none")));
                }
                _ => return Err(self.error(value.byte, "STARTS_WITH needs a text in quotes")),
            },
        })
    }

    fn comparison(&self, attribute: &Attribute, sign: &At<Comparison>) -> Result<Comparison, QuerySyntaxError> {
        use SearchAttributeType as T;
        let needs_order = !matches!(sign.what, Comparison::Equal | Comparison::NotEqual);
        match attribute.kind() {
            Kind::Status | Kind::Of(T::Bool | T::Text | T::KeywordList) if needs_order => {
                let what = format!("{attribute} has no order: compare it with =, != or IN");
                Err(self.error(sign.byte, what))
            }
            _ => Ok(sign.what),
        }
    }

    /// The value as one of the attribute's type.
    fn literal(&self, attribute: &Attribute, value: At<Written>) -> Result<Literal, QuerySyntaxError> {
        use SearchAttributeType as T;
        let At { byte, what: written } = value;
        let expected = |what: &str| Err(self.error(byte, format!("{attribute} is {what}")));
        match (attribute.kind(), written) {
            (Kind::Of(T::Keyword | T::Text | T::KeywordList), Written::Text(text)) => Ok(Literal::Text(text, None)),
            (Kind::Of(T::Keyword | T::Text | T::KeywordList), _) => expected("a text: write it in quotes"),
            (Kind::Of(T::Int | T::Double), Written::Int(number)) => Ok(Literal::Int(number)),
            (Kind::Of(T::Int | T::Double), Written::Double(number)) => Ok(Literal::Double(number)),
            (Kind::Of(T::Int | T::Double), _) => expected("a number: write it without quotes"),
            (Kind::Of(T::Bool), Written::Bool(truth)) => Ok(Literal::Bool(truth)),
            (Kind::Of(T::Bool), _) => expected("true or false: write it without quotes"),
            (Kind::Of(T::Datetime), Written::Text(text)) => match moment(&text) {
                Some(time) => Ok(Literal::Text(text, Some(time))),
                None => expected("a time such as '2026-01-31T12:00:00Z' or '2026-01-31'"),
            },
            (Kind::Of(T::Datetime), _) => expected("a time such as '2026-01-31T12:00:00Z': write it in quotes"),
            (Kind::Status, Written::Text(text)) => match RunStatus::named(&text) {
                Some(status) => Ok(Literal::Status(status)),
                None => {
                    let known: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
                    let what = format!("there is no status '{text}'; there are {}", known.join(", "));
                    Err(self.error(byte, what))
                }
            },
            (Kind::Status, _) => expected("a status: write it in quotes"),
            (Kind::RunId, Written::Text(text)) => match text.parse::<RunId>() {
                Ok(run_id) => Ok(Literal::Text(run_id.to_string(), None)),
                Err(_) => expected("a run id such as '0198c0de-0000-7000-8000-000000000000'"),
            },
            (Kind::RunId, _) => expected("a run id: write it in quotes"),
            (Kind::Duration, Written::Int(nanos)) => Ok(Literal::Int(nanos)),
            (Kind::Duration, Written::Text(text)) => match humantime::parse_duration(&text) {
                Ok(duration) => Ok(Literal::Int(nanos(duration))),
                Err(_) => expected("a duration such as '1h 30m', or a number of nanoseconds"),
            },
            (Kind::Duration, _) => expected("a duration such as '1h 30m', or a number of nanoseconds"),
            (Kind::Any, Written::Text(text)) => {
                let time = moment(&text);
                Ok(Literal::Text(text, time))
            }
            (Kind::Any, Written::Int(number)) => Ok(Literal::Int(number)),
            (Kind::Any, Written::Double(number)) => Ok(Literal::Double(number)),
            (Kind::Any, Written::Bool(truth)) => Ok(Literal::Bool(truth)),
        }
    }
}

/// RFC 3339, or a date: its first moment in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
