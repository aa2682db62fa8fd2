//! Reading one TOML table key by key. Lives here: typed access that reports wrong types and, at the end, the keys that
//! nobody asked for. Must not live here: which keys there are (that is `grammar`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::locations::{Part, Problems, Spot};
use super::super::problem::did_you_mean;

type Entry<'a> = (&'a str, &'a Spanned<DeValue<'a>>);

/// One table and its place in the definition.
pub(crate) struct Table<'a> {
    place: String,
    entries: Vec<Entry<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Starts reading a table; remembers where its entries are.
    pub(crate) fn new(place: &str, table: &'a DeTable<'a>, problems: &mut Problems) -> Self {
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(table.len());
        for (key, value) in table {
            let spot = Spot {
                key: Some(key.span().start),
                value: value.span().start,
                text: text_start(value, problems),
            };
            problems.locate(&join(place, key.get_ref()), spot);
            entries.push((key.get_ref(), value));
        }
        Self {
            place: place.to_owned(),
            entries,
            known: Vec::new(),
        }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Where one of its keys is.
    pub(crate) fn at(&self, key: &str) -> String {
        join(&self.place, key)
    }

    /// The value of a key; the key counts as known from here on.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    /// A string.
    pub(crate) fn string(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            wrong_type(&self.at(key), "a string", value, problems);
        }
        text.map(str::to_owned)
    }

    /// A human duration: `"1m 30s"`.
    pub(crate) fn duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<Duration> {
        const HINT: &str = "write a number with a unit, such as \"250ms\", \"10s\" or \"1m 30s\"";
        let value = self.value(key)?;
        let place = self.at(key);
        let Some(text) = value.get_ref().as_str() else {
            wrong_type(&place, "a duration", value, problems).hint(HINT);
            return None;
        };
        let parsed = humantime::parse_duration(text);
        if parsed.is_err() {
            problems.error(&place, format!("`{text}` is not a duration")).hint(HINT);
        }
        parsed.ok()
    }

    /// A number, whole or not.
    pub(crate) fn number(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => integer(value).map(|whole| whole as f64),
            _ => None,
        };
        if number.is_none() {
            wrong_type(&self.at(key), "a number", value, problems);
        }
        number
    }

    /// A whole number that fits 32 bits.
    pub(crate) fn count(&mut self, key: &'static str, problems: &mut Problems) -> Option<u32> {
        let value = self.value(key)?;
        let count = integer(value).map(u32::try_from);
        match count {
            Some(Ok(count)) => return Some(count),
            Some(Err(_)) => {
                let message = format!("must be from 0 to {}", u32::MAX);
                problems.error(&self.at(key), message);
            }
            None => {
                wrong_type(&self.at(key), "a whole number", value, problems);
            }
        }
        None
    }

    /// True or false.
    pub(crate) fn boolean(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let value = self.value(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            wrong_type(&self.at(key), "true or false", value, problems);
        }
        boolean
    }

    /// An array of strings.
    pub(crate) fn strings(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<String>> {
        self.array(key, "a string", problems, |value| {
            value.get_ref().as_str().map(str::to_owned)
        })
    }

    /// An array of HTTP statuses.
    pub(crate) fn statuses(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<u16>> {
        self.array(key, "an HTTP status (100 to 599)", problems, |value| {
            let status = u16::try_from(integer(value)?).ok()?;
            (100..=599).contains(&status).then_some(status)
        })
    }

    /// An array of a program's exit codes.
    pub(crate) fn exit_codes(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<u8>> {
        self.array(key, "an exit code (0 to 255)", problems, |value| {
            u8::try_from(integer(value)?).ok()
        })
    }

    /// A table of its own.
    pub(crate) fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<Table<'a>> {
        let value = self.value(key)?;
        let place = self.at(key);
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(&place, table, problems)),
            _ => {
                wrong_type(&place, "a table", value, problems);
                None
            }
        }
    }

    /// Every entry as a table of its own, with its key; all keys count as known.
    pub(crate) fn all_tables(self, problems: &mut Problems) -> Vec<(String, Table<'a>)> {
        let mut tables = Vec::with_capacity(self.entries.len());
        for (key, value) in &self.entries {
            let place = join(&self.place, key);
            match value.get_ref() {
                DeValue::Table(table) => tables.push(((*key).to_owned(), Table::new(&place, table, problems))),
                _ => {
                    wrong_type(&place, "a table", value, problems);
                }
            }
        }
        tables
    }

    /// Any value, as JSON.
    pub(crate) fn json(&mut self, key: &'static str, problems: &mut Problems) -> Option<Value> {
        let value = self.value(key)?;
        Some(to_json(&self.at(key), value, problems))
    }

    /// Every entry, as JSON; all keys count as known.
    pub(crate) fn all_json(self, problems: &mut Problems) -> BTreeMap<String, Value> {
        let place = self.place;
        self.entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), to_json(&join(&place, key), value, problems)))
            .collect()
    }

    /// Every entry as a string; all keys count as known.
    pub(crate) fn all_strings(self, problems: &mut Problems) -> BTreeMap<String, String> {
        let mut strings = BTreeMap::new();
        for (key, value) in &self.entries {
            match value.get_ref().as_str() {
                Some(text) => {
                    strings.insert((*key).to_owned(), text.to_owned());
                }
                None => {
                    wrong_type(&join(&self.place, key), "a string", value, problems);
                }
            }
        }
        strings
    }

    /// Reports the keys that nobody asked for. `elsewhere` has advice for words that other tools use.
    pub(crate) fn finish(self, elsewhere: &[(&str, &str)], problems: &mut Problems) {
        for (key, _) in &self.entries {
            if self.known.contains(key) {
                continue;
            }
            let hint = elsewhere
                .iter()
                .find(|(word, _)| word == key)
                .map(|(_, advice)| (*advice).to_owned())
                .or_else(|| did_you_mean(key, self.known.iter().copied()))
                .unwrap_or_else(|| format!("known keys here: {}", self.known.join(", ")));
            problems
                .error_in(&self.at(key), Part::Key, format!("unknown key `{key}`"))
                .hint(hint);
        }
    }

    fn array<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        convert: impl Fn(&Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let place = self.at(key);
        let DeValue::Array(array) = value.get_ref() else {
            wrong_type(&place, "an array", value, problems).hint("write it in brackets: [ .. ]");
            return None;
        };
        let mut converted = Vec::with_capacity(array.len());
        for (place, element) in elements(&place, array, problems) {
            match convert(element) {
                Some(element) => converted.push(element),
                None => {
                    wrong_type(&place, expected, element, problems);
                }
            }
        }
        Some(converted)
    }
}

