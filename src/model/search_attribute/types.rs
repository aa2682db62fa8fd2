//! The types that search attributes were registered with. Must not live here: what a value or a name may be (`search_attribute`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::CHANGE_VERSION;
use super::{
    SearchAttributeError, SearchAttributeType, SearchAttributeValue, SearchAttributes, check_given_search_attribute,
    check_name, check_search_attributes,
};

/// The types that search attributes were registered with, by name. Cheap to clone. An attribute that is not here has the type of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchAttributeTypes(Arc<BTreeMap<String, SearchAttributeType>>);

impl SearchAttributeTypes {
    /// Registers a type.
    ///
    /// # Errors
    /// When the name cannot be one, or has another type already.
    pub fn register(&mut self, name: &str, kind: SearchAttributeType) -> Result<(), SearchAttributeError> {
        check_name(name)?;
        let kind_there = match name == CHANGE_VERSION {
            true => SearchAttributeType::KeywordList,
            false => kind,
        };
        let first = *Arc::make_mut(&mut self.0).entry(name.to_owned()).or_insert(kind_there);
        match first == kind {
            true => Ok(()),
            false => Err(SearchAttributeError::Registered {
                name: name.to_owned(),
                first,
                second: kind,
            }),
        }
    }

    /// The type of an attribute, if it was registered.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<SearchAttributeType> {
        self.0.get(name).copied()
    }

    /// Everything that was registered.
    pub fn iter(&self) -> impl Iterator<Item = (&str, SearchAttributeType)> {
        self.0.iter().map(|(name, kind)| (name.as_str(), *kind))
    }

    /// Whether nothing was registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that somebody gives an attribute, as one of its type.
    ///
    /// # Errors
    /// [`SearchAttributeError::Type`] when it is none; [`SearchAttributeError::ChangeList`].
    pub fn typed(&self, name: &str, value: SearchAttributeValue) -> Result<SearchAttributeValue, SearchAttributeError> {
        check_given_search_attribute(name)?;
        let Some(expected) = self.get(name) else {
            return Ok(value);
        };
        value.as_kind(expected).ok_or_else(|| SearchAttributeError::Type {
            name: name.to_owned(),
            expected,
            found: value.kind(),
            value: value.to_string(),
        })
    }

    /// All attributes that somebody gives a run, with their types, checked.
    ///
    /// # Errors
    /// Why they cannot be a run's.
    pub fn checked(&self, attributes: SearchAttributes) -> Result<SearchAttributes, SearchAttributeError> {
        let typed = attributes.into_iter().map(|(name, value)| {
            let value = self.typed(&name, value)?;
            Ok((name, value))
        });
        let typed = typed.collect::<Result<SearchAttributes, SearchAttributeError>>()?;
        check_search_attributes(&typed)?;
        Ok(typed)
    }
}
