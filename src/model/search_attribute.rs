//! What runs can be found by: typed search attributes, and the memo, which is only shown. Lives here: the values, their
//! types, and what is allowed. Must not live here: which were registered (`types`), finding anything (`visibility`).

mod error;
mod types;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{CHANGE_VERSION, Payload, Timestamp, limits};

pub use self::error::SearchAttributeError;
pub use self::types::SearchAttributeTypes;

/// The search attributes of a run, by name.
pub type SearchAttributes = BTreeMap<String, SearchAttributeValue>;

/// A change of search attributes: `None` takes one away.
pub type SearchAttributeChanges = BTreeMap<String, Option<SearchAttributeValue>>;

/// The memo of a run: data that is shown with it, and that it cannot be found by.
pub type Memo = BTreeMap<String, Payload>;

/// A change of a memo: `None` takes a field away.
pub type MemoChanges = BTreeMap<String, Option<Payload>>;

/// The names that queries have for what every run has. A search attribute of the user's cannot have one of them.
pub const BUILT_IN_ATTRIBUTES: [&str; 13] = [
    "CloseTime",
    "ExecutionDuration",
    "ExecutionStatus",
    "ExecutionTime",
    "HistoryLength",
    "HistorySizeBytes",
    "ParentRunId",
    "ParentWorkflowId",
    "RunId",
    "StartTime",
    "TaskQueue",
    "WorkflowId",
    "WorkflowType",
];

/// The types of search attributes; Temporal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchAttributeType {
    /// A text that is compared as a whole.
    Keyword,
    /// A text that is searched by its words.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// True or false.
    Bool,
    /// A point in time.
    Datetime,
    /// Several texts, any of which it can be found by.
    KeywordList,
}

/// The value of a search attribute, with its type.
///
/// ```
/// use amends::SearchAttributeValue;
///
/// assert_eq!(SearchAttributeValue::from("ada"), SearchAttributeValue::Keyword("ada".to_owned()));
/// assert_eq!(SearchAttributeValue::from(7), SearchAttributeValue::Int(7));
/// ```
#[derive(Clone, PartialEq)]
pub enum SearchAttributeValue {
    /// A text that is compared as a whole.
    Keyword(String),
    /// A text that is searched by its words.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number; never a NaN.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A point in time.
    Datetime(Timestamp),
    /// Several texts, any of which it can be found by.
    KeywordList(Vec<String>),
}

// Not a number is refused where values enter.
impl Eq for SearchAttributeValue {}

impl SearchAttributeType {
    /// All of them.
    pub const ALL: [SearchAttributeType; 7] = [
        SearchAttributeType::Keyword,
        SearchAttributeType::Text,
        SearchAttributeType::Int,
        SearchAttributeType::Double,
        SearchAttributeType::Bool,
        SearchAttributeType::Datetime,
        SearchAttributeType::KeywordList,
    ];

    /// Its name, which is Temporal's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SearchAttributeType::Keyword => "Keyword",
            SearchAttributeType::Text => "Text",
            SearchAttributeType::Int => "Int",
            SearchAttributeType::Double => "Double",
            SearchAttributeType::Bool => "Bool",
            SearchAttributeType::Datetime => "Datetime",
            SearchAttributeType::KeywordList => "KeywordList",
        }
    }
}

impl fmt::Display for SearchAttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SearchAttributeType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!(
                "there is no type {text:?} of search attributes; there are {}",
                known.join(", ")
            )
        })
    }
}

impl SearchAttributeValue {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> SearchAttributeType {
        match self {
            SearchAttributeValue::Keyword(_) => SearchAttributeType::Keyword,
            SearchAttributeValue::Text(_) => SearchAttributeType::Text,
            SearchAttributeValue::Int(_) => SearchAttributeType::Int,
            SearchAttributeValue::Double(_) => SearchAttributeType::Double,
            SearchAttributeValue::Bool(_) => SearchAttributeType::Bool,
            SearchAttributeValue::Datetime(_) => SearchAttributeType::Datetime,
            SearchAttributeValue::KeywordList(_) => SearchAttributeType::KeywordList,
        }
    }

    /// The value as one of this type, if nothing is lost: a keyword as a text, a list of one, or a point in time in RFC 3339;
    /// a whole number as a number.
    #[must_use]
    pub fn as_kind(&self, kind: SearchAttributeType) -> Option<Self> {
        use SearchAttributeType as T;
        use SearchAttributeValue as V;
        Some(match (self, kind) {
            (value, kind) if value.kind() == kind => value.clone(),
            (V::Keyword(text), T::Text) => V::Text(text.clone()),
            (V::Text(text), T::Keyword) => V::Keyword(text.clone()),
            (V::Keyword(text), T::KeywordList) => V::KeywordList(vec![text.clone()]),
            (V::Keyword(text), T::Datetime) => V::Datetime(Timestamp::parse(text)?),
            #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
            (V::Int(number), T::Double) if (*number as f64) as i128 == i128::from(*number) => V::Double(*number as f64),
            _ => return None,
        })
    }

