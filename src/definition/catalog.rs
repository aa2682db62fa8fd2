//! The definitions that runs can be started with, by name and version. Must not live here: where they come from, or the
//! definitions that only stored runs still follow.

use std::collections::BTreeMap;

use super::saga::SagaDefinition;
use super::version::split_version;

/// Definitions by name; several versions of one name side by side.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The versions of each name, oldest first; none is empty.
    by_name: BTreeMap<String, Vec<SagaDefinition>>,
}

impl Catalog {
    /// Adds a definition; gives it back when there is one of its name and version already.
    ///
    /// # Errors
    /// The definition, which was not added.
    pub fn add(&mut self, saga: SagaDefinition) -> Result<(), SagaDefinition> {
        let versions = self.by_name.entry(saga.name().to_string()).or_default();
        if versions.iter().any(|other| other.version() == saga.version()) {
            return Err(saga);
        }
        let at = versions.partition_point(|other| other.compare_versions(&saga).is_lt());
        versions.insert(at, saga);
        Ok(())
    }

    /// The definition of this name: the newest one, or the one of the version in `name@version`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SagaDefinition> {
        if let Some(versions) = self.by_name.get(name) {
            return versions.last();
        }
        let (name, version) = split_version(name);
        self.by_name.get(name)?.iter().find(|saga| saga.version() == version)
    }

    /// Every definition, by name, older versions first.
    pub fn iter(&self) -> impl Iterator<Item = &SagaDefinition> {
        self.by_name.values().flatten()
    }

    /// The names, and with their versions those that there are several of.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let each = self.by_name.iter().flat_map(|(name, versions)| {
            let others = versions.iter().filter(|_| versions.len() > 1);
            std::iter::once(name.clone()).chain(others.map(SagaDefinition::versioned_name))
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Step;

    fn saga(name: &str, version: Option<&str>) -> SagaDefinition {
        let mut builder = SagaDefinition::builder(name).step(Step::activity("a", "a").nothing_to_compensate());
        if let Some(version) = version {
            builder = builder.version(version);
        }
        builder.build().unwrap()
    }

    #[test]
    fn a_name_means_its_newest_version() {
        let mut catalog = Catalog::default();
        for version in [Some("1.9"), Some("1.10"), None, Some("1.2")] {
            catalog.add(saga("order", version)).unwrap();
        }
        catalog.add(saga("trip", None)).unwrap();
        let version = |name: &str| {
            catalog
                .get(name)
                .map(|saga| saga.version().unwrap_or("none").to_owned())
        };
        assert_eq!(version("order").as_deref(), Some("1.10"));
        assert_eq!(version("order@1.9").as_deref(), Some("1.9"));
        assert_eq!(version("order@2"), None);
        assert_eq!(version("trip").as_deref(), Some("none"));
        assert_eq!(version("gift"), None);
        let names = ["order", "order", "order@1.2", "order@1.9", "order@1.10", "trip"];
        assert_eq!(catalog.names(), names);
    }

    #[test]
    fn one_version_is_there_once() {
        let mut catalog = Catalog::default();
        catalog.add(saga("order", Some("1"))).unwrap();
        assert!(catalog.add(saga("order", Some("1"))).is_err());
        assert_eq!(catalog.iter().count(), 1);
    }
}
