//! Versions side by side: how definitions of one name are told apart, and which of them is the newest. Must not live here:
//! keeping several of them.

use std::cmp::Ordering;

use super::saga::SagaDefinition;
use crate::model::compare_versions;

impl SagaDefinition {
    /// The definition's name with its version, `name@version`; only the name without a version.
    #[must_use]
    pub fn versioned_name(&self) -> String {
        match self.version() {
            Some(version) => format!("{}@{version}", self.name()),
            None => self.name().to_string(),
        }
    }

    /// Which of two definitions of one name is newer. A name alone means the newest.
    ///
    /// A version is compared part by part, as people read it ([`compare_versions`]). No version is older than any.
    #[must_use]
    pub fn compare_versions(&self, other: &Self) -> Ordering {
        match (self.version(), other.version()) {
            (Some(mine), Some(others)) => compare_versions(mine, others),
            (mine, others) => mine.is_some().cmp(&others.is_some()),
        }
    }
}

/// A name and its version out of `name@version`; only a name without an `@`.
#[must_use]
pub fn split_version(versioned: &str) -> (&str, Option<&str>) {
    match versioned.rsplit_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (versioned, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_after_the_last_at_sign() {
        assert_eq!(split_version("order"), ("order", None));
        assert_eq!(split_version("order@2.1"), ("order", Some("2.1")));
    }
}
