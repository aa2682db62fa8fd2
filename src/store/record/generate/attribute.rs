//! Search attributes and memos for tests. Must not live here: assertions.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{payload, text, time};
use crate::model::*;

fn value() -> BoxedStrategy<SearchAttributeValue> {
    use SearchAttributeValue as V;
    prop_oneof![
        text().prop_map(V::Keyword),
        text().prop_map(V::Text),
        any::<i64>().prop_map(V::Int),
        proptest::num::f64::NORMAL.prop_map(V::Double),
        any::<bool>().prop_map(V::Bool),
        time().prop_map(V::Datetime),
        proptest::collection::vec(text(), 0..3).prop_map(V::KeywordList),
    ]
    .boxed()
}

fn some<T: std::fmt::Debug + 'static>(value: BoxedStrategy<T>) -> BoxedStrategy<BTreeMap<String, T>> {
    proptest::collection::btree_map(text(), value, 0..3).boxed()
}

pub(super) fn both() -> BoxedStrategy<(SearchAttributes, Memo)> {
    (some(value()), some(payload())).boxed()
}

pub(super) fn attribute_events() -> BoxedStrategy<EventAttributes> {
    use EventAttributes as E;
    prop_oneof![
        some(proptest::option::of(value()).boxed())
            .prop_map(|changes| E::UpsertWorkflowSearchAttributes(Box::new(changes))),
        some(proptest::option::of(payload()).boxed())
            .prop_map(|changes| E::WorkflowPropertiesModified(Box::new(changes))),
    ]
    .boxed()
}
