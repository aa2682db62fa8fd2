//! What a run can be found by and is shown with: search attributes and memo. Must not live here: how they are kept
//! (`core/attributes`) or found (`store`).

use crate::model::{Failure, Memo, SearchAttributeTypes, SearchAttributeValue, SearchAttributes, ToPayload};

use super::super::function::encode;
use super::{WorkflowContext, invalid_input};

impl WorkflowContext {
    /// What the run can be found by now.
    #[must_use]
    pub fn search_attributes(&self) -> SearchAttributes {
        self.core.borrow().search_attributes().clone()
    }

    /// What is shown with the run now.
    #[must_use]
    pub fn memo(&self) -> Memo {
        self.core.borrow().memo().clone()
    }

    /// Changes what the run can be found by; attributes that are not named stay.
    ///
    /// ```
    /// # use amends::{Failure, SearchAttributeValue, WorkflowContext};
    /// # async fn place_order(cx: WorkflowContext, cents: i64) -> Result<(), Failure> {
    /// cx.upsert_search_attributes([("Stage", "paid")])?;
    /// cx.upsert_search_attributes([("Cents", SearchAttributeValue::from(cents)), ("Express", true.into())])
    /// # }
    /// ```
    ///
    /// # Errors
    /// A failure of type `InvalidSearchAttribute` for a name that cannot be one, a value of another type than the one that the
    /// engine has registered for it, and more or larger attributes than a run may have. Nothing is changed then.
    pub fn upsert_search_attributes<N, V>(&self, attributes: impl IntoIterator<Item = (N, V)>) -> Result<(), Failure>
    where
        N: Into<String>,
        V: Into<SearchAttributeValue>,
    {
        let changes = attributes.into_iter();
        let changes = changes.map(|(name, value)| (name.into(), Some(value.into()))).collect();
        self.core.borrow_mut().upsert_search_attributes(changes)
    }

    /// Takes search attributes away; the run cannot be found by them any more. One that is not there is no error.
    ///
    /// # Errors
    /// A failure of type `InvalidSearchAttribute` for `TemporalChangeVersion`, which is amends' own. Nothing is changed then.
    pub fn remove_search_attributes<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Result<(), Failure> {
        let changes = names.into_iter().map(|name| (name.into(), None)).collect();
        self.core.borrow_mut().upsert_search_attributes(changes)
    }

    /// Sets one field of what is shown with the run; the others stay.
    ///
    /// ```
    /// # use amends::{Failure, WorkflowContext};
    /// # async fn place_order(cx: WorkflowContext, order: u32) -> Result<(), Failure> {
    /// cx.upsert_memo("progress", &"2 of 3 parcels sent")
    /// # }
    /// ```
    ///
    /// # Errors
    /// A failure of type `InvalidInput` when the value has no JSON form or is too large; of type `InvalidSearchAttribute` for
    /// a name that cannot be one, and when the whole memo is too large.
    pub fn upsert_memo(&self, name: impl Into<String>, value: &(impl ToPayload + ?Sized)) -> Result<(), Failure> {
        let value = encode(value).map_err(|error| invalid_input("the memo", &error))?;
        let changes = [(name.into(), Some(value))].into();
        self.core.borrow_mut().upsert_memo(changes)
    }

    /// Takes fields of the memo away. One that is not there is no error.
    ///
    /// # Errors
    /// None today: what is left is always allowed.
    pub fn remove_memo<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Result<(), Failure> {
        let changes = names.into_iter().map(|name| (name.into(), None)).collect();
        self.core.borrow_mut().upsert_memo(changes)
    }

    pub(in crate::sdk) fn know_search_attribute_types(&self, types: SearchAttributeTypes) {
        self.core.borrow_mut().set_search_attribute_types(types);
    }
}
