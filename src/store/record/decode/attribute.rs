//! Search attributes and memos from the wire. Must not live here: anything else.

use super::super::v1 as wire;
use super::payload;
use crate::model::{Memo, MemoChanges, SearchAttributeChanges, SearchAttributeValue, SearchAttributes, Timestamp};

pub(super) fn attributes(attributes: &[(&str, wire::SearchAttribute<'_>)]) -> SearchAttributes {
    let attributes = attributes.iter();
    attributes
        .map(|(name, found)| ((*name).to_owned(), value(found)))
        .collect()
}

pub(super) fn changes(changes: &[(&str, Option<wire::SearchAttribute<'_>>)]) -> SearchAttributeChanges {
    let changes = changes.iter();
    changes
        .map(|(name, change)| ((*name).to_owned(), change.as_ref().map(value)))
        .collect()
}

pub(super) fn memo(memo: &[(&str, wire::Payload<'_>)]) -> Memo {
    memo.iter()
        .map(|(name, field)| ((*name).to_owned(), payload(field)))
        .collect()
}

pub(super) fn memo_changes(changes: &[(&str, Option<wire::Payload<'_>>)]) -> MemoChanges {
    let changes = changes.iter();
    changes
        .map(|(name, change)| ((*name).to_owned(), change.as_ref().map(payload)))
        .collect()
}

fn value(value: &wire::SearchAttribute<'_>) -> SearchAttributeValue {
    use SearchAttributeValue as V;
    use wire::SearchAttribute as W;
    match value {
        W::Keyword(text) => V::Keyword((*text).to_owned()),
        W::Text(text) => V::Text((*text).to_owned()),
        W::Int(number) => V::Int(*number),
        W::Double(number) => V::Double(*number),
        W::Bool(truth) => V::Bool(*truth),
        W::Datetime(micros) => V::Datetime(Timestamp::from_micros(*micros)),
        W::KeywordList(texts) => V::KeywordList(texts.iter().map(|text| (*text).to_owned()).collect()),
    }
}
