//! What runs can be found by as stored values. Must not live here: the index that finds them (`attributes`).
//!
//! ```text
//! found by   length(2), 0 for none: parent(1, workflow id, run(16)) then attributes to the end: name type(1) value
//! value      1 keyword, 2 text: text; 3 int, 4 double: (8); 5 bool: (1); 6 datetime: (8); 7 keyword list: count(2) texts
//! ```

use std::sync::Arc;

use super::codec::{Cursor, put_text, put_time, put_u64};
use crate::model::{ParentRun, RunId, SearchAttributeValue, SearchAttributes, WorkflowId};
use crate::store::FoundBy;

/// Bytes of the length in front.
pub(super) const LENGTH_BYTES: usize = 2;

pub(super) fn put(out: &mut Vec<u8>, found_by: Option<&FoundBy>) {
    let at = out.len();
    out.extend([0; LENGTH_BYTES]);
    let Some(found_by) = found_by else { return };
    out.push(u8::from(found_by.parent.is_some()));
    if let Some(parent) = &found_by.parent {
        put_text(out, parent.workflow_id.qualified());
        out.extend_from_slice(parent.run_id.as_bytes());
    }
    for (name, value) in &found_by.search_attributes {
        put_text(out, name);
        put_value(out, value);
    }
    let length = u16::try_from(out.len() - at - LENGTH_BYTES).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(at..at + LENGTH_BYTES) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// How many bytes [`put`] writes.
pub(super) fn bytes(found_by: Option<&FoundBy>) -> usize {
    let Some(found_by) = found_by else {
        return LENGTH_BYTES;
    };
    let mut out = Vec::new();
    put(&mut out, Some(found_by));
    out.len()
}

pub(super) fn read(from: &mut Cursor<'_>) -> Option<Option<Arc<FoundBy>>> {
    let length = from.array().map(u16::from_be_bytes)?;
    if length == 0 {
        return Some(None);
    }
    let mut from = Cursor::new(from.bytes(usize::from(length))?);
    let parent = match from.u8()? {
        0 => None,
        1 => Some(ParentRun {
            workflow_id: WorkflowId::from_trusted(from.text()?),
            run_id: RunId::from_bytes(from.array()?),
            initiated: None,
        }),
        _ => return None,
    };
    let mut search_attributes = SearchAttributes::new();
    while !from.is_at_end() {
        let name = from.text()?.to_owned();
        search_attributes.insert(name, read_value(&mut from)?);
    }
    Some(Some(Arc::new(FoundBy {
        parent,
        search_attributes,
    })))
}

fn put_value(out: &mut Vec<u8>, value: &SearchAttributeValue) {
    use SearchAttributeValue as V;
    match value {
        V::Keyword(text) => {
            out.push(1);
            put_text(out, text);
        }
        V::Text(text) => {
            out.push(2);
            put_text(out, text);
        }
        V::Int(number) => {
            out.push(3);
            out.extend(number.to_be_bytes());
        }
        V::Double(number) => {
            out.push(4);
            put_u64(out, number.to_bits());
        }
        V::Bool(truth) => out.extend([5, u8::from(*truth)]),
        V::Datetime(time) => {
            out.push(6);
            put_time(out, *time);
        }
        V::KeywordList(texts) => {
            out.push(7);
            out.extend(u16::try_from(texts.len()).unwrap_or(u16::MAX).to_be_bytes());
            texts.iter().for_each(|text| put_text(out, text));
        }
    }
}

fn read_value(from: &mut Cursor<'_>) -> Option<SearchAttributeValue> {
    use SearchAttributeValue as V;
    Some(match from.u8()? {
        1 => V::Keyword(from.text()?.to_owned()),
        2 => V::Text(from.text()?.to_owned()),
        3 => V::Int(from.array().map(i64::from_be_bytes)?),
        4 => V::Double(f64::from_bits(from.u64()?)),
        5 => V::Bool(from.u8()? != 0),
        6 => V::Datetime(from.time()?),
        7 => {
            let count = from.array().map(u16::from_be_bytes)?;
            let texts = (0..count).map(|_| from.text().map(str::to_owned));
            V::KeywordList(texts.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamespaceName, RunStatus, Timestamp, WorkflowType, limits};
    use crate::store::RunHead;
    use crate::testing::store_conformance::turn;

    use super::super::frame::CONTENT_BYTES_MAX;
    use super::super::index::StoredHead;

    fn all() -> FoundBy {
        use SearchAttributeValue as V;
        let values = [
            ("a", V::from("ada")),
            ("b", V::Text("some words".to_owned())),
            ("c", V::from(-7)),
            ("d", V::from(-0.5)),
            ("e", V::from(true)),
            ("f", V::from(Timestamp::from_micros(-9))),
            ("g", V::from(["x", "", "y"])),
        ];
        FoundBy {
            parent: Some(ParentRun {
                workflow_id: WorkflowId::from_trusted("basket-7"),
                run_id: RunId::from_bytes([8; 16]),
                initiated: None,
            }),
            search_attributes: values.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_no_cut_of_it() {
        for found_by in [None, Some(FoundBy::default()), Some(all())] {
            let mut out = Vec::new();
            put(&mut out, found_by.as_ref());
            assert_eq!(out.len(), bytes(found_by.as_ref()));
            assert_eq!(read(&mut Cursor::new(&out)).unwrap().as_deref(), found_by.as_ref());
            for end in 0..out.len() {
                assert!(read(&mut Cursor::new(&out[..end])).is_none(), "cut at {end}");
            }
        }
    }

    #[test]
    fn the_most_that_a_run_may_have_fits_beside_its_head() {
        let name = "n".repeat(limits::ID_BYTES_MAX);
        let text = "t".repeat(limits::SEARCH_ATTRIBUTES_BYTES_MAX - limits::ID_BYTES_MAX - 11);
        let mut attributes: SearchAttributes = [(name.clone(), text.as_str().into())].into();
        crate::model::check_search_attributes(&attributes).unwrap();
        // Beside the user's: two changes that fill the list, each with its length.
        let changes = ["a", "b"].map(|change| change.repeat(limits::CHANGE_VERSION_BYTES_MAX / 2 - 2));
        let listed = SearchAttributeValue::KeywordList(changes.into());
        attributes.insert(crate::model::CHANGE_VERSION.to_owned(), listed);
        let namespace = NamespaceName::new("n".repeat(limits::NAMESPACE_BYTES_MAX)).unwrap();
        let workflow_id = WorkflowId::from_trusted(name.as_str()).in_namespace(&namespace);
        let parent = ParentRun {
            workflow_id: workflow_id.clone(),
            run_id: RunId::NIL,
            initiated: None,
        };
        let found_by = FoundBy {
            parent: Some(parent),
            search_attributes: attributes,
        };
        let mut out = Vec::new();
        put(&mut out, Some(&found_by));
        assert_eq!(read(&mut Cursor::new(&out)).unwrap().as_deref(), Some(&found_by));
        let mut head = RunHead::opened_by(&turn(1, 1, 1, RunStatus::Running)).unwrap();
        head.workflow_id = workflow_id;
        head.workflow_type = WorkflowType::from_trusted(name);
        head.found_by = Some(Arc::new(found_by));
        assert!(
            StoredHead::bytes_max(&head) <= CONTENT_BYTES_MAX,
            "{}",
            StoredHead::bytes_max(&head)
        );
    }
}
