//! Registering search attributes. Must not live here: what they are for (`visibility`).

use crate::model::SearchAttributeType;

use super::AmendsBuilder;

impl AmendsBuilder {
    /// Registers the type of a search attribute. What is started with another type is refused, and so is a query that
    /// compares it with one; a value that loses nothing by it becomes one of this type (a whole number a `Double`, a text in
    /// RFC 3339 a `Datetime`, a keyword a `Text`).
    ///
    /// An attribute that is not registered has the type of its value.
    ///
    /// ```
    /// use amends::{Amends, SearchAttributeType};
    ///
    /// let builder = Amends::builder()
    ///     .memory()
    ///     .search_attribute("CustomAmount", SearchAttributeType::Double)
    ///     .search_attribute("Due", SearchAttributeType::Datetime);
    /// ```
    pub fn search_attribute(mut self, name: &str, kind: SearchAttributeType) -> Self {
        let added = self.registry.add_search_attribute(name, kind);
        self.registry_errors.extend(added.err());
        self
    }
}
