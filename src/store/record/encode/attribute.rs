//! Search attributes and memos to the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::payload;
use crate::model::{Memo, MemoChanges, SearchAttributeChanges, SearchAttributeValue, SearchAttributes};

pub(super) fn attributes(attributes: &SearchAttributes) -> Vec<(&str, wire::SearchAttribute<'_>)> {
    let attributes = attributes.iter();
    attributes.map(|(name, found)| (name.as_str(), value(found))).collect()
}

pub(super) fn changes(changes: &SearchAttributeChanges) -> Vec<(&str, Option<wire::SearchAttribute<'_>>)> {
    let changes = changes.iter();
    changes
        .map(|(name, change)| (name.as_str(), change.as_ref().map(value)))
        .collect()
}

pub(super) fn memo(memo: &Memo) -> Vec<(&str, wire::Payload<'_>)> {
    memo.iter()
        .map(|(name, field)| (name.as_str(), payload(field)))
        .collect()
}

pub(super) fn memo_changes(changes: &MemoChanges) -> Vec<(&str, Option<wire::Payload<'_>>)> {
    let changes = changes.iter();
    changes
        .map(|(name, change)| (name.as_str(), change.as_ref().map(payload)))
        .collect()
}

fn value(value: &SearchAttributeValue) -> wire::SearchAttribute<'_> {
    use SearchAttributeValue as V;
    use wire::SearchAttribute as W;
    match value {
        V::Keyword(text) => W::Keyword(text),
        V::Text(text) => W::Text(text),
        V::Int(number) => W::Int(*number),
        V::Double(number) => W::Double(*number),
        V::Bool(truth) => W::Bool(*truth),
        V::Datetime(time) => W::Datetime(time.as_micros()),
        V::KeywordList(texts) => W::KeywordList(texts.iter().map(String::as_str).collect()),
    }
}
