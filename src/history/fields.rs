//! Reading JSON as proto3 has it: absent fields are defaults, 64-bit integers are strings, names may be in either case. Must
//! not live here: what the fields mean.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::{EventId, IdError, Payload, Timestamp};

use super::value;
use super::{HistoryError, refs::Refs};

/// The fields of an object of one event.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    event: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, event: u64) -> Result<Self, HistoryError> {
        match value {
            Value::Object(map) => Ok(Self { map, event }),
            other => Err(malformed(event, format!("an object was expected, found {other}"))),
        }
    }

    /// The place that errors name.
    pub(super) fn event(&self) -> u64 {
        self.event
    }

    pub(super) fn error(&self, what: impl Into<String>) -> HistoryError {
        malformed(self.event, what)
    }

    fn wrong(&self, key: &str, expected: &str) -> HistoryError {
        let found = self.get(key).map(Value::to_string).unwrap_or_default();
        let found = found.chars().take(80).collect::<String>();
        self.error(format!("{key} must be {expected}, found {found}"))
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let found = self.map.get(key).or_else(|| self.map.get(&snake_case(key)));
        found.filter(|value| !value.is_null())
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }

    pub(super) fn text(&self, key: &str) -> Result<String, HistoryError> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    /// A text that is an id of ours.
    pub(super) fn id<T: FromStr<Err = IdError>>(&self, key: &str) -> Result<T, HistoryError> {
        let parsed = self.text(key)?.parse();
        parsed.map_err(|error: IdError| self.error(format!("{key}: {error}")))
    }

    /// The same, when it may be left out.
    pub(super) fn id_or_none<T: FromStr<Err = IdError>>(&self, key: &str) -> Result<Option<T>, HistoryError> {
        match self.text(key)?.is_empty() {
            true => Ok(None),
            false => self.id(key).map(Some),
        }
    }

    pub(super) fn ids<T: FromStr<Err = IdError>>(&self, key: &str) -> Result<Vec<T>, HistoryError> {
        let parse = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let ids: Option<Vec<T>> = self.list(key)?.iter().map(parse).collect();
        ids.ok_or_else(|| self.wrong(key, "a list of names"))
    }

    pub(super) fn number(&self, key: &str) -> Result<u64, HistoryError> {
        let number = match self.get(key) {
            None => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            Some(_) => None,
        };
        number.ok_or_else(|| self.wrong(key, "a whole number"))
    }

    pub(super) fn number_u32(&self, key: &str) -> Result<u32, HistoryError> {
        let number = u32::try_from(self.number(key)?);
        number.map_err(|_| self.wrong(key, "a number below 2^32"))
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, HistoryError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(self.wrong(key, "a number")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, HistoryError> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, HistoryError> {
        let fields = self.get(key).map(|value| Fields::of(value, self.event));
        fields.transpose().map_err(|_| self.wrong(key, "an object"))
    }

    pub(super) fn needed(&self, key: &str) -> Result<Fields<'a>, HistoryError> {
        self.object(key)?.ok_or_else(|| self.error(format!("{key} is missing")))
    }

    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], HistoryError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.wrong(key, "a list")),
        }
    }

    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, HistoryError> {
        let Some(found) = self.get(key) else {
            return Ok(None);
        };
        let duration = found.as_str().and_then(value::read_duration);
        duration
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a duration such as \"10s\""))
    }

    /// A time limit: zero means none.
    pub(super) fn limit(&self, key: &str) -> Result<Option<Duration>, HistoryError> {
        Ok(self.duration(key)?.filter(|limit| !limit.is_zero()))
    }

    pub(super) fn time(&self, key: &str) -> Result<Option<Timestamp>, HistoryError> {
        let Some(found) = self.get(key) else {
            return Ok(None);
        };
        let time = found.as_str().and_then(value::read_time);
        time.map(Some)
            .ok_or_else(|| self.wrong(key, "a time such as \"2026-01-31T12:00:00Z\""))
    }

    /// The one value of a list of payloads; what has no payload is null.
    pub(super) fn payloads(&self, key: &str) -> Result<Payload, HistoryError> {
        match self.object(key)? {
            Some(list) => value::read_payloads(&list),
            None => Ok(Payload::null()),
        }
    }

    pub(super) fn payload(&self, key: &str) -> Result<Option<Payload>, HistoryError> {
        self.object(key)?.map(|fields| value::read_payload(&fields)).transpose()
    }

    /// A value of an enum, without the enum's prefix: `TIMEOUT_TYPE_HEARTBEAT` and `Heartbeat` are both `HEARTBEAT`.
    pub(super) fn word(&self, key: &str, prefix: &str) -> Result<String, HistoryError> {
        let text = self.text(key)?;
        Ok(value::read_word(&text, prefix))
    }

    /// One of several words of ours.
    pub(super) fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, HistoryError> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(key, &format!("one of {}", known.join(", ")))
        })
    }

    /// The event that this field refers to.
    pub(super) fn event_id(&self, key: &str, refs: &Refs) -> Result<EventId, HistoryError> {
        self.event_id_or_none(key, refs)?
            .ok_or_else(|| self.error(format!("{key} is missing")))
    }

    pub(super) fn event_id_or_none(&self, key: &str, refs: &Refs) -> Result<Option<EventId>, HistoryError> {
        let id = self.number(key)?;
        if id == 0 {
            return Ok(None);
        }
        let found = refs.get(id);
        found.map(Some).ok_or_else(|| {
            self.error(format!(
                "{key} refers to event {id}, which is not in the history before it"
            ))
        })
    }
}

pub(super) fn malformed(event: u64, what: impl Into<String>) -> HistoryError {
    HistoryError::Malformed {
        event,
        what: what.into(),
    }
}

/// proto3's JSON may have a field under its name in the .proto file.
fn snake_case(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
