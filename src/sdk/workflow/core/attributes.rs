//! What the run can be found by, and its memo, as the code knows and changes them. Must not live here: what is allowed
//! (`model`).
//!
//! A change is seen by the code at once, and is recorded with the turn's other commands. When a turn is decided again what is
//! recorded counts, as soon as the code has come past it.

use crate::model::{
    Command, Failure, Memo, MemoChanges, RunStarted, SearchAttributeChanges, SearchAttributeError,
    SearchAttributeTypes, SearchAttributes, check_given_search_attribute, check_memo, check_search_attributes,
    merge_changes,
};

use super::Core;

#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    types: SearchAttributeTypes,
    search: SearchAttributes,
    memo: Memo,
}

impl From<&RunStarted> for Attributes {
    fn from(started: &RunStarted) -> Self {
        Self {
            types: SearchAttributeTypes::default(),
            search: started.search_attributes.clone(),
            memo: started.memo.clone(),
        }
    }
}

/// What the code's context calls.
impl Core {
    pub(in crate::sdk::workflow) fn search_attributes(&self) -> &SearchAttributes {
        &self.attributes.search
    }

    pub(in crate::sdk::workflow) fn memo(&self) -> &Memo {
        &self.attributes.memo
    }

    pub(in crate::sdk::workflow) fn set_search_attribute_types(&mut self, types: SearchAttributeTypes) {
        self.attributes.types = types;
    }

    pub(in crate::sdk::workflow) fn upsert_search_attributes(
        &mut self,
        changes: SearchAttributeChanges,
    ) -> Result<(), Failure> {
        self.expect_writable("change search attributes");
        let mut typed = SearchAttributeChanges::new();
        for (name, change) in changes {
            check_given_search_attribute(&name).map_err(|error| refused_attribute(&error))?;
            let value = change.map(|value| self.attributes.types.typed(&name, value));
            typed.insert(name, value.transpose().map_err(|error| refused_attribute(&error))?);
        }
        let mut after = self.attributes.search.clone();
        merge_changes(&mut after, &typed);
        check_search_attributes(&after).map_err(|error| refused_attribute(&error))?;
        if !typed.is_empty() {
            self.attributes.search = after;
            self.commands.push(Command::UpsertSearchAttributes(typed));
        }
        Ok(())
    }

    pub(in crate::sdk::workflow) fn upsert_memo(&mut self, changes: MemoChanges) -> Result<(), Failure> {
        self.expect_writable("change the memo");
        let mut after = self.attributes.memo.clone();
        merge_changes(&mut after, &changes);
        check_memo(&after).map_err(|error| refused_attribute(&error))?;
        if !changes.is_empty() {
            self.attributes.memo = after;
            self.commands.push(Command::ModifyProperties(changes));
        }
        Ok(())
    }
}

/// What the code gives other runs.
impl Core {
    pub(in crate::sdk::workflow) fn typed_search_attributes(
        &self,
        attributes: SearchAttributes,
    ) -> Result<SearchAttributes, Failure> {
        let typed = self.attributes.types.checked(attributes);
        typed.map_err(|error| refused_attribute(&error))
    }
}

/// What `replay` calls.
impl Core {
    pub(crate) fn confirm_search_attributes(&mut self, changes: &SearchAttributeChanges) {
        merge_changes(&mut self.attributes.search, changes);
    }

    pub(crate) fn confirm_memo(&mut self, changes: &MemoChanges) {
        merge_changes(&mut self.attributes.memo, changes);
    }
}

pub(in crate::sdk::workflow) fn refused_attribute(error: &SearchAttributeError) -> Failure {
    Failure::non_retryable("InvalidSearchAttribute", error.to_string())
}
