//! Changes of search attributes and memos, one of each kind. Must not live here: assertions.

use crate::model::*;

/// One of each type.
pub(super) fn of_each_type() -> SearchAttributes {
    use SearchAttributeValue as V;
    let values = [
        ("customer", V::from("ada")),
        ("note", V::Text("call back, please".to_owned())),
        ("items", V::from(-3)),
        ("amount", V::from(99.5)),
        ("express", V::from(true)),
        ("due", V::from(Timestamp::from_micros(1_700_000_000_000_002))),
        ("tags", V::from(["a", "b"])),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

pub(super) fn memo() -> Memo {
    [("title".to_owned(), Payload::json("Order 42").unwrap())].into()
}

pub(super) fn attribute_events() -> Vec<EventAttributes> {
    use EventAttributes as E;
    let mut changes: SearchAttributeChanges = of_each_type()
        .into_iter()
        .map(|(name, value)| (name, Some(value)))
        .collect();
    changes.insert("stage".to_owned(), None);
    let memo = [
        ("title".to_owned(), Some(Payload::json("Order 43").unwrap())),
        ("old".to_owned(), None),
    ];
    vec![
        E::UpsertWorkflowSearchAttributes(Box::new(changes)),
        E::WorkflowPropertiesModified(Box::new(memo.into())),
    ]
}
