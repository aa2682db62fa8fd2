//! What an index can help with: things that every run that is meant has to have. Must not live here: any index.

use crate::model::{RunStatus, SearchAttributeValue, Timestamp};

use super::attribute::{Attribute, BuiltIn};
use super::evaluate::{Comparison, Condition, Filter, Literal, Test};

/// Something that every run that is meant has.
#[derive(Clone, Debug, PartialEq)]
pub enum Narrow {
    /// One of these run ids, as texts.
    RunIds(Vec<String>),
    /// One of these workflow ids.
    WorkflowIds(Vec<String>),
    /// A search attribute in one of these ranges.
    Attribute {
        /// Its name.
        name: String,
        /// The ranges; one is enough.
        ranges: Vec<Range>,
    },
    /// It is open.
    Open,
}

/// Values of a search attribute, both ends belonging to it; more than are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Numbers, whole or not.
    Numbers(Option<f64>, Option<f64>),
    /// Points in time.
    Times(Option<Timestamp>, Option<Timestamp>),
    /// Texts, of a list as well.
    Texts(Option<String>, Option<String>),
    /// Texts that begin so.
    TextsWith(String),
    /// True or false.
    Bool(bool),
    /// Texts of which the words count, whatever they are.
    Words,
}

impl Filter {
    /// Things that every run has that is meant; each of them is enough to look for.
    #[must_use]
    pub fn narrow(&self) -> Vec<Narrow> {
        match self {
            Filter::And(all) => all.iter().flat_map(Filter::narrow).collect(),
            Filter::Or(any) => match any.as_slice() {
                [only] => only.narrow(),
                _ => joined(any).into_iter().collect(),
            },
            Filter::Not(_) => Vec::new(),
            Filter::Is(condition) => condition.narrow().into_iter().collect(),
        }
    }
}

/// `a = 1 OR a = 2` is about one attribute, like IN.
fn joined(any: &[Filter]) -> Option<Narrow> {
    let mut narrows = any.iter().map(|filter| match filter {
        Filter::Is(condition) => condition.narrow(),
        _ => None,
    });
    let mut joined = narrows.next()??;
    for narrow in narrows {
        match (&mut joined, narrow?) {
            (Narrow::RunIds(all), Narrow::RunIds(more)) | (Narrow::WorkflowIds(all), Narrow::WorkflowIds(more)) => {
                all.extend(more);
            }
            (
                Narrow::Attribute { name, ranges },
                Narrow::Attribute {
                    name: other,
                    ranges: more,
                },
            ) if *name == other => {
                ranges.extend(more);
            }
            (Narrow::Open, Narrow::Open) => {}
            _ => return None,
        }
    }
    Some(joined)
}

impl Condition {
    fn narrow(&self) -> Option<Narrow> {
        match &self.attribute {
            Attribute::BuiltIn(BuiltIn::WorkflowId) => Some(Narrow::WorkflowIds(self.texts()?)),
            Attribute::BuiltIn(BuiltIn::RunId) => Some(Narrow::RunIds(self.texts()?)),
            Attribute::BuiltIn(BuiltIn::ExecutionStatus) => {
                let open = |literal: &Literal| matches!(literal, Literal::Status(status) if is_open(*status));
                let all_open = match &self.test {
                    Test::Compare(Comparison::Equal, literal) => open(literal),
                    Test::In(several) => several.iter().all(open),
                    _ => false,
                };
                all_open.then_some(Narrow::Open)
            }
            Attribute::BuiltIn(BuiltIn::CloseTime | BuiltIn::ExecutionDuration) if self.test == Test::IsNull => {
                Some(Narrow::Open)
            }
            Attribute::BuiltIn(_) => None,
            Attribute::Custom(name, kind) => Some(Narrow::Attribute {
                name: name.clone(),
                ranges: self.ranges(kind.is_some())?,
            }),
        }
    }

    /// The texts that it is one of.
    fn texts(&self) -> Option<Vec<String>> {
        let text = |literal: &Literal| match literal {
            Literal::Text(text, _) => Some(text.clone()),
            _ => None,
        };
        match &self.test {
            Test::Compare(Comparison::Equal, literal) => Some(vec![text(literal)?]),
            Test::In(several) => several.iter().map(text).collect(),
            _ => None,
        }
    }

    fn ranges(&self, has_type: bool) -> Option<Vec<Range>> {
        match &self.test {
            Test::Compare(comparison, literal) => {
                use Comparison as C;
                let (lower, upper) = match comparison {
                    C::Equal => (true, true),
                    C::Greater | C::GreaterOrEqual => (true, false),
                    C::Less | C::LessOrEqual => (false, true),
                    C::NotEqual => return None,
                };
                between(lower.then_some(literal), upper.then_some(literal), has_type)
            }
            Test::Between(lower, upper) => between(Some(lower), Some(upper), has_type),
            Test::In(several) => {
                let ranges = several
                    .iter()
                    .map(|literal| between(Some(literal), Some(literal), has_type));
                Some(ranges.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
            }
            Test::StartsWith(start) => Some(vec![Range::TextsWith(start.clone())]),
            Test::IsNull => None,
        }
    }
}

/// A literal may stand for values of several types when the attribute's was not registered. A text may be asked for by its
/// words, which no index knows.
fn between(lower: Option<&Literal>, upper: Option<&Literal>, has_type: bool) -> Option<Vec<Range>> {
    let number = |literal: &Literal| match literal {
        Literal::Int(number) => Some(*number as f64),
        Literal::Double(number) => Some(*number),
        _ => None,
    };
    match (lower, upper, lower.or(upper)?) {
        (lower, upper, Literal::Int(_) | Literal::Double(_)) => {
            Some(vec![Range::Numbers(lower.and_then(number), upper.and_then(number))])
        }
        (Some(_), Some(_), Literal::Bool(truth)) => Some(vec![Range::Bool(*truth)]),
        (lower, upper, Literal::Text(..)) => {
            let text = |literal: &Literal| match literal {
                Literal::Text(text, _) => Some(text.clone()),
                _ => None,
            };
            let time = |literal: &Literal| match literal {
                Literal::Text(_, time) => *time,
                _ => None,
            };
            let is_time = lower.or(upper).and_then(time).is_some();
            let times = Range::Times(lower.and_then(time), upper.and_then(time));
            let texts = Range::Texts(lower.and_then(text), upper.and_then(text));
            match (has_type, is_time) {
                (true, true) => Some(vec![times]),
                (true, false) => Some(vec![texts, Range::Words]),
                (false, true) => Some(vec![texts, times, Range::Words]),
                (false, false) => Some(vec![texts, Range::Words]),
            }
        }
        _ => None,
    }
}

fn is_open(status: RunStatus) -> bool {
    !status.is_closed()
}

/// Where an index has a search attribute.
#[must_use]
pub fn indexed(value: &SearchAttributeValue) -> Vec<Range> {
    use SearchAttributeValue as V;
    let text = |text: &String| Range::Texts(Some(text.clone()), Some(text.clone()));
    match value {
        V::Keyword(one) => vec![text(one)],
        V::KeywordList(several) => several.iter().map(text).collect(),
        V::Text(_) => vec![Range::Words],
        V::Int(number) => vec![Range::Numbers(Some(*number as f64), Some(*number as f64))],
        V::Double(number) => vec![Range::Numbers(Some(*number), Some(*number))],
        V::Bool(truth) => vec![Range::Bool(*truth)],
        V::Datetime(time) => vec![Range::Times(Some(*time), Some(*time))],
    }
}
