//! What runs are found by and what is shown with them, both ways. Must not live here: what an attribute may be called or hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::{Memo, MemoChanges, Payload, SearchAttributeChanges, SearchAttributeValue, SearchAttributes};

use super::HistoryError;
use super::fields::Fields;
use super::radix64;
use super::value;

/// The metadata of a search attribute that says its type, in Temporal's words.
const TYPE: &str = "type";

/// Several search attributes; nothing when there are none.
pub(super) fn attributes(attributes: &SearchAttributes) -> Value {
    let fields: Map<String, Value> = attributes.iter().map(|(name, of)| (name.clone(), typed(of))).collect();
    none_if_empty("indexedFields", fields)
}

pub(super) fn changes(changes: &SearchAttributeChanges) -> Value {
    let fields = changes
        .iter()
        .map(|(name, of)| (name.clone(), of.as_ref().map_or_else(deleted, typed)));
    json!({"indexedFields": fields.collect::<Map<_, _>>()})
}

pub(super) fn memo(memo: &Memo) -> Value {
    let fields: Map<String, Value> = memo
        .iter()
        .map(|(name, of)| (name.clone(), value::payload(of)))
        .collect();
    none_if_empty("fields", fields)
}

pub(super) fn memo_changes(changes: &MemoChanges) -> Value {
    let fields = changes
        .iter()
        .map(|(name, of)| (name.clone(), of.as_ref().map_or_else(deleted, value::payload)));
    json!({"fields": fields.collect::<Map<_, _>>()})
}

fn none_if_empty(key: &str, fields: Map<String, Value>) -> Value {
    match fields.is_empty() {
        true => Value::Null,
        false => Value::Object(Map::from_iter([(key.to_owned(), Value::Object(fields))])),
    }
}

fn typed(of: &SearchAttributeValue) -> Value {
    let mut payload = value::enclosed(of.to_json());
    if let Some(metadata) = payload.get_mut("metadata") {
        value::put(metadata, TYPE, radix64::encode(of.kind().as_str().as_bytes()));
    }
    payload
}

/// What is null is deleted.
fn deleted() -> Value {
    value::payload(&Payload::null())
}

pub(super) fn read_attributes(fields: &Fields<'_>, key: &str) -> Result<SearchAttributes, HistoryError> {
    let changes = read_changes(fields, key)?.into_iter();
    Ok(changes.filter_map(|(name, of)| Some((name, of?))).collect())
}

pub(super) fn read_changes(fields: &Fields<'_>, key: &str) -> Result<SearchAttributeChanges, HistoryError> {
    let mut changes = BTreeMap::new();
    for (name, payload) in payloads(fields, key, "indexedFields")? {
        let read = read_value(&payload);
        let of = read.ok_or_else(|| fields.error(format!("search attribute {name} has no value of its type")))?;
        changes.insert(name, of);
    }
    Ok(changes)
}

pub(super) fn read_memo(fields: &Fields<'_>, key: &str) -> Result<Memo, HistoryError> {
    Ok(payloads(fields, key, "fields")?.into_iter().collect())
}

pub(super) fn read_memo_changes(fields: &Fields<'_>, key: &str) -> Result<MemoChanges, HistoryError> {
    let changes = payloads(fields, key, "fields")?.into_iter();
    Ok(changes
        .map(|(name, of)| (name, Some(of).filter(|of| !of.is_null())))
        .collect())
}

fn payloads(fields: &Fields<'_>, key: &str, within: &str) -> Result<Vec<(String, Payload)>, HistoryError> {
    let Some(map) = fields.object(key)?.map(|all| all.object(within)).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let read = |(name, of): (&String, &Value)| {
        let payload = value::read_payload(&Fields::of(of, fields.event())?)?;
        Ok((name.clone(), payload))
    };
    map.entries().map(read).collect()
}

/// `Some(None)`: deleted; Temporal's SDKs also write an empty list for that.
fn read_value(payload: &Payload) -> Option<Option<SearchAttributeValue>> {
    if payload.is_null() {
        return Some(None);
    }
    let json: Value = payload.to_json().ok()?;
    let kind = payload
        .metadata(TYPE)
        .and_then(|kind| std::str::from_utf8(kind).ok()?.parse().ok());
    let of = match (SearchAttributeValue::from_json(&json), kind) {
        (None, _) => return json.is_null().then_some(None),
        (Some(SearchAttributeValue::KeywordList(texts)), kind) if texts.is_empty() && kind != Some(LIST) => {
            return Some(None);
        }
        (Some(of), None) => of,
        (Some(of), Some(kind)) => of.as_kind(kind)?,
    };
    Some(Some(of))
}

const LIST: crate::model::SearchAttributeType = crate::model::SearchAttributeType::KeywordList;
