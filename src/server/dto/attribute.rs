//! Search attributes and memos, and their changes. Must not live here: anything else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::payload;
use crate::model::{Memo, MemoChanges, SearchAttributeChanges, SearchAttributeValue, SearchAttributes};

pub(in crate::server) fn all(attributes: &SearchAttributes) -> Value {
    let attributes = attributes.iter();
    object(attributes.map(|(name, value)| (name.clone(), value.to_json())))
}

pub(in crate::server) fn whole_memo(memo: &Memo) -> Value {
    object(memo.iter().map(|(name, value)| (name.clone(), payload(value))))
}

pub(super) fn changes(changes: &SearchAttributeChanges) -> Value {
    let change = |value: &Option<SearchAttributeValue>| value.as_ref().map(SearchAttributeValue::to_json);
    let changes = changes.iter().map(|(name, value)| (name.clone(), json!(change(value))));
    json!({"search_attributes": object(changes)})
}

pub(super) fn memo_changes(changes: &MemoChanges) -> Value {
    let changes = changes.iter();
    let changes = changes.map(|(name, value)| (name.clone(), json!(value.as_ref().map(payload))));
    json!({"upserted_memo": object(changes)})
}

pub(super) fn text<V>(changes: &BTreeMap<String, Option<V>>, value: impl Fn(&V) -> String) -> String {
    let change = |(name, change): (&String, &Option<V>)| match change {
        Some(set) => format!("{name} = {}", value(set)),
        None => format!("{name} removed"),
    };
    changes.iter().map(change).collect::<Vec<_>>().join(", ")
}

fn object(fields: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(fields.collect::<Map<_, _>>())
}