/// An array's elements with their places, which are remembered.
pub(crate) fn elements<'a>(
    place: &str,
    array: &'a DeArray<'a>,
    problems: &mut Problems,
) -> Vec<(String, &'a Spanned<DeValue<'a>>)> {
    let mut elements = Vec::with_capacity(array.len());
    for (index, element) in array.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let spot = Spot {
            key: None,
            value: element.span().start,
            text: text_start(element, problems),
        };
        problems.locate(&place, spot);
        elements.push((place, element));
    }
    elements
}

/// Reports a value of another type than expected.
pub(crate) fn wrong_type<'p>(
    place: &str,
    expected: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &'p mut Problems,
) -> &'p mut super::super::problem::Problem {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string".to_owned(),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    problems.error(place, format!("expected {expected}, found {found}"))
}

/// A TOML value as JSON. Dates become strings; numbers that JSON does not have are reported.
fn to_json(place: &str, value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(boolean) => Value::from(*boolean),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Integer(_) => integer(value).map(Value::from).unwrap_or_else(|| {
            problems.error(place, "the number does not fit 64 bits");
            Value::Null
        }),
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => {
                problems.error(place, format!("JSON has no number `{float}`"));
                Value::Null
            }
        },
        DeValue::Array(array) => elements(place, array, problems)
            .into_iter()
            .map(|(place, element)| to_json(&place, element, problems))
            .collect(),
        DeValue::Table(table) => Table::new(place, table, problems)
            .all_json(problems)
            .into_iter()
            .collect(),
    }
}

fn integer(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Where a string's characters start, when they stand in the text as they are.
fn text_start(value: &Spanned<DeValue<'_>>, problems: &Problems) -> Option<usize> {
    let text = value.get_ref().as_str()?;
    let span: Range<usize> = value.span();
    let source = problems.source(span.clone())?;
    source.find(text).map(|inside| span.start + inside)
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.to_owned()
    } else {
        format!("{place}.{key}")
    }
}