    /// The value of a JSON value: a text is a keyword, a number without a fraction is whole, a list of texts is a keyword
    /// list. `None` for everything else, null included.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as J;
        Some(match value {
            J::String(text) => SearchAttributeValue::Keyword(text.clone()),
            J::Bool(truth) => SearchAttributeValue::Bool(*truth),
            J::Number(number) => match number.as_i64() {
                Some(whole) => SearchAttributeValue::Int(whole),
                None => SearchAttributeValue::Double(number.as_f64()?),
            },
            J::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                SearchAttributeValue::KeywordList(texts.collect::<Option<_>>()?)
            }
            J::Null | J::Object(_) => return None,
        })
    }

    /// The value as JSON; a point in time as text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            SearchAttributeValue::Keyword(text) | SearchAttributeValue::Text(text) => text.as_str().into(),
            SearchAttributeValue::Int(number) => (*number).into(),
            SearchAttributeValue::Double(number) => (*number).into(),
            SearchAttributeValue::Bool(truth) => (*truth).into(),
            SearchAttributeValue::Datetime(time) => time.to_string().into(),
            SearchAttributeValue::KeywordList(texts) => texts.as_slice().into(),
        }
    }

    fn bytes(&self) -> usize {
        // What it is stored with: a type, and a length or a number.
        const OVERHEAD_BYTES: usize = 9;
        let text = match self {
            SearchAttributeValue::Keyword(text) | SearchAttributeValue::Text(text) => text.len(),
            SearchAttributeValue::KeywordList(texts) => texts.iter().map(|text| text.len() + 2).sum(),
            _ => 0,
        };
        OVERHEAD_BYTES + text
    }
}

impl fmt::Display for SearchAttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SearchAttributeValue::Datetime(time) => fmt::Display::fmt(time, f),
            other => fmt::Display::fmt(&other.to_json(), f),
        }
    }
}

impl fmt::Debug for SearchAttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.kind())
    }
}

macro_rules! value_from {
    ($($from:ty => $value:ident),* $(,)?) => {
        $(impl From<$from> for SearchAttributeValue {
            fn from(value: $from) -> Self {
                SearchAttributeValue::$value(value.into())
            }
        })*
    };
}

value_from! {
    &str => Keyword, String => Keyword, &String => Keyword, i64 => Int, i32 => Int, u32 => Int, i16 => Int, u16 => Int, i8 => Int, u8 => Int,
    f64 => Double, f32 => Double, bool => Bool, Timestamp => Datetime, Vec<String> => KeywordList,
}

impl<const N: usize> From<[&str; N]> for SearchAttributeValue {
    fn from(texts: [&str; N]) -> Self {
        SearchAttributeValue::KeywordList(texts.map(str::to_owned).into())
    }
}

/// Checks one search attribute: that it can have this name and this value.
///
/// # Errors
/// Why not.
pub fn check_search_attribute(name: &str, value: &SearchAttributeValue) -> Result<(), SearchAttributeError> {
    check_name(name)?;
    match value {
        SearchAttributeValue::Double(number) if !number.is_finite() => {
            Err(SearchAttributeError::NotFinite(name.to_owned()))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), SearchAttributeError> {
    super::ids::check("search attribute", name)?;
    let built_in = BUILT_IN_ATTRIBUTES.iter().any(|known| known.eq_ignore_ascii_case(name));
    match built_in {
        true => Err(SearchAttributeError::BuiltIn(name.to_owned())),
        false => Ok(()),
    }
}

/// Checks that somebody may give or take away a search attribute of this name: not the list that amends makes itself. What is
/// recorded already is not asked: histories of Temporal's server have that list among the attributes.
///
/// # Errors
/// [`SearchAttributeError::ChangeList`].
pub fn check_given_search_attribute(name: &str) -> Result<(), SearchAttributeError> {
    match name == CHANGE_VERSION {
        true => Err(SearchAttributeError::ChangeList),
        false => Ok(()),
    }
}

/// Checks all search attributes of a run together, one by one and as a whole.
///
/// # Errors
/// Why they cannot be a run's.
pub fn check_search_attributes(attributes: &SearchAttributes) -> Result<(), SearchAttributeError> {
    if attributes.len() > limits::SEARCH_ATTRIBUTES_MAX {
        return Err(SearchAttributeError::TooMany);
    }
    let mut bytes = 0;
    for (name, value) in attributes {
        check_search_attribute(name, value)?;
        bytes += name.len() + 2 + value.bytes();
    }
    match bytes > limits::SEARCH_ATTRIBUTES_BYTES_MAX {
        true => Err(SearchAttributeError::TooLarge { bytes }),
        false => Ok(()),
    }
}

/// Checks a whole memo.
///
/// # Errors
/// Why it cannot be a run's.
pub fn check_memo(memo: &Memo) -> Result<(), SearchAttributeError> {
    let sizes = memo.iter().map(|(name, value)| name.len() + value.size());
    let (fields, bytes) = (memo.len(), sizes.sum());
    memo.keys().try_for_each(|name| super::ids::check("memo field", name))?;
    match fields > limits::MEMO_FIELDS_MAX || bytes > limits::MEMO_BYTES_MAX {
        true => Err(SearchAttributeError::Memo { fields, bytes }),
        false => Ok(()),
    }
}

/// Works changes into what there is.
pub(crate) fn merge<V: Clone>(into: &mut BTreeMap<String, V>, changes: &BTreeMap<String, Option<V>>) {
    for (name, change) in changes {
        match change {
            Some(value) => drop(into.insert(name.clone(), value.clone())),
            None => drop(into.remove(name)),
        }
    }
}

#[cfg(test)]
mod tests;
