//! Version 1 of search attributes. Must not live here: any change after a release.

use serde::{Deserialize, Serialize};

use super::Micros;

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum SearchAttribute<'a> {
    Keyword(&'a str),
    Text(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Datetime(Micros),
    KeywordList(#[serde(borrow)] Vec<&'a str>),
}
